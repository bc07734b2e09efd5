"""One RESP3 connection to the local socket, read and written by whoever calls.

Standard library only. Speaks RESP3
(https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md); knows nothing of
commands. Every size is checked before it is waited for.
"""

import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gossipnet.errors import (
    DaemonNotRunning,
    Denied,
    LocalProtocolError,
    RemoteProtocolError,
    TimedOut,
    UsageError,
    UserError,
)

_CHUNK = 64 * 1024
_MAX_LINE = 64 * 1024
_MAX_BULK = 512 * 1024 * 1024  # Redis's own limit of one string
_MAX_ITEMS = 1 << 26
_MAX_DEPTH = 64

Word = bytes | str | int | float


class ReplyError(UserError):
    """The daemon answered a command with an error.

    Attributes:
      code: The word it begins with: ``ERR``, ``WRONGTYPE``, ``NOPERM``, ...
      exit_code: 4 when it was a matter of permission, 5 when nothing was found, else 1.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        word = text.partition(" ")[0]
        self.code = word if word.isupper() else "ERR"
        denied = self.code in ("NOPERM", "NOAUTH", "DENIED")
        self.exit_code = 4 if denied else 5 if self.code == "NOTFOUND" else 1


class Push(NamedTuple):
    """A RESP3 push: something nobody asked for just now."""

    items: list[Any]


def encode(words: tuple[Word, ...]) -> bytes:
    """A command as the array of strings that servers take.

    Raises:
      TypeError: A word is of another type, most often a None that someone forgot to handle.
    """
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if isinstance(word, bytes):
            data = word
        elif isinstance(word, str):
            data = word.encode("utf-8", "surrogateescape")
        elif type(word) in (int, float):
            data = repr(word).encode("ascii")
        else:
            raise TypeError(f"a command is made of bytes, text and numbers, not {word!r}")
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


class Connection:
    """One stream socket and what has arrived on it. Broken off, it is closed for good."""

    def __init__(self, connected: socket.socket, path: str, timeout: float | None) -> None:
        self.path = path
        self.timeout = timeout
        self._buffer = bytearray()
        self._at = 0
        self._socket = connected

    @classmethod
    def dial(cls, path: str, timeout: float | None) -> "Connection":
        """Connect to the socket at ``path``; ``timeout`` (seconds) is for this and each command.

        Raises:
          DaemonNotRunning: Nothing answers there.
          Denied: It belongs to someone else.
        """
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(timeout)
            made.connect(path)
        except (OSError, ValueError) as error:
            made.close()
            raise _no_connection(path, error) from None
        return cls(made, path, timeout)

    def close(self) -> None:
        """End it. Harmless when it has ended already."""
        self._socket.close()

    def deadline(self) -> float | None:
        """When a command that begins now has taken too long, on the monotonic clock."""
        return None if self.timeout is None else time.monotonic() + self.timeout

    def exchange(
        self, words: tuple[Word, ...], on_push: Callable[[Push], None] | None = None
    ) -> Any:
        """Send one command; its reply. Pushes that come before it go to ``on_push``."""
        return self.exchange_all([words], on_push)[0]

    def exchange_all(
        self, commands: Sequence[tuple[Word, ...]], on_push: Callable[[Push], None] | None = None
    ) -> list[Any]:
        """Send a few commands together, before any reply is read; their replies."""
        if self._socket.fileno() < 0:
            raise LocalProtocolError(f"this connection to {self.path} is closed: connect again")
        data = b"".join(map(encode, commands))
        end = self.deadline()
        replies: list[Any] = []
        try:
            try:
                self._patience(end)
                self._socket.sendall(data)
            except TimeoutError:
                raise self._late() from None
            except (BrokenPipeError, ConnectionResetError):
                pass  # it may have said why before it hung up; reading tells
            while len(replies) < len(commands):
                reply = self.frame(end)
                if not isinstance(reply, Push):
                    replies.append(reply)
                elif on_push is not None:
                    on_push(reply)
        except BaseException:
            self.close()
            raise
        return replies

    def readable(self, end: float | None) -> bool:
        """Wait until something has arrived; False if nothing has by ``end``."""
        try:
            if self._at == len(self._buffer):
                self._receive(end)
        except TimeoutError:
            return False
        return True

    def frame(self, end: float | None, depth: int = 0) -> Any:
        """One whole RESP3 value.

        Raises:
          RemoteProtocolError: What arrived is not RESP3, or beyond every sensible size.
        """
        line = self._line(end)
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode("utf-8", "backslashreplace")
        if kind == b"-":
            return ReplyError(rest.decode("utf-8", "backslashreplace"))
        if kind in (b":", b"("):
            return _integer(rest)
        if kind in (b"$", b"!", b"="):
            return self._bulk(kind, rest, end)
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return _double(rest)
        if kind in (b"*", b"~", b">", b"%", b"|"):
            return self._aggregate(kind, rest, end, depth)
        raise RemoteProtocolError("not-resp", repr(bytes(line[:40])))

    def _bulk(self, kind: bytes, rest: bytes, end: float | None) -> Any:
        size = _size(rest, _MAX_BULK)
        if size is None:
            return None
        data = self._exact(size, end)
        if kind == b"!":
            return ReplyError(data.decode("utf-8", "backslashreplace"))
        return data[4:] if kind == b"=" else data  # a verbatim string begins with "txt:"

    def _aggregate(self, kind: bytes, rest: bytes, end: float | None, depth: int) -> Any:
        if depth >= _MAX_DEPTH:
            raise RemoteProtocolError("too-deep")
        count = _size(rest, _MAX_ITEMS)
        if count is None:
            return None
        if kind in (b"%", b"|"):
            pairs = {}
            for _ in range(count):
                key = _hashable(self.frame(end, depth + 1))
                pairs[key] = self.frame(end, depth + 1)
            # An attribute is a remark about the value that follows; nothing here asks for one.
            return pairs if kind == b"%" else self.frame(end, depth + 1)
        items = [self.frame(end, depth + 1) for _ in range(count)]
        if kind == b">":
            return Push(items)
        return {_hashable(item) for item in items} if kind == b"~" else items

    def _line(self, end: float | None) -> bytes:
        searched = self._at
        while (stop := self._buffer.find(b"\r\n", searched)) < 0:
            if len(self._buffer) - self._at > _MAX_LINE:
                raise RemoteProtocolError("line-too-long")
            searched = max(self._at, len(self._buffer) - 1)
            shift = self._fill(end)
            searched -= shift
        line = bytes(self._buffer[self._at : stop])
        self._at = stop + 2
        return line

    def _exact(self, size: int, end: float | None) -> bytes:
        while len(self._buffer) - self._at < size + 2:
            self._fill(end)
        stop = self._at + size
        data = bytes(self._buffer[self._at : stop])
        if self._buffer[stop : stop + 2] != b"\r\n":
            raise RemoteProtocolError("not-resp", "a string is longer than it said")
        self._at = stop + 2
        return data

    def _fill(self, end: float | None) -> int:
        try:
            return self._receive(end)
        except TimeoutError:
            raise self._late() from None

    def _receive(self, end: float | None) -> int:
        """Receive once; by how much everything in the buffer has moved to the front."""
        try:
            self._patience(end)
            data = self._socket.recv(_CHUNK)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            data = b""
        if not data:
            raise DaemonNotRunning(
                f"the daemon at {self.path} ended the connection before it answered; "
                "its log says why"
            )
        shift = self._at
        del self._buffer[:shift]
        self._at = 0
        self._buffer += data
        return shift

    def _patience(self, end: float | None) -> None:
        if end is None:
            self._socket.settimeout(None)
            return
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)

    def _late(self) -> TimedOut:
        return TimedOut(
            f"no answer from {self.path} within {self.timeout:g} s; whether the command was "
            "carried out is unknown"
        )


def _no_connection(path: str, error: OSError | ValueError) -> UserError:
    if isinstance(error, PermissionError):
        return Denied(f"the socket {path} is not yours: be the user whose daemon it is")
    if isinstance(error, FileNotFoundError | ConnectionRefusedError | NotADirectoryError):
        return DaemonNotRunning(f"no daemon at {path}; start it: gossipnet run")
    if isinstance(error, TimeoutError | BlockingIOError):
        return TimedOut(f"the daemon at {path} takes no connection: it is stuck or overrun")
    return UsageError(f"cannot connect to {path}: {getattr(error, 'strerror', None) or error}")


def _integer(written: bytes) -> int:
    try:
        if len(written) <= 400:  # int() takes the square of the length in time
            return int(written)
    except ValueError:
        pass
    raise RemoteProtocolError("not-resp", "a number is none")


def _double(written: bytes) -> float:
    try:
        return float(written)
    except ValueError:
        raise RemoteProtocolError("not-resp", "a number is none") from None


def _size(written: bytes, most: int) -> int | None:
    size = _integer(written)
    if size == -1:
        return None
    if not 0 <= size <= most:
        raise RemoteProtocolError("too-large", f"{size} announced")
    return size


def _hashable(value: Any) -> Any:
    """What can stand in a set or as a key; nested lists become tuples."""
    if isinstance(value, list):
        return tuple(_hashable(item) for item in value)
    if isinstance(value, set):
        return frozenset(value)
    if isinstance(value, dict):
        return tuple((key, _hashable(item)) for key, item in value.items())
    return value
