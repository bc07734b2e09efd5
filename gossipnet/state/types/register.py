"""Strings: a multi-value register with a counter part; hash fields and scores are the same.

SET replaces the values and the increments that its author had seen; what it had not seen survives.
Of values written concurrently the one with the latest stamp shows (tie: the lower log id). The
counter part (`cells`) holds what each log has added: value = base + what no SET or DEL has taken
away. So SET 2 beside INCR gives 3 and DEL beside INCR gives 1 (the add/base/del cells of
ctripcorp/xredis-crdt, with the observed part subtracted exactly).
"""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from gossipnet.state.dots import Seen, covers
from gossipnet.state.types.cells import Arithmetic, Cells
from gossipnet.state.types.number import Amount, add, parse_amount, subtract, written

V = TypeVar("V")  # what is assigned
A = TypeVar("A")  # what is counted in

Order = Callable[[int], tuple[int, bytes]]
"""Dot -> what decides between concurrent values: the highest (stamp, inverted log id) shows."""


class Versions(Generic[V, A]):
    """Values by who wrote them, and counter cells.

    Attributes:
      dot: Of the value that shows, 0 if only counted.
      value: That value.
      rivals: Concurrent values that do not show, by dot; None for none.
      cells: The counter part; None for none.
    """

    __slots__ = ("cells", "dot", "rivals", "value")

    nothing: V
    """The value where there is none."""
    arithmetic: Arithmetic[A]

    def __init__(self, dot: int = 0, value: V | None = None) -> None:
        self.dot = dot
        self.value: V = self.nothing if value is None else value
        self.rivals: dict[int, V] | None = None
        self.cells: Cells[A] | None = None

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
            for cell in self.cells:
                yield cell.dot

    def every_dot(self) -> Iterator[int]:
        """Of older increments too, as far as they are kept apart."""
        yield from self.bases()
        for cell in self.cells or ():
            yield from cell.dots()

    # -- changing ------------------------------------------------------------------------------

    def assign(self, dot: int, value: V, seen: Seen, order: Order) -> bool:
        """SET: replace what was seen; returns whether another value was concurrent."""
        if self.cells is not None:
            self._take_cells(seen)
        if self.rivals is None and (self.dot == 0 or covers(seen, self.dot)):
            self.dot, self.value = dot, value
            return False
        values = self._values()
        for held in [held for held in values if covers(seen, held)]:
            del values[held]
        values[dot] = value
        self._choose(values, order)
        return self.rivals is not None

    def count(self, dot: int, by: A) -> None:
        """INCR."""
        if self.cells is None:
            self.cells = Cells(self.arithmetic.zero)
        self.cells.count(dot, by, self.arithmetic.plus)

    def remove(self, seen: Seen, order: Order) -> None:
        """DEL: take away what was seen; falsy afterwards if nothing is left."""
        if self.cells is not None:
            self._take_cells(seen)
        if self.dot == 0:
            return
        values = self._values()
        for held in [held for held in values if covers(seen, held)]:
            del values[held]
        self._choose(values, order)

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

    def _take_cells(self, seen: Seen) -> None:
        assert self.cells is not None
        self.cells.take(seen, self.arithmetic)
        if not self.cells:
            self.cells = None


class Register(Versions[bytes, Amount]):
    """One string."""

    __slots__ = ()

    nothing = b""
    arithmetic: Arithmetic[Amount] = Arithmetic(0, add, subtract)

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
        return add(total, self.cells.total)
