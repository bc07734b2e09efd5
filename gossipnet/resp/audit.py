"""Who is connected to the local sockets, and what they did that is worth remembering.

Kept in memory, the newest so many; the log has it too. Words of commands that may be secret or long
are left out. On the read-only socket, whatever writes or manages is refused here.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gossipnet.resp.replies import CommandError
from gossipnet.resp.table import Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

CONNECTIONS_KEPT = 256
ACTIONS_KEPT = 512
LOGGED_PER_SECOND = 10
"""Lines; more are counted and stay in memory only."""

_SHOWN = frozenset({"gossip|revoke", "client|kill", "client|unblock", "config|set", "config|get"})
"""Commands whose first word may be shown: none of it is secret."""
_WORD_BYTES = 64
_SPEAKS = frozenset({"publish"})
_HARMLESS = frozenset({"exec"})
"""What it holds was judged when it was queued."""


class Caller:
    """Who is at the other end of a connection, as the system says, and what it has done.

    Attributes:
      uid, gid, pid: -1 where the system does not tell.
      readonly: It came through the socket that only reads.
      commands, writes, admin: How many it has run; what waits for the disk is a write.
    """

    __slots__ = ("admin", "commands", "gid", "pid", "readonly", "uid", "writes")

    def __init__(
        self, uid: int = -1, gid: int = -1, pid: int = -1, *, readonly: bool = False
    ) -> None:
        self.uid, self.gid, self.pid = uid, gid, pid
        self.readonly = readonly
        self.commands = self.writes = self.admin = 0

    def __str__(self) -> str:
        where = ", read-only" if self.readonly else ""
        return f"uid {self.uid}, pid {self.pid}{where}"


def _silent(_kind: str, _text: str, _level: str) -> None:
    return


class Audit:
    """What is remembered.

    Attributes:
      say: Logs a line: kind, text, level.
      unlogged: Lines that were too many for the log.
    """

    def __init__(self) -> None:
        self.say: Callable[[str, str, str], None] = _silent
        self.unlogged = 0
        self._closed: deque[dict[str, Any]] = deque(maxlen=CONNECTIONS_KEPT)
        self._actions: deque[dict[str, Any]] = deque(maxlen=ACTIONS_KEPT)
        self._second = 0
        self._said = 0

    def opened(self, session: "Session") -> None:
        """Somebody has connected."""
        text = f"client {session.number}: {session.caller} on {session.address}"
        self._tell(session, "client-connected", text, "debug")

    def closed(self, session: "Session") -> None:
        """A connection ended."""
        caller = session.caller
        self._closed.append({**row(session), "closed_ms": session.service.wall_ms})
        text = (
            f"client {session.number}: {caller}, {caller.commands} commands, {caller.writes} "
            f"writes, {caller.admin} administrative"
        )
        self._tell(session, "client-closed", text, "debug")

    def judge(self, session: "Session", command: Command, args: list[bytes]) -> None:
        """Before a command that matters here is run, or queued.

        Raises:
          CommandError: It came through the read-only socket, and does not only read.
        """
        caller = session.caller
        refused = "" if not caller.readonly else _beyond_reading(command)
        admin = "admin" in command.flags
        if admin or refused:
            caller.admin += admin and not refused
            word = args[2] if command.name in _SHOWN and len(args) > 2 else b""
            told = " ".join([*command.name.upper().split("|"), _printable(word)]).rstrip()
            self._actions.append(
                {
                    "wall_ms": session.service.wall_ms,
                    "client": session.number,
                    "uid": caller.uid,
                    "pid": caller.pid,
                    "command": told,
                    "allowed": not refused,
                }
            )
            verb = "was refused" if refused else "ran"
            text = f"client {session.number} ({caller}) {verb} {told}"
            self._tell(session, "client-refused" if refused else "client-admin", text, "info")
        if refused:
            raise CommandError(
                f"NOPERM this socket only reads, and '{command.name.replace('|', ' ')}' {refused}: "
                "use the socket of the daemon's owner"
            )

    def _tell(self, session: "Session", kind: str, text: str, level: str) -> None:
        second = int(session.service.now)
        if second != self._second:
            self._second, self._said = second, 0
        self._said += 1
        if self._said > LOGGED_PER_SECOND:
            self.unlogged += 1
        else:
            self.say(kind, text, level)

    def rows(self) -> dict[str, Any]:
        """What is remembered, oldest first."""
        return {
            "connections": list(self._closed),
            "actions": list(self._actions),
            "unlogged": self.unlogged,
        }


def row(session: "Session") -> dict[str, Any]:
    """One connection, for people and programs."""
    caller = session.caller
    return {
        "client": session.number,
        "uid": caller.uid,
        "gid": caller.gid,
        "pid": caller.pid,
        "socket": session.address,
        "readonly": caller.readonly,
        "opened_ms": session.opened_ms,
        "commands": caller.commands,
        "writes": caller.writes,
        "admin": caller.admin,
    }


def _beyond_reading(command: Command) -> str:
    """What a command does beside reading, or empty."""
    if "admin" in command.flags:
        return "manages the node"
    if command.name in _SPEAKS:
        return "speaks to the whole mesh"
    if command.writes and command.name not in _HARMLESS:
        return "writes"
    return ""


def _printable(word: bytes) -> str:
    text = word[:_WORD_BYTES].decode("utf-8", "backslashreplace")
    return "".join(letter for letter in text if letter.isprintable())
