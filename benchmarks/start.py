"""Starting: the daemon until it answers, and the command line until it has printed."""

import shutil
import subprocess
import time
from collections.abc import Iterator

from benchmarks import redis_peer
from benchmarks.daemons import Daemon, environment, folder, free_port, mesh, until
from benchmarks.figures import Row, Skipped, best_of, run_alone


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """Best of several separate processes, bytecode compiled before."""
    times = 3 if quick else 9
    with folder() as path:
        daemon = Daemon(path / "home", free_port())
        daemon.must("init", "bench", "--no-passphrase")
        yield Row(
            "daemon start to ready",
            best_of(times, lambda: _start(daemon)),
            "s",
            target="<= 0.5 s",
        )
    with mesh(1) as (daemon,):
        daemon.ask("SET", "key", "value")
        ours = best_of(times, lambda: _timed(daemon.words("call", "GET", "key")))
        theirs = None
        if shutil.which("redis-cli"):
            words = ["redis-cli", "-s", str(daemon.socket), "GET", "key"]
            theirs = best_of(times, lambda: _timed(words)) * 1000
        peer = f"redis-cli ({redis_peer.version()})" if theirs and redis_peer.installed() else ""
        yield Row("command line: call GET", ours * 1000, "ms", peer, theirs, "<= 80 ms")


def _start(daemon: Daemon) -> float:
    started = time.perf_counter()
    daemon.start()
    until(daemon.ready, "the daemon is ready")
    took = time.perf_counter() - started
    daemon.stop()
    return took


def _timed(words: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, env=environment())
    return time.perf_counter() - started


if __name__ == "__main__":
    run_alone(measure)
