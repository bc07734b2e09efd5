"""Computing keys anew after records that were applied have become void.

Nothing that a record removed can be brought back from what is left, so the keys that stale records
touched are computed from all records again, void ones skipped. First the stale records are
looked at, for their keys; then everything is applied in its old order to an empty table, these keys
only, while the node goes on; at the end they change places. That order is a causal one, and void
records were part of it, so what comes out is what a replica holds that knew of the revocation
first. Whoever drives this reads the records from disk; the newest come from memory.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipnet.identity.trust import Trust
from gossipnet.ids import LogId
from gossipnet.state import fingerprint, record
from gossipnet.state.body import (
    Body,
    decode_body_untrusted,
)
from gossipnet.state.image_rows import MARK
from gossipnet.state.operations import (
    GroupCreate,
    SketchAdd,
)
from gossipnet.state.record import Record
from gossipnet.state.replay import Replay, Wanted, keys_of

if TYPE_CHECKING:
    from gossipnet.state.replica import Replica

FROM_MEMORY = 4096
"""The last so many records are taken from memory; while more are missing the disk is asked."""

_EVENTS = {"string": "set", "hash": "hset", "set": "sadd"}


class Rebuild:
    """One computation; drop it and begin another when the verdicts change meanwhile.

    Attributes:
      keys: What is computed anew; complete once the stale records were looked at.
    """

    def __init__(self, replica: "Replica", trust: Trust) -> None:
        self._replica = replica
        self._looked: dict[LogId, int] = {
            log: stale.first - 1 for log, stale in replica.voids.stale.items()
        }
        self._look_to = {log: stale.last for log, stale in replica.voids.stale.items()}
        self._looking = True
        self._trust = trust
        self._missed: set[bytes] = set()
        self.keys: set[bytes] = set()
        self._replay = self._run()

    def _run(self) -> Replay:
        return Replay(self._replica, self._trust, self.keys, self._note_missed)

    def wanted(self) -> Wanted:
        """What to read from disk next, in the order in which it was applied; [] at the end."""
        if self._looking:
            left = [
                (log, seen + 1, self._look_to[log])
                for log, seen in self._looked.items()
                if seen < self._look_to[log]
            ]
            if left and not self._from_memory(left, self._look):
                return left
            self._looking = False
        left = self._replay.left()
        if left and not self._from_memory(left, self._replay.take):
            return left
        if not self._missed:
            return []
        # Somebody names what is stale in a key that no stale record is about: once more, with it.
        self.keys |= self._missed
        self._missed = set()
        self._replay = self._run()
        return self.wanted()

    def feed(self, data: bytes) -> None:
        """One row of what `wanted` asked for."""
        if self._looking and data[0] != MARK:
            self._look(record.parse_untrusted(data))
        else:
            self._replay.feed(data)

    def finish(self) -> int:
        """Put the keys in place; how many of them look different now."""
        live = self._replica.keyspace
        logs = self._replica.logs
        fresh = self._replay.fresh
        fresh.move_clock(live.wall_ms)
        changed = 0
        for key in sorted(self.keys):
            entry = fresh.raw(key)
            before = live.raw(key)
            if fingerprint.of_entry(before, logs) == fingerprint.of_entry(entry, logs):
                continue
            changed += 1
            live.replace(key, entry)
            kind = live.type_of(key)
            live.tell(key, "del" if kind is None else _EVENTS.get(kind, kind))
        self._replica.voids.settled()
        return changed

    # -- from memory ---------------------------------------------------------------------------

    def _from_memory(self, left: Wanted, take: Callable[[Record], bool]) -> bool:
        """Take what is left from memory, if all of it is there."""
        if sum(last - first + 1 for _log, first, last in left) > FROM_MEMORY:
            return False
        records: dict[LogId, list[Record]] = {}
        for log, first, last in left:
            for seq in range(last, first - 1, -1):
                data = self._replica.record(log, seq)
                if data is None:
                    return False
                records.setdefault(log, []).append(record.parse_untrusted(data))
        while records:
            before = sum(map(len, records.values()))
            for log in list(records):
                waiting = records[log]
                while waiting and take(waiting[-1]):
                    waiting.pop()
                if not waiting:
                    del records[log]
            if sum(map(len, records.values())) == before:
                return False  # what these depend on is on disk
        return True

    def _look(self, taken: Record) -> bool:
        """First pass: note the keys of a stale record."""
        if taken.seq == self._looked.get(taken.log, -1) + 1:
            self._looked[taken.log] = taken.seq
            self.keys.update(keys_of(decode_body_untrusted(taken.body)))
        return True

    def _note_missed(self, taken: Record, body: Body) -> None:
        """Further keys with operations to which it matters whether a dot that they name is void."""
        stale = self._replica.voids.stale
        for operation in body.operations:
            if isinstance(operation, GroupCreate):
                dots = operation.generations
            elif isinstance(operation, SketchAdd):
                dots = operation.begun
            else:
                continue
            for ref, seq, _place in dots if operation.key not in self.keys else ():
                held = stale.get(LogId(body.logs[ref - 1][0]) if ref else taken.log)
                if held is not None and held.first <= seq <= held.last:
                    self._missed.add(operation.key)
