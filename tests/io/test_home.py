"""Locks, epochs and the local socket's file: what one home owes to its next daemon."""

import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gossipnet.errors import HomeError, StoreError
from gossipnet.io import host_marks
from gossipnet.io.local_socket import bind_local_socket, remove_local_socket
from gossipnet.io.lock import lock_home
from gossipnet.io.recovery import (
    EPOCH_KEY,
    MARKER_KEY,
    Marker,
    open_home_database,
    why_new_epoch,
)
from gossipnet.protocol.effects import Commit


class Entropy:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(size, "big")


ENTROPY = Entropy()


def use(home: Path, durability: str = "always", *, clean: bool = True) -> tuple[int, str]:
    """One daemon's life on a home: the epoch it wrote, and why that was new."""
    with lock_home(home) as lock:
        recovered = open_home_database(home, lock, durability, ENTROPY)
        if clean:
            final = ((MARKER_KEY, recovered.marker.stopped().encode()),)
            recovered.database.write([Commit(1, (), final, urgent=True)])
        recovered.database.close()
        assert recovered.meta[EPOCH_KEY] == recovered.epoch.to_bytes(4, "big")
        return recovered.epoch, recovered.new_epoch


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return folder


def test_a_second_daemon_is_told_who_the_first_is(home: Path) -> None:
    with lock_home(home):
        code = (
            "from pathlib import Path; import sys\n"
            "from gossipnet.io.lock import lock_home\n"
            "from gossipnet.errors import HomeError\n"
            "try:\n"
            "    lock_home(Path(sys.argv[1])).__enter__()\n"
            "except HomeError as error:\n"
            "    print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(home)], capture_output=True, text=True, check=True
        )
    assert f"a gossipnet daemon (process {os.getpid()}) already runs on {home}" in done.stdout


def test_the_head_of_the_own_log_is_kept(home: Path) -> None:
    with lock_home(home) as lock:
        lock.write(3)
        lock.note(b"log one", 7)
        lock.note(b"log one", 8)
    with lock_home(home) as lock:
        assert lock.opens == 3
        assert lock.lacks(b"log one", 7)
        assert not lock.lacks(b"log one", 8)
        assert not lock.lacks(b"log two", 1)
        lock.note(b"log two", 1)
        assert not lock.lacks(b"log one", 7)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"log": 5, "seq": "x"}', '{"seq": -1}'])
def test_a_damaged_lock_file_only_loses_its_hints(home: Path, text: str) -> None:
    (home / "daemon.lock").write_text(text)
    with lock_home(home) as lock:
        assert lock.opens == 0
        assert not lock.lacks(b"log", 0)


def test_the_lock_is_free_again_afterwards(home: Path) -> None:
    with lock_home(home):
        pass
    with lock_home(home):
        pass


def test_an_error_in_the_block_stays_what_it_is(home: Path) -> None:
    with pytest.raises(OSError, match="somebody else's"), lock_home(home):
        raise OSError("somebody else's")


def test_no_home_says_how_to_make_one(tmp_path: Path) -> None:
    with (
        pytest.raises(HomeError, match="found a mesh with `gossipnet init`"),
        lock_home(tmp_path / "no"),
    ):
        pass


def test_the_epoch_goes_on_after_a_clean_stop(home: Path) -> None:
    epoch, why = use(home)
    assert why == "first"
    assert use(home) == (epoch, "")


def test_kill_9_under_always_keeps_the_epoch(home: Path) -> None:
    epoch, _ = use(home, clean=False)
    assert use(home) == (epoch, "")


def test_kill_9_in_the_same_boot_keeps_the_epoch_under_every_second(home: Path) -> None:
    epoch, _ = use(home, "every-second", clean=False)
    assert use(home) == (epoch, "")


