"""One client of the local socket: its connection, what it was not sent yet, and why that waits.

Replies leave in the order of the commands. Those of a command that wrote wait until the disk has
it, and everything behind them waits too. Nothing here blocks or awaits.
"""

import socket
from collections import deque
from typing import Protocol

from gossipnet.resp.limits import HELD_BYTES, RECEIVE_BYTES, WAITING_COMMANDS
from gossipnet.resp.replies import encode_error, frames
from gossipnet.resp.session import Session

_SEND_BYTES = 256 * 1024


class ClientOwner(Protocol):
    """What a client tells its server.

    Attributes:
      slow: The disk is behind: who waits for it is not read meanwhile.
    """

    slow: bool

    def client_changed(self, client: "Client") -> None:
        """What it waits for may be another thing now."""
        ...

    def client_pushed(self, client: "Client") -> None:
        """It was given something that must be sent before the loop sleeps."""
        ...

    def client_failed(self, client: "Client", counter: str) -> None:
        """Its connection cannot go on."""
        ...


class Client:
    """A connection, its session and its output.

    Attributes:
      session: Runs its commands.
      connection: The socket, non-blocking.
      ended: The client has sent all it will send.
      closed: The connection is gone.
      events: What the selector watches for, 0 for nothing.
      stuck_since: Since when it has more unsent than it may and reads nothing, else None.
    """

    __slots__ = (
        "_held",
        "_held_bytes",
        "_most",
        "_owner",
        "_unsent",
        "closed",
        "connection",
        "ended",
        "events",
        "session",
        "stuck_since",
    )

    def __init__(self, owner: ClientOwner, connection: socket.socket, session: Session) -> None:
        self.connection = connection
        self.session = session
        self.ended = False
        self.closed = False
        self.events = 0
        self.stuck_since: float | None = None
        self._owner = owner
        self._most = session.service.pressure.caps.output_buffer
        self._unsent = bytearray()
        self._held: deque[tuple[int, bytes]] = deque()
        self._held_bytes = 0
        session.deliver = self.push
        session.backlog = lambda: len(self._unsent) + self._held_bytes
        session.hang_up = lambda: owner.client_failed(self, "clients_killed")
        session.descriptor = connection.fileno()

    # ------------------------------------------------------------ what it waits for

    @property
    def paused(self) -> bool:
        """Whether it has to read, or the disk to write, before more of its commands are run."""
        return (
            len(self._unsent) > self._most
            or self._held_bytes > HELD_BYTES
            or (self._owner.slow and len(self._held) > 0)
            or (self.session.blocked and self.session.waiting > WAITING_COMMANDS)
        )

    @property
    def overfull(self) -> bool:
        """Whether it has more unsent than it may."""
        return len(self._unsent) > self._most

    @property
    def wants_to_write(self) -> bool:
        """Whether its socket was full."""
        return bool(self._unsent)

    @property
    def done(self) -> bool:
        """Whether it is over and everything was sent."""
        return (
            (self.ended or self.session.closing != "")
            and not self._unsent
            and not self._held
            and not self.session.unfinished
        )

    # ------------------------------------------------------------ in

    def receive(self) -> bool:
        """Read once; whether that gave the session something new."""
        try:
            data = self.connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            self._owner.client_failed(self, "clients_broken")
            return False
        if not data:
            self.ended = True
            return False
        self.session.receive(data)
        return True

    # ------------------------------------------------------------ out

    def reply(self, out: list[bytes], first_write: int, ticket: int, committed: int) -> bool:
        """Send replies, or keep them until the commit ``ticket`` is on disk.

        Args:
          out: From `Session.run`.
          first_write: From there too.
          ticket: The commit that holds what was written.
          committed: The newest commit on disk.

        Returns:
          Whether it begins to wait for ``ticket`` by this.
        """
        if self._held:
            self._hold(max(ticket if first_write >= 0 else 0, self._held[-1][0]), b"".join(out))
        elif first_write < 0 or ticket <= committed:
            self.send(b"".join(out))
        else:
            if first_write:
                self.send(b"".join(out[:first_write]))
            self._hold(ticket, b"".join(out[first_write:]))
            return bool(self._held)
        return False

    def _hold(self, ticket: int, data: bytes) -> None:
        if data:
            self._held.append((ticket, data))
            self._held_bytes += len(data)

    def release(self, committed: int) -> bool:
        """Send what waited for this commit, or an earlier one; whether it waits for more."""
        ready: list[bytes] = []
        while self._held and self._held[0][0] <= committed:
            ready.append(self._held.popleft()[1])
        if ready:
            data = b"".join(ready)
            self._held_bytes -= len(data)
            self.send(data)
        return bool(self._held)

    def refuse(self, text: str) -> None:
        """Answer what waits for the disk with an error; pushes and other errors stay."""
        data = b"".join(data for _ticket, data in self._held)
        self._held.clear()
        self._held_bytes = 0
        error = encode_error(text)
        self.send(b"".join(frame if frame[:1] in b">-" else error for frame in frames(data)))

    @property
    def waits_for(self) -> int:
        """The commit that its first held reply waits for; 0 if none is held."""
        return self._held[0][0] if self._held else 0

    def send(self, data: bytes) -> None:
        """Give the socket what it takes and keep the rest."""
        if self.closed or not data:
            return
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self.connection.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._owner.client_failed(self, "clients_broken")
            return
        if sent < len(data):
            self._unsent += data[sent:]
            self._owner.client_changed(self)

    def flush(self) -> None:
        """The socket takes more now."""
        while self._unsent and not self.closed:
            with memoryview(self._unsent) as view:
                try:
                    sent = self.connection.send(view[:_SEND_BYTES])
                except BlockingIOError:
                    return
                except OSError:
                    sent = -1
            if sent < 0:
                self._owner.client_failed(self, "clients_broken")
                return
            del self._unsent[:sent]
            self.stuck_since = None

    def push(self, data: bytes) -> None:
        """Queue something outside of any reply; a client that does not read is cut off.

        It stays behind replies that wait for the disk: a message may not come before the reply to
        its SUBSCRIBE, nor an invalidation before the value.
        """
        if self.closed:
            return
        if len(self._unsent) + self._held_bytes > self._most:
            self._owner.client_failed(self, "clients_too_slow")
            return
        if self._held:
            self._hold(self._held[-1][0], data)
            return
        self._unsent += data
        self._owner.client_pushed(self)
