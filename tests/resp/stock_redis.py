"""A real Redis for a module's tests, on a socket of its own."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:  # the file is there before anybody listens
        return probe.connect_ex(path) == 0


@contextmanager
def running_redis() -> Iterator[str]:
    """The path of its socket."""
    with tempfile.TemporaryDirectory(prefix="gn-", dir="/tmp") as folder:
        path = str(Path(folder) / "redis.sock")
        process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            end = time.monotonic() + 10
            while not _answers(path) and time.monotonic() < end:
                time.sleep(0.01)
            yield path
        finally:
            process.terminate()
            process.wait()
