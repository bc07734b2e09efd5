"""Which part of a sorted set a command means: by rank, by score, or by the bytes of members.

A range is two ranks here, whatever it was said in: the order of the set is searched for its ends.
"""

from bisect import bisect_left
from collections.abc import Callable
from math import inf, nextafter

from gossipnet.resp.numbers import double, integer
from gossipnet.resp.replies import CommandError
from gossipnet.state.sorted_sets import Ranking

Range = Callable[[Ranking], tuple[int, int]]
"""The first rank of what is meant, and the one after the last; equal or less if nothing is."""

_NO_FLOAT = "ERR min or max is not a float"
_NO_STRING = "ERR min or max not valid string range item"


def by_rank(start: bytes, stop: bytes, *, reverse: bool = False) -> Range:
    """Ranks, both included, negative ones from the end; in the reverse order if told so."""
    first, last = integer(start), integer(stop)

    def ranks(ranking: Ranking) -> tuple[int, int]:
        low, high = span(first, last, len(ranking))
        return (len(ranking) - high, len(ranking) - low) if reverse else (low, high)

    return ranks


def span(first: int, last: int, count: int) -> tuple[int, int]:
    """Of ``count`` items: the first meant, and the one after the last."""
    low = max(first + count, 0) if first < 0 else first
    high = last + count if last < 0 else min(last, count - 1)
    return (low, high + 1) if low <= high else (0, 0)


def by_score(least: bytes, most: bytes) -> Range:
    """Scores, with ``(`` before one that is not included."""
    low, after_low = _score(least)
    high, before_high = _score(most)

    def ranks(ranking: Ranking) -> tuple[int, int]:
        start = _rank_of_score(ranking, low, after=after_low)
        return start, _rank_of_score(ranking, high, after=not before_high)

    return ranks


def _score(written: bytes) -> tuple[float, bool]:
    """(score, whether it is not included)."""
    open_end = written.startswith(b"(")
    # Redis leaves these to strtod alone, which skips space and takes nothing for zero.
    number = written[open_end:].lstrip(b" \t\n\v\f\r")
    return double(number, _NO_FLOAT) if number else 0.0, open_end


def _rank_of_score(ranking: Ranking, score: float, *, after: bool) -> int:
    if not after:
        return ranking.rank((score,))
    return len(ranking) if score == inf else ranking.rank((nextafter(score, inf),))


def by_lex(least: bytes, most: bytes) -> Range:
    """Members as their bytes sort: ``[a`` included, ``(a`` not, ``-`` and ``+`` for the ends.

    Means something only if all scores are equal, as in Redis.
    """
    low, high = _lex(least), _lex(most)

    def ranks(ranking: Ranking) -> tuple[int, int]:
        return _rank_of_member(ranking, low, upper=False), _rank_of_member(
            ranking, high, upper=True
        )

    return ranks


def _lex(written: bytes) -> tuple[int, bytes, bool]:
    """(-1 for before all, 1 for behind all, else 0; bytes; whether they are not included)."""
    if written in (b"-", b"+"):
        return (-1 if written == b"-" else 1), b"", False
    if written[:1] not in (b"(", b"["):
        raise CommandError(_NO_STRING)
    return 0, written[1:], written.startswith(b"(")


def _rank_of_member(ranking: Ranking, end: tuple[int, bytes, bool], *, upper: bool) -> int:
    side, name, open_end = end
    if side:
        return 0 if side < 0 else len(ranking)
    after = open_end != upper
    return bisect_left(
        range(len(ranking)),
        True,
        key=lambda rank: ranking[rank][1] > name if after else ranking[rank][1] >= name,
    )


def limited(low: int, high: int, offset: int, count: int, *, reverse: bool) -> tuple[int, int]:
    """LIMIT: a part of a range, counted from its end in the reverse order; negative counts all."""
    if offset < 0 or low >= high:
        return 0, 0
    if reverse:
        high -= offset
        return (low if count < 0 else max(low, high - count)), high
    low += offset
    return low, (high if count < 0 else min(high, low + count))
