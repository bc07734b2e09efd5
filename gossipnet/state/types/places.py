"""Where an element of a list stands: a place of its own that never changes and needs no neighbour.

A place is a path of steps (number, log id, offset), flat in one tuple, and a list is its elements
in the order of their places: a path sorts before what it is the beginning of. RPUSH takes the
number after the last one's, LPUSH the one before the first's, and an author that goes on where it
pushed last counts the offset instead, so that what one author pushes stays together beside what
others push meanwhile. Between two places there is always another one, a step deeper if need be
(Logoot, Weiss et al. 2009; the runs are those of Weidner's position strings, 2023).

Why not the left neighbour's name, as in RGA (Roh et al. 2011)? A neighbour may be removed, or void,
before the insertion arrives, so that something has to stay in its place until nobody can name it
any more. A place can be found without it.
"""

from typing import Any

from gossipnet.state.errors import KeyspaceError

Path = tuple[Any, ...]
"""number, log id, offset, number, log id, offset, ..."""

OFFSET_MAX = 1 << 50
STRIDE = 1 << 20
"""Room left between neighbours below the first step; lists grow at their ends, so not there."""
DEPTH_MAX = 256
"""Steps of a path: 500 insertions, each between the two before it, find a place at worst."""


class NoPlace(KeyspaceError):
    """Somebody used up the numbers on one side, or all depth at one spot."""

    def __init__(self) -> None:
        super().__init__("there is no place left at this end of the list: write the list anew")


def place(before: Path | None, behind: Path | None, own: bytes, count: int = 1) -> Path:
    """A place for ``count`` elements, the first of them, between two that stand side by side.

    The others follow it offset by offset.

    Args:
      before: The element that comes before, None at the left end.
      behind: The element that comes behind, None at the right end.
      own: Id of the log that inserts.
      count: How many there will be.

    Raises:
      NoPlace: See there.
    """
    if before is None and behind is None:
        found: Path = (0, own, 0)
    elif before is None:
        assert behind is not None
        number, log, offset = behind[:3]
        found = (number, own, offset - count) if log == own else (number - 1, own, 0)
    elif behind is None:
        number, log, offset = before[:3]
        found = (number, own, offset + 1) if log == own else (number + 1, own, 0)
    else:
        found = _between(before, behind, own, count)
    if len(found) > 3 * DEPTH_MAX or any(
        abs(one) > OFFSET_MAX - count for one in (found[-3], found[-1])
    ):
        raise NoPlace
    return found


def _between(before: Path, behind: Path, own: bytes, count: int) -> Path:
    """The shallowest place there is; going on with the own run if that is possible."""
    *begin, offset = before
    *other, other_offset = behind
    stride = 1 if len(before) == 3 else STRIDE
    if begin[-1] == own and begin == other:
        room = other_offset - offset - 1 - count
        if room >= 0:
            return (*begin, offset + 1 + room // 2)
    elif begin[-1] == own and (*begin, offset + stride + count) < behind:
        return (*begin, offset + stride)
    elif other[-1] == own and before < (*other, other_offset - stride - count):
        return (*other, other_offset - stride - count)
    depth = 0
    while before[depth : depth + 3] == behind[depth : depth + 3] and depth < len(before):
        depth += 3
    if depth == len(before):  # the one behind lies deeper, under the one before
        number = behind[depth] - STRIDE if depth < len(behind) else 0
        return (*before, number, own, 0)
    if len(before) > depth + 3:
        return (*before[:-3], before[-3] + STRIDE, own, 0)
    if behind[depth] - before[depth] > 1:
        return (*before[:depth], (before[depth] + behind[depth]) // 2, own, 0)
    if len(behind) > depth + 3:
        return (*behind[:-3], behind[-3] - STRIDE, own, 0)
    return (*before, 0, own, 0)
