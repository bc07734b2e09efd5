"""GOSSIP: the mesh itself, for the command line and for anybody who wants to know."""

from typing import TYPE_CHECKING, NamedTuple

from gossipnet.errors import UserError
from gossipnet.identity.certificate import NODE_SECONDS
from gossipnet.identity.enrolment import CERTIFICATE_SECONDS_MAX, ROLES_TO_INVITE
from gossipnet.identity.revocation import REASON_MAX
from gossipnet.resp.audit import row
from gossipnet.resp.blocking import NOT_YET, RECEIPTS, Blocked
from gossipnet.resp.commands import provenance
from gossipnet.resp.limits import MEMBERS_MAX, PATTERNS
from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import OK, CommandError, Reply, plain
from gossipnet.resp.table import HEAVY, Command, container

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_VERBS = ("relay", "read", "write", "manage")
_USES = 10_000
_TRACE_MS = 60_000
_TIMEOUT = f"ERR TIMEOUT is from 1 to {_TRACE_MS} milliseconds"
_CHUNKS = 128
_COUNT = f"ERR the number of members is from 1 to {MEMBERS_MAX}"


def _members(session: "Session", _args: list[bytes]) -> Reply:
    return plain(session.service.mesh.members_table())


def _status(session: "Session", _args: list[bytes]) -> Reply:
    service = session.service
    status = {**service.mesh.status(), **service.extra_status()}
    status["clients"] = {
        "connected": len(service.sessions),
        "commands": service.commands,
        **service.counters,
    }
    return plain(status)


def _peers(session: "Session", _args: list[bytes]) -> Reply:
    return plain(session.service.mesh.peers())


def _map(session: "Session", _args: list[bytes]) -> Reply:
    return plain(session.service.mesh.map())


def _events(session: "Session", _args: list[bytes]) -> Reply:
    return plain(session.service.mesh.events())


def _nearest(session: "Session", args: list[bytes]) -> Reply:
    if len(args) > 3:
        raise CommandError(SYNTAX)
    count = integer(args[2], 1, MEMBERS_MAX, _COUNT) if len(args) == 3 else 3
    return plain(session.service.mesh.nearest(count))


def _owner(session: "Session", args: list[bytes]) -> Reply:
    if len(args) > 4:
        raise CommandError(SYNTAX)
    count = integer(args[3], 1, MEMBERS_MAX, _COUNT) if len(args) == 4 else 1
    return plain(session.service.mesh.owners(args[2], count))


def _trace(session: "Session", args: list[bytes]) -> Reply:
    if len(args) not in (3, 5) or (len(args) == 5 and args[3].upper() != b"TIMEOUT"):
        raise CommandError(SYNTAX)
    milliseconds = integer(args[4], 1, _TRACE_MS, _TIMEOUT) if len(args) == 5 else 2000
    trace = session.service.mesh.trace(args[2])
    session.service.said()

    def attempt() -> Reply:
        return plain(trace.document()) if trace.complete else NOT_YET

    until = session.service.now + milliseconds / 1000
    return Blocked([RECEIPTS], attempt, lambda: plain(trace.document()), until, ended=trace.close)


def _chunks(session: "Session", args: list[bytes]) -> Reply:
    fetch = session.service.fetch_chunks
    if fetch is None:
        raise CommandError("ERR this node keeps no chunks of large values")
    if len(args) > 3 + _CHUNKS or any(len(name) != 32 for name in args[2:]):
        raise CommandError(f"ERR hashes have 32 bytes, and {_CHUNKS} are asked for at most")
    try:
        return fetch(args[2], args[3:])
    except UserError as error:
        raise CommandError(f"MISCONF {error}") from None


def _why(session: "Session", args: list[bytes]) -> Reply:
    return plain(session.service.mesh.why(args[2].decode("utf-8", "surrogateescape")))


def _invite(session: "Session", args: list[bytes]) -> Reply:
    wanted = _wanted(args[2:], 3600, 366 * 86_400)
    return session.service.mesh.invite(
        wanted.role, wanted.uses, float(wanted.ttl_s), wanted.allowed
    ).encode()


