"""Streams: what their operations do, reads and local writes.

An id is (milliseconds, sequence); its author's part of the sequence (the first four bytes of its
log's id, times 2^16, plus a count) keeps ids that two nodes make in one millisecond apart. Ids that
this node makes rise above all that it has seen.
"""

from collections.abc import Iterable, Sequence

from gossipnet.state.batch import Batch
from gossipnet.state.core import Apply, Core
from gossipnet.state.dots import Seen, pack, see, seq_of
from gossipnet.state.errors import StreamFull, TooLarge, TooSmallId, WrongType
from gossipnet.state.operations import (
    Dots,
    GroupAck,
    GroupCreate,
    GroupDestroy,
    StreamAdd,
    StreamDelete,
    StreamTop,
    StreamTrim,
)
from gossipnet.state.references import seen_of
from gossipnet.state.types.entry import STREAM, Compound, compound_of
from gossipnet.state.types.stream import Creation, Group, Id, Stream
from gossipnet.state.writer import VALUE_MAX, Writer

MS_MAX = (1 << 62) - 1
"""Ids that this node makes stay below; 2^62 ms are 146 million years."""

_COUNT_BITS = 16
_CHUNK_BYTES = 64 * 1024


class Streams(Writer):
    """The part of the keyspace that holds streams and their groups."""

    # -- reading -------------------------------------------------------------------------------

    def stream(self, key: bytes) -> Stream | None:
        """For reading; None if there is no such key; raises `WrongType`."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        if not isinstance(entry, Compound) or entry.kind() != "stream" or entry.parts is None:
            raise WrongType
        held = entry.parts[STREAM]
        assert isinstance(held, Stream)
        return held

    # -- entries -------------------------------------------------------------------------------

    def stream_add(self, key: bytes, ms: int | None, fields: Sequence[bytes]) -> Id:
        """Add an entry.

        Args:
          key: Which stream.
          ms: The milliseconds of its id; None for now, or for what is above the newest id.
          fields: Names and values in turn.

        Returns:
          Its id.

        Raises:
          TooSmallId: ``ms`` is not above the newest id.
          StreamFull: There are no higher ids.
        """
        stream = self.stream(key)
        size = sum(map(len, fields)) + 8 * len(fields) + 64
        if size > VALUE_MAX:
            raise TooLarge
        batch = self._begin_stream(key, size)
        last = (0, 0) if stream is None else stream.last
        one = self._next_id(batch, last, ms)
        begins = stream is None or not stream.generations
        entries = [(*one, list(fields))]
        self._do(batch, StreamAdd(key, entries, begins), size + len(key))
        return one

    def _next_id(self, batch: Batch, last: Id, ms: int | None) -> Id:
        short = self._author_part(batch)
        if ms is None:
            ms = max(self.wall_ms, last[0])
            one = _above(last, ms, short) or (ms + 1, short << _COUNT_BITS)
        else:
            found = _above(last, ms, short)
            if found is None:
                raise TooSmallId
            one = found
        if one[0] > MS_MAX:
            raise StreamFull
        return one

    def _author_part(self, batch: Batch) -> int:
        return int.from_bytes(self.logs.by_number[batch.number].id[:4], "big")

    def stream_delete(self, key: bytes, ids: Iterable[Id]) -> int:
        """Remove entries by their ids; how many were there."""
        stream = self.stream(key)
        if stream is None:
            return 0
        seen: Seen = {}
        present: list[Id] = []
        count = 0
        for one in dict.fromkeys(ids):
            entries = stream.entries.slice(*stream.between(one, one))
            if entries:
                present.append(one)
                count += len(entries)
                see(seen, (entry[3] for entry in entries))
        if present:
            size = 20 * len(present) + 64
            batch = self._begin_stream(key, size)
            self._do(batch, StreamDelete(key, present, batch.seen(seen)), size + len(key))
        return count

    def stream_trim(self, key: bytes, below: Id) -> int:
        """Remove all entries before an id; how many that was."""
        stream = self.stream(key)
        count = 0 if stream is None else stream.entries.rank(below)
        if stream is None or not count:
            return 0
        seen: Seen = {}
        see(seen, (entry[3] for entry in stream.entries.slice(0, count)))
        batch = self._begin_stream(key, 64)
        self._do(batch, StreamTrim(key, below, batch.seen(seen)), len(key) + 64)
        return count

    def stream_set_id(self, key: bytes, last: Id) -> None:
        """XSETID: let ids go on above this one, which is not below the newest."""
        batch = self._begin_stream(key, 64)
        self._do(batch, StreamTop(key, last), len(key) + 32)

    def store_stream(self, key: bytes, source: Stream) -> None:
        """Replace whatever the key holds by a stream's entries, ids and all; not its groups."""
        with self.atomic():
            batch = self._replace(key, 64)
            begins = True
            piece: list[tuple[int, int, list[bytes]]] = []
            size = 0
            before: Id | None = None
            for ms, seq, _log, _dot, fields in source.entries:
                if (ms, seq) == before:
                    continue  # two nodes took one id: an operation may name it once
                before = (ms, seq)
                piece.append((ms, seq, list(fields)))
                size += sum(map(len, fields)) + 8 * len(fields) + 32
                if size > _CHUNK_BYTES:
                    batch = self._begin(key, size)
                    self._do(batch, StreamAdd(key, piece, begins), size)
                    begins, piece, size = False, [], 0
            if piece or begins:
                batch = self._begin(key, size)
                self._do(batch, StreamAdd(key, piece, begins), size)
            self._do(batch, StreamTop(key, source.last), len(key) + 32)

    # -- groups --------------------------------------------------------------------------------

    def group(self, key: bytes, name: bytes) -> Group | None:
        """A group that is there."""
        stream = self.stream(key)
        group = None if stream is None else stream.groups.get(name)
        return group if group is not None and group.alive() else None

    def group_create(self, key: bytes, name: bytes, start: Id) -> bool:
        """Begin a group, and the stream if there is none; False if the group is there."""
        stream = self.stream(key)
        if self.group(key, name) is not None:
            return False
        batch = self._begin_stream(key, len(name) + 128)
        generations = batch.dots(stream.generations if stream is not None else ())
        seen: Seen = {}
        held = self._hidden_group(key, name) if stream is None else stream.groups.get(name)
        if held is not None:
            see(seen, held.dots())
        operation = GroupCreate(key, name, start, batch.seen(seen), generations)
        self._do(batch, operation, len(key) + len(name) + 64)
        return True

    def _hidden_group(self, key: bytes, name: bytes) -> Group | None:
        """What is known of a group where no key shows."""
        entry = self.hidden.get(key)
        part = (entry.parts or {}).get(STREAM) if isinstance(entry, Compound) else None
        return part.groups.get(name) if isinstance(part, Stream) else None

    def group_destroy(self, key: bytes, name: bytes) -> bool:
        """End a group, with every creation that has not seen this; whether it was there."""
        group = self.group(key, name)
        if group is None:
            return False
        seen: Seen = {}
        see(seen, group.dots())
        batch = self._begin_stream(key, len(name) + 64)
        operation = GroupDestroy(key, name, batch.seen(seen))
        self._do(batch, operation, len(key) + len(name) + 32)
        return True

    def group_ack(self, key: bytes, name: bytes, upto: Id) -> None:
        """Tell all nodes up to where everything that was read is acknowledged, if that is news."""
        group = self.group(key, name)
        if group is None or upto <= group.acked():
            return
        batch = self._begin_stream(key, len(name) + 64)
        created = batch.dots(group.creations)
        operation = GroupAck(key, name, upto, created)
        self._do(batch, operation, len(key) + len(name) + 48)

    def _begin_stream(self, key: bytes, size: int) -> Batch:
        batch = self._begin(key, size)
        hidden = self.hidden.get(key)
        if isinstance(hidden, Compound) and hidden.expiry is not None:
            self._bury(batch, key)  # it has ended; marks of groups without a key stay
        return batch


