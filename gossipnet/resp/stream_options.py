"""What stream commands share: ids, trimming, entries as replies, reading several streams.

Ids that clients give to XADD are ``*``, milliseconds, or milliseconds and ``-*``: the rest of an id
says which node made it, so that no two make the same.
"""

import re
from collections.abc import Iterable
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX, timeout_ms
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.state.types.stream import FIRST, LAST, Entry, Id, Stream

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
_STRICT = "ERR full stream IDs are not allowed in strict mode, use * or <ms>"
_ID = re.compile(rb"([0-9]{1,20})(?:-([0-9]{1,20}))?")
_MAX = LAST[0]
_NODE_ENTRIES = 100  # what Redis keeps together: with ~ it trims no less


def written(one: Id) -> bytes:
    """An id as clients see it."""
    return b"%d-%d" % one


def parse_id(word: bytes, missing: int = 0) -> Id:
    """A whole id, or its milliseconds with ``missing`` as the rest.

    Raises:
      CommandError: It is none.
    """
    found = _ID.fullmatch(word)
    if found is None:
        raise CommandError(INVALID_ID)
    ms = int(found[1])
    seq = missing if found[2] is None else int(found[2])
    if ms > _MAX or seq > _MAX:
        raise CommandError(INVALID_ID)
    return ms, seq


def new_ms(word: bytes) -> int | None:
    """What XADD may be given as an id: the milliseconds, or None for ``*``.

    Raises:
      CommandError: It is none, or says too much.
    """
    if word == b"*":
        return None
    one = parse_id(word.removesuffix(b"-*"))
    if b"-" in word and not word.endswith(b"-*"):
        raise CommandError(_STRICT)
    return one[0]


def interval(first: bytes, last: bytes) -> tuple[Id, Id]:
    """The ends of an interval, both included; ``(`` before one leaves it out.

    Raises:
      CommandError: One is no id, or leaves nothing.
    """
    start = FIRST if first == b"-" else _end(first, 0)
    stop = LAST if last == b"+" else _end(last, _MAX)
    if first[:1] == b"(":
        if start == LAST:
            raise CommandError("ERR invalid start ID for the interval")
        start = (start[0], start[1] + 1) if start[1] < _MAX else (start[0] + 1, 0)
    if last[:1] == b"(":
        if stop == FIRST:
            raise CommandError("ERR invalid end ID for the interval")
        stop = (stop[0], stop[1] - 1) if stop[1] else (stop[0] - 1, _MAX)
    return start, stop


def _end(word: bytes, missing: int) -> Id:
    if word in (b"-", b"+"):
        return FIRST if word == b"-" else LAST
    return parse_id(word.removeprefix(b"("), missing)


def shown(entries: Iterable[Entry]) -> list[Reply]:
    """Entries as replies."""
    return [[written((ms, seq)), list(fields)] for ms, seq, _log, _dot, fields in entries]


# ---------------------------------------------------------------- trimming


class Trim(NamedTuple):
    """MAXLEN or MINID.

    Attributes:
      length: Entries to keep, or None.
      below: Remove what is before this id, or None.
      roughly: ``~``: only if a good number of entries goes.
      limit: Entries to remove at most; 0 for all.
    """

    length: int | None
    below: Id | None
    roughly: bool
    limit: int

    def run(self, session: "Session", key: bytes) -> int:
        """Trim a stream; how many entries went."""
        stream = session.keyspace.stream(key)
        if stream is None:
            return 0
        count = (
            max(0, len(stream.entries) - self.length)
            if self.length is not None
            else stream.entries.rank(self.below or FIRST)
        )
        if self.roughly:
            count -= count % _NODE_ENTRIES
            count = min(count, self.limit or count)
        if not count:
            return 0
        ms, seq = stream.entries[count - 1][:2]
        return session.keyspace.stream_trim(key, (ms, seq + 1) if seq < _MAX else (ms + 1, 0))


