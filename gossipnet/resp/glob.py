r"""Redis's glob patterns: what ``stringmatchlen`` of util.c accepts, at a cost that is bounded.

``*`` any bytes, ``?`` one byte, ``[a-c]`` and ``[^a-c]`` one of some, ``\`` takes the next byte as
it is. Redis tries every way to split the text between stars. Here each piece between two stars is
looked for once, from the left: plain pieces by the search of `bytes`, others by one machine word
operation for 64 places of the piece and byte of text (Baeza-Yates and Gonnet 1992, "shift-and").
A pattern that is no plain name has a limit, so that no text costs more than that times a constant.
"""

from collections.abc import Callable

from gossipnet.resp.limits import PATTERN_PLACES
from gossipnet.resp.replies import CommandError

_Step = frozenset[int] | None
"""One place of a pattern: the bytes that it takes, or None for a star."""
_ANY = frozenset(range(256))


def matcher(pattern: bytes) -> Callable[[bytes], bool]:
    """A function that says whether a text matches ``pattern`` as a whole.

    Raises:
      CommandError: It is longer than `PATTERN_PLACES`.
    """
    if pattern.strip(b"*") == b"" and pattern:
        return _everything
    special = next((at for at, byte in enumerate(pattern) if byte in b"*?[\\"), None)
    if special is None:
        return pattern.__eq__
    if special == len(pattern) - 1 and pattern.endswith(b"*"):
        start = pattern[:-1]
        return lambda text: text.startswith(start)
    steps = _steps(pattern)
    if len(steps) > PATTERN_PLACES:
        raise CommandError(f"ERR pattern is longer than {PATTERN_PLACES} places")
    pieces: list[list[frozenset[int]]] = [[]]
    for step in steps:
        if step is None:
            pieces.append([])
        else:
            pieces[-1].append(step)
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return lambda text: len(text) == len(first) and _fits(first, text, 0)
    between = [_searcher(piece) for piece in pieces[1:-1] if piece]
    shortest = len(first) + len(last)

    def matches(text: bytes) -> bool:
        end = len(text) - len(last)
        if len(text) < shortest or not _fits(first, text, 0) or not _fits(last, text, end):
            return False
        at = len(first)
        for search in between:
            at = search(text, at, end)
            if at < 0:
                return False
        return True

    return matches


def _everything(_text: bytes) -> bool:
    return True


def _steps(pattern: bytes) -> list[_Step]:
    steps: list[_Step] = []
    at = 0
    while at < len(pattern):
        byte = pattern[at]
        if byte == 42:  # *
            if not steps or steps[-1] is not None:
                steps.append(None)
        elif byte == 63:  # ?
            steps.append(_ANY)
        elif byte == 91:  # [
            some, at = _class(pattern, at + 1)
            steps.append(some)
        else:
            if byte == 92 and at + 1 < len(pattern):  # backslash
                at += 1
            steps.append(frozenset((pattern[at],)))
        at += 1
    return steps


def _class(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """The bytes of a class, and where its ``]`` stands; like Redis, the end closes it too."""
    inverted = pattern[at : at + 1] == b"^"
    at += inverted
    chosen: set[int] = set()
    while at < len(pattern) and pattern[at] != 93:  # ]
        if pattern[at] == 92 and at + 1 < len(pattern):
            at += 1
            chosen.add(pattern[at])
        elif at + 2 < len(pattern) and pattern[at + 1] == 45:  # -
            low, high = sorted((pattern[at], pattern[at + 2]))
            chosen.update(range(low, high + 1))
            at += 2
        else:
            chosen.add(pattern[at])
        at += 1
    return (_ANY - chosen if inverted else frozenset(chosen)), at


def _fits(piece: list[frozenset[int]], text: bytes, at: int) -> bool:
    return all(text[at + place] in wanted for place, wanted in enumerate(piece))


def _searcher(piece: list[frozenset[int]]) -> Callable[[bytes, int, int], int]:
    """A function of text, start and end: where the leftmost match ends, or -1."""
    size = len(piece)
    if all(len(wanted) == 1 for wanted in piece):
        plain = bytes(next(iter(wanted)) for wanted in piece)

        def find(text: bytes, start: int, end: int) -> int:
            found = text.find(plain, start, end)
            return -1 if found < 0 else found + size

        return find

    masks = [0] * 256
    for place, wanted in enumerate(piece):
        for byte in wanted:
            masks[byte] |= 1 << place
    done = 1 << (size - 1)

    def shift_and(text: bytes, start: int, end: int) -> int:
        state = 0
        for at in range(start, end):
            state = (state << 1 | 1) & masks[text[at]]
            if state & done:
                return at + 1
        return -1

    return shift_and
