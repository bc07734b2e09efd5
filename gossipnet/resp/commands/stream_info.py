"""XINFO: streams, their groups and the readers on this node."""

from typing import TYPE_CHECKING

from gossipnet.resp.commands.stream_groups import consumers_of, lag, no_group
from gossipnet.resp.numbers import integer
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.resp.stream_options import shown, written
from gossipnet.resp.table import Command, container
from gossipnet.state.types.stream import FIRST, LAST, Stream

if TYPE_CHECKING:
    from gossipnet.resp.session import Session


_UNKNOWN = "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP."


def _stream(session: "Session", args: list[bytes]) -> Reply:
    stream = session.keyspace.stream(args[2])
    if stream is None:
        raise CommandError("ERR no such key")
    count = 10
    if len(args) > 3:
        if args[3].upper() != b"FULL" or len(args) not in (4, 6):
            raise CommandError(_UNKNOWN)
        if len(args) == 6:
            if args[4].upper() != b"COUNT":
                raise CommandError(_UNKNOWN)
            count = max(0, integer(args[5]))
    entries = stream.entries
    head = _head(stream)
    if len(args) == 3:
        ends = (entries[0], entries[-1]) if len(entries) else (None, None)
        first, last = (None if end is None else shown([end])[0] for end in ends)
        groups = len(stream.living())
        return {**head, b"groups": groups, b"first-entry": first, b"last-entry": last}
    listed = entries.slice(0, count or len(entries))
    return {**head, b"entries": shown(listed), b"groups": _full_groups(stream, count)}


def _head(stream: Stream) -> dict[bytes, Reply]:
    entries = stream.entries
    return {
        b"length": len(entries),
        # Redis's inner structure; a stream of one node of its kind.
        b"radix-tree-keys": int(len(entries) > 0),
        b"radix-tree-nodes": 1 + int(len(entries) > 0),
        b"last-generated-id": written(stream.last),
        b"max-deleted-entry-id": written(stream.last_removed),
        b"entries-added": stream.added,
        b"recorded-first-entry-id": written(entries[0][:2] if len(entries) else FIRST),
    }


def _groups(session: "Session", args: list[bytes]) -> Reply:
    stream = session.keyspace.stream(args[2])
    if stream is None:
        raise CommandError("ERR no such key")
    rows: list[Reply] = []
    for name, group in stream.living().items():
        held = consumers_of(stream, group)
        rows.append(
            {
                b"name": name,
                b"consumers": len(held.readers),
                b"pending": len(held),
                b"last-delivered-id": written(held.last),
                b"entries-read": held.read,
                b"lag": lag(stream, held.last),
            }
        )
    return rows


def _consumers(session: "Session", args: list[bytes]) -> Reply:
    stream = session.keyspace.stream(args[2])
    if stream is None:
        raise CommandError("ERR no such key")
    held = consumers_of(stream, no_group(session, args[2], args[3]))
    now = session.service.wall_ms
    return [
        {b"name": name, b"pending": reader.pending, b"idle": max(0, now - reader.seen_ms)}
        for name, reader in sorted(held.readers.items())
    ]


def _full_groups(stream: Stream, count: int) -> list[Reply]:
    rows: list[Reply] = []
    for name, group in stream.living().items():
        held = consumers_of(stream, group)
        pending = [
            [written(one), kept.consumer, kept.given_ms, kept.count]
            for one, kept in held.held(FIRST, LAST)
        ]
        readers = [
            {
                b"name": who,
                b"seen-time": reader.seen_ms,
                b"pel-count": reader.pending,
                b"pending": [
                    [one, given, times] for one, owner, given, times in pending if owner == who
                ][: count or None],
            }
            for who, reader in sorted(held.readers.items())
        ]
        rows.append(
            {
                b"name": name,
                b"last-delivered-id": written(held.last),
                b"entries-read": held.read,
                b"lag": lag(stream, held.last),
                b"pel-count": len(held),
                b"pending": pending[: count or None],
                b"consumers": readers,
            }
        )
    return rows


_KEY = (2, 2, 1)

# fmt: off
ROWS = [
    container("xinfo", "About streams.", [
        Command("xinfo|stream", _stream, -3, "key [FULL [COUNT count]]", "A stream.", "5.0.0",
                "readonly", _KEY),
        Command("xinfo|groups", _groups, 3, "key",
                "The groups of a stream, as this node sees them.", "5.0.0", "readonly", _KEY),
        Command("xinfo|consumers", _consumers, 4, "key group", "The readers on this node.",
                "5.0.0", "readonly", _KEY),
    ], since="5.0.0"),
]
# fmt: on
