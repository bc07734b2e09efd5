"""One daemon per home: an advisory lock on ``HOME/daemon.lock``.

The kernel drops the lock when the process ends, however it ends, so there is no stale lock to
clean up. The file is never removed: removing it while another process waits for it would let two
daemons in. It also keeps the number of times the home's database was opened and how far this node's
own log was committed, which is how a database that was put back from an older copy, or whose
write-ahead log was cut or removed, gives itself away (see `recovery`). Knows nothing of the
database itself.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gossipnet.errors import HomeError
from gossipnet.identity.files import explained

LOCK_FILE = "daemon.lock"
_MAX_BYTES = 4096
_LINE_BYTES = 128


class HomeLock:
    """The lock on one home, held while the object is open.

    Attributes:
      opens: How often the home's database was opened, as the file says; 0 when it does not say.
      head: (log in hex, number of its newest record) that was last noted as committed.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        found = _read(fd)
        log = found.get("log")
        self.opens = _count(found.get("opens"))
        self.head = (log if isinstance(log, str) else "", _count(found.get("seq")))

    def write(self, opens: int) -> None:
        """Note this process and that the database has now been opened ``opens`` times.

        The text is not fsynced: losing it in a power cut only loses a hint.

        Raises:
          HomeError: The disk did not take it.
        """
        self.opens = opens
        self._write()

    def note(self, log: bytes, seq: int) -> None:
        """Note that this node's own log is committed up to ``seq``; cheap, and not fsynced."""
        head = (log.hex(), seq)
        if head != self.head:
            self.head = head
            with suppress(HomeError):  # a hint: without it the next start has one check less
                self._write()

    def lacks(self, log: bytes, seq: int) -> bool:
        """Whether more of that log was once committed than ``seq``, what the database now has."""
        return self.head[0] == log.hex() and self.head[1] > seq

    def _write(self) -> None:
        known = {"pid": os.getpid(), "opens": self.opens, "log": self.head[0], "seq": self.head[1]}
        # Overwritten in place: a full disk has no room for a new file, and must not cost the count.
        text = json.dumps(known).ljust(_LINE_BYTES - 1) + "\n"
        try:
            os.pwrite(self._fd, text.encode(), 0)
            os.ftruncate(self._fd, len(text))
        except OSError as error:
            raise HomeError(f"cannot write {self._path}: {explained(error)}") from error


@contextmanager
def lock_home(home: Path) -> Iterator[HomeLock]:
    """Hold the lock of ``home`` for the length of the block.

    Raises:
      HomeError: The folder is missing or cannot be written, or a daemon already runs on it.
    """
    path = home / LOCK_FILE
    fd = _open(home, path)
    try:
        yield _locked(home, path, fd)
    finally:
        os.close(fd)


def _locked(home: Path, path: Path, fd: int) -> HomeLock:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _count(_read(fd).get("pid"))
        who = f" (process {holder})" if holder else ""
        raise HomeError(
            f"a gossipnet daemon{who} already runs on {home}: stop it, or give this one "
            "another folder with --home"
        ) from None
    except OSError as error:
        raise HomeError(f"cannot lock {path}: {explained(error)}") from error
    lock = HomeLock(path, fd)
    lock.write(lock.opens)
    return lock


def _open(home: Path, path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise HomeError(
            f"there is no home at {home}: found a mesh with `gossipnet init`, or enter one with "
            "`gossipnet join TOKEN`"
        ) from None
    except OSError as error:
        raise HomeError(f"cannot open {path}: {explained(error)}") from None


def _read(fd: int) -> dict[str, object]:
    try:
        read = json.loads(os.pread(fd, _MAX_BYTES, 0))
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0
