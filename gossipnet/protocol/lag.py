"""How long records take to arrive: a histogram of fixed size, and its quantiles.

Buckets grow with the value, four to each doubling (as HdrHistogram does with more), so that any
quantile is told to a fifth, in 76 small numbers, from 1 ms to nine minutes. Knows no clock.
"""

from array import array

_STEPS = 4
_OCTAVES = 19

LONGEST_MS = (1 << _OCTAVES) - 1
"""More is counted as this."""


class Lag:
    """Milliseconds, counted.

    Attributes:
      count: How many.
      longest: The greatest.
    """

    __slots__ = ("_buckets", "count", "longest")

    def __init__(self) -> None:
        self._buckets = array("I", bytes(4 * _STEPS * _OCTAVES))
        self.count = 0
        self.longest = 0

    def add(self, milliseconds: int) -> None:
        """Count one; below 0 is 0: clocks differ."""
        value = min(max(milliseconds, 0), LONGEST_MS)
        self._buckets[_bucket(value)] += 1
        self.count += 1
        self.longest = max(self.longest, value)

    def quantile(self, share: float) -> int:
        """Milliseconds that this share did not exceed, rounded up to a bucket's end; 0 for none."""
        wanted = share * self.count
        passed = 0
        for bucket, number in enumerate(self._buckets):
            passed += number
            if number and passed >= wanted:
                return min(_end(bucket), self.longest)
        return 0

    def told(self) -> dict[str, int]:
        """For people and programs."""
        return {
            "count": self.count,
            "p50_ms": self.quantile(0.5),
            "p99_ms": self.quantile(0.99),
            "max_ms": self.longest,
        }


def _bucket(value: int) -> int:
    octave = max(value.bit_length() - 1, 0)
    within = (value - (1 << octave)) * _STEPS >> octave if value else 0
    return octave * _STEPS + within


def _end(bucket: int) -> int:
    octave, within = divmod(bucket, _STEPS)
    return (1 << octave) + ((within + 1 << octave) + _STEPS - 1) // _STEPS - 1
