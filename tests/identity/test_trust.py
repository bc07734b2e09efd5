"""Chains hold for one reason and fail for many, each of which has a word of its own."""

import msgspec
import pytest
from chains import DAY, FOUNDER, ISSUER, ROOT, TRUST, WALL, below, forge, key_of, resigned
from hypothesis import example, given
from hypothesis import strategies as st

from gossipnet.errors import BadSignature, CertificateError, RemoteProtocolError
from gossipnet.identity.capability import EVERYTHING
from gossipnet.identity.certificate import decode_certificate
from gossipnet.identity.envelope import open_envelope, seal
from gossipnet.identity.founding import admit, expand, found
from gossipnet.identity.root import decode_root
from gossipnet.identity.signing import Domain, sign
from gossipnet.identity.trust import Trust

NODE = admit(FOUNDER, "node", expand(b"node"), WALL)
DEPUTY = admit(FOUNDER, "deputy", expand(b"deputy"), WALL, roles=frozenset({"member", "issuer"}))
BELOW_DEPUTY = admit(DEPUTY, "leaf", expand(b"leaf"), WALL)


def reason(chain, wall: float | None = WALL) -> str:
    with pytest.raises(CertificateError) as caught:
        Trust(TRUST.root).verify_chain(chain, wall)
    return caught.value.reason


@pytest.mark.parametrize("identity", [FOUNDER, NODE, DEPUTY, BELOW_DEPUTY], ids=lambda i: i.name)
def test_good_chains_hold_twice(identity) -> None:
    trust = Trust.decode(TRUST.encode(), TRUST.mesh_id)
    for wall in (None, WALL, WALL):
        leaf = trust.verify_chain(identity.chain, wall)
        assert leaf.subject == identity.public_key
        assert leaf.name == identity.name


def test_forged_ones_hold_if_nothing_is_wrong_with_them() -> None:
    """Else the tests below would show nothing."""
    assert TRUST.verify_chain(below(), WALL).name == "node"


def test_three_certificates_is_the_longest() -> None:
    assert len(BELOW_DEPUTY.chain) == 3
    deputy = DEPUTY.issuer
    third = forge(
        deputy.key,
        deputy.chain[0],
        path_len=0,
        roles=("issuer", "member"),
        subject=key_of("3").public_key,
    )
    leaf = forge(key_of("3"), third)
    assert reason([leaf, third, *deputy.chain]) == "too-long"
    assert reason([leaf, third, deputy.chain[0]]) == "wrong-issuer"
    with pytest.raises(CertificateError) as caught:
        TRUST.verify_issuer_chain([third, *deputy.chain], WALL)
    assert caught.value.reason == "not-within-issuer"


def test_times() -> None:
    chain = NODE.chain
    begins, ends = NODE.certificate.not_before, NODE.certificate.not_after
    assert ends - begins == 90 * DAY
    assert DEPUTY.issuer.certificate.not_after - begins == 365 * DAY
    for wall in (begins - 299, begins, ends, ends + 299):
        TRUST.verify_chain(chain, wall)
    assert reason(chain, begins - 301) == "not-yet-valid"
    assert reason(chain, ends + 301) == "expired"
    assert TRUST.verify_chain(chain, None).name == "node"


def test_an_issuer_that_ended_takes_its_nodes_with_it() -> None:
    late = WALL + 300 * DAY
    young = admit(FOUNDER, "young", expand(b"young"), late, ttl=500 * DAY)
    assert young.certificate.not_after == ISSUER.certificate.not_after
    assert reason(young.chain, WALL + 365 * DAY + 300) == "expired"


def test_a_wrong_clock_is_told_from_an_old_certificate() -> None:
    with pytest.raises(CertificateError, match="clocks is wrong"):
        TRUST.verify_chain(NODE.chain, WALL - 90 * DAY)


@pytest.mark.parametrize("wall", [-1e18, -1.0, 0.0, 1e18, 1e300, float("inf"), float("-inf")])
def test_absurd_clocks_are_reported_and_nothing_else(wall: float) -> None:
    assert reason(NODE.chain, wall) in ("expired", "not-yet-valid")


