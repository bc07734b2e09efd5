"""Channels: what is published here is heard by subscribers on every node that is connected.

Best effort, as in Redis: nothing is stored, and whoever is cut off has missed it. PUBLISH answers
how many clients of *this* node heard it; nobody knows of the others.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipnet.resp.glob import matcher
from gossipnet.resp.limits import EVENT_BYTES
from gossipnet.resp.options import check_writable
from gossipnet.resp.replies import CommandError, Push, Replies, Reply
from gossipnet.resp.table import HEAVY, Command, container

if TYPE_CHECKING:
    from gossipnet.resp.channels import Channels
    from gossipnet.resp.session import Session


def _publish(session: "Session", args: list[bytes]) -> Reply:
    channel, data = args[1], args[2]
    if len(channel) + len(data) > EVENT_BYTES:
        raise CommandError(
            f"ERR a message and its channel may have {EVENT_BYTES} bytes together, "
            "for it is sent to every node"
        )
    check_writable(session, [channel])
    return session.service.publish(channel, data)


Act = Callable[["Channels", "Session", bytes], None]


def _enters(kind: bytes, act: Act) -> Callable[["Session", list[bytes]], Reply]:
    def enter(session: "Session", args: list[bytes]) -> Reply:
        told: list[Reply] = []
        for name in args[1:]:
            act(session.service.channels, session, name)
            told.append(Push([kind, name, len(session.subscriptions)]))
        session.settle()
        return Replies(told)

    return enter


def _leaves(kind: bytes, act: Act) -> Callable[["Session", list[bytes]], Reply]:
    def leave(session: "Session", args: list[bytes]) -> Reply:
        heard = session.subscriptions
        names = args[1:] or list(heard.patterns if kind[:1] == b"p" else heard.channels)
        told: list[Reply] = []
        for name in names:
            act(session.service.channels, session, name)
            told.append(Push([kind, name, len(heard)]))
        session.settle()
        return Replies(told or [Push([kind, None, len(heard)])])

    return leave


def _channels(session: "Session", args: list[bytes]) -> Reply:
    if len(args) > 3:
        raise CommandError("ERR wrong number of arguments for 'pubsub|channels' command")
    return session.service.channels.active(matcher(args[2] if len(args) == 3 else b"*"))


def _numsub(session: "Session", args: list[bytes]) -> Reply:
    channels = session.service.channels
    return [part for name in args[2:] for part in (name, channels.count(name))]


def _numpat(session: "Session", _args: list[bytes]) -> Reply:
    return session.service.channels.pattern_count


_FLAGS = "pubsub noscript loading stale no-multi"
_LOOK = "pubsub loading stale"

# fmt: off
ROWS = [
    Command("publish", _publish, 3, "channel message",
            "Tells all who hear a channel, on every node; how many did on this one.", "2.0.0",
            "pubsub loading stale fast"),
    Command("subscribe", _enters(b"subscribe", lambda c, s, n: c.subscribe(s, n)), -2,
            "channel [channel ...]", "Hears channels.", "2.0.0", _FLAGS),
    Command("unsubscribe", _leaves(b"unsubscribe", lambda c, s, n: c.unsubscribe(s, n)), -1,
            "[channel [channel ...]]", "Hears channels no more.", "2.0.0", _FLAGS),
    Command("psubscribe", _enters(b"psubscribe", lambda c, s, n: c.subscribe_pattern(s, n)), -2,
            "pattern [pattern ...]", "Hears all channels that match.", "2.0.0", _FLAGS),
    Command("punsubscribe", _leaves(b"punsubscribe", lambda c, s, n: c.unsubscribe_pattern(s, n)),
            -1, "[pattern [pattern ...]]", "Hears patterns no more.", "2.0.0", _FLAGS),
    container("pubsub", "About channels.", [
        Command("pubsub|channels", _channels, -2, "[pattern]",
                "Channels that clients of this node hear by name.", "2.8.0", _LOOK, cost=HEAVY),
        Command("pubsub|numsub", _numsub, -2, "[channel [channel ...]]",
                "How many clients of this node hear each.", "2.8.0", _LOOK),
        Command("pubsub|numpat", _numpat, 2, "", "How many patterns clients of this node hear.",
                "2.8.0", _LOOK),
    ], since="2.8.0"),
]
# fmt: on