def parse_trim(words: list[bytes], at: int, before: Trim | None) -> tuple[Trim, int]:
    """MAXLEN or MINID with all that belongs to it, at ``at``; and where it goes on.

    Raises:
      CommandError: In Redis's words.
    """
    word = words[at].upper()
    if before is not None:
        raise CommandError(
            "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
        )
    at += 1
    roughly = words[at : at + 1] == [b"~"]
    if words[at : at + 1] in ([b"~"], [b"="]) and at + 1 < len(words):
        at += 1
    if at >= len(words):
        raise CommandError(SYNTAX)
    length: int | None = None
    below: Id | None = None
    if word == b"MAXLEN":
        length = integer(words[at])
        if length < 0:
            raise CommandError("ERR The MAXLEN argument must be >= 0.")
    else:
        below = parse_id(words[at])
    at += 1
    limit = 100 * _NODE_ENTRIES if roughly else 0
    if at + 1 < len(words) and words[at].upper() == b"LIMIT":
        limit = integer(words[at + 1])
        if limit < 0:
            raise CommandError("ERR The LIMIT argument must be >= 0.")
        if not roughly:
            raise CommandError(
                "ERR syntax error, LIMIT cannot be used without the special ~ option"
            )
        at += 2
    return Trim(length, below, roughly, limit), at


# ---------------------------------------------------------------- reading


class Reading(NamedTuple):
    """The words of XREAD and XREADGROUP.

    Attributes:
      group, consumer: Of XREADGROUP, else None.
      most: Entries of each stream at most; 0 for all.
      until: ``Service.now`` up to which to wait, None not to wait.
      unacknowledged: NOACK.
      wanted: Streams with what stands for them after STREAMS.
    """

    group: bytes | None
    consumer: bytes
    most: int
    until: float | None
    unacknowledged: bool
    wanted: list[tuple[bytes, bytes]]


def parse_reading(session: "Session", args: list[bytes]) -> Reading:
    """Take XREAD or XREADGROUP apart.

    Raises:
      CommandError: In Redis's words.
    """
    grouped = args[0].upper() == b"XREADGROUP"
    group: bytes | None = None
    consumer = b""
    count, until, unacknowledged = 0, None, False
    at = 1
    while at < len(args):
        word, left = args[at].upper(), len(args) - at - 1
        if word == b"STREAMS" and left:
            break
        if word == b"BLOCK" and left:
            waits = timeout_ms(args[at + 1])
            until = session.service.now + waits / 1000 if waits else inf
            at += 1
        elif word == b"COUNT" and left:
            count = max(0, integer(args[at + 1]))
            at += 1
        elif word == b"GROUP" and left >= 2:
            if not grouped:
                raise CommandError(
                    "ERR The GROUP option is only supported by XREADGROUP. "
                    "You called XREAD instead."
                )
            group, consumer = args[at + 1], args[at + 2]
            at += 2
        elif word == b"NOACK":
            if not grouped:
                raise CommandError(
                    "ERR The NOACK option is only supported by XREADGROUP. "
                    "You called XREAD instead."
                )
            unacknowledged = True
        else:
            raise CommandError(SYNTAX)
        at += 1
    else:
        raise CommandError(SYNTAX)
    words = args[at + 1 :]
    if len(words) % 2:
        raise CommandError(
            "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
            "specified."
        )
    if grouped and group is None:
        raise CommandError("ERR Missing GROUP option for XREADGROUP")
    half = len(words) // 2
    wanted = list(zip(words[:half], words[half:], strict=True))
    return Reading(group, consumer, count, until, unacknowledged, wanted)


def after(stream: Stream | None, one: Id, count: int) -> list[Entry]:
    """Entries above an id, the first ``count`` of them, or all for 0."""
    if stream is None:
        return []
    start = stream.entries.rank((one[0], one[1] + 1))
    return stream.entries.slice(start, start + count if count else len(stream.entries))


def told(session: "Session", found: list[tuple[bytes, Reply]]) -> Reply:
    """Streams with their entries: a map in RESP3, pairs in RESP2."""
    return dict(found) if session.protocol == 3 else [list(pair) for pair in found]
