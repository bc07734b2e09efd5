"""Where the dots of a large container are, so that a removal looks at what it removes and no more.

DEL names no members, only what it saw of each log. Looking at every member to find those is fair
once, when most of them go; a record of thousands of such removals, each of which takes little or
nothing, would cost its size times the container's. So a container that was once looked at in vain
keeps its names by log in the order of their dots from then on: a log's dots only rise, so adding is
appending, and what a removal covers is a beginning of each row.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable

from gossipnet.state.dots import LOG_SHIFT, LOW_MASK, Seen

SMALL = 256
"""Containers of so few names are looked at as a whole."""


def in_vain(before: int, after: int) -> bool:
    """Whether a look at all names of a container removed too few to pay for it."""
    return after > SMALL and 2 * after > before


class _Row:
    __slots__ = ("lows", "names", "start")

    def __init__(self) -> None:
        self.lows: array[int] = array("Q")
        self.names: list[bytes] = []
        self.start = 0


class Index:
    """Names by the dots that they hold; also by some that they hold no more.

    Args:
      held: (dot, name) of everything in the container.
    """

    __slots__ = ("_room", "_rows", "_size")

    def __init__(self, held: Iterable[tuple[int, bytes]]) -> None:
        self._rows: dict[int, _Row] = {}
        self._size = self._room = 0
        for dot, name in sorted(held):
            self.add(dot, name)
        self._room = 2 * self._size + 1024

    @property
    def crowded(self) -> bool:
        """Whether it is mostly about what is gone: drop it, it will be made anew when needed."""
        return self._size > self._room

    def add(self, dot: int, name: bytes) -> None:
        """A name has a new dot, the newest of its log."""
        row = self._rows.get(dot >> LOG_SHIFT)
        if row is None:
            row = self._rows[dot >> LOG_SHIFT] = _Row()
        elif dot & LOW_MASK < row.lows[-1]:
            self._size = self._room + 1  # what was said before was said again: begin anew
            return
        row.lows.append(dot & LOW_MASK)
        row.names.append(name)
        self._size += 1

    def covered(self, seen: Seen) -> list[bytes]:
        """Names that had dots which are covered; these dots are forgotten here."""
        rows = self._rows
        small, large = (seen, rows) if len(seen) < len(rows) else (rows, seen)
        found: dict[bytes, None] = {}
        for number in [number for number in small if number in large]:
            row = rows[number]
            upto = bisect_right(row.lows, seen[number], row.start)
            for place in range(row.start, upto):
                found[row.names[place]] = None
            self._size -= upto - row.start
            row.start = upto
            if upto == len(row.lows):
                del rows[number]
            elif 2 * upto > len(row.lows):  # moving the rest then costs no more than what went
                del row.lows[:upto], row.names[:upto]
                row.start = 0
        return list(found)
