"""Own addresses where no default route tells them."""

import socket
from pathlib import Path

import pytest

from gossipnet.io import interfaces
from gossipnet.io.interfaces import interface_hosts
from gossipnet.io.sockets import own_hosts


class NoRoute(socket.socket):
    """As in a closed network: nothing outside can be reached."""

    def connect(self, address: object) -> None:
        raise OSError(101, "Network is unreachable")


def test_without_a_route_the_interfaces_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "fe800000000000000042acfffe110002 02 40 20 80     eth0\n"
        "fd770000000000000000000000000001 02 40 00 80     eth0\n"
        "nonsense\n\n"
    )
    monkeypatch.setattr(interfaces, "_IF_INET6", table)
    monkeypatch.setattr(interfaces, "_ipv4", lambda: ["10.77.0.1"])
    monkeypatch.setattr(socket, "socket", NoRoute)
    assert own_hosts() == ["10.77.0.1", "fd77::1"]


def test_the_kernel_is_understood() -> None:
    hosts = interface_hosts()
    assert not any(host.startswith("127.") or host in ("::1", "0.0.0.0") for host in hosts)
    routed = [host for host in own_hosts() if ":" not in host]
    if routed:  # the address that the default route chooses is on some interface
        assert set(routed) <= {*hosts, "127.0.0.1"}
