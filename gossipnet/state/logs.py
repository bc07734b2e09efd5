"""Every author's logs, as this replica knows them: heads, hashes, stamps, certificates.

Each log gets a small local number, in the order in which logs became known; dots are packed with
it. Knows nothing of operations on keys.
"""

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.revocations import NEVER
from gossipnet.identity.trust import Step
from gossipnet.ids import LogId, NodeId, node_id

LOGS_MAX = 16_384
HASH_BYTES = 16
"""Kept of every record's hash. Two records that share them cost their author 2^64 tries."""
LOGS_PER_AUTHOR = 256
"""Epochs of one author: each restore from a backup opens one; a loop of them is an attack."""


@dataclass(slots=True)
class Log:
    """One incarnation of one author's log.

    Attributes:
      number: Local number, for dots.
      id: Its id everywhere.
      public_key: The author's.
      author: The author's node id.
      certificate: The newest that the log itself carries.
      chain: The same with its issuers, as received.
      head: Sequence number of the newest record applied.
      head_hash: Its hash.
      base: Records up to this number have been cleared: what is left of them is in an image.
      base_stamp, base_hash: Stamp and hash of that record.
      base_chain: Its author's certificates there.
      base_voids: First and last of those of them that have no effect, once and for all.
      kept: Numbers and stamps of cleared records of which anything was left, by number.
      stamps: Stamp of every record after `base` (8 bytes a record).
      hashes: First `HASH_BYTES` of their hashes, so that a second one is noticed.
      epoch: Which of its author's logs it is, u32.
      frozen_at: It was forked: this number was given twice, and it ends before; see `freezing`.
      void_from: First sequence number without effect; see `voids`.
      steps: Steps of all its certificate chains, with the record that brought each first.
      full_from: It holds more steps than may be from this record on, which has no effect.
      noted: The chain that was looked at last.
    """

    number: int
    id: LogId
    public_key: bytes
    author: NodeId
    certificate: Certificate
    chain: tuple[bytes, ...]
    head: int = 0
    head_hash: bytes = bytes(32)
    base: int = 0
    base_stamp: int = 0
    base_hash: bytes = bytes(32)
    base_chain: tuple[bytes, ...] = ()
    base_voids: tuple[tuple[int, int], ...] = ()
    kept: "tuple[array[int], array[int]]" = field(default_factory=lambda: (array("Q"), array("Q")))
    stamps: "array[int]" = field(default_factory=lambda: array("Q"))
    hashes: bytearray = field(default_factory=bytearray)
    epoch: int = 0
    frozen_at: int = NEVER
    void_from: int = NEVER
    steps: dict[Step, int] = field(default_factory=dict)
    full_from: int = NEVER
    noted: tuple[bytes, ...] = ()

    @property
    def last_stamp(self) -> int:
        """Stamp of the newest record, 0 before the first."""
        return self.stamps[self.head - 1 - self.base] if self.head > self.base else self.base_stamp

    def hash_of(self, seq: int) -> bytes:
        """First `HASH_BYTES` of the hash of record ``seq``; zeros for 0 and what was cleared."""
        if seq <= self.base:
            return self.base_hash[:HASH_BYTES] if seq == self.base else bytes(HASH_BYTES)
        at = (seq - 1 - self.base) * HASH_BYTES
        return bytes(self.hashes[at : at + HASH_BYTES])

    def stamp_of(self, seq: int) -> int:
        """The stamp of a record; 0 where nothing was left of it when it was cleared."""
        if seq > self.base:
            return self.stamps[seq - 1 - self.base]
        numbers, stamps = self.kept
        at = bisect_left(numbers, seq)
        return stamps[at] if at < len(numbers) and numbers[at] == seq else 0

    def is_void(self, seq: int) -> bool:
        """Whether a record has no effect."""
        if seq > self.base:
            return seq >= self.void_from
        return any(first <= seq <= last for first, last in self.base_voids)

    def voids_to(self, seq: int) -> tuple[tuple[int, int], ...]:
        """What `base_voids` would be, were everything up to ``seq`` cleared."""
        first = max(self.void_from, self.base + 1)
        return self.base_voids if first > seq else (*self.base_voids, (first, seq))

    def clear(
        self,
        base: int,
        base_hash: bytes,
        base_stamp: int,
        base_voids: tuple[tuple[int, int], ...],
        kept: "tuple[array[int], array[int]]",
    ) -> None:
        """Forget what was known of the records up to ``base``, which have been applied."""
        gone = base - self.base
        del self.stamps[:gone]
        del self.hashes[: gone * HASH_BYTES]
        self.base, self.base_hash, self.base_stamp = base, base_hash, base_stamp
        self.base_voids, self.kept = base_voids, kept
        self.void_from = max(self.void_from, base + 1)
        self.frozen_at = max(self.frozen_at, base + 1)


