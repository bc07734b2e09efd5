"""A home that was copied or put back begins a new log: nothing that others hold is signed twice."""

import json
import shutil
from collections.abc import Iterator

import pytest
from mesh_harness import Daemon, Mesh, eventually, running_mesh

pytestmark = pytest.mark.e2e


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with running_mesh(2) as mesh:
        yield mesh


def status(daemon: Daemon) -> dict[str, object]:
    read = json.loads(daemon.must("status", "--json"))
    assert isinstance(read, dict)
    return read


def test_copied_home_opens_a_new_epoch(mesh: Mesh) -> None:
    first, second = mesh
    second.do("SET", "before", "1")
    second.do("INCR", "count")
    epoch = status(second)["epoch"]
    second.stop()
    clone = Daemon(mesh.folder / "clone", "clone")
    shutil.copytree(second.home, clone.home, ignore=shutil.ignore_patterns("*.sock"))
    clone.start()
    assert status(clone)["epoch"] != epoch
    clone.do("SET", "clone", "wrote")
    clone.do("INCR", "count")
    mesh.reads("clone", b"wrote", [first])
    clone.stop()

    # The original goes on with its own log, and everything of both is kept.
    second.start()
    assert status(second)["epoch"] == epoch
    second.do("SET", "original", "wrote")
    second.do("INCR", "count")
    for key, value in (("clone", b"wrote"), ("original", b"wrote"), ("count", b"3")):
        mesh.reads(key, value)


def test_restored_database_never_signs_a_number_twice(mesh: Mesh) -> None:
    first, second = mesh
    second.do("SET", "saved", "1")
    epoch = status(second)["epoch"]
    second.stop()
    backup = mesh.folder / "backup.db"
    shutil.copy2(second.home / "state.db", backup)
    second.start()
    for number in range(20):
        second.do("SET", f"later:{number}", number)
    mesh.reads("later:19", b"19")
    second.stop()
    shutil.copy2(backup, second.home / "state.db")
    second.start()
    assert status(second)["epoch"] != epoch
    second.do("SET", "after", "the restore")
    mesh.reads("after", b"the restore")
    # What it had written before comes back from its peer.
    eventually(lambda: second.do("GET", "later:19") == b"19", "the lost writes return")
    assert first.do("DBSIZE") == second.do("DBSIZE")


def test_lost_database_is_fetched_again(mesh: Mesh) -> None:
    second = mesh[1]
    second.do("SET", "mine", "1")
    mesh.reads("mine", b"1")
    second.stop()
    for path in second.home.glob("state.db*"):
        path.unlink()
    second.start()
    eventually(lambda: second.do("GET", "mine") == b"1", "its own old write comes back")
    second.do("INCR", "again")
    mesh.reads("again", b"1")
