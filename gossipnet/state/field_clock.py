"""Which fields of hashes end when, and which have ended and wait to be removed.

The same that `core` does for keys, one step further in. Knows the table of keys only through the
function that looks one up.
"""

import heapq
from collections.abc import Callable

from gossipnet.state.types.entry import Compound, Entry
from gossipnet.state.types.expiry import NEVER

REAP_OWN_MS = 5_000
REAP_ANY_MS = 600_000
"""What has ended is removed by whoever set the deadline, after this; later by anybody."""

Look = Callable[[bytes], Entry | None]


class FieldClock:
    """Deadlines of fields, by time."""

    __slots__ = ("_deadlines", "_ended", "_keys", "_latest")

    def __init__(self) -> None:
        self._latest: dict[tuple[bytes, bytes], int] = {}
        self._deadlines: list[tuple[int, bytes, bytes]] = []
        self._ended: list[tuple[int, bytes, bytes, bool]] = []
        self._keys: set[bytes] = set()

    def times(self, *, reaping: bool) -> list[int]:
        """When there is something to do next, unix ms."""
        times = [self._deadlines[0][0]] if self._deadlines else []
        return times + ([self._ended[0][0]] if reaping and self._ended else [])

    def due(self, wall_ms: int) -> bool:
        """Whether any field may end now."""
        return bool(self._deadlines) and self._deadlines[0][0] <= wall_ms

    def place(self, key: bytes, compound: Compound, name: bytes, wall_ms: int) -> None:
        """Put a changed field in sight, out of sight, or nowhere."""
        fields, ends = compound.fields, compound.ends
        register = compound.field(name)
        if register is not None and not register:
            register = None
            if fields is not None:
                fields.pop(name, None)
            if ends is not None:
                ends.ended.pop(name, None)
        if ends is None:
            return
        ends.tidy(name, register)
        deadline = ends.deadline(name, register)
        self._remember(key, name, deadline if deadline > wall_ms else NEVER)
        if register is None:
            return
        if deadline <= wall_ms:
            if name not in ends.ended:
                assert fields is not None
                ends.ended[name] = fields.pop(name)
                self._keys.add(key)
                heapq.heappush(self._ended, (wall_ms + REAP_OWN_MS, key, name, False))
        elif name in ends.ended:
            if fields is None:
                fields = compound.fields = {}
            fields[name] = ends.ended.pop(name)

    def _remember(self, key: bytes, name: bytes, deadline: int) -> None:
        if deadline == NEVER:
            self._latest.pop((key, name), None)
        elif self._latest.get((key, name)) != deadline:
            self._latest[key, name] = deadline
            heapq.heappush(self._deadlines, (deadline, key, name))
            if len(self._deadlines) > 1024 and len(self._deadlines) > 4 * len(self._latest):
                self._deadlines = sorted((at, *field) for field, at in self._latest.items())

    def end(self, wall_ms: int, look: Look) -> list[bytes]:
        """Take fields out of sight that end now; their keys."""
        keys: dict[bytes, None] = {}
        while self.due(wall_ms):
            deadline, key, name = heapq.heappop(self._deadlines)
            if self._latest.get((key, name)) != deadline:
                continue
            del self._latest[key, name]
            compound = look(key)
            if not isinstance(compound, Compound) or compound.ends is None:
                continue
            if name not in compound.ends.ended and compound.field(name) is not None:
                self.place(key, compound, name, wall_ms)
                if name in compound.ends.ended:
                    keys[key] = None
        return list(keys)

    def back(self, wall_ms: int, look: Look) -> list[bytes]:
        """The clock was set back: put in sight what has not ended after all; the keys."""
        keys: list[bytes] = []
        for key in list(self._keys):
            compound = look(key)
            if not isinstance(compound, Compound) or compound.ends is None:
                self._keys.discard(key)
                continue
            for name in list(compound.ends.ended):
                self.place(key, compound, name, wall_ms)
            keys.append(key)
        return keys

    def to_reap(self, wall_ms: int, look: Look) -> list[tuple[bytes, bytes, int]]:
        """Fields that ended `REAP_OWN_MS` ago, with the log that set the deadline; see `core`."""
        found: list[tuple[bytes, bytes, int]] = []
        while self._ended and self._ended[0][0] <= wall_ms:
            at, key, name, late = heapq.heappop(self._ended)
            compound = look(key)
            ends = compound.ends if isinstance(compound, Compound) else None
            if ends is None or name not in ends.ended or name not in ends.expiries:
                continue
            if late:
                found.append((key, name, -1))
                continue
            deadlines = ends.expiries[name].deadlines
            heapq.heappush(self._ended, (at + REAP_ANY_MS, key, name, True))
            found.append((key, name, max(deadlines, key=lambda dot: (deadlines[dot], dot)) >> 56))
        return found