def _above(last: Id, ms: int, short: int) -> Id | None:
    """The lowest id of this author in a millisecond that is above ``last``."""
    first = (ms, short << _COUNT_BITS)
    if first > last:
        return first
    following = (last[0], last[1] + 1)
    return following if following[0] == ms and following[1] >> _COUNT_BITS == short else None


# ---------------------------------------------------------------- what operations do


def _held(core: Core, key: bytes) -> tuple[Compound, Stream]:
    compound = compound_of(core.raw(key))
    if compound.parts is None:
        compound.parts = {}
    part = compound.parts.setdefault(STREAM, Stream())
    assert isinstance(part, Stream)
    return compound, part


def _dots(refs: Dots, table: list[int]) -> list[int]:
    return [pack(table[ref], seq, place) for ref, seq, place in refs]


def apply_add(core: Core, op: StreamAdd, table: list[int], dot: int) -> str:
    """Add entries."""
    compound, stream = _held(core, op.key)
    entries = [((ms, seq), tuple(fields)) for ms, seq, fields in op.entries]
    stream.add(entries, dot, core.logs.by_number[table[0]].id)
    if op.begins:
        stream.begin(dot)
    core.settle(op.key, compound)
    return "xadd"


def apply_delete(core: Core, op: StreamDelete, table: list[int], dot: int) -> str:
    """Remove what was seen of entries."""
    compound, stream = _held(core, op.key)
    removed = stream.remove_ids(dict.fromkeys(op.ids), seen_of(op.seen, table, dot))
    core.settle(op.key, compound)
    return "xdel" if removed else ""


