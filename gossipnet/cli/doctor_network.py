"""What the doctor looks at outside this machine: names, ports of members, segment sizes.

Every look has a deadline, all members are dialled side by side by one selector, and no more than
`MEMBERS_MAX` of them. Knows nothing of the home.
"""

import errno
import ipaddress
import os
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from gossipnet.config import split_address

DIAL_SECONDS = 3.0
MEMBERS_MAX = 64
_SMALL_SEGMENT = 1200
"""Bytes; below IPv6's least MTU of 1,280 less headers (RFC 8200, section 5) a tunnel is odd."""

Look = tuple[str, str, str]


def look_at_names(addresses: Sequence[str]) -> Iterator[Look]:
    """Whether the names of the seeds resolve."""
    for written in addresses:
        host, port = split_address(written)
        try:
            ipaddress.ip_address(host)
            continue
        except ValueError:
            pass
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            yield "fail", "dns", f"{host} does not resolve ({error.strerror}): mend the name or DNS"
        else:
            yield "ok", "dns", f"{host} is {', '.join(sorted({str(row[4][0]) for row in found}))}"


def look_at_members(
    members: Sequence[dict[str, Any]], own: str, status: dict[str, Any]
) -> Iterator[Look]:
    """Whether the members' ports answer from here, and this node's own from itself."""
    targets = {
        str(row["name"]): str(row["address"])
        for row in members
        if row.get("address") and row.get("state") in ("alive", "suspect", "dead")
    }
    outcomes = dial(dict(list(targets.items())[:MEMBERS_MAX]))
    linked = int(status.get("peers") or 0)
    for row in members:
        name = str(row["name"])
        if name not in outcomes:
            continue
        trouble, segment = outcomes[name]
        where = "this node itself" if row.get("id") == own else name
        if trouble:
            level = "fail" if row.get("state") == "alive" and not linked else "warn"
            yield level, "reach", f"{where} at {row['address']}: {trouble}"
        elif segment and segment < _SMALL_SEGMENT:
            yield (
                "warn",
                "mtu",
                f"towards {where} a segment carries only {segment} bytes: look at the tunnel's MTU",
            )
        else:
            yield "ok", "reach", f"{where} at {row['address']} answers"
    if len(targets) > MEMBERS_MAX:
        yield "ok", "reach", f"{len(targets) - MEMBERS_MAX} more members were not dialled"
    if len(members) > 1 and not linked and not (status.get("trust") or {}).get("own"):
        yield (
            "fail",
            "links",
            "no link to any member: is port 7117 open both ways, and is the clock right?",
        )


def dial(targets: dict[str, str]) -> dict[str, tuple[str, int]]:
    """Connect to all of them at once.

    Returns:
      By name: what is wrong (empty if the port answers) and the bytes of a segment (0 unknown).
    """
    outcomes: dict[str, tuple[str, int]] = {}
    with selectors.DefaultSelector() as selector:
        for name, written in targets.items():
            try:
                family, kind, protocol, _, where = socket.getaddrinfo(
                    *split_address(written), type=socket.SOCK_STREAM
                )[0]
                probe = socket.socket(family, kind, protocol)
            except OSError as error:
                outcomes[name] = (f"does not resolve ({error.strerror})", 0)
                continue
            probe.setblocking(False)
            code = probe.connect_ex(where)
            if code not in (0, errno.EINPROGRESS):
                outcomes[name] = (_told(code), 0)
                probe.close()
            else:
                selector.register(probe, selectors.EVENT_WRITE, name)
        end = time.monotonic() + DIAL_SECONDS
        while selector.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                probe = key.fileobj  # type: ignore[assignment]
                code = probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                segment = 0 if code else probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
                outcomes[key.data] = (_told(code) if code else "", segment)
                selector.unregister(probe)
                probe.close()
        for key in list(selector.get_map().values()):
            outcomes[key.data] = (
                f"no answer within {DIAL_SECONDS:g} s: a firewall drops it, or the machine is off",
                0,
            )
            selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]
    return outcomes


def _told(code: int) -> str:
    if code == errno.ECONNREFUSED:
        return "refused: the machine is up, but no daemon listens on that port"
    if code in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "no route to it: look at the network or VPN"
    return os.strerror(code)
