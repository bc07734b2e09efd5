"""What an idle node costs: memory, processor time, and bytes on the wire.

With root the daemons get a network namespace of their own, so that its loopback carries nothing
else; without it, whatever else uses this machine's loopback is counted too.
"""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from benchmarks import serf_peer
from benchmarks.daemons import mesh
from benchmarks.figures import Row, Skipped, run_alone
from benchmarks.quiet_network import quiet_network, sent

COUNT = 20
TICKS = os.sysconf("SC_CLK_TCK")

Process = "subprocess.Popen[bytes]"


@dataclass(frozen=True)
class Cost:
    """Of one node: MiB resident and of its own, percent of a processor, bytes per second."""

    resident: float
    private: float
    processor: float
    wire: float


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """Twenty daemons with nothing to do, and twenty agents of Serf."""
    if not sys.platform.startswith("linux"):
        yield Skipped("idle node", "reads /proc, which only Linux has")
        return
    with quiet_network() as prefix:
        with mesh(COUNT, prefix=prefix, ports_from=7300) as daemons:
            here = _cost([d.process for d in daemons if d.process is not None], prefix, quick)
        peer, there = "", None
        if serf_peer.installed():
            with serf_peer.agents(COUNT, prefix) as agents:
                there = _cost([a.process for a in agents if a.process is not None], prefix, quick)
            peer = serf_peer.version()
        else:
            yield Skipped("idle node beside Serf", serf_peer.LACKING)
    what = f"idle node in a mesh of {COUNT}"
    own = "" if prefix else "whole loopback: not measured alone"
    for name, unit, target, note in (
        ("resident", "MiB", "<= 45 MiB", ""),
        ("private", "MiB", "", "unshared pages"),
        ("processor", "%", "<= 0.5 %", ""),
        ("wire", "B/s", "<= 1,200 B/s", own or "with all headers and acknowledgements"),
    ):
        label = {"private": "of its own", "wire": "sent"}.get(name, name)
        beside = None if there is None else getattr(there, name)
        yield Row(f"{what}: {label}", getattr(here, name), unit, peer, beside, target, note)


def _cost(processes: list[Process], prefix: tuple[str, ...], quick: bool) -> Cost:
    seconds = 5.0 if quick else 30.0
    time.sleep(10.0 if quick else 60.0)  # surplus links are parted with in up to a minute
    cpu, wire = sum(map(_cpu, processes)), sent(prefix)
    time.sleep(seconds)
    cpu, wire = sum(map(_cpu, processes)) - cpu, sent(prefix) - wire
    memory = [_memory(process) for process in processes]
    return Cost(
        mean(resident for resident, _private in memory),
        mean(private for _resident, private in memory),
        100 * cpu / seconds / COUNT,
        wire / seconds / COUNT,
    )


def _cpu(process: Process) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _memory(process: Process) -> tuple[float, float]:
    """Resident and private MiB."""
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0])
    private = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return sizes["Rss"] / 1024, private / 1024


if __name__ == "__main__":
    run_alone(measure)
