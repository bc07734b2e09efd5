"""What a member may sign to make honest nodes fail later, and what a client may do to its own node.

Each of these once took effect: a record that ended every process that applied it, operations after
which an honest node signed what no other takes, and ones that cost more the more of them there are.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from gossipnet import ids
from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.node import NodeIdentity
from gossipnet.state import record
from gossipnet.state.body import (
    Body,
    encode_body,
)
from gossipnet.state.errors import OutOfRange
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.operations import (
    AnyOperation,
    Expire,
    GroupCreate,
    GroupDestroy,
    HashSet,
    Increment,
    ListInsert,
    ListRemove,
    ListSet,
    OpenLog,
    ScoreIncrement,
    ScoreSet,
    Set,
    SetAdd,
    SketchAdd,
    StreamAdd,
)
from gossipnet.state.replica import Replica, Status
from gossipnet.state.types.places import OFFSET_MAX
from gossipnet.state.types.register import Register
from tests.state.sites import WALL, mesh

LIAR, HONEST, WITNESS = (mesh().identities[number] for number in range(3))
KEY = b"k"
MANY = 1 << 14


def replica(identity: NodeIdentity) -> Replica:
    return Replica(key=identity.key, chain=identity.chain, trust=identity.trust, epoch=1, wall=WALL)


class Log:
    """A log of whatever operations."""

    def __init__(self, identity: NodeIdentity, epoch: int = 7) -> None:
        self.identity = identity
        self.epoch = epoch
        self.id = ids.log_id(identity.public_key, epoch)
        self.prev = record.GENESIS
        self.seq = 0
        self.write([])

    def write(
        self, operations: Sequence[AnyOperation], logs: Sequence[tuple[bytes, int]] = ()
    ) -> bytes:
        one = self.identity
        first: list[AnyOperation] = []
        if self.seq == 0:
            first.append(OpenLog(one.public_key, self.epoch, list(one.chain)))
        self.seq += 1
        made = record.write(
            one.key,
            one.trust.mesh_id,
            self.id,
            self.seq,
            self.prev,
            (int(WALL * 1000) << 16) + self.seq,
            encode_body(Body(list(logs), [*first, *operations])),
        )
        self.prev = made.hash
        if self.seq == 1:
            self.opening = made.data
        return made.data


def after(*operations: AnyOperation) -> tuple[Replica, Replica]:
    """An honest node and a witness, both after one record of the liar's."""
    log = Log(LIAR)
    data = log.write(operations)
    both = replica(HONEST), replica(WITNESS)
    for one in both:
        one.ingest(log.opening, WALL)
        assert one.ingest(data, WALL).status is Status.APPLIED
    return both


def refused(*operations: AnyOperation) -> None:
    log = Log(LIAR)
    data = log.write(operations)
    reader = replica(HONEST)
    reader.ingest(log.opening, WALL)
    with pytest.raises(RemoteProtocolError):
        reader.ingest(data, WALL)
    assert reader.head(log.id) == 1


def still_understood(honest: Replica, witness: Replica) -> None:
    """What the honest node has written is taken by others, and by itself from its disk."""
    sealed = honest.seal(WALL)
    for one in sealed:
        witness.ingest(one.data, WALL)
    assert witness.head(honest.own_log) == honest.head(honest.own_log)
    assert witness.state_digest() == honest.state_digest()


# -- records that end the process that applies them ------------------------------------------------


@pytest.mark.parametrize(
    "naming",
    [
        lambda name: ListSet(KEY, name, b"x", []),
        lambda name: ListRemove(KEY, [(name, None)], []),
        lambda name: ListRemove(KEY, [(([(0, 0, -1)], 1, 1), name)], []),
    ],
)
def test_no_element_is_named_before_its_own_record_inserts_it(
    naming: Callable[[object], AnyOperation],
) -> None:
    name = ([(0, 0, 0)], 2, 1)  # what the second operation of the liar's second record inserts
    refused(naming(name), ListInsert(KEY, [(0, 0, 0)], [b"y"]))


def test_a_key_of_any_size_is_removed_in_one_small_operation() -> None:
    """Counters too: a removal says what it has seen of each log, and nothing of what is counted."""
    node = replica(HONEST)
    for number in range(40_000):
        node.keyspace.hash_increment(KEY, b"f%d" % number, 1)
    node.keyspace.expire(KEY, int(WALL * 1000) + 1000)
    node.seal(WALL)
    node.advance(WALL + 2)
    node.advance(WALL + 20)
    assert node.counters["keys_reaped"] == 1
    (removal,) = node.seal(WALL + 20)
    assert len(removal.data) < 400


# -- operations after which an honest node signs what nobody takes ---------------------------------


def test_no_element_stands_where_it_cannot_be_named() -> None:
    refused(ListInsert(KEY, [(0, 0, OFFSET_MAX)], [b"y", b"z"]))
    honest, witness = after(ListInsert(KEY, [(0, 0, OFFSET_MAX - 1)], [b"y", b"z"]))
    assert honest.keyspace.list_pop(KEY) == [b"z"]
    still_understood(honest, witness)


