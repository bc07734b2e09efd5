"""A real Redis on a Unix socket of its own, and redis-benchmark against any socket."""

import contextlib
import csv
import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.daemons import folder, until

LACKING = "redis-server and redis-benchmark are not installed (Debian: redis-server, redis-tools)"


def installed() -> bool:
    """Whether both are on the path."""
    return all(shutil.which(tool) for tool in ("redis-server", "redis-benchmark"))


def version() -> str:
    """As in ``Redis 7.0.15``."""
    told = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True)
    return "Redis " + told.stdout.partition("v=")[2].split()[0]


@contextlib.contextmanager
def server(*settings: str) -> Iterator[Path]:
    """A server without TCP and without persistence, unless ``settings`` say otherwise."""
    with folder() as path:
        socket = path / "redis.sock"
        words = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(path)]
        process = subprocess.Popen(
            [*words, "--save", "", *settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            until(socket.exists, "redis-server is ready")
            yield socket
        finally:
            process.terminate()
            process.wait()


def benchmark(socket: Path, command: str, *, clients: int, pipeline: int, requests: int) -> float:
    """Operations per second of one of redis-benchmark's own tests, 100,000 keys of 3 bytes."""
    told = subprocess.run(
        [
            *("redis-benchmark", "-s", str(socket), "--csv", "-t", command, "-r", "100000"),
            *("-c", str(clients), "-P", str(pipeline), "-n", str(requests)),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    if not rows:
        raise OSError(f"redis-benchmark gave no figures: {told.stderr.strip()}")
    return float(rows[0]["rps"])
