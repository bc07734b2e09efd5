"""Dots, packed into single integers, and what an operation says it has seen.

A dot names one operation: (log, sequence number, place in the record). In memory a log is a small
number that this replica handed out, so that a dot is one int of 36 bytes instead of a tuple of
150. An operation that replaces something says what it had seen of its target as one upper bound
per log: every dot of that log up to the bound had been applied by the author, hence a target's
dots below it are replaced and those above it are not (optimized OR-set, Bieniusa et al. 2012,
arXiv 1210.3368).
"""

from collections.abc import Iterable

PLACE_BITS = 16
SEQ_BITS = 40
LOG_SHIFT = PLACE_BITS + SEQ_BITS
LOW_MASK = (1 << LOG_SHIFT) - 1
PLACE_MASK = (1 << PLACE_BITS) - 1

SEQ_MAX = (1 << SEQ_BITS) - 1

Seen = dict[int, int]
"""Log number -> the highest (seq << 16 | place) that was seen."""


def pack(number: int, seq: int, place: int) -> int:
    """The dot of operation ``place`` of record ``seq`` of the log with this local number."""
    return (number << LOG_SHIFT) | (seq << PLACE_BITS) | place


def log_of(dot: int) -> int:
    """The local number of the dot's log."""
    return dot >> LOG_SHIFT


def seq_of(dot: int) -> int:
    """The dot's sequence number."""
    return (dot & LOW_MASK) >> PLACE_BITS


def place_of(dot: int) -> int:
    """The dot's place in its record."""
    return dot & PLACE_MASK


def covers(seen: Seen, dot: int) -> bool:
    """Whether the author of an operation with this ``seen`` had applied ``dot``."""
    return (dot & LOW_MASK) <= seen.get(dot >> LOG_SHIFT, -1)


def see(seen: Seen, dots: Iterable[int]) -> None:
    """Widen ``seen`` to cover ``dots``."""
    for dot in dots:
        number, low = dot >> LOG_SHIFT, dot & LOW_MASK
        if low > seen.get(number, -1):
            seen[number] = low
