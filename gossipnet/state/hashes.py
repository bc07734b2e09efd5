"""Hashes: each field is a string with a counter part of its own."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from gossipnet.state.dots import Seen, see
from gossipnet.state.errors import NotAFloat, NotAnInteger, OutOfRange, TooLarge, WrongType
from gossipnet.state.operations import HashDelete, HashIncrement, HashSet
from gossipnet.state.strings import Strings, _float_step, own_cell
from gossipnet.state.types.entry import Compound
from gossipnet.state.types.number import LIMIT, Amount, add, to_wire, written
from gossipnet.state.types.register import Register
from gossipnet.state.writer import VALUE_MAX

Fields = dict[bytes, Register]


class Hashes(Strings):
    """The part of the keyspace that holds hashes."""

    # -- reading -------------------------------------------------------------------------------

    def _fields(self, key: bytes) -> Fields:
        entry = self.entries.get(key)
        if entry is None:
            return {}
        if not isinstance(entry, Compound) or entry.string is not None or entry.fields is None:
            raise WrongType
        return entry.fields

    def hash_get(self, key: bytes, name: bytes) -> bytes | None:
        """One field's value, or None."""
        register = self._fields(key).get(name)
        return None if register is None else register.text()

    def hash_items(self, key: bytes) -> list[tuple[bytes, bytes]]:
        """All fields with their values, in the order in which they appeared here."""
        return [(name, register.text()) for name, register in self._fields(key).items()]

    def hash_names(self, key: bytes) -> list[bytes]:
        """All field names."""
        return list(self._fields(key))

    def hash_has(self, key: bytes, name: bytes) -> bool:
        """Whether the field is there."""
        return name in self._fields(key)

    def hash_len(self, key: bytes) -> int:
        """How many fields."""
        return len(self._fields(key))

    # -- writing -------------------------------------------------------------------------------

    def hash_set(self, key: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> int:
        """Assign fields; how many of them are new."""
        fields = self._fields(key)
        size = sum(len(name) + len(value) + 16 for name, value in pairs)
        if any(len(value) > VALUE_MAX for _name, value in pairs):
            raise TooLarge
        batch = self._begin(key, size)
        self._bury(batch, key)
        pairs = list(dict(pairs).items())
        seen, cells = _seen_of_fields(fields, (name for name, _value in pairs))
        new = sum(1 for name, _value in pairs if name not in fields)
        refs = [(name, self._cells_of(batch, fields[name])) for name in cells]
        self._do(batch, HashSet(key, pairs, batch.seen(seen), refs), size + len(key))
        return new

    def hash_delete(self, key: bytes, names: Iterable[bytes]) -> int:
        """Remove fields; how many were there."""
        fields = self._fields(key)
        present = [name for name in dict.fromkeys(names) if name in fields]
        if not present:
            return 0
        size = sum(len(name) + 16 for name in present)
        batch = self._begin(key, size)
        seen, cells = _seen_of_fields(fields, present)
        refs = [(name, self._cells_of(batch, fields[name])) for name in cells]
        self._do(batch, HashDelete(key, present, batch.seen(seen), refs), size + len(key))
        return len(present)

    def hash_increment(self, key: bytes, name: bytes, by: int) -> int:
        """Add to a field's counter; the sum as this node sees it."""
        register = self._fields(key).get(name)
        current = 0 if register is None else register.amount()
        if not isinstance(current, int):
            raise NotAnInteger("hash value is not an integer")
        total = current + by
        if not -LIMIT < total < LIMIT:
            raise OutOfRange
        self._count_field(key, name, register, by)
        return total

    def hash_increment_float(self, key: bytes, name: bytes, by: Decimal) -> bytes:
        """Add a decimal fraction to a field; the sum as text."""
        register = self._fields(key).get(name)
        current = 0 if register is None else register.amount()
        if current is None:
            raise NotAFloat("hash value is not a float")
        step, total = _float_step(current, by)
        self._count_field(key, name, register, step)
        return written(total)

    def _count_field(self, key: bytes, name: bytes, register: Register | None, by: Amount) -> None:
        batch = self._begin(key, len(name) + 64)
        self._bury(batch, key)
        cell, previous, before = own_cell(register, batch)
        self._do(
            batch,
            HashIncrement(key, name, cell, previous, to_wire(before), to_wire(add(before, by))),
            len(key) + len(name) + 32,
        )


def _seen_of_fields(fields: Fields, names: Iterable[bytes]) -> tuple[Seen, list[bytes]]:
    """What these fields hold, and which of them have a counter part."""
    seen: Seen = {}
    counted: list[bytes] = []
    for name in names:
        register = fields.get(name)
        if register is not None:
            see(seen, register.dots())
            if register.cells is not None:
                counted.append(name)
    return seen, counted
