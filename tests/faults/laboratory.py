"""The fault laboratory: real daemons, each on a host of its own, and wires that obey.

`laboratory` builds hosts (network namespaces), the switch between them (`wires`) and a founded mesh
of daemons on them. Partitions, delays and losses are set on the wires; kills, freezes and clocks on
the daemons, which are those of the end-to-end tests.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import wires
from mesh_harness import Daemon, Mesh, eventually, running_mesh

from tests.needs import need

SOAK = os.environ.get("GOSSIPNET_SOAK") == "1"
"""The long versions: `make soak`."""

HEAL_SECONDS = 15.0
"""In which everybody must agree again, on a machine that has other things to do as well; the
design's 5 s are measured, not tested."""


def long_or_short(soak: float, short: float) -> float:
    """Seconds, or a number of things, for this run."""
    return soak if SOAK else short


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


class Wires:
    """The hosts 0..n-1 and what lies between them."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self._prefix = f"gnw{os.getpid()}"
        self._ways: dict[str, dict[str, Any]] = {}
        self._seed = seed
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Wires":
        try:
            for number in range(self.count):
                _run("ip", "netns", "add", self.namespace(number))
            words = [sys.executable, wires.__file__, self._prefix, str(self.count), str(self._seed)]
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            self._answer("ready")
            for number in range(self.count):
                inside = ("ip", "-n", self.namespace(number))
                _run(*inside, "link", "set", "lo", "up")
                _run(*inside, "addr", "add", f"{self.host(number)}/24", "dev", wires.DEVICE)
                _run(*inside, "link", "set", wires.DEVICE, "up", "txqueuelen", "1000")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
        for number in range(self.count):
            words = ["ip", "netns", "del", self.namespace(number)]
            subprocess.run(words, capture_output=True, check=False)

    def namespace(self, number: int) -> str:
        return f"{self._prefix}n{number}"

    def host(self, number: int) -> str:
        return wires.host(number)

    def inside(self, number: int) -> list[str]:
        """What to put before a command to run it on that host."""
        return ["ip", "netns", "exec", self.namespace(number)]

    # -- what the wires do ---------------------------------------------------------------------

    def everywhere(self, **way: Any) -> None:
        """All wires are like this from now on; without arguments, perfect."""
        self.pairs(self._all() if way else (), **way)

    def pairs(self, pairs: Iterable[tuple[int, int]], **way: Any) -> None:
        """These ordered pairs are like this from now on, and all others perfect."""
        self._ways = {f"{a}>{b}": way for a, b in pairs}
        self._say()

    def heal(self) -> None:
        """All wires are perfect."""
        self.everywhere()

    def cut(self, *groups: Sequence[int]) -> None:
        """Only hosts that share a group reach each other."""
        apart = [
            (a, b) for a, b in self._all() if not any(a in group and b in group for group in groups)
        ]
        self.pairs(apart, cut=True)

    def ring(self) -> None:
        """Each host reaches the next and the one before: of five, every one sees a majority."""
        apart = [
            (a, b) for a, b in self._all() if min((a - b) % self.count, (b - a) % self.count) > 1
        ]
        self.pairs(apart, cut=True)

    def mute(self, number: int) -> None:
        """What this host sends is lost; it still hears."""
        self.pairs(((number, other) for other in self._others(number)), cut=True)

    def deafen(self, number: int) -> None:
        """What is sent to this host is lost; it is still heard."""
        self.pairs(((other, number) for other in self._others(number)), cut=True)

    def around(self, number: int, **way: Any) -> None:
        """All wires from and to this host are like this."""
        both = [(number, other) for other in self._others(number)]
        self.pairs(both + [(b, a) for a, b in both], **way)

    def _others(self, number: int) -> list[int]:
        return [other for other in range(self.count) if other != number]

    def _all(self) -> list[tuple[int, int]]:
        return [(a, b) for a in range(self.count) for b in range(self.count) if a != b]

    def _say(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._ways) + "\n")
        self._answer("ok")

    def _answer(self, expected: str) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        if answer != expected:
            raise RuntimeError(f"the wires ended: {answer!r} {self._process.poll()}")


def available() -> tuple[bool, str]:
    """Whether this machine can have hosts and wires, and what it lacks."""
    if os.geteuid() != 0:
        return False, "hosts with wires of their own need root"
    if shutil.which("ip") is None:
        return False, "hosts with wires of their own need iproute2"
    if not Path("/dev/net/tun").exists():
        return False, "this machine has no /dev/net/tun"
    return True, ""


class Laboratory:
    """A mesh on wires."""

    def __init__(self, mesh: Mesh, net: Wires) -> None:
        self.mesh = mesh
        self.net = net

    def options(self, number: int) -> dict[str, Any]:
        return {"wrapper": self.net.inside(number), "host": self.net.host(number)}

    def settle(self, count: int | None = None) -> None:
        """Perfect wires, and everybody alive for everybody."""
        self.net.heal()
        self.mesh.everyone_alive(count)


@contextlib.contextmanager
def laboratory(count: int, *, hosts: int = 0, seed: int = 1) -> Iterator[Laboratory]:
    """``count`` daemons that know each other, on as many hosts or more."""
    need(*available())
    with Wires(max(count, hosts), seed) as net, running_mesh() as mesh:
        lab = Laboratory(mesh, net)
        mesh.found(**lab.options(0))
        enter(mesh, [lab.options(number) for number in range(1, count)])
        mesh.everyone_alive()
        yield lab


def enter(mesh: Mesh, options: list[dict[str, Any]]) -> list[Daemon]:
    """Many machines with one token, a few at a time."""
    if not options:
        return []
    token = mesh[0].must("invite", "--uses", str(len(options))).strip()
    entering = [mesh.new(**each) for each in options]

    def join(daemon: Daemon) -> None:
        daemon.must("join", token, "--name", daemon.name, mesh[0].address)
        daemon.start()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(join, entering))
    return entering


__all__ = [
    "HEAL_SECONDS",
    "SOAK",
    "Daemon",
    "Laboratory",
    "Mesh",
    "Wires",
    "available",
    "enter",
    "eventually",
    "laboratory",
    "long_or_short",
    "need",
    "running_mesh",
]
