"""What every local write has in common: permission, room in the record, and the open batch.

A write is refused before it changes anything; once it is accepted its operations go into the open
batch and are applied at once. Knows no data type.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from gossipnet.state.batch import Batch
from gossipnet.state.clock import stamp_ms
from gossipnet.state.core import Apply, Core
from gossipnet.state.dots import Seen, see
from gossipnet.state.errors import KeyspaceError, TooLarge, WritesRefused
from gossipnet.state.logs import Logs
from gossipnet.state.operations import KEY_MAX, AnyOperation, Delete
from gossipnet.state.types.entry import Compound, Entry
from gossipnet.state.types.register import Register

VALUE_MAX = 1 << 20


class Writer(Core):
    """The side of the keyspace that local commands write through.

    Attributes:
      open_batch: Gives the open batch; with True, seals what is open and gives a new one.
      permit: Raises `NotPermitted` if this node may not write a key; None if it may write all.
      refusal: (code, text) while nothing may be written, else None.
    """

    def __init__(
        self,
        logs: Logs,
        open_batch: Callable[[bool], Batch],
        handlers: Mapping[type, Apply],
    ) -> None:
        super().__init__(logs, handlers)
        self.open_batch = open_batch
        self.permit: Callable[[bytes], None] | None = None
        self.refusal: tuple[str, str] | None = None
        self._reasons: dict[str, str] = {}
        self._together = 0

    def refuse(self, code: str, text: str | None) -> None:
        """Refuse all writes for this reason too, or, without a text, no longer for it."""
        self._reasons.pop(code, None)
        if text is not None:
            self._reasons[code] = text
        self.refusal = next(iter(self._reasons.items()), None)

    @contextmanager
    def atomic(self, size: int = 0) -> Iterator[None]:
        """Everything written in the block goes into one record: EXEC, MSET.

        Args:
          size: Bytes that it will need, as far as known, so that room is made beforehand.
        """
        if self.refusal is None:  # else nothing is written, and the clock may be the reason
            batch = self.open_batch(False)
            if not self._together and (batch.full or not batch.fits(size)):
                self.open_batch(True)
        self._together += 1
        try:
            yield
        finally:
            self._together -= 1

    def _begin(self, key: bytes, size: int, operations: int = 1) -> Batch:
        """The batch to write to, with room for ``size`` bytes.

        Raises:
          KeyspaceError: Refused, with the reason; nothing was changed.
        """
        if self.refusal is not None:
            raise WritesRefused(*self.refusal)
        if self.permit is not None:
            self.permit(key)
        if len(key) > KEY_MAX:
            raise KeyspaceError("the key is longer than 64 KiB")
        batch = self.open_batch(False)
        size += len(key) + 64
        if batch.full or not batch.fits(size, operations):
            if not self._together:
                batch = self.open_batch(True)
            if not batch.fits(size, operations):
                raise TooLarge
        return batch

    def _do(self, batch: Batch, operation: AnyOperation, size: int) -> None:
        if not batch.fits(size):  # what it names of others was not known before
            raise TooLarge
        place = batch.add(operation, size)
        self.apply(operation, batch.table, batch.seq, place)

    # -- what has been seen --------------------------------------------------------------------

    def _delete_operation(self, batch: Batch, key: bytes, entry: Entry) -> Delete:
        """Remove all of an entry, or of an expired one what was written before its deadline."""
        seen: Seen = {}
        see(seen, self._dots_to_delete(entry))
        return Delete(key, batch.seen(seen))

    def _dots_to_delete(self, entry: Entry) -> Iterator[int]:
        if isinstance(entry, Register) or entry.deadline() > self.wall_ms:
            yield from entry.dots()
            return
        deadline = entry.deadline()
        assert entry.expiry is not None
        yield from entry.expiry.deadlines
        for dot in entry.dots():
            if stamp_ms(self.logs.stamp(dot)) <= deadline:
                yield dot

    def _clear(self, batch: Batch, key: bytes, entry: Entry) -> None:
        self._do(batch, self._delete_operation(batch, key, entry), len(key))

    def _replace(self, key: bytes, size: int) -> Batch:
        """Make sure of room for what comes, then remove what is there."""
        batch = self._begin(key, size)
        entry = self.raw(key)
        if entry is not None:
            self._clear(batch, key, entry)
        return batch

    def _bury(self, batch: Batch, key: bytes) -> None:
        """Before a key is written that has ended: remove what is left of it."""
        entry = self.hidden.get(key)
        if entry is not None:
            self._clear(batch, key, entry)

    def reap_key(self, key: bytes) -> None:
        """Remove what is left of a key that ended some time ago."""
        entry = self.hidden.get(key)
        if isinstance(entry, Compound):
            self._clear(self._begin(key, 0), key, entry)
