"""Sets: what their operations do, reads and local writes."""

from collections.abc import Collection, Iterable

from gossipnet.state.core import Apply, Core
from gossipnet.state.dots import Seen, see
from gossipnet.state.errors import WrongType
from gossipnet.state.operations import SetAdd, SetRemove
from gossipnet.state.references import seen_of
from gossipnet.state.types import members as rules
from gossipnet.state.types.entry import Compound, compound_of
from gossipnet.state.types.members import Members, dots_of
from gossipnet.state.writer import Writer

_CHUNK = 1024
"""Members in one operation when a whole set is written anew."""


class Sets(Writer):
    """The part of the keyspace that holds sets."""

    def members(self, key: bytes) -> Collection[bytes]:
        """All members; empty if there is no such key."""
        return self._members(key).keys()

    def _members(self, key: bytes) -> Members:
        entry = self.entries.get(key)
        if entry is None:
            return Members()
        if not isinstance(entry, Compound) or entry.kind() != "set" or entry.members is None:
            raise WrongType
        return entry.members

    def is_member(self, key: bytes, member: bytes) -> bool:
        """Whether the set has this member."""
        return member in self._members(key)

    def set_len(self, key: bytes) -> int:
        """How many members."""
        return len(self._members(key))

    def add(self, key: bytes, members: Iterable[bytes]) -> int:
        """Add members; how many are new.

        Those that are there get a new dot, so that they survive a concurrent removal.
        """
        held = self._members(key)
        names = list(dict.fromkeys(members))
        size = sum(len(name) + 8 for name in names)
        batch = self._begin(key, size)
        self._bury(batch, key)
        new = sum(1 for name in names if name not in held)
        seen = _seen_of_members(held, names)
        self._do(batch, SetAdd(key, names, batch.seen(seen)), size + len(key))
        return new

    def remove(self, key: bytes, members: Iterable[bytes]) -> int:
        """Remove members; how many were there."""
        held = self._members(key)
        names = [name for name in dict.fromkeys(members) if name in held]
        if not names:
            return 0
        size = sum(len(name) + 8 for name in names)
        batch = self._begin(key, size)
        seen = _seen_of_members(held, names)
        self._do(batch, SetRemove(key, names, batch.seen(seen)), size + len(key))
        return len(names)

    def store_set(self, key: bytes, members: Collection[bytes]) -> None:
        """Replace whatever the key holds by a set (SUNIONSTORE and its like)."""
        names = list(members)
        size = sum(len(name) + 8 for name in names)
        with self.atomic():
            self._replace(key, size)
            for start in range(0, len(names), _CHUNK):
                self.add(key, names[start : start + _CHUNK])


def _seen_of_members(held: Members, names: Iterable[bytes]) -> Seen:
    seen: Seen = {}
    for name in names:
        see(seen, dots_of(held.get(name)))
    return seen


# ---------------------------------------------------------------- what operations do


def apply_add(core: Core, op: SetAdd, table: list[int], dot: int) -> str:
    """Add members."""
    compound = compound_of(core.raw(op.key))
    if compound.members is None:
        compound.members = Members()
    if rules.add(compound.members, op.members, dot, seen_of(op.seen, table, dot)):
        crowded = next(name for name in op.members if not isinstance(compound.members[name], int))
        core.note("set", op.key, dots_of(compound.members[crowded]), crowded)
    core.settle(op.key, compound)
    return "sadd"


def apply_remove(core: Core, op: SetRemove, table: list[int], dot: int) -> str:
    """Remove what was seen of members."""
    entry = core.raw(op.key)
    if not isinstance(entry, Compound) or entry.members is None:
        return ""
    rules.remove(entry.members, op.members, seen_of(op.seen, table, dot))
    for name in op.members:
        if name in entry.members:
            core.note("remove", op.key, dots_of(entry.members[name]), name)
    core.settle(op.key, entry)
    return "srem"


APPLY: dict[type, Apply] = {SetAdd: apply_add, SetRemove: apply_remove}
