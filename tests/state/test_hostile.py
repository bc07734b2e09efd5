"""Records that no honest member writes, and records that come at the wrong time."""

import random
from collections.abc import Sequence
from math import nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sites import WALL, mesh

from gossipnet import ids
from gossipnet.errors import RemoteProtocolError, StoreError
from gossipnet.identity.founding import admit, expand
from gossipnet.identity.node import NodeIdentity
from gossipnet.state import record, waiting
from gossipnet.state.body import (
    Body,
    encode_body,
)
from gossipnet.state.errors import NotPermitted, TooLarge
from gossipnet.state.operations import (
    AnyOperation,
    Delete,
    HashDelete,
    HashIncrement,
    Increment,
    ListInsert,
    ListRemove,
    ListSet,
    OpenLog,
    ScoreIncrement,
    ScoreRemove,
    ScoreSet,
    Set,
    SetAdd,
)
from gossipnet.state.replica import AppliedRecord, Replica, Status

A, B, C = (mesh().identities[number] for number in range(3))


def replica(identity: NodeIdentity, epoch: int = 1) -> Replica:
    return Replica(
        key=identity.key,
        chain=identity.chain,
        trust=identity.trust,
        epoch=epoch,
        wall=WALL,
    )


def written(identity: NodeIdentity, count: int = 3, epoch: int = 1) -> list[AppliedRecord]:
    author = replica(identity, epoch)
    records = []
    for number in range(count):
        author.keyspace.set(b"k%d" % number, b"v")
        records += author.seal(WALL)
    return records


class Author:
    """Signs whatever it is told to, as a member that runs another program might."""

    def __init__(self, identity: NodeIdentity, epoch: int = 7) -> None:
        self.identity = identity
        self.log = ids.log_id(identity.public_key, epoch)
        self.epoch = epoch
        self.prev = record.GENESIS
        self.seq = 0
        self.stamp = int(WALL * 1000) << 16

    def write(
        self,
        operations: Sequence[AnyOperation],
        logs: Sequence[tuple[bytes, int]] = (),
        *,
        stamp: int | None = None,
        opening: bool = True,
        body: bytes | None = None,
    ) -> bytes:
        first: list[AnyOperation] = []
        if self.seq == 0 and opening:
            identity = self.identity
            first.append(OpenLog(identity.public_key, self.epoch, list(identity.chain)))
        self.seq += 1
        self.stamp = self.stamp + 1 if stamp is None else stamp
        encoded = encode_body(Body(list(logs), [*first, *operations])) if body is None else body
        made = record.write(
            self.identity.key,
            self.identity.trust.mesh_id,
            self.log,
            self.seq,
            self.prev,
            self.stamp,
            encoded,
        )
        self.prev = made.hash
        return made.data


def refuse(data: bytes, reader: Replica | None = None) -> None:
    reader = reader or replica(B)
    before = (reader.vector(), reader.state_digest())
    with pytest.raises(RemoteProtocolError):
        reader.ingest(data, WALL)
    assert (reader.vector(), reader.state_digest()) == before


def test_every_flipped_byte_is_refused_or_waits() -> None:
    first, second, _third = written(A)
    reader = replica(B)
    reader.ingest(first.data, WALL)
    state = reader.state_digest()
    rng = random.Random(5)
    for place in range(len(second.data)):
        broken = bytearray(second.data)
        broken[place] ^= rng.randrange(1, 256)
        try:
            outcome = reader.ingest(bytes(broken), WALL)
        except RemoteProtocolError:
            continue
        # A changed log id names a log that nobody knows: there is nothing to check it against.
        assert outcome.status in (Status.HELD, Status.DUPLICATE)
        assert not outcome.applied
    assert reader.state_digest() == state
    assert reader.ingest(second.data, WALL).status is Status.APPLIED


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    refuse(data)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_arbitrary_bodies_of_a_certified_author_are_refused_whole(body: bytes) -> None:
    author = Author(A)
    reader = replica(B)
    reader.ingest(author.write([Set(b"k", b"v", False, [])]), WALL)
    refuse(author.write([], body=body), reader)


