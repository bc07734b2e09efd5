"""Exact sums of doubles, for the scores of sorted sets.

A sum of doubles is in general no double, but every double is a whole number times a power of two,
and so is every sum of them: it is kept as that, however many there are, at 2,200 bits or so at
most. What shows is rounded once, from the exact sum: so all replicas show the same bits, in
whatever order contributions came. An infinity and its opposite cancel.
"""

from math import inf, isfinite

Sum = tuple[int, int, int]
"""(infinities, n, e) for n * 2^e, with an odd n, or zeros; negative infinities count against
positive ones."""

ZERO: Sum = (0, 0, 0)


def of(number: float) -> Sum:
    """One double, not NaN, as a sum."""
    if not isfinite(number):
        return (1 if number > 0 else -1), 0, 0
    whole, parts = number.as_integer_ratio()  # in lowest terms; parts is a power of two
    return 0, *_odd(whole, 1 - parts.bit_length())


def plus(one: Sum, other: Sum) -> Sum:
    """Exact sum."""
    infinities, n, e = one
    more, m, f = other
    if not m:
        return infinities + more, n, e
    if not n:
        return infinities + more, m, f
    lowest = min(e, f)
    return infinities + more, *_odd((n << e - lowest) + (m << f - lowest), lowest)


def minus(one: Sum, other: Sum) -> Sum:
    """Exact difference."""
    infinities, n, e = other
    return plus(one, (-infinities, -n, e))


def rounded(total: Sum) -> float:
    """The nearest double (of two, the even one); infinite beyond the largest."""
    infinities, n, e = total
    if infinities:
        return inf if infinities > 0 else -inf
    try:
        return float(n << e) if e >= 0 else n / (1 << -e)
    except OverflowError:
        return inf if n > 0 else -inf


def _odd(n: int, e: int) -> tuple[int, int]:
    if not n:
        return 0, 0
    zeros = (n & -n).bit_length() - 1
    return n >> zeros, e + zeros
