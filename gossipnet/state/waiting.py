"""Records that came before their time, and records that may be asked for again soon.

All of it is bounded in bytes and records; what does not fit is dropped, counted by the caller, and
comes again by anti-entropy. Knows no signatures: whatever waits here has been verified.
"""

import heapq
from collections import OrderedDict
from math import inf

from gossipnet.ids import LogId
from gossipnet.state.clock import QUARANTINE_MS, stamp_ms
from gossipnet.state.logs import Logs
from gossipnet.state.record import Record

HELD_RECORDS = 8192
HELD_BYTES = 16 << 20
QUARANTINED_RECORDS = 8192
RECENT_BYTES = 8 << 20


class Waiting:
    """Records that wait for others (held), or for their time (quarantined)."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._records: dict[LogId, dict[int, Record]] = {}
        self._needed: dict[LogId, list[tuple[int, LogId, int]]] = {}
        self._due: list[tuple[int, LogId, int]] = []
        self._early: set[tuple[LogId, int]] = set()
        self._bytes = 0
        self._count = 0

    @property
    def quarantined(self) -> int:
        """Records that wait for their time."""
        return len(self._early)

    @property
    def held(self) -> int:
        """Records that wait for others."""
        return self._count - len(self._early)

    def has(self, log: LogId, seq: int) -> bool:
        """Whether this record waits here."""
        return seq in self._records.get(log, ())

    def holes(self, log: LogId, first: int, last: int) -> list[tuple[LogId, int, int]]:
        """What of a range does not wait here."""
        waiting = self._records.get(log)
        if not waiting:
            return [(log, first, last)] if first <= last else []
        found: list[tuple[LogId, int, int]] = []
        at = first
        for seq in sorted(seq for seq in waiting if first <= seq <= last):
            if at < seq:
                found.append((log, at, seq - 1))
            at = seq + 1
        if at <= last:
            found.append((log, at, last))
        return found

    def too_early(self, record: Record, wall: float) -> bool:
        """Whether its stamp is further ahead than is tolerated."""
        return stamp_ms(record.stamp) > wall * 1000 + QUARANTINE_MS

    def hold(
        self, record: Record, *, quarantine: bool, needs: list[tuple[LogId, int, int]]
    ) -> bool:
        """Keep a record until `ready` or `due` gives it back; False if there is no room."""
        if self.has(record.log, record.seq):
            return True
        full = self._bytes + len(record.data) > HELD_BYTES
        if quarantine:
            full = full or self.quarantined >= QUARANTINED_RECORDS
        else:
            full = full or self.held >= HELD_RECORDS
        if full:
            return False
        self._records.setdefault(record.log, {})[record.seq] = record
        self._bytes += len(record.data)
        self._count += 1
        if quarantine:
            self._early.add((record.log, record.seq))
            due = stamp_ms(record.stamp) - QUARANTINE_MS
            heapq.heappush(self._due, (due, record.log, record.seq))
            return True
        for log, _first, last in needs[:1]:  # one is enough: the next is found when it comes
            heapq.heappush(self._needed.setdefault(log, []), (last, record.log, record.seq))
        return True

    def ready(self, log: LogId, seq: int) -> list[Record]:
        """What may be tried again now that record ``seq`` of ``log`` has been applied."""
        found: list[Record] = []
        follower = self._records.get(log, {}).get(seq + 1)
        if follower is not None:
            found.append(self._drop(follower))
        needed = self._needed.get(log)
        while needed and needed[0][0] <= seq:
            _seq, waiter, number = heapq.heappop(needed)
            record = self._records.get(waiter, {}).get(number)
            if record is not None:
                found.append(self._drop(record))
        if needed is not None and not needed:
            del self._needed[log]
        return found

    def freeze(self, log: LogId, at: int) -> list[Record]:
        """Forget what waits of a log from ``at`` on; what waited for that may be tried again."""
        for beyond in [r for seq, r in self._records.get(log, {}).items() if seq >= at]:
            self._drop(beyond)
        found: list[Record] = []
        for _last, waiter, number in self._needed.pop(log, []):
            record = self._records.get(waiter, {}).get(number)
            if record is not None:
                found.append(self._drop(record))
        return found

    def due(self, wall: float) -> list[Record]:
        """Quarantined records whose time has come."""
        found: list[Record] = []
        while self._due and self._due[0][0] <= wall * 1000:
            _due, log, seq = heapq.heappop(self._due)
            record = self._records.get(log, {}).get(seq)
            if record is not None:
                found.append(self._drop(record))
        return found

    def next_due(self) -> float:
        """Unix seconds, or infinity."""
        return self._due[0][0] / 1000 if self._due else inf

    def _drop(self, record: Record) -> Record:
        waiting = self._records[record.log]
        del waiting[record.seq]
        if not waiting:
            del self._records[record.log]
        self._early.discard((record.log, record.seq))
        self._bytes -= len(record.data)
        self._count -= 1
        return record


class Recent:
    """The newest records, so that a small gap is filled without the disk."""

    def __init__(self) -> None:
        self._records: OrderedDict[tuple[LogId, int], bytes] = OrderedDict()
        self._bytes = 0

    def put(self, log: LogId, seq: int, data: bytes) -> None:
        """Remember one; the oldest are forgotten."""
        self._records[log, seq] = data
        self._bytes += len(data) + 256
        while self._bytes > RECENT_BYTES:
            _key, old = self._records.popitem(last=False)
            self._bytes -= len(old) + 256

    def get(self, log: LogId, seq: int) -> bytes | None:
        """Its bytes, or None."""
        return self._records.get((log, seq))
