"""What an idle node costs: memory, processor time, and bytes on the wire.

With root the daemons get a network namespace of their own, so that its loopback carries nothing
else; without it, whatever else uses this machine's loopback is counted too.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from benchmarks.daemons import Daemon, mesh
from benchmarks.figures import Row, Skipped, run_alone

COUNT = 20
TICKS = os.sysconf("SC_CLK_TCK")


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """Twenty daemons with nothing to do."""
    if not sys.platform.startswith("linux"):
        yield Skipped("idle node", "reads /proc, which only Linux has")
        return
    seconds = 5.0 if quick else 30.0
    with _quiet_network() as prefix, mesh(COUNT, prefix=prefix, ports_from=7300) as daemons:
        time.sleep(3.0 if quick else 15.0)  # the overlay settles: this is a measurement, no test
        cpu, wire = sum(map(_cpu, daemons)), _loopback(prefix)
        time.sleep(seconds)
        cpu, wire = sum(map(_cpu, daemons)) - cpu, _loopback(prefix) - wire
        memory = [_memory(daemon) for daemon in daemons]
    what = f"idle node in a mesh of {COUNT}"
    own = "" if prefix else "whole loopback: not measured alone"
    yield Row(f"{what}: resident", mean(m[0] for m in memory), "MiB", target="<= 45 MiB")
    yield Row(f"{what}: of its own", mean(m[1] for m in memory), "MiB", note="unshared pages")
    yield Row(f"{what}: processor", 100 * cpu / seconds / COUNT, "%", target="<= 0.5 %")
    yield Row(
        f"{what}: sent", wire / seconds / COUNT, "B/s", target="<= 1,200 B/s",
        note=own or "with IP and TCP headers and acknowledgements",
    )  # fmt: skip


@contextlib.contextmanager
def _quiet_network() -> Iterator[tuple[str, ...]]:
    """What to put before a command to run it alone on a loopback; empty without root."""
    name = f"gnb{os.getpid()}"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        yield ()
        return
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode != 0:
        yield ()
        return
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield ("ip", "netns", "exec", name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def _loopback(prefix: tuple[str, ...]) -> int:
    """Bytes that left over the loopback so far."""
    told = subprocess.run(
        [*prefix, "cat", "/proc/net/dev"], check=True, capture_output=True, text=True
    ).stdout
    (line,) = (line for line in told.splitlines() if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[8])


def _cpu(daemon: Daemon) -> float:
    """Seconds of processor time so far."""
    assert daemon.process is not None
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory(daemon: Daemon) -> tuple[float, float]:
    """Resident and private MiB."""
    assert daemon.process is not None
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{daemon.process.pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0])
    private = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return sizes["Rss"] / 1024, private / 1024


if __name__ == "__main__":
    run_alone(measure)
