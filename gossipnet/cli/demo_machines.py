"""The demo's machines: real daemons as processes with homes of their own, in one temporary folder.

What is started here ends here: `Machines` is a context manager that stops every process and removes
the folder, whatever happened in between. Knows nothing of the story that `demo` tells with them.
"""

import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from gossipnet.cli.demo_ground import child_environment, deaf, free_ports, short_folder
from gossipnet.config import SOCKET_FILE
from gossipnet.errors import UserError

if TYPE_CHECKING:
    from gossipnet.client import Client

DEADLINE_SECONDS = 30.0
"""How long anything may take before the demo calls it failed."""

_POLL_SECONDS = 0.02
_STOP_SECONDS = 6.0
_TAIL_LINES = 20
_COMMAND = (sys.executable, "-m", "gossipnet")

T = TypeVar("T")


class StepFailed(UserError):
    """Something did not hold; the text says what was expected and what was seen."""


class Machine:
    """One home, and the daemon that runs on it.

    Attributes:
      name: Of the node; its home and its log are named after it.
      address: ``HOST:PORT`` that it listens on.
      process: Its daemon, or None before the first start.
      expected: Whether the daemon is meant to run now.
    """

    def __init__(self, folder: Path, name: str, port: int) -> None:
        self.folder = folder
        self.name = name
        self.address = f"127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.expected = False

    @property
    def socket(self) -> str:
        """Its local socket, relative to the folder."""
        return f"{self.name}/{SOCKET_FILE}"

    @property
    def log(self) -> Path:
        """Where its daemon's standard error goes."""
        return self.folder / f"{self.name}.log"

    @property
    def run_words(self) -> list[str]:
        """The command that starts its daemon."""
        return ["gossipnet", "run", "--home", self.name, "--listen", self.address]

    def client(self) -> "Client":
        """A connection to its daemon."""
        from gossipnet.client import connect

        return connect(socket=self.folder / self.socket, timeout=DEADLINE_SECONDS)

    def ended(self) -> bool:
        """Whether there is no running process."""
        return self.process is None or self.process.poll() is not None

    def how_it_ended(self) -> str:
        """In words, for an ended process."""
        code = None if self.process is None else self.process.returncode
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def log_lines(self) -> list[str]:
        """What its daemon has said, over all its starts."""
        try:
            return self.log.read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []


