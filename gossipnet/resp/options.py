"""Options that several commands share: deadlines, conditions, MATCH and COUNT."""

import re
from collections.abc import Iterable
from random import Random
from typing import TYPE_CHECKING
from zlib import crc32

from gossipnet.resp.glob import matcher
from gossipnet.resp.limits import REPLY_BYTES
from gossipnet.resp.numbers import integer
from gossipnet.resp.replies import CommandError

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

SYNTAX = "ERR syntax error"
LATEST_MS = 1 << 49
"""Deadlines beyond this (the year 19809) are refused: the range of crdt expiry in Redis."""

_CURSOR = re.compile(rb"|[+-]?[0-9]{1,20}")

# Option word -> (unit in ms, relative to now)
DEADLINES = {
    b"EX": (1000, True),
    b"PX": (1, True),
    b"EXAT": (1000, False),
    b"PXAT": (1, False),
}


def deadline(
    session: "Session", written: bytes, unit: int, relative: bool, command: str, *, past: bool
) -> int:
    """A deadline in unix ms from an argument.

    Args:
      session: Whose clock it is.
      written: The number.
      unit: Milliseconds of one.
      relative: It counts from now.
      command: For the error text.
      past: Whether zero and less, and so what is over already, may be said.

    Raises:
      CommandError: No number, or out of range.
    """
    invalid = f"ERR invalid expire time in '{command}' command"
    value = integer(written) * unit
    if value <= 0 and not past:
        raise CommandError(invalid)
    if relative:
        value += session.service.wall_ms
    if abs(value) > LATEST_MS:
        raise CommandError(invalid)
    return max(value, 1)


def timeout_ms(written: bytes) -> int:
    """How long to wait at most, in ms; 0 for ever.

    Raises:
      CommandError: It is no whole number, or below zero.
    """
    value = integer(written, error="ERR timeout is not an integer or out of range")
    if value < 0:
        raise CommandError("ERR timeout is negative")
    return min(value, LATEST_MS)


def scan_cursor(written: bytes) -> int:
    """A cursor, read as C's strtoul reads it.

    Raises:
      CommandError: It is none.
    """
    if not _CURSOR.fullmatch(written) or abs(int(written or b"0")) >= 1 << 64:
        raise CommandError("ERR invalid cursor")
    return int(written or b"0") % (1 << 64)


class ScanOptions:
    """MATCH, COUNT and TYPE of SCAN and its like.

    Attributes:
      cursor: Where to go on.
      count: How many to look at.
      matches: The pattern, or None for all.
      kind: The type, or None for all.
    """

    def __init__(self, cursor: int, words: list[bytes], *, typed: bool = False) -> None:
        self.cursor = cursor
        self.count = 10
        self.matches = None
        self.kind: bytes | None = None
        if len(words) % 2:
            raise CommandError(SYNTAX)
        for at in range(0, len(words), 2):
            option, value = words[at].upper(), words[at + 1]
            if option == b"COUNT":
                self.count = integer(value)
                if self.count < 1:
                    raise CommandError(SYNTAX)
            elif option == b"MATCH":
                self.matches = matcher(value)
            elif option == b"TYPE" and typed:
                self.kind = value.lower()
            else:
                raise CommandError(SYNTAX)

    def page(self, names: Iterable[bytes]) -> tuple[bytes, list[bytes]]:
        """One page of a hash's fields or a set's members, and the next cursor.

        They are walked in the order of a checksum, which needs no memory between calls and misses
        nothing that is there all the time. Small collections come whole, as in Redis, and no walk
        takes more than 16 calls, because each of them sorts.
        """
        names = list(names)
        if len(names) > 512:
            marked = sorted((crc32(name), name) for name in names)
            marked = [pair for pair in marked if pair[0] >= self.cursor]
            size = max(self.count, len(names) // 16)
            if size < len(marked):
                last = marked[size - 1][0]
                while size < len(marked) and marked[size][0] == last:
                    size += 1
            names = [name for _mark, name in marked[:size]]
            following = marked[size][0] if size < len(marked) else 0
        else:
            following = 0
        if self.matches is not None:
            names = [name for name in names if self.matches(name)]
        return b"%d" % following, names


def count_option(written: bytes) -> int:
    """A count that must not be negative, as SPOP takes it."""
    return integer(written, 0, error="ERR value is out of range, must be positive")


def picked(rng: Random, names: list[bytes], count: int) -> list[bytes]:
    """Some of them by chance: all different, or with repetition if ``count`` is negative.

    Raises:
      CommandError: The repetitions would make a reply of unreasonable size.
    """
    if count >= 0 or not names:
        return rng.sample(names, min(count, len(names))) if names else []
    if -count * (16 + max(map(len, names))) > REPLY_BYTES:
        raise CommandError(f"ERR value is out of range, the reply would exceed {REPLY_BYTES} bytes")
    return rng.choices(names, k=-count)


def check_writable(session: "Session", keys: Iterable[bytes]) -> None:
    """Before a command changes several keys: whether this node may change all of them.

    Raises:
      NotPermitted: It may not.
    """
    permit = session.keyspace.permit
    if permit is not None:
        for key in keys:
            permit(key)
