"""Keys of any type: what is there, what it is called, when it ends.

Of concurrent deadlines the longest wins, and "never" is the longest. RENAME and COPY write what
this node sees under another name, in one record.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipnet.resp.commands import sorting
from gossipnet.resp.glob import matcher
from gossipnet.resp.numbers import check_database
from gossipnet.resp.options import (
    DEADLINES,
    SYNTAX,
    ScanOptions,
    check_writable,
    deadline,
    scan_cursor,
)
from gossipnet.resp.replies import OK, CommandError, Reply
from gossipnet.resp.table import HEAVY, KEY, KEYS, Command, container

if TYPE_CHECKING:
    from gossipnet.resp.session import Session


def _del(session: "Session", args: list[bytes]) -> Reply:
    check_writable(session, args[1:])
    return sum(map(session.keyspace.delete, args[1:]))


def _exists(session: "Session", args: list[bytes]) -> Reply:
    return sum(map(session.keyspace.exists, args[1:]))


def _type(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.type_of(args[1]) or "none"


def _keys(session: "Session", args: list[bytes]) -> Reply:
    return _readable(session, list(filter(matcher(args[1]), session.keyspace.keys())))


def _readable(session: "Session", keys: list[bytes]) -> list[bytes]:
    may_read = session.service.may_read
    return keys if may_read is None else list(filter(may_read, keys))


def _scan(session: "Session", args: list[bytes]) -> Reply:
    keyspace = session.keyspace
    options = ScanOptions(scan_cursor(args[1]), args[2:], typed=True)
    # A key table is walked a page at a time, so a huge COUNT must not hold everybody up.
    following, found = keyspace.scan(options.cursor, min(options.count, 10_000))
    keys = list(dict.fromkeys(found))  # one that went and came back stands there twice
    if options.matches is not None:
        keys = list(filter(options.matches, keys))
    if options.kind is not None:
        kind = options.kind.decode("ascii", "replace")
        keys = [key for key in keys if keyspace.type_of(key) == kind]
    return [b"%d" % following, _readable(session, keys)]


def _randomkey(session: "Session", _args: list[bytes]) -> Reply:
    service = session.service
    for _try in range(100):
        key = session.keyspace.random_key(service.rng)
        if key is None or service.may_read is None or service.may_read(key):
            return key
    return None


def _dbsize(session: "Session", _args: list[bytes]) -> Reply:
    return len(session.keyspace)


def _need(session: "Session", key: bytes) -> None:
    if not session.keyspace.exists(key):
        raise CommandError("ERR no such key")


def _rename(session: "Session", args: list[bytes]) -> Reply:
    _need(session, args[1])
    check_writable(session, args[1:])
    session.keyspace.rename(args[1], args[2])
    return OK


def _renamenx(session: "Session", args: list[bytes]) -> Reply:
    _need(session, args[1])
    if session.keyspace.exists(args[2]):
        return 0
    check_writable(session, args[1:])
    session.keyspace.rename(args[1], args[2])
    return 1


def _copy(session: "Session", args: list[bytes]) -> Reply:
    keyspace, source, target = session.keyspace, args[1], args[2]
    replace = False
    at = 3
    while at < len(args):
        word = args[at].upper()
        if word == b"REPLACE":
            replace = True
        elif word == b"DB" and at + 1 < len(args):
            at += 1
            check_database(args[at])
        else:
            raise CommandError(SYNTAX)
        at += 1
    if source == target:
        raise CommandError("ERR source and destination objects are the same")
    if not keyspace.exists(source) or (keyspace.exists(target) and not replace):
        return 0
    keyspace.copy(source, target)
    return 1


# ---------------------------------------------------------------- deadlines


def _expires(name: str, word: bytes) -> Callable[["Session", list[bytes]], Reply]:
    unit, relative = DEADLINES[word]

    def expire(session: "Session", args: list[bytes]) -> Reply:
        keyspace, key = session.keyspace, args[1]
        allowed = condition(args[3:])
        ends = deadline(session, args[2], unit, relative, name, past=True)
        if not keyspace.exists(key) or not allowed(keyspace.deadline_of(key), ends):
            return 0
        if ends <= session.service.wall_ms:
            keyspace.delete(key)
        else:
            keyspace.expire(key, ends)
        return 1

    return expire


def condition(words: list[bytes]) -> Callable[[int | None, int], bool]:
    """Whether a deadline may be changed from what it is (None: never) to another one.

    Raises:
      CommandError: The words are no conditions, or contradict each other.
    """
    options = {word.upper() for word in words}
    for word in words:
        if word.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise CommandError(f"ERR Unsupported option {word[:64].decode('utf-8', 'replace')}")
    if b"NX" in options and len(options) > 1:
        raise CommandError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if options >= {b"GT", b"LT"}:
        raise CommandError("ERR GT and LT options at the same time are not compatible")

    def allowed(current: int | None, ends: int) -> bool:
        return not (
            (b"NX" in options and current is not None)
            or (b"XX" in options and current is None)
            or (b"GT" in options and (current is None or ends <= current))
            or (b"LT" in options and current is not None and ends >= current)
        )

    return allowed


def _persist(session: "Session", args: list[bytes]) -> Reply:
    if session.keyspace.deadline_of(args[1]) is None:
        return 0
    session.keyspace.expire(args[1], None)
    return 1


def _tells(unit: int, *, absolute: bool) -> Callable[["Session", list[bytes]], Reply]:
    def tell(session: "Session", args: list[bytes]) -> Reply:
        ends = session.keyspace.deadline_of(args[1])
        if ends is None:
            return -1 if session.keyspace.exists(args[1]) else -2
        told = ends if absolute else max(ends - session.service.wall_ms, 0)
        return (told + unit // 2) // unit

    return tell


def _refcount(session: "Session", args: list[bytes]) -> Reply:
    return 1 if session.keyspace.exists(args[2]) else None


_READ, _WRITE = "readonly fast", "write fast"
_WHEN = "[NX | XX | GT | LT]"
_SCAN = "cursor [MATCH pattern] [COUNT count] [TYPE type]"
_OBJECT = (2, 2, 1)

# fmt: off
ROWS = [
    Command("del", _del, -2, "key [key ...]", "Deletes keys: what this node has seen of them.",
            "1.0.0", "write", KEYS),
    Command("unlink", _del, -2, "key [key ...]", "The same as DEL.", "4.0.0", _WRITE, KEYS),
    Command("exists", _exists, -2, "key [key ...]", "How many of these keys are there.", "1.0.0",
            _READ, KEYS),
    Command("touch", _exists, -2, "key [key ...]", "How many of these keys are there.", "3.2.1",
            _READ, KEYS),
    Command("type", _type, 2, "key", "What a key holds.", "1.0.0", _READ, KEY),
    Command("keys", _keys, 2, "pattern", "All keys that match.", "1.0.0", "readonly",
            cost=HEAVY * 4),
    Command("scan", _scan, -2, _SCAN, "Walks all keys.", "2.8.0", "readonly", cost=HEAVY // 8),
    Command("randomkey", _randomkey, 1, "", "Any key.", "1.0.0", "readonly"),
    Command("dbsize", _dbsize, 1, "", "How many keys there are.", "1.0.0", _READ),
    Command("rename", _rename, 3, "key newkey", "Moves a key to another name, in one record.",
            "1.0.0", "write", (1, 2, 1), HEAVY // 4),
    Command("renamenx", _renamenx, 3, "key newkey",
            "Moves a key unless the new name is taken on this node.", "1.0.0", _WRITE, (1, 2, 1),
            HEAVY // 4),
    Command("copy", _copy, -3, "source destination [DB destination-db] [REPLACE]",
            "Writes what a key holds under another name.", "6.2.0", "write denyoom", (1, 2, 1),
            HEAVY // 4),
    Command("expire", _expires("expire", b"EX"), -3, f"key seconds {_WHEN}",
            "Sets when a key ends.", "1.0.0", _WRITE, KEY),
    Command("pexpire", _expires("pexpire", b"PX"), -3, f"key milliseconds {_WHEN}",
            "Sets when a key ends.", "2.6.0", _WRITE, KEY),
    Command("expireat", _expires("expireat", b"EXAT"), -3, f"key unix-time-seconds {_WHEN}",
            "Sets when a key ends.", "1.2.0", _WRITE, KEY),
    Command("pexpireat", _expires("pexpireat", b"PXAT"), -3, f"key unix-time-milliseconds {_WHEN}",
            "Sets when a key ends.", "2.6.0", _WRITE, KEY),
    Command("persist", _persist, 2, "key", "Lets a key stay for ever.", "2.2.0", _WRITE, KEY),
    Command("ttl", _tells(1000, absolute=False), 2, "key",
            "Seconds until a key ends; -1 never, -2 no such key.", "1.0.0", _READ, KEY),
    Command("pttl", _tells(1, absolute=False), 2, "key",
            "Milliseconds until a key ends; -1 never, -2 no such key.", "2.6.0", _READ, KEY),
    Command("expiretime", _tells(1000, absolute=True), 2, "key",
            "When a key ends, in unix seconds; -1 never, -2 no such key.", "7.0.0", _READ, KEY),
    Command("pexpiretime", _tells(1, absolute=True), 2, "key",
            "When a key ends, in unix milliseconds; -1 never, -2 no such key.", "7.0.0", _READ,
            KEY),
    container("object", "About the inside of keys.", [
        Command("object|refcount", _refcount, 3, "key", "Always 1.", "2.2.3", "readonly", _OBJECT),
    ], since="2.2.3"),
    *sorting.ROWS,
]
# fmt: on
