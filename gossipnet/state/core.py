"""The table of keys and the application of operations to it, own and foreign alike.

One function per operation. All of them are pure functions of the operations applied so far, in any
order that respects each author's own: only then do replicas converge. Which keys *show* depends on
the clock too: a key past its deadline moves to ``hidden`` and stays there until an operation
removes it. Knows records only as (log number, sequence number, place).
"""

import heapq
from collections import Counter
from collections.abc import Callable

from gossipnet.state.dots import Seen, covers, pack
from gossipnet.state.logs import Logs
from gossipnet.state.operations import (
    AnyOperation,
    Delete,
    Expire,
    HashDelete,
    HashIncrement,
    HashSet,
    Increment,
    Set,
    SetAdd,
    SetRemove,
)
from gossipnet.state.references import cells_of, counted, seen_of
from gossipnet.state.scan import ScanOrder
from gossipnet.state.types import members as member_rules
from gossipnet.state.types.entry import Compound, Entry, compound_of, kind_of
from gossipnet.state.types.expiry import NEVER, Expiry
from gossipnet.state.types.register import CellsSeen, Register

_BACKWARDS_MS = 1000
REAP_OWN_MS = 5_000
REAP_ANY_MS = 600_000
"""What has ended is removed by whoever set the deadline, after this; later by anybody."""

OnChange = Callable[[bytes, str, int, int], None]
"""(key, event as Redis's keyspace notifications name it, log number, stamp)."""


