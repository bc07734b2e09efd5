"""Lists: elements in the order of their places, each with the dots that keep it.

Pushing and inserting adds elements under a dot; LSET assigns one anew; removing takes the dots
that were seen, within spans of places, and so takes no element that was not seen. What has no dot
left is gone without a trace. LSET beside a removal keeps the element, for its dot was not seen.

An element is one flat tuple: its path, the dot that inserted it, its content. The dot is moved far
below all numbers, so that an element sorts before the elements whose paths begin with its own.
"""

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from gossipnet.state.dots import Seen, covers
from gossipnet.state.types.dotted import Dotted
from gossipnet.state.types.places import Path
from gossipnet.state.types.register import Order, Register

Element = tuple[Any, ...]
"""``(*path, dot - _FAR, content)``; the content is a `Register` once there was an LSET."""
Mark = tuple[Any, ...]
"""``(*path, dot - _FAR)``: an element's name, which sorts just before it."""

_FAR = 1 << 80
_PLAIN = frozenset({bytes})
_content = itemgetter(-1)


def mark(path: Path, dot: int) -> Mark:
    """The name of the element that ``dot`` inserted at ``path``."""
    return (*path, dot - _FAR)


def mark_of(element: Element) -> Mark:
    """The name of an element."""
    return element[:-1]


def path_of(element: Element) -> Path:
    """Its place."""
    return element[:-2]


def birth_of(element: Element) -> int:
    """The dot that inserted it."""
    return int(element[-2]) + _FAR


def values_of(elements: Sequence[Element]) -> list[bytes]:
    """What they show."""
    contents = list(map(_content, elements))
    if _PLAIN.issuperset(map(type, contents)):
        return contents
    return [content if type(content) is bytes else content.value for content in contents]


def dots_of(element: Element) -> Iterator[int]:
    """The dots that keep it."""
    content = element[-1]
    if isinstance(content, Register):
        yield from content.bases()
    else:
        yield birth_of(element)


class Elements:
    """One list.

    Attributes:
      order: Its elements.
    """

    __slots__ = ("order",)

    shows = True

    def __init__(self) -> None:
        self.order: Dotted[Element] = Dotted(dots_of, _touched)

    def __bool__(self) -> bool:
        return len(self.order) > 0

    def dots(self) -> Iterator[int]:
        """Every dot held."""
        for element in self.order:
            yield from dots_of(element)

    # -- changing ------------------------------------------------------------------------------

    def insert(self, path: Path, values: Sequence[bytes], dot: int) -> None:
        """Put elements at ``path`` and the offsets behind it."""
        *begin, offset = path
        add = self.order.add
        for value in values:
            add((*begin, offset, dot - _FAR, value))
            offset += 1

    def assign(self, name: Mark, value: bytes, dot: int, seen: Seen, order: Order) -> bool:
        """LSET: replace what was seen of an element, or bring it back.

        Returns:
          Whether another value was concurrent.
        """
        element = self._find(name)
        if element is None:
            self.order.add((*name, Register(dot, value)))
            return False
        register = element[-1]
        if not isinstance(register, Register):
            before, register = element, Register(birth_of(element), register)
            element = (*name, register)
            self.order.replace(before, element)
        crowded = register.assign(dot, value, seen, order)
        self.order.note(element)
        return crowded

    def take(self, first: Mark, last: Mark, seen: Seen, order: Order) -> "list[list[int]]":
        """Take away what was seen of the elements from ``first`` to ``last``.

        Returns:
          The dots of those that stay because they were assigned anew meanwhile.
        """
        stay: list[list[int]] = []

        def keep(element: Element) -> bool:
            kept = _kept(element, seen, order)
            if kept and isinstance(element[-1], Register):
                stay.append(list(dots_of(element)))
            return kept

        self.order.sweep(first, (*last[:-1], last[-1] + 1), seen, keep)
        return stay

    def take_one(self, name: Mark, seen: Seen, order: Order) -> "list[list[int]]":
        """The same for a single one."""
        element = self._find(name)
        if element is None:
            return []
        if _kept(element, seen, order):
            return [list(dots_of(element))]
        self.order.remove(element)
        return []

    def dots_of(self, name: Mark) -> list[int]:
        """The dots that keep an element, first the one that shows; none if it is not there."""
        element = self._find(name)
        return [] if element is None else list(dots_of(element))

    def remove(self, seen: Seen, order: Order) -> None:
        """DEL: take away what was seen of all of them."""
        self.order.sweep(None, None, seen, lambda element: _kept(element, seen, order))

    def _find(self, name: Mark) -> Element | None:
        found = self.order.at_or_after(name)
        return found if found is not None and found[:-1] == name else None

    # -- for fingerprints ----------------------------------------------------------------------

    def fingerprint(self, name: Callable[[int], str]) -> object:
        """All of it with dots by their global names, in an order that replicas share."""
        return [
            (path_of(element), name(birth_of(element)), _written(element, name))
            for element in self.order
        ]


def _touched(element: Element, seen: Seen) -> bool:
    return isinstance(element[-1], Register) or covers(seen, birth_of(element))


def _kept(element: Element, seen: Seen, order: Order) -> bool:
    """Take what was seen of an element; whether any of it is left."""
    content = element[-1]
    if isinstance(content, Register):
        content.remove(seen, order)
        return bool(content)
    return not covers(seen, birth_of(element))


def _written(element: Element, name: Callable[[int], str]) -> object:
    content = element[-1]
    if not isinstance(content, Register):
        return content
    rivals = sorted((name(dot), value) for dot, value in (content.rivals or {}).items())
    return name(content.dot), content.value, rivals
