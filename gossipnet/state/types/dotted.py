"""A sorted sequence of items with dots, from which removals take what they cover within a span.

A removal that takes little or nothing of a long span must not cost the span: thousands of them fit
into one record. So a chunk that was looked at in vain remembers its lowest dot of each log, and is
passed over by removals whose bounds lie below.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, TypeVar

from gossipnet.state.dots import LOG_SHIFT, LOW_MASK, Seen
from gossipnet.state.types.ordered import CHUNK, Ordered

T = TypeVar("T", bound=tuple[Any, ...])

_SHORT = 32
_last = itemgetter(-1)


class _Known(list[T]):
    """A chunk with a lower bound of its items' dots, by log."""

    __slots__ = ("lows",)

    lows: dict[int, int]


class Dotted(Ordered[T]):
    """Items in their order.

    Args:
      dots: The dots of an item.
      touched: Whether a removal with these bounds may change an item.
      items: To begin with.
    """

    __slots__ = ("_dots", "_knows", "_touched")

    def __init__(
        self,
        dots: Callable[[T], Iterable[int]],
        touched: Callable[[T, Seen], bool],
        items: Iterable[T] = (),
    ) -> None:
        super().__init__(items)
        self._dots = dots
        self._touched = touched
        self._knows = False

    def add(self, item: T) -> None:
        """Put in an item that is not there."""
        super().add(item)
        if self._knows:
            self.note(item)

    def replace(self, old: T, new: T) -> None:
        """Put another item in the place of one; it must sort there."""
        super().replace(old, new)
        if self._knows:
            self.note(new)

    def note(self, item: T) -> None:
        """An item that is there has a new dot."""
        chunk = self._chunks[bisect_left(self._chunks, item, key=_last)]
        if isinstance(chunk, _Known):
            _lower(chunk.lows, self._dots(item))

    def sweep(
        self,
        first: tuple[Any, ...] | None,
        beyond: tuple[Any, ...] | None,
        seen: Seen,
        keep: Callable[[T], bool],
    ) -> int:
        """Go over the items from ``first`` on, before ``beyond``, that a removal may change.

        Args:
          first: A mark, or None for the beginning.
          beyond: A mark, or None for the end.
          seen: The removal's.
          keep: Changes an item; whether it stays.

        Returns:
          How many went.
        """
        chunks = self._chunks
        at = 0 if first is None else bisect_left(chunks, first, key=_last)
        before = self._count
        while at < len(chunks):
            chunk = chunks[at]
            start = 0 if first is None else bisect_left(chunk, first)
            first = None
            stop = len(chunk)
            if beyond is not None and not chunk[-1] < beyond:
                stop = bisect_left(chunk, beyond)
            whole = stop == len(chunk)
            if start < stop:
                self._sweep_chunk(at, start, stop, seen, keep)
            if not chunks[at]:
                del chunks[at]
            elif not whole:
                break
            else:
                at += 1
        if self._count < before and at < len(chunks) and len(chunks[at]) < CHUNK // 4:
            self._join(at)
        return before - self._count

    def _sweep_chunk(
        self, at: int, start: int, stop: int, seen: Seen, keep: Callable[[T], bool]
    ) -> None:
        chunk = self._chunks[at]
        known = isinstance(chunk, _Known)
        if stop - start > _SHORT and isinstance(chunk, _Known) and not _meet(chunk.lows, seen):
            return
        touched = self._touched
        part = chunk[start:stop]
        kept = [item for item in part if not touched(item, seen) or keep(item)]
        gone = len(part) - len(kept)
        if gone:
            chunk[start:stop] = kept
            self._count -= gone
        if 2 * gone < len(part) and len(part) > _SHORT and (not known or len(part) == len(chunk)):
            learned = _Known(chunk)
            learned.lows = {}
            for item in chunk:
                _lower(learned.lows, self._dots(item))
            self._chunks[at] = learned
            self._knows = True


def _lower(lows: dict[int, int], dots: Iterable[int]) -> None:
    for dot in dots:
        number, low = dot >> LOG_SHIFT, dot & LOW_MASK
        if low < lows.get(number, low + 1):
            lows[number] = low


def _meet(lows: dict[int, int], seen: Seen) -> bool:
    """Whether any bound reaches any dot."""
    if len(seen) < len(lows):
        return any(number in lows and lows[number] <= bound for number, bound in seen.items())
    return any(low <= seen.get(number, -1) for number, low in lows.items())
