"""The writer thread: group commit of records, and reading them back, off the event loop.

One thread owns the database. Commits and log reads enter one queue and are carried out in that
order, so that a read sees every commit asked for before it. Whatever waits when the thread comes
round goes into one transaction, which ends in one fsync (Redis calls the same ``appendfsync
always`` with group commit). Completions come back over a pipe that one trio task waits on: about
90 us for the whole round trip when idle, where `trio.to_thread` takes 210 and
`TrioToken.run_sync_soon` 130 (2-core machine, Python 3.11; benchmarks/store_hop.py).

Durability ``always``: `Committed` means fsynced. ``every-second``: it means written to the WAL,
which survives the death of the process; the WAL is fsynced within a second, so a power failure
costs at most the last second.

When the disk is full, nothing is acknowledged, what waits is kept and tried again each second.
When the disk fails (EIO, above all from fsync), nothing is tried again: the kernel may have
dropped the pages and would report success the next time (https://lwn.net/Articles/752063/).

Knows nothing of what a record means, of links, or of the engine beyond its effects.
"""

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import trio

from gossipnet.errors import StoreError
from gossipnet.ids import LogId
from gossipnet.io.database import Database
from gossipnet.io.disk_errors import WriteDeferred, explain
from gossipnet.io.log_reading import read_log
from gossipnet.protocol.effects import Commit, Committed, LogRead, ReadLog

MERGE_SECONDS = 0.05
"""How long a commit that nothing waits for may wait for others to share its fsync."""
GATHER_ABOVE = 0.008
GATHER_SHARE = 1 / 16
"""After a transaction of at least so many seconds the next one waits for this share of its time:
the writers that were just answered come again, and two crowds that would take turns become one.
With 200 ms for an fsync that doubles what 20 clients write; a quick disk is never waited for."""
SYNC_SECONDS = 1.0
"""The most that ``every-second`` can lose to a power failure."""
RETRY_SECONDS = 1.0
CHECKPOINT_BYTES = 8 << 20
"""About this much WAL between two checkpoints."""
CONGESTED_BYTES = 32 << 20
"""Waiting commits above this stop the reading of links until the disk has caught up: the last
resort, for the engine takes no more records long before."""
CLEAR_ROWS = 500
"""Rows deleted in one transaction, between two commits."""
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Deferred:
    """Commits wait, or no longer do.

    Attributes:
      reason: One sentence; "" when they no longer wait.
    """

    reason: str


Deliver = Callable[[Committed | LogRead | Deferred], None]


