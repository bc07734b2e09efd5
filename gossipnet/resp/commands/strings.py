"""Strings and counters.

A value written concurrently elsewhere is settled by the CRDT: conditions such as NX are judged on
this node's view, SETRANGE and APPEND replace the whole value.
"""

from typing import TYPE_CHECKING

from gossipnet.resp.commands import longest_common
from gossipnet.resp.numbers import decimal, integer
from gossipnet.resp.options import DEADLINES, SYNTAX, check_writable, deadline
from gossipnet.resp.replies import OK, CommandError, Reply
from gossipnet.resp.table import HEAVY, KEY, KEYS, Command
from gossipnet.state.errors import WrongType
from gossipnet.state.types.register import Register
from gossipnet.state.writer import VALUE_MAX

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_TOO_LONG = f"ERR string exceeds maximum allowed size ({VALUE_MAX} bytes)"


def _get(session: "Session", args: list[bytes]) -> Reply:
    try:
        return session.keyspace.get(args[1])
    except WrongType:
        return session.keyspace.text(args[1])  # a HyperLogLog; all else is refused again


def _set(session: "Session", args: list[bytes]) -> Reply:
    if len(args) == 3:
        session.keyspace.set(args[1], args[2])
        return OK
    return _set_with_options(session, args)


def _set_with_options(session: "Session", args: list[bytes]) -> Reply:
    keyspace, key = session.keyspace, args[1]
    condition = word = written = b""
    keep = get = False
    at = 3
    while at < len(args):
        option = args[at].upper()
        if option in (b"NX", b"XX") and condition in (b"", option):
            condition = option
        elif option == b"GET":
            get = True
        elif option == b"KEEPTTL" and not word:
            keep = True
        elif option in DEADLINES and not word and not keep and at + 1 < len(args):
            at += 1
            word, written = option, args[at]
        else:
            raise CommandError(SYNTAX)
        at += 1
    ends = deadline(session, written, *DEADLINES[word], "set", past=False) if word else None
    before = keyspace.get(key) if get else None
    if condition and keyspace.exists(key) != (condition == b"XX"):
        return before
    _assign(session, key, args[2], ends, keep=keep)
    return before if get else OK


def _assign(
    session: "Session", key: bytes, value: bytes, ends: int | None, *, keep: bool = False
) -> None:
    if ends is not None and ends <= session.service.wall_ms:
        session.keyspace.delete(key)  # what has ended already is as good as never written
    else:
        session.keyspace.set(key, value, keep_ttl=keep, deadline_ms=ends)


def _setnx(session: "Session", args: list[bytes]) -> Reply:
    if session.keyspace.exists(args[1]):
        return 0
    session.keyspace.set(args[1], args[2])
    return 1


def _setex(session: "Session", args: list[bytes]) -> Reply:
    ends = deadline(session, args[2], 1000, True, "setex", past=False)
    _assign(session, args[1], args[3], ends)
    return OK


def _psetex(session: "Session", args: list[bytes]) -> Reply:
    ends = deadline(session, args[2], 1, True, "psetex", past=False)
    _assign(session, args[1], args[3], ends)
    return OK


def _mget(session: "Session", args: list[bytes]) -> Reply:
    keyspace = session.keyspace
    held = keyspace.entries.get
    return [
        entry.value  # as nearly all are
        if type(entry := held(key)) is Register and entry.cells is None
        else (keyspace.text(key) if keyspace.type_of(key) == "string" else None)
        for key in args[1:]
    ]


def _pairs(args: list[bytes], command: str) -> list[tuple[bytes, bytes]]:
    if len(args) % 2 == 0:
        raise CommandError(f"ERR wrong number of arguments for '{command}' command")
    return list(zip(args[1::2], args[2::2], strict=True))


def _mset(session: "Session", args: list[bytes]) -> Reply:
    pairs = _pairs(args, "mset")
    check_writable(session, args[1::2])
    with session.keyspace.atomic(sum(len(word) + 128 for word in args)):
        for key, value in pairs:
            session.keyspace.set(key, value)
    return OK


def _msetnx(session: "Session", args: list[bytes]) -> Reply:
    pairs = _pairs(args, "msetnx")
    if any(session.keyspace.exists(key) for key, _value in pairs):
        return 0
    check_writable(session, args[1::2])
    with session.keyspace.atomic(sum(len(word) + 128 for word in args)):
        for key, value in pairs:
            session.keyspace.set(key, value)
    return 1


def _getset(session: "Session", args: list[bytes]) -> Reply:
    before = session.keyspace.get(args[1])
    session.keyspace.set(args[1], args[2])
    return before


def _getdel(session: "Session", args: list[bytes]) -> Reply:
    before = session.keyspace.get(args[1])
    if before is not None:
        session.keyspace.delete(args[1])
    return before


def _getex(session: "Session", args: list[bytes]) -> Reply:
    keyspace, key = session.keyspace, args[1]
    word = written = b""
    at = 2
    while at < len(args):
        option = args[at].upper()
        if option in DEADLINES and not word and at + 1 < len(args):
            at += 1
            written = args[at]
        elif option != b"PERSIST" or word not in (b"", option):
            raise CommandError(SYNTAX)
        word = option
        at += 1
    value = keyspace.get(key)
    if value is None or not word:
        return value
    if word == b"PERSIST":
        if keyspace.deadline_of(key) is not None:
            keyspace.expire(key, None)
        return value
    ends = deadline(session, written, *DEADLINES[word], "getex", past=False)
    if ends <= session.service.wall_ms:
        keyspace.delete(key)
    else:
        keyspace.expire(key, ends)
    return value


