"""The table of keys and the application of operations to it, own and foreign alike.

Each data type brings one function per operation. All of them are pure functions of the operations
applied so far, in any order that respects each author's own: only then do replicas converge. Which
keys *show* depends on the clock too: a key past its deadline moves to ``hidden`` and stays there
until an operation removes it. Knows records only as (log number, sequence number, place).
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from gossipnet.state.conflicts import DOTS_MAX, Conflicts
from gossipnet.state.dots import pack
from gossipnet.state.field_clock import REAP_ANY_MS, REAP_OWN_MS, FieldClock
from gossipnet.state.logs import Logs
from gossipnet.state.operations import (
    AnyOperation,
)
from gossipnet.state.scan import ScanOrder
from gossipnet.state.types.entry import Compound, Entry, compound_of, kind_of
from gossipnet.state.types.expiry import NEVER

_BACKWARDS_MS = 1000

Apply = Callable[["Core", Any, list[int], int], str]
"""(core, operation, local log numbers by reference, dot) -> event, or "" if nothing was there."""

OnChange = Callable[[bytes, str, int, int], None]
"""(key, event as Redis's keyspace notifications name it, log number, stamp)."""


class Core:
    """Keys and what they hold.

    Attributes:
      entries: Keys that show.
      hidden: Keys past their deadline, and deadlines without content.
      wall_ms: The clock by which keys show.
      conflicts: Concurrent writes that had to be decided.
      on_change: Told of every change, or None.
    """

    def __init__(self, logs: Logs, handlers: Mapping[type, Apply]) -> None:
        self.logs = logs
        self._handlers = handlers
        self.entries: dict[bytes, Entry] = {}
        self.hidden: dict[bytes, Entry] = {}
        self.wall_ms = 0
        self.conflicts = Conflicts()
        self.on_change: OnChange | None = None
        self._order = ScanOrder()
        self._deadlines: list[tuple[int, bytes]] = []
        self._ended: list[tuple[int, bytes, bool]] = []
        self._field_clock = FieldClock()
        self._watched: dict[bytes, list[int]] = {}

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
        handler = self._handlers.get(type(operation))
        if handler is None:
            return
        dot = pack(table[0], seq, place)
        event = handler(self, operation, table, dot)
        key = operation.key  # type: ignore[union-attr]
        if self._watched and key in self._watched:
            self._watched[key][1] += 1
        if self.on_change is not None and event:
            self.on_change(key, event, table[0], self.logs.stamp(dot))

    def note(self, kind: str, key: bytes, dots: Iterable[int], part: bytes = b"") -> None:
        """Count a conflict; see `Conflicts`."""
        self.conflicts.note(self.wall_ms, kind, key, tuple(islice(dots, DOTS_MAX)), part)

    def order_of(self, dot: int) -> tuple[int, bytes]:
        """Decides between concurrent values: later stamp, then lower log id."""
        log = self.logs.by_number[dot >> 56]
        return self.logs.stamp(dot), _inverted(log.id)

    def blank(self) -> "Core":
        """An empty table over the same logs that applies operations as this one does."""
        other = Core(self.logs, self._handlers)
        other.wall_ms = self.wall_ms
        return other

    def wipe(self) -> None:
        """Forget everything: what was read is taken back."""
        self.entries.clear()
        self.hidden.clear()
        self._order = ScanOrder()
        self._deadlines.clear()
        self._ended.clear()
        self._field_clock = FieldClock()

    def replace(self, key: bytes, entry: Entry | None) -> None:
        """Let a key hold what was computed elsewhere, from the same logs."""
        self.entries.pop(key, None)
        self.hidden.pop(key, None)
        if entry is not None:
            compound = compound_of(entry)
            for name in list(compound.ends.expiries) if compound.ends is not None else ():
                self.place_field(key, compound, name)
            self.settle(key, compound)
        if key in self._watched:
            self._watched[key][1] += 1

    def tell(self, key: bytes, event: str) -> None:
        """Tell of a change that is no single operation's."""
        if self.on_change is not None:
            self.on_change(key, event, -1, 0)

    # -- what shows ----------------------------------------------------------------------------

    def raw(self, key: bytes) -> Entry | None:
        """What is held at a key, whether it shows or not."""
        entry = self.entries.get(key)
        return entry if entry is not None else self.hidden.get(key)

    def show(self, key: bytes, entry: Entry) -> None:
        """Put an entry where reads find it."""
        if key not in self.entries:
            self._order.append(key, self.entries, len(self.entries))
        self.entries[key] = entry

    def settle(self, key: bytes, compound: Compound) -> None:
        """Put a changed entry where it belongs: shown, hidden or nowhere."""
        compound.tidy()
        clashes = compound.clashes()
        if clashes or self.conflicts.clashing:
            self.conflicts.clash(self.wall_ms, key, compound.kind() or "", clashes=clashes)
        entry: Entry = compound
        if compound.expiry is None:
            if not compound.holds_more_than_a_string():
                if compound.string is None:
                    self.entries.pop(key, None)
                    self.hidden.pop(key, None)
                    return
                entry = compound.string
            elif compound.kind() is None:  # marks of a stream's groups, fields that have ended
                self.entries.pop(key, None)
                self.hidden[key] = compound
                return
        elif compound.expiry.deadlines:
            deadline = compound.deadline()
            if deadline <= self.wall_ms or compound.kind() is None:
                self.entries.pop(key, None)
                self._hide(key, compound)
                return
            if deadline != NEVER:
                self._remember(deadline, key)
        if self.hidden:
            self.hidden.pop(key, None)
        self.show(key, entry)

    def place_field(self, key: bytes, compound: Compound, name: bytes) -> None:
        """Put a changed field of a hash where it belongs; `settle` the key afterwards."""
        self._field_clock.place(key, compound, name, self.wall_ms)

    def _remember(self, deadline: int, key: bytes) -> None:
        heapq.heappush(self._deadlines, (deadline, key))
        if len(self._deadlines) > 1024 and len(self._deadlines) > 4 * len(self.entries):
            self._deadlines = sorted(
                (entry.deadline(), name)
                for name, entry in self.entries.items()
                if isinstance(entry, Compound) and entry.deadline() != NEVER
            )

    def volatile(self) -> tuple[int, int]:
        """How many keys that show have a deadline, and the milliseconds that are left, added up."""
        ends = [
            entry.deadline()
            for key in {key for _deadline, key in self._deadlines}
            if isinstance(entry := self.entries.get(key), Compound)
        ]
        ends = [deadline for deadline in ends if deadline != NEVER]
        return len(ends), sum(ends) - len(ends) * self.wall_ms

    def _hide(self, key: bytes, compound: Compound) -> None:
        self.hidden[key] = compound
        assert compound.expiry is not None
        ended = max(compound.expiry.deadlines.values())
        if ended != NEVER:
            heapq.heappush(self._ended, (max(ended, self.wall_ms) + REAP_OWN_MS, key, False))
            if len(self._ended) > 1024 and len(self._ended) > 4 * len(self.hidden):
                newest: dict[bytes, tuple[int, bytes, bool]] = {}
                for entry in self._ended:  # one that was hidden again and again has many
                    newest[entry[1]] = max(entry, newest.get(entry[1], entry))
                self._ended = sorted(newest.values())

    def move_clock(self, wall_ms: int) -> list[bytes]:
        """Set the clock; returns the keys that have just ended."""
        if wall_ms < self.wall_ms - _BACKWARDS_MS:
            self.wall_ms = wall_ms
            for key in list(self.hidden):  # hidden by a clock that was wrong
                self.settle(key, compound_of(self.hidden[key]))
            self._settle_fields(self._field_clock.back(wall_ms, self.raw), "")
        self.wall_ms = wall_ms
        if self._field_clock.due(wall_ms):
            self._settle_fields(self._field_clock.end(wall_ms, self.raw), "hexpired")
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

    def _settle_fields(self, keys: list[bytes], event: str) -> None:
        """The clock has moved fields of these keys in or out of sight."""
        for key in keys:
            entry = self.raw(key)
            if isinstance(entry, Compound):
                self.settle(key, entry)
                if key in self._watched:
                    self._watched[key][1] += 1
                if event:
                    self.tell(key, event)

    def to_reap(self, wall_ms: int) -> list[tuple[bytes, bytes | None, int]]:
        """Hidden keys that ended `REAP_OWN_MS` ago, with the log that set the deadline.

        With a name it is a field of the key's hash. Those still there `REAP_ANY_MS` later come
        again, with -1: whoever set it is not there.
        """
        found: list[tuple[bytes, bytes | None, int]] = []
        found += self._field_clock.to_reap(wall_ms, self.raw)
        while self._ended and self._ended[0][0] <= wall_ms:
            at, key, late = heapq.heappop(self._ended)
            entry = self.hidden.get(key)
            if not isinstance(entry, Compound) or entry.expiry is None:
                continue
            deadlines = entry.expiry.deadlines
            if not deadlines:
                continue
            if late:
                found.append((key, None, -1))
            else:
                heapq.heappush(self._ended, (at + REAP_ANY_MS, key, True))
                number = max(deadlines, key=lambda dot: (deadlines[dot], dot)) >> 56
                found.append((key, None, number))
        return found

    def next_deadline_ms(self, *, reaping: bool = True) -> int | None:
        """Unix ms at which `move_clock` or, with ``reaping``, `to_reap` has work, or None."""
        if not self.hidden:
            self._ended.clear()  # all of them are back, or reaped by others
        heaps = (self._deadlines, self._ended) if reaping else (self._deadlines,)
        times = [heap[0][0] for heap in heaps if heap]
        return min([*times, *self._field_clock.times(reaping=reaping)], default=None)

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
        """One of `KINDS` as clients know them, or None if the key does not show."""
        entry = self.entries.get(key)
        kind = None if entry is None else kind_of(entry)
        return "string" if kind == "hyperloglog" else kind


def _inverted(log_id: bytes) -> bytes:
    return bytes(255 - byte for byte in log_id)
