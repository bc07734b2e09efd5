"""Versions of the root: who must sign, which row counts, and what certificates it stands by."""

import itertools

import pytest
from chains import WALL

from gossipnet.errors import CertificateError, IdentityError, RemoteProtocolError
from gossipnet.identity.founding import admit, expand, found_with_roots
from gossipnet.identity.issuer import Issuer, issue_by_root
from gossipnet.identity.proposal import Proposal, propose
from gossipnet.identity.revocation import make_revocation
from gossipnet.identity.revocations import NEVER, Revocations
from gossipnet.identity.root import decode_root
from gossipnet.identity.rootkeys import read_recovery, recovery_text
from gossipnet.identity.roots import Roots
from gossipnet.identity.signing import SecretKey
from gossipnet.identity.trust import Trust
from gossipnet.ids import LogId

_entropy = expand(b"roots")


def key() -> SecretKey:
    return SecretKey.generate(_entropy)


RECOVERY = key()
FOUNDER, OLD = found_with_roots(
    "test", "founder", _entropy, WALL, threshold=2, authorities=3, recovery=RECOVERY.public_key
)
FIRST = FOUNDER.trust.root
ISSUER = FOUNDER.trust.steps(FOUNDER.chain)[-1][0]
KEPT = frozenset({ISSUER})
LONE, (LONE_KEY,) = found_with_roots(
    "lone", "founder", _entropy, WALL, recovery=RECOVERY.public_key
)


def trust_of(*later: bytes, first: bytes = FIRST.data) -> Trust:
    trust = Trust(decode_root(first))
    for data in later:
        assert trust.adopt(data) is not None
    return trust


def step(trust: Trust, new: list[SecretKey], signers: list[SecretKey], **more) -> bytes:
    """A next version with these authorities, signed by them and by the others given."""
    settings = {
        "created": WALL,
        "threshold": len(new),
        "authorities": [one.public_key for one in new],
        "recovery": trust.root.recovery,
        "issuers": KEPT,
        **more,
    }
    proposal = propose(trust, **settings)
    proposal.sign([*new, *signers])
    return proposal.finish(trust)


# -- who must sign ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", list(itertools.combinations(OLD, 2)))
def test_any_two_of_three_authorities_can_hand_over(pair: tuple[SecretKey, ...]) -> None:
    new = [key()]
    trust = trust_of(step(trust_of(), new, list(pair)))
    assert trust.root_version == 2
    assert trust.root.by_rule
    assert trust.mesh_id == FIRST.hash
    assert Trust.decode(trust.encode(), FIRST.hash).root == trust.root


def test_one_of_them_cannot() -> None:
    with pytest.raises(IdentityError, match=r"1 more of the present authority keys, or the rec"):
        step(trust_of(), [key()], [OLD[0]])


def test_the_new_keys_must_sign_too() -> None:
    proposal = propose(
        trust_of(),
        created=WALL,
        threshold=2,
        authorities=[key().public_key, key().public_key],
        recovery=FIRST.recovery,
        issuers=KEPT,
    )
    proposal.sign(OLD)
    assert proposal.missing() == ["2 more of the new authority keys"]


def test_the_recovery_key_alone_will_do() -> None:
    trust = trust_of(step(trust_of(), [key()], [RECOVERY]))
    assert trust.root_version == 2
    assert not trust.root.by_rule


def test_only_the_recovery_key_itself_lets_it_be_replaced() -> None:
    new_recovery = key().public_key
    with pytest.raises(IdentityError, match="it is to be replaced"):
        step(trust_of(), [key()], list(OLD), recovery=new_recovery)
    with pytest.raises(IdentityError, match="it is to be replaced"):
        step(trust_of(), [key()], list(OLD), recovery=None)
    trust = trust_of(step(trust_of(), [key()], [RECOVERY, *OLD], recovery=new_recovery))
    assert trust.root.recovery == new_recovery


def test_authorities_that_stay_need_sign_once() -> None:
    trust = trust_of(step(trust_of(), list(OLD[:2]), []))
    assert trust.root.threshold == 2


