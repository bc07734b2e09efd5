"""The connection itself: which protocol, who the client is, who else is there."""

from typing import TYPE_CHECKING

from gossipnet.resp.commands.tracking import CLIENT
from gossipnet.resp.numbers import check_database, integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import OK, CommandError, Reply, Text
from gossipnet.resp.table import Command, container

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

REDIS_VERSION = "7.0.15"
"""The Redis whose behaviour this is, for clients that ask before they use a command."""

_BAD_NAME = "ERR Client names cannot contain spaces, newlines or special characters."
_NO_PASSWORD = (
    "ERR AUTH <password> called without any password configured for the default user. "  # noqa: S105
    "Are you sure your configuration is correct?"
)
_WRONG_USER = "WRONGPASS invalid username-password pair or user is disabled."


def _hello(session: "Session", args: list[bytes]) -> Reply:
    protocol = session.protocol
    if len(args) > 1:
        protocol = integer(args[1], error="ERR Protocol version is not an integer or out of range")
        if protocol not in (2, 3):
            raise CommandError("NOPROTO unsupported protocol version")
    name: bytes | None = None
    at = 2
    while at < len(args):
        word, left = args[at].upper(), len(args) - at - 1
        if word == b"AUTH" and left >= 2:
            _check_user(args[at + 1])
            at += 2
        elif word == b"SETNAME" and left >= 1:
            name = _checked_name(args[at + 1])
            at += 1
        else:
            shown = args[at][:64].decode("utf-8", "surrogateescape")
            raise CommandError(f"ERR Syntax error in HELLO option '{shown}'")
        at += 1
    session.protocol = protocol
    session.settle()
    if name is not None:
        session.name = name
    return {
        b"server": b"redis",
        b"version": REDIS_VERSION.encode(),
        b"proto": protocol,
        b"id": session.number,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }


def _check_user(user: bytes) -> None:
    """Redis without passwords takes any for the default user, and knows no other."""
    if user != b"default":
        raise CommandError(_WRONG_USER)


def _auth(_session: "Session", args: list[bytes]) -> Reply:
    if len(args) > 3:
        raise CommandError(SYNTAX)
    if len(args) == 2:
        raise CommandError(_NO_PASSWORD)
    _check_user(args[1])
    return OK


def _ping(session: "Session", args: list[bytes]) -> Reply:
    if len(args) > 2:
        raise CommandError("ERR wrong number of arguments for 'ping' command")
    if session.hearing:
        return [b"pong", args[1] if len(args) == 2 else b""]
    return args[1] if len(args) == 2 else "PONG"


def _echo(_session: "Session", args: list[bytes]) -> Reply:
    return args[1]


def _quit(session: "Session", _args: list[bytes]) -> Reply:
    session.closing = "quit"
    return OK


def _reset(session: "Session", _args: list[bytes]) -> Reply:
    session.reset()
    return "RESET"


def _select(_session: "Session", args: list[bytes]) -> Reply:
    check_database(args[1])
    return OK


# ---------------------------------------------------------------- CLIENT


def _checked_name(name: bytes) -> bytes:
    if any(not 33 <= byte <= 126 for byte in name):
        raise CommandError(_BAD_NAME)
    return name[:256]


def _id(session: "Session", _args: list[bytes]) -> Reply:
    return session.number


def _getname(session: "Session", _args: list[bytes]) -> Reply:
    return session.name or None


def _setname(session: "Session", args: list[bytes]) -> Reply:
    session.name = _checked_name(args[2])
    return OK


def _setinfo(session: "Session", args: list[bytes]) -> Reply:
    attribute, value = args[2].lower(), args[3]
    if attribute not in (b"lib-name", b"lib-ver"):
        shown = args[2][:64].decode("utf-8", "surrogateescape")
        raise CommandError(f"ERR Unrecognized option '{shown}'")
    if any(not 33 <= byte <= 126 for byte in value):
        shown = attribute.decode()
        raise CommandError(f"ERR {shown} cannot contain spaces, newlines or special characters.")
    if attribute == b"lib-name":
        session.library = value[:64]
    else:
        session.library_version = value[:64]
    return OK


