"""Consumer groups: a group is the mesh's, its readers and what they hold are this node's.

Readers on different nodes are given the same entries: a group divides the work of one node. What is
told to the others is up to where everything read here is acknowledged, so that readers elsewhere
begin behind it. DEL of the stream and XGROUP DESTROY win over a creation that they have not seen. A
restart forgets who held what: entries that were not acknowledged are given out again.
"""

from typing import TYPE_CHECKING

from gossipnet.resp.blocking import NOT_YET, Blocked
from gossipnet.resp.limits import CONSUMERS
from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import NO_ARRAY, OK, CommandError, Reply
from gossipnet.resp.stream_options import (
    Reading,
    after,
    parse_id,
    parse_reading,
    shown,
    told,
    written,
)
from gossipnet.resp.table import HEAVY, STREAMS, Command, container
from gossipnet.state.types.consumers import Consumer, Consumers
from gossipnet.state.types.stream import FIRST, LAST, Entry, Group, Id, Stream

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_NO_KEY = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to "
    "use the MKSTREAM option to create an empty stream automatically."
)
_MEANINGLESS = (
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of "
    "this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would "
    "just return an empty result set."
)


def consumers_of(stream: Stream, group: Group) -> Consumers:
    """The readers of a group, which begin where it stands."""
    held = group.consumers
    if held is None:
        held = group.consumers = Consumers(group.start(), group.acked())
    acked = group.acked()
    if acked > held.acked:
        held.acked = acked
        if acked > held.last:  # readers elsewhere are further on
            held.last, held.read = acked, None
    return held


def reader_of(session: "Session", held: Consumers, name: bytes) -> Consumer:
    """A reader that is there from now on.

    Raises:
      CommandError: There are too many.
    """
    if name not in held.readers and len(held.readers) >= CONSUMERS:
        raise CommandError(f"ERR a group may have {CONSUMERS} consumers on a node at most")
    return held.reader(name, session.service.wall_ms)


def group_of(session: "Session", key: bytes, name: bytes, where: str = "") -> tuple[Stream, Group]:
    """A stream and one of its groups.

    Raises:
      CommandError: One of them is not there.
    """
    stream = session.keyspace.stream(key)
    group = session.keyspace.group(key, name)
    if stream is None or group is None:
        shown_key, shown_name = (word.decode("utf-8", "surrogateescape") for word in (key, name))
        raise CommandError(
            f"NOGROUP No such key '{shown_key}' or consumer group '{shown_name}'{where}"
        )
    return stream, group


def lag(stream: Stream, last: Id) -> int:
    """How many entries are above an id."""
    return len(stream.entries) - stream.entries.rank((last[0], last[1] + 1))


# ---------------------------------------------------------------- XGROUP


def _of_group(session: "Session", args: list[bytes]) -> tuple[Stream, Group]:
    stream = session.keyspace.stream(args[2])
    if stream is None:
        raise CommandError(_NO_KEY)
    return stream, no_group(session, args[2], args[3])


def no_group(session: "Session", key: bytes, name: bytes) -> Group:
    """A group that is there.

    Raises:
      CommandError: It is not.
    """
    group = session.keyspace.group(key, name)
    if group is None:
        shown_key, shown_name = (word.decode("utf-8", "surrogateescape") for word in (key, name))
        raise CommandError(
            f"NOGROUP No such consumer group '{shown_name}' for key name '{shown_key}'"
        )
    return group


def _position(stream: Stream | None, word: bytes) -> Id:
    if word == b"$":
        return FIRST if stream is None else stream.last
    return parse_id(word)


def _entries_read(words: list[bytes]) -> int | None:
    if not words:
        return None
    if len(words) != 2 or words[0].upper() != b"ENTRIESREAD":
        raise CommandError(SYNTAX)
    number = integer(words[1])
    if number < -1:
        raise CommandError("ERR value for ENTRIESREAD must be positive or -1")
    return None if number < 0 else number


def _create(session: "Session", args: list[bytes]) -> Reply:
    keyspace, key, name = session.keyspace, args[2], args[3]
    rest = [word for word in args[5:] if word.upper() != b"MKSTREAM"]
    read = _entries_read(rest)
    stream = keyspace.stream(key)
    if stream is None and len(rest) == len(args) - 5:
        raise CommandError(_NO_KEY)
    start = _position(stream, args[4])
    if not keyspace.group_create(key, name, start):
        raise CommandError("BUSYGROUP Consumer Group name already exists")
    if read is not None:
        stream = keyspace.stream(key)
        group = keyspace.group(key, name)
        if stream is not None and group is not None:
            consumers_of(stream, group).read = read
    return OK


def _destroy(session: "Session", args: list[bytes]) -> Reply:
    if session.keyspace.stream(args[2]) is None:
        raise CommandError(_NO_KEY)
    return int(session.keyspace.group_destroy(args[2], args[3]))


def _setid(session: "Session", args: list[bytes]) -> Reply:
    stream, group = _of_group(session, args)
    last, read = _position(stream, args[4]), _entries_read(args[5:])
    held = consumers_of(stream, group)
    held.last, held.read = last, read
    return OK


