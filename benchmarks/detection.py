"""How long until all of 20 know that one is gone, and how many are called gone who are not.

Serf runs beside it with the settings it comes with (its LAN profile), in the same namespace, one
after the other. Both are read in the same way: by the line that each process writes to its log when
it declares a member failed, which we call dead.
"""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks import serf_peer
from benchmarks.daemons import mesh
from benchmarks.figures import Row, Skipped, run_alone
from benchmarks.log_watch import LogWatch
from benchmarks.quiet_network import lose, quiet_network

COUNT = 20
LOSS = 25

Processes = list[tuple[str, "subprocess.Popen[bytes]", Path]]
Words = tuple[bytes, bytes]
"""What stands before and after the name in the line by which a log tells that a member is dead."""
OURS, SERFS = (b"", b" is dead"), (b"EventMemberFailed: ", b" ")


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """Kill, freeze, and lose packets."""
    rounds = 2 if quick else 5
    lossy = 20.0 if quick else 120.0
    with quiet_network() as prefix:
        with mesh(COUNT, prefix=prefix, ports_from=7300) as daemons:
            time.sleep(3)  # everybody has got its neighbours: this is a measurement, no test
            ours: Processes = [
                (d.home.name, d.process, d.home.parent / f"{d.home.name}.log")
                for d in daemons
                if d.process is not None
            ]
            here = _all(ours, OURS, rounds, prefix, lossy)
        theirs: dict[str, list[float]] = {}
        if serf_peer.installed():
            with serf_peer.agents(COUNT, prefix) as agents:
                others: Processes = [(a.name, a.process, a.log) for a in agents if a.process]
                theirs = _all(others, SERFS, rounds, prefix, lossy)
        else:
            yield Skipped("beside Serf", serf_peer.LACKING)
    peer = serf_peer.version() if theirs else ""
    targets = {"kill -9": "<= 1.5 s", "SIGSTOP": "<= 3 s"}
    for fault, target in targets.items():
        yield Row(
            f"{fault}: dead for all of {COUNT}, median",
            median(here[fault]),
            "s",
            peer,
            median(theirs[fault]) if theirs else None,
            target,
            f"{len(here[fault])} rounds, slowest {max(here[fault]):.2f} s",
        )
    if "false" in here:
        yield Row(
            f"declared dead in {lossy:g} s of {LOSS} % loss",
            here["false"][0],
            "times",
            peer,
            theirs["false"][0] if theirs else None,
            "0",
            f"of {COUNT} who are all alive, counted in all their logs",
        )
    else:
        yield Skipped(f"{LOSS} % loss", "needs root and nftables")


def _all(
    processes: Processes, words: Words, rounds: int, prefix: tuple[str, ...], lossy: float
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    # Frozen first: whoever has seen losses is more patient for a while.
    found["SIGSTOP"] = [
        _gone(processes, number + 1, words, signal.SIGSTOP) for number in range(rounds)
    ]
    if prefix and shutil.which("nft"):
        with _loss(prefix):
            watch = LogWatch([log for _name, _process, log in processes])
            time.sleep(lossy)
            found["false"] = [float(watch.count(words[0] or words[1]))]
        time.sleep(5)  # those who were called dead are back
    found["kill -9"] = []
    for _ in range(rounds):
        found["kill -9"].append(_gone(processes, len(processes) - 1, words, signal.SIGKILL))
        processes.pop()[1].wait()
    return found


def _gone(processes: Processes, number: int, words: Words, how: int) -> float:
    """Seconds until everybody else has noticed; a frozen one is back afterwards."""
    name, process, log = processes[number]
    watch = LogWatch([other for _name, _process, other in processes if other != log])
    began = time.perf_counter()
    process.send_signal(how)
    try:
        took = watch.everywhere(name.encode().join(words), 60) - began
    finally:
        if how == signal.SIGSTOP:
            process.send_signal(signal.SIGCONT)
    if how == signal.SIGSTOP:
        time.sleep(8)
    return took


@contextlib.contextmanager
def _loss(prefix: tuple[str, ...]) -> Iterator[None]:
    lose(prefix, LOSS)
    try:
        yield
    finally:
        subprocess.run([*prefix, "nft", "delete", "table", "inet", "loss"], check=True)


if __name__ == "__main__":
    run_alone(measure)
