"""How long a write takes until every node of a mesh shows it: real daemons on loopback.

Each daemon has one connection that watches; the time runs from the moment the command is sent to
one daemon until the last of the others has reported the change. So it contains the signature, the
fsync, the links, and the watch's own push.
"""

import random
import selectors
import socket
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.daemons import Daemon, mesh, until
from benchmarks.figures import Row, Skipped, percentile, run_alone

SIZES = (3, 20)
BURST = 1000


class Watchers:
    """One watching connection for each daemon."""

    def __init__(self, daemons: list[Daemon]) -> None:
        self._selector = selectors.DefaultSelector()
        self._clients: list[socket.socket] = []
        self._tails: dict[int, bytes] = {}
        for number, daemon in enumerate(daemons):
            client = daemon.connect()
            client.sendall(b"HELLO 3\r\nGOSSIP WATCH bench:*\r\n")
            client.recv(65536)
            client.setblocking(False)
            self._selector.register(client, selectors.EVENT_READ, number)
            self._clients.append(client)
            self._tails[number] = b""

    def settle(self, seconds: float) -> None:
        """Read away whatever still comes."""
        while ready := self._selector.select(seconds):
            for key, _ in ready:
                key.fileobj.recv(1 << 16)  # type: ignore[union-attr]

    def wait_for(self, text: bytes, deadline: float) -> float:
        """When the last watcher has seen ``text``; monotonic seconds."""
        left = set(self._tails)
        while left:
            ready = self._selector.select(max(0.0, deadline - time.perf_counter()))
            if not ready:
                raise OSError(f"{len(left)} of {len(self._tails)} never saw {text!r}")
            for key, _ in ready:
                number = key.data
                data = self._tails[number] + key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                if text in data:
                    left.discard(number)
                self._tails[number] = data[-64:]
        return time.perf_counter()

    def close(self) -> None:
        self._selector.close()
        for client in self._clients:
            client.close()


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """Single writes, then a burst, for each size."""
    for count in SIZES:
        with mesh(count) as daemons:
            yield from _single(daemons, 30 if quick else 300)
            yield from _burst(daemons)


def _single(daemons: list[Daemon], samples: int) -> Iterator[Row]:
    watchers = Watchers(daemons)
    watchers.settle(0.5)
    writers = [daemon.connect() for daemon in daemons]
    rng = random.Random(1)
    acknowledged, visible = [], []
    try:
        for number in range(samples):
            writer = rng.choice(writers)
            key = b"bench:%06d" % number
            started = time.perf_counter()
            writer.sendall(b"*3\r\n$3\r\nSET\r\n$12\r\n%s\r\n$1\r\n1\r\n" % key)
            done = watchers.wait_for(key, started + 10)
            writer.recv(64)
            acknowledged.append(time.perf_counter() - started)
            visible.append(done - started)
    finally:
        watchers.close()
        for writer in writers:
            writer.close()
    count = len(daemons)
    twenty = count == 20
    yield Row(
        f"write visible on all of {count}, median",
        median(visible) * 1000,
        "ms",
        target="<= 20 ms" if twenty else "",
        note=f"{samples} writes, one at a time, from a random node, durability always",
    )
    yield Row(
        f"write visible on all of {count}, p99",
        percentile(visible, 0.99) * 1000,
        "ms",
        target="<= 80 ms" if twenty else "",
    )


def _burst(daemons: list[Daemon]) -> Iterator[Row]:
    """A thousand writes at once to one node; lost are those that never arrive."""
    burst = b"".join(
        b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\n1\r\n" % (len(key), key)
        for key in (b"burst:%d" % number for number in range(BURST))
    )
    before = keys_of(daemons[0])
    started = time.perf_counter()
    with daemons[0].connect() as client:
        client.sendall(burst)
        until(
            lambda: all(keys_of(daemon) >= before + BURST for daemon in daemons),
            "the burst arrived",
        )
        took = time.perf_counter() - started
    lost = sum(before + BURST - keys_of(daemon) for daemon in daemons)
    count = len(daemons)
    yield Row(
        f"burst of 1,000 writes on all of {count}",
        BURST / took,
        "ops/s",
        target=">= 1,000 ops/s, none lost" if count == 20 else "",
        note=f"{lost} lost; all there after {took * 1000:.0f} ms",
    )


def keys_of(daemon: Daemon) -> int:
    """How many keys a daemon has."""
    return int(daemon.ask("DBSIZE")[1:].split(b"\r\n")[0])


if __name__ == "__main__":
    run_alone(measure)
