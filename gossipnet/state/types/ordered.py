"""A sorted sequence with ranks: for the members of a sorted set and the elements of a list.

Items lie in chunks of bounded length. Finding one is a binary search over chunks and within one,
adding and removing moves the rest of one chunk, and a rank adds up the lengths of the chunks before
it. Knows nothing of what it sorts; items of one sequence are all different.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=tuple[Any, ...])

CHUNK = 1024
"""Chunks are made so long and cut in two at twice that; measured best for 10^5 items."""
_last = itemgetter(-1)


class Ordered(Generic[T]):
    """Items in their order.

    A ``mark`` below is an item or the beginning of one, which sorts just before it.
    """

    __slots__ = ("_chunks", "_count")

    def __init__(self, items: Iterable[T] = ()) -> None:
        ordered = sorted(items)
        self._count = len(ordered)
        self._chunks = [ordered[at : at + CHUNK] for at in range(0, len(ordered), CHUNK)]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._chunks)

    def __reversed__(self) -> Iterator[T]:
        return chain.from_iterable(map(reversed, reversed(self._chunks)))

    def __getitem__(self, index: int) -> T:
        """By rank; negative ones count from the end."""
        if index == 0:
            return self._chunks[0][0]
        if index == -1:
            return self._chunks[-1][-1]
        at, within = self._place(index + self._count if index < 0 else index)
        return self._chunks[at][within]

    def slice(self, start: int, stop: int) -> list[T]:
        """From rank ``start`` up to, not including, ``stop``."""
        stop = min(stop, self._count)
        found: list[T] = []
        if start < stop:
            at, within = self._place(start)
            while len(found) < stop - start:
                found += self._chunks[at][within : within + stop - start - len(found)]
                at, within = at + 1, 0
        return found

    def rank(self, mark: tuple[Any, ...]) -> int:
        """How many items sort before ``mark``."""
        at = bisect_left(self._chunks, mark, key=_last)
        before = sum(map(len, self._chunks[:at]))
        return before if at == len(self._chunks) else before + bisect_left(self._chunks[at], mark)

    def at_or_after(self, mark: tuple[Any, ...]) -> T | None:
        """The first item that does not sort before ``mark``."""
        at = bisect_left(self._chunks, mark, key=_last)
        if at == len(self._chunks):
            return None
        return self._chunks[at][bisect_left(self._chunks[at], mark)]

    def add(self, item: T) -> None:
        """Put in an item that is not there."""
        self._count += 1
        chunks = self._chunks
        if not chunks:
            chunks.append([item])
            return
        at = bisect_left(chunks, item, key=_last)
        if at == len(chunks):
            at -= 1
        held = chunks[at]
        insort(held, item)
        if len(held) > 2 * CHUNK:
            # At the ends, where queues grow, a full chunk is left behind and not cut in two.
            cut = len(held) - 1 if at == len(chunks) - 1 and held[-1] is item else CHUNK
            cut = 1 if at == 0 and held[0] is item else cut
            chunks[at : at + 1] = [held[:cut], held[cut:]]

    def remove(self, item: T) -> None:
        """Take out an item that is there."""
        at = bisect_left(self._chunks, item, key=_last)
        held = self._chunks[at]
        del held[bisect_left(held, item)]
        self._count -= 1
        if not held:
            del self._chunks[at]
        elif len(held) < CHUNK // 4:
            self._join(at)

    def replace(self, old: T, new: T) -> None:
        """Put another item in the place of one; it must sort there."""
        held = self._chunks[bisect_left(self._chunks, old, key=_last)]
        held[bisect_left(held, old)] = new

    def _join(self, at: int) -> None:
        """Add a short chunk to the shorter one beside it, but for the ends."""
        if 0 < at < len(self._chunks) - 1:
            at -= len(self._chunks[at - 1]) < len(self._chunks[at + 1])
            self._chunks[at : at + 2] = [self._chunks[at] + self._chunks[at + 1]]

    def _place(self, rank: int) -> tuple[int, int]:
        """(chunk, place in it) of a rank that is there."""
        if rank < 0 or rank >= self._count:
            raise IndexError(rank)
        if 2 * rank > self._count:
            at, after = len(self._chunks), self._count
            while after > rank:
                at -= 1
                after -= len(self._chunks[at])
            return at, rank - after
        at = 0
        while rank >= len(self._chunks[at]):
            rank -= len(self._chunks[at])
            at += 1
        return at, rank
