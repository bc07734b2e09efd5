"""Reading an image into a table of keys.

What a chunk holds is added to what is there; nothing is taken away. So chunks may come in any order
and, while a node joins, be read from before all of them are there. Their hashes have been checked:
authors stand for what is in them, but nothing here relies on it for more than being right.
"""

from array import array
from collections.abc import Callable, Container
from typing import Any

from gossipnet.errors import RemoteProtocolError
from gossipnet.state.core import Core
from gossipnet.state.dots import LOG_SHIFT, LOW_MASK, PLACE_BITS, PLACE_MASK, Seen
from gossipnet.state.image_rows import (
    AnyRow,
    Cells,
    Element,
    Ends,
    Entry,
    FieldCells,
    Fields,
    Group,
    Name,
    ScoreCells,
    Scores,
    SetMembers,
    Sketch,
    StreamHead,
    Text,
    decode_chunk_untrusted,
)
from gossipnet.state.image_write import Kept
from gossipnet.state.logs import Logs
from gossipnet.state.references import amount_of
from gossipnet.state.types import elements, loglog, members, scores, sketch, stream
from gossipnet.state.types.elements import Elements
from gossipnet.state.types.entry import HYPERLOGLOG, LIST, STREAM, ZSET, Compound, compound_of
from gossipnet.state.types.expiry import Expiry
from gossipnet.state.types.fields import FieldEnds
from gossipnet.state.types.register import Register


class ImageReader:
    """Reads chunks of one image.

    Args:
      core: Where to.
      logs: Has all logs of the manifest.
      numbers: Local number of a log by its place in the manifest.
      only: Keys to read; None for all.
    """

    def __init__(
        self, core: Core, logs: Logs, numbers: list[int], only: Container[bytes] | None = None
    ) -> None:
        self._core = core
        self._only = only
        self._numbers = numbers
        self._ids = [logs.by_number[number].id for number in numbers]
        self._inverted = {
            number: bytes(255 - byte for byte in log)
            for number, log in zip(numbers, self._ids, strict=True)
        }
        self._stamps: dict[int, int] = {}
        self._kept: dict[int, tuple[array[int], array[int]]] = {}
        self._records: list[int] = []
        self._last: bytes | None = None

    def read(self, data: bytes) -> None:
        """Take in one chunk.

        Raises:
          RemoteProtocolError: It is none, or names what is not there.
        """
        chunk = decode_chunk_untrusted(data)
        if not chunk.rows or chunk.rows[0].key != self._last:
            self._stamps = {}  # else one key goes on, and what was read of it is compared with
        try:
            self._note(chunk.records)
            self._rows(chunk.rows)
        except (IndexError, KeyError, ValueError) as error:
            raise RemoteProtocolError("bad-image", f"names what is not there: {error}") from error

    def _note(self, records: list[tuple[int, int, int]]) -> None:
        self._records = []
        for index, seq, stamp in records:
            number = self._numbers[index]
            packed = number << LOG_SHIFT | seq << PLACE_BITS
            self._records.append(packed)
            self._stamps[packed] = stamp
            kept = self._kept.get(number)
            if kept is None:
                kept = self._kept[number] = (array("Q"), array("Q"))
            kept[0].append(seq)
            kept[1].append(stamp)

    def kept(self) -> Kept:
        """Stamps that are still needed, once all is read."""
        found: Kept = {}
        for number, (seqs, stamps) in self._kept.items():
            by_seq = dict(zip(seqs, stamps, strict=True))
            rising = sorted(by_seq)
            found[number] = (array("Q", rising), array("Q", [by_seq[seq] for seq in rising]))
        return found

    def _rows(self, rows: list[AnyRow]) -> None:
        core, records, only = self._core, self._records, self._only
        entries, hidden = core.entries, core.hidden
        key: bytes | None = None
        compound: Compound | None = None
        for row in rows:
            if only is not None and row.key not in only:
                continue
            if row.key != key:
                if compound is not None and key is not None:
                    self._settle(key, compound)
                key, compound = row.key, None
                if type(row) is Text and key not in entries and key not in hidden:
                    dot = records[row.dot >> PLACE_BITS] | row.dot & PLACE_MASK
                    core.show(key, Register(dot, row.value))
                    continue
            if compound is None:
                compound = compound_of(core.raw(row.key))
            _READ[type(row)](self, compound, row)
        if compound is not None and key is not None:
            self._settle(key, compound)
        self._last = rows[-1].key if rows else None

    def _settle(self, key: bytes, compound: Compound) -> None:
        if compound.ends is not None:
            for name in list(compound.ends.expiries):
                self._core.place_field(key, compound, name)
        self._core.settle(key, compound)

    # -- names ---------------------------------------------------------------------------------

    def dot(self, at: int) -> int:
        """A dot by the chunk's table of records."""
        return self._records[at >> PLACE_BITS] | at & PLACE_MASK

    def name(self, name: Name) -> int:
        """A dot that is written out."""
        return self._numbers[name[0]] << LOG_SHIFT | name[1] << PLACE_BITS | name[2]

    def log_of(self, index: int) -> bytes:
        """Id of a log by its place in the manifest."""
        return self._ids[index]

    def log_of_dot(self, dot: int) -> bytes:
        """Id of a dot's log."""
        return self._core.logs.by_number[dot >> LOG_SHIFT].id

    def order(self, dot: int) -> tuple[int, bytes]:
        """As `Core.order_of`; the core may not know the stamps yet."""
        stamp = self._stamps.get(dot & ~PLACE_MASK)
        if stamp is None:  # of a record behind the image
            return self._core.order_of(dot)
        return stamp, self._inverted[dot >> LOG_SHIFT]


