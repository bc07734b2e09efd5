"""The local socket under redis-benchmark, against a real Redis with the same settings.

Of several rounds the best counts, for both: whatever else the machine does only slows them down.
"""

from collections.abc import Iterator

from benchmarks import redis_peer
from benchmarks.daemons import mesh
from benchmarks.figures import Row, Skipped, run_alone

CLIENTS = 50
SHAPES = (
    # name, test, pipeline, requests, target
    ("GET, 50 clients", "get", 1, 100_000, ">= 0.35 x"),
    ("GET, 50 clients, pipelined x32", "get", 32, 800_000, ">= 0.2 x"),
    ("SET, 50 clients, every-second", "set", 1, 60_000, ">= 15,000 ops/s"),
    ("INCR, 50 clients, every-second", "incr", 1, 60_000, ""),
    ("SET, 50 clients, pipelined x32, every-second", "set", 32, 200_000, ""),
)


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """One daemon; `always` with one and with three."""
    if not redis_peer.installed():
        yield Skipped("socket commands", redis_peer.LACKING)
        return
    name, rounds = redis_peer.version(), 1 if quick else 5
    share = 10 if quick else 1
    with (
        mesh(1, "--durability", "every-second") as (daemon,),
        redis_peer.server("--appendonly", "no") as plain,
        redis_peer.server("--appendonly", "yes", "--appendfsync", "everysec") as logging,
    ):
        for title, command, pipeline, requests, target in SHAPES:
            peer = plain if command == "get" else logging
            ours, theirs = [], []
            for _ in range(rounds):  # in turn, so that both see the same weather
                shape = {"clients": CLIENTS, "pipeline": pipeline, "requests": requests // share}
                ours.append(redis_peer.benchmark(daemon.socket, command, **shape))
                theirs.append(redis_peer.benchmark(peer, command, **shape))
            yield Row(title, max(ours), "ops/s", name, max(theirs), target, "")
    for count in (1, 3):
        yield _always(count, name, rounds, 20_000 // share)


def _always(count: int, name: str, rounds: int, requests: int) -> Row:
    settings = ("--appendonly", "yes", "--appendfsync", "always")
    with mesh(count) as daemons, redis_peer.server(*settings) as peer:
        shape = {"clients": CLIENTS, "pipeline": 1, "requests": requests}
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(redis_peer.benchmark(daemons[0].socket, "set", **shape))
            theirs.append(redis_peer.benchmark(peer, "set", **shape))
    nodes = "1 node" if count == 1 else f"{count} nodes"
    return Row(
        f"SET, 50 clients, always, {nodes}",
        max(ours),
        "ops/s",
        name,
        max(theirs),
        ">= 5,000 ops/s" if count == 3 else "",
        "signed, fsynced before the reply; Redis unsigned, one node, appendfsync always",
    )


if __name__ == "__main__":
    run_alone(measure)
