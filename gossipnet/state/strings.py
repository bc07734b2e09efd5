"""Strings, counters and deadlines: what their operations do, reads and local writes.

Conditional flags (NX, XX, GT) are for the callers: they are judged on this node's view.
"""

from decimal import Decimal

from gossipnet.state.batch import Batch
from gossipnet.state.core import Apply, Core
from gossipnet.state.dots import LOW_MASK, Seen, covers, see
from gossipnet.state.errors import NotAFloat, NotAnInteger, OutOfRange, TooLarge, WrongType
from gossipnet.state.operations import Expire, Increment, Set
from gossipnet.state.references import amount_of, seen_of
from gossipnet.state.types.entry import Compound, compound_of
from gossipnet.state.types.expiry import NEVER, Expiry
from gossipnet.state.types.number import (
    LIMIT,
    Amount,
    add,
    rounded,
    to_wire,
    written,
)
from gossipnet.state.types.register import Register
from gossipnet.state.writer import VALUE_MAX, Writer


class Strings(Writer):
    """The part of the keyspace that holds strings."""

    # -- reading -------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The value, or None if there is no such key; raises `WrongType`."""
        entry = self.entries.get(key)
        if type(entry) is Register:
            return entry.value if entry.cells is None else entry.text()
        if entry is None:
            return None
        register = self._register(key)
        return None if register is None else register.text()

    def _register(self, key: bytes) -> Register | None:
        entry = self.entries.get(key)
        if isinstance(entry, Compound):
            if entry.string is None:
                raise WrongType
            return entry.string
        return entry

    def deadline_of(self, key: bytes) -> int | None:
        """When the key ends (unix ms), or None if never."""
        entry = self.entries.get(key)
        if not isinstance(entry, Compound):
            return None
        deadline = entry.deadline()
        return None if deadline == NEVER else deadline

    # -- writing -------------------------------------------------------------------------------

    def set(
        self, key: bytes, value: bytes, *, keep_ttl: bool = False, deadline_ms: int | None = None
    ) -> None:
        """Assign a string, whatever the key held before.

        Args:
          key: Any bytes, up to 64 KiB.
          value: Up to 1 MiB.
          keep_ttl: Leave the key's deadline as it is.
          deadline_ms: New deadline, unix ms.
        """
        if len(value) > VALUE_MAX:
            raise TooLarge
        batch = self._begin(key, len(value) + 128)
        entry = self.raw(key)
        if isinstance(entry, Compound) and (entry.holds_more_than_a_string() or key in self.hidden):
            if keep_ttl and deadline_ms is None:
                deadline_ms = self.deadline_of(key)
            self._clear(batch, key, entry)
            entry = self.raw(key)
        seen: Seen = {}
        if type(entry) is Register:
            if entry.rivals is None and entry.cells is None:
                seen[entry.dot >> 56] = entry.dot & LOW_MASK
            else:
                see(seen, entry.dots())
        elif isinstance(entry, Compound):
            if entry.string is not None:
                see(seen, entry.string.dots())
            if entry.expiry is not None and not keep_ttl:
                see(seen, entry.expiry.deadlines)
        operation = Set(key, value, keep_ttl, batch.seen(seen) if seen else [])
        self._do(batch, operation, len(key) + len(value))
        if deadline_ms is not None:
            self._set_deadline(batch, key, deadline_ms)

    def increment(self, key: bytes, by: int) -> int:
        """Add to a counter; the sum as this node sees it.

        Raises:
          NotAnInteger, OutOfRange, WrongType: As Redis says.
        """
        register = self._register(key)
        current = 0 if register is None else register.amount()
        if not isinstance(current, int):
            raise NotAnInteger
        total = current + by
        if not -LIMIT < total < LIMIT:
            raise OutOfRange
        self._count(key, by)
        return total

    def increment_float(self, key: bytes, by: Decimal) -> bytes:
        """Add a decimal fraction; the sum as text."""
        register = self._register(key)
        current = 0 if register is None else register.amount()
        if current is None:
            raise NotAFloat
        step, total = _float_step(current, by)
        self._count(key, step)
        return written(total)

    def _count(self, key: bytes, by: Amount) -> None:
        batch = self._begin(key, 64)
        self._bury(batch, key)
        self._do(batch, Increment(key, to_wire(by)), len(key) + 32)

    def expire(self, key: bytes, deadline_ms: int | None) -> None:
        """Set when a key that shows ends, or that it never does (None)."""
        if key in self.entries:
            self._set_deadline(self._begin(key, 64), key, deadline_ms)

    def _set_deadline(self, batch: Batch, key: bytes, deadline_ms: int | None) -> None:
        entry = compound_of(self.entries.get(key))
        seen: Seen = {}
        if entry.string is not None:
            see(seen, entry.string.bases())
        if entry.expiry is not None:
            see(seen, entry.expiry.deadlines)
        self._do(batch, Expire(key, deadline_ms, batch.seen(seen)), len(key) + 16)


