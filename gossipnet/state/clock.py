"""The hybrid logical clock: 48 bits of milliseconds, 16 bits of counter.

It follows the wall clock, never goes back, and passes every stamp that was seen (Kulkarni et al.
2014, "Logical Physical Clocks"). It orders truly concurrent writes and nothing else: causality
decides first. Knows no clock of its own; the time comes in.
"""

COUNTER_BITS = 16
QUARANTINE_MS = 60_000
"""Records stamped further ahead than this wait: one wrong clock must not drag the others along."""


def stamp_ms(stamp: int) -> int:
    """Unix milliseconds of a stamp."""
    return stamp >> COUNTER_BITS


class HybridClock:
    """Gives stamps (u64) that rise strictly.

    Attributes:
      last: The highest stamp given or seen.
    """

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = 0

    def tick(self, wall_ms: int) -> int:
        """A new stamp, at least the wall clock's and above all others."""
        self.last = max(self.last + 1, wall_ms << COUNTER_BITS)
        return self.last

    def merge(self, stamp: int) -> None:
        """Note a stamp from elsewhere that was accepted."""
        if stamp > self.last:
            self.last = stamp
