"""Concurrent writes that had to be decided: how many of which kind, and the newest of them.

They are counted where this replica meets them, as it applies the later one to arrive; so replicas
that hold the same count differently. Nothing depends on them. Knows dots, not authors.
"""

from collections import Counter, deque
from typing import NamedTuple

KEPT = 1000
"""Conflicts that are listed."""
DOTS_MAX = 8
"""Operations that are named of one conflict."""
KINDS: dict[str, str] = {
    "string": "SET beside SET: the latest shows",
    "hash": "HSET beside HSET of a field: the latest shows",
    "set": "SADD beside SADD of a member: it is there, and either SREM leaves the other's",
    "zset": "ZADD beside ZADD of a member: the latest score shows",
    "list": "LSET beside LSET of an element: the latest shows",
    "type": "writes of different types: the first in the order of types shows",
    "remove": "a removal beside an addition or assignment of the same: it is there",
    "delete": "DEL beside a write: what DEL had not seen is there",
    "expire": "deadlines beside each other: the latest counts",
    "group": "a group begun beside its end: it has ended",
    "hyperloglog": "PFADD beside DEL: DEL wins",
}
"""All kinds, with what comes of each."""


class Conflict(NamedTuple):
    """One of them.

    Attributes:
      wall_ms: When it was met here, unix milliseconds.
      kind: One of `KINDS`.
      key: Whose.
      part: Field or member; the types for ``type``; empty where the key itself is meant.
      dots: Of the operations, as far as they can be told, the one that shows first.
    """

    wall_ms: int
    kind: str
    key: bytes
    part: bytes
    dots: tuple[int, ...]


class Conflicts:
    """Counters by kind, and the newest `KEPT` conflicts.

    Attributes:
      counts: How many, by kind.
      newest: The newest last.
    """

    __slots__ = ("_clashing", "counts", "newest")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.newest: deque[Conflict] = deque(maxlen=KEPT)
        self._clashing: set[bytes] = set()

    @property
    def clashing(self) -> bool:
        """Whether any key holds content of several types."""
        return bool(self._clashing)

    def note(
        self, wall_ms: int, kind: str, key: bytes, dots: tuple[int, ...], part: bytes = b""
    ) -> None:
        """Count one, unless the clock stands still: the own database is being read back."""
        if not wall_ms:
            return
        self.counts[kind] += 1
        self.newest.append(Conflict(wall_ms, kind, key, part, dots))

    def clash(self, wall_ms: int, key: bytes, shows: str, *, clashes: bool) -> None:
        """Whether a key holds content of several types now; counted when it comes to."""
        if not clashes:
            self._clashing.discard(key)
        elif key not in self._clashing:
            self._clashing.add(key)
            self.note(wall_ms, "type", key, (), shows.encode())
