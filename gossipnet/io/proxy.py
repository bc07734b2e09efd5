"""A TCP door to the local socket, behind a key, for tools that cannot use Unix sockets.

Until a connection has shown the key, with AUTH or HELLO as Redis's clients do, its bytes go nowhere
but through a capped parser; from then on they are passed on unread, both ways. A process of its own
beside the daemon, which itself never listens on TCP for clients.
"""

import hmac
from collections.abc import Callable
from math import inf
from pathlib import Path

import trio

from gossipnet.resp.parser import ProtocolError, RequestParser

AUTH_SECONDS = 10.0
"""A connection that has not shown the key by then is closed."""
WRITE_SECONDS = 30.0
"""A side that takes nothing for so long loses the connection, and frees its place."""
CONNECTIONS = 256
PIECE_BYTES = 64 * 1024
_UNKNOWN_BYTES = 4096
"""Held at most of a connection that has not shown the key."""

_NOAUTH = b"-NOAUTH Authentication required.\r\n"
_WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"


class Proxy:
    """Serves TCP connections from a local socket.

    Args:
      path: The local socket.
      key: What clients must show.

    Attributes:
      counters: ``served``, ``refused`` (wrong or no key), ``full``, ``unreached`` (no daemon),
        ``stalled`` (one side took nothing).
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key.encode()
        self._open = 0
        self.counters = dict.fromkeys(("served", "refused", "full", "unreached", "stalled"), 0)

    async def serve(self, client: trio.SocketStream) -> None:
        """One connection, to its end; its faults end it alone."""
        async with client:
            if self._open >= CONNECTIONS:
                self.counters["full"] += 1
                return
            self._open += 1
            try:
                await self._serve(client)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # it went away: there is nobody to tell
            finally:
                self._open -= 1

    async def _serve(self, client: trio.SocketStream) -> None:
        first: bytes | None = None
        with trio.move_on_after(AUTH_SECONDS):
            first = await self._admitted(client)
        if first is None:
            self.counters["refused"] += 1
            return
        try:
            daemon = await trio.open_unix_socket(str(self._path))
        except OSError:
            self.counters["unreached"] += 1
            await client.send_all(b"-ERR no daemon answers on the local socket\r\n")
            return
        self.counters["served"] += 1
        async with daemon, trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on, client, daemon, first, nursery.cancel_scope)
            nursery.start_soon(self._pass_on, daemon, client, b"", nursery.cancel_scope)

    async def _pass_on(
        self,
        source: trio.SocketStream,
        target: trio.SocketStream,
        data: bytes | bytearray,
        both: trio.CancelScope,
    ) -> None:
        """What ends one way, whoever is done, hangs up or takes nothing, ends both."""
        try:
            with trio.CancelScope() as patience:
                while data or (data := await source.receive_some(PIECE_BYTES)):
                    patience.deadline = trio.current_time() + WRITE_SECONDS
                    await target.send_all(data)
                    patience.deadline = inf
                    data = b""
            self.counters["stalled"] += patience.cancelled_caught
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it went away: there is nobody to tell, and others must not notice
        both.cancel()

    async def _admitted(self, client: trio.SocketStream) -> bytes | None:
        """Wait for the key; what goes to the daemon first, or None if it did not come."""
        parser = RequestParser()
        while data := await client.receive_some(_UNKNOWN_BYTES):
            parser.feed(data)
            try:
                while (command := parser.next_command()) is not None:
                    shown, forwarded = _shown(command)
                    if shown is None:
                        await client.send_all(_NOAUTH)
                    elif not hmac.compare_digest(shown, self._key):
                        await client.send_all(_WRONG)
                        return None  # one guess a connection
                    else:
                        if not forwarded:
                            await client.send_all(b"+OK\r\n")
                        return forwarded + parser.take_rest()
            except ProtocolError as error:
                await client.send_all(b"-ERR Protocol error: %s\r\n" % str(error).encode())
                return None
            if parser.buffered > _UNKNOWN_BYTES:
                return None
        return None


def _shown(command: list[bytes]) -> tuple[bytes | None, bytes]:
    """The key in a command, and the command without it for the daemon (nothing for AUTH)."""
    name = command[0].upper() if command else b""
    if name == b"AUTH" and len(command) in (2, 3):
        return command[-1], b""
    if name == b"HELLO":
        for at in range(2, len(command) - 2):
            if command[at].upper() == b"AUTH":
                return command[at + 2], _encoded(command[:at] + command[at + 3 :])
    return None, b""


def _encoded(command: list[bytes]) -> bytes:
    words = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in command)
    return b"*%d\r\n%s" % (len(command), words)


async def run_proxy(proxy: Proxy, host: str, port: int, started: Callable[[int], None]) -> None:
    """Listen until cancelled.

    Args:
      proxy: Serves the connections.
      host: A loopback address.
      port: 0 takes a free one.
      started: Is told the port.

    Raises:
      OSError: The address cannot be listened on.
    """
    listeners = await trio.open_tcp_listeners(port, host=host)
    started(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(proxy.serve, listeners)
