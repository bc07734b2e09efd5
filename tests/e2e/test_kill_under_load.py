"""kill -9 in the middle of a load: no write that was acknowledged is ever missing."""

import contextlib
import json
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from mesh_harness import Daemon, eventually, running_mesh

pytestmark = pytest.mark.e2e

SOAK = os.environ.get("GOSSIPNET_SOAK") == "1"
ROUNDS = 500 if SOAK else 12
WRITERS = 4


def write_until_it_dies(
    daemon: Daemon, label: str, acknowledged: list[str], enough: threading.Event, count: int
) -> int:
    """Add members and count up until the daemon is gone; the increments that were acknowledged."""
    counted = 0
    with contextlib.closing(daemon.redis()) as client, contextlib.suppress(redis.RedisError):
        for number in range(1_000_000):
            member = f"{label}:{number}"
            client.sadd("acknowledged", member)
            acknowledged.append(member)
            client.incr("total")
            counted += 1
            if len(acknowledged) >= count:
                enough.set()
    return counted


@pytest.mark.timeout(7200 if SOAK else 120)
def test_no_acknowledged_write_is_lost() -> None:
    """The victim is killed at random instants of its load; each start is clean and complete."""
    rng = random.Random(9)
    with running_mesh(2) as mesh:
        victim, witness = mesh
        acknowledged: list[str] = []
        counted = 0
        for turn in range(ROUNDS):
            enough = threading.Event()
            with ThreadPoolExecutor(WRITERS) as pool:
                count = len(acknowledged) + rng.randrange(1, 60)
                jobs = [
                    pool.submit(
                        *(write_until_it_dies, victim, f"{turn}:{writer}"),
                        *(acknowledged, enough, count),
                    )
                    for writer in range(WRITERS)
                ]
                assert enough.wait(30)
                threading.Event().wait(rng.uniform(0, 0.02))  # at any instant of a commit
                victim.kill()
                counted += sum(job.result() for job in jobs)
            victim.start()
            kept = {member.decode() for member in victim.do("SMEMBERS", "acknowledged")}
            lost = set(acknowledged) - kept
            assert not lost, f"round {turn}: {len(lost)} of {len(acknowledged)} are gone"
            total = int(victim.do("GET", "total"))
            # A write whose reply never came may have been kept or not: one a writer and round.
            assert counted <= total <= counted + WRITERS * (turn + 1)
        verified = json.loads(victim.must("verify", "--json"))
        assert verified["whole"], verified
        print(f"{ROUNDS} kills, {len(acknowledged)} acknowledged writes, none lost")
        for daemon in mesh:
            eventually(
                lambda daemon=daemon: (
                    set(acknowledged)
                    <= {member.decode() for member in daemon.do("SMEMBERS", "acknowledged")}
                ),
                f"{daemon.name} has every acknowledged write",
            )
        eventually(lambda: witness.do("GET", "total") == victim.do("GET", "total"), "equal totals")
