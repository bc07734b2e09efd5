"""Clocks that jump while daemons run: by hours, by years, to and fro ten times a second.

libfaketime moves the wall clock of one daemon and leaves its monotonic clock honest, as a
correction by an administrator or by NTP does it.
"""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from examination import examine, status
from laboratory import Daemon, Mesh, enter, eventually, long_or_short, running_mesh
from load import Load

from tests.needs import need

pytestmark = pytest.mark.e2e

STARVED = ["node2"]
"""libfaketime reads a file at each look at the clock: on a busy machine its daemon may stall."""

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


class Clock:
    """The wall clock of one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        need(bool(LIBRARIES), "libfaketime is not installed")
        self._file = daemon.home.parent / f"{daemon.name}.clock"
        self.jump("+0s")
        daemon.env = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, by: str) -> None:
        """Be off by this from now on: ``+1h``, ``-5s``, ``+10y``."""
        other = self._file.with_suffix(".new")
        other.write_text(by + "\n")
        other.rename(self._file)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Mesh, Clock]]:
    """Three daemons; the clock is the last one's."""
    with running_mesh() as mesh:
        mesh.found()
        enter(mesh, [{}])
        token = mesh[0].must("invite").strip()
        daemon = mesh.new()
        clock = Clock(daemon)
        daemon.must("join", token, "--name", daemon.name, mesh[0].address)
        daemon.start()
        mesh.everyone_alive()
        yield mesh, clock


@contextlib.contextmanager
def under_load(mesh: Mesh, name: str) -> Iterator[Load]:
    with Load(mesh.daemons, name).running() as load:
        load.going_on(0.5)
        yield load
        load.going_on(0.5)


@pytest.mark.parametrize("by", ["+1h", "-1h", "+10y"])
def test_jump_and_back(world: tuple[Mesh, Clock], by: str) -> None:
    """Its writes are refused or count; whatever is acknowledged is there in the end, everywhere."""
    mesh, clock = world
    with under_load(mesh, f"jump{by}") as load:
        clock.jump(by)
        load.going_on(long_or_short(60, 2))
        clock.jump("+0s")
    eventually(lambda: mesh[2].do("SET", "fits", by), "it may write again")
    mesh.reads("fits", by.encode())
    # What was stamped ahead waits in the others' quarantine until its time; nothing may be left.
    eventually(lambda: all(status(d)["quarantined"] == 0 for d in mesh), "nothing waits")
    examine(load, mesh.daemons, may_die=STARVED)


def test_strobe(world: tuple[Mesh, Clock]) -> None:
    """To and fro by five seconds, ten times a second: no storm, nothing lost, nobody buried."""
    mesh, clock = world
    seconds = long_or_short(60, 3)
    with under_load(mesh, "strobe") as load:
        mesh[2].do("SET", "lease", "1", "PX", 90_000)
        before = cpu_seconds(mesh[2])
        load.going_on(seconds)
        calm = cpu_seconds(mesh[2])
        for _, by in zip(range(int(seconds * 10)), itertools.cycle(("+5s", "-5s")), strict=False):
            clock.jump(by)
            load.going_on(0.1)
        mad = cpu_seconds(mesh[2])
        clock.jump("+0s")
    assert mad - calm < 2 * (calm - before) + 1, "a storm of timers"
    assert 0 < mesh[0].do("PTTL", "lease") <= 95_000
    examine(load, mesh.daemons, may_die=STARVED)


def cpu_seconds(daemon: Daemon) -> float:
    """Processor time that it has used."""
    assert daemon.process is not None
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
