"""What a real daemon tells its service manager, and what SIGHUP does to it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipnet.client import connect
from gossipnet.identity.home import Home
from gossipnet.io.supervisor import Supervisor

_LISTEN = ("--listen", "127.0.0.1:0")


class Manager:
    """A service manager's side: the socket, and a daemon under it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        Home(self.home).found(
            mesh="test", name="atlas", passphrase=None, entropy=os.urandom, wall=time.time()
        )
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(30)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gossipnet", "run", "--home", self.home, *_LISTEN],
            env=os.environ | {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "200000"},
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, line: str) -> list[str]:
        """All lines up to the message that holds this one."""
        seen: list[str] = []
        while line not in seen:
            seen += self.socket.recv(4096).decode().split("\n")
        return seen

    def ended(self) -> str:
        """End the daemon; what it has said on standard error."""
        self.process.terminate()
        return self.process.communicate(timeout=30)[1]

    def close(self) -> None:
        self.process.kill()
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.process.wait()
        self.socket.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    with tempfile.TemporaryDirectory(prefix="gn-", dir="/tmp") as folder:
        manager = Manager(Path(folder))
        yield manager
        manager.close()


def test_ready_when_clients_are_served_alive_while_the_loop_turns(manager: Manager) -> None:
    seen = manager.until("READY=1")
    assert "STATUS=node atlas of mesh test serves" in seen
    with connect(manager.home) as client:
        assert client.call("PING") == "PONG"
    manager.until("WATCHDOG=1")
    manager.until("WATCHDOG=1")
    manager.process.send_signal(signal.SIGTERM)
    manager.until("STOPPING=1")
    assert manager.process.wait(30) == 0


def test_reload_changes_what_it_can_and_names_the_rest(manager: Manager) -> None:
    manager.until("READY=1")
    config = manager.home / "config.toml"
    config.write_text('notify_keyspace_events = "KEA"\nlimits.clients = 7\nzone = "attic"\n')
    manager.process.send_signal(signal.SIGHUP)
    manager.until("RELOADING=1")
    manager.until("READY=1")
    with connect(manager.home) as client:
        assert client.call("CONFIG", "GET", "maxclients") == {b"maxclients": b"7"}
        assert client.call("CONFIG", "GET", "notify-keyspace-events").values()
    config.write_text("limits.clientz = 9\n")
    manager.process.send_signal(signal.SIGHUP)
    manager.until("RELOADING=1")
    manager.until("READY=1")
    with connect(socket=manager.home / "gossipnet.sock") as client:
        assert client.call("CONFIG", "GET", "maxclients") == {b"maxclients": b"7"}
    told = manager.ended()
    assert "for the next start: zone" in told
    assert "the settings stay as they are" in told
    assert "limits.clients" in told


def test_a_watchdog_that_is_meant_for_another_is_not_fed() -> None:
    environment = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "41"}
    assert Supervisor(environment, 42).watchdog_s is None
    assert Supervisor(environment, 41).watchdog_s == 3
    assert not Supervisor({}, 42)
