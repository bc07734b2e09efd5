"""Real daemons whose keys are overwritten for a long time: disks stay small, kills lose nothing."""

import json
import os
import random
import time

import pytest

from tests.e2e.mesh_harness import Daemon, Mesh, eventually, running_mesh

KEYS = 400
FULL = bool(os.environ.get("GOSSIPNET_SOAK"))
WRITES = 1_000_000 if FULL else 45_000
"""Overwrites of each round; the records of a round are far larger than what is left of them."""


def disk(daemon: Daemon) -> int:
    return (daemon.home / "state.db").stat().st_size


def status(daemon: Daemon) -> dict[str, object]:
    return json.loads(daemon.must("status", "--json"))["clearing"]  # type: ignore[no-any-return]


def overwrite(daemon: Daemon, rng: random.Random, writes: int) -> dict[bytes, bytes]:
    """Write random keys again and again; the last value of each."""
    last: dict[bytes, bytes] = {}
    client = daemon.redis()
    for _batch in range(writes // 1000):
        pipe = client.pipeline(transaction=False)
        for _each in range(1000):
            key = b"key%d" % rng.randrange(KEYS)
            value = b"%d " % rng.randrange(1 << 30) + b"v" * 80
            pipe.set(key, value)
            last[key] = value
        pipe.execute()
    client.close()
    return last


def holds(daemon: Daemon, last: dict[bytes, bytes]) -> bool:
    keys = sorted(last)
    return daemon.do("MGET", *keys) == [last[key] for key in keys]


def cleared(daemon: Daemon) -> bool:
    seen = status(daemon)
    return bool(seen["image_keys"]) and int(str(seen["tail_bytes"])) < (4 << 20)


@pytest.mark.timeout(1200 if FULL else 120)
def test_a_disk_stays_small_and_a_newcomer_gets_what_is_left() -> None:
    rng = random.Random(1)
    with running_mesh(2) as mesh:
        last = overwrite(mesh[0], rng, WRITES)
        last |= overwrite(mesh[1], rng, 2000)
        eventually(lambda: cleared(mesh[0]) and cleared(mesh[1]), "records are cleared", 90)
        eventually(lambda: holds(mesh[0], last) and holds(mesh[1], last), "nothing is lost")
        third = mesh.add()
        eventually(lambda: holds(third, last), "the newcomer holds all of it")
        assert int(status(third)["image_keys"]) > 0  # type: ignore[call-overload]
        for daemon in mesh:
            assert disk(daemon) < (12 << 20), daemon.name
        mesh[0].stop()
        assert mesh[0].cli("verify").returncode == 0
        mesh[0].start()
        assert holds(mesh[0], last)


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not FULL, reason="takes minutes: set GOSSIPNET_SOAK=1")
def test_kills_in_the_midst_of_clearing_lose_nothing() -> None:
    rng = random.Random(2)
    with running_mesh(2) as mesh:
        for _kill in range(12):
            last = overwrite(mesh[0], rng, 30_000)
            time.sleep(rng.random() * 8)  # into whatever clearing is at
            victim: Daemon = mesh[rng.randrange(2)]
            victim.kill()
            victim.start()
            for daemon in mesh:
                eventually(lambda daemon=daemon, last=last: holds(daemon, last), "all is there")
        _both_clear(mesh)


def _both_clear(mesh: Mesh) -> None:
    eventually(lambda: all(cleared(daemon) for daemon in mesh), "records are cleared", 120)
