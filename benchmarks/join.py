"""How long until a newcomer stands in the tables of all of 20, beside Serf.

The machine has joined before (it has its certificate); measured is the start of its daemon: from
the moment the process is started, which for Python is most of it, and from the moment it answers.
"""

import threading
import time
from collections.abc import Iterator
from statistics import median

from benchmarks import serf_peer
from benchmarks.daemons import Daemon, mesh, until
from benchmarks.figures import Row, Skipped, run_alone
from benchmarks.log_watch import LogWatch
from benchmarks.quiet_network import quiet_network

COUNT = 20


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """Newcomers, one after the other."""
    rounds = 2 if quick else 5
    with quiet_network() as prefix:
        with mesh(COUNT, prefix=prefix, ports_from=7300) as daemons:
            time.sleep(3)  # everybody has got its neighbours: this is a measurement, no test
            ours = [_ours(daemons, 7300 + COUNT + number, prefix) for number in range(rounds)]
        theirs: list[float] = []
        if serf_peer.installed():
            with serf_peer.agents(COUNT, prefix) as agents:
                time.sleep(3)
                theirs = [_theirs(agents, prefix) for _ in range(rounds)]
        else:
            yield Skipped("beside Serf", serf_peer.LACKING)
    yield Row(
        f"newcomer in the tables of all of {COUNT}, from its start",
        median(whole for whole, _ready in ours),
        "s",
        serf_peer.version() if theirs else "",
        median(theirs) if theirs else None,
        note=f"{rounds} rounds",
    )
    yield Row(
        f"newcomer in the tables of all of {COUNT}, from when it answers",
        median(max(0.0, whole - ready) for whole, ready in ours),
        "s",
        target="<= 0.5 s",
        note="0: it was known before its local socket answered",
    )


def _ours(daemons: list[Daemon], port: int, prefix: tuple[str, ...]) -> tuple[float, float]:
    """Seconds from the start of the process until all know it, and until it answers."""
    folder = daemons[0].home.parent
    newcomer = Daemon(folder / f"n{len(daemons)}", port, prefix)
    token = daemons[0].must("invite").strip()
    newcomer.must("join", token, "--name", newcomer.home.name, daemons[0].address)
    watch = LogWatch([folder / f"{daemon.home.name}.log" for daemon in daemons])
    ready: list[float] = []

    def wait() -> None:
        until(newcomer.ready, "the newcomer is ready")
        ready.append(time.perf_counter())

    began = time.perf_counter()
    newcomer.start()
    waiting = threading.Thread(target=wait)
    waiting.start()
    daemons.append(newcomer)
    ended = watch.everywhere(f" {newcomer.home.name} is in the mesh".encode(), 30)
    waiting.join()
    time.sleep(1)
    return ended - began, ready[0] - began


def _theirs(agents: list[serf_peer.Agent], prefix: tuple[str, ...]) -> float:
    newcomer = serf_peer.Agent(agents[0].log.parent, len(agents), prefix)
    watch = LogWatch([agent.log for agent in agents])
    began = time.perf_counter()
    newcomer.start()
    agents.append(newcomer)
    ended = watch.everywhere(f"EventMemberJoin: {newcomer.name} ".encode(), 30)
    time.sleep(1)
    return ended - began


if __name__ == "__main__":
    run_alone(measure)
