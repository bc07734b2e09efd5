"""LCS: the longest text that two values have in common, as a subsequence.

The textbook table of lengths (Wagner and Fischer 1974), walked backwards in Redis's order, so that
of several longest ones the same is found.
"""

from array import array
from typing import TYPE_CHECKING

from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX
from gossipnet.resp.replies import CommandError, Reply
from gossipnet.resp.table import HEAVY, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session

_CELLS = 1_000_000
"""Of the table: more would hold up all other clients."""


def _lcs(session: "Session", args: list[bytes]) -> Reply:
    keyspace = session.keyspace
    if any(keyspace.type_of(key) not in (None, "string") for key in args[1:3]):
        raise CommandError("ERR The specified keys must contain string values")
    told, least = _options(args[3:])
    if told >= {b"IDX", b"LEN"}:
        raise CommandError("ERR If you want both the length and indexes, please just use IDX.")
    one, other = (keyspace.text(key) or b"" for key in args[1:3])
    if len(one) * len(other) > _CELLS:
        raise CommandError(f"ERR the lengths of both values multiply to more than {_CELLS}")
    table = _lengths(one, other)
    if b"LEN" in told:
        return table[-1][-1]
    text, ranges = _walked(one, other, table)
    if b"IDX" not in told:
        return text
    matches: list[Reply] = []
    for first, last, start, stop in ranges:
        if last - first + 1 >= least:
            size = [last - first + 1] if b"WITHMATCHLEN" in told else []
            matches.append([[first, last], [start, stop], *size])
    return {b"matches": matches, b"len": len(text)}


def _options(words: list[bytes]) -> tuple[set[bytes], int]:
    """What was said, and MINMATCHLEN."""
    told: set[bytes] = set()
    least, at = 0, 0
    while at < len(words):
        word = words[at].upper()
        if word in (b"IDX", b"LEN", b"WITHMATCHLEN"):
            told.add(word)
        elif word == b"MINMATCHLEN" and at + 1 < len(words):
            at += 1
            least = integer(words[at])
        else:
            raise CommandError(SYNTAX)
        at += 1
    return told, least


def _lengths(one: bytes, other: bytes) -> list["array[int]"]:
    """For each beginning of ``one`` and of ``other`` how long what they have in common is."""
    row = array("l", bytes(array("l").itemsize * (len(other) + 1)))
    table = [row]
    for letter in one:
        above, row = row, array("l", [0])
        last = 0
        for at, same in enumerate(other, 1):
            last = above[at - 1] + 1 if same == letter else max(last, above[at])
            row.append(last)
        table.append(row)
    return table


def _walked(
    one: bytes, other: bytes, table: list["array[int]"]
) -> tuple[bytes, list[tuple[int, int, int, int]]]:
    """The text, and where it stands: (from, to) in one and in the other, the last part first."""
    at, beside = len(one), len(other)
    text = bytearray()
    ranges: list[tuple[int, int, int, int]] = []
    held: tuple[int, int, int, int] | None = None
    while at and beside:
        ends = False
        if one[at - 1] == other[beside - 1]:
            at, beside = at - 1, beside - 1
            text.append(one[at])
            if held is None:
                held = (at, at, beside, beside)
            elif (held[0], held[2]) == (at + 1, beside + 1):
                held = (at, held[1], beside, held[3])
            else:
                ends = True
            ends = ends or held[0] == 0 or held[2] == 0
        else:
            if table[at - 1][beside] > table[at][beside - 1]:
                at -= 1
            else:
                beside -= 1
            ends = held is not None
        if ends and held is not None:
            ranges.append(held)
            held = None
    return bytes(reversed(text)), ranges


ROWS = [
    Command(
        "lcs",
        _lcs,
        -3,
        "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
        "The longest text that two values have in common.",
        "7.0.0",
        "readonly",
        (1, 2, 1),
        HEAVY,
    )
]