def test_every_changed_byte_is_noticed() -> None:
    good = step(trust_of(), [key()], list(OLD))
    trust = trust_of()
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1
        try:
            adopted = trust.adopt(bytes(bad))
        except RemoteProtocolError:
            continue
        assert adopted is None  # it names another version before it
    assert trust.root_version == 1


def test_what_does_not_follow_is_not_taken() -> None:
    trust = trust_of()
    second = step(trust, [key()], list(OLD))
    ahead = trust_of(second)
    third = step(ahead, [key()], [RECOVERY])
    assert trust.adopt(third) is None
    assert trust.adopt(second) is not None
    assert trust.adopt(third) is not None
    assert trust.root_version == 3
    with pytest.raises(CertificateError):
        Trust.decode(ahead.encode(), LONE.trust.mesh_id)


# -- which row counts ------------------------------------------------------------------------------


def adopted(rows: list[bytes], first: bytes) -> set[bytes]:
    """The newest version after all orders of learning."""
    found = set()
    for order in itertools.permutations(rows):
        roots = Roots(decode_root(first))
        left = list(order)
        while left:
            left = [data for data in left if roots.add(data) is None]
        found.add(roots.newest.hash)
    return found


def test_a_thief_of_an_authority_key_loses_to_the_recovery_key() -> None:
    first = LONE.trust.root.data
    stolen = step(trust_of(first=first), [key()], [LONE_KEY])
    later = step(trust_of(stolen, first=first), [key()], [RECOVERY])
    beside = step(trust_of(first=first), [key()], [RECOVERY])
    (winner,) = adopted([stolen, beside], first)
    assert winner == decode_root(beside, LONE.trust.root).hash
    # On top of what the thief made, and against whatever he makes beside it afterwards.
    again = step(trust_of(first=first), [key()], [LONE_KEY])
    (winner,) = adopted([stolen, later, again], first)
    assert winner == trust_of(stolen, later, first=first).root.hash


def test_a_thief_of_a_replaced_recovery_key_gains_nothing() -> None:
    second_keys = [key()]
    second = step(trust_of(), second_keys, list(OLD))
    replaced = step(trust_of(second), [key()], [*second_keys, RECOVERY], recovery=key().public_key)
    thief = [key()]
    stolen = step(trust_of(), thief, [RECOVERY])
    stolen_more = step(trust_of(stolen), thief, [RECOVERY], recovery=key().public_key)
    (winner,) = adopted([second, replaced, stolen, stolen_more], FIRST.data)
    assert winner == trust_of(second, replaced).root.hash


def test_two_rotations_at_once_end_in_one() -> None:
    one, two = (step(trust_of(), [key()], list(OLD)) for _ in range(2))
    assert len(adopted([one, two], FIRST.data)) == 1


# -- certificates under it -------------------------------------------------------------------------


def test_issuers_that_the_newest_root_lists_hold_and_others_are_withdrawn() -> None:
    other_key = key()
    other_chain = issue_by_root(
        OLD, trust_of(), other_key.public_key, "other", wall=WALL, entropy=_entropy
    )
    member = admit(FOUNDER, "member", _entropy, WALL)
    trust = trust_of()
    other = Issuer(other_key, other_chain, trust)
    stranger = other.issue(key().public_key, "stranger", wall=WALL, entropy=_entropy)
    assert trust.verify_chain(stranger, WALL)
    new = [key(), key()]
    trust.adopt(step(trust, new, list(OLD)))
    assert trust.verify_chain(member.chain, WALL).name == "member"
    with pytest.raises(CertificateError, match="does not stand by") as caught:
        trust.verify_chain(stranger, WALL)
    assert caught.value.reason == "withdrawn"
    assert trust.verify_past_chain(stranger).name == "stranger"
    fresh = issue_by_root(new, trust, key().public_key, "fresh", wall=WALL, entropy=_entropy)
    assert trust.verify_issuer_chain(fresh, WALL)
    with pytest.raises(IdentityError):
        issue_by_root(OLD, trust, key().public_key, "late", wall=WALL, entropy=_entropy)
    known = Revocations(trust)
    assert known.strikes(member.node_id, stranger)
    assert not known.strikes(member.node_id, member.chain)
    log = LogId(bytes(16))
    assert known.void_from(log, member.node_id, dict.fromkeys(trust.steps(stranger), 4)) == 4
    assert (
        known.void_from(log, member.node_id, dict.fromkeys(trust.steps(member.chain), 4)) == NEVER
    )


