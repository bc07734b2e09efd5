"""Backups of a daemon that runs: consistent, complete, and put back without a fork."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mesh_harness import Daemon, eventually, running_mesh

pytestmark = pytest.mark.e2e


def document(daemon: Daemon, *words: str, code: int = 0) -> dict[str, Any]:
    done = daemon.cli(*words, "--json")
    assert done.returncode == code, done.stderr
    read = json.loads(done.stdout)
    assert isinstance(read, dict)
    return read


def test_a_backup_under_load_is_one_state_and_is_put_back_in_a_new_log() -> None:
    with running_mesh(2) as mesh:
        first, second = mesh
        enough = threading.Event()

        def write() -> None:
            number = 0
            while not enough.is_set():
                number += 1
                # Both or neither: a backup between them would show a state that never was.
                second.do("MSET", "left", number, "right", number)

        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(write)
            eventually(lambda: second.do("GET", "left") is not None, "it writes")
            folder = mesh.folder / "backup"
            made = document(second, "backup", str(folder))
            enough.set()
            job.result()
        assert made["keys"]
        assert {"state.db", "identity.cert", "identity.key"} <= made["files"].keys()
        assert "root.key" not in {path.name for path in folder.iterdir()}
        assert folder.stat().st_mode & 0o777 == 0o700
        checked = document(second, "verify", str(folder))
        assert checked["whole"]
        assert checked["records"] > 0
        assert document(second, "verify")["whole"], "and so is a home in use"

        second.do("SET", "later", "1")
        mesh.reads("later", b"1")
        epoch = document(second, "status")["epoch"]
        second.kill()
        shutil.rmtree(second.home)
        done = second.cli("restore", str(folder))
        assert done.returncode == 0, done.stderr
        second.start()
        assert document(second, "status")["epoch"] != epoch
        second.do("SET", "after", "1")
        mesh.reads("after", b"1")
        mesh.reads("later", b"1")
        assert second.do("GET", "left") == second.do("GET", "right")
        assert document(first, "status")["counters"].get("forks_seen", 0) == 0


def test_a_backup_alone_holds_what_was_acknowledged_before_it() -> None:
    with running_mesh(1) as mesh:
        (daemon,) = mesh
        for number in range(50):
            daemon.do("SET", f"key:{number}", number)
        folder = mesh.folder / "backup"
        daemon.must("backup", str(folder))
        daemon.do("SET", "later", "lost with the machine")
        daemon.kill()
        shutil.rmtree(daemon.home)
        daemon.must("restore", str(folder))
        daemon.start()
        assert daemon.do("DBSIZE") == 50
        assert daemon.do("SET", "goes", "on")


def test_state_without_keys_goes_into_the_home_of_a_new_member() -> None:
    with running_mesh(2) as mesh:
        first, second = mesh
        first.do("SET", "key", "value")
        mesh.reads("key", b"value")
        folder = mesh.folder / "backup"
        first.stop()
        made = document(first, "backup", str(folder), "--no-keys")
        assert not [name for name in made["files"] if name.endswith((".key", ".secret"))]
        nowhere = Daemon(mesh.folder / "nowhere", "nowhere")
        done = nowhere.cli("restore", str(folder))
        assert done.returncode == 1
        assert "holds no keys: let this machine join" in done.stderr
        done = second.cli("restore", str(folder))
        assert done.returncode == 1
        assert "already runs" in done.stderr
        second.stop()
        done = second.cli("restore", str(folder))
        assert done.returncode == 1
        assert "--replace puts it aside" in done.stderr
        second.must("restore", str(folder), "--replace")
        assert list(second.home.glob("state.db.replaced-*"))
        first.start()
        second.start()
        second.do("INCR", "count")
        mesh.reads("count", b"1")


def test_verify_says_what_is_damaged_and_a_damaged_backup_is_not_put_back() -> None:
    with running_mesh(1) as mesh:
        (daemon,) = mesh
        for number in range(30):
            daemon.do("SET", f"key:{number}", "x" * 100)
        folder = mesh.folder / "backup"
        daemon.must("backup", str(folder))
        done = daemon.cli("backup", str(folder))
        assert done.returncode == 1
        assert "is there already" in done.stderr
        flip(folder / "state.db", b"key:17")
        found = document(daemon, "verify", str(folder), code=1)
        assert not found["whole"]
        assert found["damaged"] == 1
        assert any("does not fit its sum" in line for line in found["findings"])
        assert any("state.db" in line for line in found["findings"])
        done = daemon.cli("restore", str(folder), "--replace")
        assert done.returncode == 1
        assert "the backup is damaged" in done.stderr
        daemon.stop()
        flip(daemon.home / "state.db", b"key:17")
        done = daemon.cli("verify")
        assert done.returncode == 1
        assert "DAMAGED: 1 of" in done.stderr
        assert "put a backup back" in done.stderr
        assert daemon.cli("verify", str(mesh.folder / "nothing")).returncode == 5
        assert not list(daemon.home.glob("state.db-*")), "looking leaves nothing behind"


def flip(path: Path, near: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(near)] ^= 1
    path.write_bytes(data)
