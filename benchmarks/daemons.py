"""Real daemons for the benchmarks: own homes, own ports, gone when the block ends."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COMMAND = [sys.executable, "-m", "gossipnet"]
PATIENCE = 60.0


class Daemon:
    """One home and the process on it; ``prefix`` stands before each command (a namespace)."""

    def __init__(self, home: Path, port: int, prefix: tuple[str, ...] = ()) -> None:
        self.home = home
        self.address = f"127.0.0.1:{port}"
        self.socket = home / "gossipnet.sock"
        self._prefix = prefix
        self.process: subprocess.Popen[bytes] | None = None

    def words(self, verb: str, *rest: str) -> list[str]:
        return [*self._prefix, *COMMAND, verb, "--home", str(self.home), *rest]

    def must(self, verb: str, *rest: str) -> str:
        return subprocess.run(
            self.words(verb, *rest), check=True, capture_output=True, text=True, env=environment()
        ).stdout

    def start(self, *rest: str) -> None:
        with (self.home.parent / f"{self.home.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.words("run", "--listen", self.address, *rest),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
            )

    def ready(self) -> bool:
        """Whether it answers PING."""
        assert self.process is not None
        if self.process.poll() is not None:
            log = self.home.parent / f"{self.home.name}.log"
            raise OSError(f"the daemon ended with {self.process.returncode}: {log.read_text()}")
        try:
            with self.connect() as client:
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        try:
            client.connect(str(self.socket))
        except OSError:
            client.close()
            raise
        return client

    def ask(self, *words: object) -> bytes:
        """One command on a connection of its own; the first 64 KiB of its reply."""
        parts = [str(word).encode() for word in words]
        with self.connect() as client:
            client.sendall(
                b"*%d\r\n" % len(parts)
                + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
            )
            return client.recv(65536)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("GOSSIPNET_")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(check: object, what: str) -> None:
    """Ask until it is so."""
    assert callable(check)
    end = time.monotonic() + PATIENCE
    while not check():
        if time.monotonic() > end:
            raise OSError(f"not within {PATIENCE:g} s: {what}")
        time.sleep(0.01)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A short path: a socket's has to fit into 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="gnb-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def mesh(
    count: int, *options: str, prefix: tuple[str, ...] = (), ports_from: int = 0
) -> Iterator[list[Daemon]]:
    """``count`` daemons that know each other, all of them neighbours or nearly."""
    with folder() as path:
        daemons = [
            Daemon(path / f"n{n}", ports_from + n if ports_from else free_port(), prefix)
            for n in range(count)
        ]
        first, rest = daemons[0], daemons[1:]
        try:
            first.must("init", "bench", "--name", "n0", "--no-passphrase")
            first.start(*options)
            until(first.ready, "the first daemon is ready")
            if rest:
                token = first.must("invite", "--uses", str(len(rest))).strip()
                with ThreadPoolExecutor(2) as pool:
                    list(pool.map(lambda d: _enter(d, token, first, options), rest))
            for daemon in daemons:
                until(lambda d=daemon: alive(d) == count, f"{daemon.home.name} sees everyone")
            yield daemons
        finally:
            for daemon in daemons:
                daemon.stop()


def _enter(daemon: Daemon, token: str, through: Daemon, options: tuple[str, ...]) -> None:
    daemon.must("join", token, "--name", daemon.home.name, through.address)
    daemon.start(*options)
    until(daemon.ready, f"{daemon.home.name} is ready")


def alive(daemon: Daemon) -> int:
    """How many members a daemon sees alive."""
    return daemon.ask("GOSSIP", "MEMBERS").count(b"\r\nalive\r\n")
