"""The keyspace: what local commands read and write, all data types together.

Reads show this node's view at once. Writes are visible here at once and durable when the record
that will hold them is. This module adds sets and what works on keys of any type.
"""

import random
from collections.abc import Collection, Iterable

from gossipnet.state.batch import Batch
from gossipnet.state.dots import Seen, see
from gossipnet.state.errors import NoSuchKey, WrongType
from gossipnet.state.hashes import Hashes
from gossipnet.state.operations import SetAdd, SetRemove
from gossipnet.state.types.entry import Compound
from gossipnet.state.types.members import Members, dots_of

_CHUNK = 1024
"""Members in one operation when a whole set is written anew."""


class Keyspace(Hashes):
    """All keys."""

    # -- any type ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def exists(self, key: bytes) -> bool:
        """Whether the key shows."""
        return key in self.entries

    def keys(self) -> Iterable[bytes]:
        """All keys that show."""
        return self.entries.keys()

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """One page of keys from ``cursor`` on; the next cursor is 0 at the end."""
        return self._order.page(cursor, count, self.entries)

    def random_key(self, rng: random.Random) -> bytes | None:
        """Any key, or None if there is none."""
        return self._order.pick(rng, self.entries)

    def delete(self, key: bytes) -> bool:
        """Remove a key; whether it was there."""
        entry = self.entries.get(key)
        if entry is None:
            return False
        self._clear(self._begin(key, 0), key, entry)
        return True

    def rename(self, source: bytes, target: bytes) -> None:
        """Move a key onto another, deadline included; raises `NoSuchKey`.

        Concurrent writes to the old name stay there: it is a removal of what was seen and a new
        key, in one record.
        """
        with self.atomic():
            self.copy(source, target)
            if source != target:
                self.delete(source)

    def copy(self, source: bytes, target: bytes) -> None:
        """Write what a key shows to another one, in its place; raises `NoSuchKey`."""
        entry = self.entries.get(source)
        if entry is None:
            raise NoSuchKey
        if source == target:
            return
        deadline = self.deadline_of(source)
        with self.atomic():
            kind = self.type_of(source)
            if kind == "string":
                value = self.get(source)
                assert value is not None
                self.set(target, value)
            elif kind == "hash":
                pairs = self.hash_items(source)
                size = sum(len(name) + len(value) + 16 for name, value in pairs)
                self._replace(target, size)
                self.hash_set(target, pairs)
            else:
                self.store_set(target, list(self.members(source)))
            if deadline is not None:
                self.expire(target, deadline)

    def _replace(self, key: bytes, size: int) -> Batch:
        """Make sure of room for what comes, then remove what is there."""
        batch = self._begin(key, size)
        entry = self._raw(key)
        if entry is not None:
            self._clear(batch, key, entry)
        return batch

    # -- sets ----------------------------------------------------------------------------------

    def members(self, key: bytes) -> Collection[bytes]:
        """All members; empty if there is no such key."""
        return self._members(key).keys()

    def _members(self, key: bytes) -> Members:
        entry = self.entries.get(key)
        if entry is None:
            return {}
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
