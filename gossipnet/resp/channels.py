"""Who of this node's clients hears which channels, and the telling.

Knows no mesh: whoever hears of a message, here or from afar, calls `tell`. Several clients that
hear the same thing in the same protocol share one encoding.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gossipnet.resp.glob import matcher
from gossipnet.resp.limits import SUBSCRIPTIONS
from gossipnet.resp.replies import CommandError, Push, encode

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

KEYSPACE = b"__keyspace@0__:"
KEYEVENT = b"__keyevent@0__:"


class Subscriptions:
    """What one client hears.

    Attributes:
      channels, patterns: In the order in which it asked.
    """

    __slots__ = ("channels", "patterns")

    def __init__(self) -> None:
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self.channels) + len(self.patterns)


class Channels:
    """All subscriptions of one node's clients."""

    def __init__(self, may_read: Callable[[bytes], bool] | None) -> None:
        self._may_read = may_read
        self._listeners: dict[bytes, dict[Session, None]] = {}
        self._patterns: dict[bytes, tuple[Callable[[bytes], bool], dict[Session, None]]] = {}

    # -- who hears what ------------------------------------------------------------------------

    def subscribe(self, session: "Session", channel: bytes) -> None:
        """Let a client hear a channel.

        Raises:
          CommandError: It hears too many, or its node may not read that one.
        """
        if not self._may_hear(channel):
            shown = channel[:128].decode("utf-8", "surrogateescape")
            raise CommandError(f"NOPERM this node's certificate does not let it read '{shown}'")
        _check_room(session)
        session.subscriptions.channels[channel] = None
        self._listeners.setdefault(channel, {})[session] = None

    def subscribe_pattern(self, session: "Session", pattern: bytes) -> None:
        """Let a client hear all channels that match.

        Raises:
          CommandError: It hears too many.
        """
        _check_room(session)
        session.subscriptions.patterns[pattern] = None
        if pattern not in self._patterns:
            self._patterns[pattern] = (matcher(pattern), {})
        self._patterns[pattern][1][session] = None

    def unsubscribe(self, session: "Session", channel: bytes) -> None:
        """Undo `subscribe`; nothing if it was not."""
        session.subscriptions.channels.pop(channel, None)
        listeners = self._listeners.get(channel)
        if listeners is not None:
            listeners.pop(session, None)
            if not listeners:
                del self._listeners[channel]

    def unsubscribe_pattern(self, session: "Session", pattern: bytes) -> None:
        """Undo `subscribe_pattern`; nothing if it was not."""
        session.subscriptions.patterns.pop(pattern, None)
        known = self._patterns.get(pattern)
        if known is not None:
            known[1].pop(session, None)
            if not known[1]:
                del self._patterns[pattern]

    def forget(self, session: "Session") -> None:
        """A client hears nothing any more."""
        for channel in list(session.subscriptions.channels):
            self.unsubscribe(session, channel)
        for pattern in list(session.subscriptions.patterns):
            self.unsubscribe_pattern(session, pattern)

    def _may_hear(self, channel: bytes) -> bool:
        if self._may_read is None or channel.startswith(KEYEVENT):
            return True  # what it says of keys is judged key by key
        return self._may_read(channel.removeprefix(KEYSPACE))

    # -- PUBSUB --------------------------------------------------------------------------------

    def active(self, matches: Callable[[bytes], bool]) -> list[bytes]:
        """Channels that somebody hears by name."""
        return [channel for channel in self._listeners if matches(channel)]

    def count(self, channel: bytes) -> int:
        """How many clients hear a channel by name."""
        return len(self._listeners.get(channel, ()))

    @property
    def pattern_count(self) -> int:
        """How many different patterns there are."""
        return len(self._patterns)

    # -- telling -------------------------------------------------------------------------------

    def tell(self, channel: bytes, data: bytes) -> int:
        """Give a message to everybody who hears its channel; how often that was."""
        told = 0
        listeners = self._listeners.get(channel)
        if listeners:
            told += _push(listeners, Push([b"message", channel, data]))
        if self._patterns and self._may_hear(channel):
            for pattern, (matches, sessions) in list(self._patterns.items()):
                if matches(channel):
                    told += _push(sessions, Push([b"pmessage", pattern, channel, data]))
        return told


def _check_room(session: "Session") -> None:
    if len(session.subscriptions) >= SUBSCRIPTIONS:
        raise CommandError(f"ERR a client may hear {SUBSCRIPTIONS} channels and patterns at most")


def _push(sessions: Iterable["Session"], message: Push) -> int:
    encoded: dict[int, bytes] = {}
    told = 0
    for session in list(sessions):
        protocol = session.protocol
        if protocol not in encoded:
            encoded[protocol] = encode(message, protocol)
        session.push(encoded[protocol])
        told += 1
    return told
