"""Sets: an addition wins over a removal that has not seen it.

What a STORE command stores is this node's view. SPOP on two nodes at once may return the same
member twice.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from gossipnet.resp.numbers import integer
from gossipnet.resp.options import (
    SYNTAX,
    ScanOptions,
    check_writable,
    count_option,
    picked,
    scan_cursor,
)
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.resp.table import HEAVY, KEY, KEYS, NUMBERED, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session


def _sadd(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.add(args[1], args[2:])


def _srem(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.remove(args[1], args[2:])


def _smembers(session: "Session", args: list[bytes]) -> Reply:
    return set(session.keyspace.members(args[1]))


def _sismember(session: "Session", args: list[bytes]) -> Reply:
    return int(session.keyspace.is_member(args[1], args[2]))


def _smismember(session: "Session", args: list[bytes]) -> Reply:
    members = session.keyspace.members(args[1])
    return [int(member in members) for member in args[2:]]


def _scard(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.set_len(args[1])


def _spop(session: "Session", args: list[bytes]) -> Reply:
    keyspace, key = session.keyspace, args[1]
    if len(args) > 3:
        raise CommandError(SYNTAX)
    count = count_option(args[2]) if len(args) == 3 else 1
    members = list(keyspace.members(key))
    popped = picked(session.service.rng, members, count)
    keyspace.remove(key, popped)
    if len(args) == 3:
        return set(popped)
    return popped[0] if popped else None


def _srandmember(session: "Session", args: list[bytes]) -> Reply:
    rng = session.service.rng
    if len(args) > 3:
        raise CommandError(SYNTAX)
    count = integer(args[2]) if len(args) == 3 else 1
    members = list(session.keyspace.members(args[1]))
    if not members:
        return [] if len(args) == 3 else None
    if len(args) == 2:
        return rng.choice(members)
    return picked(rng, members, count)


def _smove(session: "Session", args: list[bytes]) -> Reply:
    keyspace, source, target, member = session.keyspace, args[1], args[2], args[3]
    if not keyspace.exists(source):
        return 0
    there = keyspace.is_member(source, member)
    keyspace.members(target)  # refuses another type before anything is changed
    if not there:
        return 0
    if source != target:
        check_writable(session, [source, target])
        with keyspace.atomic():
            keyspace.add(target, [member])
            keyspace.remove(source, [member])
    return 1


def _union(session: "Session", keys: list[bytes]) -> set[bytes]:
    return set[bytes]().union(*[session.keyspace.members(key) for key in keys])


def _intersection(session: "Session", keys: list[bytes]) -> set[bytes]:
    sets = sorted((session.keyspace.members(key) for key in keys), key=len)
    return set(sets[0]).intersection(*sets[1:])


def _difference(session: "Session", keys: list[bytes]) -> set[bytes]:
    sets = [session.keyspace.members(key) for key in keys]
    return set(sets[0]).difference(*sets[1:])


Combine = Callable[["Session", list[bytes]], set[bytes]]


def _shows(combine: Combine) -> Callable[["Session", list[bytes]], Reply]:
    return lambda session, args: combine(session, args[1:])


def _stores(combine: Combine) -> Callable[["Session", list[bytes]], Reply]:
    def store(session: "Session", args: list[bytes]) -> Reply:
        members: Collection[bytes] = combine(session, args[2:])
        if members:
            session.keyspace.store_set(args[1], members)
        else:
            session.keyspace.delete(args[1])
        return len(members)

    return store


def _sintercard(session: "Session", args: list[bytes]) -> Reply:
    count = integer(args[1], 1, error="ERR numkeys should be greater than 0")
    keys, rest = args[2 : 2 + count], args[2 + count :]
    if count > len(args) - 2:
        raise CommandError("ERR Number of keys can't be greater than number of args")
    limit = 0
    if rest:
        if len(rest) < 2 or rest[0].upper() != b"LIMIT":
            raise CommandError(SYNTAX)
        limit = integer(rest[1], 0, error="ERR LIMIT can't be negative")
        if len(rest) > 2:
            raise CommandError(SYNTAX)
    found = len(_intersection(session, keys))
    return min(found, limit) if limit else found


def _sscan(session: "Session", args: list[bytes]) -> Reply:
    cursor = scan_cursor(args[2])
    members = session.keyspace.members(args[1])
    if not members:
        return [b"0", []]
    return list(ScanOptions(cursor, args[3:]).page(members))


_READ, _WRITE, _SLOW = "readonly fast", "write denyoom fast", "readonly"
_STORE = "destination key [key ...]"
_STORES = "write denyoom"

# fmt: off
ROWS = [
    Command("sadd", _sadd, -3, "key member [member ...]", "Adds members.", "1.0.0", _WRITE, KEY),
    Command("srem", _srem, -3, "key member [member ...]", "Removes members.", "1.0.0", "write fast",
            KEY),
    Command("smembers", _smembers, 2, "key", "All members.", "1.0.0", _SLOW, KEY, HEAVY // 4),
    Command("sismember", _sismember, 3, "key member", "Whether a member is there.", "1.0.0", _READ,
            KEY),
    Command("smismember", _smismember, -3, "key member [member ...]",
            "Whether each of some members is there.", "6.2.0", _READ, KEY),
    Command("scard", _scard, 2, "key", "How many members there are.", "1.0.0", _READ, KEY),
    Command("spop", _spop, -2, "key [count]",
            "Removes and returns members by chance; two nodes may pop the same.", "1.0.0",
            "write fast", KEY, HEAVY // 4),
    Command("srandmember", _srandmember, -2, "key [count]", "Some members by chance.", "1.0.0",
            _SLOW, KEY, HEAVY // 4),
    Command("smove", _smove, 4, "source destination member",
            "Moves a member to another set, in one record.", "1.0.0", "write fast", (1, 2, 1)),
    Command("sunion", _shows(_union), -2, "key [key ...]", "What is in any of the sets.", "1.0.0",
            _SLOW, KEYS, HEAVY),
    Command("sinter", _shows(_intersection), -2, "key [key ...]", "What is in all of the sets.",
            "1.0.0", _SLOW, KEYS, HEAVY),
    Command("sdiff", _shows(_difference), -2, "key [key ...]", "What is in the first set only.",
            "1.0.0", _SLOW, KEYS, HEAVY),
    Command("sintercard", _sintercard, -3, "numkeys key [key ...] [LIMIT limit]",
            "How much is in all of the sets.", "7.0.0", _SLOW, (2, NUMBERED, 1), HEAVY),
    Command("sunionstore", _stores(_union), -3, _STORE,
            "Stores what is in any of the sets, as this node sees them.", "1.0.0", _STORES, KEYS,
            HEAVY),
    Command("sinterstore", _stores(_intersection), -3, _STORE,
            "Stores what is in all of the sets, as this node sees them.", "1.0.0", _STORES, KEYS,
            HEAVY),
    Command("sdiffstore", _stores(_difference), -3, _STORE,
            "Stores what is in the first set only, as this node sees them.", "1.0.0", _STORES, KEYS,
            HEAVY),
    Command("sscan", _sscan, -3, "key cursor [MATCH pattern] [COUNT count]", "Walks the members.",
            "2.8.0", _SLOW, KEY, HEAVY // 4),
]
# fmt: on
