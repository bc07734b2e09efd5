"""TCP sockets as links want them, and the text of their addresses. Opens nothing itself."""

import ipaddress
import socket
from contextlib import suppress

import trio

from gossipnet.config import join_address
from gossipnet.io.interfaces import interface_hosts

NOTSENT_LOWAT_BYTES = 32_768
"""Unsent bytes the kernel takes per link. What waits in the session can still be overtaken by a
heartbeat, what waits in the kernel cannot (https://lwn.net/Articles/560082/)."""
_KEEPALIVE = (
    ("TCP_KEEPIDLE", 30),
    ("TCP_KEEPALIVE", 30),
    ("TCP_KEEPINTVL", 10),
    ("TCP_KEEPCNT", 3),
)


def tune(stream: trio.SocketStream) -> None:
    """Set what the platform has of: no delay, little unsent data, keepalive within a minute.

    Heartbeats find a dead peer long before keepalive does; keepalive ends sockets that the engine
    no longer asks about. `trio.SocketStream` itself sets ``TCP_NODELAY``.
    """
    options = [(socket.SOL_SOCKET, "SO_KEEPALIVE", 1)]
    options += [(socket.IPPROTO_TCP, name, value) for name, value in _KEEPALIVE]
    options += [(socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT", NOTSENT_LOWAT_BYTES)]
    for level, name, value in options:
        option = getattr(socket, name, None)
        if option is not None:
            # The peer may be gone already (EINVAL on macOS); reading will tell.
            with suppress(OSError):
                stream.setsockopt(level, option, value)


def remote_host(stream: trio.SocketStream) -> str | None:
    """The other end's host, None when the connection is already gone."""
    try:
        return plain_host(stream.socket.getpeername()[0])
    except OSError:
        return None


def remote_address(stream: trio.SocketStream) -> str:
    """``HOST:PORT`` of the other end, "" when the connection is already gone."""
    try:
        host, port = stream.socket.getpeername()[:2]
    except OSError:
        return ""
    return join_address(plain_host(host), port)


def plain_host(host: str) -> str:
    """``::ffff:192.0.2.1``, as a dual-stack socket shows IPv4, becomes ``192.0.2.1``."""
    return host.removeprefix("::ffff:") if host.startswith("::ffff:") and "." in host else host


def neighbourhood(host: str) -> str:
    """What one machine cannot easily have many of: an IPv4 address, or an IPv6 /64."""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    if address.is_loopback:
        return str(address)
    return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)


def own_hosts() -> list[str]:
    """The addresses from which this machine reaches others; sends nothing.

    Those that its default routes choose, and of a family without such a route those on its
    interfaces: in a closed network there is none, and the others dial it all the same.
    """
    found: list[str] = []
    for family, documentation in (
        (socket.AF_INET, "192.0.2.1"),  # RFC 5737
        (socket.AF_INET6, "2001:db8::1"),  # RFC 3849
    ):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((documentation, 9))  # chooses a route, and that is all for UDP
                found.append(str(probe.getsockname()[0]))
        except OSError:  # no such family, or no route
            six = family is socket.AF_INET6
            found += [host for host in interface_hosts() if (":" in host) == six]
    return found