def test_a_root_can_take_revocations_back() -> None:
    member = admit(FOUNDER, "member", _entropy, WALL)
    trust = trust_of()
    known = Revocations(trust)
    statement = make_revocation(
        FOUNDER.key,
        FOUNDER.chain,
        trust,
        node=member.node_id,
        name="member",
        reason="",
        wall=WALL,
        seen=(),
    )
    known.add(statement)
    assert known.strikes(member.node_id, member.chain)
    trust.adopt(step(trust, list(OLD[:2]), [], voids=frozenset({statement.id})))
    assert not known.strikes(member.node_id, member.chain)
    trust.adopt(step(trust, list(OLD[:2]), []))
    assert known.strikes(member.node_id, member.chain)
    trust.adopt(step(trust, list(OLD[:2]), [], voids=frozenset({FOUNDER.node_id})))
    assert not known.strikes(member.node_id, member.chain)


# -- on paper --------------------------------------------------------------------------------------


def test_a_proposal_goes_from_hand_to_hand() -> None:
    trust = trust_of()
    new = [key(), key()]
    proposal = propose(
        trust,
        created=WALL,
        threshold=2,
        authorities=[one.public_key for one in new],
        recovery=FIRST.recovery,
        issuers=KEPT,
    )
    for holder in (new[0], OLD[2], new[1], OLD[0]):
        proposal = Proposal.decode(proposal.encode(), trust_of())
        assert proposal.missing()
        assert proposal.sign([holder]) == 1
        assert proposal.sign([holder, key()]) == 0
    assert not proposal.missing()
    assert trust_of(proposal.finish(trust)).root_version == 2


def test_what_is_no_proposal_is_told() -> None:
    trust = trust_of()
    proposal = propose(
        trust,
        created=WALL,
        threshold=1,
        authorities=[key().public_key],
        recovery=FIRST.recovery,
        issuers=KEPT,
    )
    text = proposal.encode()
    for bad in (
        "",
        "hello",
        text[:-20],
        text.replace("version 1", "version 9"),
        text + "x" * 70000,
    ):
        with pytest.raises(IdentityError):
            Proposal.decode(bad, trust)
    with pytest.raises(IdentityError, match="does not follow"):
        Proposal.decode(text, LONE.trust)
    proposal.signatures[0] = bytes(64)
    with pytest.raises(IdentityError, match="not good"):
        Proposal.decode(proposal.encode(), trust)
    proposal.signatures = {99: bytes(64)}
    with pytest.raises(IdentityError, match="no say"):
        Proposal.decode(proposal.encode(), trust)
    for wrong in ({"threshold": 2}, {"authorities": []}, {"threshold": 0}):
        settings = {
            "created": WALL,
            "threshold": 1,
            "authorities": [key().public_key],
            "recovery": FIRST.recovery,
            "issuers": KEPT,
            **wrong,
        }
        with pytest.raises(IdentityError):
            propose(trust, **settings)


def test_the_recovery_key_survives_paper() -> None:
    text = recovery_text(RECOVERY)
    assert read_recovery(text).public_key == RECOVERY.public_key
    assert read_recovery(f" {text.upper()}\n").seed() == RECOVERY.seed()
    for place in range(5, len(text)):
        if text[place] == "-":
            continue
        wrong = text[:place] + ("a" if text[place] != "a" else "b") + text[place + 1 :]
        with pytest.raises(IdentityError):
            read_recovery(wrong)
    for bad in ("", "gnr1", "gn1abc", text[:-7]):
        with pytest.raises(IdentityError):
            read_recovery(bad)
