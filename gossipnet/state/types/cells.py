"""What is added to one counter, and how much of it a removal takes.

Every increment is a dot with an amount. A removal takes those that it had seen: so says the bound
that it gives for their author's log, in whole records, for a record is applied as one. Nobody but
the increment itself ever states an amount, so nobody can make replicas differ by a false one: a
counter is the sum of the increments that no removal has covered, in whatever order they came.
Amounts are kept per record, for a removal that is still on its way may name any of them; `forget`
adds up those that none can name any more.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from gossipnet.state.dots import LOG_SHIFT, LOW_MASK, PLACE_BITS, PLACE_MASK, Seen

A = TypeVar("A")  # what is counted in


@dataclass(frozen=True, slots=True)
class Arithmetic(Generic[A]):
    """Exact sums: a group, so that what was added in one order can be taken away in another."""

    zero: A
    plus: Callable[[A, A], A]
    minus: Callable[[A, A], A]


class _Older(Generic[A]):
    """What earlier records added, by (seq << 16 | place), from ``start`` on."""

    __slots__ = ("amounts", "lows", "start")

    def __init__(self) -> None:
        self.lows: array[int] = array("Q")
        self.amounts: list[A] = []
        self.start = 0


class Cell(Generic[A]):
    """The increments of one log.

    Attributes:
      dot: Of the newest one.
      total: Sum of those that are left.
      newest: How much of it the newest record added.
    """

    __slots__ = ("_older", "dot", "newest", "total")

    def __init__(self, dot: int, amount: A) -> None:
        self.dot = dot
        self.total = self.newest = amount
        self._older: _Older[A] | None = None

    def __len__(self) -> int:
        """How many records' amounts are kept."""
        return 1 + (0 if self._older is None else len(self._older.lows) - self._older.start)

    def dots(self) -> Iterator[int]:
        """The newest dot of every record whose amount is kept."""
        yield self.dot
        if self._older is not None:
            log = self.dot >> LOG_SHIFT << LOG_SHIFT
            for place in range(self._older.start, len(self._older.lows)):
                yield log | self._older.lows[place]

    def amounts(self) -> Iterator[tuple[int, A]]:
        """What each record added, with its newest dot, in order."""
        if self._older is not None:
            log = self.dot >> LOG_SHIFT << LOG_SHIFT
            for place in range(self._older.start, len(self._older.lows)):
                yield log | self._older.lows[place], self._older.amounts[place]
        yield self.dot, self.newest

    def count(self, dot: int, by: A, plus: Callable[[A, A], A]) -> None:
        """A later increment."""
        if dot >> PLACE_BITS == self.dot >> PLACE_BITS:
            self.newest = plus(self.newest, by)
        else:
            older = self._older
            if older is None:
                older = self._older = _Older()
            older.lows.append(self.dot & LOW_MASK)
            older.amounts.append(self.newest)
            self.newest = by
        self.dot = dot
        self.total = plus(self.total, by)

    def take(self, bound: int, arithmetic: Arithmetic[A]) -> A:
        """Remove what was added up to ``bound`` (seq << 16 | place); how much that was.

        Only for what does not take all: compare ``dot`` first.
        """
        older = self._older
        gone = arithmetic.zero
        if older is not None:
            upto = bisect_right(older.lows, bound | PLACE_MASK, older.start)
            for place in range(older.start, upto):
                gone = arithmetic.plus(gone, older.amounts[place])
            self._drop(older, upto)
            self.total = arithmetic.minus(self.total, gone)
        return gone

    def forget(self, stable: int, plus: Callable[[A, A], A]) -> None:
        """No removal that is yet to come has a bound below ``stable``: keep one sum up to it."""
        older = self._older
        if older is None:
            return
        last = bisect_right(older.lows, stable | PLACE_MASK, older.start) - 1
        for place in range(older.start, last):
            older.amounts[last] = plus(older.amounts[last], older.amounts[place])
        self._drop(older, max(last, older.start))

    def _drop(self, older: _Older[A], start: int) -> None:
        older.start = start
        if start == len(older.lows):
            self._older = None
        elif 2 * start > len(older.lows):  # moving the rest then costs no more than what went
            del older.lows[:start], older.amounts[:start]
            older.start = 0


class Cells(Generic[A]):
    """All increments of one counter.

    Attributes:
      total: Sum of what is left of all of them.
    """

    __slots__ = ("_by_log", "total")

    def __init__(self, zero: A) -> None:
        self._by_log: dict[int, Cell[A]] = {}
        self.total = zero

    def __bool__(self) -> bool:
        return bool(self._by_log)

    def __iter__(self) -> Iterator[Cell[A]]:
        return iter(self._by_log.values())

    def count(self, dot: int, by: A, plus: Callable[[A, A], A]) -> None:
        """An increment."""
        cell = self._by_log.get(dot >> LOG_SHIFT)
        if cell is None:
            self._by_log[dot >> LOG_SHIFT] = Cell(dot, by)
        else:
            cell.count(dot, by, plus)
        self.total = plus(self.total, by)

    def take(self, seen: Seen, arithmetic: Arithmetic[A]) -> None:
        """Remove what was seen."""
        held = self._by_log
        small, large = (seen, held) if len(seen) < len(held) else (held, seen)
        for number in [number for number in small if number in large]:
            cell, bound = held[number], seen[number]
            if cell.dot & LOW_MASK <= bound | PLACE_MASK:
                gone = cell.total
                del held[number]
            else:
                gone = cell.take(bound, arithmetic)
            self.total = arithmetic.minus(self.total, gone)
