"""Fifty daemons that have joined before are started at once: until each sees all fifty alive."""

import time
from collections.abc import Iterator

from benchmarks.daemons import alive, mesh, until
from benchmarks.figures import Row, Skipped, run_alone

COUNT = 50


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """Once: forming the mesh in the first place takes a minute."""
    count = 20 if quick else COUNT
    with mesh(count) as daemons:
        for daemon in daemons:
            daemon.stop()
        began = time.perf_counter()
        for daemon in daemons:
            daemon.start()
        for daemon in daemons:
            until(daemon.ready, f"{daemon.home.name} is ready")
        ready = time.perf_counter() - began
        for daemon in daemons:
            until(lambda d=daemon: alive(d) == count, f"{daemon.home.name} sees everyone")
        took = time.perf_counter() - began
    yield Row(
        f"{count} daemons started at once: each sees all alive",
        took,
        "s",
        target="" if quick else "<= 20 s",
        note=f"all answered after {ready:.1f} s; killed before, they find each other from their "
        "address books",
    )


if __name__ == "__main__":
    run_alone(measure)