def apply_trim(core: Core, op: StreamTrim, table: list[int], dot: int) -> str:
    """Remove what was seen of the beginning."""
    compound, stream = _held(core, op.key)
    removed = stream.trim(op.below, seen_of(op.seen, table, dot))
    core.settle(op.key, compound)
    return "xtrim" if removed else ""


def apply_top(core: Core, op: StreamTop, table: list[int], dot: int) -> str:
    """Set an author's newest id."""
    compound, stream = _held(core, op.key)
    stream.set_top(table[0], dot, op.last)
    core.settle(op.key, compound)
    return "xsetid"


def apply_group_create(core: Core, op: GroupCreate, table: list[int], dot: int) -> str:
    """Begin a group, unless DEL has ended the stream that its author saw."""
    compound, stream = _held(core, op.key)
    by_number = core.logs.by_number
    # What a void record began never was, whatever is left of the others here.
    generations = frozenset(
        one for one in _dots(op.generations, table) if not by_number[one >> 56].is_void(seq_of(one))
    )
    if not generations:
        # The first writer's; or that of the first one who was not revoked.
        stream.begin(dot)
        generations = frozenset({dot})
    creation = Creation(op.start, seen_of(op.seen, table, dot), generations)
    created = stream.create(op.name, dot, creation)
    if not created or not stream.groups[op.name].alive():
        core.note("group", op.key, (dot,), op.name)
    core.settle(op.key, compound)
    return "xgroup-create" if created else ""


def apply_group_destroy(core: Core, op: GroupDestroy, table: list[int], dot: int) -> str:
    """End a group, whoever creates it beside this."""
    compound, stream = _held(core, op.key)
    beside = stream.destroy(op.name, dot, seen_of(op.seen, table, dot))
    if beside:
        core.note("group", op.key, (dot, *beside), op.name)
    core.settle(op.key, compound)
    return "xgroup-destroy"


def apply_group_ack(core: Core, op: GroupAck, table: list[int], dot: int) -> str:
    """Move a group's acknowledged part on; nobody is told."""
    compound, stream = _held(core, op.key)
    stream.acknowledge(op.name, op.upto, _dots(op.created, table), dot, core.order_of)
    core.settle(op.key, compound)
    return ""


APPLY: dict[type, Apply] = {
    StreamAdd: apply_add,
    StreamDelete: apply_delete,
    StreamTrim: apply_trim,
    StreamTop: apply_top,
    GroupCreate: apply_group_create,
    GroupDestroy: apply_group_destroy,
    GroupAck: apply_group_ack,
}
