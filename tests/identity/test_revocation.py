"""Revocations one by one, and what several of them amount to."""

import itertools

import msgspec
import pytest
from chains import WALL

from gossipnet.errors import CertificateError, RemoteProtocolError
from gossipnet.identity import revocations as bounds
from gossipnet.identity.envelope import open_envelope, seal
from gossipnet.identity.founding import admit, expand, found
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.revocation import Revocation, decode_revocation, make_revocation
from gossipnet.identity.revocations import NEVER, Revocations
from gossipnet.identity.signing import Domain, sign
from gossipnet.ids import LogId, NodeId

_entropy = expand(b"revocations")
FOUNDER = found("test", "founder", _entropy, WALL)
TRUST = FOUNDER.trust
MEMBER = admit(FOUNDER, "member", _entropy, WALL)
GUARD = admit(FOUNDER, "guard", _entropy, WALL, roles=frozenset({"member", "revoker"}))
LOG, OTHER = LogId(bytes(16)), LogId(b"o" * 16)
LAST = b"h" * 32


def make(by: NodeIdentity = FOUNDER, **more) -> Revocation:
    settings = {
        "node": MEMBER.node_id,
        "name": "member",
        "reason": "lost",
        "wall": WALL + 5,
        "seen": [(LOG, 7, LAST)],
        **more,
    }
    return make_revocation(by.key, by.chain, TRUST, **settings)


def test_a_statement_says_what_was_put_into_it() -> None:
    made = make(cut=[(LOG, 3, LAST), (OTHER, 9, LAST)], reason="x" * 300)
    read = decode_revocation(made.data, TRUST)
    assert read == made
    assert read.node == MEMBER.node_id
    assert read.certificate is None
    assert read.signer == FOUNDER.node_id
    assert read.signer_name == "founder"
    assert read.cut == {LOG: 7, OTHER: 9}
    assert len(read.reason) == 200


@pytest.mark.parametrize("by", [FOUNDER, GUARD], ids=["issuer", "revoker"])
def test_issuers_and_revokers_may(by: NodeIdentity) -> None:
    assert make(by).signer == by.node_id


def test_members_may_not() -> None:
    with pytest.raises(CertificateError) as caught:
        make(MEMBER)
    assert caught.value.reason == "may-not-revoke"


def test_every_changed_byte_is_noticed() -> None:
    good = make(GUARD).data
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1
        with pytest.raises(RemoteProtocolError):
            decode_revocation(bytes(bad), TRUST)
    for end in range(0, len(good), 7):
        with pytest.raises(RemoteProtocolError):
            decode_revocation(good[:end], TRUST)
    with pytest.raises(RemoteProtocolError):
        decode_revocation(good + b"\0", TRUST)


def test_another_meshs_statement_means_nothing() -> None:
    other = found("other", "founder", expand(b"other"), WALL)
    made = make_revocation(
        other.key,
        other.chain,
        other.trust,
        node=MEMBER.node_id,
        name="member",
        reason="",
        wall=WALL,
        seen=(),
    )
    with pytest.raises(CertificateError):
        decode_revocation(made.data, TRUST)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 2),
        (1, None),
        (2, bytes(32)),
        (3, "a\nb"),
        (4, "\x1b[31m"),
        (5, int(WALL) + 10**8),
        (5, int(WALL) - 10**8),
        (6, bytes(32)),
        (7, [[b"b" * 16, 1, LAST], [b"a" * 16, 1, LAST]]),
        (7, [[b"a" * 16, 1, LAST], [b"a" * 16, 2, LAST]]),
        (8, [[b"a" * 15, 1, LAST]]),
        (8, [[bytes((n >> 8, n & 255)) * 8, 1, LAST] for n in range(257)]),
        (9, [b"b" * 16, b"a" * 16]),
    ],
)
def test_what_makes_no_sense_is_refused_although_it_is_signed(place: int, value: object) -> None:
    sealed, chain = msgspec.msgpack.decode(make().data)
    body = msgspec.msgpack.decode(open_envelope(sealed, 1 << 20).body)
    body[place] = value
    raw = msgspec.msgpack.encode(body)
    signature = sign(FOUNDER.key, Domain.REVOKE, TRUST.mesh_id, raw)
    with pytest.raises(CertificateError):
        decode_revocation(msgspec.msgpack.encode([seal([(0, signature)], raw), chain]), TRUST)


# -- several ---------------------------------------------------------------------------------------


def test_the_lowest_cut_counts_in_every_order() -> None:
    statements = [make(seen=[(LOG, cut, LAST)], wall=WALL + cut) for cut in (9, 4, 6)]
    for order in itertools.permutations(statements):
        known = Revocations(TRUST)
        assert all(known.add(statement) for statement in order)
        assert not known.add(order[0])
        assert known.void_from(LOG, MEMBER.node_id, {}) == 5
        assert known.void_from(OTHER, MEMBER.node_id, {}) == 1
        assert known.void_from(LOG, FOUNDER.node_id, {}) == NEVER


def test_a_certificates_revocation_counts_from_where_the_log_shows_it() -> None:
    steps = TRUST.steps(MEMBER.chain)
    known = Revocations(TRUST)
    known.add(make(node=None, certificate=steps[0][0], seen=()))
    since = dict.fromkeys(steps, 40)
    assert known.void_from(LOG, MEMBER.node_id, since) == 40
    assert known.against(MEMBER.node_id, MEMBER.chain)
    assert not known.against(MEMBER.node_id, GUARD.chain)
    assert not known.against(MEMBER.node_id, ())


def test_what_an_issuer_signed_before_can_be_kept() -> None:
    issuer = TRUST.steps(MEMBER.chain)[1][0]
    known = Revocations(TRUST)
    known.add(make(node=None, certificate=issuer, seen=(), kept=[MEMBER.node_id]))
    assert not known.against(MEMBER.node_id, MEMBER.chain)
    assert known.against(GUARD.node_id, GUARD.chain)
    known.add(make(node=None, certificate=issuer, seen=(), kept=[GUARD.node_id]))
    assert known.against(MEMBER.node_id, MEMBER.chain)


def test_one_signer_cannot_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PER_SIGNER_MAX", 3)
    known = Revocations(TRUST)
    taken = [known.add(make(GUARD, node=NodeId(bytes([n]) * 32))) for n in range(5)]
    assert taken == [True, True, True, False, False]
    assert known.add(make(FOUNDER))
    monkeypatch.setattr(bounds, "REVOCATIONS_MAX", 4)
    assert not known.add(make(FOUNDER, reason="again"))
