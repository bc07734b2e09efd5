"""Every author's logs, as this replica knows them: heads, hashes, stamps, certificates.

Each log gets a small local number, in the order in which logs became known; dots are packed with
it. Knows nothing of operations on keys.
"""

import hashlib
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.revocations import NEVER
from gossipnet.identity.trust import Step
from gossipnet.ids import LogId, NodeId, node_id

LOGS_MAX = 16_384
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
      stamps: Stamp of every record, by sequence number - 1 (8 bytes a record).
      void_from: First sequence number without effect; see `voids`.
      steps: Steps of all its certificate chains, with the record that brought each first.
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
    stamps: "array[int]" = field(default_factory=lambda: array("Q"))
    void_from: int = NEVER
    steps: dict[Step, int] = field(default_factory=dict)
    noted: tuple[bytes, ...] = ()

    @property
    def last_stamp(self) -> int:
        """Stamp of the newest record, 0 before the first."""
        return self.stamps[self.head - 1] if self.head else 0


class Logs:
    """The version vector, and what it takes to extend it.

    Attributes:
      total: Records applied, of all logs.
    """

    def __init__(self) -> None:
        self.by_id: dict[LogId, Log] = {}
        self.by_number: list[Log] = []
        self.total = 0
        self._per_author: dict[NodeId, int] = {}
        self._sum = 0
        self.on_new: Callable[[Log], None] | None = None

    def open(
        self, log: LogId, public_key: bytes, certificate: Certificate, chain: tuple[bytes, ...]
    ) -> Log:
        """Make room for a log whose first record is about to be applied.

        Raises:
          RemoteProtocolError: ``too-many-logs``.
        """
        author = node_id(public_key)
        if len(self.by_number) >= LOGS_MAX or self._per_author.get(author, 0) >= LOGS_PER_AUTHOR:
            raise RemoteProtocolError("too-many-logs")
        opened = Log(len(self.by_number), log, public_key, author, certificate, chain)
        self.by_id[log] = opened
        self.by_number.append(opened)
        self._per_author[author] = self._per_author.get(author, 0) + 1
        return opened

    def advance(self, log: Log, record_hash: bytes) -> None:
        """Note that the next record of ``log``, whose stamp is noted already, was applied."""
        if log.head:
            self._sum -= _head_number(log.id, log.head)
        log.head += 1
        log.head_hash = record_hash
        self._sum = (self._sum + _head_number(log.id, log.head)) & _MASK
        self.total += 1

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
        """The stamp of the record that a dot is in."""
        return self.by_number[dot >> 56].stamps[((dot >> 16) & 0xFF_FFFF_FFFF) - 1]

    def lacking(self, theirs: Mapping[LogId, int]) -> list[tuple[LogId, int, int]]:
        """(log, first, last) of what another replica has and this one does not."""
        return [
            (log, own + 1, head) for log, head in theirs.items() if head > (own := self.head(log))
        ]


_MASK = (1 << 256) - 1


def _head_number(log: LogId, head: int) -> int:
    return int.from_bytes(
        hashlib.blake2b(log + head.to_bytes(8, "big"), digest_size=32).digest(), "big"
    )
