"""How fast all keys come to a machine that has none: it is given an image and no history.

Measured from the moment the newcomer's socket answers until it has every key, on loopback.
"""

import time
from collections.abc import Iterator

from benchmarks.daemons import Daemon, folder, free_port, mesh, until
from benchmarks.figures import Row, Skipped

BATCH = 500


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """One founder with keys, and newcomers one after the other."""
    keys, value = (20_000, b"v" * 256) if quick else (100_000, b"v" * 32)
    rates: list[float] = []
    with mesh(1) as (first,), folder() as path:
        _fill(first, keys, value)
        until(lambda: b"records-cleared" in first.ask("GOSSIP", "EVENTS"), "records are cleared")
        for number in range(2 if quick else 3):
            fresh = Daemon(path / f"f{number}", free_port())
            token = first.must("invite").strip()
            fresh.must("join", token, "--name", f"f{number}", first.address)
            fresh.start()
            try:
                until(fresh.ready, "the newcomer answers")
                began = time.monotonic()
                until(lambda fresh=fresh: _count(fresh) >= keys, "the newcomer has all keys")
                rates.append(keys / (time.monotonic() - began))
            finally:
                fresh.stop()
    yield Row(
        f"cold join, {keys} keys of {len(value)} bytes",
        sorted(rates)[len(rates) // 2],
        "keys/s",
        target=">= 50,000",
        note="from when the newcomer answers; waits are 10 ms long",
    )
    yield Skipped("beside iroh-docs", "no client of it is among what benchmarks install")


def _fill(daemon: Daemon, keys: int, value: bytes) -> None:
    with daemon.connect() as client:
        for start in range(0, keys, BATCH):
            for number in range(start, start + BATCH):
                key = b"key%09d" % number
                client.sendall(
                    b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"
                    % (len(key), key, len(value), value)
                )
            got = 0
            while got < 5 * BATCH:
                got += len(client.recv(65536))


def _count(daemon: Daemon) -> int:
    return int(daemon.ask("DBSIZE")[1:].split(b"\r\n")[0])