def _sign(session: "Session", args: list[bytes]) -> Reply:
    if any(word.upper() == b"USES" for word in args[3::2]):
        raise CommandError(SYNTAX)
    wanted = _wanted(args[3:], NODE_SECONDS, CERTIFICATE_SECONDS_MAX)
    request = args[2].decode("ascii", "replace")
    return session.service.mesh.sign(
        request, wanted.role, float(wanted.ttl_s), wanted.allowed
    ).encode()


def _invites(session: "Session", args: list[bytes]) -> Reply:
    mesh = session.service.mesh
    if len(args) == 2:
        return plain(mesh.invites())
    if len(args) != 4 or args[2].upper() != b"CANCEL":
        raise CommandError(SYNTAX)
    return mesh.cancel_invite(args[3].decode("ascii", "replace").lower()).encode()


class _Wanted(NamedTuple):
    """What a newcomer is to become."""

    role: str
    uses: int
    ttl_s: int
    allowed: list[tuple[str, bytes]]


def _wanted(options: list[bytes], ttl_s: int, longest_s: int) -> _Wanted:
    role, uses = "member", 1
    allowed: list[tuple[str, bytes]] = []
    if len(options) % 2:
        raise CommandError(SYNTAX)
    for option, value in zip(options[::2], options[1::2], strict=True):
        word = option.upper()
        if word == b"ROLE" and value.lower().decode("ascii", "replace") in ROLES_TO_INVITE:
            role = value.lower().decode()
        elif word == b"ROLE":
            raise CommandError(f"ERR ROLE is one of {', '.join(ROLES_TO_INVITE)}")
        elif word == b"USES":
            uses = integer(value, 1, _USES, f"ERR USES is a number from 1 to {_USES}")
        elif word == b"TTL":
            ttl_s = integer(
                value,
                1,
                longest_s,
                f"ERR TTL is a number of seconds, up to {longest_s // 86_400} days",
            )
        elif word == b"ALLOW":
            allowed.append(_capability(value))
        else:
            raise CommandError(SYNTAX)
    return _Wanted(role, uses, ttl_s, allowed)


def _capability(value: bytes) -> tuple[str, bytes]:
    verb, colon, prefix = value.partition(b":")
    name = verb.lower().decode("ascii", "replace")
    if not colon or name not in _VERBS:
        raise CommandError(
            "ERR ALLOW takes VERB:PREFIX with the verb read, write or manage, as in write:sensors:"
        )
    return name, prefix


def _renew(session: "Session", _args: list[bytes]) -> Reply:
    session.service.mesh.renew()
    return OK


def _revoke(session: "Session", args: list[bytes]) -> Reply:
    if len(args) not in (3, 5) or (len(args) == 5 and args[3].upper() != b"REASON"):
        raise CommandError(SYNTAX)
    reason = args[4].decode("utf-8", "replace") if len(args) == 5 else ""
    if len(reason) > REASON_MAX or not reason.isprintable():
        raise CommandError(f"ERR REASON is one line of up to {REASON_MAX} characters")
    return plain(session.service.mesh.revoke(args[2].decode("utf-8", "replace"), reason))


def _root(session: "Session", args: list[bytes]) -> Reply:
    mesh = session.service.mesh
    if len(args) == 2:
        return plain(mesh.root())
    if len(args) != 4 or args[2].upper() != b"IMPORT":
        raise CommandError(SYNTAX)
    mesh.bring_root(args[3])
    return OK


def _audit(session: "Session", _args: list[bytes]) -> Reply:
    service = session.service
    open_now = [row(each) for each in service.sessions.values()]
    return plain({"open": open_now, **service.audit.rows()})


def _leave(session: "Session", _args: list[bytes]) -> Reply:
    session.service.mesh.leave()
    session.service.left()
    return OK


