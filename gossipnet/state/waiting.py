"""Records that came before their time, and records that may be asked for again soon.

All of it is bounded in bytes and records, and shared by authors: when there is no room, the author
of whom most waits makes some, so that nobody can keep others' records out. What is dropped is
counted by the caller, and comes again by anti-entropy. Knows no signatures: whatever waits here
has been verified, and its author is certified.
"""

import heapq
from collections import OrderedDict
from collections.abc import Sequence
from math import inf

from gossipnet.ids import LogId
from gossipnet.state.clock import QUARANTINE_MS, stamp_ms
from gossipnet.state.logs import Logs
from gossipnet.state.record import Record

HELD_RECORDS = 8192
HELD_BYTES = 8 << 20
"""Of what waits for others, and as much again of what waits for its time."""
QUARANTINED_RECORDS = 8192
RECENT_BYTES = 8 << 20
_SLACK = 1024

_Place = tuple[LogId, int]
Gaps = Sequence[tuple[LogId, int, int]]
"""Log, first and last."""


class _Share:
    """What waits of one author, in the order in which it came."""

    __slots__ = ("places", "size")

    def __init__(self) -> None:
        self.places: dict[_Place, int] = {}
        self.size = 0


class _Pool:
    """A bounded number of records and bytes, shared by authors."""

    def __init__(self) -> None:
        self._shares: dict[bytes, _Share] = {}
        self._owners: dict[_Place, bytes] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._owners)

    def __contains__(self, place: _Place) -> bool:
        return place in self._owners

    def add(self, place: _Place, author: bytes, size: int) -> None:
        share = self._shares.setdefault(author, _Share())
        share.places[place] = size
        share.size += size
        self._owners[place] = author
        self._size += size

    def remove(self, place: _Place) -> None:
        author = self._owners.pop(place)
        share = self._shares[author]
        size = share.places.pop(place)
        share.size -= size
        self._size -= size
        if not share.places:
            del self._shares[author]

    def in_the_way(self, author: bytes, size: int, records: int) -> _Place | None:
        """What has to go so that a record of ``author`` fits: the record itself if it is (b"", 0).

        None when there is room.
        """
        crowded = len(self) >= records
        if not crowded and self._size + size <= HELD_BYTES:
            return None
        greedy = max(
            self._shares.values(), key=lambda s: len(s.places) if crowded else s.size, default=None
        )
        mine = self._shares.get(author, _Share())
        if greedy is None or greedy is mine:
            return _ITSELF
        if crowded and len(mine.places) + 1 >= len(greedy.places):
            return _ITSELF
        if not crowded and mine.size + size >= greedy.size:
            return _ITSELF
        return next(reversed(greedy.places))


_ITSELF: _Place = (LogId(b""), 0)


class Waiting:
    """Records that wait for others (held), or for their time (quarantined).

    Attributes:
      evicted: Records that made room for others' so far.
    """

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._records: dict[LogId, dict[int, Record]] = {}
        self._needed: dict[LogId, list[tuple[int, LogId, int]]] = {}
        self._due: list[tuple[int, LogId, int]] = []
        self._why: dict[_Place, tuple[LogId, int] | int | None] = {}
        self._entries = 0
        self._held = _Pool()
        self._early = _Pool()
        self.evicted = 0

    @property
    def quarantined(self) -> int:
        """Records that wait for their time."""
        return len(self._early)

    @property
    def held(self) -> int:
        """Records that wait for others."""
        return len(self._held)

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
        self,
        record: Record,
        author: bytes,
        *,
        quarantine: bool,
        needs: Gaps,
    ) -> bool:
        """Keep a record until `ready` or `due` gives it back; False if there is no room.

        Args:
          record: Verified.
          author: Whose share it takes.
          quarantine: It waits for its time, else for other records.
          needs: Those, with the range that is missing.
        """
        place = (record.log, record.seq)
        if self.has(*place):
            return True
        pool, most = (
            (self._early, QUARANTINED_RECORDS) if quarantine else (self._held, HELD_RECORDS)
        )
        while (victim := pool.in_the_way(author, len(record.data), most)) is not None:
            if victim == _ITSELF:
                return False
            self._drop(self._records[victim[0]][victim[1]])
            self.evicted += 1
        self._records.setdefault(record.log, {})[record.seq] = record
        pool.add(place, author, len(record.data))
        if quarantine:
            self._why[place] = stamp_ms(record.stamp) - QUARANTINE_MS
        else:  # one is enough: the next is found when it comes
            self._why[place] = (needs[0][0], needs[0][2]) if needs else None
        self._enter(place)
        if self._entries > 2 * len(self._why) + _SLACK:
            self._sweep()
        return True

    def _enter(self, place: _Place) -> None:
        """Have `due` or `ready` find it."""
        why = self._why[place]
        if isinstance(why, int):
            heapq.heappush(self._due, (why, *place))
        elif why is not None:
            heapq.heappush(self._needed.setdefault(why[0], []), (why[1], *place))
        else:
            return
        self._entries += 1

    def _sweep(self) -> None:
        """Forget the entries of what was dropped."""
        self._needed.clear()
        self._due.clear()
        self._entries = 0
        for place in self._why:
            self._enter(place)

    def ready(self, log: LogId, seq: int) -> list[Record]:
        """What may be tried again now that record ``seq`` of ``log`` has been applied."""
        found: list[Record] = []
        follower = self._records.get(log, {}).get(seq + 1)
        if follower is not None:
            found.append(self._drop(follower))
        needed = self._needed.get(log)
        while needed and needed[0][0] <= seq:
            _seq, waiter, number = heapq.heappop(needed)
            self._entries -= 1
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
            self._entries -= 1
            record = self._records.get(waiter, {}).get(number)
            if record is not None:
                found.append(self._drop(record))
        return found

    def due(self, wall: float) -> list[Record]:
        """Quarantined records whose time has come."""
        found: list[Record] = []
        while self._due and self._due[0][0] <= wall * 1000:
            _due, log, seq = heapq.heappop(self._due)
            self._entries -= 1
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
        place = (record.log, record.seq)
        (self._early if place in self._early else self._held).remove(place)
        del self._why[place]
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