class Store:
    """Group commit over one `Database`, which it owns from `start` to `stop`.

    Args:
      database: Open, and used by nobody else from now on.
      durability: ``always`` or ``every-second``.

    Attributes:
      deferred: Why commits wait (a full disk), or "" when they do not.
      commits: Engine commits made durable.
      transactions: SQLite transactions they took.
      backlog: Bytes of records that wait for a commit.
    """

    def __init__(self, database: Database, durability: str) -> None:
        assert durability in ("always", "every-second")
        self._database = database
        self._lazy_sync = durability == "every-second"
        self._queue: SimpleQueue[Commit | ReadLog | None] = SimpleQueue()
        self._done: deque[Committed | LogRead | Deferred | Exception] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._sizes: deque[tuple[int, int]] = deque()
        self._room = trio.Event()
        self._started = False
        self._failed = False
        self._stopping = False
        self._final: tuple[tuple[str, bytes | None], ...] = ()
        self.deferred = ""
        self.commits = 0
        self.transactions = 0
        self.backlog = 0
        # What follows belongs to the thread.
        self._pending: list[Commit] = []
        self._clearing: deque[tuple[LogId, int]] = deque()
        self._why_deferred = ""
        self._due = 0.0
        self._gather_until = 0.0
        self._sync_due = 0.0
        self._wal_bytes = 0
        self._wal_fd = -1

    # ------------------------------------------------------------ the loop's side

    def start(self) -> None:
        """Hand the database to the thread."""
        self._database.set_synchronous("NORMAL" if self._lazy_sync else "FULL")
        self._started = True
        self._thread.start()

    def commit(self, effect: Commit) -> None:
        """Queue one commit; `run` delivers its `Committed`."""
        size = sum(len(record.data) for record in effect.records)
        self._sizes.append((effect.number, size))
        self.backlog += size
        self._queue.put(effect)

    def read(self, effect: ReadLog) -> None:
        """Queue one read; `run` delivers its `LogRead`."""
        self._queue.put(effect)

    @property
    def congested(self) -> bool:
        """Whether so much waits for the disk that nothing more should be taken from links."""
        return self.backlog > CONGESTED_BYTES

    def room(self) -> trio.Event | None:
        """None, or while `congested` what is set when it no longer is."""
        return self._room if self.congested else None

    async def run(
        self,
        deliver: Deliver,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Deliver completions until cancelled.

        Raises:
          StoreError: The disk failed. Nothing more was or will be acknowledged.
        """
        task_status.started()
        while True:
            await trio.lowlevel.wait_readable(self._wake_read)
            os.read(self._wake_read, 4096)
            while self._done:
                done = self._done.popleft()
                if isinstance(done, Exception):
                    raise done
                if isinstance(done, Deferred):
                    self.deferred = done.reason
                elif isinstance(done, Committed):
                    self._release(done.number)
                deliver(done)

    async def stop(self, final: Sequence[tuple[str, bytes | None]] = ()) -> None:
        """Commit what waits and ``final`` with an fsync, close the file, end the thread.

        Not cancellable: what is acknowledged must be on disk before the process ends. A full
        disk is not waited for; what it keeps from being written was never acknowledged.

        Raises:
          StoreError: The last commit failed.
        """
        self._final = tuple(final)
        self._stopping = True
        self._queue.put(None)
        if self._started:
            with trio.CancelScope(shield=True):
                # A limiter of its own: look-ups that hang may hold all the others.
                await trio.to_thread.run_sync(self._thread.join, limiter=trio.CapacityLimiter(1))
        else:
            self._database.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        for done in self._done:
            if isinstance(done, Exception):
                raise done

    def _release(self, number: int) -> None:
        while self._sizes and self._sizes[0][0] <= number:
            self.backlog -= self._sizes.popleft()[1]
        if not self.congested:
            self._room.set()
            self._room = trio.Event()

    # ------------------------------------------------------------ the thread's side

    def _work(self) -> None:
        try:
            while self._serve(self._take()):
                pass
            self._finish()
        except Exception as error:  # a bug in this thread must end the daemon, not hang it
            self._failed = True
            self._complete(error)
        finally:
            if self._wal_fd >= 0:
                os.close(self._wal_fd)
            self._close_database()

    def _take(self) -> list[Commit | ReadLog | None]:
        """Everything queued, or nothing when some deadline came first."""
        waits = [due for due in (self._due if self._pending else 0.0, self._sync_due) if due]
        timeout = max(0.0, min(waits) - time.monotonic()) if waits else None
        if self._clearing and not self._pending:
            timeout = 0.0
        jobs: list[Commit | ReadLog | None] = []
        try:
            jobs.append(self._queue.get(timeout=timeout))
            while True:
                jobs.append(self._queue.get_nowait())
        except Empty:
            return jobs

    def _serve(self, jobs: Sequence[Commit | ReadLog | None]) -> bool:
        """Carry out ``jobs`` in order; False when the last one said to stop."""
        go_on = True
        for job in jobs:
            if isinstance(job, Commit):
                self._add(job)
            elif isinstance(job, ReadLog):
                if self._pending and not self._why_deferred:
                    self._commit()
                self._answer(job)
            else:
                go_on = False
        now = time.monotonic()
        if self._pending and now >= self._due:
            self._commit()
        if self._sync_due and now >= self._sync_due:
            self._sync_wal()
        if self._clearing and not self._pending:
            self._clear()
        return go_on

    def _clear(self) -> None:
        """Delete some of what is not needed; a crash leaves the rest for the next start."""
        log, last = self._clearing[0]
        try:
            deleted, pages = self._database.clear(log, last, CLEAR_ROWS)
        except WriteDeferred as error:
            self._defer(str(error))
            self._clearing.clear()
            return
        self._wal_bytes += pages * _PAGE
        if deleted < CLEAR_ROWS:
            self._clearing.popleft()
        if self._wal_bytes >= CHECKPOINT_BYTES:
            self._checkpoint()

    def _add(self, commit: Commit) -> None:
        if not self._pending:
            self._due = time.monotonic() + MERGE_SECONDS
        self._pending.append(commit)
        if commit.urgent and not self._why_deferred:
            self._due = min(self._due, self._gather_until)

    def _commit(self) -> None:
        """One transaction for all that waits, then one completion for all of it."""
        began = time.monotonic()
        try:
            self._database.write(self._pending)
        except WriteDeferred as error:
            self._defer(str(error))
            self._due = time.monotonic() + RETRY_SECONDS
            return
        self._defer("")
        ended = time.monotonic()
        if ended - began >= GATHER_ABOVE:
            self._gather_until = ended + min(MERGE_SECONDS, (ended - began) * GATHER_SHARE)
        self.commits += len(self._pending)
        self.transactions += 1
        written = sum(len(r.data) + 64 for commit in self._pending for r in commit.records)
        # Every transaction writes whole pages: at least a leaf of the table and one of the index.
        self._wal_bytes += written + 3 * _PAGE
        self._complete(Committed(self._pending[-1].number))
        self._clearing.extend(cleared for commit in self._pending for cleared in commit.clear)
        self._pending = []
        if self._lazy_sync and not self._sync_due:
            self._sync_due = time.monotonic() + SYNC_SECONDS
        if self._wal_bytes >= CHECKPOINT_BYTES:
            self._checkpoint()

    def _defer(self, why: str) -> None:
        if why != self._why_deferred:
            self._why_deferred = why
            self._complete(Deferred(why))

    def _checkpoint(self) -> None:
        self._wal_bytes = 0
        try:
            self._database.checkpoint()
        except WriteDeferred:  # the WAL holds it all; the next one tries again
            return

    def _sync_wal(self) -> None:
        """Fsync the WAL alone: a checkpoint each second would write every page twice."""
        self._sync_due = 0.0
        try:
            if self._wal_fd < 0:
                # Safe to open and close beside SQLite: its locks are on the other two files.
                path = self._database.path
                self._wal_fd = os.open(f"{path}-wal", os.O_RDWR | os.O_CLOEXEC)
            os.fsync(self._wal_fd)
        except OSError as error:
            raise StoreError(
                f"the disk of {self._database.path} failed ({error.strerror}) when the last second "
                "was to be made durable: check the disk, then start again"
            ) from error

    def _answer(self, read: ReadLog) -> None:
        try:
            records, position = read_log(self._database, read)
        except sqlite3.Error as error:
            raise explain(error, self._database.path) from error
        self._complete(LogRead(read.request, tuple(records), position))

    def _finish(self) -> None:
        """The last transaction: fsynced whatever the durability, so that a clean stop is clean."""
        self._database.set_synchronous("FULL")
        self._pending.append(Commit(0, (), self._final, urgent=True))
        self._database.write(self._pending)
        if self._lazy_sync:
            self._sync_wal()
        with suppress(WriteDeferred):  # no room to move it, but the WAL holds it all
            self._database.checkpoint()

    def _close_database(self) -> None:
        try:
            self._database.close()
        except StoreError as error:
            if not self._failed:
                self._complete(error)

    def _complete(self, done: Committed | LogRead | Deferred | Exception) -> None:
        self._done.append(done)
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:
            return  # the pipe is full, so the loop is awake already
