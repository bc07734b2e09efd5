"""The keyspace on one node: what local commands read and write."""

import random
from decimal import Decimal

import pytest
from sites import WALL, mesh

from gossipnet.state.errors import (
    NoSuchKey,
    NotAFloat,
    NotAnInteger,
    OutOfRange,
    WritesRefused,
    WrongType,
)
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.replica import Replica
from gossipnet.state.types.number import LIMIT


@pytest.fixture
def replica() -> Replica:
    identity = mesh().identities[0]
    return Replica(key=identity.key, chain=identity.chain, trust=identity.trust, epoch=1, wall=WALL)


@pytest.fixture
def keys(replica: Replica) -> Keyspace:
    return replica.keyspace


def test_counters_stay_within_59_bits(keys: Keyspace) -> None:
    keys.set(b"k", b"%d" % (LIMIT - 2))
    assert keys.increment(b"k", 1) == LIMIT - 1
    with pytest.raises(OutOfRange):
        keys.increment(b"k", 1)
    assert keys.get(b"k") == b"%d" % (LIMIT - 1)


@pytest.mark.parametrize("text", [b"007", b" 1", b"1 ", b"+1", b"-0", b"1.0", b"", b"x"])
def test_what_redis_takes_for_no_integer_is_none(keys: Keyspace, text: bytes) -> None:
    keys.set(b"k", text)
    with pytest.raises(NotAnInteger):
        keys.increment(b"k", 1)


@pytest.mark.parametrize(
    ("start", "by", "shown"),
    [
        (b"10.50", "0.1", b"10.6"),
        (b"5.0e3", "2.0e2", b"5200"),
        (b"3", "-0.5", b"2.5"),
        (b"0.1", "0.2", b"0.3"),
        (b"1", "-1", b"0"),
    ],
)
def test_float_increments_show_as_in_redis(
    keys: Keyspace, start: bytes, by: str, shown: bytes
) -> None:
    keys.set(b"k", start)
    assert keys.increment_float(b"k", Decimal(by)) == shown
    assert keys.get(b"k") == shown


def test_float_increment_of_text_is_refused(keys: Keyspace) -> None:
    keys.set(b"k", b"abc")
    with pytest.raises(NotAFloat):
        keys.increment_float(b"k", Decimal(1))


def test_wrong_types_are_refused_and_change_nothing(keys: Keyspace) -> None:
    keys.set(b"s", b"v")
    keys.add(b"m", [b"x"])
    keys.hash_set(b"h", [(b"f", b"v")])
    for call in (
        lambda: keys.add(b"s", [b"x"]),
        lambda: keys.hash_set(b"s", [(b"f", b"v")]),
        lambda: keys.increment(b"m", 1),
        lambda: keys.get(b"h"),
        lambda: keys.members(b"h"),
        lambda: keys.hash_get(b"m", b"f"),
    ):
        with pytest.raises(WrongType):
            call()
    assert [keys.type_of(key) for key in (b"s", b"m", b"h")] == ["string", "set", "hash"]


def test_rename_of_nothing_is_refused(keys: Keyspace) -> None:
    with pytest.raises(NoSuchKey):
        keys.rename(b"nothing", b"other")


def test_refused_writes_say_why(keys: Keyspace) -> None:
    keys.refuse("CLOCKSKEW", "the clock is wrong")
    with pytest.raises(WritesRefused, match="the clock is wrong") as caught:
        keys.set(b"k", b"v")
    assert caught.value.code == "CLOCKSKEW"
    assert len(keys) == 0


def test_one_reason_that_ends_leaves_the_others(keys: Keyspace) -> None:
    keys.refuse("MISCONF", "the disk is full")
    keys.refuse("CLOCKSKEW", None)
    with pytest.raises(WritesRefused, match="the disk is full"):
        keys.set(b"k", b"v")
    keys.refuse("CLOCKSKEW", "the clock is wrong")
    keys.refuse("MISCONF", None)
    with pytest.raises(WritesRefused, match="the clock is wrong"):
        keys.set(b"k", b"v")
    keys.refuse("CLOCKSKEW", None)
    keys.set(b"k", b"v")