def _append(session: "Session", args: list[bytes]) -> Reply:
    value = (session.keyspace.get(args[1]) or b"") + args[2]
    if len(value) > VALUE_MAX:
        raise CommandError(_TOO_LONG)
    session.service.pressure.check_growth(len(value))
    if args[2] or not session.keyspace.exists(args[1]):
        session.keyspace.set(args[1], value, keep_ttl=True)
    return len(value)


def _strlen(session: "Session", args: list[bytes]) -> Reply:
    value = session.keyspace.get(args[1])
    return 0 if value is None else len(value)


def _getrange(session: "Session", args: list[bytes]) -> Reply:
    start, end = integer(args[2]), integer(args[3])
    value = session.keyspace.get(args[1]) or b""
    if start < 0 and end < 0 and start > end:
        return b""
    start = max(start + len(value), 0) if start < 0 else start
    end = max(end + len(value), 0) if end < 0 else end
    return value[start : end + 1]


def _setrange(session: "Session", args: list[bytes]) -> Reply:
    offset = integer(args[2])
    if offset < 0:
        raise CommandError("ERR offset is out of range")
    value = session.keyspace.get(args[1]) or b""
    piece = args[3]
    if not piece:
        return len(value)
    if offset + len(piece) > VALUE_MAX:
        raise CommandError(_TOO_LONG)
    if offset + len(piece) > len(value):
        session.service.pressure.check_growth(offset + len(piece))
    value = value[:offset].ljust(offset, b"\0") + piece + value[offset + len(piece) :]
    session.keyspace.set(args[1], value, keep_ttl=True)
    return len(value)


def _incr(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.increment(args[1], 1)


def _decr(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.increment(args[1], -1)


def _incrby(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.increment(args[1], integer(args[2]))


def _decrby(session: "Session", args: list[bytes]) -> Reply:
    by = integer(args[2])
    if by == -(1 << 63):
        raise CommandError("ERR decrement would overflow")
    return session.keyspace.increment(args[1], -by)


def _incrbyfloat(session: "Session", args: list[bytes]) -> Reply:
    session.keyspace.get(args[1])  # Redis looks at the type before it looks at the number
    return session.keyspace.increment_float(args[1], decimal(args[2]))


_SET = (
    "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
    "PXAT unix-time-milliseconds | KEEPTTL]"
)
_GETEX = (
    "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | "
    "PERSIST]"
)
_READ, _WRITE = "readonly fast", "write denyoom"
_ADD = "write denyoom fast"

# fmt: off
ROWS = [
    Command("get", _get, 2, "key", "The value of a key.", "1.0.0", _READ, KEY),
    Command("set", _set, -3, _SET, "Assigns a value to a key.", "1.0.0", _WRITE, KEY),
    Command("setnx", _setnx, 3, "key value",
            "Assigns unless the key is there on this node; no lock.", "1.0.0", _ADD, KEY),
    Command("setex", _setex, 4, "key seconds value", "Assigns a value and a time to live.", "2.0.0",
            _WRITE, KEY),
    Command("psetex", _psetex, 4, "key milliseconds value", "Assigns a value and a time to live.",
            "2.6.0", _WRITE, KEY),
    Command("mget", _mget, -2, "key [key ...]", "The values of several keys.", "1.0.0", _READ, KEYS,
            HEAVY // 8),
    Command("mset", _mset, -3, "key value [key value ...]", "Assigns several keys in one record.",
            "1.0.1", _WRITE, (1, -1, 2), HEAVY // 8),
    Command("msetnx", _msetnx, -3, "key value [key value ...]",
            "Assigns several keys unless one is there on this node.", "1.0.1", _WRITE, (1, -1, 2),
            HEAVY // 8),
    Command("getset", _getset, 3, "key value", "Assigns a value and returns the one before.",
            "1.0.0", _ADD, KEY),
    Command("getdel", _getdel, 2, "key", "Returns a value and deletes its key.", "6.2.0",
            "write fast", KEY),
    Command("getex", _getex, -2, _GETEX, "Returns a value and sets when its key ends.", "6.2.0",
            "write fast", KEY),
    Command("append", _append, 3, "key value", "Assigns the value with more at its end.", "2.0.0",
            _ADD, KEY),
    Command("strlen", _strlen, 2, "key", "How long a value is.", "2.2.0", _READ, KEY),
    Command("getrange", _getrange, 4, "key start end", "A part of a value.", "2.4.0", "readonly",
            KEY),
    Command("setrange", _setrange, 4, "key offset value",
            "Assigns the value with a part of it replaced.", "2.2.0", _WRITE, KEY),
    Command("incr", _incr, 2, "key", "Adds one; additions of all nodes sum up.", "1.0.0", _ADD,
            KEY),
    Command("decr", _decr, 2, "key", "Takes one away; additions of all nodes sum up.", "1.0.0",
            _ADD, KEY),
    Command("incrby", _incrby, 3, "key increment", "Adds a number; additions of all nodes sum up.",
            "1.0.0", _ADD, KEY),
    Command("decrby", _decrby, 3, "key decrement",
            "Takes a number away; additions of all nodes sum up.", "1.0.0", _ADD, KEY),
    Command("incrbyfloat", _incrbyfloat, 3, "key increment",
            "Adds a decimal fraction; additions of all nodes sum up.", "2.6.0", _ADD, KEY),
    *longest_common.ROWS,
]
# fmt: on
