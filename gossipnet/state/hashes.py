"""Hashes: each field is a string with a counter part of its own.

What their operations do, reads and local writes.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from gossipnet.state.batch import Batch
from gossipnet.state.core import Apply, Core
from gossipnet.state.dots import Seen, covers, see
from gossipnet.state.errors import NotAFloat, NotAnInteger, OutOfRange, TooLarge, WrongType
from gossipnet.state.operations import HashDelete, HashExpire, HashIncrement, HashSet, SeenRefs
from gossipnet.state.references import amount_of, seen_of
from gossipnet.state.strings import Strings, _float_step
from gossipnet.state.types.entry import Compound, compound_of
from gossipnet.state.types.expiry import NEVER
from gossipnet.state.types.fields import FieldEnds
from gossipnet.state.types.index import Index, in_vain
from gossipnet.state.types.number import LIMIT, Amount, to_wire, written
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

    def hash_deadline(self, key: bytes, name: bytes) -> int | None:
        """When a field that is there ends (unix ms), or None if never."""
        fields = self._fields(key)
        entry = self.entries.get(key)
        if not isinstance(entry, Compound) or entry.ends is None:
            return None
        deadline = entry.ends.deadline(name, fields.get(name))
        return None if deadline == NEVER else deadline

    # -- writing -------------------------------------------------------------------------------

    def hash_set(self, key: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> int:
        """Assign fields, which then have no deadline; how many of them are new."""
        fields = self._fields(key)
        size = sum(len(name) + len(value) + 16 for name, value in pairs)
        if any(len(value) > VALUE_MAX for _name, value in pairs):
            raise TooLarge
        batch = self._begin(key, size)
        self._bury(batch, key)
        pairs = list(dict(pairs).items())
        seen = self._seen_of_fields(batch, key, [name for name, _value in pairs])
        new = sum(1 for name, _value in pairs if name not in fields)
        self._do(batch, HashSet(key, pairs, seen), size + len(key))
        return new

    def hash_delete(self, key: bytes, names: Iterable[bytes]) -> int:
        """Remove fields; how many were there."""
        fields = self._fields(key)
        present = [name for name in dict.fromkeys(names) if name in fields]
        if present:
            self._delete_fields(self._begin(key, 0), key, present)
        return len(present)

    def _delete_fields(self, batch: Batch, key: bytes, names: list[bytes]) -> None:
        seen = self._seen_of_fields(batch, key, names)
        size = sum(len(name) + 16 for name in names)
        self._do(batch, HashDelete(key, names, seen), size + len(key))

    def hash_expire(self, key: bytes, names: Iterable[bytes], deadline_ms: int | None) -> None:
        """Set when fields that are there end, or that they never do (None)."""
        fields = self._fields(key)
        present = [name for name in dict.fromkeys(names) if name in fields]
        if not present:
            return
        size = sum(len(name) + 16 for name in present)
        batch = self._begin(key, size)
        seen = self._seen_of_fields(batch, key, present)
        self._do(batch, HashExpire(key, present, deadline_ms, seen), size + len(key))

    def reap(self, key: bytes, name: bytes | None) -> None:
        """Remove what is left of a key, or of a field of it, that ended some time ago."""
        if name is None:
            self.reap_key(key)
            return
        entry = self.raw(key)
        if isinstance(entry, Compound) and entry.ends is not None and name in entry.ends.ended:
            self._delete_fields(self._begin(key, 0), key, [name])

    def hash_increment(self, key: bytes, name: bytes, by: int) -> int:
        """Add to a field's counter; the sum as this node sees it."""
        register = self._fields(key).get(name)
        current = 0 if register is None else register.amount()
        if not isinstance(current, int):
            raise NotAnInteger("hash value is not an integer")
        total = current + by
        if not -LIMIT < total < LIMIT:
            raise OutOfRange
        self._count_field(key, name, by)
        return total

    def hash_increment_float(self, key: bytes, name: bytes, by: Decimal) -> bytes:
        """Add a decimal fraction to a field; the sum as text."""
        register = self._fields(key).get(name)
        current = 0 if register is None else register.amount()
        if current is None:
            raise NotAFloat("hash value is not a float")
        step, total = _float_step(current, by)
        self._count_field(key, name, step)
        return written(total)

    def store_hash(self, key: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        """Replace whatever the key holds by a hash."""
        with self.atomic():
            self._replace(key, sum(len(name) + len(value) + 16 for name, value in pairs))
            self.hash_set(key, pairs)

    def _count_field(self, key: bytes, name: bytes, by: Amount) -> None:
        batch = self._begin(key, len(name) + 64)
        self._bury(batch, key)
        entry = self.entries.get(key)
        if isinstance(entry, Compound) and entry.ends is not None and name in entry.ends.ended:
            self._delete_fields(batch, key, [name])
        operation = HashIncrement(key, name, to_wire(by))
        self._do(batch, operation, len(key) + len(name) + 32)

    def _seen_of_fields(self, batch: Batch, key: bytes, names: Sequence[bytes]) -> SeenRefs:
        """What these fields hold, ended or not, and their deadlines."""
        entry = self.raw(key)
        seen: Seen = {}
        for name in names if isinstance(entry, Compound) else ():
            assert isinstance(entry, Compound)
            register = entry.field(name)
            if register is not None:
                see(seen, register.dots())
            if entry.ends is not None:
                see(seen, entry.ends.dots_of(name))
        return batch.seen(seen)


# ---------------------------------------------------------------- what operations do


def apply_hash_set(core: Core, op: HashSet, table: list[int], dot: int) -> str:
    """Assign fields."""
    seen = seen_of(op.seen, table, dot)
    compound = compound_of(core.raw(op.key))
    if compound.fields is None:
        compound.fields = {}
    for name, value in op.pairs:
        compound.note_field(dot, name)
        register = compound.field(name)
        if register is None:
            compound.fields[name] = Register(dot, value)
        elif register.assign(dot, value, seen, core.order_of):
            core.note("hash", op.key, register.bases(), name)
        if compound.ends is not None:
            compound.ends.replace(name, seen)
            core.place_field(op.key, compound, name)
    core.settle(op.key, compound)
    return "hset"


def apply_hash_increment(core: Core, op: HashIncrement, _table: list[int], dot: int) -> str:
    """Add to a field's counter."""
    by = amount_of(op.by)
    compound = compound_of(core.raw(op.key))
    if compound.fields is None:
        compound.fields = {}
    compound.note_field(dot, op.name)
    register = compound.field(op.name)
    if register is None:
        register = compound.fields[op.name] = Register()
    register.count(dot, by)
    core.place_field(op.key, compound, op.name)
    core.settle(op.key, compound)
    return "hincrby"


def apply_hash_delete(core: Core, op: HashDelete, table: list[int], dot: int) -> str:
    """Remove what was seen of fields."""
    entry = core.raw(op.key)
    if not isinstance(entry, Compound) or (entry.fields is None and entry.ends is None):
        return ""
    seen = seen_of(op.seen, table, dot)
    for name in op.names:
        register = entry.field(name)
        if register is not None:
            register.remove(seen, core.order_of)
            if register:
                core.note("remove", op.key, register.dots(), name)
        if entry.ends is not None:
            entry.ends.replace(name, seen)
        core.place_field(op.key, entry, name)
    core.settle(op.key, entry)
    return "hdel"


def apply_hash_expire(core: Core, op: HashExpire, table: list[int], dot: int) -> str:
    """Set the deadlines of fields, or that they have none."""
    seen = seen_of(op.seen, table, dot)
    compound = compound_of(core.raw(op.key))
    if compound.ends is None:
        compound.ends = FieldEnds()
    for name in op.names:
        compound.note_field(dot, name)
        expiry = compound.ends.expiry(name)
        expiry.remove(seen)
        register = compound.field(name)
        if register is not None:
            expiry.silent.update(base for base in register.bases() if covers(seen, base))
        expiry.deadlines[dot] = NEVER if op.deadline is None else op.deadline
        if len(expiry.deadlines) > 1:
            core.note("expire", op.key, expiry.latest_first(), name)
        core.place_field(op.key, compound, name)
    core.settle(op.key, compound)
    return "hpersist" if op.deadline is None else "hexpire"


def remove_all(core: Core, key: bytes, compound: Compound, seen: Seen) -> None:
    """DEL: take away what was seen of all fields; `Core.settle` the key afterwards."""
    before = _names(compound)
    index = compound.field_index
    for name in before if index is None else index.covered(seen):
        register = compound.field(name)
        if register is not None:
            register.remove(seen, core.order_of)
        if compound.ends is not None:
            compound.ends.replace(name, seen)
        core.place_field(key, compound, name)
    if index is None and in_vain(len(before), len(after := _names(compound))):
        compound.field_index = Index(
            (dot, name) for name in after for dot in _dots_of_field(compound, name)
        )


def _names(compound: Compound) -> dict[bytes, None]:
    """Of fields, ended ones too, and of deadlines without a field; nothing if there is an index."""
    if compound.field_index is not None:
        return {}
    names = dict.fromkeys(compound.fields or ())
    if compound.ends is not None:
        names |= dict.fromkeys([*compound.ends.ended, *compound.ends.expiries])
    return names


def _dots_of_field(compound: Compound, name: bytes) -> Iterator[int]:
    register = compound.field(name)
    if register is not None:
        yield from register.every_dot()
    if compound.ends is not None and name in compound.ends.expiries:
        yield from compound.ends.expiries[name].deadlines


APPLY: dict[type, Apply] = {
    HashSet: apply_hash_set,
    HashIncrement: apply_hash_increment,
    HashDelete: apply_hash_delete,
    HashExpire: apply_hash_expire,
}
