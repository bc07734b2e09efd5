"""Taking elements from the ends of lists and sorted sets: for commands that wait, and others."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gossipnet.resp.numbers import integer
from gossipnet.resp.options import SYNTAX, check_writable
from gossipnet.resp.replies import CommandError
from gossipnet.resp.scored import Pairs

if TYPE_CHECKING:
    from gossipnet.resp.session import Session


# ---------------------------------------------------------------- words


def numbered_keys(args: list[bytes], at: int) -> tuple[list[bytes], list[bytes]]:
    """(keys, words behind them) of a command that says at ``at`` how many keys follow."""
    count = integer(args[at], 1, error="ERR numkeys should be greater than 0")
    keys, rest = args[at + 1 : at + 1 + count], args[at + 1 + count :]
    if not rest:
        raise CommandError(SYNTAX)
    return keys, rest


def pop_options(rest: list[bytes], ends: tuple[bytes, bytes]) -> tuple[bool, int]:
    """(whether the second of two ends is meant, COUNT) of LMPOP and its like."""
    end = rest[0].upper()
    if end not in ends:
        raise CommandError(SYNTAX)
    if len(rest) == 1:
        return end == ends[1], 1
    if len(rest) < 3 or rest[1].upper() != b"COUNT":
        raise CommandError(SYNTAX)
    count = integer(rest[2], 1, error="ERR count should be greater than 0")
    if len(rest) > 3:
        raise CommandError(SYNTAX)
    return end == ends[1], count


def is_left(word: bytes) -> bool:
    """Whether LEFT is said, and not RIGHT."""
    if word.upper() not in (b"LEFT", b"RIGHT"):
        raise CommandError(SYNTAX)
    return word.upper() == b"LEFT"


# ---------------------------------------------------------------- lists


def first_popped(
    session: "Session", keys: Sequence[bytes], count: int, *, left: bool, lenient: bool = False
) -> tuple[bytes, list[bytes]] | None:
    """(key, elements) of the first list that has any.

    Args:
      session: Who pops.
      keys: Of lists.
      count: The most to take.
      left: From which end.
      lenient: Pass over keys of other types instead of raising `WrongType`.
    """
    keyspace = session.keyspace
    for key in keys:
        if lenient and keyspace.type_of(key) != "list":
            continue
        popped = keyspace.list_pop(key, count, left=left)
        if popped:
            return key, popped
    return None


def moved(
    session: "Session",
    source: bytes,
    target: bytes,
    *,
    taken: bool,
    put: bool,
    lenient: bool = False,
) -> bytes | None:
    """LMOVE: what was moved, None if there is nothing; ``taken`` and ``put`` are true for left."""
    keyspace = session.keyspace
    if lenient and keyspace.type_of(source) != "list":
        return None
    if not keyspace.list_len(source):
        return None
    keyspace.list_len(target)  # refuses another type before anything is changed
    check_writable(session, [source, target])
    with keyspace.atomic():
        (element,) = keyspace.list_pop(source, left=taken)
        keyspace.list_push(target, [element], left=put)
    return element


# ---------------------------------------------------------------- sorted sets


def pop_scored(session: "Session", key: bytes, count: int, *, highest: bool) -> Pairs:
    """Take the members with the lowest scores, or the highest."""
    keyspace = session.keyspace
    ranking = keyspace.ranking(key)
    count = min(count, len(ranking))
    if highest:
        found = ranking.slice(len(ranking) - count, len(ranking))[::-1]
    else:
        found = ranking.slice(0, count)
    keyspace.score_remove(key, [name for _score, name in found])
    return [(name, score) for score, name in found]


def first_scored(
    session: "Session", keys: Sequence[bytes], count: int, *, highest: bool, lenient: bool = False
) -> tuple[bytes, Pairs] | None:
    """(key, members with scores) of the first sorted set that has any; as `first_popped`."""
    for key in keys:
        if lenient and session.keyspace.type_of(key) != "zset":
            continue
        pairs = pop_scored(session, key, count, highest=highest)
        if pairs:
            return key, pairs
    return None
