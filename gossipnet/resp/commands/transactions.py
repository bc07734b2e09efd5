"""MULTI and EXEC: local isolation, and one record that applies as a whole on every node.

WATCH compares with this node's view only: two nodes may both win. It is no lock.
"""

from typing import TYPE_CHECKING

from gossipnet.resp.blocking import Blocked
from gossipnet.resp.limits import WATCHED_KEYS
from gossipnet.resp.replies import NO_ARRAY, OK, CommandError, Reply
from gossipnet.resp.table import HEAVY, KEYS, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session


_PER_WORD = 128
"""Bytes that a word of a command may take in a record on top of its own."""


def _multi(session: "Session", _args: list[bytes]) -> Reply:
    if session.transaction is not None:
        raise CommandError("ERR MULTI calls can not be nested")
    session.begin()
    return OK


def _exec(session: "Session", _args: list[bytes]) -> Reply:
    transaction = session.transaction
    if transaction is None:
        raise CommandError("ERR EXEC without MULTI")
    changed = any(
        session.keyspace.changed_since(key, token) for key, token in session.watched.items()
    )
    session.end()
    if transaction.broken:
        raise CommandError("EXECABORT Transaction discarded because of previous errors.")
    if changed:
        return NO_ARRAY
    session.service.pressure.check_transaction(command for command, _args in transaction.queue)
    size = sum(len(word) + _PER_WORD for _command, args in transaction.queue for word in args)
    with session.keyspace.atomic(size):
        replies = [session.perform(command, args) for command, args in transaction.queue]
    # Nothing waits inside a transaction: it is as if its time were over.
    return [_at_once(reply) for reply in replies]


def _at_once(reply: Reply) -> Reply:
    if type(reply) is not Blocked:
        return reply
    reply.ended()
    return reply.otherwise()


def _discard(session: "Session", _args: list[bytes]) -> Reply:
    if session.transaction is None:
        raise CommandError("ERR DISCARD without MULTI")
    session.end()
    return OK


def _watch(session: "Session", args: list[bytes]) -> Reply:
    if session.transaction is not None:
        raise CommandError("ERR WATCH inside MULTI is not allowed")
    new = [key for key in dict.fromkeys(args[1:]) if key not in session.watched]
    if len(session.watched) + len(new) > WATCHED_KEYS:
        raise CommandError(f"ERR a client may watch {WATCHED_KEYS} keys at most")
    for key in new:
        session.watched[key] = session.keyspace.watch(key)
    return OK


def _unwatch(session: "Session", _args: list[bytes]) -> Reply:
    session.unwatch()
    return OK


_FLAGS = "noscript loading stale fast"

# fmt: off
ROWS = [
    Command("multi", _multi, 1, "", "Begins a transaction.", "1.2.0", _FLAGS),
    Command("exec", _exec, 1, "", "Runs the transaction as one record, atomic on every node.",
            "1.2.0", "noscript loading stale commits", cost=HEAVY),
    Command("discard", _discard, 1, "", "Forgets the transaction.", "2.0.0", _FLAGS),
    Command("watch", _watch, -2, "key [key ...]",
            "Lets EXEC fail if a key changes on this node; no lock.", "2.2.0", _FLAGS, KEYS),
    Command("unwatch", _unwatch, 1, "", "Forgets all watched keys.", "2.2.0", _FLAGS),
]
# fmt: on
