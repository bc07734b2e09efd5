"""Lists: what their operations do, reads and local writes.

Where an element goes is said by its place (`types.places`), so that nothing has to be kept of what
was removed. Popping at two nodes at once may pop the same element twice.
"""

from collections.abc import Iterable, Sequence

from gossipnet.errors import RemoteProtocolError
from gossipnet.state.batch import Batch
from gossipnet.state.core import Apply, Core
from gossipnet.state.dots import LOW_MASK, Seen, pack, see
from gossipnet.state.errors import NoSuchKey, TooLarge, WrongType
from gossipnet.state.operations import (
    STEPS_AND_VALUES,
    ElementRef,
    ListInsert,
    ListRemove,
    ListSet,
    PathRefs,
)
from gossipnet.state.references import seen_of
from gossipnet.state.types import elements as rules
from gossipnet.state.types.elements import Element, Elements
from gossipnet.state.types.entry import LIST, Compound, compound_of
from gossipnet.state.types.places import Path, place
from gossipnet.state.writer import VALUE_MAX, Writer

_CHUNK = 1024
"""Elements in one operation when a whole list is written anew."""
_STEP = 24
"""Bytes that a step of a path may take."""


class Lists(Writer):
    """The part of the keyspace that holds lists."""

    # -- reading -------------------------------------------------------------------------------

    def list_len(self, key: bytes) -> int:
        """How many elements; 0 if there is no such key."""
        held = self._elements(key)
        return 0 if held is None else len(held.order)

    def list_slice(self, key: bytes, start: int, stop: int) -> list[bytes]:
        """Elements from ``start`` up to, not including, ``stop``; both not negative."""
        held = self._elements(key)
        if held is None:
            return []
        return rules.values_of(held.order.slice(start, stop))

    def _elements(self, key: bytes) -> Elements | None:
        entry = self.entries.get(key)
        if entry is None:
            return None
        if not isinstance(entry, Compound) or entry.kind() != "list" or entry.parts is None:
            raise WrongType
        held = entry.parts[LIST]
        assert isinstance(held, Elements)
        return held

    # -- writing -------------------------------------------------------------------------------

    def list_push(self, key: bytes, values: Sequence[bytes], *, left: bool = False) -> int:
        """Add elements at the right end, in this order, or at the left end; the new length."""
        return self.list_insert(key, 0 if left else self.list_len(key), values)

    def list_insert(self, key: bytes, rank: int, values: Sequence[bytes]) -> int:
        """Add elements, in this order, before the one that has ``rank`` now; the new length."""
        held = self._elements(key)
        if any(len(value) > VALUE_MAX for value in values):
            raise TooLarge
        size = sum(len(value) + 8 for value in values)
        batch = self._begin(key, size + _STEP)
        self._bury(batch, key)
        own = self.logs.by_number[batch.number].id
        count = 0 if held is None else len(held.order)
        before = behind = None
        if held is not None:
            before = rules.path_of(held.order[rank - 1]) if rank else None
            behind = rules.path_of(held.order[rank]) if rank < count else None
        path = place(before, behind, own, len(values))
        most = 3 * STEPS_AND_VALUES // len(path)
        if len(path) > 3 and len(values) > most:
            with self.atomic():
                for start in range(0, len(values), most):
                    self.list_insert(key, rank + start, values[start : start + most])
            return count + len(values)
        operation = ListInsert(key, self._path_refs(batch, path), list(values))
        self._do(batch, operation, len(key) + size + _STEP * len(path) // 3)
        return count + len(values)

    def list_set(self, key: bytes, rank: int, value: bytes) -> None:
        """Assign the element that has this rank, which must be there; raises `NoSuchKey`."""
        held = self._elements(key)
        if held is None:
            raise NoSuchKey
        if len(value) > VALUE_MAX:
            raise TooLarge
        element = held.order[rank]
        size = len(value) + 32 + _size(element)
        batch = self._begin(key, size)
        seen: Seen = {}
        see(seen, rules.dots_of(element))
        name = self._element_ref(batch, element)
        self._do(batch, ListSet(key, name, value, batch.seen(seen)), len(key) + size)

    def list_remove(self, key: bytes, spans: Iterable[tuple[int, int]]) -> None:
        """Remove elements.

        Args:
          key: Of a list.
          spans: Ranks that are there, from and up to, not including; ascending.
        """
        held = self._elements(key)
        if held is None:
            return
        order = held.order
        size = 0
        seen: Seen = {}
        ends: list[tuple[Element, Element | None]] = []
        for start, stop in spans:
            for element in order.slice(start, stop):
                see(seen, rules.dots_of(element))
            if start < stop:
                ends.append((order[start], order[stop - 1] if start < stop - 1 else None))
                size += _size(ends[-1][0]) + _size(ends[-1][1])
        if not ends:
            return
        batch = self._begin(key, size)
        refs = [
            (
                self._element_ref(batch, first),
                None if last is None else self._element_ref(batch, last),
            )
            for first, last in ends
        ]
        self._do(batch, ListRemove(key, refs, batch.seen(seen)), len(key) + size)

    def list_pop(self, key: bytes, count: int = 1, *, left: bool = False) -> list[bytes]:
        """Take elements from an end, the outermost first; fewer if there are fewer."""
        held = self.list_len(key)
        count = min(count, held)
        start, stop = (0, count) if left else (held - count, held)
        values = self.list_slice(key, start, stop)
        self.list_remove(key, [(start, stop)])
        return values if left else values[::-1]

    def store_list(self, key: bytes, values: Sequence[bytes]) -> None:
        """Replace whatever the key holds by a list."""
        with self.atomic():
            self._replace(key, sum(len(value) + 16 for value in values))
            for start in range(0, len(values), _CHUNK):
                self.list_push(key, values[start : start + _CHUNK])

    def _path_refs(self, batch: Batch, path: Path) -> PathRefs:
        by_id = self.logs.by_id
        return [
            (path[at], batch.ref(by_id[path[at + 1]].number, 1), path[at + 2])
            for at in range(0, len(path), 3)
        ]

    def _element_ref(self, batch: Batch, element: Element) -> ElementRef:
        birth = rules.birth_of(element)
        seq, within = (birth & LOW_MASK) >> 16, birth & 0xFFFF
        batch.ref(birth >> 56, seq)
        return self._path_refs(batch, rules.path_of(element)), seq, within


def _size(element: Element | None) -> int:
    """Bytes that it takes to name one."""
    return 0 if element is None else 8 + _STEP * len(element) // 3


# ---------------------------------------------------------------- what operations do


def _part(compound: Compound) -> Elements:
    if compound.parts is None:
        compound.parts = {}
    part = compound.parts.get(LIST)
    if part is None:
        part = compound.parts[LIST] = Elements()
    assert isinstance(part, Elements)
    return part


def _path_of(core: Core, refs: PathRefs, table: list[int]) -> Path:
    try:
        by_number = core.logs.by_number
        return tuple(
            part
            for number, ref, offset in refs
            for part in (number, by_number[table[ref]].id, offset)
        )
    except IndexError:
        raise RemoteProtocolError("bad-record", "names a log outside its table") from None


def _mark_of(core: Core, name: ElementRef, table: list[int]) -> rules.Mark:
    refs, seq, within = name
    return rules.mark(_path_of(core, refs, table), pack(table[refs[-1][1]], seq, within))


def apply_list_insert(core: Core, op: ListInsert, table: list[int], dot: int) -> str:
    """Put elements in their places."""
    compound = compound_of(core.raw(op.key))
    held = _part(compound)
    path = _path_of(core, op.path, table)
    held.insert(path, op.values, dot)
    core.settle(op.key, compound)
    if rules.path_of(held.order[-1]) == (*path[:-1], path[-1] + len(op.values) - 1):
        return "rpush"
    return "lpush" if rules.path_of(held.order[0]) == path else "linsert"


def apply_list_remove(core: Core, op: ListRemove, table: list[int], dot: int) -> str:
    """Remove what was seen of elements."""
    entry = core.raw(op.key)
    if not isinstance(entry, Compound) or LIST not in (entry.parts or {}):
        return ""
    seen = seen_of(op.seen, table, dot)
    held = _part(entry)
    first = held.order[0][:-1]
    stay: list[list[int]] = []
    reached: rules.Mark = ()
    for one, other in op.spans:
        first_mark = _mark_of(core, one, table)
        last_mark = first_mark if other is None else _mark_of(core, other, table)
        if first_mark <= reached:
            continue  # spans ascend; going over one part again and again costs and changes nothing
        reached = max(first_mark, last_mark)
        if other is None:
            stay += held.take_one(first_mark, seen, core.order_of)
        else:
            stay += held.take(first_mark, last_mark, seen, core.order_of)
    for dots in stay:
        core.note("remove", op.key, dots)
    event = "rpop" if held and held.order[0][:-1] == first else "lpop"
    core.settle(op.key, entry)
    return event


def apply_list_set(core: Core, op: ListSet, table: list[int], dot: int) -> str:
    """Assign an element; one that was removed meanwhile is there again."""
    compound = compound_of(core.raw(op.key))
    name = _mark_of(core, op.element, table)
    seen = seen_of(op.seen, table, dot)
    if _part(compound).assign(name, op.value, dot, seen, core.order_of):
        core.note("list", op.key, _part(compound).dots_of(name))
    core.settle(op.key, compound)
    return "lset"


APPLY: dict[type, Apply] = {
    ListInsert: apply_list_insert,
    ListRemove: apply_list_remove,
    ListSet: apply_list_set,
}