def test_chains_with_parts_missing_or_moved() -> None:
    leaf, issuer = NODE.chain
    assert reason([]) == "malformed"
    assert reason([leaf]) == "wrong-issuer"
    assert reason([issuer, leaf]) == "wrong-issuer"
    assert reason([leaf, leaf, issuer]) == "wrong-issuer"
    assert reason([leaf, *DEPUTY.issuer.chain]) == "wrong-issuer"
    assert reason([issuer]) == "not-a-node"
    assert reason([leaf, issuer, issuer]) == "wrong-issuer"
    assert reason(BELOW_DEPUTY.chain[:2]) == "wrong-issuer"


def test_a_node_is_no_issuer() -> None:
    leaf = forge(NODE.key, NODE.chain[0])
    assert reason([leaf, *NODE.chain]) == "wrong-issuer"
    with pytest.raises(CertificateError) as caught:
        TRUST.verify_issuer_chain(NODE.chain, WALL)
    assert caught.value.reason == "wrong-issuer"


def test_another_mesh() -> None:
    other = found("other", "founder", expand(b"other"), WALL)
    assert reason(other.chain) == "wrong-mesh"
    # Even if our own issuer signs it, as the same machine may be in both.
    assert reason(below(mesh_id=other.trust.mesh_id)) == "wrong-mesh"
    with pytest.raises(CertificateError) as caught:
        Trust.decode(other.trust.encode(), TRUST.mesh_id)
    assert caught.value.reason == "wrong-mesh"


def test_signatures_by_others() -> None:
    leaf, issuer = NODE.chain
    assert reason([resigned(leaf, key_of("mallory")), issuer]) == "bad-signature"
    assert reason([resigned(leaf, NODE.key), issuer]) == "bad-signature"
    assert reason([resigned(leaf, ROOT), issuer]) == "bad-signature"
    assert reason([leaf, resigned(issuer, ISSUER.key)]) == "bad-signature"
    assert reason(below(domain=Domain.RECORD)) == "bad-signature"


def test_a_self_made_issuer_is_not_the_roots() -> None:
    mallory = key_of("mallory")
    issuer = forge(
        mallory, None, subject=mallory.public_key, roles=("issuer", "member"), path_len=1
    )
    assert reason([forge(mallory, issuer), issuer]) == "bad-signature"


@pytest.mark.parametrize(
    "signatures",
    [
        lambda good: [(1, good)],
        lambda good: [(0, good), (1, good)],
        lambda good: [(255, good)],
    ],
)
def test_signatures_under_other_numbers(signatures) -> None:
    """One certificate has one form: nobody else can make another of it."""
    for place, expected in ((0, "malformed"), (1, "bad-signature")):
        chain = list(NODE.chain)
        envelope = open_envelope(chain[place], 4096)
        chain[place] = seal(signatures(envelope.signatures[0][1]), envelope.body)
        assert reason(chain) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"not_before": WALL - 1},
        {"not_after": WALL + 366 * DAY},
        {"path_len": 1, "roles": ("issuer", "member")},
    ],
    ids=str,
)
def test_a_child_lies_within_its_issuer(changed) -> None:
    assert reason(below(**changed)) == "not-within-issuer"


