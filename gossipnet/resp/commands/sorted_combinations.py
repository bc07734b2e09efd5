"""Unions, intersections and differences of sorted sets; plain sets count as ones of score 1."""

from collections.abc import Callable, Mapping
from math import isnan
from typing import TYPE_CHECKING

from gossipnet.resp.commands.sorted_ranges import store
from gossipnet.resp.numbers import double, integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.resp.scored import Pairs, scored
from gossipnet.resp.table import HEAVY, NUMBERED, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

Scores = Mapping[bytes, float]
Aggregate = Callable[[float, float], float]


def _sum(one: float, other: float) -> float:
    total = one + other
    return 0.0 if isnan(total) else total  # of opposite infinities, as in Redis


_AGGREGATES: dict[bytes, Aggregate] = {b"SUM": _sum, b"MIN": min, b"MAX": max}


class _Wanted:
    """What such a command asks for.

    Attributes:
      inputs: Scores by member, weighted, of each key.
      aggregate: Makes one score of two.
      scores: WITHSCORES.
      limit: Of ZINTERCARD, 0 for none.
    """

    def __init__(
        self,
        session: "Session",
        args: list[bytes],
        at: int,
        *,
        weighs: bool = True,
        shows: bool = True,
        limits: bool = False,
    ) -> None:
        count = integer(args[at])
        if count < 1:
            name = args[0].decode().lower()
            raise CommandError(f"ERR at least 1 input key is needed for '{name}' command")
        if count > len(args) - at - 1:
            raise CommandError(SYNTAX)
        inputs = [_scores(session, key) for key in args[at + 1 : at + 1 + count]]
        self.aggregate: Aggregate = _sum
        self.scores = False
        self.limit = 0
        weights: list[float] = []
        at += 1 + count
        while at < len(args):
            option, left = args[at].upper(), len(args) - at - 1
            if option == b"WEIGHTS" and weighs and left >= count:
                words = args[at + 1 : at + 1 + count]
                weights = [double(word, "ERR weight value is not a float") for word in words]
                at += count
            elif option == b"AGGREGATE" and weighs and left >= 1:
                if args[at + 1].upper() not in _AGGREGATES:
                    raise CommandError(SYNTAX)
                self.aggregate = _AGGREGATES[args[at + 1].upper()]
                at += 1
            elif option == b"WITHSCORES" and shows:
                self.scores = True
            elif option == b"LIMIT" and limits and left >= 1:
                self.limit = integer(args[at + 1], 0, error="ERR LIMIT can't be negative")
                at += 1
            else:
                raise CommandError(SYNTAX)
            at += 1
        if weights:
            inputs = [_weighted(*pair) for pair in zip(inputs, weights, strict=True)]
        self.inputs = inputs


def _scores(session: "Session", key: bytes) -> Scores:
    keyspace = session.keyspace
    if keyspace.type_of(key) == "set":
        return dict.fromkeys(keyspace.members(key), 1.0)
    return keyspace.scores(key)


def _weighted(scores: Scores, weight: float) -> Scores:
    made = {name: score * weight for name, score in scores.items()}
    return {name: 0.0 if isnan(score) else score for name, score in made.items()}


Combine = Callable[[_Wanted], dict[bytes, float]]


def _union(wanted: _Wanted) -> dict[bytes, float]:
    found: dict[bytes, float] = {}
    for scores in sorted(wanted.inputs, key=len):
        for name, score in scores.items():
            held = found.get(name)
            found[name] = score if held is None else wanted.aggregate(held, score)
    return found


def _intersection(wanted: _Wanted) -> dict[bytes, float]:
    smallest, *others = sorted(wanted.inputs, key=len)
    found: dict[bytes, float] = {}
    for name, score in smallest.items():
        for other in others:
            more = other.get(name)
            if more is None:
                break
            score = wanted.aggregate(score, more)
        else:
            found[name] = score
    return found


def _difference(wanted: _Wanted) -> dict[bytes, float]:
    first, *others = wanted.inputs
    return {
        name: score for name, score in first.items() if not any(name in other for other in others)
    }


def _pairs(found: dict[bytes, float]) -> Pairs:
    ordered = sorted((score, name) for name, score in found.items())
    return [(name, score) for score, name in ordered]


def _shows(combine: Combine, *, weighs: bool) -> Callable[["Session", list[bytes]], Reply]:
    def show(session: "Session", args: list[bytes]) -> Reply:
        wanted = _Wanted(session, args, 1, weighs=weighs)
        pairs = _pairs(combine(wanted))
        return scored(session, pairs) if wanted.scores else [name for name, _score in pairs]

    return show


def _stores(combine: Combine, *, weighs: bool) -> Callable[["Session", list[bytes]], Reply]:
    def stores(session: "Session", args: list[bytes]) -> Reply:
        wanted = _Wanted(session, args, 2, weighs=weighs, shows=False)
        return store(session, args[1], list(combine(wanted).items()))

    return stores


def _zintercard(session: "Session", args: list[bytes]) -> Reply:
    wanted = _Wanted(session, args, 1, weighs=False, shows=False, limits=True)
    found = len(_intersection(wanted))
    return min(found, wanted.limit) if wanted.limit else found


_READ, _WRITE = "readonly", "write denyoom"
_KEYS = "numkeys key [key ...]"
_WEIGHTS = "[WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX]"
_COUNTED = (2, NUMBERED, 1)
_STORED = (3, NUMBERED, 1)

# fmt: off
ROWS = [
    Command("zunion", _shows(_union, weighs=True), -3, f"{_KEYS} {_WEIGHTS} [WITHSCORES]",
            "What is in any of the sets.", "6.2.0", _READ, _COUNTED, HEAVY),
    Command("zinter", _shows(_intersection, weighs=True), -3, f"{_KEYS} {_WEIGHTS} [WITHSCORES]",
            "What is in all of the sets.", "6.2.0", _READ, _COUNTED, HEAVY),
    Command("zdiff", _shows(_difference, weighs=False), -3, f"{_KEYS} [WITHSCORES]",
            "What is in the first set only.", "6.2.0", _READ, _COUNTED, HEAVY),
    Command("zunionstore", _stores(_union, weighs=True), -4, f"destination {_KEYS} {_WEIGHTS}",
            "Stores what is in any of the sets, as this node sees them.", "2.0.0", _WRITE, _STORED,
            HEAVY),
    Command("zinterstore", _stores(_intersection, weighs=True), -4,
            f"destination {_KEYS} {_WEIGHTS}",
            "Stores what is in all of the sets, as this node sees them.", "2.0.0", _WRITE, _STORED,
            HEAVY),
    Command("zdiffstore", _stores(_difference, weighs=False), -4, f"destination {_KEYS}",
            "Stores what is in the first set only, as this node sees them.", "6.2.0", _WRITE,
            _STORED, HEAVY),
    Command("zintercard", _zintercard, -3, f"{_KEYS} [LIMIT limit]",
            "How much is in all of the sets.", "7.0.0", _READ, _COUNTED, HEAVY),
]
# fmt: on
