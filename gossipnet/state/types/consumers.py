"""Who of this node's clients reads what of one consumer group; nothing of it is replicated.

Entries that were given out and not acknowledged are pending. A restart forgets all of this: what
was not acknowledged up to then is then given out again.
"""

from collections.abc import Iterator

from gossipnet.state.types.ordered import Ordered

Id = tuple[int, int]


class Pending:
    """One entry that was given out.

    Attributes:
      consumer: To whom.
      given_ms: When, unix ms.
      count: How often.
    """

    __slots__ = ("consumer", "count", "given_ms")

    def __init__(self, consumer: bytes, given_ms: int, count: int) -> None:
        self.consumer = consumer
        self.given_ms = given_ms
        self.count = count


class Consumer:
    """One reader.

    Attributes:
      seen_ms: When it last asked for anything, unix ms.
      pending: How many entries it holds.
    """

    __slots__ = ("pending", "seen_ms")

    def __init__(self, seen_ms: int) -> None:
        self.seen_ms = seen_ms
        self.pending = 0


class Consumers:
    """The readers of one group on this node.

    Attributes:
      last: The newest entry that was given out here.
      acked: What all nodes know to be acknowledged, as of the last look.
      read: How many entries that were, as far as known.
      readers: By name.
    """

    __slots__ = ("_ids", "_pending", "acked", "last", "read", "readers")

    def __init__(self, last: Id, acked: Id) -> None:
        self.last = last
        self.acked = acked
        self.read: int | None = None
        self.readers: dict[bytes, Consumer] = {}
        self._pending: dict[Id, Pending] = {}
        self._ids: Ordered[Id] = Ordered()

    def __len__(self) -> int:
        return len(self._pending)

    def reader(self, name: bytes, now_ms: int) -> Consumer:
        """A reader that is there from now on."""
        reader = self.readers.get(name)
        if reader is None:
            reader = self.readers[name] = Consumer(now_ms)
        reader.seen_ms = now_ms
        return reader

    def forget(self, name: bytes) -> int:
        """XGROUP DELCONSUMER: a reader and what it holds; how much that was."""
        if self.readers.pop(name, None) is None:
            return 0
        held = [one for one, pending in self._pending.items() if pending.consumer == name]
        for one in held:
            del self._pending[one]
            self._ids.remove(one)
        return len(held)

    def give(self, one: Id, consumer: bytes, now_ms: int) -> None:
        """An entry was given out."""
        self.put(one, Pending(consumer, now_ms, 1))

    def put(self, one: Id, pending: Pending) -> None:
        """An entry is held by a reader; instead of whoever held it."""
        before = self._pending.get(one)
        if before is None:
            self._ids.add(one)
        elif before.consumer in self.readers:
            self.readers[before.consumer].pending -= 1
        self._pending[one] = pending
        self.readers[pending.consumer].pending += 1

    def take(self, one: Id) -> bool:
        """XACK: an entry is no longer pending; whether it was."""
        pending = self._pending.pop(one, None)
        if pending is None:
            return False
        self._ids.remove(one)
        self.readers[pending.consumer].pending -= 1
        return True

    def pending(self, one: Id) -> Pending | None:
        """Who holds an entry."""
        return self._pending.get(one)

    def held(self, first: Id, last: Id) -> Iterator[tuple[Id, Pending]]:
        """Pending entries by id, from ``first`` to ``last``; take what you need before a change."""
        rank = self._ids.rank(first)
        while rank < len(self._ids):
            one = self._ids[rank]
            if one > last:
                return
            yield one, self._pending[one]
            rank += 1

    def oldest(self) -> Id | None:
        """The lowest id that is pending."""
        return self._ids[0] if self._pending else None
