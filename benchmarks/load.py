"""Many writes into a mesh of 20: a steady stream for a while, then ten thousand at once.

Lost are those that some node does not have when all has come to rest. The stream is sent by the
clock, in small pipelines to one daemon after the other, whether the mesh keeps up or not.
"""

import socket
import time
from collections.abc import Iterator

from benchmarks.daemons import Daemon, mesh, until
from benchmarks.figures import Row, Skipped, run_alone
from benchmarks.propagation import keys_of

COUNT = 20
RATE = 1100
"""Offered each second: a tenth more than what is asked for."""
TICK = 0.02
BURST = 10_000


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """The stream and the burst, in one mesh."""
    with mesh(COUNT) as daemons:
        yield _stream(daemons, 5.0 if quick else 30.0)
        yield _burst(daemons)


def _stream(daemons: list[Daemon], seconds: float) -> Row:
    before = keys_of(daemons[0])
    clients = [daemon.connect() for daemon in daemons]
    began = time.perf_counter()
    sent = turn = 0
    try:
        while sent < int(seconds * RATE):
            due = min(int((time.perf_counter() - began) * RATE), int(seconds * RATE))
            if due > sent:
                _write(clients[turn % COUNT], b"stream", sent, due)
                sent, turn = due, turn + 1
            time.sleep(TICK)
        took = time.perf_counter() - began
        missing = _settled(daemons, before + sent)
        lag = time.perf_counter() - began - took
    finally:
        for client in clients:
            client.close()
    return Row(
        f"steady writes to {COUNT} nodes",
        sent / took,
        "ops/s",
        target=">= 1,000 ops/s, none lost",
        note=f"{missing} lost of {sent}; all there {lag:.1f} s after the last",
    )


def _burst(daemons: list[Daemon]) -> Row:
    before = keys_of(daemons[0])
    began = time.perf_counter()
    with daemons[0].connect() as client:
        client.settimeout(60)
        _write(client, b"burst", 0, BURST)
        missing = _settled(daemons, before + BURST)
    took = time.perf_counter() - began
    return Row(
        f"burst of {BURST:,} writes on all of {COUNT}",
        BURST / took,
        "ops/s",
        target="none lost",
        note=f"{missing} lost; all there after {took:.1f} s",
    )


def _write(client: socket.socket, name: bytes, first: int, end: int) -> None:
    """Set these keys in one pipeline, and read its replies."""
    keys = [b"%s:%d" % (name, number) for number in range(first, end)]
    client.sendall(
        b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\n1\r\n" % (len(key), key) for key in keys)
    )
    left = len(b"+OK\r\n") * len(keys)
    while left > 0:
        left -= len(client.recv(min(left, 65536)))


def _settled(daemons: list[Daemon], keys: int) -> int:
    """Wait until all have that many keys; how many are missing if they never do."""

    def missing() -> int:
        return sum(max(0, keys - keys_of(daemon)) for daemon in daemons)

    try:
        until(lambda: missing() == 0, "all writes are everywhere")
    except OSError:
        return missing()
    return 0


if __name__ == "__main__":
    run_alone(measure)