def test_an_unclean_stop_and_another_boot_begin_a_new_epoch_under_every_second(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch, _ = use(home, "every-second", clean=False)
    monkeypatch.setattr(host_marks, "boot_id", lambda: "another boot")
    later, why = use(home, "every-second")
    assert why == "power-loss"
    assert later != epoch


def test_a_copied_home_begins_a_new_epoch_and_the_original_goes_on(home: Path) -> None:
    epoch, _ = use(home)
    copy = home.with_name("copy")
    shutil.copytree(home, copy)
    other, why = use(copy)
    assert why == "moved"
    assert other != epoch
    assert use(home) == (epoch, "")


def test_a_copy_put_in_the_place_of_the_original_begins_a_new_epoch(home: Path) -> None:
    epoch, _ = use(home)
    backup = home.with_name("backup")
    shutil.copytree(home, backup)
    home.rename(home.with_name("gone"))
    shutil.copytree(backup, home)
    other, why = use(home)
    assert why == "copied"
    assert other != epoch


def test_an_older_database_put_back_begins_a_new_epoch(home: Path) -> None:
    use(home)
    old = (home / "state.db").read_bytes()
    epoch, _ = use(home)
    (home / "state.db").write_bytes(old)  # the same inode: only the count of openings tells
    other, why = use(home)
    assert why == "restored"
    assert other != epoch


def test_another_machine_begins_a_new_epoch(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_marks, "machine_id", lambda: "one")
    use(home)
    monkeypatch.setattr(host_marks, "machine_id", lambda: "two")
    assert use(home)[1] == "other-machine"


def test_a_device_number_may_change_over_a_reboot() -> None:
    before = Marker("/p", 1, 2, "m", "boot 1", "always", 1, clean=True)
    assert (
        why_new_epoch(before, Marker("/p", 9, 2, "m", "boot 2", "always", 2, clean=False), 1) == ""
    )
    assert why_new_epoch(before, Marker("/p", 9, 2, "m", "boot 1", "always", 2, clean=False), 1)


def test_a_removed_database_is_a_first_one(home: Path) -> None:
    epoch, _ = use(home)
    (home / "state.db").unlink()
    other, why = use(home)
    assert why == "first"
    assert other != epoch


def test_a_damaged_marker_is_damage(home: Path) -> None:
    use(home)
    with lock_home(home) as lock:
        recovered = open_home_database(home, lock, "always", ENTROPY)
        recovered.database.write([Commit(1, (), ((MARKER_KEY, b"\xc1"),), urgent=True)])
        recovered.database.close()
    with pytest.raises(StoreError, match="its marker cannot be read"):
        use(home)


# ---------------------------------------------------------------- the local socket's file


@pytest.fixture
def place(home: Path) -> Path:
    return Path(os.path.relpath(home / "gossipnet.sock"))  # pytest's folders are long


def test_the_socket_is_for_its_owner_whatever_the_umask(place: Path) -> None:
    before = os.umask(0)
    try:
        bound = bind_local_socket(place)
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    remove_local_socket(place, bound)
    assert not place.exists()


def test_what_a_killed_daemon_left_behind_is_replaced(place: Path) -> None:
    bind_local_socket(place).close()
    assert place.exists()
    bound = bind_local_socket(place)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place))
    remove_local_socket(place, bound)


def test_a_socket_that_answers_is_left_alone(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place))
        other.listen()
        with pytest.raises(HomeError, match="another daemon already answers"):
            bind_local_socket(place)
    assert place.exists()


def test_a_file_in_the_way_is_left_alone(place: Path) -> None:
    place.write_text("precious")
    with pytest.raises(HomeError, match="is in the way of the local socket"):
        bind_local_socket(place)
    assert place.read_text() == "precious"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="cannot make the local socket"):
        bind_local_socket(tmp_path / "no" / "s")


def test_a_successors_socket_is_not_removed(place: Path) -> None:
    bound = bind_local_socket(place)
    place.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(place))
        other.listen()
        remove_local_socket(place, bound)
        assert place.exists()