@pytest.mark.parametrize(
    "operation",
    [
        Set(b"k", b"v", False, [(0, 1)]),
        Set(b"k", b"v", False, [(1, 9)]),
        Set(b"k", b"v", False, [(3, 1)]),
        SetAdd(b"k", [b"m"], [(1, 5)]),
        Increment(b"k", "1e99"),
        Increment(b"k", "nan"),
        HashIncrement(b"k", b"f", "x"),
        Delete(b"k", [(1, 9)]),
        HashDelete(b"k", [b"f"], [(1, 5)]),
        ScoreSet(b"k", [(b"m", nan)], []),
        ScoreSet(b"k", [(b"m", 1.0)], [(1, 5)]),
        ScoreIncrement(b"k", b"m", nan),
        ScoreRemove(b"k", [b"m"], [(2, 1)]),
        ListInsert(b"k", [(0, 1, 0)], [b"v"]),
        ListInsert(b"k", [(0, 5, 0), (0, 0, 0)], [b"v"]),
        ListSet(b"k", ([(0, 0, 0)], 9, 0), b"v", []),
        ListRemove(b"k", [(([(0, 1, 0)], 5, 0), None)], []),
        ListRemove(b"k", [(([(0, 0, 0)], 1, 0), ([(0, 3, 0)], 1, 0))], []),
        OpenLog(A.public_key, 7, list(A.chain)),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_impossible_operations_void_nothing_and_apply_nothing(operation: AnyOperation) -> None:
    author = Author(A)
    reader = replica(B)
    (other,) = written(C, 1)
    reader.ingest(other.data, WALL)
    reader.ingest(author.write([Set(b"first", b"v", False, [])]), WALL)
    good = Set(b"good", b"v", False, [])
    refuse(author.write([good, operation], [(other.log, 1)]), reader)


def test_a_log_under_a_foreign_id_or_without_its_opening_is_refused() -> None:
    thief = Author(A)
    thief.log = ids.log_id(B.public_key, 7)
    refuse(thief.write([]))
    refuse(Author(A).write([], opening=False))
    forger = Author(A)
    forger.identity = C
    forger.log = ids.log_id(A.public_key, 7)
    refuse(forger.write([OpenLog(A.public_key, 7, list(A.chain))], opening=False))


def test_a_certificate_of_somebody_else_does_not_open_a_log() -> None:
    author = Author(A)
    opening = OpenLog(A.public_key, 7, list(C.chain))
    refuse(author.write([opening], opening=False))


def test_a_stamp_that_goes_back_is_refused() -> None:
    author = Author(A)
    reader = replica(B)
    reader.ingest(author.write([]), WALL)
    refuse(author.write([], stamp=author.stamp), reader)


def test_a_fork_is_refused_and_counted() -> None:
    reader = replica(B)
    one, two = Author(A), Author(A)
    reader.ingest(one.write([Set(b"k", b"one", False, [])]), WALL)
    first, second = two.write([Set(b"k", b"two", False, [])]), two.write([])
    before = (reader.vector(), reader.state_digest())
    assert reader.ingest(second, WALL).status is Status.FORKED
    assert reader.ingest(first, WALL).status is Status.FORKED
    assert reader.counters["forks_seen"] == 2
    assert (reader.vector(), reader.state_digest()) == before
    refuse(first[:170] + bytes(64) + first[234:], reader)


def test_quarantine_holds_what_is_a_minute_ahead_until_it_is_due() -> None:
    reader = replica(B)
    author = Author(A)
    ahead = int((WALL + 61) * 1000) << 16
    early = author.write([Set(b"k", b"v", False, [])], stamp=ahead)
    after = author.write([Set(b"k", b"w", False, [])])
    assert reader.ingest(early, WALL).status is Status.QUARANTINED
    assert reader.ingest(early, WALL).status in (Status.DUPLICATE, Status.QUARANTINED)
    reader.ingest(after, WALL)
    assert reader.keyspace.get(b"k") is None
    assert reader.quarantined == 1
    assert reader.next_due() == pytest.approx(WALL + 1, abs=0.01)
    applied = reader.advance(WALL + 1.1)
    applied += reader.ingest(after, WALL + 2).applied
    assert [r.seq for r in applied] == [1, 2]
    assert reader.keyspace.get(b"k") == b"w"
    assert reader.quarantined == 0

    tolerated = Author(C)
    soon = tolerated.write([], stamp=int((WALL + 59) * 1000) << 16)
    assert replica(B).ingest(soon, WALL).status is Status.APPLIED


def test_one_fast_clock_does_not_drag_the_others_along() -> None:
    reader = replica(B)
    reader.ingest(Author(A).write([], stamp=int((WALL + 3600) * 1000) << 16), WALL)
    reader.keyspace.set(b"k", b"v")
    reader.seal(WALL)
    assert reader.clock.last >> 16 <= (WALL + 1) * 1000


def test_gaps_are_told_and_what_came_early_is_applied_in_order() -> None:
    first, second, third = written(A)
    reader = replica(B)
    outcome = reader.ingest(third.data, WALL)
    assert (outcome.status, outcome.missing) == (Status.HELD, [(third.log, 1, 3)])
    reader.ingest(first.data, WALL)
    outcome = reader.ingest(third.data, WALL)
    assert outcome.missing == [(third.log, 2, 2)]
    assert reader.wanted_from({third.log: 3}) == [(third.log, 2, 2)]
    assert [r.seq for r in reader.ingest(second.data, WALL).applied] == [2, 3]
    assert reader.held == 0


def test_what_an_operation_depends_on_comes_first() -> None:
    (cause,) = written(A, 1)
    middle = replica(B)
    middle.ingest(cause.data, WALL)
    middle.keyspace.delete(b"k0")
    (effect,) = middle.seal(WALL)
    reader = replica(C)
    outcome = reader.ingest(effect.data, WALL)
    assert (outcome.status, outcome.missing) == (Status.HELD, [(cause.log, 1, 1)])
    assert len(reader.ingest(cause.data, WALL).applied) == 2
    assert reader.keyspace.get(b"k0") is None


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "HELD_RECORDS", 50)
    author = Author(A)
    reader = replica(B)
    reader.ingest(author.write([]), WALL)
    author.write([])
    for _ in range(60):
        reader.ingest(author.write([]), WALL)
    assert reader.held == 50
    assert reader.counters["held_dropped"] == 10


def test_a_record_by_this_node_that_it_does_not_have_is_told() -> None:
    before = replica(A)
    before.keyspace.set(b"k", b"v")
    (lost,) = before.seal(WALL)
    restored = replica(A)
    assert restored.ingest(lost.data, WALL).status is Status.OWN_AHEAD
    restored.open_epoch(2, WALL)
    assert restored.ingest(lost.data, WALL).status is Status.APPLIED
    restored.keyspace.set(b"k", b"w")
    other = replica(B)
    for each in (lost, *restored.seal(WALL)):
        other.ingest(each.data, WALL)
    assert other.state_digest() == restored.state_digest()
    assert other.keyspace.get(b"k") == b"w"


# ---------------------------------------------------------------- who may write what


def limited(prefix: bytes) -> NodeIdentity:
    return admit(A, "limited", expand(prefix), WALL, capabilities=(("write", prefix),))


def test_keys_outside_the_certificate_are_refused_here_and_void_elsewhere() -> None:
    identity = limited(b"sensors")
    here = replica(identity)
    here.keyspace.set(b"sensors:1", b"v")
    for key in (b"sensorsx", b"other", b"sensor", b"", b"Sensors:1"):
        with pytest.raises(NotPermitted, match="write:sensors"):
            here.keyspace.set(key, b"v")
    reader = replica(B)
    for each in here.seal(WALL):
        assert reader.ingest(each.data, WALL).status is Status.APPLIED
    assert reader.keyspace.get(b"sensors:1") == b"v"

    liar = Author(identity)
    both = [Set(b"sensors:1", b"mine", False, []), Set(b"other", b"v", False, [])]
    outcome = reader.ingest(liar.write(both), WALL)
    assert outcome.status is Status.VOID
    assert len(outcome.applied) == 1, "it is passed on, so that all decide alike"
    assert reader.keyspace.get(b"other") is None
    assert reader.keyspace.get(b"sensors:1") == b"v", "one forbidden operation voids all"
    assert reader.ingest(liar.write([]), WALL).status is Status.APPLIED, "the log goes on"


def test_records_outside_the_certificate_s_time_are_void() -> None:
    brief = admit(A, "brief", expand(b"brief"), WALL, ttl=3600.0)
    author = Author(brief)
    reader = replica(B)
    late = int((WALL + 7200) * 1000) << 16
    data = author.write([Set(b"k", b"v", False, [])], stamp=late)
    assert reader.ingest(data, WALL + 7200).status is Status.VOID


# ---------------------------------------------------------------- sizes, and the own disk


def test_what_does_not_fit_into_one_record_is_refused_before_it_changes_anything() -> None:
    here = replica(A)
    keyspace = here.keyspace
    with pytest.raises(TooLarge):
        keyspace.set(b"k", bytes((1 << 20) + 1))
    keyspace.set(b"k", bytes(1 << 20))
    for start in range(0, 40_000, 1000):
        keyspace.add(b"big", [b"%040d" % (start + n) for n in range(1000)])
    with pytest.raises(TooLarge):
        keyspace.rename(b"big", b"other")
    assert keyspace.set_len(b"big") == 40_000
    assert keyspace.delete(b"big"), "deleting names no members and always fits"
    reader = replica(B)
    for each in here.seal(WALL):
        reader.ingest(each.data, WALL)
    assert reader.state_digest() == here.state_digest()
    assert reader.keyspace.get(b"k") == bytes(1 << 20)


def test_a_damaged_record_of_the_own_disk_is_told_and_never_believed() -> None:
    """The chain of hashes guards all but the older signatures, which the store's sums guard."""
    records = written(A)
    rng = random.Random(3)
    for number, each in enumerate(records):
        for _ in range(40):
            broken = bytearray(each.data)
            place = rng.randrange(len(broken))
            if number < len(records) - 1 and record.SIGNED_BYTES <= place < record.OVERHEAD:
                continue
            broken[place] ^= 1 << rng.randrange(8)
            reader = replica(A)
            stored = [bytes(broken) if at == number else r.data for at, r in enumerate(records)]
            with pytest.raises(StoreError, match="damaged"):
                load_all(reader, stored)


def load_all(reader: Replica, stored: list[bytes]) -> None:
    for data in stored:
        reader.load(data)
    reader.finish_loading(WALL)
