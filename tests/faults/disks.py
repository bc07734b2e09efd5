"""Disks that fail: an ext4 of its own that loses power, and system calls that fail or dawdle.

All of it needs root. Power is cut by ext4's own shutdown call, which drops whatever was not synced
(EXT4_IOC_SHUTDOWN without a flush of the log, as xfstests does it); system calls are made to fail
by strace, which can be attached to a daemon that runs.
"""

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from mesh_harness import Daemon, eventually

from tests.needs import need

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NOLOGFLUSH = 2


class Disk:
    """A small ext4 in a file."""

    def __init__(self, folder: Path, megabytes: int = 64) -> None:
        self._image = folder / "disk.img"
        self.mount_point = folder / "disk"
        self.mount_point.mkdir()
        with self._image.open("wb") as file:
            file.truncate(megabytes << 20)
        self._must("mkfs.ext4", "-q", "-F", str(self._image))
        self._mount()

    @staticmethod
    def _must(*words: str) -> None:
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        need(done.returncode == 0, f"this machine does not let us mount: {done.stderr.strip()}")

    def _mount(self) -> None:
        self._must("mount", "-o", "loop", str(self._image), str(self.mount_point))

    def lose_power(self) -> None:
        """From now on every write fails, and what was not synced is gone."""
        handle = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(handle)

    def power_up(self) -> None:
        """Mount it again; nothing may be open on it."""
        subprocess.run(["umount", str(self.mount_point)], check=True)
        self._mount()

    def remove(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.mount_point)], check=False)


@contextlib.contextmanager
def ext4(folder: Path) -> Iterator[Disk]:
    """A disk for the length of the block."""
    tools = ("mount", "mkfs.ext4")
    need(os.geteuid() == 0 and all(map(shutil.which, tools)), "a disk of its own needs root")
    disk = Disk(folder)
    try:
        yield disk
    finally:
        disk.remove()


@contextlib.contextmanager
def tmpfs(folder: Path, megabytes: int) -> Iterator[Callable[[int], None]]:
    """A disk of that size; what it gives makes it larger."""
    need(os.geteuid() == 0 and shutil.which("mount") is not None, "a disk of its own needs root")
    folder.mkdir()

    def mount(size: int, *options: str) -> None:
        sized = ",".join((*options, f"size={size}m", "mode=0700"))
        Disk._must("mount", "-t", "tmpfs", "-o", sized, "tmpfs", str(folder))

    mount(megabytes)
    try:
        yield lambda size: mount(size, "remount")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextlib.contextmanager
def tampered(daemon: Daemon, calls: str, what: str) -> Iterator[None]:
    """Let system calls of a running daemon fail or dawdle.

    Args:
      daemon: Running.
      calls: As in ``fdatasync,fsync``.
      what: As in ``error=EIO`` or ``delay_enter=200000`` (microseconds).
    """
    need(shutil.which("strace") is not None, "strace is not installed")
    assert daemon.process is not None
    told = daemon.home.parent / f"{daemon.name}.strace"
    words = ["strace", "-f", "-p", str(daemon.process.pid), "-o", str(told)]
    tracer = subprocess.Popen(
        [*words, "-e", f"trace={calls}", "-e", f"inject={calls}:{what}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: _traced(daemon, tracer), "strace is attached")
        yield
    finally:
        tracer.terminate()
        tracer.wait()
        assert tracer.stderr is not None
        tracer.stderr.close()


def _traced(daemon: Daemon, tracer: "subprocess.Popen[str]") -> bool:
    if tracer.poll() is not None:
        assert tracer.stderr is not None
        need(False, f"strace cannot attach here: {tracer.stderr.read().strip()}")
    assert daemon.process is not None
    tasks = Path(f"/proc/{daemon.process.pid}/task")
    return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks.iterdir())
