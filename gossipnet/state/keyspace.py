"""The keyspace: what local commands read and write, all data types together.

Reads show this node's view at once. Writes are visible here at once and durable when the record
that will hold them is. Each type is a file; this one adds what works on keys of any type.
"""

import random
from collections.abc import Callable, Iterable

from gossipnet.state import hashes, hyperloglogs, lists, sets, sorted_sets, streams, strings
from gossipnet.state.batch import Batch
from gossipnet.state.core import Apply, Core
from gossipnet.state.errors import NoSuchKey
from gossipnet.state.hashes import Hashes
from gossipnet.state.hyperloglogs import HyperLogLogs
from gossipnet.state.lists import Lists
from gossipnet.state.logs import Logs
from gossipnet.state.operations import Delete
from gossipnet.state.references import seen_of
from gossipnet.state.sets import Sets
from gossipnet.state.sorted_sets import SortedSets
from gossipnet.state.streams import Streams
from gossipnet.state.types import members
from gossipnet.state.types.entry import compound_of, kind_of


class Keyspace(HyperLogLogs, Hashes, Sets, SortedSets, Lists, Streams):
    """All keys."""

    def __init__(self, logs: Logs, open_batch: Callable[[bool], Batch]) -> None:
        super().__init__(logs, open_batch, APPLY)

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
            _COPY[kind_of(entry) or "string"](self, source, target)
            if deadline is not None:
                self.expire(target, deadline)


def _copy_string(keyspace: Keyspace, source: bytes, target: bytes) -> None:
    value = keyspace.get(source)
    assert value is not None
    keyspace.set(target, value)


def _copy_hash(keyspace: Keyspace, source: bytes, target: bytes) -> None:
    ends = {name: keyspace.hash_deadline(source, name) for name in keyspace.hash_names(source)}
    keyspace.store_hash(target, keyspace.hash_items(source))
    for name, deadline in ends.items():
        if deadline is not None:
            keyspace.hash_expire(target, [name], deadline)


def _copy_set(keyspace: Keyspace, source: bytes, target: bytes) -> None:
    keyspace.store_set(target, list(keyspace.members(source)))


def _copy_scores(keyspace: Keyspace, source: bytes, target: bytes) -> None:
    keyspace.store_scores(target, list(keyspace.scores(source).items()))


def _copy_list(keyspace: Keyspace, source: bytes, target: bytes) -> None:
    keyspace.store_list(target, keyspace.list_slice(source, 0, keyspace.list_len(source)))


def _copy_sketch(keyspace: Keyspace, source: bytes, target: bytes) -> None:
    keyspace.store_sketch(target, keyspace.sketch_ranks(source))


def _copy_stream(keyspace: Keyspace, source: bytes, target: bytes) -> None:
    held = keyspace.stream(source)
    assert held is not None
    keyspace.store_stream(target, held)


_COPY: dict[str, Callable[[Keyspace, bytes, bytes], None]] = {
    "string": _copy_string,
    "hyperloglog": _copy_sketch,
    "stream": _copy_stream,
    "hash": _copy_hash,
    "set": _copy_set,
    "zset": _copy_scores,
    "list": _copy_list,
}
"""Write what a key shows to another one, in its place; by type."""


def apply_delete(core: Core, op: Delete, table: list[int], dot: int) -> str:
    """Remove what was seen of a key, whatever its type."""
    entry = core.raw(op.key)
    if entry is None:
        return ""
    compound = compound_of(entry)
    seen = seen_of(op.seen, table, dot)
    if compound.string is not None:
        compound.string.remove(seen, core.order_of)
    hashes.remove_all(core, op.key, compound, seen)
    if compound.members is not None:
        members.remove_all(compound.members, seen)
    for part in (compound.parts or {}).values():
        part.remove(seen, core.order_of)
    if compound.expiry is not None:
        compound.expiry.remove(seen)
    core.settle(op.key, compound)
    if op.key in core.entries:
        core.note("delete", op.key, compound.dots())
    return "del"


APPLY: dict[type, Apply] = {
    Delete: apply_delete,
    **strings.APPLY,
    **hashes.APPLY,
    **sets.APPLY,
    **hyperloglogs.APPLY,
    **streams.APPLY,
    **sorted_sets.APPLY,
    **lists.APPLY,
}
