"""A disk that is full: nothing is acknowledged that is not stored, nothing stored is lost."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from conftest import need
from mesh_harness import eventually, running_mesh

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


def test_full_disk_stops_writes_and_nothing_else() -> None:
    with running_mesh() as mesh, small_disk(mesh.folder / "disk", "8m"):
        daemon = mesh.new()
        daemon.home = mesh.folder / "disk" / "home"
        daemon.must("init", "test", "--name", daemon.name, "--no-passphrase")
        daemon.start()
        daemon.do("SET", "before", "stored")
        ballast = mesh.folder / "disk" / "ballast"
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            while file.write(bytes(65536)):
                file.flush()

        acknowledged: list[str] = []
        refused: redis.RedisError | None = None
        with contextlib.closing(daemon.redis(socket_timeout=5)) as client:
            for number in range(2000):
                try:
                    client.set(f"full:{number}", "x" * 10_000)
                except redis.RedisError as error:
                    refused = error
                    break
                acknowledged.append(f"full:{number}")
        assert refused is not None, "nothing may be acknowledged that does not fit"
        assert daemon.do("GET", "before") == b"stored", "reads go on"
        assert daemon.process is not None
        assert daemon.process.poll() is None, daemon.tail()
        assert "full" in daemon.must("status").lower()

        ballast.unlink()

        def written() -> bool:
            with contextlib.closing(daemon.redis(socket_timeout=2)) as client:
                return bool(client.set("after", "freed"))

        eventually(written, "writing goes on without a restart")
        daemon.kill()
        daemon.start()
        assert daemon.do("GET", "before") == b"stored"
        assert daemon.do("GET", "after") == b"freed"
        missing = [key for key in acknowledged if not daemon.do("EXISTS", key)]
        assert not missing
        daemon.stop()
