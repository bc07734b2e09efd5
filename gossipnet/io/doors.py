"""The sockets on which local clients are accepted: the owner's, and perhaps one that only reads.

The owner's is for this user and root: the file's mode says so, and the peer's credentials are asked
too. Who may open the other one its mode and group say, which the system enforces at connect; here
the same is asked of the credentials once more, as far as the system tells them.
"""

import errno
import grp
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gossipnet.errors import ConfigError
from gossipnet.io.local_socket import Peer, bind_local_socket, peer_of, remove_local_socket
from gossipnet.resp.audit import Caller
from gossipnet.resp.replies import encode_error

ACCEPTS = 64
_OUT_OF_MEANS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ReadOnly(NamedTuple):
    """The second socket.

    Attributes:
      path: Of its file.
      mode: Permission bits; who may write the file may connect.
      group: Id of the group that the file is given to; None for this user's own.
    """

    path: Path
    mode: int
    group: int | None


def read_only(path: Path | None, mode: int, group: str, home: Path) -> ReadOnly | None:
    """The second socket as the settings say it; None if they do not.

    Raises:
      ConfigError: The group is unknown, or nobody but the owner could reach the socket.
    """
    if path is None:
        if group:
            raise ConfigError("readonly_group says who may use readonly_socket: set that as well")
        return None
    number: int | None = None
    if group:
        try:
            number = grp.getgrnam(group).gr_gid
        except KeyError:
            raise ConfigError(
                f"readonly_group {group!r} is no group of this machine: make it, or name another"
            ) from None
    if mode & 0o066 and home in path.parents:
        raise ConfigError(
            f"readonly_socket {path} is inside the home, which is closed to everybody else: choose "
            "a place that its users can reach, such as /run/gossipnet/read.sock"
        )
    return ReadOnly(path, mode, number)


class Door:
    """One listening socket.

    Args:
      path: Of its file.
      readonly: Who may use it if it is the second one.
    """

    def __init__(self, path: Path, readonly: ReadOnly | None = None) -> None:
        self.path = path
        self.readonly = readonly
        if readonly is None:
            self.listener = bind_local_socket(path)
        else:
            self.listener = bind_local_socket(path, readonly.mode, readonly.group)

    def close(self) -> None:
        """Stop listening and take the file away."""
        remove_local_socket(self.path, self.listener)

    def admits(self, peer: Peer) -> bool:
        """Whether whoever is at the other end may come in."""
        if not peer.known or peer.uid in (0, os.geteuid()):
            return True
        if self.readonly is None:
            return False
        if self.readonly.mode & 0o002:
            return True
        wanted = os.getegid() if self.readonly.group is None else self.readonly.group
        return bool(self.readonly.mode & 0o020) and (peer.gid == wanted or wanted in peer.groups)


class Doors:
    """All of them.

    Args:
      path: Of the owner's socket.
      readonly: The second one, if there is to be one.
      counters: Where refusals are counted.
      full: Whether no more clients fit.
      welcome: Takes a connection in: itself, who is there, and the socket's path.
    """

    def __init__(
        self,
        path: Path,
        readonly: ReadOnly | None,
        counters: Counter[str],
        full: Callable[[], bool],
        welcome: Callable[[socket.socket, Caller, Path], None],
    ) -> None:
        self._counters = counters
        self._full = full
        self._welcome = welcome
        self._doors = [Door(path)]
        try:
            if readonly is not None:
                self._doors.append(Door(readonly.path, readonly))
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Door]:
        return iter(self._doors)

    def close(self) -> None:
        """Stop listening."""
        for door in self._doors:
            door.close()

    def accept(self, door: Door) -> bool:
        """Take in who waits; False if the system has no descriptors left."""
        for _each in range(ACCEPTS):
            try:
                connection, _address = door.listener.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                self._counters["accepts_failed"] += 1
                if error.errno in _OUT_OF_MEANS:
                    return False
                continue
            self._judge(door, connection)
        return True

    def _judge(self, door: Door, connection: socket.socket) -> None:
        connection.setblocking(False)
        peer = peer_of(connection)
        if self._full():
            self._refuse(connection, "clients_refused", "ERR max number of clients reached")
        elif not door.admits(peer):
            text = "NOPERM this socket belongs to another user"
            if door.readonly is not None:
                text = "NOPERM this socket is for another group of users"
            self._refuse(connection, "clients_foreign", text)
        else:
            readonly = door.readonly is not None
            caller = Caller(peer.uid, peer.gid, peer.pid, readonly=readonly)
            self._welcome(connection, caller, door.path)

    def _refuse(self, connection: socket.socket, counter: str, text: str) -> None:
        self._counters[counter] += 1
        try:
            connection.send(encode_error(text))
        except OSError:
            self._counters["clients_broken"] += 1
        connection.close()
