"""Random calls of every command, made from the usage lines of the command table.

A usage line is Redis's notation: lower-case words are values, upper-case ones are said as they are,
brackets hold what may be left out, bars stand between alternatives, dots repeat. What a line of
documentation leaves open (which alternatives belong together, which ids exist) is said in `USAGES`.
"""

import random
from collections.abc import Callable

from gossipnet.resp.catalogue import TABLE
from gossipnet.resp.table import Command

_UNITS = "(M | KM | FT | MI)"
_FROM = "(FROMMEMBER member | FROMLONLAT longitude latitude)"
_BY = f"(BYRADIUS radius {_UNITS} | BYBOX width height {_UNITS})"
_FOUND = "[ASC | DESC] [COUNT many]"
_WITH = "[WITHCOORD] [WITHDIST] [WITHHASH]"
_RADIUS = f"radius {_UNITS} {_WITH} {_FOUND}"
_FIELDS = "[GET encoding offset] [OVERFLOW (WRAP | SAT | FAIL)]"
_SCANNED = "all COUNT many [MATCH pattern]"

# `all` is the cursor from the beginning, `many` a count that takes everything: what chance or a
# table's order decides cannot be compared.
USAGES: dict[str, str] = {
    "bitfield": f"key {_FIELDS} [SET encoding offset value] [INCRBY encoding offset increment]",
    "bitfield_ro": "key [GET encoding offset] [GET encoding offset]",
    "bitpos": "key bit [start] [end] [BYTE | BIT]",
    "hrandfield": "key many [WITHVALUES]",
    "hscan": f"key {_SCANNED}",
    "sscan": f"key {_SCANNED}",
    "zscan": f"key {_SCANNED}",
    "scan": f"{_SCANNED} [TYPE type]",
    "spop": "key many",
    "srandmember": "key many",
    "zrandmember": "key many [WITHSCORES]",
    "geosearch": f"key {_FROM} {_BY} {_FOUND} {_WITH}",
    "geosearchstore": f"destination source {_FROM} {_BY} {_FOUND} [STOREDIST]",
    "georadius": f"key longitude latitude {_RADIUS} [STORE key | STOREDIST key]",
    "georadius_ro": f"key longitude latitude {_RADIUS}",
    "georadiusbymember": f"key member {_RADIUS} [STORE key | STOREDIST key]",
    "georadiusbymember_ro": f"key member {_RADIUS}",
    "sort": "key [BY pattern] [LIMIT offset count] [GET pattern] [ASC | DESC] [ALPHA]",
    "xadd": "key [NOMKSTREAM] [MAXLEN (= | ~) longest] now field value",
    "xread": "[COUNT count] STREAMS key id",
    "xreadgroup": "GROUP group consumer [COUNT count] [NOACK] STREAMS key id",
    "zrange": "key start stop [BYSCORE] [REV] [LIMIT offset count] [WITHSCORES]",
    "zrangestore": "dst src min max [BYSCORE] [REV] [LIMIT offset count]",
    "xsetid": "absurd",
    "xtrim": "key (MAXLEN [=] longest | MINID id)",
    "xgroup|setid": "key group (id | latest)",
    "xgroup|create": "key group (id | latest)",
    "xinfo|stream": "absurd",
    "client|kill": "absurd",
    "config|get": "maxmemory",
    "zrank": "key member",
    "zrevrank": "key member",
    "command|getkeys": "command arg",
    "copy": "source destination [DB zero] [REPLACE]",
    "select": "zero",
}

_NAMES = ["x", "y", "z"]
_SMALL = ["0", "1", "2", "3", "-1", "-2", "10"]
_VALUES = ["", "1", "-7", "07", "3.5", "x", "hello world", "é", "100"]
_KEYS = {
    "list": ["l", "m"],
    "set": ["s", "t"],
    "sorted-set": ["z", "y"],
    "hash": ["h", "g"],
    "stream": ["q", "r"],
    "hyperloglog": ["p", "o"],
    "geo": ["e", "f"],
}
_STRINGS = ["a", "b"]
_ALL = [
    *_STRINGS,
    *(key for group, keys in _KEYS.items() for key in keys if group != "hyperloglog"),
    "none",
]
"""Keys of all types but HyperLogLogs, which for Redis are strings."""

