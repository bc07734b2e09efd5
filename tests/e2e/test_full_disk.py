"""A disk that is full: nothing is acknowledged that is not stored, nothing stored is lost."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from mesh_harness import eventually, running_mesh

from tests.needs import need

pytestmark = pytest.mark.e2e


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    need(os.geteuid() == 0 and shutil.which("mount") is not None, "mounting a disk needs root")
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    need(done.returncode == 0, f"this machine does not let us mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(ballast: Path) -> None:
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(65536)):
            pass
    assert ballast.exists()


def test_full_disk_stops_writes_and_nothing_else() -> None:
    """Writers are answered at once, those that had begun too; reads go on; room ends it."""
    with running_mesh() as mesh, small_disk(mesh.folder / "disk", "8m"):
        daemon = mesh.new()
        daemon.home = mesh.folder / "disk" / "home"
        daemon.must("init", "test", "--name", daemon.name, "--no-passphrase")
        daemon.start()
        daemon.do("SET", "before", "stored")
        ballast = mesh.folder / "disk" / "ballast"
        for turn in range(2):
            fill(ballast)
            acknowledged: list[str] = []
            refused: redis.RedisError | None = None
            with contextlib.closing(daemon.redis(socket_timeout=20)) as client:
                for number in range(2000):
                    try:
                        client.set(f"full:{turn}:{number}", "x" * 10_000)
                    except redis.RedisError as error:
                        refused = error
                        break
                    acknowledged.append(f"full:{turn}:{number}")
                # The one that met the full disk, on a connection that goes on.
                assert isinstance(refused, redis.ResponseError), "an answer, and no silence"
                assert str(refused).startswith("MISCONF"), refused
                assert "not on disk" in str(refused)
                assert client.get("before") == b"stored", "reads go on"
                with pytest.raises(redis.ResponseError, match=r"^MISCONF .*full"):
                    client.set("another", "1")
                assert client.get("another") is None
            assert daemon.process is not None
            assert daemon.process.poll() is None, daemon.tail()
            assert "full" in daemon.must("status").lower()

            ballast.unlink()

            def written() -> bool:
                with contextlib.closing(daemon.redis(socket_timeout=20)) as client:
                    return bool(client.set("after", "freed"))

            eventually(written, "writing goes on without a restart")
            daemon.kill()
            daemon.start()
            assert daemon.do("GET", "before") == b"stored"
            assert daemon.do("GET", "after") == b"freed"
            missing = [key for key in acknowledged if not daemon.do("EXISTS", key)]
            assert not missing
        daemon.stop()


def test_everybody_who_waits_for_a_full_disk_is_answered() -> None:
    """A pipeline and many writers at the moment at which it becomes full: as many replies as
    commands, in order, and a daemon that can be stopped."""
    with running_mesh() as mesh, small_disk(mesh.folder / "disk", "8m"):
        daemon = mesh.new()
        daemon.home = mesh.folder / "disk" / "home"
        daemon.must("init", "test", "--name", daemon.name, "--no-passphrase")
        daemon.start()
        daemon.do("SET", "before", "stored")
        fill(mesh.folder / "disk" / "ballast")

        def write(writer: int) -> list[object]:
            with contextlib.closing(daemon.redis(socket_timeout=20)) as client:
                replies: list[object] = []
                while not any(isinstance(reply, redis.ResponseError) for reply in replies):
                    pipe = client.pipeline(transaction=False)
                    pipe.set(f"p:{writer}", "x" * 20_000).get("before").hset("h", "f", writer)
                    pipe.hgetall("h").set("last", "1")
                    replies = pipe.execute(raise_on_error=False)
                    assert len(replies) == 5
                assert client.get("before") == b"stored"
                return replies

        with ThreadPoolExecutor(8) as pool:
            for replies in pool.map(write, range(8)):
                wrong = [reply for reply in replies if isinstance(reply, redis.ResponseError)]
                assert all(str(reply).startswith("MISCONF") for reply in wrong)
        assert daemon.stop() == 1, "it says that something was not written"
        assert "full" in daemon.tail()
