"""Small files that only their owner may read: checked before they are read, replaced in one step.

Knows nothing of what is in them.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gossipnet.errors import HomeError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
_OTHERS = 0o077


_REMEDIES = {
    errno.EACCES: "check the owner and mode of it and of the folders above",
    errno.EPERM: "check the owner and mode of it and of the folders above",
    errno.ENOSPC: "free some space on its disk",
    errno.EDQUOT: "free some space, this user's quota is used up",
    errno.EROFS: "choose a place on a disk that can be written",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path, a part of it is a file",
    errno.EISDIR: "check the path, this is a folder",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "check the links in the path, they lead in a circle",
    errno.EMFILE: "let this process open more files (ulimit -n)",
}


def explained(error: OSError) -> str:
    """What the system says, and what to do about it."""
    remedy = _REMEDIES.get(error.errno or 0, "check the disk, then try again")
    return f"{error.strerror or error}: {remedy}"


def present(path: Path) -> bool:
    """Whether there is anything at ``path``.

    Raises:
      HomeError: The folders above it are closed to us.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise HomeError(f"cannot look at {path}: {explained(error)}") from None
    return True


def check_folder(path: Path) -> None:
    """Check that a folder is there, ours, and closed to others.

    Raises:
      HomeError: With what to do about it. `FileNotFoundError` is left to the caller.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise HomeError(f"cannot look at {path}: {explained(error)}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise HomeError(f"{path} is a file, and a home is a folder: choose another with --home")
    _check_owner(path, found)
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        raise HomeError(
            f"others may look into {path} (mode {stat.S_IMODE(found.st_mode):04o}): it holds "
            f"secret keys, close it with `chmod 700 {path}`"
        )


def make_folder(path: Path) -> None:
    """Make a folder that only we can enter, or close an empty one that is ours.

    Raises:
      HomeError: It cannot be made, or is somebody else's, or open to others and in use.
    """
    try:
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        found = path.stat()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if ours and not any(path.iterdir()):
            path.chmod(FOLDER_MODE)
    except FileExistsError:
        pass  # `check_folder` says what is there instead
    except OSError as error:
        raise HomeError(f"cannot make {path}: {explained(error)}") from None
    try:
        check_folder(path)
    except FileNotFoundError:
        raise HomeError(f"{path} is a link to nowhere: choose another home with --home") from None


def read_private(path: Path, limit: int) -> bytes:
    """The whole of a file that only we may read.

    Args:
      path: A file, or a link to one.
      limit: Longer is refused.

    Raises:
      HomeError: It is open to others, somebody else's, no file, or too long.
      FileNotFoundError: It is not there; left to the caller, who knows what that means.
    """
    try:
        # Without O_NONBLOCK a pipe in its place would wait for ever.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise HomeError(f"cannot read {path}: {explained(error)}") from None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise HomeError(f"{path} is not a file: move it away")
        _check_owner(path, found)
        if stat.S_IMODE(found.st_mode) & _OTHERS:
            raise HomeError(
                f"others may read {path} (mode {stat.S_IMODE(found.st_mode):04o}): close it with "
                f"`chmod 600 {path}`, and consider whether anyone has read it"
            )
        with open(fd, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise HomeError(f"cannot read {path}: {explained(error)}") from None
    finally:
        os.close(fd)
    if len(data) > limit:
        raise HomeError(f"{path} is damaged: it is longer than {limit} bytes")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Put a file in place in one step, on disk when this returns, readable by nobody else.

    Raises:
      HomeError: The disk did not take it; what was there before still is.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.unlink(missing_ok=True)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            with open(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(fd)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise HomeError(f"cannot write {path}: {explained(error)}") from None


def remove(path: Path) -> None:
    """Remove a file if it is there, on disk when this returns.

    Raises:
      HomeError: It cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise HomeError(f"cannot remove {path}: {explained(error)}") from None


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes of this program from setting up the same folder meanwhile.

    Raises:
      HomeError: Another one is at it.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise HomeError(f"cannot open {folder}: {explained(error)}") from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeError(f"another gossipnet command is setting up {folder}") from None
        except OSError as error:
            raise HomeError(f"cannot lock {folder}: {explained(error)}") from None
        yield
    finally:
        os.close(fd)


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise HomeError(
            f"{path} belongs to user {found.st_uid}, and this is user {os.geteuid()}: run "
            "gossipnet as its owner, or choose another home with --home"
        )


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
