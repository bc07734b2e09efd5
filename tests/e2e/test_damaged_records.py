"""A flipped bit costs nothing that others have: it is found, never passed on, and fetched again."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from mesh_harness import Daemon, eventually, running_mesh
from old_formats import write_1_from

pytestmark = pytest.mark.e2e


def status(daemon: Daemon) -> dict[str, Any]:
    read = json.loads(daemon.must("status", "--json"))
    assert isinstance(read, dict)
    return read


def flip_in_records(path: Path, *ordinals: int) -> None:
    raw = sqlite3.connect(path)
    for ordinal in ordinals:
        (stored,) = raw.execute("SELECT data FROM records WHERE ordinal=?", (ordinal,)).fetchone()
        flipped = stored[:150] + bytes([stored[150] ^ 16]) + stored[151:]
        raw.execute("UPDATE records SET data=? WHERE ordinal=?", (flipped, ordinal))
    raw.commit()
    raw.close()


def rows(path: Path) -> list[Any]:
    raw = sqlite3.connect(path)
    try:
        return raw.execute("SELECT * FROM records ORDER BY ordinal").fetchall()
    finally:
        raw.close()


def test_damaged_records_are_asked_for_again() -> None:
    """Own and foreign ones: the node opens a new log, and ends up with everything."""
    with running_mesh(2) as mesh:
        first, second = mesh
        for number in range(30):
            first.do("SET", f"first:{number}", number)
            second.do("SET", f"second:{number}", number)
            second.do("INCR", "count")
        for daemon in mesh:
            daemon_keys = eventually(lambda d=daemon: d.do("DBSIZE") == 61 and d.do("DBSIZE"), "61")
            assert daemon_keys == 61
        epoch = status(second)["epoch"]
        second.stop()
        (total,) = (
            sqlite3.connect(second.home / "state.db")
            .execute("SELECT count(*) FROM records")
            .fetchone()
        )
        flip_in_records(second.home / "state.db", total // 3, total // 2)
        second.start()
        eventually(lambda: second.do("DBSIZE") == 61, "it has everything again")
        mesh.reads("count", b"30")
        second.do("INCR", "count")
        mesh.reads("count", b"31")
        told = status(second)
        assert told["epoch"] != epoch
        assert told["disk_damage"]["damaged_records"] == 2
        assert told["disk_damage"]["awaited"] == 0
        assert "did not fit their sums" in second.tail()
        assert status(first)["counters"].get("forks_seen", 0) == 0
        # What was damaged is gone for good, and the next start has nothing to complain of.
        second.stop()
        second.start()
        assert status(second)["disk_damage"] == {}
        assert second.do("DBSIZE") == 61


def test_a_node_alone_refuses_a_damaged_database_and_leaves_it() -> None:
    with running_mesh(1) as mesh:
        (daemon,) = mesh
        for number in range(20):
            daemon.do("SET", f"key:{number}", number)
        daemon.stop()
        path = daemon.home / "state.db"
        flip_in_records(path, 5)
        before = rows(path)
        done = daemon.cli("run", "--listen", daemon.address)
        assert done.returncode == 1
        assert "knows no other member to ask: put a backup back" in done.stderr
        assert rows(path) == before


def test_a_broken_structure_is_put_aside_and_what_it_held_fetched() -> None:
    with running_mesh(2) as mesh:
        first, second = mesh
        for number in range(200):
            second.do("SET", f"key:{number}", "x" * 100)
        mesh.reads("key:199", b"x" * 100)
        second.stop()
        path = second.home / "state.db"
        raw = sqlite3.connect(path)
        (root,) = raw.execute(
            "SELECT rootpage FROM sqlite_master WHERE name LIKE 'sqlite_autoindex_records%'"
        ).fetchone()
        raw.close()
        with path.open("r+b") as file:
            file.seek((root - 1) * 4096 + 3)
            file.write(b"\xff\xff\xff")
        second.start()
        eventually(lambda: second.do("DBSIZE") == 200, "everything is there again")
        told = status(second)["disk_damage"]
        assert Path(told["kept_as"]).exists()
        second.do("SET", "after", "it")
        mesh.reads("after", b"it")
        assert status(first)["counters"].get("forks_seen", 0) == 0


def test_an_old_home_is_brought_up_and_goes_on_in_its_log() -> None:
    with running_mesh(2) as mesh:
        second = mesh[1]
        for _ in range(20):
            second.do("INCR", "count")
        second.stop()
        path = second.home / "state.db"
        old = second.home / "old.db"
        write_1_from(old, path)
        shutil.copyfile(old, path)  # into the same file, whose inode tells that it was not copied
        old.unlink()
        epoch = sqlite3.connect(path).execute("PRAGMA user_version").fetchone()
        assert epoch == (1,)
        before = sqlite3.connect(path).execute("SELECT value FROM meta WHERE key='epoch'")
        (number_before,) = before.fetchone()
        second.start()
        second.do("INCR", "count")
        mesh.reads("count", b"21")
        assert status(second)["epoch"] in (
            number_before.hex(),
            int.from_bytes(number_before, "big"),
        )
