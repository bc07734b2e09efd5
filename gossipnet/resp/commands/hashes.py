"""Hashes: every field is a string or counter of its own."""

from typing import TYPE_CHECKING

from gossipnet.resp.commands import hash_deadlines
from gossipnet.resp.numbers import decimal, integer
from gossipnet.resp.options import SYNTAX, ScanOptions, picked, scan_cursor
from gossipnet.resp.replies import OK, CommandError, Reply
from gossipnet.resp.table import HEAVY, KEY, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session


def _pairs(args: list[bytes], command: str) -> list[tuple[bytes, bytes]]:
    if len(args) % 2:
        raise CommandError(f"ERR wrong number of arguments for '{command}' command")
    return list(zip(args[2::2], args[3::2], strict=True))


def _hset(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.hash_set(args[1], _pairs(args, "hset"))


def _hmset(session: "Session", args: list[bytes]) -> Reply:
    session.keyspace.hash_set(args[1], _pairs(args, "hmset"))
    return OK


def _hsetnx(session: "Session", args: list[bytes]) -> Reply:
    if session.keyspace.hash_has(args[1], args[2]):
        return 0
    return session.keyspace.hash_set(args[1], [(args[2], args[3])])


def _hget(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.hash_get(args[1], args[2])


def _hmget(session: "Session", args: list[bytes]) -> Reply:
    return [session.keyspace.hash_get(args[1], name) for name in args[2:]]


def _hgetall(session: "Session", args: list[bytes]) -> Reply:
    return dict(session.keyspace.hash_items(args[1]))


def _hkeys(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.hash_names(args[1])


def _hvals(session: "Session", args: list[bytes]) -> Reply:
    return [value for _name, value in session.keyspace.hash_items(args[1])]


def _hlen(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.hash_len(args[1])


def _hexists(session: "Session", args: list[bytes]) -> Reply:
    return int(session.keyspace.hash_has(args[1], args[2]))


def _hstrlen(session: "Session", args: list[bytes]) -> Reply:
    return len(session.keyspace.hash_get(args[1], args[2]) or b"")


def _hdel(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.hash_delete(args[1], args[2:])


def _hincrby(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.hash_increment(args[1], args[2], integer(args[3]))


def _hincrbyfloat(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.hash_increment_float(args[1], args[2], decimal(args[3]))


def _hrandfield(session: "Session", args: list[bytes]) -> Reply:
    keyspace, rng, key = session.keyspace, session.service.rng, args[1]
    if len(args) == 2:
        names = keyspace.hash_names(key)
        return rng.choice(names) if names else None
    count = integer(args[2])
    with_values = len(args) == 4 and args[3].upper() == b"WITHVALUES"
    if len(args) > 4 or (len(args) == 4 and not with_values):
        raise CommandError(SYNTAX)
    names = picked(rng, keyspace.hash_names(key), count)
    if not with_values:
        return names
    values = dict(keyspace.hash_items(key))
    if session.protocol == 3:
        return [[name, values[name]] for name in names]
    return [part for name in names for part in (name, values[name])]


def _hscan(session: "Session", args: list[bytes]) -> Reply:
    cursor = scan_cursor(args[2])
    values = dict(session.keyspace.hash_items(args[1]))
    if not values:
        return [b"0", []]
    following, names = ScanOptions(cursor, args[3:]).page(values)
    return [following, [part for name in names for part in (name, values[name])]]


_READ, _WRITE, _SLOW = "readonly fast", "write denyoom fast", "readonly"
_PAIRS = "key field value [field value ...]"

# fmt: off
ROWS = [
    Command("hset", _hset, -4, _PAIRS, "Assigns fields.", "2.0.0", _WRITE, KEY),
    Command("hmset", _hmset, -4, _PAIRS, "Assigns fields.", "2.0.0", _WRITE, KEY),
    Command("hsetnx", _hsetnx, 4, "key field value",
            "Assigns a field unless it is there on this node.", "2.0.0", _WRITE, KEY),
    Command("hget", _hget, 3, "key field", "The value of a field.", "2.0.0", _READ, KEY),
    Command("hmget", _hmget, -3, "key field [field ...]", "The values of several fields.", "2.0.0",
            _READ, KEY, HEAVY // 8),
    Command("hgetall", _hgetall, 2, "key", "All fields with their values.", "2.0.0", _SLOW, KEY,
            HEAVY // 4),
    Command("hkeys", _hkeys, 2, "key", "The names of all fields.", "2.0.0", _SLOW, KEY, HEAVY // 4),
    Command("hvals", _hvals, 2, "key", "The values of all fields.", "2.0.0", _SLOW, KEY,
            HEAVY // 4),
    Command("hlen", _hlen, 2, "key", "How many fields there are.", "2.0.0", _READ, KEY),
    Command("hexists", _hexists, 3, "key field", "Whether a field is there.", "2.0.0", _READ, KEY),
    Command("hstrlen", _hstrlen, 3, "key field", "How long the value of a field is.", "3.2.0",
            _READ, KEY),
    Command("hdel", _hdel, -3, "key field [field ...]", "Removes fields.", "2.0.0", "write fast",
            KEY),
    Command("hincrby", _hincrby, 4, "key field increment",
            "Adds a number to a field; additions of all nodes sum up.", "2.0.0", _WRITE, KEY),
    Command("hincrbyfloat", _hincrbyfloat, 4, "key field increment",
            "Adds a decimal fraction to a field; additions of all nodes sum up.", "2.6.0", _WRITE,
            KEY),
    Command("hrandfield", _hrandfield, -2, "key [count [WITHVALUES]]", "Some fields by chance.",
            "6.2.0", _SLOW, KEY, HEAVY // 4),
    Command("hscan", _hscan, -3, "key cursor [MATCH pattern] [COUNT count]", "Walks the fields.",
            "2.8.0", _SLOW, KEY, HEAVY // 4),
    *hash_deadlines.ROWS,
]
# fmt: on
