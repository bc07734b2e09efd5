"""CLIENT TRACKING and its like: keys that clients may keep until they are told otherwise."""

from typing import TYPE_CHECKING

from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import OK, CommandError, Reply
from gossipnet.resp.table import Command
from gossipnet.resp.tracking import Tracked

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_PREFIXES = 100
_SWITCH = (
    "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
    "re-enabling it with a different mode."
)
_OPT = (
    "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
    "re-enabling it with a different mode."
)


def _tracking(session: "Session", args: list[bytes]) -> Reply:
    tracking = session.service.tracking
    asked = _asked(session, args[3:])
    word = args[2].upper()
    if word == b"OFF":
        session.service.untrack(session)
        return OK
    if word != b"ON":
        raise CommandError(SYNTAX)
    before = tracking.of(session)
    if before is not None and before.broadcast != asked.broadcast:
        raise CommandError(_SWITCH)
    if asked.broadcast and (asked.optin or asked.optout):
        raise CommandError("ERR OPTIN and OPTOUT are not compatible with BCAST")
    if asked.optin and asked.optout:
        raise CommandError("ERR You can't specify both OPTIN mode and OPTOUT mode")
    if before is not None and ((asked.optin and before.optout) or (asked.optout and before.optin)):
        raise CommandError(_OPT)
    if asked.prefixes and not asked.broadcast:
        raise CommandError("ERR PREFIX option requires BCAST mode to be enabled")
    if before is not None:
        asked.prefixes = {**before.prefixes, **asked.prefixes}
    if len(asked.prefixes) > _PREFIXES:
        raise CommandError(f"ERR a client may give {_PREFIXES} prefixes at most")
    session.service.track(session, asked)
    return OK


def _asked(session: "Session", words: list[bytes]) -> Tracked:
    asked = Tracked()
    before = session.service.tracking.of(session)
    known = list(before.prefixes) if before is not None else []
    at = 0
    while at < len(words):
        word, left = words[at].upper(), len(words) - at - 1
        if word == b"REDIRECT" and left:
            at += 1
            asked.redirect = integer(words[at])
            if asked.redirect and asked.redirect not in session.service.sessions:
                raise CommandError("ERR The client ID you want redirect to does not exist")
        elif word == b"PREFIX" and left:
            at += 1
            _check_overlap(words[at], known)
            known.append(words[at])
            asked.prefixes[words[at]] = None
        elif word == b"BCAST":
            asked.broadcast = True
        elif word == b"OPTIN":
            asked.optin = True
        elif word == b"OPTOUT":
            asked.optout = True
        elif word == b"NOLOOP":
            asked.noloop = True
        else:
            raise CommandError(SYNTAX)
        at += 1
    return asked


def _check_overlap(prefix: bytes, known: list[bytes]) -> None:
    for other in known:
        if other.startswith(prefix) or prefix.startswith(other):
            one, two = (p[:64].decode("utf-8", "surrogateescape") for p in (prefix, other))
            raise CommandError(
                f"ERR Prefix '{one}' overlaps with an existing prefix '{two}'. "
                "Prefixes for a single client must not overlap."
            )


def _caching(session: "Session", args: list[bytes]) -> Reply:
    tracked = session.service.tracking.of(session)
    word = args[2].upper()
    if word not in (b"YES", b"NO"):
        raise CommandError(SYNTAX)
    yes = word == b"YES"
    if tracked is None or not (tracked.optin if yes else tracked.optout):
        mode = "OPTIN" if yes else "OPTOUT"
        raise CommandError(
            f"ERR CLIENT CACHING {word.decode()} is only valid when tracking is enabled in "
            f"{mode} mode."
        )
    tracked.caching = yes
    return OK


def _info(session: "Session", _args: list[bytes]) -> Reply:
    tracked = session.service.tracking.of(session)
    if tracked is None:
        return {b"flags": {b"off"}, b"redirect": -1, b"prefixes": []}
    told = {
        b"on": True,
        b"bcast": tracked.broadcast,
        b"optin": tracked.optin,
        b"caching-yes": tracked.optin and tracked.caching is True,
        b"optout": tracked.optout,
        b"caching-no": tracked.optout and tracked.caching is False,
        b"noloop": tracked.noloop,
        b"broken_redirect": tracked.broken,
    }
    flags = {name for name, holds in told.items() if holds}
    prefixes = list(tracked.prefixes or ([b""] if tracked.broadcast else []))
    return {b"flags": flags, b"redirect": tracked.redirect, b"prefixes": prefixes}


def _redirect(session: "Session", _args: list[bytes]) -> Reply:
    tracked = session.service.tracking.of(session)
    return -1 if tracked is None else tracked.redirect


_FLAGS = "noscript loading stale fast"
_TRACKING = (
    "ON | OFF [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] "
    "[NOLOOP]"
)

# fmt: off
CLIENT = [
    Command("client|tracking", _tracking, -3, _TRACKING,
            "Tells this connection when keys change that it may keep, whoever changes them.",
            "6.0.0", _FLAGS),
    Command("client|caching", _caching, 3, "YES | NO",
            "Whether what the next command reads may be kept.", "6.0.0", _FLAGS),
    Command("client|trackinginfo", _info, 2, "", "How this connection is told of changes.",
            "6.2.0", _FLAGS),
    Command("client|getredir", _redirect, 2, "", "Which connection is told instead.", "6.0.0",
            _FLAGS),
]
# fmt: on
