"""Deadlines of single fields of hashes: of concurrent ones the latest wins, "never" is the latest.

HSET takes a field's deadline away; of HSET beside HEXPIRE the field stays. Redis has these commands
from 7.4 on.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipnet.resp.commands.keys import condition
from gossipnet.resp.numbers import integer
from gossipnet.resp.options import DEADLINES, SYNTAX, deadline
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.resp.table import KEY, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

Handler = Callable[["Session", list[bytes]], Reply]

_NO_FIELD, _NOT_MET, _SET, _DELETED = -2, 0, 1, 2


def _names(words: list[bytes], each: int = 1) -> list[bytes]:
    """The words behind FIELDS and their number.

    Raises:
      CommandError: They are not as many as it says, times ``each``.
    """
    if not words or words[0].upper() != b"FIELDS":
        raise CommandError("ERR Mandatory argument FIELDS is missing or not at the right position")
    error = "ERR Parameter `numFields` should be greater than 0"
    count = integer(words[1] if len(words) > 1 else b"", 1, error=error)
    if len(words) - 2 != count * each:
        raise CommandError("ERR The `numfields` parameter must match the number of arguments")
    return words[2:]


def _expires(name: str, word: bytes) -> Handler:
    unit, relative = DEADLINES[word]

    def expire(session: "Session", args: list[bytes]) -> Reply:
        keyspace, key = session.keyspace, args[1]
        at = next((n for n in range(3, len(args)) if args[n].upper() == b"FIELDS"), len(args))
        names = _names(args[at:])
        allowed = condition(args[3:at])
        ends = deadline(session, args[2], unit, relative, name, past=True)
        told: dict[bytes, int] = {}
        for field in names:
            if not keyspace.hash_has(key, field):
                told[field] = _NO_FIELD
            elif not allowed(keyspace.hash_deadline(key, field), ends):
                told[field] = _NOT_MET
            else:
                told[field] = _DELETED if ends <= session.service.wall_ms else _SET
        chosen = [field for field, answer in told.items() if answer > 0]
        if ends <= session.service.wall_ms:
            keyspace.hash_delete(key, chosen)
        else:
            keyspace.hash_expire(key, chosen, ends)
        return [told[field] for field in names]

    return expire


def _tells(unit: int, *, absolute: bool) -> Handler:
    def tell(session: "Session", args: list[bytes]) -> Reply:
        keyspace, key = session.keyspace, args[1]
        told: list[Reply] = []
        for field in _names(args[2:]):
            ends = keyspace.hash_deadline(key, field)
            if ends is None:
                told.append(-1 if keyspace.hash_has(key, field) else _NO_FIELD)
            else:
                left = ends if absolute else max(ends - session.service.wall_ms, 0)
                told.append((left + unit - 1) // unit)
        return told

    return tell


def _hpersist(session: "Session", args: list[bytes]) -> Reply:
    keyspace, key = session.keyspace, args[1]
    names = _names(args[2:])
    ending = [field for field in names if keyspace.hash_deadline(key, field) is not None]
    told = [
        1 if field in ending else -1 if keyspace.hash_has(key, field) else _NO_FIELD
        for field in names
    ]
    keyspace.hash_expire(key, ending, None)
    return told


def _hgetdel(session: "Session", args: list[bytes]) -> Reply:
    keyspace, key = session.keyspace, args[1]
    names = _names(args[2:])
    values = [keyspace.hash_get(key, field) for field in names]
    keyspace.hash_delete(key, names)
    return values


def _until(session: "Session", words: list[bytes], command: str) -> tuple[int | None, bytes, int]:
    """(deadline, option, how many words that took) of EX, PX, EXAT, PXAT, or a word alone."""
    word = words[0].upper() if words else b""
    if word in DEADLINES and len(words) > 1:
        return deadline(session, words[1], *DEADLINES[word], command, past=False), word, 2
    return None, word, 0 if word == b"FIELDS" else 1


def _hgetex(session: "Session", args: list[bytes]) -> Reply:
    keyspace, key = session.keyspace, args[1]
    ends, word, used = _until(session, args[2:], "hgetex")
    if ends is None and word not in (b"PERSIST", b"FIELDS"):
        raise CommandError(SYNTAX)
    names = _names(args[2 + used :])
    values = [keyspace.hash_get(key, field) for field in names]
    if ends is not None and ends <= session.service.wall_ms:
        keyspace.hash_delete(key, names)
    elif used:
        keyspace.hash_expire(key, names, ends)
    return values


def _hsetex(session: "Session", args: list[bytes]) -> Reply:
    keyspace, key = session.keyspace, args[1]
    at, when = 2, b""
    if args[at].upper() in (b"FNX", b"FXX"):
        when = args[at].upper()
        at += 1
    ends, word, used = _until(session, args[at:], "hsetex")
    if ends is None and word not in (b"KEEPTTL", b"FIELDS"):
        raise CommandError(SYNTAX)
    words = _names(args[at + used :], 2)
    pairs = list(zip(words[::2], words[1::2], strict=True))
    there = [keyspace.hash_has(key, field) for field, _value in pairs]
    if (when == b"FNX" and any(there)) or (when == b"FXX" and not all(there)):
        return 0
    kept = {field: keyspace.hash_deadline(key, field) for field, _value in pairs}
    with keyspace.atomic(sum(map(len, words)) + 128 * len(pairs)):
        keyspace.hash_set(key, pairs)
        for field, before in kept.items():
            until = before if word == b"KEEPTTL" else ends
            if until is not None:
                keyspace.hash_expire(key, [field], until)
    return 1


_READ, _WRITE = "readonly fast", "write denyoom fast"
_WHEN = "[NX | XX | GT | LT]"
_FIELDS = "FIELDS numfields field [field ...]"
_EX = "EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds"

# fmt: off
ROWS = [
    Command("hexpire", _expires("hexpire", b"EX"), -6, f"key seconds {_WHEN} {_FIELDS}",
            "Sets when fields end.", "7.4.0", _WRITE, KEY),
    Command("hpexpire", _expires("hpexpire", b"PX"), -6, f"key milliseconds {_WHEN} {_FIELDS}",
            "Sets when fields end.", "7.4.0", _WRITE, KEY),
    Command("hexpireat", _expires("hexpireat", b"EXAT"), -6,
            f"key unix-time-seconds {_WHEN} {_FIELDS}", "Sets when fields end.", "7.4.0", _WRITE,
            KEY),
    Command("hpexpireat", _expires("hpexpireat", b"PXAT"), -6,
            f"key unix-time-milliseconds {_WHEN} {_FIELDS}", "Sets when fields end.", "7.4.0",
            _WRITE, KEY),
    Command("hpersist", _hpersist, -5, f"key {_FIELDS}", "Lets fields stay.", "7.4.0",
            "write fast", KEY),
    Command("httl", _tells(1000, absolute=False), -5, f"key {_FIELDS}",
            "Seconds until fields end; -1 never, -2 no such field.", "7.4.0", _READ, KEY),
    Command("hpttl", _tells(1, absolute=False), -5, f"key {_FIELDS}",
            "Milliseconds until fields end; -1 never, -2 no such field.", "7.4.0", _READ, KEY),
    Command("hexpiretime", _tells(1000, absolute=True), -5, f"key {_FIELDS}",
            "When fields end, in unix seconds; -1 never, -2 no such field.", "7.4.0", _READ, KEY),
    Command("hpexpiretime", _tells(1, absolute=True), -5, f"key {_FIELDS}",
            "When fields end, in unix milliseconds; -1 never, -2 no such field.", "7.4.0", _READ,
            KEY),
    Command("hgetdel", _hgetdel, -5, f"key {_FIELDS}", "Returns fields and removes them.", "8.0.0",
            "write fast", KEY),
    Command("hgetex", _hgetex, -5, f"key [{_EX} | PERSIST] {_FIELDS}",
            "Returns fields and sets when they end.", "8.0.0", "write fast", KEY),
    Command("hsetex", _hsetex, -6,
            f"key [FNX | FXX] [{_EX} | KEEPTTL] FIELDS numfields field value [field value ...]",
            "Assigns fields and sets when they end.", "8.0.0", _WRITE, KEY),
]
# fmt: on
