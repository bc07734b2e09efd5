"""Pops that wait until there is something, whichever node brings it.

Who waited longest on this node is served first. Other nodes are not asked: two may pop the same.
Inside a transaction nothing waits.
"""

from collections.abc import Callable, Sequence
from math import ceil, inf
from typing import TYPE_CHECKING

from gossipnet.resp.blocking import NOT_YET, Blocked
from gossipnet.resp.numbers import double
from gossipnet.resp.pops import (
    first_popped,
    first_scored,
    is_left,
    moved,
    numbered_keys,
    pop_options,
)
from gossipnet.resp.replies import NO_ARRAY, CommandError, Reply
from gossipnet.resp.table import NUMBERED, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

Attempt = Callable[[bool], Reply]
"""The reply, or None while there is nothing. With True, keys of other types are passed over."""


def _until(session: "Session", written: bytes) -> float:
    """When a timeout in seconds is over; never if it is 0."""
    seconds = double(written, "ERR timeout is not a float or out of range")
    if seconds * 1000 >= 1 << 63:
        raise CommandError("ERR timeout is out of range")
    if seconds < 0:
        raise CommandError("ERR timeout is negative")
    return session.service.now + ceil(seconds * 1000) / 1000 if seconds else inf


def _wait(keys: Sequence[bytes], attempt: Attempt, until: float) -> Reply:
    """The reply if there is one, else a wait for these keys."""
    found = attempt(False)
    if found is not None:
        return found

    def again() -> Reply:
        reply = attempt(True)
        return NOT_YET if reply is None else reply

    return Blocked(keys, again, lambda: NO_ARRAY, until, writes=True)


# ---------------------------------------------------------------- lists


def _pops(*, left: bool) -> Callable[["Session", list[bytes]], Reply]:
    def pop(session: "Session", args: list[bytes]) -> Reply:
        until, keys = _until(session, args[-1]), args[1:-1]

        def attempt(lenient: bool) -> Reply:
            found = first_popped(session, keys, 1, left=left, lenient=lenient)
            return None if found is None else [found[0], found[1][0]]

        return _wait(keys, attempt, until)

    return pop


def _blmpop(session: "Session", args: list[bytes]) -> Reply:
    keys, rest = numbered_keys(args, 2)
    right, count = pop_options(rest, (b"LEFT", b"RIGHT"))
    until = _until(session, args[1])
    return _wait(
        keys,
        lambda lenient: first_popped(session, keys, count, left=not right, lenient=lenient),
        until,
    )


def _blmove(session: "Session", args: list[bytes]) -> Reply:
    taken, put = is_left(args[3]), is_left(args[4])
    return _move(session, args, taken=taken, put=put)


def _brpoplpush(session: "Session", args: list[bytes]) -> Reply:
    return _move(session, args, taken=False, put=True)


def _move(session: "Session", args: list[bytes], *, taken: bool, put: bool) -> Reply:
    until = _until(session, args[-1])
    return _wait(
        [args[1]],
        lambda lenient: moved(session, args[1], args[2], taken=taken, put=put, lenient=lenient),
        until,
    )


# ---------------------------------------------------------------- sorted sets


def _pops_scored(*, highest: bool) -> Callable[["Session", list[bytes]], Reply]:
    def pop(session: "Session", args: list[bytes]) -> Reply:
        until, keys = _until(session, args[-1]), args[1:-1]

        def attempt(lenient: bool) -> Reply:
            found = first_scored(session, keys, 1, highest=highest, lenient=lenient)
            return None if found is None else [found[0], *found[1][0]]

        return _wait(keys, attempt, until)

    return pop


def _bzmpop(session: "Session", args: list[bytes]) -> Reply:
    keys, rest = numbered_keys(args, 2)
    highest, count = pop_options(rest, (b"MIN", b"MAX"))
    until = _until(session, args[1])

    def attempt(lenient: bool) -> Reply:
        found = first_scored(session, keys, count, highest=highest, lenient=lenient)
        return None if found is None else [found[0], [list(pair) for pair in found[1]]]

    return _wait(keys, attempt, until)


_WRITE, _MOVE = "write noscript blocking", "write denyoom noscript blocking"
_KEYS = (1, -2, 1)
_COUNTED = (3, NUMBERED, 1)
_TWO = (1, 2, 1)

# fmt: off
LIST_ROWS = [
    Command("blpop", _pops(left=True), -3, "key [key ...] timeout",
            "LPOP from the first list that has an element, or as soon as one has.", "2.0.0", _WRITE,
            _KEYS),
    Command("brpop", _pops(left=False), -3, "key [key ...] timeout",
            "RPOP from the first list that has an element, or as soon as one has.", "2.0.0", _WRITE,
            _KEYS),
    Command("blmpop", _blmpop, -5,
            "timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]",
            "LMPOP, as soon as one of the lists has elements.", "7.0.0", _WRITE, _COUNTED),
    Command("blmove", _blmove, 6, "source destination LEFT | RIGHT LEFT | RIGHT timeout",
            "LMOVE, as soon as there is something to move.", "6.2.0", _MOVE, _TWO),
    Command("brpoplpush", _brpoplpush, 4, "source destination timeout",
            "RPOPLPUSH, as soon as there is something to move.", "2.2.0", _MOVE, _TWO),
]
SORTED_ROWS = [
    Command("bzpopmin", _pops_scored(highest=False), -3, "key [key ...] timeout",
            "ZPOPMIN from the first set that has a member, or as soon as one has.", "5.0.0", _WRITE,
            _KEYS),
    Command("bzpopmax", _pops_scored(highest=True), -3, "key [key ...] timeout",
            "ZPOPMAX from the first set that has a member, or as soon as one has.", "5.0.0", _WRITE,
            _KEYS),
    Command("bzmpop", _bzmpop, -5, "timeout numkeys key [key ...] MIN | MAX [COUNT count]",
            "ZMPOP, as soon as one of the sets has members.", "7.0.0", _WRITE, _COUNTED),
]
# fmt: on