def test_scan_misses_no_key_that_is_there_throughout(keys: Keyspace) -> None:
    rng = random.Random(1)
    lasting = {b"stay%d" % number for number in range(500)}
    for key in lasting:
        keys.set(key, b"v")
    seen: set[bytes] = set()
    cursor, first = 0, True
    while cursor or first:
        first = False
        cursor, page = keys.scan(cursor, 7)
        seen.update(page)
        for _ in range(20):
            name = b"come and go %d" % rng.randrange(300)
            if rng.random() < 0.5:
                keys.set(name, b"v")
            else:
                keys.delete(name)
    assert lasting <= seen


def test_random_key_is_one_that_is_there(keys: Keyspace) -> None:
    rng = random.Random(2)
    assert keys.random_key(rng) is None
    for number in range(50):
        keys.set(b"%d" % number, b"v")
    for number in range(49):
        keys.delete(b"%d" % number)
    assert keys.random_key(rng) == b"49"


def test_what_is_written_together_is_one_record(replica: Replica, keys: Keyspace) -> None:
    with keys.atomic():
        for number in range(3000):
            keys.set(b"%d" % number, bytes(30))
    assert len(replica.seal(WALL)) == 1
    for number in range(3000):
        keys.set(b"%d" % number, bytes(30))
    assert len(replica.seal(WALL)) > 1


def test_deadlines_follow_the_clock_even_back(replica: Replica, keys: Keyspace) -> None:
    keys.set(b"k", b"v", deadline_ms=int(WALL * 1000) + 5000)
    replica.touch(WALL + 3600)
    assert keys.get(b"k") is None
    assert len(keys) == 0
    replica.touch(WALL + 1)
    assert keys.get(b"k") == b"v"
    assert keys.deadline_of(b"k") == int(WALL * 1000) + 5000


def test_changes_are_told_with_redis_s_names(replica: Replica, keys: Keyspace) -> None:
    told: list[tuple[bytes, str]] = []
    keys.on_change = lambda key, event, _log, _stamp: told.append((key, event))
    keys.set(b"k", b"v", deadline_ms=int(WALL * 1000) + 1000)
    keys.increment(b"n", 1)
    keys.add(b"s", [b"m"])
    keys.remove(b"s", [b"m"])
    keys.delete(b"n")
    replica.touch(WALL + 2)
    assert told == [
        (b"k", "set"),
        (b"k", "expire"),
        (b"n", "incrby"),
        (b"s", "sadd"),
        (b"s", "srem"),
        (b"n", "del"),
        (b"k", "expired"),
    ]


def test_watch_sees_changes_by_anybody_and_by_the_clock(replica: Replica, keys: Keyspace) -> None:
    keys.set(b"k", b"v", deadline_ms=int(WALL * 1000) + 1000)
    token = keys.watch(b"k")
    other = keys.watch(b"other")
    assert not keys.changed_since(b"k", token)
    replica.touch(WALL + 2)
    assert keys.changed_since(b"k", token)
    assert not keys.changed_since(b"other", other)
    keys.unwatch(b"k")
    keys.unwatch(b"other")


def test_a_refused_exec_takes_no_stamp(replica: Replica) -> None:
    """The clock is why it is refused: one stamp of it would hide what is written later."""
    replica.keyspace.set(b"before", b"1")
    replica.seal(WALL)
    before = replica.clock.last
    replica.touch(WALL + 3600)
    replica.keyspace.refuse("CLOCKSKEW", "an hour ahead")
    with pytest.raises(WritesRefused), replica.keyspace.atomic():
        replica.keyspace.set(b"meanwhile", b"1")
    replica.seal(WALL)
    assert replica.clock.last == before
