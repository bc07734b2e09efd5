"""The daemon as a process: what it prints, which signals end it, and how."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipnet.identity.home import Home

CODE = """
import sys
from gossipnet.config import load
from gossipnet.daemon import run_daemon
from gossipnet.errors import UserError
try:
    run_daemon(load({"home": sys.argv[1], **dict(w.split("=", 1) for w in sys.argv[2:])}, {}))
except UserError as error:
    sys.exit(f"gossipnet: {error}")
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A founder's home whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="gn-", dir="/tmp") as folder:
        path = Path(folder) / "home"
        Home(path).found(
            mesh="test", name="atlas", passphrase=None, entropy=os.urandom, wall=time.time()
        )
        yield path


class Daemon:
    def __init__(self, home: Path, *settings: str) -> None:
        words = ("listen=127.0.0.1:0", *settings)
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, str(home), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []

    def until(self, word: str) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if word in line:
                return line
        raise AssertionError(f"it ended with {self.process.wait()} first:\n{''.join(self.lines)}")

    def end(self, *signals: int) -> tuple[int, str]:
        for number in signals:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        assert out == "", "standard output is for data"
        return self.process.returncode, "".join(self.lines) + err


@pytest.fixture
def started(home: Path) -> Iterator[Daemon]:
    daemon = Daemon(home)
    daemon.until("ready in")
    yield daemon
    daemon.process.kill()
    daemon.process.communicate()


def ask(home: Path, *words: str) -> bytes:
    request = f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(home / "gossipnet.sock"))
        client.sendall(request.encode())
        return client.recv(65536)


def test_the_start_block_says_all_there_is_to_know(home: Path, started: Daemon) -> None:
    told = "".join(started.lines)
    assert "node atlas" in told
    assert "mesh test" in told
    assert f"{home}/gossipnet.sock (0600)" in told
    assert "0 keys, epoch " in told
    assert started.lines[-1].endswith("Next (another terminal): gossipnet invite\n")
    assert "127.0.0.1:0" not in told
    assert stat.S_IMODE((home / "gossipnet.sock").stat().st_mode) == 0o600
    assert ask(home, "PING") == b"+PONG\r\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_goodbye(home: Path, started: Daemon, number: int) -> None:
    assert ask(home, "SET", "a", "1") == b"+OK\r\n"
    began = time.monotonic()
    code, told = started.end(number)
    assert code == 0, told
    assert time.monotonic() - began < 3
    assert "saying goodbye" in told
    assert "Traceback" not in told
    assert not (home / "gossipnet.sock").exists()
    again = Daemon(home)
    again.until("1 key,")
    assert again.end(signal.SIGTERM)[0] == 0


def test_a_second_signal_ends_it_at_once_and_keeps_what_was_acknowledged(
    home: Path, started: Daemon
) -> None:
    assert ask(home, "SET", "a", "1") == b"+OK\r\n"
    code, told = started.end(signal.SIGTERM, signal.SIGTERM)
    assert code == 0, told
    assert "Traceback" not in told
    again = Daemon(home)
    again.until("1 key,")
    assert again.end(signal.SIGTERM)[0] == 0


def test_leaving_ends_the_daemon_after_the_reply(home: Path, started: Daemon) -> None:
    assert ask(home, "GOSSIP", "LEAVE").startswith(b"+OK")
    code, told = started.end()
    assert code == 0, told
    assert "left the mesh" in told


def test_kill_9_leaves_a_socket_that_the_next_one_replaces(home: Path, started: Daemon) -> None:
    assert ask(home, "SET", "a", "1") == b"+OK\r\n"
    started.process.kill()
    started.process.communicate()
    assert (home / "gossipnet.sock").exists()
    again = Daemon(home)
    again.until("ready in")
    assert ask(home, "GET", "a") == b"$1\r\n1\r\n"
    assert again.end(signal.SIGTERM)[0] == 0


def test_nothing_but_json_in_a_json_log(home: Path) -> None:
    daemon = Daemon(home, "log_format=json")
    ready = json.loads(daemon.until('"ready"'))
    assert ready["event"] == "ready"
    code, told = daemon.end(signal.SIGTERM)
    assert code == 0
    assert {json.loads(line)["level"] for line in told.splitlines()} == {"info"}


def test_what_cannot_run_is_one_sentence(home: Path, started: Daemon) -> None:
    second = Daemon(home)
    code, told = second.end()
    assert code == 1
    assert told.startswith("gossipnet: a gossipnet daemon (process ")
    assert len(told.splitlines()) == 1


def test_a_log_that_nobody_reads_stops_nothing(home: Path) -> None:
    daemon = Daemon(home, "log_level=debug")
    daemon.until("ready in")  # and from here on nobody reads standard error
    with socket.create_server(("127.0.0.1", 0)):
        for _ in range(200):
            assert ask(home, "PING") == b"+PONG\r\n"
    assert daemon.end(signal.SIGTERM)[0] == 0


def test_no_core_files(started: Daemon) -> None:
    if sys.platform != "linux":
        pytest.skip("limits of another process can be read in /proc")
    limits = Path(f"/proc/{started.process.pid}/limits").read_text()
    (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core")]
    assert core[4:6] == ["0", "0"]


def test_a_bug_is_seen_and_not_survived(home: Path) -> None:
    code = CODE.replace(
        "try:",
        "from gossipnet.protocol.engine import Engine\n"
        "def tick(*_): raise ZeroDivisionError('planted')\n"
        "Engine.tick = tick\n"
        "try:",
        1,
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(home), "listen=127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "ZeroDivisionError: planted" in done.stderr
    assert "Traceback" in done.stderr