Make = Callable[[random.Random], str]


def _one_of(*words: str) -> Make:
    return lambda rng: rng.choice(words)


def _degrees(most: float) -> Make:
    return lambda rng: rng.choice(["0", "13.361389", "38.1", f"{rng.uniform(-most, most):.6f}"])


def _ends(unit: int, after: int = 0) -> Make:
    """A time that two calls hardly share, so that a millisecond between servers decides nothing."""
    return lambda rng: str(rng.choice([0, after + rng.randrange(100, 99_999) * unit]))


_MAKERS: dict[str, Make] = {
    **dict.fromkeys(["field", "member", "member1", "member2"], _one_of(*_NAMES)),
    **dict.fromkeys(["value", "element", "pivot", "message"], _one_of(*_VALUES)),
    **dict.fromkeys(["min", "max"], _one_of("-inf", "+inf", "(1", "2", "[x", "(y", "-", "+", "0")),
    **dict.fromkeys(["score", "weight"], _one_of("1", "2.5", "-3", "0", "inf", "x")),
    "seconds": _ends(1),
    "milliseconds": _ends(1000),
    "unix-time-seconds": _ends(1, 4_000_000_000),
    "unix-time-milliseconds": _ends(1000, 4_000_000_000_000),
    **dict.fromkeys(["radius", "width", "height"], _one_of("0", "1", "500", "3000", "9000")),
    "longitude": _degrees(170),
    "latitude": _degrees(80),
    "increment": _one_of("1", "-3", "2.5", "10", "x"),
    "decrement": _one_of("1", "3", "-2"),
    "encoding": _one_of("u8", "i5", "u1", "i64", "u64", "x9"),
    "bit": _one_of("0", "1", "2"),
    "pattern": _one_of("*", "[a-h]", "?", "h*", "[^a]", "w_*"),
    "id": _one_of("0", "0-1", "5", "-", "+", ">"),
    "start": _one_of(*_SMALL, "-", "0-1"),
    "end": _one_of(*_SMALL, "+", "0-1"),
    "group": _one_of("g1", "g2"),
    "consumer": _one_of("c1", "c2"),
    "type": _one_of("string", "hash", "list", "zset", "set", "stream"),
    "channel": _one_of("c1", "c2"),
    "timeout": _one_of("0.01"),
    "all": _one_of("0"),
    "many": _one_of("100"),
    "now": _one_of("*"),
    "latest": _one_of("$"),
    "min-match-len": _one_of("0", "1", "2", "-1"),
    "zero": _one_of("0"),
    "longest": _one_of("1", "2", "5"),
    "maxmemory": _one_of("maxmemory"),
    "absurd": _one_of("absurd"),
    "command": _one_of("get"),
    "arg": _one_of("a"),
}
_BY_CHANCE = frozenset(
    {"scan", "sscan", "hscan", "zscan", "spop", "srandmember", "hrandfield", "zrandmember"}
)
"""Comparable only if they take all there is, so nothing is left out or made odd."""
_COUNTED = frozenset({"numkeys", "numfields"})
_KEY_WORDS = frozenset(
    ["key", "newkey", "destkey", "sourcekey", "source", "destination", "dst", "src", "key1", "key2"]
)


