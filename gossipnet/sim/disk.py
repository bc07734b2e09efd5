"""A database in memory that forgets what was not synced when its machine crashes.

It keeps the promises of the real store and no more: commits that wait share one transaction, a
transaction is there whole or not at all, order is kept, and a read sees every commit asked for
before it. Under ``always`` a commit is acknowledged after its fsync; under ``every-second`` after
the write, so that a power failure takes back up to a second. Knows no engine.
"""

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator

from gossipnet.ids import LogId
from gossipnet.protocol.effects import Commit, Committed, LogRead, ReadLog, StoredRecord
from gossipnet.sim.world import World

MERGE_SECONDS = 0.05
"""How long a commit that nothing waits for may wait for others, as in the real store."""

SYNC_SECONDS = 1.0
"""Time between two fsyncs under ``every-second``."""

_Undo = tuple[int, dict[str, bytes | None]]


class Disk:
    """What one machine has on disk.

    Args:
      durability: ``always`` or ``every-second``.
      fsync: Least and greatest seconds of one fsync.

    Attributes:
      records: In the order in which they were committed.
      meta: Small named values.
      transactions: How many were made.
      lies: It acknowledges every fsync and carries it out within the second, as disks with a
        volatile cache do: see `begin_to_lie`.
    """

    def __init__(
        self,
        world: World,
        rng: random.Random,
        durability: str = "always",
        fsync: tuple[float, float] = (0.0005, 0.004),
    ) -> None:
        self._world = world
        self._rng = rng
        self.durability = durability
        self._fsync = fsync
        self.records: list[StoredRecord] = []
        self.meta: dict[str, bytes] = {}
        self.transactions = 0
        self.lies = False
        self._places: dict[LogId, tuple[list[int], list[int]]] = {}
        self._pending: list[Commit] = []
        self._running: list[Commit] = []
        self._unsynced: list[_Undo] = []
        self._due = False
        self._life = 0
        self._deliver: Callable[[Committed | LogRead], None] = lambda _done: None

    def open(self, deliver: Callable[[Committed | LogRead], None]) -> None:
        """A process takes the database over; it is told of everything that gets done."""
        self._deliver = deliver
        if self.durability == "every-second" or self.lies:
            self._world.after(SYNC_SECONDS, self._sync, self._life)

    # -- what the store does -------------------------------------------------------------------

    def commit(self, effect: Commit) -> None:
        """Queue one commit."""
        self._pending.append(effect)
        if effect.urgent:
            self._begin(self._life)
        elif not self._due:
            self._due = True
            self._world.after(MERGE_SECONDS, self._begin, self._life)

    def _begin(self, life: int) -> None:
        if life != self._life or self._running or not self._pending:
            return
        self._running, self._pending = self._pending, []
        self._due = False
        low, high = self._fsync
        seconds = low + (high - low) * self._rng.random()
        if self.durability != "always":
            seconds /= 10
        self._world.after(seconds, self._finish, life)

    def _finish(self, life: int) -> None:
        if life != self._life:
            return
        done, self._running = self._running, []
        self._write(done)
        self._deliver(Committed(done[-1].number))
        if self._pending and life == self._life:
            self._begin(life)

    def _write(self, commits: list[Commit]) -> None:
        self.transactions += 1
        undo: dict[str, bytes | None] = {}
        if self.durability != "always" or self.lies:
            self._unsynced.append((len(self.records), undo))
        for commit in commits:
            for record in commit.records:
                self._add(record)
            for name, value in commit.meta:
                undo.setdefault(name, self.meta.get(name))
                self._set(name, value)

    def _add(self, record: StoredRecord) -> None:
        seqs, places = self._places.setdefault(record.log, ([], []))
        if seqs and record.seq <= seqs[-1]:
            return  # the real table's primary key: stored once
        seqs.append(record.seq)
        places.append(len(self.records))
        self.records.append(record)

    def _set(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.meta.pop(name, None)
        else:
            self.meta[name] = value

    def chunks(self, log: LogId) -> Iterator[bytes]:
        """What is stored of an image."""
        _seqs, places = self._places.get(log, ([], []))
        return (self.records[place].data for place in places)

    def read(self, effect: ReadLog) -> None:
        """Answer after everything asked for so far is written."""
        self._begin(self._life)
        low, _high = self._fsync
        delay = low if not self._running else self._fsync[1] * 2
        self._world.after(delay, self._answer, self._life, effect)

    def _answer(self, life: int, effect: ReadLog) -> None:
        if life != self._life:
            return
        found: list[int] = []
        for log, first, last in effect.wanted:
            seqs, places = self._places.get(log, ([], []))
            start, end = bisect_left(seqs, first), bisect_left(seqs, last + 1)
            found.extend(place for place in places[start:end] if place >= effect.position)
        found.sort()
        size, chosen = 0, 0
        while chosen < len(found) and (chosen == 0 or size < effect.limit):
            size += len(self.records[found[chosen]].data)
            chosen += 1
        position = None if chosen == len(found) else found[chosen]
        records = tuple(self.records[place].data for place in found[:chosen])
        self._deliver(LogRead(effect.request, records, position))

    def _sync(self, life: int) -> None:
        if life == self._life:
            self._unsynced.clear()
            self._world.after(SYNC_SECONDS, self._sync, life)

    def begin_to_lie(self) -> None:
        """From now on fsyncs are lost by a power failure, and nobody can know."""
        self.lies = True
        self._world.after(SYNC_SECONDS, self._sync, self._life)

    # -- what befalls it -----------------------------------------------------------------------

    def crash(self, *, power: bool) -> bool:
        """The process died, or with ``power`` the machine; whether anything was taken back.

        Of what a disk that lies has taken back nobody is told.
        A transaction under way may or may not have reached the disk; what waited has not.
        """
        self._life += 1
        if self._running and self._rng.random() < 0.5:
            self._write(self._running)
        self._running, self._pending, self._due = [], [], False
        if not power or not self._unsynced:
            return False
        kept = self._rng.randrange(len(self._unsynced) + 1)
        lost = self._unsynced[kept:]
        for length, undo in reversed(lost):
            del self.records[length:]
            for name, value in undo.items():
                self._set(name, value)
        self._unsynced.clear()
        self._index()
        return bool(lost) and not self.lies

    def wipe(self) -> None:
        """The disk was replaced by an empty one."""
        self._life += 1
        self._running, self._pending, self._due = [], [], False
        self.records.clear()
        self.meta.clear()
        self._unsynced.clear()
        self._index()

    def _index(self) -> None:
        kept, self.records = self.records, []
        self._places.clear()
        for record in kept:
            self._add(record)
