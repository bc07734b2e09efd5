r"""Redis's glob patterns: what ``stringmatchlen`` of util.c accepts, in linear memory and time.

``*`` any bytes, ``?`` one byte, ``[a-c]`` and ``[^a-c]`` one of some, ``\`` takes the next byte as
it is. Redis tries every way to split the text between stars; here the last star alone is tried
again, which is enough, so that ``a*a*a*a*b`` costs at most pattern times text.
"""

from collections.abc import Callable

_Step = frozenset[int] | None
"""One place of a pattern: the bytes that it takes, or None for a star."""
_ANY = frozenset(range(256))
_NONE = frozenset[int]()


def matcher(pattern: bytes) -> Callable[[bytes], bool]:
    """A function that says whether a text matches ``pattern`` as a whole."""
    if pattern.strip(b"*") == b"" and pattern:
        return _everything
    special = next((at for at, byte in enumerate(pattern) if byte in b"*?[\\"), None)
    if special is None:
        return pattern.__eq__
    if special == len(pattern) - 1 and pattern.endswith(b"*"):
        start = pattern[:-1]
        return lambda text: text.startswith(start)
    steps = _steps(pattern)
    return lambda text: _matches(steps, text)


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


def _matches(steps: list[_Step], text: bytes) -> bool:
    step, at = 0, 0
    star, star_at = -1, 0
    while at < len(text):
        wanted = steps[step] if step < len(steps) else _NONE
        if wanted is None:
            star, star_at = step, at
            step += 1
        elif text[at] in wanted:
            step += 1
            at += 1
        elif star >= 0:
            star_at += 1
            step, at = star + 1, star_at
        else:
            return False
    return all(wanted is None for wanted in steps[step:])
