"""Group commit as the engine sees it: numbers, tickets, and what waits for the disk.

Own operations become one signed record per commit. At most two commits that somebody waits for are
under way, so that under load batches grow instead of queues. Own records leave this node only after
their commit; others' records were forwarded already and may take their time. This module
knows no links: what is committed is handed to whoever asked for it.
"""

from collections import deque
from collections.abc import Callable, Iterable

from gossipnet.ids import LogId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Commit, StoredRecord
from gossipnet.state.replica import AppliedRecord, Replica

URGENT_AT_ONCE = 2
"""Commits under way that somebody waits for: one on the disk, one that follows it at once."""

WAITING_BYTES = 1 << 20
"""Others' records that wait for room; more than this is handed out."""

CONGESTED_BYTES = 16 << 20
"""More than this waits for the disk: no records are taken from peers until it has caught up. Links
are still read, for a node whose disk is slow or full is not dead, and neither are its peers."""


class Commits:
    """Turns what happened in a turn into `Commit` effects.

    Attributes:
      issued: Number of the last commit that was handed out; 0 before the first.
      committed: Everything up to this number is durable.
    """

    def __init__(self, context: Context, replica: Replica) -> None:
        self._context = context
        self._replica = replica
        self._waiting: list[StoredRecord] = []
        self._waiting_bytes = 0
        self._clear: list[tuple[LogId, int]] = []
        self._urgent_meta = False
        self._last_awaited = 0
        self._urgent: deque[int] = deque()
        self._own: deque[tuple[int, list[AppliedRecord]]] = deque()
        self._actions: deque[tuple[int, Callable[[], None]]] = deque()
        self._durable: dict[LogId, int] = {}
        self._sizes: deque[tuple[int, int]] = deque()
        self._under_way = 0
        self.issued = 0
        self.committed = 0
        # Set by the engine.
        self.durable: Callable[[list[AppliedRecord]], None] = lambda _records: None

    @property
    def idle(self) -> bool:
        """Whether all there is to store is durable."""
        return self.committed == self.issued and not self._waiting and not self._replica.dirty

    @property
    def congested(self) -> bool:
        """Whether so much waits for the disk that nothing more should be taken from peers."""
        return self._under_way + self._waiting_bytes > CONGESTED_BYTES

    @property
    def backlog(self) -> int:
        """Bytes of records that wait for the disk, own ones that wait for their turn included."""
        return self._under_way + self._waiting_bytes + self._replica.unstored_bytes

    # -- what is to be stored ------------------------------------------------------------------

    def foreign(self, records: Iterable[AppliedRecord]) -> None:
        """Store others' records, applied in this order, with the next commit."""
        for record in records:
            self._waiting.append(StoredRecord(record.log, record.seq, record.data))
            self._waiting_bytes += len(record.data)
            if record.log in self._durable:  # an own log of an earlier epoch, from elsewhere
                self._durable[record.log] = record.seq

    def write_log(self, log: LogId) -> None:
        """This node writes that log from now on; what is in it now is durable."""
        self._durable[log] = self._replica.head(log)

    def clear(self, ranges: Iterable[tuple[LogId, int]]) -> None:
        """Records up to these are not needed once what was said so far is durable."""
        self._clear += ranges
        self._urgent_meta = True

    def hurry(self) -> None:
        """Somebody waits for the names that were put into ``context.meta``."""
        self._urgent_meta = True

    def then(self, action: Callable[[], None]) -> None:
        """Run ``action`` when everything said so far is durable."""
        self._urgent_meta = True
        self._actions.append((self.issued + 1, action))

    def ticket(self) -> int:
        """Number of the commit that holds, or will hold, everything written so far.

        A read or a write without effect gets the last number anybody waits for, so that what it
        saw is durable before it is answered.
        """
        if self._replica.dirty or self._urgent_meta:
            return self.issued + 1
        return self._last_awaited

    def sendable(self, log: LogId, head: int) -> int:
        """The head of a log as far as it may leave this node: own records only once durable."""
        return min(head, self._durable.get(log, head))

    # -- turns ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Hand out a commit if there is something to store and room for it.

        While operations wait for room nothing else is handed out either: the next number is
        theirs (`ticket`), and others' records lose nothing by waiting.
        """
        awaited = self._replica.dirty or self._urgent_meta
        if not awaited and not self._waiting and not self._context.meta:
            return
        full = len(self._urgent) >= URGENT_AT_ONCE
        if awaited and full and self._waiting_bytes < WAITING_BYTES:
            return
        own = self._replica.seal(self._context.wall) if self._replica.dirty else []
        records, self._waiting, self._waiting_bytes = self._waiting, [], 0
        records.extend(StoredRecord(r.log, r.seq, r.data) for r in own)
        meta = tuple(self._context.meta.items())
        self._context.meta.clear()
        self.issued += 1
        size = sum(len(record.data) for record in records)
        self._sizes.append((self.issued, size))
        self._under_way += size
        if own:
            self._own.append((self.issued, own))
        if awaited:
            self._urgent_meta = False
            self._urgent.append(self.issued)
            self._last_awaited = self.issued
        clear, self._clear = tuple(self._clear), []
        self._context.effects.append(Commit(self.issued, tuple(records), meta, awaited, clear))

    def done(self, number: int) -> None:
        """Everything up to ``number`` is durable."""
        self.committed = max(self.committed, min(number, self.issued))
        while self._sizes and self._sizes[0][0] <= self.committed:
            self._under_way -= self._sizes.popleft()[1]
        while self._urgent and self._urgent[0] <= self.committed:
            self._urgent.popleft()
        ready: list[AppliedRecord] = []
        while self._own and self._own[0][0] <= self.committed:
            ready.extend(self._own.popleft()[1])
        for record in ready:
            self._durable[record.log] = record.seq
        if ready:
            self.durable(ready)
        while self._actions and self._actions[0][0] <= self.committed:
            self._actions.popleft()[1]()
