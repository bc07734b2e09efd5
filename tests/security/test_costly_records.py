"""What one record may cost those who apply it: its own size, and what it really removes.

A record of thousands of removals from one large container must not cost the one times the other.
Work is counted in lines executed, never timed: the same record is applied to a small container and
to one eight times as large.
"""

import sys
from collections.abc import Callable, Sequence
from types import FrameType

import pytest

from gossipnet.errors import RemoteProtocolError
from gossipnet.state.operations import (
    AnyOperation,
    Delete,
    GroupCreate,
    GroupDestroy,
    HashExpire,
    HashIncrement,
    HashSet,
    ListInsert,
    ListRemove,
    Renew,
    ScoreIncrement,
    ScoreSet,
    SetAdd,
    SketchAdd,
    StreamAdd,
    StreamDelete,
    StreamTrim,
)
from gossipnet.state.replica import Status
from tests.security.test_poisoned_operations import HONEST, KEY, LIAR, WITNESS, Log, replica

SMALL, LARGE = 2_000, 16_000
EACH = 20
"""Elements in one record of whoever fills the container."""
OPERATIONS = 60

Fill = Callable[[list[int]], AnyOperation]


def name(number: int) -> bytes:
    return b"%d" % number


def element(number: int) -> tuple[list[tuple[int, int, int]], int, int]:
    """As the liar names what was pushed in the log of whoever filled the list."""
    return [(0, 1, number)], number // EACH + 2, 0


FILL: dict[str, Fill] = {
    "set": lambda part: SetAdd(KEY, list(map(name, part)), []),
    "hash": lambda part: HashSet(KEY, [(name(n), b"v") for n in part], []),
    "deadlines": lambda part: HashExpire(KEY, list(map(name, part)), 1 << 48, []),
    "zset": lambda part: ScoreSet(KEY, [(name(n), 1.0) for n in part], []),
    "list": lambda part: ListInsert(KEY, [(0, 0, part[0])], [b"v"] * len(part)),
    "stream": lambda part: StreamAdd(KEY, [(n + 1, 0, []) for n in part], part[0] == 0),
}
FILL_MANY: dict[str, Callable[[int], AnyOperation]] = {
    "field counters": lambda n: HashIncrement(KEY, name(n), 1),
    "score counters": lambda n: ScoreIncrement(KEY, name(n), 1.0),
    "marks": lambda n: GroupDestroy(KEY, name(n), []),
    "groups": lambda n: GroupCreate(KEY, name(n), (0, 0), [], [(0, 2, 0)] if n else []),
}
LAST = (1 << 40, 0)

WORK: dict[str, Callable[[int, int], AnyOperation]] = {
    # Each takes nothing, or what one record more has put in.
    "in vain": lambda _number, _size: Delete(KEY, []),
    "bit by bit": lambda number, _size: Delete(KEY, [(1, number + 2)]),
}
SPANS: dict[str, Callable[[int, int], AnyOperation]] = {
    "trim in vain": lambda _number, _size: StreamTrim(KEY, LAST, []),
    "trim bit by bit": lambda number, _size: StreamTrim(KEY, LAST, [(1, number + 2)]),
    "ids in vain": lambda number, _size: StreamDelete(KEY, [(number, 0)], []),
    "span in vain": lambda _number, size: ListRemove(KEY, [(element(0), element(size - 1))], []),
    "span bit by bit": lambda number, size: ListRemove(
        KEY, [(element(0), element(size - 1))], [(1, number + 2)]
    ),
    "upper half in vain": lambda _number, size: ListRemove(
        KEY, [(element(size // 2), element(size - 1))], [(1, 20)]
    ),
}


class Filled:
    """An honest node with a container of so many elements, and a liar that knows of it."""

    def __init__(self, kind: str, size: int) -> None:
        owner = Log(HONEST)
        self.liar = Log(LIAR)
        self.owner = owner.id
        self.node = replica(WITNESS)
        self.head = size // EACH + 1
        records = [owner.opening, self.liar.opening]
        for first in range(0, size, EACH):
            part = list(range(first, first + EACH))
            if kind in FILL:
                records.append(owner.write([FILL[kind](part)]))
            else:
                records.append(owner.write([FILL_MANY[kind](n) for n in part]))
        for data in records:
            assert self.node.ingest(data, WALL).status is Status.APPLIED

    def lines(self, operations: Sequence[AnyOperation]) -> int:
        """Lines that it takes to apply these."""
        data = self.liar.write(operations, [(self.owner, self.head)])
        count = 0

        def trace(_frame: FrameType, event: str, _arg: object) -> object:
            nonlocal count
            count += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            status = self.node.ingest(data, WALL).status
        finally:
            sys.settrace(before)
        assert status is Status.APPLIED
        return count


def costs_the_same(kind: str, work: Callable[[int, int], AnyOperation]) -> None:
    found = []
    for size in (SMALL, LARGE):
        filled = Filled(kind, size)
        # The first one may look at everything once.
        filled.lines([work(0, size)])
        found.append(filled.lines([work(number, size) for number in range(1, OPERATIONS)]))
    assert found[1] < 2 * found[0] + 2_000, found


WALL = 1_800_000_000.0


@pytest.mark.parametrize("kind", [*FILL, *FILL_MANY])
@pytest.mark.parametrize("work", WORK)
def test_removals_cost_what_they_remove(kind: str, work: str) -> None:
    costs_the_same(kind, WORK[work])


@pytest.mark.parametrize("work", SPANS)
def test_removals_within_spans_cost_what_they_remove(work: str) -> None:
    costs_the_same("stream" if work.startswith(("trim", "ids")) else "list", SPANS[work])


def test_a_generation_that_ends_costs_the_groups_that_end_with_it() -> None:
    costs_the_same("groups", lambda _number, _size: StreamAdd(KEY, [], True))


def test_one_log_s_entries_of_one_id_are_one() -> None:
    log = Log(LIAR)
    node = replica(HONEST)
    for data in (log.opening, log.write([StreamAdd(KEY, [(1, 1, [])], False) for _ in range(999)])):
        assert node.ingest(data, WALL).status is Status.APPLIED
    stream = node.keyspace.stream(KEY)
    assert stream is not None
    assert len(stream.entries) == 1


@pytest.mark.parametrize(
    "operations",
    [
        [SketchAdd(KEY, b"\0\0\1", [(0, 1, place) for place in range(17)])],
        [ListInsert(KEY, [(0, 0, 0), (0, 0, 0)], [b""] * 600)],
        [ListInsert(KEY, [(0, 0, 0)] * 256, [b""] * 5)],
        [Renew([]), Renew([])],
    ],
    ids=["generations", "deep place", "deepest place", "renewals"],
)
def test_operations_that_cost_far_more_than_their_bytes_are_refused(
    operations: list[AnyOperation],
) -> None:
    log = Log(LIAR)
    node = replica(HONEST)
    node.ingest(log.opening, WALL)
    with pytest.raises(RemoteProtocolError):
        node.ingest(log.write(operations), WALL)


def test_what_is_inserted_deep_in_a_list_goes_in_by_pieces() -> None:
    node, witness = replica(HONEST), replica(WITNESS)
    node.keyspace.list_push(KEY, [b"a", b"z"])
    for _ in range(8):
        node.keyspace.list_insert(KEY, 1, [b"m"])
    many = [b"%d" % number for number in range(3000)]
    node.keyspace.list_insert(KEY, 5, many)
    assert node.keyspace.list_slice(KEY, 5, 3005) == many
    for record in node.seal(WALL):
        assert witness.ingest(record.data, WALL).status is Status.APPLIED
    assert witness.state_digest() == node.state_digest()
