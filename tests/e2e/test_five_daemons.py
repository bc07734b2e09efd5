"""Five daemons on one machine, each a process with its own home: the main job, end to end."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from mesh_harness import Mesh, eventually, running_mesh

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """One mesh for the tests of this file: each leaves five daemons alive behind."""
    with running_mesh(5) as mesh:
        yield mesh


def test_everyone_knows_everyone(mesh: Mesh) -> None:
    for daemon in mesh:
        rows = daemon.members()
        assert sorted(rows) == ["node0", "node1", "node2", "node3", "node4"]
        assert {row["state"] for row in rows.values()} == {"alive"}
        assert {name: row["address"] for name, row in rows.items()} == {
            other.name: other.address for other in mesh
        }


def test_written_anywhere_is_read_everywhere(mesh: Mesh) -> None:
    for daemon in mesh:
        assert daemon.do("SET", f"by:{daemon.name}", "binary \0 \xff value") in (b"OK", "OK", True)
    for daemon in mesh:
        mesh.reads(f"by:{daemon.name}", "binary \0 \xff value".encode())


def test_a_trace_tells_where_a_write_has_arrived_and_whom_it_did_not_hear(mesh: Mesh) -> None:
    mesh[1].do("SET", "traced", "1")
    mesh.reads("traced", b"1")
    document = json.loads(mesh[3].must("trace", "traced", "--json"))
    rows = {row["name"]: row for row in document["nodes"]}
    assert sorted(rows) == ["node0", "node1", "node2", "node3", "node4"]
    assert document["author"] == "node1"
    assert rows["node1"]["how"] == "written"
    assert all(row["state"] == "here" for row in rows.values())
    assert document["complete"]
    mesh[4].send(signal.SIGSTOP)
    try:
        done = mesh[3].cli("trace", "traced", "--timeout", "300ms")
    finally:
        mesh[4].send(signal.SIGCONT)
    assert done.returncode == 6
    assert "node4" in done.stderr
    mesh.everyone_alive()


def test_every_type_reaches_everyone(mesh: Mesh) -> None:
    first = mesh[0]
    first.do("HSET", "user:1", "name", "ada", "visits", 1)
    first.do("SADD", "crew", "ada", "bob")
    first.do("SET", "lease", "busy", "EX", 1000)
    first.do("SET", "gone", "soon")
    first.do("DEL", "gone")
    for daemon in mesh:
        with daemon.redis(decode_responses=True) as client:
            eventually(
                lambda client=client: (
                    (
                        client.hgetall("user:1"),
                        client.smembers("crew"),
                        client.get("lease"),
                        client.exists("gone"),
                    )
                    == ({"name": "ada", "visits": "1"}, {"ada", "bob"}, "busy", 0)
                ),
                f"{daemon.name} has every type",
            )
            assert 0 < client.ttl("lease") <= 1000


def test_everyone_counts_at_once_and_nothing_is_lost(mesh: Mesh) -> None:
    def count(number: int) -> None:
        with mesh[number].redis() as client:
            for _ in range(100):
                client.incr("visits")

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(count, range(5)))
    mesh.reads("visits", b"500")


def test_killed_daemon_comes_back_and_catches_up(mesh: Mesh) -> None:
    victim, others = mesh[3], [d for d in mesh if d is not mesh[3]]
    victim.do("SET", "before", "the kill")
    victim.kill()
    for daemon in others:
        eventually(
            lambda daemon=daemon: daemon.states()["node3"] == "dead",
            f"{daemon.name} calls node3 dead",
        )
    others[0].do("SET", "during", "its absence")
    others[1].do("INCRBY", "visits2", 5)
    victim.start()
    mesh.reads("before", b"the kill")
    mesh.reads("during", b"its absence")
    mesh.reads("visits2", b"5")
    mesh.everyone_alive()


def test_frozen_daemon_is_missed_and_returns(mesh: Mesh) -> None:
    frozen, watcher = mesh[4], mesh[0]
    frozen.send(signal.SIGSTOP)
    try:
        eventually(lambda: watcher.states()["node4"] == "dead", "a frozen daemon is called dead")
        watcher.do("SET", "thaw", "me")
    finally:
        frozen.send(signal.SIGCONT)
    mesh.reads("thaw", b"me")
    mesh.everyone_alive()


def test_stopped_is_away_and_not_dead(mesh: Mesh) -> None:
    assert mesh[2].stop() == 0
    for daemon in (mesh[0], mesh[4]):
        eventually(
            lambda daemon=daemon: daemon.states()["node2"] == "away",
            f"{daemon.name} shows node2 away",
        )
    mesh[2].start()
    mesh.everyone_alive()


def test_leaving_and_returning(mesh: Mesh) -> None:
    leaver, others = mesh[1], [d for d in mesh if d is not mesh[1]]
    before = others[0].members()["node1"]["incarnation"]
    leaver.must("leave")
    assert leaver.process is not None
    assert leaver.process.wait(timeout=20) == 0
    for daemon in others:
        eventually(
            lambda daemon=daemon: daemon.states()["node1"] == "left",
            f"{daemon.name} shows node1 left",
        )
    others[0].do("SET", "while", "node1 was gone")
    leaver.start()
    mesh.reads("while", b"node1 was gone")
    mesh.everyone_alive()
    assert others[0].members()["node1"]["incarnation"] > before


def test_changed_port_is_found_again(mesh: Mesh) -> None:
    from mesh_harness import free_port

    mover = mesh[2]
    assert mover.stop() == 0
    mover.port = free_port()
    mover.start()
    mesh.everyone_alive()
    for daemon in mesh:
        eventually(
            lambda daemon=daemon: daemon.members()["node2"]["address"] == mover.address,
            f"{daemon.name} knows the new address",
        )
    mover.do("SET", "moved", "yes")
    mesh.reads("moved", b"yes")


def test_all_stopped_and_started_at_once_find_each_other(mesh: Mesh) -> None:
    mesh[0].do("SET", "kept", "over the night")
    mesh.reads("kept", b"over the night")
    for daemon in mesh:
        daemon.send(signal.SIGTERM)
    for daemon in mesh:
        assert daemon.process is not None
        assert daemon.process.wait(timeout=20) == 0
    for daemon in mesh:
        daemon.start(ready=False)
    for daemon in mesh:
        daemon.wait_ready()
    mesh.everyone_alive()
    mesh.reads("kept", b"over the night")
    mesh[4].do("SET", "morning", "came")
    mesh.reads("morning", b"came")


def test_all_killed_and_started_at_once_find_each_other(mesh: Mesh) -> None:
    for daemon in mesh:
        daemon.kill()
    for daemon in mesh:
        daemon.start(ready=False)
    for daemon in mesh:
        daemon.wait_ready()
    mesh.everyone_alive()
    mesh.reads("kept", b"over the night")
