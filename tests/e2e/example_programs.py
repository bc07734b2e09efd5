"""Runs the programs of ``examples/`` beside daemons, and reads what they print."""

import importlib.util
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mesh_harness import DEADLINE, ROOT, Daemon


def words(name: str, daemon: Daemon, *more: str) -> list[str]:
    """How example ``name`` is started on a daemon's machine."""
    path = ROOT / "examples" / name / f"{name}.py"
    return [sys.executable, "-W", "error", str(path), "--home", str(daemon.home), *more]


def module(name: str) -> Any:
    """The example as a module, for what can be asked without a daemon."""
    path = ROOT / "examples" / name / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def run(name: str, daemon: Daemon, *more: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        words(name, daemon, *more), capture_output=True, text=True, timeout=60, check=False
    )


def told(name: str, daemon: Daemon, *more: str) -> str:
    """Run it to its end, which is a good one; what it printed."""
    done = run(name, daemon, *more)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


class Program:
    """One that goes on, and its lines so far."""

    def __init__(self, command: list[str]) -> None:
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `end`
        self.process: subprocess.Popen[str] = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            bufsize=1,
        )
        self.lines: list[str] = []
        self._fresh: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._fresh.put(line.rstrip("\n"))

    def says(self, part: str) -> str:
        """Wait for the next line that contains ``part``; that line."""
        try:
            while part not in (line := self._fresh.get(timeout=DEADLINE)):
                self.lines.append(line)
        except queue.Empty:
            raise AssertionError(f"{part!r} was not said; but {self.lines[-20:]}") from None
        self.lines.append(line)
        return line

    def type(self, line: str) -> None:
        """Write a line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def complaints(self) -> str:
        """What it wrote to standard error."""
        self._complaints.seek(0)
        return self._complaints.read()

    def end(self) -> None:
        """Ctrl-C, and no mercy afterwards."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join()
            for pipe in (self.process.stdin, self.process.stdout):
                assert pipe is not None
                pipe.close()
            complaints = self.complaints()
            self._complaints.close()
            print(complaints, file=sys.stderr)  # shown if the test fails
            self.ended_quietly = "Traceback" not in complaints


@contextmanager
def going(name: str, daemon: Daemon, *more: str) -> Iterator[Program]:
    """Run it until the block ends."""
    program = Program(words(name, daemon, *more))
    try:
        yield program
    finally:
        program.end()
    assert program.ended_quietly


@contextmanager
def beside(daemon: Daemon, *command: str) -> Iterator[Any]:
    """The same for a command of gossipnet itself."""
    program = Program(daemon.command(*command))
    try:
        yield program
    finally:
        program.end()
