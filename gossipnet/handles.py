"""Typed handles: what one key holds, as a Python program wants to see it.

A handle is a key and where to read and write it, nothing more: making one costs nothing and says
nothing about what is there. Reads are dictionary reads of this node's view and need no ``await``;
writes return once they are durable. All may raise `WrongType` if the key holds another type, and
writes what `Node.write` raises. How concurrent writes end is in ``docs/guarantees.md``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, TypeVar, overload

from gossipnet.state.keyspace import Keyspace

T = TypeVar("T")
Key = bytes | str
"""Text is taken as UTF-8."""


class Writable(Protocol):
    """What handles need of a `gossipnet.node.Node`."""

    @property
    def keyspace(self) -> Keyspace:
        """All state."""
        ...

    async def write(self, change: Callable[[Keyspace], T]) -> T:
        """Make changes durable together."""
        ...


def _bytes(word: Key) -> bytes:
    return word.encode() if isinstance(word, str) else word


class Handle:
    """What all handles have.

    Args:
      node: Where to read and write.
      key: Which key.

    Attributes:
      key: The same, as bytes.
    """

    __slots__ = ("_node", "key")

    def __init__(self, node: Writable, key: Key) -> None:
        self._node = node
        self.key = _bytes(key)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key!r})"

    @property
    def _keyspace(self) -> Keyspace:
        return self._node.keyspace

    def exists(self) -> bool:
        """Whether the key is there, of whatever type."""
        return self._keyspace.exists(self.key)

    async def clear(self) -> bool:
        """Delete the key: what this node has seen of it; False if there was none."""
        return await self._node.write(lambda keyspace: keyspace.delete(self.key))

    async def expire(self, deadline_ms: int | None) -> None:
        """Let the key end at a unix time in milliseconds; None: never."""
        await self._node.write(lambda keyspace: keyspace.expire(self.key, deadline_ms))


class Register(Handle):
    """One value. Of concurrent assignments the latest shows."""

    __slots__ = ()

    def get(self) -> bytes | None:
        """The value, None if there is none."""
        return self._keyspace.get(self.key)

    async def set(self, value: Key) -> None:
        """Assign it."""
        await self._node.write(lambda keyspace: keyspace.set(self.key, _bytes(value)))


class Counter(Handle):
    """A number that all nodes add to; concurrent additions all count."""

    __slots__ = ()

    def value(self) -> int:
        """The sum; 0 if there is none. ``ValueError`` if it is no whole number."""
        return int(self._keyspace.get(self.key) or 0)

    def exact(self) -> Decimal:
        """The sum with its fraction."""
        return Decimal((self._keyspace.get(self.key) or b"0").decode())

    async def add(self, amount: int | Decimal = 1) -> Decimal:
        """Add, or take away; the sum as this node sees it then.

        Args:
          amount: A whole number, or a fraction of up to 17 decimal places.
        """
        if isinstance(amount, Decimal):
            fraction = amount
            text = await self._node.write(lambda k: k.increment_float(self.key, fraction))
            return Decimal(text.decode())
        whole = amount
        return Decimal(await self._node.write(lambda k: k.increment(self.key, whole)))


class Set(Handle):
    """Members without order. An addition beside a removal stays."""

    __slots__ = ()

    def __contains__(self, member: Key) -> bool:
        return self._keyspace.is_member(self.key, _bytes(member))

    def __len__(self) -> int:
        return self._keyspace.set_len(self.key)

    def __iter__(self) -> Iterator[bytes]:
        """Over the members of now: writing meanwhile changes nothing of it."""
        return iter(list(self._keyspace.members(self.key)))

    async def add(self, *members: Key) -> int:
        """Add members; how many are new here."""
        names = [_bytes(member) for member in members]
        return await self._node.write(lambda keyspace: keyspace.add(self.key, names))

    async def remove(self, *members: Key) -> int:
        """Remove members; how many were there."""
        names = [_bytes(member) for member in members]
        return await self._node.write(lambda keyspace: keyspace.remove(self.key, names))


class Map(Handle):
    """Values by field (a hash). Each field is a register or counter of its own."""

    __slots__ = ()

    def __contains__(self, field: Key) -> bool:
        return self._keyspace.hash_has(self.key, _bytes(field))

    def __len__(self) -> int:
        return self._keyspace.hash_len(self.key)

    def __iter__(self) -> Iterator[bytes]:
        """Over the names of the fields of now."""
        return iter(self._keyspace.hash_names(self.key))

    def get(self, field: Key) -> bytes | None:
        """The value of a field, None if it is not there."""
        return self._keyspace.hash_get(self.key, _bytes(field))

    def items(self) -> dict[bytes, bytes]:
        """All fields with their values: a copy."""
        return dict(self._keyspace.hash_items(self.key))

    async def set(self, field: Key, value: Key) -> None:
        """Assign one field."""
        await self.update({field: value})

    async def update(self, values: Mapping[Any, Key]) -> int:
        """Assign fields, all in one record; how many are new here."""
        pairs = [(_bytes(field), _bytes(value)) for field, value in values.items()]
        return await self._node.write(lambda keyspace: keyspace.hash_set(self.key, pairs))

    async def add(self, field: Key, amount: int = 1) -> int:
        """Add to a field; concurrent additions all count."""
        return await self._node.write(lambda k: k.hash_increment(self.key, _bytes(field), amount))

    async def remove(self, *fields: Key) -> int:
        """Remove fields; how many were there."""
        names = [_bytes(field) for field in fields]
        return await self._node.write(lambda keyspace: keyspace.hash_delete(self.key, names))


class SortedSet(Handle):
    """Members with scores, in their order. Concurrent additions to a score all count."""

    __slots__ = ()

    def __contains__(self, member: Key) -> bool:
        return _bytes(member) in self._keyspace.scores(self.key)

    def __len__(self) -> int:
        return len(self._keyspace.scores(self.key))

    def score(self, member: Key) -> float | None:
        """The score of a member, None if it is not there."""
        return self._keyspace.scores(self.key).get(_bytes(member))

    def ranked(self, start: int = 0, stop: int | None = None) -> list[tuple[bytes, float]]:
        """(member, score), the lowest first, from one rank up to, not including, another."""
        ranking = self._keyspace.ranking(self.key)
        low, high, _step = slice(start, stop).indices(len(ranking))
        return [(name, score) for score, name in ranking.slice(low, high)]

    async def set(self, scores: Mapping[Any, float]) -> int:
        """Assign scores, all in one record; how many members are new here."""
        pairs = [(_bytes(member), float(score)) for member, score in scores.items()]
        return await self._node.write(lambda keyspace: keyspace.score_set(self.key, pairs))

    async def add(self, member: Key, amount: float = 1.0) -> float:
        """Add to a score; the score as this node sees it then."""
        name = _bytes(member)
        return await self._node.write(lambda k: k.score_increment(self.key, name, amount))

    async def remove(self, *members: Key) -> int:
        """Remove members; how many were there."""
        names = [_bytes(member) for member in members]
        return await self._node.write(lambda keyspace: keyspace.score_remove(self.key, names))


class List(Handle):
    """Elements in an order that is the same everywhere. Two nodes may pop the same one."""

    __slots__ = ()

    def __len__(self) -> int:
        return self._keyspace.list_len(self.key)

    def __iter__(self) -> Iterator[bytes]:
        """Over the elements of now."""
        return iter(self[:])

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            low, high, step = index.indices(len(self))
            if step != 1:
                return [self[at] for at in range(low, high, step)]
            return self._keyspace.list_slice(self.key, low, high)
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(index)
        return self._keyspace.list_slice(self.key, at, at + 1)[0]

    async def append(self, *elements: Key) -> int:
        """Add at the right end, in this order; the new length."""
        values = [_bytes(element) for element in elements]
        return await self._node.write(lambda keyspace: keyspace.list_push(self.key, values))

    async def insert(self, index: int, *elements: Key) -> int:
        """Add before the element that has this index now; the new length."""
        values = [_bytes(element) for element in elements]
        count = len(self)
        at = min(max(index + count if index < 0 else index, 0), count)
        return await self._node.write(lambda k: k.list_insert(self.key, at, values))

    async def pop(self, *, left: bool = False) -> bytes | None:
        """Take an element from an end, None if there is none."""
        popped = await self._node.write(lambda keyspace: keyspace.list_pop(self.key, left=left))
        return popped[0] if popped else None


class StreamEntry(NamedTuple):
    """One entry of a stream.

    Attributes:
      id: ``MS-SEQ``; the second part tells which node added it.
      fields: Names and values.
    """

    id: str
    fields: dict[bytes, bytes]


class Stream(Handle):
    """Entries that are only added, in the order of their ids."""

    __slots__ = ()

    def __len__(self) -> int:
        stream = self._keyspace.stream(self.key)
        return 0 if stream is None else len(stream.entries)

    def entries(self, after: str = "0-0") -> list[StreamEntry]:
        """All entries above an id."""
        stream = self._keyspace.stream(self.key)
        if stream is None:
            return []
        ms, _dash, seq = after.partition("-")
        start = stream.entries.rank((int(ms), int(seq or 0) + 1))
        return [_shown(entry) for entry in stream.entries.slice(start, len(stream.entries))]

    async def add(self, fields: Mapping[Any, Key]) -> str:
        """Add an entry; its id."""
        words = [_bytes(word) for pair in fields.items() for word in pair]
        ms, seq = await self._node.write(lambda k: k.stream_add(self.key, None, words))
        return f"{ms}-{seq}"

    async def remove(self, ids: Iterable[str]) -> int:
        """Remove entries; how many were there."""
        parts = [one.partition("-") for one in ids]
        named = [(int(ms), int(seq or 0)) for ms, _dash, seq in parts]
        return await self._node.write(lambda keyspace: keyspace.stream_delete(self.key, named))


def _shown(entry: tuple[Any, ...]) -> StreamEntry:
    words = entry[4]
    return StreamEntry(f"{entry[0]}-{entry[1]}", dict(zip(words[::2], words[1::2], strict=True)))
