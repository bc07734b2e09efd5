"""When a key ends: a multi-value register of deadlines in which the longest wins.

EXPIRE and PERSIST replace the deadlines that were seen; of concurrent ones the latest counts, and
"never" is the latest of all. A plain SET is a vote for "never" as long as its value lives and no
EXPIRE has seen it, so that SET beside EXPIRE keeps the key. A key ends on every node by itself.
"""

from gossipnet.state.dots import Seen, covers

NEVER = 1 << 62


class Expiry:
    """The deadlines of one key.

    Attributes:
      deadlines: Dot -> unix milliseconds, or `NEVER` for PERSIST.
      silent: Dots of values that do not vote: an EXPIRE saw them, or they were written to keep
        the expiry.
    """

    __slots__ = ("deadlines", "silent")

    def __init__(self) -> None:
        self.deadlines: dict[int, int] = {}
        self.silent: set[int] = set()

    def latest_first(self) -> list[int]:
        """The dots of all deadlines; the first is the one that counts."""
        return sorted(self.deadlines, key=self.deadlines.__getitem__, reverse=True)

    def remove(self, seen: Seen) -> None:
        """Drop the deadlines that were seen."""
        for dot in [dot for dot in self.deadlines if covers(seen, dot)]:
            del self.deadlines[dot]
