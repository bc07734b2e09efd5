"""One join connection: somebody without a certificate talks to an issuer, perhaps through us.

Carries opaque bytes between a stream and the owner, which gives them to the engine. Everything is
bounded: bytes in, bytes waiting to go out, and the time for all of it, since nothing proves who is
at the other end.
"""

from typing import Protocol

import trio

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
