"""A key of any size, by however many authors, goes in one small record: DEL, expiry, SET."""

from collections.abc import Callable

import pytest
from liars import Log
from sites import WALL, mesh

from gossipnet.state.keyspace import Keyspace
from gossipnet.state.operations import SetAdd
from gossipnet.state.replica import Replica, Status

KEY = b"k"
LOGS, MEMBERS = 200, 1000


def reader(number: int) -> Replica:
    one = mesh().identities[number]
    return Replica(key=one.key, chain=one.chain, trust=one.trust, epoch=1, wall=WALL)


@pytest.mark.parametrize(
    "remove",
    [
        lambda keyspace: keyspace.delete(KEY),
        lambda keyspace: keyspace.set(KEY, b"v"),
        lambda keyspace: keyspace.expire(KEY, int(WALL * 1000) + 1000),
    ],
    ids=["DEL", "SET", "EXPIRE"],
)
def test_two_hundred_thousand_members_by_two_hundred_logs_go_in_one_small_record(
    remove: Callable[[Keyspace], object],
) -> None:
    here, there = reader(3), reader(2)
    for number in range(LOGS):
        log = Log(mesh().identities[number % 2], 100 + number)
        names = [b"%d:%d" % (number, member) for member in range(MEMBERS)]
        for data in (log.records[0], log.write([SetAdd(KEY, names, [])])):
            for replica in (here, there):
                assert replica.ingest(data, WALL).status is Status.APPLIED
    assert here.keyspace.set_len(KEY) == LOGS * MEMBERS
    remove(here.keyspace)
    records = here.seal(WALL)
    here.advance(WALL + 2)  # what ends is hidden,
    here.advance(WALL + 20)  # and removed a little later
    records += here.seal(WALL + 20)
    there.touch(WALL + 20)
    for record in records:
        assert len(record.data) < 40 * LOGS + 1000
        assert there.ingest(record.data, WALL + 20).status is Status.APPLIED
    for replica in (here, there):
        assert replica.keyspace.type_of(KEY) in (None, "string")
        assert KEY not in replica.keyspace.hidden
    assert here.state_digest() == there.state_digest()