def _watch(session: "Session", args: list[bytes]) -> Reply:
    if len(args) - 2 > PATTERNS:
        raise CommandError(f"ERR a client may watch {PATTERNS} patterns at most")
    if session.service.watch(session, args[2:]) > PATTERNS:
        session.service.unwatch(session)
        raise CommandError(f"ERR a client may watch {PATTERNS} patterns at most")
    session.streams = True
    return OK


def _unwatch(session: "Session", _args: list[bytes]) -> Reply:
    session.service.unwatch(session)
    session.streams = False
    return OK


_SINCE = "gossipnet"
_ANY = "loading stale"
_ADMIN = "admin noscript no-multi commits"
_NEWCOMER = "[ROLE member|observer|relay|issuer|revoker] [TTL seconds] [ALLOW verb:prefix ...]"
_INVITE = f"{_NEWCOMER} [USES n]"

# fmt: off
ROWS = [
    container("gossip", "About the mesh.", [
        Command("gossip|members", _members, 2, "", "Who is in the mesh, and how they are.", _SINCE,
                _ANY),
        Command("gossip|status", _status, 2, "", "How this node is.", _SINCE, _ANY),
        Command("gossip|peers", _peers, 2, "", "The links of this node.", _SINCE, _ANY),
        Command("gossip|map", _map, 2, "", "Which members are neighbours, in pairs of ids.", _SINCE,
                _ANY),
        Command("gossip|events", _events, 2, "", "What happened, newest last.", _SINCE, _ANY),
        Command("gossip|nearest", _nearest, -2, "[n]",
                "The living members with the shortest round trip, nearest first.", _SINCE, _ANY),
        Command("gossip|owner", _owner, -3, "key [n]",
                "To which living member a key belongs, and who steps in for it.", _SINCE, _ANY),
        Command("gossip|trace", _trace, -3, "key [TIMEOUT milliseconds]",
                "Where the newest write of a key has arrived, over which hops and when.", _SINCE,
                "noscript no-multi", (2, 2, 1)),
        Command("gossip|chunks", _chunks, -4, "root hash [hash ...]",
                "Fetches chunks of a large value; how many are not here yet.", _SINCE,
                "noscript no-multi"),
        Command("gossip|why", _why, 3, "node",
                "Why a member is thought to be what it is, and who said so.", _SINCE, _ANY),
        Command("gossip|invite", _invite, -2, _INVITE, "A token that lets one more machine in.",
                _SINCE, _ADMIN),
        Command("gossip|invites", _invites, -2, "[CANCEL token]",
                "The tokens of this issuer and whom they let in; ends one before its time.",
                _SINCE, _ADMIN),
        Command("gossip|sign", _sign, -3, f"request {_NEWCOMER}",
                "A certificate for the machine that made a join request.", _SINCE, _ADMIN),
        Command("gossip|renew", _renew, 2, "",
                "Has this node certified anew; GOSSIP STATUS tells what came of it.", _SINCE,
                "admin noscript no-multi"),
        Command("gossip|revoke", _revoke, -3, "node [REASON text]",
                "Shuts a member out for good; what it writes from now on counts nowhere.", _SINCE,
                _ADMIN),
        Command("gossip|root", _root, -2, "[IMPORT record]",
                "Shows the mesh's root and who knows its newest version; takes in a next one.",
                _SINCE, _ADMIN),
        Command("gossip|audit", _audit, 2, "",
                "Who is and was connected to this socket, and who managed what.", _SINCE,
                "admin noscript no-multi"),
        Command("gossip|leave", _leave, 2, "", "Signs this node off the mesh; its daemon stops.",
                _SINCE, "admin noscript no-multi"),
        *provenance.ROWS,
        Command("gossip|watch", _watch, -3, "pattern [pattern ...]",
                "Tells this connection of every change to keys that match.", _SINCE,
                "noscript no-multi"),
        Command("gossip|unwatch", _unwatch, 2, "", "Tells it no more.", _SINCE,
                "noscript no-multi"),
    ], since=_SINCE, cost=HEAVY // 4),
]
# fmt: on
