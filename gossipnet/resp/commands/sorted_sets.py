"""Sorted sets: increments of all nodes sum up, an assignment replaces what it has seen.

NX, XX, GT and LT are judged on this node's view. ZPOPMIN on two nodes at once may return the same
member twice.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipnet.resp.commands import blocking_pops, sorted_combinations, sorted_ranges
from gossipnet.resp.numbers import double, integer
from gossipnet.resp.options import SYNTAX, ScanOptions, count_option, picked, scan_cursor
from gossipnet.resp.pops import first_scored, numbered_keys, pop_options, pop_scored
from gossipnet.resp.replies import NO_ARRAY, CommandError, Reply, double_text
from gossipnet.resp.scored import Pairs, scored
from gossipnet.resp.table import HEAVY, KEY, NUMBERED, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_FLAGS = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})


def _zadd(session: "Session", args: list[bytes]) -> Reply:
    at = 2
    while at < len(args) and args[at].upper() in _FLAGS:
        at += 1
    flags = {word.upper() for word in args[2:at]}
    words = args[at:]
    if len(words) % 2 or not words:
        raise CommandError(SYNTAX)
    if flags >= {b"NX", b"XX"}:
        raise CommandError("ERR XX and NX options at the same time are not compatible")
    if len(flags & {b"NX", b"GT", b"LT"}) > 1:
        raise CommandError("ERR GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in flags and len(words) > 2:
        raise CommandError("ERR INCR option supports a single increment-element pair")
    scores = [double(word) for word in words[::2]]
    if b"INCR" in flags:
        return _increment(session, args[1], words[1], scores[0], flags)
    return assign(session, args[1], list(zip(words[1::2], scores, strict=True)), flags)


def _increment(
    session: "Session", key: bytes, name: bytes, by: float, flags: set[bytes]
) -> float | None:
    keyspace = session.keyspace
    current = keyspace.scores(key).get(name)
    total = by if current is None else current + by
    if total == total and not _allowed(current, total, flags):  # NaN is for the keyspace to refuse
        return None
    return keyspace.score_increment(key, name, by)


def _allowed(current: float | None, score: float, flags: set[bytes]) -> bool:
    if current is None:
        return b"XX" not in flags
    return not (
        b"NX" in flags
        or (b"GT" in flags and score <= current)
        or (b"LT" in flags and score >= current)
    )


def assign(session: "Session", key: bytes, pairs: Pairs, flags: set[bytes]) -> int:
    """ZADD without INCR; how many members are new, with CH how many are new or changed."""
    keyspace = session.keyspace
    held = keyspace.scores(key)
    wanted: dict[bytes, float] = {}
    changed = 0
    for name, score in pairs:
        current = wanted.get(name, held.get(name))
        if _allowed(current, score, flags):
            changed += current is not None and current != score
            wanted[name] = score
    new = keyspace.score_set(key, list(wanted.items())) if wanted else 0
    return new + changed if b"CH" in flags else new


def _zincrby(session: "Session", args: list[bytes]) -> Reply:
    by = double(args[2])
    return session.keyspace.score_increment(args[1], args[3], by)


def _zrem(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.score_remove(args[1], args[2:])


def _zscore(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.scores(args[1]).get(args[2])


def _zmscore(session: "Session", args: list[bytes]) -> Reply:
    scores = session.keyspace.scores(args[1])
    return [scores.get(name) for name in args[2:]]


def _zcard(session: "Session", args: list[bytes]) -> Reply:
    return len(session.keyspace.scores(args[1]))


def _ranks(*, reverse: bool) -> Callable[["Session", list[bytes]], Reply]:
    def rank(session: "Session", args: list[bytes]) -> Reply:
        if len(args) > 4:
            raise CommandError(
                f"ERR wrong number of arguments for '{args[0].decode().lower()}' command"
            )
        with_score = len(args) == 4
        if with_score and args[3].upper() != b"WITHSCORE":
            raise CommandError(SYNTAX)
        keyspace, key, name = session.keyspace, args[1], args[2]
        score = keyspace.scores(key).get(name)
        if score is None:
            return NO_ARRAY if with_score else None
        ranking = keyspace.ranking(key)
        found = ranking.rank((score, name))
        found = len(ranking) - 1 - found if reverse else found
        return [found, score] if with_score else found

    return rank


# ---------------------------------------------------------------- taking members away


def _pops(*, highest: bool) -> Callable[["Session", list[bytes]], Reply]:
    def pop(session: "Session", args: list[bytes]) -> Reply:
        if len(args) > 3:
            raise CommandError(SYNTAX)
        count = count_option(args[2]) if len(args) == 3 else 1
        pairs = pop_scored(session, args[1], count, highest=highest)
        # Nested in RESP3, but for the single pair of a call without a count.
        return scored(session, pairs, nested=len(args) == 3)

    return pop


def _zmpop(session: "Session", args: list[bytes]) -> Reply:
    keys, rest = numbered_keys(args, 1)
    highest, count = pop_options(rest, (b"MIN", b"MAX"))
    found = first_scored(session, keys, count, highest=highest)
    return NO_ARRAY if found is None else [found[0], [list(pair) for pair in found[1]]]


# ---------------------------------------------------------------- looking through members


def _zrandmember(session: "Session", args: list[bytes]) -> Reply:
    keyspace, rng, key = session.keyspace, session.service.rng, args[1]
    if len(args) == 2:
        names = list(keyspace.scores(key))
        return rng.choice(names) if names else None
    count = integer(args[2])
    with_scores = len(args) == 4 and args[3].upper() == b"WITHSCORES"
    if len(args) > 4 or (len(args) == 4 and not with_scores):
        raise CommandError(SYNTAX)
    scores = keyspace.scores(key)
    names = picked(rng, list(scores), count)
    if not with_scores:
        return names
    return scored(session, [(name, scores[name]) for name in names])


def _zscan(session: "Session", args: list[bytes]) -> Reply:
    cursor = scan_cursor(args[2])
    scores = session.keyspace.scores(args[1])
    if not scores:
        return [b"0", []]
    following, names = ScanOptions(cursor, args[3:]).page(scores)
    return [following, [part for name in names for part in (name, double_text(scores[name]))]]


_READ, _WRITE, _SLOW = "readonly fast", "write denyoom fast", "readonly"
_ADD = "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]"
_POP = "numkeys key [key ...] MIN | MAX [COUNT count]"

# fmt: off
ROWS = [
    Command("zadd", _zadd, -4, _ADD, "Assigns scores; conditions are this node's view.", "1.2.0",
            _WRITE, KEY),
    Command("zincrby", _zincrby, 4, "key increment member",
            "Adds to a score; additions of all nodes sum up.", "1.2.0", _WRITE, KEY),
    Command("zrem", _zrem, -3, "key member [member ...]", "Removes members.", "1.2.0",
            "write fast", KEY),
    Command("zscore", _zscore, 3, "key member", "The score of a member.", "1.2.0", _READ, KEY),
    Command("zmscore", _zmscore, -3, "key member [member ...]", "The scores of several members.",
            "6.2.0", _READ, KEY),
    Command("zcard", _zcard, 2, "key", "How many members there are.", "1.2.0", _READ, KEY),
    Command("zrank", _ranks(reverse=False), -3, "key member [WITHSCORE]",
            "The place of a member, the lowest score first.", "2.0.0", _READ, KEY),
    Command("zrevrank", _ranks(reverse=True), -3, "key member [WITHSCORE]",
            "The place of a member, the highest score first.", "2.0.0", _READ, KEY),
    Command("zpopmin", _pops(highest=False), -2, "key [count]",
            "Takes away the lowest scores; two nodes may pop the same.", "5.0.0", "write fast", KEY,
            HEAVY // 16),
    Command("zpopmax", _pops(highest=True), -2, "key [count]",
            "Takes away the highest scores; two nodes may pop the same.", "5.0.0", "write fast",
            KEY, HEAVY // 16),
    Command("zmpop", _zmpop, -4, _POP,
            "Takes members from the first key that has any; two nodes may pop the same.", "7.0.0",
            "write", (2, NUMBERED, 1), HEAVY // 16),
    Command("zrandmember", _zrandmember, -2, "key [count [WITHSCORES]]",
            "Some members by chance.", "6.2.0", _SLOW, KEY, HEAVY // 4),
    Command("zscan", _zscan, -3, "key cursor [MATCH pattern] [COUNT count]", "Walks the members.",
            "2.8.0", _SLOW, KEY, HEAVY // 4),
    *sorted_ranges.ROWS,
    *sorted_combinations.ROWS,
    *blocking_pops.SORTED_ROWS,
]
# fmt: on
