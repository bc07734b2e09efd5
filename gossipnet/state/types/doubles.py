"""Exact sums of doubles, for the scores of sorted sets.

A sum of doubles is in general no double. It is kept as few doubles that add up to it exactly: the
nearest one, the nearest to what is left, and so on (Shewchuk 1997, "Adaptive Precision
Floating-Point Arithmetic", section 2). What shows is rounded once, from the exact sum: so all
replicas show the same bits, in whatever order contributions came. An infinity and its opposite
cancel.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import copysign, fsum, inf, isfinite, isnan

Doubles = tuple[float, ...]
"""A sum; the empty one is zero."""

PARTS_MAX = 48
"""Doubles reach from 2^-1074 to 2^1024: 40 of them say any sum, a few more count infinities."""
_INFINITIES = 4
_LARGEST = float.fromhex("0x1.fffffffffffffp+1023")


def rounded(parts: Iterable[float]) -> float:
    """The sum as the nearest double; infinite beyond the largest."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]  # -0.0, which fsum would lose
    try:
        return fsum(parts)
    except (OverflowError, ValueError):  # huge steps between, or opposite infinities
        finite, infinities = _parted(parts)
        return copysign(inf, infinities) if infinities else _nearest(sum(map(Fraction, finite)))


def exact(parts: Iterable[float]) -> Doubles:
    """The same sum in as few doubles as it takes."""
    parts = list(parts)
    finite, infinities = _parted(parts)
    infinities = max(-_INFINITIES, min(_INFINITIES, infinities))
    found = [copysign(inf, infinities)] * abs(infinities)
    if len(finite) == 1:
        return (*found, finite[0])
    left = sum(map(Fraction, finite), Fraction())
    while left and len(found) < PARTS_MAX:
        nearest = max(-_LARGEST, min(_LARGEST, _nearest(left)))
        found.append(nearest)
        left -= Fraction(nearest)
    return tuple(found)


def negated(parts: Doubles) -> Doubles:
    """Its opposite."""
    return tuple(-part for part in parts)


def sound(parts: Iterable[float]) -> bool:
    """Whether all of them are numbers."""
    return not any(map(isnan, parts))


def _parted(parts: list[float]) -> tuple[list[float], int]:
    """(finite ones, how many infinities are left over)."""
    finite = [part for part in parts if isfinite(part)]
    if len(finite) == len(parts):
        return finite, 0
    return finite, sum(1 if part > 0 else -1 for part in parts if not isfinite(part))


def _nearest(number: Fraction | int) -> float:
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf
