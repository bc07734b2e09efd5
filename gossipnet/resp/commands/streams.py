"""Streams: entries with rising ids, united from all nodes in the order of their ids.

What another node wrote a moment ago may sort below what was read already: whoever reads on from the
newest id has then missed it. XREAD that waits is woken by entries of any node.
"""

from typing import TYPE_CHECKING

from gossipnet.resp.blocking import NOT_YET, Blocked
from gossipnet.resp.commands import stream_groups, stream_info, stream_pending
from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import NO_ARRAY, OK, CommandError, Reply
from gossipnet.resp.stream_options import (
    Trim,
    after,
    interval,
    new_ms,
    parse_id,
    parse_reading,
    parse_trim,
    shown,
    told,
    written,
)
from gossipnet.resp.table import HEAVY, KEY, STREAMS, Command
from gossipnet.state.types.stream import FIRST, Id

if TYPE_CHECKING:
    from gossipnet.resp.session import Session


def _xadd(session: "Session", args: list[bytes]) -> Reply:
    keyspace, key = session.keyspace, args[1]
    make, trim = True, None
    at = 2
    while at < len(args):
        word = args[at].upper()
        if word == b"NOMKSTREAM":
            make = False
            at += 1
        elif word in (b"MAXLEN", b"MINID"):
            trim, at = parse_trim(args, at, trim)
        else:
            break
    if at == len(args):
        raise CommandError("ERR wrong number of arguments for 'xadd' command")
    ms = new_ms(args[at])
    fields = args[at + 1 :]
    if not fields or len(fields) % 2:
        raise CommandError("ERR wrong number of arguments for 'xadd' command")
    if keyspace.stream(key) is None and not make:
        return None
    with keyspace.atomic(sum(map(len, fields)) + 1024):
        one = keyspace.stream_add(key, ms, fields)
        if trim is not None:
            trim.run(session, key)
    return written(one)


def _xlen(session: "Session", args: list[bytes]) -> Reply:
    stream = session.keyspace.stream(args[1])
    return 0 if stream is None else len(stream.entries)


def _range(session: "Session", key: bytes, first: bytes, last: bytes, rest: list[bytes]) -> Reply:
    start, stop = interval(first, last)
    count = -1
    if rest:
        if len(rest) != 2 or rest[0].upper() != b"COUNT":
            raise CommandError(SYNTAX)
        count = max(0, integer(rest[1]))
    stream = session.keyspace.stream(key)
    if stream is None:
        return []
    return (stream, stream.between(start, stop), count) if count else NO_ARRAY


def _xrange(session: "Session", args: list[bytes]) -> Reply:
    found = _range(session, args[1], args[2], args[3], args[4:])
    if not isinstance(found, tuple):
        return found
    stream, (start, stop), count = found
    return shown(stream.entries.slice(start, stop if count < 0 else min(stop, start + count)))


def _xrevrange(session: "Session", args: list[bytes]) -> Reply:
    found = _range(session, args[1], args[3], args[2], args[4:])
    if not isinstance(found, tuple):
        return found
    stream, (start, stop), count = found
    return shown(
        reversed(stream.entries.slice(start if count < 0 else max(start, stop - count), stop))
    )


def _xdel(session: "Session", args: list[bytes]) -> Reply:
    if session.keyspace.stream(args[1]) is None:
        return 0
    ids = [parse_id(word) for word in args[2:]]
    return session.keyspace.stream_delete(args[1], ids)


def _xtrim(session: "Session", args: list[bytes]) -> Reply:
    trim: Trim | None = None
    at = 2
    while at < len(args):
        if args[at].upper() not in (b"MAXLEN", b"MINID"):
            raise CommandError(SYNTAX)
        trim, at = parse_trim(args, at, trim)
    if trim is None:
        raise CommandError(SYNTAX)
    return trim.run(session, args[1])


def _xsetid(session: "Session", args: list[bytes]) -> Reply:
    last = parse_id(args[2])
    for at in range(3, len(args), 2):
        if args[at].upper() not in (b"ENTRIESADDED", b"MAXDELETEDID") or at + 1 >= len(args):
            raise CommandError(SYNTAX)
    stream = session.keyspace.stream(args[1])
    if stream is None:
        raise CommandError("ERR no such key")
    if last < stream.last:
        raise CommandError(
            "ERR The ID specified in XSETID is smaller than the target stream top item"
        )
    session.keyspace.stream_set_id(args[1], last)
    return OK


# ---------------------------------------------------------------- reading


def _xread(session: "Session", args: list[bytes]) -> Reply:
    reading = parse_reading(session, args)
    keyspace = session.keyspace
    wanted: list[tuple[bytes, Id]] = []
    for key, word in reading.wanted:
        stream = keyspace.stream(key)
        if word == b">":
            raise CommandError(
                "ERR The > ID can be specified only when calling XREADGROUP using the "
                "GROUP <group> <consumer> option."
            )
        last = FIRST if stream is None else stream.last
        wanted.append((key, last if word == b"$" else parse_id(word)))

    def attempt() -> Reply:
        found = [
            (key, shown(entries))
            for key, last in wanted
            if (entries := after(keyspace.stream(key), last, reading.most))
        ]
        return told(session, found) if found else NOT_YET

    reply = attempt()
    if reply is not NOT_YET:
        return reply
    if reading.until is None:
        return NO_ARRAY
    return Blocked((key for key, _last in wanted), attempt, lambda: NO_ARRAY, reading.until)


_TRIM = "MAXLEN | MINID [= | ~] threshold [LIMIT count]"
_WRITE = "write denyoom fast"

# fmt: off
ROWS = [
    Command("xadd", _xadd, -5, f"key [NOMKSTREAM] [{_TRIM}] * | ms | ms-* field value "
            "[field value ...]", "Adds an entry; its id tells which node made it.", "5.0.0",
            _WRITE, KEY),
    Command("xlen", _xlen, 2, "key", "How many entries there are.", "5.0.0", "readonly fast", KEY),
    Command("xrange", _xrange, -4, "key start end [COUNT count]", "Entries between two ids.",
            "5.0.0", "readonly", KEY, HEAVY // 4),
    Command("xrevrange", _xrevrange, -4, "key end start [COUNT count]",
            "Entries between two ids, the newest first.", "5.0.0", "readonly", KEY, HEAVY // 4),
    Command("xread", _xread, -4,
            "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
            "Entries above ids; waits for them if asked to, whichever node adds them.", "5.0.0",
            "readonly blocking", (1, STREAMS, 1),
            HEAVY // 4),
    Command("xdel", _xdel, -3, "key id [id ...]", "Removes entries.", "5.0.0", "write fast", KEY),
    Command("xtrim", _xtrim, -4, f"key {_TRIM}", "Removes the oldest entries that this node sees.",
            "5.0.0", "write", KEY, HEAVY // 4),
    Command("xsetid", _xsetid, -3,
            "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
            "Lets ids go on above one that is higher.", "5.0.0", _WRITE, KEY),
    *stream_groups.ROWS,
    *stream_pending.ROWS,
    *stream_info.ROWS,
]
# fmt: on
