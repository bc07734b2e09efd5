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
from typing import NamedTuple

from gossipnet.errors import HomeError

BACKLOG = 512
_OWNER_ONLY = 0o600


def bind_local_socket(path: Path, mode: int = 0o600, group: int | None = None) -> socket.socket:
    """A listening, non-blocking Unix socket.

    Args:
      path: Of its file.
      mode: The file's permission bits; who may write it may connect.
      group: Whom to give the file to; None leaves it to this user's group.

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
        if group is not None:
            os.chown(path, -1, group)
        if mode != _OWNER_ONLY:
            path.chmod(mode)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise HomeError(
            f"cannot make the local socket {path}: {error.strerror}; check that its folder exists "
            "and is yours (and that you belong to readonly_group), or choose another place with "
            "--socket"
        ) from None
    except BaseException:
        made.close()
        raise
    return made


def remove_local_socket(path: Path, bound: socket.socket) -> None:
    """Remove the file that ``bound`` made, unless it is another one by now, and close it.

    A file that cannot be removed is left: the next start takes it for what it is, and what has
    broken the disk is the error that must be told.
    """
    bound.close()
    with suppress(OSError):
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


class Peer(NamedTuple):
    """The process at the other end of a connection, when it connected.

    Attributes:
      uid, gid, pid: -1 where the system does not tell.
      groups: Further groups, where it tells them.
      known: The system could be asked; False with a uid of -1 where it has no way to.
    """

    uid: int = -1
    gid: int = -1
    pid: int = -1
    groups: frozenset[int] = frozenset()
    known: bool = True


_SO_PEERGROUPS = 59
"""Linux 4.13 and later, asm-generic/socket.h; the module socket does not name it."""
_GROUPS_MAX = 65_536


def peer_of(connection: socket.socket) -> Peer:
    """Who is at the other end; nobody we know if it is gone already."""
    try:
        if hasattr(socket, "SO_PEERCRED"):  # Linux: struct ucred {pid, uid, gid}
            told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            pid, uid, gid = struct.unpack("3i", told)
            return Peer(uid, gid, pid, _groups_of(connection))
        if sys.platform == "darwin":  # sys/un.h, sys/ucred.h: struct xucred at SOL_LOCAL
            told = connection.getsockopt(0, 1, 76)
            _version, uid, count = struct.unpack("2Ih", told[:10])
            groups = struct.unpack("16I", told[12:76])[: max(0, min(count, 16))]
            pid = struct.unpack("i", connection.getsockopt(0, 2, 4))[0]  # LOCAL_PEERPID
            return Peer(uid, groups[0] if groups else -1, pid, frozenset(groups))
    except OSError:
        return Peer(-2)
    return Peer(known=False)


def _groups_of(connection: socket.socket) -> frozenset[int]:
    try:
        told = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _GROUPS_MAX)
    except OSError:
        return frozenset()  # an older kernel: the group that it has told counts
    return frozenset(struct.unpack(f"{len(told) // 4}I", told))