def _float_step(current: Amount, by: Decimal) -> tuple[Amount, Amount]:
    step = rounded(by)
    if step is None:
        raise NotAFloat("increment would produce NaN or Infinity")
    total = add(current, step)
    if not -LIMIT < total < LIMIT:
        raise OutOfRange
    return step, total


# ---------------------------------------------------------------- what operations do


def apply_set(core: Core, op: Set, table: list[int], dot: int) -> str:
    """Assign a string."""
    seen = seen_of(op.seen, table, dot)
    entry = core.entries.get(op.key)
    if type(entry) is Register and not op.keep:
        if entry.assign(dot, op.value, seen, core.order_of):
            core.note("string", op.key, entry.bases())
        return "set"
    if entry is None:
        entry = core.hidden.get(op.key)
        if entry is None and not op.keep:
            core.show(op.key, Register(dot, op.value))
            return "set"
    compound = compound_of(entry)
    if compound.expiry is not None and not op.keep:
        compound.expiry.remove(seen)
    if compound.string is None:
        compound.string = Register()
    if compound.string.assign(dot, op.value, seen, core.order_of):
        core.note("string", op.key, compound.string.bases())
    if op.keep:
        if compound.expiry is None:
            compound.expiry = Expiry()
        compound.expiry.silent.add(dot)
    core.settle(op.key, compound)
    return "set"


def apply_increment(core: Core, op: Increment, _table: list[int], dot: int) -> str:
    """Add to a counter."""
    by = amount_of(op.by)
    entry = core.entries.get(op.key)
    if type(entry) is Register:
        entry.count(dot, by)
        return "incrby"
    if entry is None:
        entry = core.hidden.get(op.key)
        if entry is None:
            register = Register()
            register.count(dot, by)
            core.show(op.key, register)
            return "incrby"
    compound = compound_of(entry)
    if compound.string is None:
        compound.string = Register()
    compound.string.count(dot, by)
    core.settle(op.key, compound)
    return "incrby"


def apply_expire(core: Core, op: Expire, table: list[int], dot: int) -> str:
    """Set a key's deadline, or that it has none."""
    seen = seen_of(op.seen, table, dot)
    compound = compound_of(core.raw(op.key))
    expiry = compound.expiry
    if expiry is None:
        expiry = compound.expiry = Expiry()
    expiry.remove(seen)
    if compound.string is not None:
        expiry.silent.update(d for d in compound.string.bases() if covers(seen, d))
    expiry.deadlines[dot] = NEVER if op.deadline is None else op.deadline
    if len(expiry.deadlines) > 1:
        core.note("expire", op.key, expiry.latest_first())
    core.settle(op.key, compound)
    return "persist" if op.deadline is None else "expire"


APPLY: dict[type, Apply] = {
    Set: apply_set,
    Increment: apply_increment,
    Expire: apply_expire,
}