def _createconsumer(session: "Session", args: list[bytes]) -> Reply:
    held = consumers_of(*_of_group(session, args))
    new = args[4] not in held.readers
    reader_of(session, held, args[4])
    return int(new)


def _delconsumer(session: "Session", args: list[bytes]) -> Reply:
    return consumers_of(*_of_group(session, args)).forget(args[4])


# ---------------------------------------------------------------- reading


def _xreadgroup(session: "Session", args: list[bytes]) -> Reply:
    reading = parse_reading(session, args)
    group = reading.group
    assert group is not None
    history: dict[bytes, Id] = {}
    for key, word in reading.wanted:
        if word == b"$":
            raise CommandError(_MEANINGLESS)
        group_of(session, key, group, " in XREADGROUP with GROUP option")
        if word != b">":
            history[key] = parse_id(word)

    def attempt() -> Reply:
        found: list[tuple[bytes, Reply]] = []
        for key, word in reading.wanted:
            stream, held = group_of(session, key, group, " in XREADGROUP with GROUP option")
            readers = consumers_of(stream, held)
            if word != b">":
                found.append((key, _again(session, reading, stream, readers, history[key])))
            elif entries := after(stream, readers.last, reading.most):
                _give(session, reading, stream, readers, entries)
                found.append((key, shown(entries)))
            else:
                reader_of(session, readers, reading.consumer)
        return told(session, found) if found else NOT_YET

    reply = attempt()
    if reply is not NOT_YET:
        return reply
    if reading.until is None:
        return NO_ARRAY
    keys = (key for key, _word in reading.wanted)
    return Blocked(keys, attempt, lambda: NO_ARRAY, reading.until)


def _give(
    session: "Session",
    reading: Reading,
    stream: Stream,
    readers: Consumers,
    entries: list[Entry],
) -> None:
    """Entries that nobody here had yet."""
    reader_of(session, readers, reading.consumer)
    last = entries[-1][:2]
    if readers.read is not None and readers.last >= stream.last_removed:
        readers.read += len(entries)
    else:
        readers.read = stream.added - lag(stream, last)
    readers.last = last
    if not reading.unacknowledged:
        for entry in entries:
            readers.give(entry[:2], reading.consumer, session.service.wall_ms)


def _again(
    session: "Session", reading: Reading, stream: Stream, readers: Consumers, above: Id
) -> Reply:
    """What a reader holds already; entries that are gone show as nothing."""
    reader_of(session, readers, reading.consumer)
    found: list[Reply] = []
    for one, pending in readers.held((above[0], above[1] + 1), LAST):
        if pending.consumer != reading.consumer:
            continue
        entry = stream.find(one)
        pending.given_ms = session.service.wall_ms
        pending.count += 1
        found.append([written(one), NO_ARRAY] if entry is None else shown([entry])[0])
        if len(found) == reading.most:
            break
    return found


def _xack(session: "Session", args: list[bytes]) -> Reply:
    keyspace, key, name = session.keyspace, args[1], args[2]
    stream, group = keyspace.stream(key), keyspace.group(key, name)
    if stream is None or group is None:
        return 0
    ids = [parse_id(word) for word in args[3:]]
    readers = consumers_of(stream, group)
    taken = sum(readers.take(one) for one in dict.fromkeys(ids))
    if taken:
        keyspace.group_ack(key, name, _done(stream, readers))
    return taken


def _done(stream: Stream, readers: Consumers) -> Id:
    """Up to where everything that was read here is acknowledged."""
    oldest = readers.oldest()
    if oldest is None:
        return readers.last
    before = stream.entries.rank(oldest)
    return stream.entries[before - 1][:2] if before else FIRST


_KEY = (2, 2, 1)
_LOCAL, _WRITE = "write", "write denyoom"

# fmt: off
ROWS = [
    container("xgroup", "About consumer groups.", [
        Command("xgroup|create", _create, -5,
                "key group id | $ [MKSTREAM] [ENTRIESREAD entries-read]",
                "Begins a group, on every node.", "5.0.0", _WRITE, _KEY),
        Command("xgroup|destroy", _destroy, 4, "key group",
                "Ends a group; it wins over creations that have not seen it.", "5.0.0", _LOCAL,
                _KEY),
        Command("xgroup|setid", _setid, -5, "key group id | $ [ENTRIESREAD entries-read]",
                "Sets from where this node's readers go on.", "5.0.0", _LOCAL, _KEY),
        Command("xgroup|createconsumer", _createconsumer, 5, "key group consumer",
                "Makes a reader known, on this node.", "6.2.0", _WRITE, _KEY),
        Command("xgroup|delconsumer", _delconsumer, 5, "key group consumer",
                "Forgets a reader of this node and what it holds.", "5.0.0", _LOCAL, _KEY),
    ], since="5.0.0"),
    Command("xreadgroup", _xreadgroup, -7,
            "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] "
            "id [id ...]", "Gives out entries to the readers of this node.", "5.0.0",
            "write blocking", (1, STREAMS, 1), HEAVY // 4),
    Command("xack", _xack, -4, "key group id [id ...]",
            "Acknowledges entries; others hear up to where all are.", "5.0.0", "write fast",
            (1, 1, 1)),
]
# fmt: on
