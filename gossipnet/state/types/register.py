"""Strings: a multi-value register with a counter part; hash fields and scores are the same.

SET replaces the values and the counter contributions that its author had seen; what it had not
seen survives. Of values written concurrently the one with the latest stamp shows (tie: the lower
log id). The counter part holds cumulative cells, one per author that counts: value = base + sum of
what no SET or DEL has taken away. So SET 2 beside INCR gives 3 and DEL beside INCR gives 1
(the add/base/del cells of ctripcorp/xredis-crdt, with the observed part subtracted exactly).
"""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from gossipnet.state.dots import Seen, covers
from gossipnet.state.types.number import Amount, add, parse_amount, subtract, written

V = TypeVar("V")  # what is assigned
A = TypeVar("A")  # what is counted in

Order = Callable[[int], tuple[int, bytes]]
"""Dot -> what decides between concurrent values: the highest (stamp, inverted log id) shows."""
CellsSeen = dict[int, Amount]
"""Dot that opened a cell -> the cell's total as it was seen."""


class Cell(Generic[A]):
    """One author's contributions since it opened the cell.

    Attributes:
      dot: Of the newest contribution.
      total: Sum of all of them.
      gone_dot: Up to here a SET or DEL has taken contributions away; 0 for none.
      gone: How much that was.
    """

    __slots__ = ("dot", "gone", "gone_dot", "total")

    def __init__(self, dot: int, total: A, gone_dot: int, gone: A) -> None:
        self.dot = dot
        self.total = total
        self.gone_dot = gone_dot
        self.gone = gone


class Versions(Generic[V, A]):
    """Values by who wrote them, and counter cells.

    Attributes:
      dot: Of the value that shows, 0 if only counted.
      value: That value.
      rivals: Concurrent values that do not show, by dot; None for none.
      cells: Counter cells by the dot that opened each; None for none.
    """

    __slots__ = ("cells", "dot", "rivals", "value")

    nothing: V
    """The value where there is none."""
    zero: A

    def __init__(self, dot: int = 0, value: V | None = None) -> None:
        self.dot = dot
        self.value: V = self.nothing if value is None else value
        self.rivals: dict[int, V] | None = None
        self.cells: dict[int, Cell[A]] | None = None

    # -- reading -------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return self.dot != 0 or self.cells is not None

    def bases(self) -> Iterator[int]:
        """Dots of all values."""
        if self.dot:
            yield self.dot
        if self.rivals:
            yield from self.rivals

    def dots(self) -> Iterator[int]:
        """Every dot held."""
        yield from self.bases()
        if self.cells:
            for cell in self.cells.values():
                yield cell.dot

    # -- changing ------------------------------------------------------------------------------

    def assign(self, dot: int, value: V, seen: Seen, cells: dict[int, A], order: Order) -> bool:
        """SET: replace what was seen; returns whether another value was concurrent."""
        if self.cells is not None:
            self._take_cells(seen, cells)
        if self.rivals is None and (self.dot == 0 or covers(seen, self.dot)):
            self.dot, self.value = dot, value
            return False
        values = self._values()
        for held in [held for held in values if covers(seen, held)]:
            del values[held]
        values[dot] = value
        self._choose(values, order)
        return self.rivals is not None

    def count(self, dot: int, cell: int, previous: int, before: A, total: A) -> None:
        """INCR: move one author's cell on. ``cell`` equals ``dot`` when it is opened."""
        if self.cells is None:
            self.cells = {}
        held = self.cells.get(cell)
        if held is not None:
            held.dot, held.total = dot, total
            return
        # Who opens a cell has none: a SET or DEL that comes later here has taken its last one away.
        # So there is never more than one a log, whatever its author claims.
        for older in [older for older in self.cells if older >> 56 == dot >> 56]:
            del self.cells[older]
        if cell == dot:
            self.cells[cell] = Cell(dot, total, 0, self.zero)
        else:
            # A SET or DEL that had seen all of it took the cell away: only what is new counts.
            self.cells[cell] = Cell(dot, total, previous, before)

    def remove(self, seen: Seen, cells: dict[int, A], order: Order) -> None:
        """DEL: take away what was seen; falsy afterwards if nothing is left."""
        if self.cells is not None:
            self._take_cells(seen, cells)
        if self.dot == 0:
            return
        values = self._values()
        for held in [held for held in values if covers(seen, held)]:
            del values[held]
        self._choose(values, order)

    def own_cell(self, number: int) -> tuple[int, Cell[A]] | None:
        """The open cell of the log with this number."""
        for opened, cell in (self.cells or {}).items():
            if opened >> 56 == number:
                return opened, cell
        return None

    def _values(self) -> dict[int, V]:
        values = dict(self.rivals) if self.rivals else {}
        if self.dot:
            values[self.dot] = self.value
        return values

    def _choose(self, values: dict[int, V], order: Order) -> None:
        if not values:
            self.dot, self.value, self.rivals = 0, self.nothing, None
            return
        self.dot = max(values, key=order)
        self.value = values.pop(self.dot)
        self.rivals = values or None

    def _take_cells(self, seen: Seen, cells: dict[int, A]) -> None:
        held = self.cells
        assert held is not None
        for opened in list(held):
            cell = held[opened]
            if opened not in cells:
                # Not seen, whatever the bound says: a void record had taken it away there. Without
                # an amount its outcome would depend on whether more was counted here before.
                continue
            if covers(seen, cell.dot):
                del held[opened]
            elif covers(seen, opened):
                upto = (opened >> 56 << 56) | seen[opened >> 56]
                if upto > cell.gone_dot:
                    cell.gone_dot, cell.gone = upto, cells[opened]
        if not held:
            self.cells = None


class Register(Versions[bytes, Amount]):
    """One string."""

    __slots__ = ()

    nothing = b""
    zero = 0

    def text(self) -> bytes:
        """What GET shows."""
        if self.cells is None:
            return self.value
        amount = self.amount()
        return self.value if amount is None else written(amount)

    def amount(self) -> Amount | None:
        """The value as a number; None if it is text, whose counter part then sleeps."""
        total: Amount | None = 0 if self.dot == 0 else parse_amount(self.value)
        if total is None or self.cells is None:
            return total
        for cell in self.cells.values():
            total = add(total, subtract(cell.total, cell.gone))
        return total
