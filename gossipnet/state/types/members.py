"""Sets: members with the dots that added them (optimized OR-set, arXiv 1210.3368).

Adding wins over a concurrent removal, because a removal only takes the dots it had seen. A member
nearly always has one dot, which is kept as a plain int; several concurrent ones are a tuple.
"""

from collections.abc import Iterable, Iterator

from gossipnet.state.dots import Seen, covers
from gossipnet.state.types.index import Index, in_vain


class Members(dict[bytes, int | tuple[int, ...]]):
    """One set.

    Attributes:
      index: See `types.index`; None until it is needed.
    """

    __slots__ = ("index",)

    def __init__(self) -> None:
        super().__init__()
        self.index: Index | None = None


def dots_of(held: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The dots of one member, none if it is not there."""
    if held is None:
        return ()
    return (held,) if isinstance(held, int) else held


def all_dots(members: Members) -> Iterator[int]:
    """Every dot of a set."""
    for held in members.values():
        if isinstance(held, int):
            yield held
        else:
            yield from held


def add(members: Members, names: Iterable[bytes], dot: int, seen: Seen) -> bool:
    """Add members under one dot, replacing the dots that were seen; whether any stayed beside."""
    crowded = False
    index = members.index
    for name in names:
        if index is not None:
            index.add(dot, name)
        held = members.get(name)
        if held is None or (isinstance(held, int) and covers(seen, held)):
            members[name] = dot
            continue
        kept = tuple(other for other in dots_of(held) if not covers(seen, other) and other != dot)
        members[name] = (*kept, dot) if kept else dot
        crowded = crowded or bool(kept)
    if index is not None and index.crowded:
        members.index = None
    return crowded


def remove(members: Members, names: Iterable[bytes], seen: Seen) -> None:
    """Take away the dots that were seen; a member without dots is gone."""
    for name in names:
        held = members.get(name)
        if held is None:
            continue
        kept = tuple(dot for dot in dots_of(held) if not covers(seen, dot))
        if not kept:
            del members[name]
        else:
            members[name] = kept[0] if len(kept) == 1 else kept


def remove_all(members: Members, seen: Seen) -> None:
    """DEL: take away the dots that were seen, of all members."""
    if members.index is not None:
        remove(members, members.index.covered(seen), seen)
        return
    before = len(members)
    remove(members, list(members), seen)
    if in_vain(before, len(members)):
        members.index = Index((dot, name) for name in members for dot in dots_of(members[name]))
