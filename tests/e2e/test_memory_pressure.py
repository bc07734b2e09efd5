"""A node without memory: its clients add nothing more, and it follows the mesh all the same."""

import json

import pytest
import redis
from mesh_harness import Daemon, eventually, running_mesh

pytestmark = pytest.mark.e2e

VALUE = b"v" * 100_000


def fill(daemon: Daemon, name: str, count: int) -> int:
    """SET until it is refused; how many were taken."""
    for number in range(count):
        try:
            daemon.do("SET", f"{name}:{number}", VALUE)
        except redis.ResponseError as error:
            assert "command not allowed when used memory > 'maxmemory'" in str(error)  # noqa: PT017
            return number
    return count


def test_a_full_node_refuses_its_clients_and_takes_in_the_others_writes() -> None:
    with running_mesh(2) as mesh:
        free, bounded = mesh[0], mesh[1]
        bounded.stop()
        (bounded.home / "config.toml").write_text('limits.memory = "64MiB"\n')
        bounded.start()
        mesh.everyone_alive()
        taken = fill(bounded, "own", 1000)
        assert 0 < taken < 1000
        status = json.loads(bounded.must("status", "--json"))["pressure"]
        assert status["short_of"] == "memory"
        assert status["writes_refused_memory"] > 0
        assert bounded.do("STRLEN", "own:0") == len(VALUE)
        assert fill(free, "others", 20) == 20
        eventually(lambda: bounded.do("STRLEN", "others:19") == len(VALUE), "the others' writes")
        for number in range(taken):
            assert bounded.do("DEL", f"own:{number}") == 1
        eventually(lambda: fill(bounded, "again", 1) == 1, "writes after the deletion", 60)