# ---------------------------------------------------------------- what rows do


def _text(reader: ImageReader, held: Compound, row: Text) -> None:
    if held.string is None:
        held.string = Register()
    held.string.assign(reader.dot(row.dot), row.value, {}, reader.order)


def _cells(reader: ImageReader, held: Compound, row: Cells) -> None:
    if held.string is None:
        held.string = Register()
    for dot, by in row.cells:
        held.string.count(reader.dot(dot), amount_of(by))


def _field(held: Compound, name: bytes) -> Register:
    register = held.field(name)
    if register is None:
        if held.fields is None:
            held.fields = {}
        register = held.fields[name] = Register()
    return register


def _fields(reader: ImageReader, held: Compound, row: Fields) -> None:
    for name, dot, value in row.values:
        _field(held, name).assign(reader.dot(dot), value, {}, reader.order)


def _field_cells(reader: ImageReader, held: Compound, row: FieldCells) -> None:
    for name, dot, by in row.cells:
        _field(held, name).count(reader.dot(dot), amount_of(by))


def _ends(reader: ImageReader, held: Compound, row: Ends) -> None:
    if row.field is None:
        expiry = held.expiry = held.expiry or Expiry()
    else:
        held.ends = held.ends or FieldEnds()
        expiry = held.ends.expiry(row.field)
    expiry.deadlines.update((reader.dot(dot), at) for dot, at in row.deadlines)
    expiry.silent.update(map(reader.dot, row.silent))


def _set_members(reader: ImageReader, held: Compound, row: SetMembers) -> None:
    if held.members is None:
        held.members = members.Members()
    for name, dot in row.members:
        members.add(held.members, (name,), reader.dot(dot), {})


def _part(held: Compound, kind: int, make: Callable[[], Any]) -> Any:
    if held.parts is None:
        held.parts = {}
    part = held.parts.get(kind)
    if part is None:
        part = held.parts[kind] = make()
    return part


def _scores(reader: ImageReader, held: Compound, row: Scores) -> None:
    part = _part(held, ZSET, scores.Scores)
    for name, dot, score in row.scores:
        part.assign(name, score, reader.dot(dot), {}, reader.order)


def _score_cells(reader: ImageReader, held: Compound, row: ScoreCells) -> None:
    part = _part(held, ZSET, scores.Scores)
    for name, dot, (infinities, whole, exponent) in row.cells:
        by = infinities, int.from_bytes(whole, "big", signed=True), exponent
        part.count_sum(name, reader.dot(dot), by)


def _element(reader: ImageReader, held: Compound, row: Element) -> None:
    part = _part(held, LIST, Elements)
    path = tuple(
        step
        for number, index, offset in row.path
        for step in (number, reader.log_of(index), offset)
    )
    birth = reader.name(row.birth)
    if row.value is not None:
        part.insert(path, (row.value,), birth)
        return
    for dot, value in row.values:
        part.assign(elements.mark(path, birth), value, reader.dot(dot), {}, reader.order)


def _entry(reader: ImageReader, held: Compound, row: Entry) -> None:
    part = _part(held, STREAM, stream.Stream)
    dot = reader.dot(row.dot)
    part.entries.add((row.ms, row.seq, reader.log_of_dot(dot), dot, tuple(row.fields)))
    part.added += 1


def _stream_head(reader: ImageReader, held: Compound, row: StreamHead) -> None:
    part = _part(held, STREAM, stream.Stream)
    for at, ms, seq in row.tops:
        dot = reader.dot(at)
        part.set_top(dot >> LOG_SHIFT, dot, (ms, seq))
    part.generations.update(map(reader.dot, row.generations))


def _group(reader: ImageReader, held: Compound, row: Group) -> None:
    part = _part(held, STREAM, stream.Stream)
    dot = reader.dot(row.dot)
    if row.start is None:
        part.destroy(row.name, dot, {})
        return
    seen: Seen = {}
    for one in map(reader.name, row.seen):
        seen[one >> LOG_SHIFT] = one & LOW_MASK
    creation = stream.Creation(row.start, seen, frozenset(map(reader.name, row.generations)))
    creation.acked = row.acked
    creation.acked_dot = 0 if row.acked_dot is None else reader.dot(row.acked_dot)
    part.create(row.name, dot, creation)


def _sketch(reader: ImageReader, held: Compound, row: Sketch) -> None:
    part = _part(held, HYPERLOGLOG, sketch.Sketch)
    generation = part.generations[reader.dot(row.birth)] = sketch.Generation()
    for dot, hits in row.hits:
        generation.raise_to(loglog.unpacked(hits), reader.dot(dot), reader.order)


_READ: dict[type, Callable[[ImageReader, Compound, Any], None]] = {
    Text: _text,
    Cells: _cells,
    Fields: _fields,
    FieldCells: _field_cells,
    Ends: _ends,
    SetMembers: _set_members,
    Scores: _scores,
    ScoreCells: _score_cells,
    Element: _element,
    Entry: _entry,
    StreamHead: _stream_head,
    Group: _group,
    Sketch: _sketch,
}
