"""The listening side: binds, accepts, reads the preamble, and hands over what deserves it.

A stranger costs one ticket of `Admission`, one short task and a few dozen bytes until the preamble
has told a link from a join. Whoever is silent, late, or says anything else is closed without a
word. Running out of file descriptors stops nothing: what cannot be accepted waits in the kernel's
queue. Knows nothing of sessions or of the engine: `Door` is all it sees of the rest.
"""

import errno
import socket
from collections import Counter
from collections.abc import Callable
from typing import Protocol

import trio

from gossipnet.config import join_address, split_address
from gossipnet.errors import RemoteProtocolError, UserError
from gossipnet.io.admission import Admission, Ticket
from gossipnet.io.link import HANDSHAKE_SECONDS
from gossipnet.io.sockets import neighbourhood, plain_host, remote_host, tune
from gossipnet.protocol.preamble import Kind, read_kind

BACKLOG = 256
_PAUSE_SECONDS = 0.1
"""Between two attempts to accept while descriptors or memory are short, as trio does it."""
_SHORT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_READ_BYTES = 4096


class Door(Protocol):
    """What the listener asks of the driver."""

    counters: Counter[str]

    async def answer_link(
        self,
        stream: trio.SocketStream,
        first: bytes,
        *,
        deadline: float,
        admitted: Callable[[], None],
    ) -> None:
        """Carry a link until it ends; call ``admitted`` once the peer has proved itself."""
        ...

    async def answer_join(self, stream: trio.SocketStream, first: bytes) -> None:
        """Carry a join until it ends."""
        ...


class Listener:
    """The bound sockets of one node, accepting nothing until `run`.

    Args:
      sockets: From `bind`.
      admission: Whom to let knock.

    Attributes:
      addresses: ``HOST:PORT`` of each socket, with the port that was really taken.
    """

    def __init__(self, sockets: list[trio.SocketListener], admission: Admission) -> None:
        self._sockets = sockets
        self.admission = admission
        self.addresses = tuple(
            join_address(plain_host(name[0]), name[1])
            for name in (listener.socket.getsockname() for listener in sockets)
        )

    @property
    def port(self) -> int:
        """The port of the first socket."""
        return split_address(self.addresses[0])[1]

    def close(self) -> None:
        """Give the port back; for a listener that may never have run."""
        for listener in self._sockets:
            listener.socket.close()

    async def run(
        self, door: Door, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                for listener in self._sockets:
                    nursery.start_soon(self._accept, listener, door, nursery)
                task_status.started()
        finally:
            self.close()

    async def _accept(
        self, listener: trio.SocketListener, door: Door, nursery: trio.Nursery
    ) -> None:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if error.errno not in _SHORT_OF:
                    raise
                door.counters["accept_short_of_descriptors"] += 1
                await trio.sleep(_PAUSE_SECONDS)
                continue
            host = remote_host(stream)
            scope = trio.CancelScope(deadline=trio.current_time() + HANDSHAKE_SECONDS)
            ticket = host and self.admission.admit(
                neighbourhood(host), scope.cancel, trio.current_time()
            )
            if not ticket:
                stream.socket.close()
                continue
            tune(stream)
            nursery.start_soon(self._greet, stream, ticket, scope, door)

    async def _greet(
        self, stream: trio.SocketStream, ticket: Ticket, scope: trio.CancelScope, door: Door
    ) -> None:
        try:
            first = b""
            kind: Kind | None = None
            with scope:
                while kind is None:
                    data = await stream.receive_some(_READ_BYTES)
                    if not data:
                        break
                    first += data
                    kind = read_kind(first)
            ticket.silent = False
            if kind is None:
                door.counters["greeting_silent"] += 1
            elif not kind.joins:
                await door.answer_link(
                    stream,
                    first,
                    deadline=scope.deadline,
                    admitted=lambda: self.admission.release(ticket),
                )
            else:
                await door.answer_join(stream, first)
        except RemoteProtocolError:
            door.counters["greeting_refused"] += 1
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            door.counters["greeting_broken"] += 1
        finally:
            self.admission.release(ticket)
            stream.socket.close()


async def bind(address: str) -> list[trio.SocketListener]:
    """Sockets that listen on every address of ``HOST:PORT``.

    ``[::]`` and ``0.0.0.0`` each take one socket; that of ``[::]`` takes IPv4 as well, where the
    system lets it. Port 0 takes a free one, the same for every address.

    Raises:
      UserError: The port is taken, or is not this user's or this machine's to listen on.
    """
    host, port = split_address(address)
    try:
        found = await trio.socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        raise UserError(
            f"cannot listen on {address}: this machine finds no address for {host}; "
            "give one of its own addresses with --listen"
        ) from None
    bound: list[trio.SocketListener] = []
    try:
        for family, _type, _protocol, _name, sockaddr in dict.fromkeys(found):
            wanted = (sockaddr[0], port, *sockaddr[2:])
            bound.append(await _bind_one(family, wanted))
            port = bound[0].socket.getsockname()[1]
    except OSError as error:
        for listener in bound:
            listener.socket.close()
        raise UserError(f"cannot listen on {address}: {_remedy(error, port)}") from None
    return bound


async def _bind_one(
    family: socket.AddressFamily, sockaddr: tuple[str | int, ...]
) -> trio.SocketListener:
    made = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Dual-stack only where every address is meant: ::1 is not to answer on 127.0.0.1.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, sockaddr[0] != "::")
        await made.bind(sockaddr)
        made.listen(BACKLOG)
        return trio.SocketListener(made)
    except BaseException:
        made.close()
        raise


def _remedy(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is taken by another program; stop it, or choose another port with "
            "--listen HOST:PORT"
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than you have; choose one above 1023 with --listen"
    if error.errno == errno.EADDRNOTAVAIL:
        return "that address is not one of this machine's; give one that is with --listen"
    return f"{error.strerror}; choose another address with --listen"
