"""Join connections: somebody without a certificate talks to an issuer, perhaps through us.

Carries opaque bytes between streams and the engine. Everything is bounded: connections, bytes in,
bytes waiting to go out, and the time for all of it, since nothing proves who is at the other end.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import trio

from gossipnet.io.sockets import remote_address
from gossipnet.protocol.effects import (
    Input,
    JoinClose,
    JoinClosed,
    JoinOpened,
    JoinReceived,
    JoinSend,
)

MAX_JOINS = 16

MAX_IN_BYTES = 65_536
MAX_OUT_BYTES = 262_144
"""The answer carries the root record, two chains and member addresses: some kilobytes."""
JOIN_SECONDS = 30.0
"""For the whole conversation; the issuer may be a few hops away."""
CLOSE_SECONDS = 2.0
_READ_BYTES = 16_384


class JoinOwner(Protocol):
    """What a join connection tells the driver."""

    def join_received(self, join: "JoinStream", data: bytes) -> None:
        """Bytes came."""
        ...

    def join_closed(self, join: "JoinStream") -> None:
        """The connection ended; called once."""
        ...


class JoinStream:
    """One such connection.

    Args:
      owner: Told of everything.
      stream: Connected; `run` leaves closing it to its caller.

    Attributes:
      number: The owner's number for it.
    """

    def __init__(self, owner: JoinOwner, stream: trio.abc.HalfCloseableStream, number: int) -> None:
        self.number = number
        self._owner = owner
        self._stream = stream
        self._scope = trio.CancelScope()
        self._waiting = b""
        self._closing = False
        self._write_wanted = trio.Event()

    def send(self, data: bytes) -> bool:
        """Queue bytes; False, and the end of the connection, when too much waits."""
        if self._closing:
            return True
        if len(self._waiting) + len(data) > MAX_OUT_BYTES:
            self._closing = True
            self._scope.cancel()
            return False
        self._waiting += data
        self._write_wanted.set()
        return True

    def close(self) -> None:
        """End after what is queued, within `CLOSE_SECONDS`."""
        self._closing = True
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + CLOSE_SECONDS)
        self._write_wanted.set()

    async def run(self, first: bytes) -> None:
        """Carry the connection until it ends. Raises nothing that the peer can cause.

        Args:
          first: What was read already, the preamble included.
        """
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + JOIN_SECONDS)
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read(first)
                    nursery.cancel_scope.cancel()
        finally:
            self._owner.join_closed(self)

    async def _read(self, data: bytes) -> None:
        taken = 0
        try:
            while data and taken <= MAX_IN_BYTES:
                taken += len(data)
                if not self._closing:
                    self._owner.join_received(self, data)
                data = bytes(await self._stream.receive_some(_READ_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _write(self) -> None:
        try:
            while True:
                await self._write_wanted.wait()
                self._write_wanted = trio.Event()
                data, self._waiting = self._waiting, b""
                if data:
                    await self._stream.send_all(data)
                if self._closing and not self._waiting:
                    # `_read` waits for the peer's end: closing with unread input sends a reset,
                    # which may overtake the answer.
                    await self._stream.send_eof()
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._scope.cancel()


class Joins:
    """All join connections of one node, by number.

    Args:
      feed: Takes inputs for the engine.
      number: Gives numbers, each once.
      counters: Where refusals are counted.
    """

    def __init__(
        self, feed: Callable[[Input], None], number: Callable[[], int], counters: Counter[str]
    ) -> None:
        self._feed = feed
        self._number = number
        self._counters = counters
        self._open: dict[int, JoinStream] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def answer(self, stream: trio.SocketStream, first: bytes) -> None:
        """Carry one until it ends.

        Args:
          stream: Left for the caller to close.
          first: What was read already.
        """
        if len(self._open) >= MAX_JOINS:
            self._counters["joins_refused_full"] += 1
            return
        join = JoinStream(self, stream, self._number())
        self._open[join.number] = join
        self._feed(JoinOpened(join.number, remote_address(stream)))
        await join.run(first)

    def send(self, effect: JoinSend) -> None:
        """Carry out that effect."""
        join = self._open.get(effect.join)
        if join is not None and not join.send(effect.data):
            self._counters["joins_too_slow"] += 1

    def close(self, effect: JoinClose) -> None:
        """Carry out that effect; no `JoinClosed` follows."""
        join = self._open.pop(effect.join, None)
        if join is not None:
            join.close()

    def close_all(self) -> None:
        """End them all, after what is queued."""
        for join in self._open.values():
            join.close()

    def join_received(self, join: JoinStream, data: bytes) -> None:
        """See `JoinOwner`."""
        if join.number in self._open:
            self._feed(JoinReceived(join.number, data))

    def join_closed(self, join: JoinStream) -> None:
        """See `JoinOwner`."""
        if self._open.pop(join.number, None) is not None:
            self._feed(JoinClosed(join.number))
