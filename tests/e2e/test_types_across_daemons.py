"""Sorted sets, lists and pops that wait, over daemons, with the client that people have."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from mesh_harness import Daemon, eventually, running_mesh

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh() -> Iterator[list[Daemon]]:
    with running_mesh(2) as running:
        running.everyone_alive(2)
        yield list(running)


@pytest.mark.parametrize("protocol", [2, 3])
def test_what_one_daemon_pushes_wakes_who_waits_at_another(
    mesh: list[Daemon], protocol: int
) -> None:
    key = f"jobs:{protocol}"
    taken: list[object] = []
    with (
        closing(mesh[0].redis(protocol=protocol)) as near,
        closing(mesh[1].redis(protocol=protocol)) as far,
    ):
        waiter = threading.Thread(target=lambda: taken.append(far.blpop([key], timeout=30)))
        waiter.start()
        eventually(lambda: far.info("clients")["blocked_clients"] == 1, "it waits")
        near.rpush(key, "job")
        waiter.join(30)
        assert taken in ([(key.encode(), b"job")], [[key.encode(), b"job"]])
        eventually(lambda: not near.exists(key), "the pop arrived")
        assert far.blpop([key], timeout=0.05) is None


def test_scores_and_lists_are_the_same_everywhere(mesh: list[Daemon]) -> None:
    with closing(mesh[0].redis()) as one, closing(mesh[1].redis()) as other:
        for number in range(50):
            one.zincrby("board", 1.5, "ada")
            other.zincrby("board", 2.25, "ada")
            one.zadd("board", {f"p{number}": number})
            other.rpush("log", f"far{number}")
            one.lpush("log", f"near{number}")
        eventually(
            lambda: one.zscore("board", "ada") == other.zscore("board", "ada") == 187.5, "sum"
        )
        eventually(lambda: one.llen("log") == other.llen("log") == 100, "all elements")
        assert one.lrange("log", 0, -1) == other.lrange("log", 0, -1)
        assert one.zrange("board", 0, -1, withscores=True) == other.zrange(
            "board", 0, -1, withscores=True
        )
        one.geoadd("map", [13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"])
        eventually(lambda: other.zcard("map") == 2, "places")
        assert other.geodist("map", "Palermo", "Catania", "km") == 166.2742
        assert other.geosearch(
            "map", longitude=15, latitude=37, radius=200, unit="km", sort="ASC"
        ) == [b"Catania", b"Palermo"]
        other.setbit("flags", 7, 1)
        eventually(lambda: one.getbit("flags", 7) == 1, "bits")
        assert one.sort("log", alpha=True, start=0, num=1) == [b"far0"]
