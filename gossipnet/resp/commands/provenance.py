"""GOSSIP's questions about where state comes from: conflicts, authors of keys, heads of logs."""

from typing import TYPE_CHECKING

from gossipnet.ids import text
from gossipnet.resp.numbers import integer
from gossipnet.resp.replies import Reply, plain
from gossipnet.resp.table import Command
from gossipnet.state.clock import stamp_ms
from gossipnet.state.conflicts import KINDS
from gossipnet.state.dots import log_of, place_of, seq_of

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_SINCE = "gossipnet"
_DOTS = 1000  # of a key, the newest: a set of a million members has as many


def _conflicts(session: "Session", args: list[bytes]) -> Reply:
    service = session.service
    count = integer(args[2], 0, error="ERR count is a number from 0 on") if len(args) == 3 else 10
    newest = reversed(session.keyspace.conflicts.newest)
    may_read = service.may_read or (lambda _key: True)
    rows: list[Reply] = []
    for conflict in newest:
        if len(rows) >= count:
            break
        if may_read(conflict.key):
            rows.append(
                {
                    "wall": conflict.wall_ms / 1000,
                    "kind": conflict.kind,
                    "key": conflict.key,
                    "part": conflict.part,
                    "authors": [service.author(log_of(dot)) for dot in conflict.dots],
                    "outcome": KINDS[conflict.kind],
                }
            )
    return plain(rows)


def _who(session: "Session", args: list[bytes]) -> Reply:
    keyspace = session.keyspace
    entry = keyspace.entries.get(args[2])
    if entry is None:
        return None
    newest: dict[int, tuple[int, int]] = {}
    for dot in entry.dots():
        log = log_of(dot)
        held, stamp = newest.get(log, (0, 0))
        newest[log] = held + 1, max(stamp, keyspace.logs.stamp(dot))
    rows = sorted(newest.items(), key=lambda row: row[1][1], reverse=True)
    return plain(
        [
            {
                "author": session.service.author(log),
                "id": text(keyspace.logs.by_number[log].author),
                "wall": stamp_ms(stamp) / 1000,
                "operations": held,
            }
            for log, (held, stamp) in rows
        ]
    )


def _dots(session: "Session", args: list[bytes]) -> Reply:
    keyspace = session.keyspace
    entry = keyspace.entries.get(args[2])
    if entry is None:
        return None
    stamp = keyspace.logs.stamp
    newest = sorted(set(entry.dots()), key=lambda dot: (stamp(dot), dot), reverse=True)[:_DOTS]
    return plain(
        [
            {
                "log": text(keyspace.logs.by_number[log_of(dot)].id),
                "seq": seq_of(dot),
                "place": place_of(dot),
                "stamp": stamp(dot),
            }
            for dot in newest
        ]
    )


def _vector(session: "Session", _args: list[bytes]) -> Reply:
    return plain(
        [
            {
                "log": text(log.id),
                "author": session.service.author(log.number),
                "epoch": log.epoch,
                "head": log.head,
            }
            for log in session.keyspace.logs.by_number
            if log.head
        ]
    )


_ANY = "loading stale"
_OF_KEY = (2, 2, 1)

# fmt: off
ROWS = [
    Command("gossip|conflicts", _conflicts, -2, "[count]",
            "Concurrent writes that had to be decided, newest first, and how each ended.", _SINCE,
            _ANY),
    Command("gossip|who", _who, 3, "key",
            "Whose writes a key holds, the newest author first.", _SINCE, "readonly", _OF_KEY),
    Command("gossip|dots", _dots, 3, "key",
            "The operations that a key consists of, newest first.", _SINCE, "readonly", _OF_KEY),
    Command("gossip|vv", _vector, 2, "", "The version vector: how far each log is known here.",
            _SINCE, _ANY),
]
# fmt: on
