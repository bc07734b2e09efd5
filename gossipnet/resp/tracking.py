"""Client-side caching: who is told that what it read, or asked about, has changed.

In the default mode a client is told once of each key that it has read, in broadcasting mode of all
keys under its prefixes. Changes count whoever made them, on whichever node, the clock too. What is
to be told is gathered and said after the commands at hand, in one message. Knows no sockets: `wake`
is called when something waits to be said and no command is at hand.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipnet.resp.limits import TRACKED_KEYS
from gossipnet.resp.replies import Push, encode

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

CHANNEL = b"__redis__:invalidate"


class Tracked:
    """How one client is told.

    Attributes:
      broadcast: Of all keys under its prefixes, else of those that it has read.
      prefixes: In the order in which it gave them; with none, all keys.
      optin, optout: Reading is noted only after CLIENT CACHING YES, or unless after NO.
      noloop: Not of its own changes.
      redirect: Number of the client that is told instead, 0 for itself.
      broken: That client is gone.
      caching: What CLIENT CACHING said for the next command, or None.
    """

    __slots__ = (
        "broadcast",
        "broken",
        "caching",
        "noloop",
        "optin",
        "optout",
        "prefixes",
        "redirect",
    )

    def __init__(self) -> None:
        self.broadcast = self.optin = self.optout = self.noloop = self.broken = False
        self.prefixes: dict[bytes, None] = {}
        self.redirect = 0
        self.caching: bool | None = None

    def notes(self) -> bool:
        """Whether the keys of the command at hand are to be noted."""
        if self.broadcast:
            return False
        if self.optin:
            return self.caching is True
        return not (self.optout and self.caching is False)


class Tracking:
    """All clients that cache.

    Attributes:
      running: The client whose command is at hand, or None.
      due: What waits to be said: keys by client and prefix.
      wake: See above.
    """

    def __init__(self, sessions: "dict[int, Session]") -> None:
        self._sessions = sessions
        self._clients: dict[Session, Tracked] = {}
        self._readers: dict[bytes, dict[Session, None]] = {}
        self.due: dict[tuple[Session, bytes], dict[bytes, None]] = {}
        self.running: Session | None = None
        self.wake: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def keys(self) -> int:
        """How many keys are noted."""
        return len(self._readers)

    def of(self, session: "Session") -> Tracked | None:
        """How a client is told, None if it does not cache."""
        return self._clients.get(session)

    def begin(self, session: "Session", tracked: Tracked) -> None:
        """Tell a client from now on."""
        self._clients[session] = tracked

    def end(self, session: "Session") -> None:
        """Tell it no more; nothing if it was not told."""
        if self._clients.pop(session, None) is not None:
            for due in [due for due in self.due if due[0] is session]:
                del self.due[due]
            # Keys that it has read are forgotten as they change.

    def gone(self, session: "Session") -> None:
        """A client is gone: whoever sent its messages there is told so when it can be."""
        self.end(session)
        for other, tracked in self._clients.items():
            if tracked.redirect == session.number:
                tracked.broken = True
                if other.protocol == 3:
                    other.push(encode(Push([b"tracking-redir-broken", session.number]), 3))

    # -- reading -------------------------------------------------------------------------------

    def note(self, session: "Session", keys: list[bytes]) -> None:
        """A client that caches has read these."""
        tracked = self._clients[session]
        if not tracked.notes():
            return
        for key in keys:
            readers = self._readers.get(key)
            if readers is None:
                if len(self._readers) >= TRACKED_KEYS:
                    self._forget_oldest()
                readers = self._readers[key] = {}
            readers[session] = None

    def done(self, session: "Session", words: list[bytes]) -> None:
        """A command is over, and with it what CLIENT CACHING said of it."""
        if [word.upper() for word in words[:2]] != [b"CLIENT", b"CACHING"]:
            self._clients[session].caching = None

    def _forget_oldest(self) -> None:
        """Make room: who has read the key that was noted first must not rely on it any more."""
        key = next(iter(self._readers))
        for reader in self._readers.pop(key):
            self._add(reader, b"", key)

    # -- telling -------------------------------------------------------------------------------

    def changed(self, key: bytes, _event: str, _log: int, _stamp: int) -> None:
        """A key is not what it was."""
        for reader in self._readers.pop(key, ()):
            tracked = self._clients.get(reader)
            if tracked is not None and not tracked.broadcast and not self._own(reader, tracked):
                self._add(reader, b"", key)
        for session, tracked in self._clients.items():
            if tracked.broadcast and not self._own(session, tracked):
                for prefix in tracked.prefixes or (b"",):
                    if key.startswith(prefix):
                        self._add(session, prefix, key)
        if self.due and self.running is None:
            self.wake()

    def _own(self, session: "Session", tracked: Tracked) -> bool:
        return tracked.noloop and session is self.running

    def _add(self, session: "Session", prefix: bytes, key: bytes) -> None:
        self.due.setdefault((session, prefix), {})[key] = None

    def flush(self) -> None:
        """Say what waits to be said."""
        due, self.due = self.due, {}
        for (session, _prefix), keys in due.items():
            tracked = self._clients.get(session)
            if tracked is None:
                continue
            target: Session | None = session
            if tracked.redirect:
                target = self._sessions.get(tracked.redirect)
            if target is not None:
                _tell(target, list(keys), redirected=target is not session)


def _tell(session: "Session", keys: list[bytes], *, redirected: bool) -> None:
    if session.protocol == 3:
        session.push(encode(Push([b"invalidate", keys]), 3))
    elif redirected and CHANNEL in session.subscriptions.channels:
        session.push(encode([b"message", CHANNEL, keys], 2))
