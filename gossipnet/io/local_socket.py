"""The local socket's file: made for its owner's eyes only, and taken away again.

Whoever binds holds the home's lock, so a file that nobody answers on is what a killed daemon left
behind. ``--socket`` may point anywhere, though, so whether somebody answers is asked anyway, and
nothing but a socket of this user is ever removed.
"""

import os
import socket
import stat
import struct
import sys
from contextlib import suppress
from pathlib import Path

from gossipnet.errors import HomeError

BACKLOG = 512


def bind_local_socket(path: Path) -> socket.socket:
    """A listening, non-blocking Unix socket at ``path`` with mode 0600.

    Raises:
      HomeError: The path is taken by something else, or cannot be used.
    """
    _clear(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        # The mode must be right from the first moment on, not from a chmod on.
        before = os.umask(0o177)
        try:
            made.bind(os.fspath(path))
        finally:
            os.umask(before)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise HomeError(
            f"cannot make the local socket {path}: {error.strerror}; check that its folder exists "
            "and is yours, or choose another place with --socket"
        ) from None
    except BaseException:
        made.close()
        raise
    return made


def remove_local_socket(path: Path, bound: socket.socket) -> None:
    """Remove the file that ``bound`` made, unless it is another one by now, and close it."""
    bound.close()
    with suppress(FileNotFoundError):
        if _is_own_socket(path) and not _answers(path):
            path.unlink()


def _clear(path: Path) -> None:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return
    except OSError:
        return  # binding will say what is wrong with the path
    if not _is_own_socket(path):
        raise HomeError(
            f"{path} is in the way of the local socket: move it away, or choose another place with "
            "--socket"
        )
    if _answers(path):
        raise HomeError(
            f"another daemon already answers on {path}: stop it, or choose another place with "
            "--socket"
        )
    path.unlink()


def _is_own_socket(path: Path) -> bool:
    found = os.lstat(path)
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:  # its queue of connections is full: it is there
            return True
        except OSError:
            return False
        return True


def user_of(connection: socket.socket) -> int | None:
    """The user id of the process at the other end, None where the system does not tell."""
    try:
        if hasattr(socket, "SO_PEERCRED"):  # Linux: struct ucred {pid, uid, gid}
            told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            return int(struct.unpack("3i", told)[1])
        if sys.platform == "darwin":  # sys/ucred.h: struct xucred {version, uid, ...} at SOL_LOCAL
            told = connection.getsockopt(0, 1, 76)
            return int(struct.unpack("2I", told[:8])[1])
    except OSError:
        return -1  # gone already: nobody we know
    return None