class Machines:
    """All of them, their folder, and the commands that run in it.

    Attributes:
      folder: Commands run here, so that paths in them are short.
    """

    def __init__(self, names: Sequence[str], env: Mapping[str, str]) -> None:
        self._env = child_environment(env)
        ports = free_ports(len(names))
        self.folder = short_folder(max(names, key=len))
        self._all = [
            Machine(self.folder, name, port) for name, port in zip(names, ports, strict=True)
        ]

    def __iter__(self) -> Iterator[Machine]:
        return iter(self._all)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A second Ctrl-C must not leave half of it behind; this ends within `_STOP_SECONDS`.
        with deaf():
            self._stop_all()
            shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, words: Sequence[str], *, together: bool = True) -> tuple[str, str]:
        """Run one command to its end.

        Args:
          words: As typed; ``gossipnet`` stands for the very one that runs the demo.
          together: Put standard error into the first text, in the order of writing.

        Returns:
          Standard output and standard error.

        Raises:
          StepFailed: It did not succeed, or not in time.
        """
        process = self._popen(words, subprocess.STDOUT if together else subprocess.PIPE)
        try:
            return self._finish(words, process, time.monotonic() + DEADLINE_SECONDS)
        finally:
            _reap(process)

    def run_at_once(self, commands: Sequence[Sequence[str]]) -> list[str]:
        """Start all commands, then wait for all; what each said.

        Raises:
          StepFailed: One of them did not succeed, or not in time.
        """
        running: list[subprocess.Popen[str]] = []
        end = time.monotonic() + DEADLINE_SECONDS
        try:
            running.extend(map(self._popen, commands))
            return [
                self._finish(words, process, end)[0]
                for words, process in zip(commands, running, strict=True)
            ]
        finally:
            for process in running:
                _reap(process)

    def _popen(
        self, words: Sequence[str], stderr: int = subprocess.STDOUT
    ) -> "subprocess.Popen[str]":
        try:
            return subprocess.Popen(  # noqa: S603 - words of our own
                _resolved(words),
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise StepFailed(f"`{shlex.join(words)}` cannot be started: {error}") from None

    def _finish(
        self, words: Sequence[str], process: "subprocess.Popen[str]", end: float
    ) -> tuple[str, str]:
        try:
            said, talk = process.communicate(timeout=max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            late = f"`{shlex.join(words)}` took more than {DEADLINE_SECONDS:g} s"
            raise StepFailed(late) from None
        if process.returncode != 0:
            everything = (said + (talk or "")).strip()
            raise StepFailed(f"`{shlex.join(words)}` ended with {process.returncode}: {everything}")
        return said, talk or ""

    def start(self, machine: Machine) -> list[str]:
        """Start a machine's daemon and wait until it serves.

        Returns:
          The lines with which it announced itself.

        Raises:
          StepFailed: It ended, or was not ready in time.
        """
        before = len(machine.log_lines())
        with machine.log.open("ab") as log:
            machine.process = subprocess.Popen(  # noqa: S603 - words of our own
                _resolved(machine.run_words),
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal is for the demo, which then stops the daemons in order.
                start_new_session=True,
            )
        machine.expected = True

        def announced() -> list[str]:
            lines = machine.log_lines()[before:]
            ready = [at for at, line in enumerate(lines) if line.startswith("ready in ")]
            return lines[: ready[0] + 1] if ready else []

        lines = self.eventually(announced, f"{machine.name} is ready", [machine])
        first = [at for at, line in enumerate(lines) if line.startswith("gossipnet ")]
        return lines[first[0] :] if first else lines[-1:]

    def kill(self, machine: Machine) -> None:
        """End its daemon as kill -9 does."""
        machine.expected = False
        if machine.process is not None:
            machine.process.kill()
            machine.process.wait()

    def eventually(
        self, check: Callable[[], T], what: str, needed: Sequence[Machine] | None = None
    ) -> T:
        """Ask until the answer is true.

        Args:
          check: Asks once; a `UserError` counts as "not yet" and is told if time is up.
          what: What is waited for.
          needed: Machines whose daemons must not end meanwhile; None: all.

        Raises:
          StepFailed: It was not within `DEADLINE_SECONDS`, or a daemon ended meanwhile.
        """
        end = time.monotonic() + DEADLINE_SECONDS
        while True:
            last: object
            try:
                answer = check()
                if answer:
                    return answer
                last = answer
            except UserError as error:
                last = error
            for machine in self._all if needed is None else needed:
                if machine.expected and machine.ended():
                    raise StepFailed(f"the daemon of {machine.name} {machine.how_it_ended()}")
            if time.monotonic() > end:
                raise StepFailed(
                    f"expected within {DEADLINE_SECONDS:g} s: {what}; seen instead: {last}"
                )
            time.sleep(_POLL_SECONDS)  # between two questions, never in place of one

    def tails(self) -> list[str]:
        """The end of every log, for whoever must find out what went wrong."""
        lines = []
        for machine in self._all:
            said = machine.log_lines()
            if said:
                lines += [f"--- the end of {machine.log.name}", *said[-_TAIL_LINES:]]
        return lines

    def _stop_all(self) -> None:
        running = [machine.process for machine in self._all if machine.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
                process.send_signal(signal.SIGCONT)  # in case someone tried what a pause does
        end = time.monotonic() + _STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _reap(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()


def _resolved(words: Sequence[str]) -> list[str]:
    return [*_COMMAND, *words[1:]] if words[0] == "gossipnet" else list(words)