class Asker:
    """Makes calls.

    Args:
      rng: Where chance comes from.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._keys: list[str] = []

    def call(self, row: Command) -> list[bytes]:
        """A call of a command; one in ten has a word too many, too few, or an odd one."""
        hyperloglog = row.group == "hyperloglog"
        # Under an odd name it would meet commands that take it for a string.
        stays = hyperloglog or self._rng.random() < 0.85
        self._keys = _KEYS.get(row.group, _STRINGS) if stays else _ALL
        usage = USAGES.get(row.name, row.usage)
        for bracket in "[]()":
            usage = usage.replace(bracket, f" {bracket} ")
        words, _at = self._sequence(usage.split(), 0)
        chance = 1.0 if hyperloglog or row.name in _BY_CHANCE else self._rng.random()
        if words and chance < 0.04:
            words[self._rng.randrange(len(words))] = self._rng.choice(["", "x", "-1", "9" * 11])
        elif words and chance < 0.07:
            words.pop()
        elif chance < 0.1:
            words.append(self._rng.choice(["x", "1", "NX"]))
        return [word.encode() for word in [*row.name.split("|"), *words]]

    def _sequence(self, usage: list[str], at: int) -> tuple[list[str], int]:
        """Words for usage from ``at`` to its end."""
        words: list[str] = []
        while at < len(usage):
            if usage[at] in ("[", "("):
                said = usage[at] == "(" or self._rng.random() < 0.4
                found, at = self._bracket(usage, at)
                words += found if said else []
                continue
            choices = [usage[at]]
            while at + 2 < len(usage) and usage[at + 1] == "|" and usage[at + 2] not in ("[", "("):
                choices.append(usage[at + 2])
                at += 2
            at += 1
            words += self._word(self._rng.choice(choices))
        return words, at

    def _bracket(self, usage: list[str], at: int) -> tuple[list[str], int]:
        """Words for one of the alternatives in brackets, and the place behind them."""
        depth, start = 0, at + 1
        inner: list[list[str]] = [[]]
        while True:
            word = usage[at]
            depth += (word in ("[", "(")) - (word in ("]", ")"))
            if depth == 0:
                break
            if word == "|" and depth == 1:
                inner.append([])
            elif at >= start:
                inner[-1].append(word)
            at += 1
        chosen = self._rng.choice(inner)
        times = self._rng.randrange(1, 3) if "..." in chosen else 1
        chosen = [word for word in chosen if word != "..."]
        return [word for _ in range(times) for word in self._sequence(chosen, 0)[0]], at + 1

    def _word(self, word: str) -> list[str]:
        if not word.islower():
            return [word]
        if word in _COUNTED:
            return [self._rng.choice(["1", "1", "1", "2"])]
        if word in _KEY_WORDS:
            return [self._rng.choice(self._keys)]
        return [_MAKERS.get(word, _one_of(*_SMALL))(self._rng)]


def comparable() -> list[Command]:
    """All commands, or their subcommands, that answer for what they are asked on both servers."""
    rows = [leaf for row in TABLE.values() for leaf in row.subcommands.values() or [row]]
    return [row for row in rows if row.name not in INCOMPARABLE and row.group != "gossip"]


_PROCESS = "tells about its own process"
_TABLE = "tells about its own commands"
_OF_PROCESS = (
    "info hello client|id client|list client|info memory|usage lolwut slowlog|get slowlog|len "
    "slowlog|reset"
)
_OF_TABLE = "command|count command|info command|docs command|list config|set"
_TOLD = (
    "subscribe unsubscribe psubscribe punsubscribe publish wait waitaof blpop brpop blmpop blmove "
    "brpoplpush bzpopmin bzpopmax bzmpop client|reply client|unblock client|kill client|tracking "
    "client|caching quit reset auth multi exec discard watch unwatch"
)
INCOMPARABLE: dict[str, str] = {
    "time": "tells the time",
    "randomkey": "leaves it to chance",
    **dict.fromkeys(_OF_PROCESS.split(), _PROCESS),
    **dict.fromkeys(_OF_TABLE.split(), _TABLE),
    **{f"{row.name}|help": _TABLE for row in TABLE.values() if row.subcommands},
    **dict.fromkeys(_TOLD.split(), "waits or is told: compared with two clients in the tests"),
}
"""Why a command is not asked here, by its name."""
