"""Real daemons as processes: own homes, own ports, waits for conditions, logs shown on failure.

Nothing here waits for a time to pass: `eventually` asks until the answer is right, and fails with
the last answer when its deadline is over.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-m", "gossipnet"]
DEADLINE = 30.0


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(check: Callable[[], T], what: str, deadline: float = DEADLINE) -> T:
    """Ask until ``check`` answers with something true; a failed assertion counts as not yet."""
    end = time.monotonic() + deadline
    last: object = None
    while True:
        try:
            answer = check()
            if answer:
                return answer
            last = answer
        except (AssertionError, OSError, redis.RedisError) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:g} s: {what}; last seen: {last!r}")
        time.sleep(0.02)  # the one place that waits, always for a condition


class Daemon:
    """One home, and the process that runs on it."""

    def __init__(self, home: Path, name: str, wrapper: list[str] | None = None) -> None:
        self.home = home
        self.name = name
        self.port = free_port()
        self.host = "127.0.0.1"
        self.wrapper = wrapper or []
        self.env: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.log = home.parent / f"{name}.log"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def socket(self) -> Path:
        return self.home / "gossipnet.sock"

    def command(self, *words: str) -> list[str]:
        return [*self.wrapper, *COMMAND, words[0], "--home", str(self.home), *words[1:]]

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GOSSIPNET_")}
        return {**kept, "NO_COLOR": "1", **self.env}

    def cli(
        self, *words: str, stdin: str | None = None, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run one command on this home; never raises for a bad exit code."""
        return subprocess.run(
            self.command(*words),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(),
            check=False,
        )

    def must(self, *words: str, stdin: str | None = None) -> str:
        """Run one command on this home; its standard output."""
        done = self.cli(*words, stdin=stdin)
        assert done.returncode == 0, (
            f"gossipnet {' '.join(words)}: {done.returncode}\n{done.stderr}"
        )
        return done.stdout

    def start(self, *words: str, ready: bool = True) -> "Daemon":
        assert self.process is None or self.process.poll() is not None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command("run", "--listen", self.address, *words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
            )
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        eventually(self._answers, f"{self.name} answers on its socket")

    def _answers(self) -> bool:
        process = self.process
        assert process is not None
        if process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {process.returncode}:\n{self.tail()}")
        return bool(self.redis().ping())

    def redis(self, **options: Any) -> "redis.Redis":
        """A client that tries everything once: what fails must be seen."""
        return redis.Redis(
            unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), **options
        )

    def do(self, *words: object) -> Any:
        """One command on a connection of its own."""
        with contextlib.closing(self.redis()) as client:
            return client.execute_command(*words)

    def members(self) -> dict[str, dict[str, Any]]:
        import json

        rows = json.loads(self.must("members", "--json"))["members"]
        return {row["name"]: row for row in rows}

    def states(self) -> dict[str, str]:
        return {name: row["state"] for name, row in self.members().items()}

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        self.send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(timeout=20)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.send(signal.SIGTERM)
        assert self.process is not None
        return self.process.wait(timeout=20)

    def tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else "(no log)"
        return "\n".join(text.splitlines()[-lines:])


class Mesh:
    """Daemons that belong together, in one short-named folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[Daemon] = []

    def __getitem__(self, number: int) -> Daemon:
        return self.daemons[number]

    def __iter__(self) -> Iterator[Daemon]:
        return iter(self.daemons)

    def new(
        self, name: str | None = None, wrapper: list[str] | None = None, host: str = "127.0.0.1"
    ) -> Daemon:
        """A machine with an empty home."""
        name = name or f"node{len(self.daemons)}"
        daemon = Daemon(self.folder / name, name, wrapper)
        daemon.host = host
        self.daemons.append(daemon)
        return daemon

    def found(self, mesh: str = "test", **options: Any) -> Daemon:
        """The first machine, running."""
        daemon = self.new(**options)
        daemon.must("init", mesh, "--name", daemon.name, "--no-passphrase")
        return daemon.start()

    def add(self, through: Daemon | None = None, **options: Any) -> Daemon:
        """One more machine, joined by a token and an address, running."""
        through = through or self.daemons[0]
        token = self.daemons[0].must("invite").strip()
        daemon = self.new(**options)
        daemon.must("join", token, "--name", daemon.name, through.address)
        return daemon.start()

    def everyone_alive(self, count: int | None = None) -> None:
        names = {daemon.name for daemon in self.daemons[:count]}
        for daemon in self.daemons[:count]:
            eventually(
                lambda daemon=daemon: (
                    {name for name, state in daemon.states().items() if state == "alive"} == names
                ),
                f"{daemon.name} sees {sorted(names)} alive",
            )

    def reads(self, key: str, value: bytes | None, daemons: list[Daemon] | None = None) -> None:
        """Every one of these daemons comes to read this value."""
        for daemon in self.daemons if daemons is None else daemons:
            eventually(
                lambda daemon=daemon: [daemon.do("GET", key)] == [value],
                f"{daemon.name} reads {value!r} at {key}",
            )

    def logs(self) -> str:
        return "\n".join(f"--- {d.name} ({d.address})\n{d.tail()}" for d in self.daemons)

    def close(self) -> None:
        for daemon in self.daemons:
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.process.send_signal(signal.SIGCONT)
                daemon.process.kill()
                daemon.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running_mesh(count: int = 0) -> Iterator[Mesh]:
    """A mesh of ``count`` daemons; everything ends with the block, logs are shown if it failed."""
    # Not pytest's folder: a socket path has to fit into 107 bytes (103 on macOS).
    mesh = Mesh(Path(tempfile.mkdtemp(prefix="gn-", dir="/tmp")))
    try:
        for number in range(count):
            mesh.add() if number else mesh.found()
        if count:
            mesh.everyone_alive()
        yield mesh
    except BaseException:
        print(mesh.logs(), file=sys.stderr)
        raise
    finally:
        mesh.close()
