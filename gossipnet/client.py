"""A small blocking client of the local socket: what the command line and scripts speak through.

Standard library only, and little of it, because every command pays for what is imported here: no
trio, no cryptography, no parser in C. Knows nothing of what the commands mean beyond the few that
have a method. One connection, one thread at a time.
"""

import os
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from gossipnet.client_connection import Connection, Push, ReplyError, Word
from gossipnet.config import load

__all__ = ["Change", "Client", "ReplyError", "Watch", "Word", "as_text", "connect"]

TIMEOUT_SECONDS = 30.0
"""How long a command may take unless `connect` is told otherwise."""


class Change(NamedTuple):
    """One change to a key, made here or anywhere in the mesh.

    Attributes:
      key: The key.
      event: What happened, in the words of Redis's keyspace events: ``set``, ``incrby``, ``del``.
      type: Type of the key now: ``string``, ``hash``, ``set``, or ``none`` when it is gone.
      value: The value if it is a string, else None.
      author: Name of the node that made the change.
      wall_ms: The author's clock, unix milliseconds.
    """

    key: bytes
    event: str
    type: str
    value: bytes | None
    author: str
    wall_ms: int


def connect(
    home: str | os.PathLike[str] | None = None,
    socket: str | os.PathLike[str] | None = None,
    *,
    timeout: float | None = TIMEOUT_SECONDS,
) -> "Client":
    """Connect to the daemon of this machine.

    Args:
      home: Its home folder; None takes ``$GOSSIPNET_HOME``, else the user's data folder.
      socket: Its local socket; None takes what ``$GOSSIPNET_SOCKET`` or the home's ``config.toml``
        say, else ``HOME/gossipnet.sock``.
      timeout: Seconds that one command may take; None waits for ever.

    Raises:
      DaemonNotRunning: Nothing answers there.
      Denied: The socket belongs to someone else.
      ConfigError: The settings that tell where it is are wrong.
    """
    flags = {
        "home": None if home is None else os.fspath(home),
        "socket": None if socket is None else os.fspath(socket),
    }
    # An explicit socket needs no settings: a slip in some config file must not get in the way.
    path = flags["socket"] or os.fspath(load(flags, os.environ).socket)
    return Client(path, timeout)


class Client:
    """One connection. `connect` makes it; use it as a context manager, or `close` it.

    Keys and values are bytes; where a key or value is given, text is encoded as UTF-8. After
    `TimedOut` or any other broken-off command the connection is closed: its next reply would answer
    an older question.
    """

    def __init__(self, path: str, timeout: float | None) -> None:
        self.path = path
        self.timeout = timeout
        self._connection = Connection.dial(path, timeout)
        try:
            self.call("HELLO", 3)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection. Harmless when it has ended already."""
        self._connection.close()

    def call(self, *words: Word) -> Any:
        """Send one command and wait for its reply.

        Returns:
          bytes, str (status replies), int, float, bool, None, list, dict or set; an error nested
          in a list is a `ReplyError` value there.

        Raises:
          ReplyError: The daemon refused the command.
          TimedOut: No reply within the timeout; whether the command was carried out is unknown.
          DaemonNotRunning: The daemon went away.
        """
        reply = self._connection.exchange(words)
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def call_all(self, commands: Sequence[tuple[Word, ...]]) -> list[Any]:
        """Send some commands together and wait for all replies, errors among them as values.

        All of them are sent before the first reply is read: keep it to a few hundred, or a MiB.
        """
        return self._connection.exchange_all(commands)

    def get(self, key: bytes | str) -> bytes | None:
        """The string at ``key``, or None."""
        value: bytes | None = self.call("GET", key)
        return value

    def set(self, key: bytes | str, value: Word, *, ttl: float | None = None) -> None:
        """Set the string at ``key``; with ``ttl`` (seconds, > 0) it goes away after that long."""
        lifetime: list[Word] = [] if ttl is None else ["PX", max(1, round(ttl * 1000))]
        self.call("SET", key, value, *lifetime)

    def delete(self, *keys: bytes | str) -> int:
        """Remove keys of any type; how many were there."""
        return int(self.call("DEL", *keys)) if keys else 0

    def incr(self, key: bytes | str, by: int = 1) -> int:
        """Add to the counter at ``key`` and return its sum; those of all nodes add up."""
        return int(self.call("INCRBY", key, by))

    def keys(self, pattern: bytes | str = "*") -> list[bytes]:
        """The keys that match ``pattern``, sorted."""
        found: set[bytes] = set()
        cursor: bytes = b"0"
        while True:
            # SCAN, not KEYS: a large mesh must not keep the daemon's other clients waiting.
            cursor, page = self.call("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            found.update(page)
            if int(cursor) == 0:
                return sorted(found)

    def members(self) -> list[dict[str, Any]]:
        """Who is in the mesh: rows as in ``gossipnet members --json``."""
        rows: list[dict[str, Any]] = as_text(self.call("GOSSIP", "MEMBERS"))
        return rows

    def status(self) -> dict[str, Any]:
        """This node's health, as in ``gossipnet status --json``."""
        document: dict[str, Any] = as_text(self.call("GOSSIP", "STATUS"))
        return document

    def watch(self, pattern: bytes | str = "*") -> "Watch":
        """Changes to keys that match ``pattern``, from now on, over a connection of its own.

        What is written after this returns is seen. Use it as an iterator and close it::

            with client.watch("flags:*") as changes:
                for change in changes:
                    print(change.key, change.value)
        """
        return Watch(self.path, pattern, self.timeout)


class Watch(Iterator[Change]):
    """Changes as they arrive; `Client.watch` makes it."""

    def __init__(self, path: str, pattern: bytes | str, timeout: float | None) -> None:
        self._connection = Connection.dial(path, timeout)
        self._waiting: list[Change] = []
        try:
            for words in (("HELLO", 3), ("GOSSIP", "WATCH", pattern)):
                reply = self._connection.exchange(words, self._keep)
                if isinstance(reply, ReplyError):
                    raise reply
        except BaseException:
            self.close()
            raise
        self._waiting.reverse()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def __next__(self) -> Change:
        """Wait, for ever, for the next change.

        Raises:
          DaemonNotRunning: The daemon went away.
        """
        change = self.next(None)
        assert change is not None
        return change

    def next(self, timeout: float | None) -> Change | None:
        """Wait up to ``timeout`` seconds (None: for ever); None if nothing has changed by then."""
        if self._waiting:
            return self._waiting.pop()
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            if not self._connection.readable(end):
                return None
            frame = self._connection.frame(self._connection.deadline())
            if isinstance(frame, ReplyError):
                raise frame
            if isinstance(frame, Push) and (change := _change(frame.items)) is not None:
                return change

    def _keep(self, push: "Push") -> None:
        change = _change(push.items)
        if change is not None:
            self._waiting.append(change)


def _change(items: list[Any]) -> Change | None:
    """The change in a push, or None: kinds that later versions add are not for us."""
    if len(items) < 7 or as_text(items[0]) != "change":
        return None
    key, event, kind, value, author, wall_ms = items[1:7]
    return Change(key, as_text(event), as_text(kind), value, as_text(author), int(wall_ms))


def as_text(value: Any) -> Any:
    """A reply with text in place of bytes, at every depth."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {as_text(key): as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_text(item) for item in value]
    return value
