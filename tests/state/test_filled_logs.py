"""A log holds so many certificates and no more: none is overlooked when it comes to be revoked."""

import itertools

import pytest
from liars import Log
from sites import WALL

from gossipnet.identity.founding import admit, expand, found
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.revocation import make_revocation
from gossipnet.ids import LogId
from gossipnet.state import voids
from gossipnet.state.operations import Renew, Set
from gossipnet.state.replica import Replica, Status

entropy = expand(b"filled logs")
FOUNDER = found("mesh", "founder", entropy, WALL)
STOLEN = admit(FOUNDER, "stolen", entropy, WALL, roles=frozenset({"member", "issuer"}))
MEMBER = admit(FOUNDER, "member", entropy, WALL)
READER = admit(FOUNDER, "reader", entropy, WALL)


def renewed(by: NodeIdentity) -> list[bytes]:
    """A certificate more for the member's key."""
    assert by.issuer is not None
    key = MEMBER.key.public_key
    return list(by.issuer.issue(key, "member", wall=WALL, entropy=entropy))


def reader() -> Replica:
    return Replica(key=READER.key, chain=READER.chain, trust=READER.trust, epoch=1, wall=WALL)


@pytest.mark.parametrize("steps", [10, 11])
def test_no_certificate_hides_behind_others_from_its_revocation(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of whoever fills its log with certificates of one issuer, to go on with one of another."""
    monkeypatch.setattr(voids, "STEPS_MAX", steps)
    log = Log(MEMBER)
    honest = renewed(FOUNDER)
    for number in range(12):
        write = Set(b"k%d" % number, b"v", False, [])
        log.write([Renew(honest if number < 3 else renewed(FOUNDER)), write])
    stolen = log.write([Renew(renewed(STOLEN)), Set(b"k", b"stolen", False, [])])
    after = log.write([Set(b"k", b"after", False, [])])
    assert STOLEN.issuer is not None
    statement = make_revocation(
        FOUNDER.key,
        FOUNDER.chain,
        FOUNDER.trust,
        certificate=STOLEN.issuer.certificate.fingerprint,
        name="stolen",
        reason="stolen",
        wall=WALL,
        seen=(),
    )
    found = set()
    for when in range(len(log.records) + 1):
        replica = reader()
        for number, data in enumerate([*log.records, b""]):
            if number == when:
                replica.revocations.add(statement)
                if replica.revocations_changed():
                    work = replica.begin_rebuild()
                    assert not work.wanted()
                    work.finish()
            if data:
                status = replica.ingest(data, WALL).status
                if data in (stolen, after):
                    assert status is Status.VOID
        assert replica.keyspace.get(b"k") is None
        found.add((replica.state_digest(), replica.logs.by_id[LogId(log.id)].void_from))
    ((_digest, void_from),) = found
    # Two steps stand in record 1, one more in 2, none in 3 and 4, and one in each that follows.
    assert void_from == 4 + (steps - 3) + 1


def test_a_full_log_is_void_from_the_same_record_on_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(voids, "STEPS_MAX", 5)
    log = Log(MEMBER)
    for number in itertools.count():
        log.write([Renew(renewed(FOUNDER)), Set(b"k%d" % number, b"v", False, [])])
        if number == 9:
            break
    here, again = reader(), reader()
    for data in log.records:
        here.ingest(data, WALL)
        again.load(data)
    again.finish_loading(WALL)
    assert sorted(here.keyspace.keys()) == [b"k0", b"k1", b"k2"]
    assert here.state_digest() == again.state_digest()