class Core:
    """Keys and what they hold.

    Attributes:
      entries: Keys that show.
      hidden: Keys past their deadline, and deadlines without content.
      wall_ms: The clock by which keys show.
      conflicts: Concurrent writes that had to be decided, by kind.
      on_change: Told of every change, or None.
    """

    def __init__(self, logs: Logs) -> None:
        self.logs = logs
        self.entries: dict[bytes, Entry] = {}
        self.hidden: dict[bytes, Entry] = {}
        self.wall_ms = 0
        self.conflicts: Counter[str] = Counter()
        self.on_change: OnChange | None = None
        self._order = ScanOrder()
        self._deadlines: list[tuple[int, bytes]] = []
        self._ended: list[tuple[int, bytes, bool]] = []
        self._watched: dict[bytes, list[int]] = {}
        self._apply_by_type: dict[type, Callable[..., str]] = {
            Set: self._set,
            Increment: self._increment,
            Delete: self._delete,
            HashSet: self._hash_set,
            HashIncrement: self._hash_increment,
            HashDelete: self._hash_delete,
            SetAdd: self._set_add,
            SetRemove: self._set_remove,
            Expire: self._expire,
        }

    # -- applying ------------------------------------------------------------------------------

    def apply(self, operation: AnyOperation, table: list[int], seq: int, place: int) -> None:
        """Apply one operation.

        Args:
          operation: Decoded.
          table: Local log numbers by reference; the first is the operation's own log.
          seq: Of its record.
          place: In its record.

        Raises:
          RemoteProtocolError: It was not checked (`check_operations`) and cannot be.
        """
        handler = self._apply_by_type.get(type(operation))
        if handler is None:
            return
        dot = pack(table[0], seq, place)
        event = handler(operation, table, dot)
        key = operation.key  # type: ignore[union-attr]
        if self._watched and key in self._watched:
            self._watched[key][1] += 1
        if self.on_change is not None and event:
            self.on_change(key, event, table[0], self.logs.stamp(dot))

    def _order_of(self, dot: int) -> tuple[int, bytes]:
        """Decides between concurrent values: later stamp, then lower log id."""
        log = self.logs.by_number[dot >> 56]
        return self.logs.stamp(dot), _inverted(log.id)

    def _set(self, op: Set, table: list[int], dot: int) -> str:
        seen, cells = seen_of(op.seen, table), cells_of(op.cells, table)
        entry = self.entries.get(op.key)
        if type(entry) is Register and not op.keep:
            if entry.assign(dot, op.value, seen, cells, self._order_of):
                self.conflicts["string"] += 1
            return "set"
        if entry is None:
            entry = self.hidden.get(op.key)
            if entry is None and not op.keep:
                self._show(op.key, Register(dot, op.value))
                return "set"
        compound = compound_of(entry)
        if compound.expiry is not None and not op.keep:
            compound.expiry.remove(seen)
        if compound.string is None:
            compound.string = Register()
        if compound.string.assign(dot, op.value, seen, cells, self._order_of):
            self.conflicts["string"] += 1
        if op.keep:
            if compound.expiry is None:
                compound.expiry = Expiry()
            compound.expiry.silent.add(dot)
        self._settle(op.key, compound)
        return "set"

    def _increment(self, op: Increment, table: list[int], dot: int) -> str:
        cell, previous, before, total = counted(op, table, dot)
        entry = self.entries.get(op.key)
        if type(entry) is Register:
            entry.count(dot, cell, previous, before, total)
            return "incrby"
        if entry is None:
            entry = self.hidden.get(op.key)
            if entry is None:
                register = Register()
                register.count(dot, cell, previous, before, total)
                self._show(op.key, register)
                return "incrby"
        compound = compound_of(entry)
        if compound.string is None:
            compound.string = Register()
        compound.string.count(dot, cell, previous, before, total)
        self._settle(op.key, compound)
        return "incrby"

    def _delete(self, op: Delete, table: list[int], dot: int) -> str:
        entry = self._raw(op.key)
        if entry is None:
            return ""
        compound = compound_of(entry)
        fields = {name: cells_of(cells, table) for name, cells in op.field_cells}
        self._remove_all(compound, seen_of(op.seen, table), cells_of(op.cells, table), fields)
        self._settle(op.key, compound)
        return "del"

    def _remove_all(
        self,
        compound: Compound,
        seen: Seen,
        cells: CellsSeen,
        fields: dict[bytes, CellsSeen],
    ) -> None:
        if compound.string is not None:
            compound.string.remove(seen, cells, self._order_of)
        if compound.fields is not None:
            for name in list(compound.fields):
                register = compound.fields[name]
                register.remove(seen, fields.get(name, {}), self._order_of)
                if not register:
                    del compound.fields[name]
        if compound.members is not None:
            member_rules.remove(compound.members, list(compound.members), seen)
        if compound.expiry is not None:
            compound.expiry.remove(seen)

    def _hash_set(self, op: HashSet, table: list[int], dot: int) -> str:
        seen = seen_of(op.seen, table)
        cells = {name: cells_of(refs, table) for name, refs in op.field_cells}
        compound = compound_of(self._raw(op.key))
        if compound.fields is None:
            compound.fields = {}
        for name, value in op.pairs:
            register = compound.fields.get(name)
            if register is None:
                compound.fields[name] = Register(dot, value)
            elif register.assign(dot, value, seen, cells.get(name, {}), self._order_of):
                self.conflicts["hash"] += 1
        self._settle(op.key, compound)
        return "hset"

    def _hash_increment(self, op: HashIncrement, table: list[int], dot: int) -> str:
        cell, previous, before, total = counted(op, table, dot)
        compound = compound_of(self._raw(op.key))
        if compound.fields is None:
            compound.fields = {}
        register = compound.fields.get(op.name)
        if register is None:
            register = compound.fields[op.name] = Register()
        register.count(dot, cell, previous, before, total)
        self._settle(op.key, compound)
        return "hincrby"

    def _hash_delete(self, op: HashDelete, table: list[int], dot: int) -> str:
        entry = self._raw(op.key)
        if not isinstance(entry, Compound) or entry.fields is None:
            return ""
        seen = seen_of(op.seen, table)
        cells = {name: cells_of(refs, table) for name, refs in op.field_cells}
        for name in op.names:
            register = entry.fields.get(name)
            if register is not None:
                register.remove(seen, cells.get(name, {}), self._order_of)
                if not register:
                    del entry.fields[name]
        self._settle(op.key, entry)
        return "hdel"

    def _set_add(self, op: SetAdd, table: list[int], dot: int) -> str:
        compound = compound_of(self._raw(op.key))
        if compound.members is None:
            compound.members = {}
        if member_rules.add(compound.members, op.members, dot, seen_of(op.seen, table)):
            self.conflicts["set"] += 1
        self._settle(op.key, compound)
        return "sadd"

    def _set_remove(self, op: SetRemove, table: list[int], dot: int) -> str:
        entry = self._raw(op.key)
        if not isinstance(entry, Compound) or entry.members is None:
            return ""
        member_rules.remove(entry.members, op.members, seen_of(op.seen, table))
        self._settle(op.key, entry)
        return "srem"

    def _expire(self, op: Expire, table: list[int], dot: int) -> str:
        seen = seen_of(op.seen, table)
        compound = compound_of(self._raw(op.key))
        expiry = compound.expiry
        if expiry is None:
            expiry = compound.expiry = Expiry()
        expiry.remove(seen)
        if compound.string is not None:
            expiry.silent.update(d for d in compound.string.bases() if covers(seen, d))
        expiry.deadlines[dot] = NEVER if op.deadline is None else op.deadline
        self._settle(op.key, compound)
        return "persist" if op.deadline is None else "expire"

    # -- what shows ----------------------------------------------------------------------------

    def _raw(self, key: bytes) -> Entry | None:
        entry = self.entries.get(key)
        return entry if entry is not None else self.hidden.get(key)

    def _show(self, key: bytes, entry: Entry) -> None:
        if key not in self.entries:
            self._order.append(key, self.entries, len(self.entries))
        self.entries[key] = entry

    def _settle(self, key: bytes, compound: Compound) -> None:
        """Put a changed entry where it belongs: shown, hidden or nowhere."""
        compound.tidy()
        entry: Entry = compound
        if compound.expiry is None:
            if compound.fields is None and compound.members is None:
                if compound.string is None:
                    self.entries.pop(key, None)
                    self.hidden.pop(key, None)
                    return
                entry = compound.string
        elif compound.expiry.deadlines:
            deadline = compound.deadline()
            if deadline <= self.wall_ms or compound.kind() is None:
                self.entries.pop(key, None)
                self._hide(key, compound)
                return
            if deadline != NEVER:
                self._remember(deadline, key)
        if compound.clashes():
            self.conflicts["type"] += 1
        if self.hidden:
            self.hidden.pop(key, None)
        self._show(key, entry)

    def _remember(self, deadline: int, key: bytes) -> None:
        heapq.heappush(self._deadlines, (deadline, key))
        if len(self._deadlines) > 1024 and len(self._deadlines) > 4 * len(self.entries):
            self._deadlines = sorted(
                (entry.deadline(), name)
                for name, entry in self.entries.items()
                if isinstance(entry, Compound) and entry.deadline() != NEVER
            )

    def _hide(self, key: bytes, compound: Compound) -> None:
        self.hidden[key] = compound
        assert compound.expiry is not None
        ended = max(compound.expiry.deadlines.values())
        if ended != NEVER:
            heapq.heappush(self._ended, (max(ended, self.wall_ms) + REAP_OWN_MS, key, False))

    def move_clock(self, wall_ms: int) -> list[bytes]:
        """Set the clock; returns the keys that have just ended."""
        if wall_ms < self.wall_ms - _BACKWARDS_MS:
            self.wall_ms = wall_ms
            for key in list(self.hidden):  # hidden by a clock that was wrong
                self._settle(key, compound_of(self.hidden[key]))
        self.wall_ms = wall_ms
        gone: list[bytes] = []
        while self._deadlines and self._deadlines[0][0] <= wall_ms:
            _deadline, key = heapq.heappop(self._deadlines)
            entry = self.entries.get(key)
            if isinstance(entry, Compound) and entry.deadline() <= wall_ms:
                del self.entries[key]
                self._hide(key, entry)
                gone.append(key)
                if key in self._watched:
                    self._watched[key][1] += 1
        return gone

    def to_reap(self, wall_ms: int) -> list[tuple[bytes, int]]:
        """Hidden keys that ended `REAP_OWN_MS` ago, with the log that set the deadline.

        Those still there `REAP_ANY_MS` later come again, with -1: whoever set it is not there.
        """
        found: list[tuple[bytes, int]] = []
        while self._ended and self._ended[0][0] <= wall_ms:
            at, key, late = heapq.heappop(self._ended)
            entry = self.hidden.get(key)
            if not isinstance(entry, Compound) or entry.expiry is None:
                continue
            deadlines = entry.expiry.deadlines
            if not deadlines:
                continue
            if late:
                found.append((key, -1))
            else:
                heapq.heappush(self._ended, (at + REAP_ANY_MS, key, True))
                found.append((key, max(deadlines, key=lambda dot: (deadlines[dot], dot)) >> 56))
        return found

    def next_deadline_ms(self, *, reaping: bool = True) -> int | None:
        """Unix ms at which `move_clock` or, with ``reaping``, `to_reap` has work, or None."""
        if not self.hidden:
            self._ended.clear()  # all of them are back, or reaped by others
        heaps = (self._deadlines, self._ended) if reaping else (self._deadlines,)
        return min((heap[0][0] for heap in heaps if heap), default=None)

    # -- WATCH ---------------------------------------------------------------------------------

    def watch(self, key: bytes) -> int:
        """Begin to count changes of a key; the token is for `changed_since`."""
        counter = self._watched.setdefault(key, [0, 0])
        counter[0] += 1
        return counter[1]

    def changed_since(self, key: bytes, token: int) -> bool:
        """Whether a watched key has changed since its `watch`."""
        counter = self._watched.get(key)
        return counter is None or counter[1] != token

    def unwatch(self, key: bytes) -> None:
        """Undo one `watch`."""
        counter = self._watched.get(key)
        if counter is not None:
            counter[0] -= 1
            if counter[0] <= 0:
                del self._watched[key]

    def type_of(self, key: bytes) -> str | None:
        """``string``, ``hash``, ``set``, or None if the key does not show."""
        entry = self.entries.get(key)
        return None if entry is None else kind_of(entry)


def _inverted(log_id: bytes) -> bytes:
    return bytes(255 - byte for byte in log_id)
