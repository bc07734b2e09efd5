"""Sorted sets: members with scores; a score is a register of doubles with a counter part.

Of scores assigned concurrently the one with the latest stamp shows, increments sum up exactly, and
a removal takes what it had seen: ZREM beside ZINCRBY leaves the increment alone, ZADD beside it
gives both. A member nearly always was assigned once and never counted: then only its dot is kept
beside the score that shows. The order by score is made when it is first asked for, and kept from
then on.
"""

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

from gossipnet.state.dots import Seen, covers
from gossipnet.state.types.cells import Arithmetic, Cells
from gossipnet.state.types.doubles import ZERO, Sum, minus, of, plus, rounded
from gossipnet.state.types.index import Index, in_vain
from gossipnet.state.types.ordered import Ordered
from gossipnet.state.types.register import Order, Versions


class Score(Versions[float, Sum]):
    """One member's score."""

    __slots__ = ()

    nothing = 0.0
    arithmetic = Arithmetic(ZERO, plus, minus)

    def shown(self) -> float:
        """The score: the exact sum of everything, rounded once."""
        if self.cells is None:
            return self.value
        return rounded(plus(of(self.value), self.cells.total))


class Scores:
    """One sorted set.

    Attributes:
      shown: Score by member.
    """

    __slots__ = ("_held", "_index", "_order", "shown")

    shows = True

    def __init__(self) -> None:
        self.shown: dict[bytes, float] = {}
        self._held: dict[bytes, int | Score] = {}
        self._order: Ordered[tuple[float, bytes]] | None = None
        self._index: Index | None = None

    # -- reading -------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self.shown)

    def __len__(self) -> int:
        return len(self.shown)

    @property
    def order(self) -> Ordered[tuple[float, bytes]]:
        """(score, member), lowest first; members of one score as their bytes sort."""
        if self._order is None:
            self._order = Ordered((score, name) for name, score in self.shown.items())
        return self._order

    def dots(self) -> Iterator[int]:
        """Every dot held."""
        for held in self._held.values():
            if isinstance(held, int):
                yield held
            else:
                yield from held.dots()

    def dots_of(self, name: bytes) -> Iterable[int]:
        """Every dot of one member."""
        held = self._held.get(name)
        if held is None:
            return ()
        return (held,) if isinstance(held, int) else held.dots()

    def assigned(self) -> Iterator[tuple[bytes, dict[int, float]]]:
        """Scores that were assigned, by dot, of each member, by name."""
        for name, held in sorted(self._held.items(), key=itemgetter(0)):
            if isinstance(held, int):
                yield name, {held: self.shown[name]}
                continue
            values = dict(held.rivals or {})
            if held.dot:
                values[held.dot] = held.value
            yield name, values

    def counted(self) -> Iterator[tuple[bytes, Cells[Sum]]]:
        """Counter parts of the members that have one, by name."""
        for name, held in sorted(self._held.items(), key=itemgetter(0)):
            if not isinstance(held, int) and held.cells is not None:
                yield name, held.cells

    def bases_of(self, name: bytes) -> Iterable[int]:
        """Dots of all scores assigned to one member, first of the one that shows."""
        held = self._held.get(name)
        return held.bases() if isinstance(held, Score) else self.dots_of(name)

    # -- changing ------------------------------------------------------------------------------

    def assign(self, name: bytes, score: float, dot: int, seen: Seen, order: Order) -> bool:
        """ZADD: replace what was seen; returns whether another score was concurrent."""
        self._note(dot, name)
        held = self._held.get(name)
        if held is None or (isinstance(held, int) and covers(seen, held)):
            self._held[name] = dot
            self._show(name, score)
            return False
        full = self._full(name, held)
        contested = full.assign(dot, score, seen, order)
        self._settle(name, full)
        return contested

    def count(self, name: bytes, dot: int, by: float) -> None:
        """ZINCRBY."""
        self.count_sum(name, dot, of(by))

    def count_sum(self, name: bytes, dot: int, by: Sum) -> None:
        """The same of what a record added in all."""
        self._note(dot, name)
        full = self._full(name, self._held.get(name))
        full.count(dot, by)
        self._settle(name, full)

    def take(self, name: bytes, seen: Seen, order: Order) -> None:
        """ZREM: take away what was seen of one member."""
        held = self._held.get(name)
        if held is None or (isinstance(held, int) and not covers(seen, held)):
            return
        full = self._full(name, held)
        full.remove(seen, order)
        self._settle(name, full)

    def remove(self, seen: Seen, order: Order) -> None:
        """DEL: take away what was seen of all of them."""
        before = len(self._held)
        names = list(self._held) if self._index is None else self._index.covered(seen)
        if 8 * len(names) > before:
            self._order = None  # sorted anew if anything is left
        for name in names:
            self.take(name, seen, order)
        if self._index is None and in_vain(before, len(self._held)):
            self._index = Index((dot, name) for name in self._held for dot in self._dots(name))

    def _dots(self, name: bytes) -> Iterable[int]:
        held = self._held[name]
        return (held,) if isinstance(held, int) else held.every_dot()

    def _note(self, dot: int, name: bytes) -> None:
        if self._index is not None:
            self._index.add(dot, name)
            if self._index.crowded:
                self._index = None

    def _full(self, name: bytes, held: int | Score | None) -> Score:
        if isinstance(held, Score):
            return held
        return Score() if held is None else Score(held, self.shown[name])

    def _settle(self, name: bytes, full: Score) -> None:
        """Keep what is left of a member as shortly as it can be, and show it."""
        if not full:
            del self._held[name]
            score = self.shown.pop(name)
            if self._order is not None:
                self._order.remove((score, name))
            return
        plain = full.cells is None and full.rivals is None
        self._held[name] = full.dot if plain else full
        self._show(name, full.shown())

    def _show(self, name: bytes, score: float) -> None:
        order = self._order
        if order is not None:
            before = self.shown.get(name)
            if before is not None:
                order.remove((before, name))
            order.add((score, name))
        self.shown[name] = score

    # -- for fingerprints ----------------------------------------------------------------------

    def fingerprint(self, name: Callable[[int], str]) -> object:
        """All of it with dots by their global names, in an order that replicas share."""
        return [
            (member, _written(self._held[member], self.shown[member], name))
            for member in sorted(self._held)
        ]


def _written(held: int | Score, shown: float, name: Callable[[int], str]) -> object:
    if isinstance(held, int):
        return name(held), shown
    return (
        held.dot and name(held.dot),
        held.value,
        sorted((name(dot), value) for dot, value in (held.rivals or {}).items()),
        sorted((name(cell.dot), cell.total) for cell in held.cells or ()),
    )
