"""Applying stored records once more, to an empty table of keys, up to some vector.

Records come in the order in which they were once applied, which is a causal one; before them comes
the image that this replica's records go on from, if there is one. Void records are skipped, so what
comes out is what a replica holds that knew of all revocations first. Whoever drives this reads the
disk.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gossipnet.identity.trust import Trust
from gossipnet.ids import LogId
from gossipnet.state import record
from gossipnet.state.authority import may_write, renew_author
from gossipnet.state.body import (
    Body,
    decode_body_untrusted,
)
from gossipnet.state.image_read import ImageReader
from gossipnet.state.image_rows import MARK
from gossipnet.state.logs import Log
from gossipnet.state.operations import (
    KEYLESS,
    OpenLog,
)
from gossipnet.state.record import Record

if TYPE_CHECKING:
    from gossipnet.state.replica import Replica

Wanted = list[tuple[LogId, int, int]]


class Replay:
    """One run.

    Args:
      replica: Whose records.
      trust: The mesh.
      keys: Which keys to compute; None for all.
      told: Given every record that has effect, with its body.

    Attributes:
      keys: Which keys to compute; None for all.
      fresh: The table.
      replayed: Bytes of records applied.
    """

    def __init__(
        self,
        replica: "Replica",
        trust: Trust,
        keys: set[bytes] | None,
        told: Callable[[Record, Body], None] | None = None,
    ) -> None:
        self._told = told
        self._replica = replica
        self._trust = trust
        self.keys = keys
        self.fresh = replica.keyspace.blank()
        self.replayed = 0
        self._done: dict[LogId, int] = {}
        self._authors: dict[LogId, Log] = {}
        self._newest: dict[LogId, Record] = {}
        self._reader: ImageReader | None = None
        self._chunks = 0
        self._base = replica.image

    def upto(self, log: Log) -> int:
        """How far to go in a log."""
        return log.head

    def left(self) -> Wanted:
        """What to feed next: the image, then records; [] when all is done."""
        base = self._base
        if base is not None and self._chunks < base.count:
            return [(base.log, self._chunks + 1, base.count)]
        return [
            (log.id, done + 1, upto)
            for log in self._replica.logs.by_number
            if (done := self._done.get(log.id, log.base)) < (upto := self.upto(log))
        ]

    def feed_chunk(self, data: bytes) -> None:
        """The next chunk of the image."""
        assert self._base is not None
        if self._reader is None:
            numbers = [self._replica.logs.by_id[log].number for log in self._base.logs]
            self._reader = ImageReader(self.fresh, self._replica.logs, numbers, self.keys)
        self._reader.read(data)
        self._chunks += 1

    def feed(self, data: bytes) -> None:
        """One row of what `left` asked for."""
        if data[0] == MARK:
            self.feed_chunk(data)
            return
        self.take(record.parse_untrusted(data))

    def take(self, taken: Record) -> bool:
        """Apply a record to the fresh table; False if it is not its turn yet."""
        done = self._done
        logs = self._replica.logs
        log = logs.by_id.get(taken.log)
        if log is None:
            return True
        at, end = done.get(taken.log, log.base), min(log.frozen_at, self.upto(log) + 1)
        if taken.seq != at + 1 or taken.seq >= end:
            return taken.seq <= at or taken.seq >= end
        body = decode_body_untrusted(taken.body)
        for other, seq in body.logs:
            known = logs.by_id.get(LogId(other))
            here = 0 if known is None else done.get(LogId(other), known.base)
            if logs.needed(LogId(other), seq) > here:
                return False
        done[taken.log] = taken.seq
        self.replayed += len(taken.data)
        self._newest[taken.log] = taken
        author = self._author(log, body)
        renew_author(author, body, self._trust)
        if taken.seq >= log.void_from or not may_write(author, taken, body):
            return True
        if self._told is not None:
            self._told(taken, body)
        if self.keys is not None and self.keys.isdisjoint(keys_of(body)):
            return True
        by_id = logs.by_id
        table = [log.number, *(by_id[LogId(other)].number for other, _seq in body.logs)]
        for place, operation in enumerate(body.operations):
            if self.keys is None or getattr(operation, "key", None) in self.keys:
                self._replica.poison.apply(self.fresh.apply, operation, table, taken.seq, place)
        return True

    def _author(self, log: Log, body: Body) -> Log:
        """The author as it stood at this point of its log: certificates change along it."""
        author = self._authors.get(log.id)
        if author is None:
            if log.base:
                chain = log.base_chain
            else:
                opening = body.operations[0]
                assert isinstance(opening, OpenLog)
                chain = tuple(opening.chain)
            certificate = self._trust.verify_past_chain(chain)
            author = Log(log.number, log.id, log.public_key, log.author, certificate, chain)
            self._authors[log.id] = author
        return author


def keys_of(body: Body) -> Iterable[bytes]:
    """The keys that a record's operations are about."""
    return (operation.key for operation in body.operations if not isinstance(operation, KEYLESS))