def _hears(session: "Session") -> bool:
    return session.streams or len(session.subscriptions) > 0


def _kind(session: "Session") -> bytes:
    return b"pubsub" if _hears(session) else b"normal"


def _flags(session: "Session") -> str:
    flags = "x" if session.transaction is not None else ""
    flags += ("b" if session.blocked else "") + ("P" if _hears(session) else "")
    tracked = session.service.tracking.of(session)
    if tracked is not None:
        flags += "t" + ("R" if tracked.broken else "") + ("B" if tracked.broadcast else "")
    return flags + "U"


def _line(session: "Session") -> str:
    """One client as CLIENT LIST shows it."""
    now = session.service.wall_ms
    tracked = session.service.tracking.of(session)
    queued = -1 if session.transaction is None else len(session.transaction.queue)
    fields = {
        "id": session.number,
        "addr": f"{session.address}:0",
        "laddr": f"{session.address}:0",
        "fd": session.descriptor,
        "name": session.name.decode(),
        "age": max(0, now - session.opened_ms) // 1000,
        "idle": max(0, now - session.used_ms) // 1000,
        "flags": _flags(session),
        "db": 0,
        "sub": len(session.subscriptions.channels),
        "psub": len(session.subscriptions.patterns),
        "ssub": 0,
        "multi": queued,
        "watch": len(session.watched),
        "qbuf": session.buffered,
        "omem": session.backlog(),
        "events": "r",
        "cmd": session.last or "NULL",
        "user": "default",
        "redir": -1 if tracked is None else tracked.redirect,
        "resp": session.protocol,
        "lib-name": session.library.decode(),
        "lib-ver": session.library_version.decode(),
        "uid": session.caller.uid,
        "gid": session.caller.gid,
        "pid": session.caller.pid,
        "readonly": int(session.caller.readonly),
        "tot-cmds": session.caller.commands,
        "tot-writes": session.caller.writes,
        "tot-admin": session.caller.admin,
    }
    return " ".join(f"{name}={value}" for name, value in fields.items())


def _list(session: "Session", args: list[bytes]) -> Reply:
    wanted = list(session.service.sessions.values())
    option = args[2].upper() if len(args) > 2 else b""
    if option == b"TYPE" and len(args) == 4:
        kind = args[3].lower()
        if kind not in (b"normal", b"master", b"replica", b"slave", b"pubsub"):
            shown = args[3][:64].decode("utf-8", "surrogateescape")
            raise CommandError(f"ERR Unknown client type '{shown}'")
        wanted = [other for other in wanted if kind == _kind(other)]
    elif option == b"ID" and len(args) > 3:
        numbers = {integer(word, error="ERR Invalid client ID") for word in args[3:]}
        wanted = [other for other in wanted if other.number in numbers]
    elif option:
        raise CommandError(SYNTAX)
    return Text("".join(f"{_line(other)}\n" for other in wanted).encode())


def _info(session: "Session", _args: list[bytes]) -> Reply:
    return Text(f"{_line(session)}\n".encode())


def _kill(session: "Session", args: list[bytes]) -> Reply:
    sessions = session.service.sessions
    if len(args) == 3:
        for other in sessions.values():
            if f"{other.address}:0".encode() == args[2]:
                _end(session, other)
                return OK
        raise CommandError("ERR No such client")
    skip_me, doomed = True, list(sessions.values())
    if len(args) % 2:
        raise CommandError(SYNTAX)
    for option, value in zip(args[2::2], args[3::2], strict=True):
        word = option.upper()
        if word == b"ID":
            number = integer(value, 1, error="ERR client-id should be greater than 0")
            doomed = [other for other in doomed if other.number == number]
        elif word in (b"ADDR", b"LADDR"):
            doomed = [other for other in doomed if f"{other.address}:0".encode() == value]
        elif word == b"TYPE":
            kind = value.lower()
            doomed = [other for other in doomed if kind == _kind(other)]
        elif word == b"USER":
            doomed = doomed if value == b"default" else []
        elif word == b"SKIPME" and value.lower() in (b"yes", b"no"):
            skip_me = value.lower() == b"yes"
        else:
            raise CommandError(SYNTAX)
    doomed = [other for other in doomed if not (skip_me and other is session)]
    for other in doomed:
        _end(session, other)
    return len(doomed)