@pytest.mark.parametrize(
    "step",
    [
        lambda keys: keys.increment_float(KEY, Decimal("500000000000000000.3")),
        lambda keys: keys.hash_increment_float(b"h", b"f", Decimal("500000000000000000.3")),
        lambda keys: keys.increment(b"n", (1 << 59) - 1),
    ],
)
def test_a_counter_is_never_counted_beyond_what_others_read(
    step: Callable[[Keyspace], object],
) -> None:
    honest, witness = replica(HONEST), replica(WITNESS)
    honest.keyspace.set(KEY, b"-500000000000000000.3")
    honest.keyspace.hash_set(b"h", [(b"f", b"-500000000000000000.3")])
    honest.keyspace.increment(b"n", 1 - (1 << 59))
    step(honest.keyspace)
    step(honest.keyspace)
    with pytest.raises(OutOfRange):
        step(honest.keyspace)
    still_understood(honest, witness)


# -- operations that cost more the more of them there are ------------------------------------------


def test_what_one_log_assigns_replaces_what_it_assigned_before() -> None:
    many = 300
    honest, witness = after(
        *[Set(b"string", b"v", False, []) for _ in range(many)],
        *[HashSet(b"hash", [(b"f", b"v")], []) for _ in range(many)],
        *[SetAdd(b"set", [b"m"], []) for _ in range(many)],
        *[ScoreSet(b"zset", [(b"m", 1.0)], []) for _ in range(many)],
        *[Expire(b"ended", 1, []) for _ in range(many)],
        *[SketchAdd(b"sketch", b"", []) for _ in range(many)],
        ListInsert(b"list", [(0, 0, 0)], [b"v"]),
        *[ListSet(b"list", ([(0, 0, 0)], 2, 6 * many), b"v", []) for _ in range(many)],
    )
    for key in (b"string", b"hash", b"set", b"zset", b"ended", b"sketch", b"list"):
        entry = honest.keyspace.raw(key)
        assert entry is not None
        # One value; a list's element keeps the dot that inserted it beside the newest at most.
        assert len(list(entry.dots())) <= 2, key
    honest.keyspace.set(b"string", b"w")
    honest.keyspace.delete(b"sketch")
    still_understood(honest, witness)


def test_one_log_holds_one_amount_a_record_of_a_counter() -> None:
    honest, witness = after(
        *[Increment(KEY, 1) for _ in range(MANY)],
        *[ScoreIncrement(b"z", b"m", 1.0) for _ in range(100)],
    )
    held = honest.keyspace.raw(KEY)
    assert isinstance(held, Register)
    assert held.cells is not None
    assert [len(cell) for cell in held.cells] == [1]
    assert honest.keyspace.get(KEY) == b"%d" % MANY
    honest.keyspace.set(KEY, b"v")
    honest.keyspace.score_remove(b"z", [b"m"])
    still_understood(honest, witness)


def test_one_log_holds_one_generation_creation_and_mark_of_a_stream() -> None:
    honest, witness = after(
        *[StreamAdd(KEY, [], True) for _ in range(MANY)],
        *[GroupCreate(KEY, b"g", (0, 0), [], [(0, 2, MANY - 1)]) for _ in range(MANY)],
        *[GroupDestroy(KEY, b"d", []) for _ in range(1000)],
        StreamAdd(KEY, [(1, 1, [b"f", b"v"])], False),
    )
    stream = honest.keyspace.stream(KEY)
    assert stream is not None
    assert len(stream.generations) == 1
    assert len(stream.groups[b"g"].creations) == 1
    assert len(stream.groups[b"d"].destroyed) == 1
    honest.keyspace.group_ack(KEY, b"g", (1, 1))
    assert honest.keyspace.group_create(KEY, b"h", (0, 0))
    still_understood(honest, witness)


def test_a_list_s_spans_are_gone_over_once() -> None:
    """Spans that overlap or go back are left out: one honest removal says ascending ones."""
    log = Log(LIAR)
    insert = log.write([ListInsert(KEY, [(0, 0, 0)], [b"%d" % n for n in range(10)])])

    def name(offset: int) -> tuple[list[tuple[int, int, int]], int, int]:
        return [(0, 0, offset)], 2, 0

    remove = log.write(
        [
            ListRemove(
                KEY,
                [(name(4), name(6)), (name(5), name(8)), (name(0), None), (name(9), None)],
                [],
            )
        ]
    )
    reader = replica(HONEST)
    for data in (log.opening, insert, remove):
        assert reader.ingest(data, WALL).status is Status.APPLIED
    assert reader.keyspace.list_slice(KEY, 0, 10) == [b"0", b"1", b"2", b"3", b"7", b"8"]


def test_hiding_one_key_again_and_again_keeps_one_note_of_it() -> None:
    log = Log(LIAR)
    honest = replica(HONEST)
    honest.ingest(log.opening, WALL)
    for _ in range(3):
        honest.ingest(log.write([Expire(KEY, 1, []) for _ in range(2000)]), WALL)
    assert len(honest.keyspace._ended) <= 1025
