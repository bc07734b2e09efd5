"""Ranges of sorted sets, to read, to count, to store and to take away."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipnet.resp.bounds import Range, by_lex, by_rank, by_score, limited
from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.resp.scored import Pairs, scored
from gossipnet.resp.table import HEAVY, KEY, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_RANK, _SCORE, _LEX = b"", b"BYSCORE", b"BYLEX"


class _Wanted:
    """What a ZRANGE asks for.

    Attributes:
      range: Which part.
      reverse: Highest first.
      scores: WITHSCORES.
      limit: (offset, count).
    """

    def __init__(
        self, words: list[bytes], *, kind: bytes | None, reverse: bool | None, stores: bool = False
    ) -> None:
        self.limit = (0, -1)
        self.scores = False
        self.reverse = bool(reverse)
        given, at = kind, 2
        while at < len(words):
            option, left = words[at].upper(), len(words) - at - 1
            if option == b"WITHSCORES" and not stores:
                self.scores = True
            elif option == b"LIMIT" and left >= 2:
                self.limit = (integer(words[at + 1]), integer(words[at + 2]))
                at += 2
            elif option == b"REV" and reverse is None:
                self.reverse = reverse = True
            elif option in (_SCORE, _LEX) and given is None:
                given = option
            else:
                raise CommandError(SYNTAX)
            at += 1
        if self.limit[1] != -1 and not given:
            raise CommandError(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
                "BYLEX"
            )
        if self.scores and given == _LEX:
            raise CommandError(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
            )
        self.range = self._range(given or _RANK, words[0], words[1])
        self.limited = bool(given)

    def _range(self, kind: bytes, first: bytes, second: bytes) -> Range:
        if kind == _RANK:
            return by_rank(first, second, reverse=self.reverse)
        least, most = (second, first) if self.reverse else (first, second)
        return by_score(least, most) if kind == _SCORE else by_lex(least, most)

    def found(self, session: "Session", key: bytes) -> Pairs:
        """(member, score) of what is in the range."""
        ranking = session.keyspace.ranking(key)
        low, high = self.range(ranking)
        if self.limited:
            low, high = limited(low, high, *self.limit, reverse=self.reverse)
        items = ranking.slice(low, high)
        return [(name, score) for score, name in (reversed(items) if self.reverse else items)]


def _ranges(
    kind: bytes | None, *, reverse: bool | None
) -> Callable[["Session", list[bytes]], Reply]:
    def zrange(session: "Session", args: list[bytes]) -> Reply:
        wanted = _Wanted(args[2:], kind=kind, reverse=reverse)
        pairs = wanted.found(session, args[1])
        return scored(session, pairs) if wanted.scores else [name for name, _score in pairs]

    return zrange


def _zrangestore(session: "Session", args: list[bytes]) -> Reply:
    wanted = _Wanted(args[3:], kind=None, reverse=None, stores=True)
    return store(session, args[1], wanted.found(session, args[2]))


def store(session: "Session", key: bytes, pairs: Pairs) -> int:
    """Replace a key by a sorted set, or delete it if that is empty; how many members it has."""
    if pairs:
        session.keyspace.store_scores(key, pairs)
    else:
        session.keyspace.delete(key)
    return len(pairs)


Bounds = Callable[[bytes, bytes], Range]


def _counts(bounds: Bounds) -> Callable[["Session", list[bytes]], Reply]:
    def count(session: "Session", args: list[bytes]) -> Reply:
        wanted = bounds(args[2], args[3])
        low, high = wanted(session.keyspace.ranking(args[1]))
        return max(high - low, 0)

    return count


def _removes(bounds: Bounds) -> Callable[["Session", list[bytes]], Reply]:
    def remove(session: "Session", args: list[bytes]) -> Reply:
        wanted = bounds(args[2], args[3])
        ranking = session.keyspace.ranking(args[1])
        names = [name for _score, name in ranking.slice(*wanted(ranking))]
        return session.keyspace.score_remove(args[1], names)

    return remove


_READ, _WRITE = "readonly", "write"
_PART = "[BYSCORE | BYLEX] [REV] [LIMIT offset count]"
_LIMIT = "[LIMIT offset count]"

# fmt: off
ROWS = [
    Command("zrange", _ranges(None, reverse=None), -4, f"key start stop {_PART} [WITHSCORES]",
            "A part, by rank, score or bytes.", "1.2.0", _READ, KEY, HEAVY // 16),
    Command("zrangestore", _zrangestore, -5, f"dst src min max {_PART}",
            "Stores a part as this node sees it.", "6.2.0", "write denyoom", (1, 2, 1), HEAVY),
    Command("zrangebyscore", _ranges(_SCORE, reverse=False), -4,
            f"key min max [WITHSCORES] {_LIMIT}", "The part between two scores.", "1.0.5", _READ,
            KEY, HEAVY // 16),
    Command("zrevrange", _ranges(_RANK, reverse=True), -4, "key start stop [WITHSCORES]",
            "A part by rank, highest first.", "1.2.0", _READ, KEY, HEAVY // 16),
    Command("zrevrangebyscore", _ranges(_SCORE, reverse=True), -4,
            f"key max min [WITHSCORES] {_LIMIT}", "The part between two scores, highest first.",
            "2.2.0", _READ, KEY, HEAVY // 16),
    Command("zrangebylex", _ranges(_LEX, reverse=False), -4, f"key min max {_LIMIT}",
            "The part between two members, all of one score.", "2.8.9", _READ, KEY, HEAVY // 16),
    Command("zrevrangebylex", _ranges(_LEX, reverse=True), -4, f"key max min {_LIMIT}",
            "The part between two members, all of one score, last first.", "2.8.9", _READ, KEY,
            HEAVY // 16),
    Command("zcount", _counts(by_score), 4, "key min max", "How many lie between two scores.",
            "2.0.0", "readonly fast", KEY),
    Command("zlexcount", _counts(by_lex), 4, "key min max",
            "How many lie between two members, all of one score.", "2.8.9", "readonly fast", KEY),
    Command("zremrangebyrank", _removes(by_rank), 4, "key start stop", "Removes a part by rank.",
            "2.0.0", _WRITE, KEY, HEAVY // 4),
    Command("zremrangebyscore", _removes(by_score), 4, "key min max",
            "Removes the part between two scores.", "1.2.0", _WRITE, KEY, HEAVY // 4),
    Command("zremrangebylex", _removes(by_lex), 4, "key min max",
            "Removes the part between two members, all of one score.", "2.8.9", _WRITE, KEY,
            HEAVY // 4),
]
# fmt: on
