"""Serf agents on loopback, one process each, with the settings they come with."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.daemons import folder, until

LACKING = "serf is not installed (Debian: serf)"


def installed() -> bool:
    """Whether it is on the path."""
    return shutil.which("serf") is not None


def version() -> str:
    """As in ``Serf 0.8.2``."""
    told = subprocess.run(["serf", "version", "--format=json"], capture_output=True, text=True)
    if told.returncode == 0 and '"serf"' in told.stdout:
        return "Serf " + told.stdout.split('"serf"')[1].split('"')[1].lstrip("v")
    told = subprocess.run(["serf", "version"], capture_output=True, text=True, check=True)
    return "Serf " + told.stdout.splitlines()[0].removeprefix("Serf").strip().lstrip("v")


class Agent:
    """One agent; what it notices stands in its log."""

    def __init__(self, path: Path, number: int, prefix: tuple[str, ...]) -> None:
        self.name = f"n{number}"
        self.log = path / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._number = number
        self._prefix = prefix

    def start(self) -> None:
        words = [*self._prefix, "serf", "agent", "-node", self.name]
        words += ["-bind", f"127.0.0.1:{7500 + self._number}"]
        words += ["-rpc-addr", f"127.0.0.1:{7600 + self._number}"]
        if self._number:
            words += ["-join", "127.0.0.1:7500"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def joined(self) -> int:
        """How many members it has seen come."""
        return self.log.read_bytes().count(b"EventMemberJoin: ")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def agents(count: int, prefix: tuple[str, ...]) -> Iterator[list[Agent]]:
    """So many agents that know each other; there is room in the folder for further ones."""
    with folder() as path:
        made = [Agent(path, number, prefix) for number in range(count)]
        try:
            for agent in made:
                agent.start()
                if agent is made[0]:
                    until(lambda: made[0].joined() == 1, "the first agent runs")
                time.sleep(0.02)
            for agent in made:
                until(lambda agent=agent: agent.joined() >= count, f"{agent.name} sees everyone")
            yield made
        finally:
            for agent in made:
                agent.stop()