def _end(session: "Session", other: "Session") -> None:
    other.closing = "killed"
    if other is not session:
        other.hang_up()


def _unblock(session: "Session", args: list[bytes]) -> Reply:
    how = args[3].upper() if len(args) == 4 else b"TIMEOUT"
    if len(args) > 4 or how not in (b"TIMEOUT", b"ERROR"):
        raise CommandError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    other = session.service.sessions.get(integer(args[2]))
    return int(other is not None and session.service.blocking.end(other, error=how == b"ERROR"))


def _reply(session: "Session", args: list[bytes]) -> Reply:
    word = args[2].upper()
    if word not in (b"ON", b"OFF", b"SKIP"):
        raise CommandError(SYNTAX)
    session.muted = word == b"OFF"
    session.skips = 2 if word == b"SKIP" else 0  # this reply and the next
    session.settle()
    return OK


def _switch(_session: "Session", args: list[bytes]) -> Reply:
    if args[2].upper() not in (b"ON", b"OFF"):
        raise CommandError(SYNTAX)
    return OK


_FLAGS = "noscript loading stale fast"
_ADMIN = "admin noscript loading stale"
_KILL = (
    "old-addr | [ID client-id] [TYPE type] [USER username] [ADDR addr] [LADDR addr] [SKIPME yes|no]"
)

# fmt: off
ROWS = [
    Command("hello", _hello, -1, "[protover [AUTH username password] [SETNAME clientname]]",
            "Chooses the protocol and tells who answers.", "6.0.0", _FLAGS),
    Command("auth", _auth, -2, "[username] password",
            "There are no passwords: the socket's mode decides who may connect.", "1.0.0", _FLAGS),
    Command("ping", _ping, -1, "[message]", "Answers PONG, or the message.", "1.0.0", "fast"),
    Command("echo", _echo, 2, "message", "Answers the message.", "1.0.0", "fast"),
    Command("quit", _quit, -1, "", "Closes the connection.", "1.0.0", _FLAGS + " no-multi"),
    Command("reset", _reset, 1, "", "Makes the connection as new.", "6.2.0", _FLAGS),
    Command("select", _select, 2, "index", "There is one database: 0.", "1.0.0",
            "loading stale fast"),
    container("client", "About connections.", [
        Command("client|id", _id, 2, "", "This connection's number.", "5.0.0", _FLAGS),
        Command("client|getname", _getname, 2, "", "This connection's name.", "2.6.9", _FLAGS),
        Command("client|setname", _setname, 3, "connection-name", "Names this connection.", "2.6.9",
                _FLAGS),
        Command("client|setinfo", _setinfo, 4, "LIB-NAME libname | LIB-VER libver",
                "Tells which library speaks.", "7.2.0", _FLAGS),
        Command("client|list", _list, -2, "[TYPE type] [ID client-id [client-id ...]]",
                "All connections.", "2.4.0", _ADMIN),
        Command("client|info", _info, 2, "", "This connection.", "6.2.0", _FLAGS),
        Command("client|kill", _kill, -3, _KILL, "Closes connections.", "2.4.0", _ADMIN),
        Command("client|unblock", _unblock, -3, "client-id [TIMEOUT | ERROR]",
                "Ends the waiting of a connection.", "5.0.0", _ADMIN),
        Command("client|reply", _reply, 3, "ON | OFF | SKIP", "Turns replies off and on.", "3.2.0",
                _FLAGS),
        *CLIENT,
        Command("client|no-evict", _switch, 3, "ON | OFF", "Accepted, and without effect.", "7.0.0",
                _ADMIN),
        Command("client|no-touch", _switch, 3, "ON | OFF", "Accepted, and without effect.", "7.2.0",
                _FLAGS),
    ], since="2.4.0"),
]
# fmt: on
