"""Changes of keys as an async iterator, for programs that embed a node.

The keyspace tells one listener; `Changes` shares it out. Whoever reads too slowly is told so and
has to look at the state again, for what waits is bounded.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import trio

from gossipnet.errors import UserError
from gossipnet.ids import NodeId, text
from gossipnet.state.clock import stamp_ms
from gossipnet.state.keyspace import Keyspace

WAITING = 10_000
"""Changes that one reader may leave unread."""


class ChangesLost(UserError):
    """The reader was too slow: it has missed changes. Read the state, and begin anew."""


class Change(NamedTuple):
    """One change of one key, by anybody.

    Attributes:
      key: Which.
      event: As Redis's keyspace notifications name it: ``set``, ``sadd``, ``del``, ``expired``...
      author: Node id of whoever made it, as text; empty where the clock did.
      wall_ms: When it was made, unix milliseconds, by the author's hybrid clock.
    """

    key: bytes
    event: str
    author: str
    wall_ms: int


class Reader:
    """One reader's iterator: ``async for change in reader``."""

    def __init__(self, matches: Callable[[bytes], bool]) -> None:
        self.matches = matches
        self._waiting: deque[Change] = deque()
        self._arrived = trio.Event()
        self._lost = False

    def put(self, change: Change) -> None:
        """Queue a change."""
        if len(self._waiting) >= WAITING:
            self._lost = True
            self._waiting.clear()
        elif not self._lost:
            self._waiting.append(change)
        self._arrived.set()

    def __aiter__(self) -> "Reader":
        return self

    async def __anext__(self) -> Change:
        """The next change; waits for it.

        Raises:
          ChangesLost: More than `WAITING` were left unread.
        """
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self._lost:
                raise ChangesLost(f"more than {WAITING} changes were left unread")
            self._arrived = trio.Event()
            await self._arrived.wait()
        return self._waiting.popleft()


class Changes:
    """Shares a keyspace's changes out to readers; costs nothing while there are none."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._readers: dict[Reader, None] = {}

    def open(self, prefix: bytes) -> Reader:
        """A reader of the changes of keys that begin with ``prefix``."""
        reader = Reader(lambda key: key.startswith(prefix))
        self._readers[reader] = None
        self._keyspace.on_change = self._tell
        return reader

    def close(self, reader: Reader) -> None:
        """It reads no more."""
        del self._readers[reader]
        if not self._readers:
            self._keyspace.on_change = None

    def _tell(self, key: bytes, event: str, log: int, stamp: int) -> None:
        readers = [reader for reader in self._readers if reader.matches(key)]
        if not readers:
            return
        keyspace = self._keyspace
        author: NodeId | None = keyspace.logs.by_number[log].author if log >= 0 else None
        wall_ms = stamp_ms(stamp) if author is not None else keyspace.wall_ms
        change = Change(key, event, "" if author is None else text(author), wall_ms)
        for reader in readers:
            reader.put(change)