@pytest.mark.parametrize(
    "changed",
    [
        {"capabilities": EVERYTHING},
        {"capabilities": (("write", b""),)},
        {"capabilities": (("write", b"sensorsX"),)},
        {"capabilities": (("manage", b"sensors:"),)},
        {"capabilities": (("write", b"sensors:"), ("read", b"other"))},
        {"roles": ("member", "revoker")},
        {"roles": ("issuer", "member")},
        {"roles": ("relay",), "capabilities": (("relay", b"sensors:"),)},
        {"limits": (0, 0)},
        {"limits": (11, 1)},
        {"limits": (1, 0)},
        {"path_len": 0, "roles": ("issuer", "member")},
    ],
    ids=str,
)
def test_a_narrow_issuer_hands_out_nothing_wider(changed) -> None:
    deputy = key_of("narrow")
    issuer = forge(
        ISSUER.key,
        ISSUER.chain[0],
        subject=deputy.public_key,
        path_len=0,
        roles=("issuer", "member"),
        capabilities=(("write", b"sensors"),),
        limits=(10, 20),
    )
    fine = {"capabilities": (("write", b"sensors:"),), "limits": (10, 20)}
    assert TRUST.verify_chain([forge(deputy, issuer, **fine), issuer, *ISSUER.chain], WALL)
    bad = forge(deputy, issuer, **{**fine, **changed})
    assert reason([bad, issuer, *ISSUER.chain]) == "not-within-issuer"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"version": 2}, "malformed"),
        ({"roles": ("member", "emperor")}, "unknown-role"),
        ({"roles": ("relay", "member")}, "malformed"),
        ({"roles": ("member", "member")}, "malformed"),
        ({"roles": ()}, "malformed"),
        ({"roles": ("revoker",)}, "malformed"),
        ({"roles": ("member",), "path_len": 0}, "malformed"),
        ({"path_len": 2, "roles": ("issuer",)}, "malformed"),
        ({"path_len": -1, "roles": ("issuer",)}, "malformed"),
        ({"name": ""}, "malformed"),
        ({"name": "x" * 64}, "malformed"),
        ({"name": "\x1b[31mred"}, "malformed"),
        ({"name": "node\n"}, "malformed"),
        ({"name": "n\u043ede"}, "malformed"),
        ({"serial": bytes(15)}, "malformed"),
        ({"subject": bytes(31)}, "malformed"),
        ({"subject": b"\1" + bytes(31)}, "bad-key"),
        ({"subject": bytes(32)}, "bad-key"),
        ({"subject": b"\xff" * 32}, "bad-key"),
        ({"not_before": WALL, "not_after": WALL}, "malformed"),
        ({"not_before": WALL + 1, "not_after": WALL}, "malformed"),
        ({"not_before": -1}, "malformed"),
        ({"not_after": 1 << 40}, "malformed"),
        ({"not_after": (1 << 64) - 1}, "malformed"),
        ({"capabilities": (("conquer", b""),)}, "malformed"),
        ({"capabilities": (("write", b"x" * 256),)}, "malformed"),
        ({"capabilities": (("write", b"x"),) * 33}, "malformed"),
        ({"limits": (-1, 0)}, "malformed"),
        ({"limits": (0, 0, 0)}, "malformed"),
        ({"issuer": bytes(31)}, "malformed"),
        ({"issuer": bytes(32)}, "wrong-issuer"),
        ({"issuer": None}, "wrong-issuer"),
    ],
    ids=str,
)
def test_certificates_that_make_no_sense(changed, expected: str) -> None:
    assert reason(below(**changed)) == expected


def test_too_long_a_certificate() -> None:
    wide = below(capabilities=tuple(("write", bytes((65 + n,)) * 255) for n in range(32)))
    assert len(wide[0]) > 4096
    assert reason(wide) == "malformed"


def test_longer_and_unusual_encodings_of_the_same_are_refused() -> None:
    body = open_envelope(NODE.chain[0], 4096).body
    values = msgspec.msgpack.decode(body)
    assert body[0] == 0x90 + len(values)
    others = [
        b"\xdc" + len(values).to_bytes(2, "big") + body[1:],  # a longer array header
        body + b"\0",
        body[:-1],
        msgspec.msgpack.encode([*values, None]),
        msgspec.msgpack.encode(values[:-1]),
        msgspec.msgpack.encode(dict(enumerate(values))),
        msgspec.msgpack.encode([float(values[0]), *values[1:]]),
        b"\xc1",
        b"\x91" * 2000,
    ]
    for other in others:
        signature = sign(ISSUER.key, Domain.CERTIFICATE, TRUST.mesh_id, other)
        assert reason([seal([(0, signature)], other), NODE.chain[1]]) == "malformed"


@given(st.integers(0), st.integers(0, 7), st.integers(0, 1))
def test_any_flipped_bit_is_noticed(place: int, bit: int, which: int) -> None:
    chain = [bytearray(one) for one in NODE.chain]
    chain[which][place % len(chain[which])] ^= 1 << bit
    with pytest.raises(RemoteProtocolError):
        TRUST.verify_chain([bytes(one) for one in chain], WALL)