class Logs:
    """The version vector, and what it takes to extend it.

    Attributes:
      total: Records applied, of all logs.
      changes: Rises with every change of the vector.
    """

    def __init__(self) -> None:
        self.by_id: dict[LogId, Log] = {}
        self.by_number: list[Log] = []
        self.total = 0
        self.changes = 0
        self._per_author: dict[NodeId, int] = {}
        self._sum = 0
        self.on_new: Callable[[Log], None] | None = None

    def open(
        self,
        log: LogId,
        public_key: bytes,
        certificate: Certificate,
        chain: tuple[bytes, ...],
        epoch: int = 0,
        *,
        trusted: bool = False,
    ) -> Log:
        """Make room for a log whose first record is about to be applied.

        Raises:
          RemoteProtocolError: ``too-many-logs``.
        """
        author = node_id(public_key)
        known = self.by_id.get(log)
        if known is not None:  # a fork of it was proved before any of its records was here
            known.certificate, known.chain, known.noted = certificate, chain, ()
            return known
        full = len(self.by_number) >= LOGS_MAX or (
            self._per_author.get(author, 0) >= LOGS_PER_AUTHOR
        )
        if full and not trusted:
            raise RemoteProtocolError("too-many-logs")
        opened = Log(len(self.by_number), log, public_key, author, certificate, chain, epoch=epoch)
        self.by_id[log] = opened
        self.by_number.append(opened)
        self._per_author[author] = self._per_author.get(author, 0) + 1
        return opened

    def advance(self, log: Log, record_hash: bytes) -> None:
        """Note that the next record of ``log``, whose stamp is noted already, was applied."""
        self._count(log, -1)
        log.head += 1
        log.head_hash = record_hash
        log.hashes += record_hash[:HASH_BYTES]
        self._count(log, 1)
        self.total += 1

    def jump(self, log: Log, head: int, head_hash: bytes) -> None:
        """Go on behind a record that was cleared before it came here; `Log.clear` follows."""
        self._count(log, -1)
        self.total += head - log.head
        log.head, log.head_hash = head, head_hash
        log.stamps, log.hashes, log.base = array("Q"), bytearray(), head
        log.base_hash = head_hash
        self._count(log, 1)

    def freeze(self, log: Log, at: int) -> None:
        """End a log before number ``at``, whatever was applied of it."""
        log.frozen_at = min(log.frozen_at, max(at, log.base + 1))
        beyond = log.head - (log.frozen_at - 1)
        if beyond > 0:
            self._count(log, -1)
            log.head = log.frozen_at - 1
            log.head_hash = log.hash_of(log.head).ljust(32, b"\0")  # nothing will follow it
            self._count(log, 1)
            self.total -= beyond
        self.changes += 1

    def needed(self, log: LogId, seq: int) -> int:
        """How far a log must be here for a record that depends on it up to ``seq``."""
        known = self.by_id.get(log)
        return seq if known is None else min(seq, known.frozen_at - 1)

    def _count(self, log: Log, sign: int) -> None:
        self.changes += 1
        if log.head:
            number = _head_number(log.id, log.head, log.hash_of(log.head))
            self._sum = (self._sum + sign * number) & _MASK

    def begun(self, log: LogId) -> Log | None:
        """A log of which there is any record, or None."""
        known = self.by_id.get(log)
        return known if known is not None and known.head else None

    def of_author(self, author: NodeId) -> list[tuple[LogId, int, bytes]]:
        """(log, head, hash of the head) of every log of one author that has any record."""
        return [
            (log.id, log.head, log.head_hash)
            for log in self.by_number
            if log.author == author and log.head
        ]

    def head(self, log: LogId) -> int:
        """Sequence number of the newest record applied, 0 for none."""
        known = self.by_id.get(log)
        return 0 if known is None else known.head

    def vector(self) -> dict[LogId, int]:
        """Heads of all logs that have any record."""
        return {log.id: log.head for log in self.by_number if log.head}

    def digest(self) -> bytes:
        """32 bytes over the vector, kept up to date record by record."""
        return hashlib.blake2b(self._sum.to_bytes(32, "big"), digest_size=32).digest()

    def stamp(self, dot: int) -> int:
        """The stamp of the record that a dot is in; 0 for what a fork has voided."""
        log = self.by_number[dot >> 56]
        seq = (dot >> 16) & 0xFF_FFFF_FFFF
        return 0 if seq >= log.frozen_at else log.stamp_of(seq)

    def lacking(self, theirs: Mapping[LogId, int]) -> list[tuple[LogId, int, int]]:
        """(log, first, last) of what another replica has and this one does not."""
        return [
            (log, own + 1, upto)
            for log, head in theirs.items()
            if (upto := self.needed(log, head)) > (own := self.head(log))
        ]


_MASK = (1 << 256) - 1


def _head_number(log: LogId, head: int, head_hash: bytes) -> int:
    named = log + head.to_bytes(8, "big") + head_hash
    return int.from_bytes(hashlib.blake2b(named, digest_size=32).digest(), "big")
