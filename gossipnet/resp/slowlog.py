"""Commands that took long: the last of them, as Redis's SLOWLOG keeps them.

Only commands that may take long are measured each, and slices of a single command: a clock read
around every GET would cost more than it tells.
"""

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

SLOWER_THAN = 0.010
"""Seconds: Redis's slowlog-log-slower-than."""
KEPT = 128
_WORDS = 32
_WORD_BYTES = 128


class Slow(NamedTuple):
    """One command that took long.

    Attributes:
      number: Counts all there ever were.
      at_s: When, unix seconds.
      micros: How long it took.
      words: Its words, shortened.
      address, name: Of the client.
    """

    number: int
    at_s: int
    micros: int
    words: list[bytes]
    address: bytes
    name: bytes


class SlowLog:
    """The last commands that took long, newest first."""

    def __init__(self) -> None:
        self._kept: deque[Slow] = deque(maxlen=KEPT)
        self._number = 0

    def __len__(self) -> int:
        return len(self._kept)

    def note(self, session: "Session", words: list[bytes], seconds: float) -> None:
        """A command has ended; it is kept if it took long."""
        if seconds < SLOWER_THAN:
            return
        shown = [_shortened(word) for word in words[:_WORDS]]
        if len(words) > _WORDS:
            shown[-1] = b"... (%d more arguments)" % (len(words) - _WORDS + 1)
        self._kept.appendleft(
            Slow(
                self._number,
                session.service.wall_ms // 1000,
                int(seconds * 1e6),
                shown,
                f"{session.address}:0".encode(),
                session.name,
            )
        )
        self._number += 1

    def newest(self, count: int) -> list[Slow]:
        """The newest ``count``; all for -1."""
        return list(self._kept)[: count if count >= 0 else None]

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()


def _shortened(word: bytes) -> bytes:
    if len(word) <= _WORD_BYTES:
        return word
    return word[:_WORD_BYTES] + b"... (%d more bytes)" % (len(word) - _WORD_BYTES)