@given(st.binary(max_size=300))
@example(b"\x00")
@example(b"\xff" * 300)
@example(b"\x01" + bytes(65))
def test_decoders_are_total(data: bytes) -> None:
    for decode in (decode_certificate, decode_root, Trust.decode):
        with pytest.raises((CertificateError, BadSignature)):
            decode(data)


def test_cut_certificates() -> None:
    for size in range(len(NODE.chain[0])):
        assert reason([NODE.chain[0][:size], NODE.chain[1]]) in ("malformed", "bad-signature")


def test_a_root_record_is_its_own_witness() -> None:
    data = TRUST.root.data
    assert decode_root(data).mesh_id == TRUST.mesh_id
    body = open_envelope(data, 4096).body
    mallory = sign(key_of("mallory"), Domain.ROOT, TRUST.mesh_id, body)
    with pytest.raises(BadSignature):
        decode_root(seal([(0, mallory)], body))
    with pytest.raises(CertificateError) as caught:
        Trust.decode(msgspec.msgpack.encode([seal([(0, mallory)], body)]))
    assert caught.value.reason == "bad-signature"
    for roots in ([], [data, data], [data, b""]):
        with pytest.raises(CertificateError):
            Trust.decode(msgspec.msgpack.encode(roots))


def test_a_root_record_for_several_authorities() -> None:
    """The format has them; today's meshes begin with one."""
    keys = [key_of(f"authority {n}") for n in range(3)]
    values = msgspec.msgpack.decode(open_envelope(TRUST.root.data, 4096).body)
    values[4], values[5] = 2, [key.public_key for key in keys]
    body = msgspec.msgpack.encode(values)

    import hashlib

    mesh_id = hashlib.blake2b(body, digest_size=32).digest()
    signed = [(n, sign(key, Domain.ROOT, mesh_id, body)) for n, key in enumerate(keys)]
    assert decode_root(seal([signed[0], signed[2]], body)).threshold == 2
    for few_or_many in ([signed[0]], signed):
        with pytest.raises(CertificateError):
            decode_root(seal(few_or_many, body))
    for order in ([signed[0], signed[0]], [(3, signed[0][1]), signed[1]]):
        with pytest.raises((CertificateError, BadSignature)):
            decode_root(seal(order, body))
    values[4] = 4
    with pytest.raises(CertificateError):
        decode_root(seal(signed[:2], msgspec.msgpack.encode(values)))


def test_what_was_verified_is_remembered_within_bounds(monkeypatch) -> None:
    monkeypatch.setattr("gossipnet.identity.trust._REMEMBERED", 3)
    trust = Trust(TRUST.root)
    for number in range(6):
        node = admit(FOUNDER, f"n{number}", expand(b"%d" % number), WALL)
        trust.verify_chain(node.chain, WALL)
        assert len(trust._good) <= 3


def test_a_remembered_certificate_still_needs_its_issuer_and_its_time() -> None:
    trust = Trust(TRUST.root)
    trust.verify_chain(NODE.chain, WALL)
    for chain, wall, expected in (
        ([NODE.chain[0]], WALL, "wrong-issuer"),
        ([NODE.chain[0], *DEPUTY.issuer.chain], WALL, "wrong-issuer"),
        (NODE.chain, WALL + 91 * DAY, "expired"),
    ):
        with pytest.raises(CertificateError) as caught:
            trust.verify_chain(chain, wall)
        assert caught.value.reason == expected


def test_capabilities_of_a_certificate() -> None:
    assert NODE.certificate.writes_everything
    assert NODE.certificate.allows("write", b"anything")
    assert not NODE.certificate.allows("manage", b"anything")
    assert FOUNDER.certificate.allows("manage", b"anything")
    some = TRUST.verify_chain(below(capabilities=(("read", b""), ("write", b"a"))), WALL)
    assert not some.writes_everything
    assert some.allows("write", b"a:b")
    assert not some.allows("write", b"ab")
    assert some.allows("read", b"ab")
    assert not ISSUER.certificate.allows("read", b"a"), "an issuer's certificate is about others"
    assert not ISSUER.certificate.writes_everything
