"""The addresses on this machine's interfaces, for networks in which no default route says which.

A closed network, two machines on one cable or a lab of namespaces has none, and there
`sockets.own_hosts` finds no route to ask. Reads the kernel's tables; opens nothing towards the
network, and knows nothing of the mesh.
"""

import fcntl
import ipaddress
import socket
import struct
import sys
from pathlib import Path

MAX_HOSTS = 4
"""So many are told to others: a machine with many bridges would fill its record with them."""

_IF_INET6 = Path("/proc/net/if_inet6")
_UP, _LOOPBACK = 0x1, 0x8  # net/if.h, the same on Linux and macOS
# The size of the request is part of the number on macOS (_IOWR('i', 17 and 33, struct ifreq)).
_GET_FLAGS, _GET_ADDRESS = (
    (0xC0206911, 0xC0206921) if sys.platform == "darwin" else (0x8913, 0x8915)
)
_NAME_BYTES, _IFREQ_BYTES = 16, 40
_IPV4_AT = _NAME_BYTES + 4  # struct sockaddr_in: family and port come first


def interface_hosts() -> list[str]:
    """IPv4 addresses, then global IPv6 ones (Linux), of interfaces that are up; no loopback."""
    return [*_ipv4(), *_ipv6()][: 2 * MAX_HOSTS]


def _ipv4() -> list[str]:
    found: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        for _index, name in socket.if_nameindex():
            request = name.encode()[: _NAME_BYTES - 1].ljust(_IFREQ_BYTES, b"\0")
            try:
                answer = fcntl.ioctl(asker, _GET_FLAGS, request)
                (flags,) = struct.unpack_from("=H", answer, _NAME_BYTES)
                if not flags & _UP or flags & _LOOPBACK:
                    continue
                answer = fcntl.ioctl(asker, _GET_ADDRESS, request)
            except OSError:
                continue  # it has no IPv4 address, or has just gone
            found.append(socket.inet_ntoa(answer[_IPV4_AT : _IPV4_AT + 4]))
    return found[:MAX_HOSTS]


def _ipv6() -> list[str]:
    """From the table that proc(5) describes; link-local ones need a zone that others lack."""
    try:
        lines = _IF_INET6.read_text("ascii", "replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            address = ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))
        except (ValueError, IndexError):
            continue
        if not (address.is_loopback or address.is_link_local):
            found.append(str(address))
    return found[:MAX_HOSTS]
