"""Writing an image: a table of keys as chunks, byte for byte the same on every replica.

Everything is put in an order that does not hang on what came first here: keys by their bytes, dots
by log id and number, members and fields by name. Knows neither disk nor signatures.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from gossipnet.state.core import Core
from gossipnet.state.dots import LOG_SHIFT, LOW_MASK, PLACE_BITS, PLACE_MASK, Seen
from gossipnet.state.image_rows import (
    CHUNK_BYTES,
    PIECE_BYTES,
    AnyRow,
    Cells,
    Chunk,
    Element,
    Ends,
    Entry,
    Exact,
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
    encode_chunk,
)
from gossipnet.state.logs import Logs
from gossipnet.state.operations import Number
from gossipnet.state.types import cells as counting
from gossipnet.state.types import doubles, elements, loglog, scores, sketch, stream
from gossipnet.state.types.elements import Elements
from gossipnet.state.types.entry import Compound, compound_of
from gossipnet.state.types.expiry import Expiry
from gossipnet.state.types.members import dots_of
from gossipnet.state.types.number import Amount, add, to_wire
from gossipnet.state.types.register import Register

A = TypeVar("A")

Kept = dict[int, tuple["array[int]", "array[int]"]]
"""By local log number: numbers and stamps of the records of which something is left, rising."""


class Unfit(Exception):
    """What was proposed does not fit what is here, or cannot be put into an image."""


class ImageWriter:
    """Writes one image.

    Args:
      core: What to write; must not change meanwhile.
      logs: For stamps.
      places: Place in the manifest by local number of a log.

    Attributes:
      keys: Written so far.
    """

    def __init__(self, core: Core, logs: Logs, places: dict[int, int]) -> None:
        self._core = core
        self._logs = logs
        self._places = places
        self._records: dict[int, int] = {}
        self._table: list[tuple[int, int, int]] = []
        self._rows: list[AnyRow] = []
        self._size = 0
        self._kept: dict[int, dict[int, int]] = {}
        self.keys = 0

    def chunks(self) -> Iterator[bytes]:
        """Every chunk, in order."""
        entries = {**self._core.hidden, **self._core.entries}
        for key in sorted(entries):
            self.keys += 1
            for row, size in self._rows_of(key, compound_of(entries[key])):
                self._rows.append(row)
                self._size += size + len(key) + 8
                if self._size >= CHUNK_BYTES:
                    yield self._cut()
        if self._rows:
            yield self._cut()

    def _cut(self) -> bytes:
        data = encode_chunk(Chunk(self._table, self._rows))
        self._records, self._table, self._rows, self._size = {}, [], [], 0
        return data

    def kept(self) -> Kept:
        """Stamps that are still needed, once all is written."""
        found: Kept = {}
        for number, stamps in self._kept.items():
            seqs = sorted(stamps)
            found[number] = (array("Q", seqs), array("Q", [stamps[seq] for seq in seqs]))
        return found

    # -- names ---------------------------------------------------------------------------------

    def _dot(self, dot: int) -> int:
        """A dot by the chunk's table of records."""
        record = dot >> PLACE_BITS
        at = self._records.get(record)
        if at is None:
            at = self._records[record] = len(self._table)
            number, seq, stamp = dot >> LOG_SHIFT, (dot & LOW_MASK) >> PLACE_BITS, 0
            stamp = self._logs.stamp(dot)
            self._table.append((self._places[number], seq, stamp))
            self._kept.setdefault(number, {})[seq] = stamp
            self._size += 16
        return at << PLACE_BITS | dot & PLACE_MASK

    def _name(self, dot: int) -> Name:
        low = dot & LOW_MASK
        return self._places[dot >> LOG_SHIFT], low >> PLACE_BITS, low & PLACE_MASK

    def _order(self, dot: int) -> tuple[int, int]:
        return self._places[dot >> LOG_SHIFT], dot & LOW_MASK

    def _sorted(self, dots: Iterable[int]) -> list[int]:
        return sorted(dots, key=self._order)

    def _names(self, dots: Iterable[int]) -> list[Name]:
        return sorted(map(self._name, dots))

    def _seen(self, seen: Seen) -> list[Name]:
        return self._names(number << LOG_SHIFT | low for number, low in seen.items())

    # -- rows ----------------------------------------------------------------------------------

    def _rows_of(self, key: bytes, held: Compound) -> Iterator[tuple[AnyRow, int]]:
        """Rows of one key with their sizes; a dot is entered in the table as its row is made."""
        if held.string is not None:
            yield from self._string(key, held.string)
        fields = dict(held.fields or {})
        if held.ends is not None:  # which of them have ended is a matter of the clock
            fields.update(held.ends.ended)
        yield from self._fields(key, fields)
        if held.members:
            members = (
                (name, self._dot(dot), len(name) + 12)
                for name, dots in sorted(held.members.items())
                for dot in self._sorted(dots_of(dots))
            )
            yield from _pieces(members, lambda rows: SetMembers(key, rows))
        for _kind, part in sorted((held.parts or {}).items()):
            if isinstance(part, scores.Scores):
                yield from self._scores(key, part)
            elif isinstance(part, Elements):
                yield from self._elements(key, part)
            elif isinstance(part, sketch.Sketch):
                yield from self._sketch(key, part)
            elif isinstance(part, stream.Stream):
                yield from self._stream(key, part)
            else:
                raise Unfit("a key holds a type that images do not know")
        if held.ends is not None:
            for name, expiry in sorted(held.ends.expiries.items()):
                yield self._ends(key, name, expiry)
        if held.expiry is not None:
            yield self._ends(key, None, held.expiry)

    def _string(self, key: bytes, register: Register) -> Iterator[tuple[AnyRow, int]]:
        for dot, value in self._values(register):
            yield Text(key, self._dot(dot), value), len(value)
        cells = ((self._dot(dot), _number(by), 24) for dot, by in self._amounts(register.cells))
        yield from _pieces(cells, lambda rows: Cells(key, rows))

    def _values(self, register: Register) -> list[tuple[int, bytes]]:
        values = dict(register.rivals or {})
        if register.dot:
            values[register.dot] = register.value
        return [(dot, values[dot]) for dot in self._sorted(values)]

    def _amounts(self, cells: counting.Cells[A] | None) -> Iterator[tuple[int, A]]:
        by_log = {self._places[cell.dot >> LOG_SHIFT]: cell for cell in cells or ()}
        for place in sorted(by_log):
            yield from by_log[place].amounts()

    def _fields(self, key: bytes, fields: dict[bytes, Register]) -> Iterator[tuple[AnyRow, int]]:
        values = (
            (name, self._dot(dot), value, len(name) + len(value) + 16)
            for name in sorted(fields)
            for dot, value in self._values(fields[name])
        )
        yield from _pieces(values, lambda rows: Fields(key, rows))
        cells = (
            (name, self._dot(dot), _number(by), len(name) + 24)
            for name in sorted(fields)
            for dot, by in self._amounts(fields[name].cells)
        )
        yield from _pieces(cells, lambda rows: FieldCells(key, rows))

    def _ends(self, key: bytes, name: bytes | None, expiry: Expiry) -> tuple[AnyRow, int]:
        deadlines = [
            (self._dot(dot), expiry.deadlines[dot]) for dot in self._sorted(expiry.deadlines)
        ]
        silent = [self._dot(dot) for dot in self._sorted(expiry.silent)]
        return Ends(key, name, deadlines, silent), 16 * (len(deadlines) + len(silent))

    def _scores(self, key: bytes, part: scores.Scores) -> Iterator[tuple[AnyRow, int]]:
        assigned = (
            (name, self._dot(dot), values[dot], len(name) + 20)
            for name, values in part.assigned()
            for dot in self._sorted(values)
        )
        yield from _pieces(assigned, lambda rows: Scores(key, rows))
        cells = (
            (name, self._dot(dot), _exact(by), len(name) + 64)
            for name, held in part.counted()
            for dot, by in self._amounts(held)
        )
        yield from _pieces(cells, lambda rows: ScoreCells(key, rows))

    def _elements(self, key: bytes, part: Elements) -> Iterator[tuple[AnyRow, int]]:
        by_id = self._logs.by_id
        for element in part.order:
            flat = elements.path_of(element)
            path = [
                (flat[at], self._places[by_id[flat[at + 1]].number], flat[at + 2])
                for at in range(0, len(flat), 3)
            ]
            birth, content = elements.birth_of(element), element[-1]
            size = 16 * len(path) + 24
            if isinstance(content, Register):
                values = [(self._dot(dot), value) for dot, value in self._values(content)]
                row = Element(key, path, self._name(birth), None, 0, values)
                yield row, size + sum(len(value) + 8 for _dot, value in values)
            else:
                row = Element(key, path, self._name(birth), content, self._dot(birth), [])
                yield row, size + len(content)

    def _sketch(self, key: bytes, part: sketch.Sketch) -> Iterator[tuple[AnyRow, int]]:
        for birth in self._sorted(part.generations):
            by_dot: dict[int, dict[int, int]] = {}
            for register, rank, dot in part.generations[birth].raised():
                by_dot.setdefault(dot, {})[register] = rank
            at = self._dot(birth)
            hits = [
                (self._dot(dot), loglog.packed(dict(sorted(by_dot[dot].items()))))
                for dot in self._sorted(by_dot)
            ]
            yield Sketch(key, at, hits), sum(len(packed) + 8 for _dot, packed in hits)

    def _stream(self, key: bytes, part: stream.Stream) -> Iterator[tuple[AnyRow, int]]:
        for ms, seq, _log, dot, fields in part.entries:
            size = sum(map(len, fields)) + 4 * len(fields) + 24
            yield Entry(key, ms, seq, self._dot(dot), list(fields)), size
        tops = dict(part.tops.values())
        if tops or part.generations:
            rows = [(self._dot(dot), *tops[dot]) for dot in self._sorted(tops)]
            begun = [self._dot(dot) for dot in self._sorted(part.generations)]
            yield StreamHead(key, rows, begun), 24 * (len(rows) + len(begun))
        for name, group in sorted(part.groups.items()):
            for dot in self._sorted(group.creations):
                made = group.creations[dot]
                acked = self._dot(made.acked_dot) if made.acked_dot else None
                seen, lives = (
                    self._seen(made.seen),
                    self._names(made.generations & part.generations),
                )
                at = self._dot(dot)
                row = Group(key, name, at, made.start, seen, lives, made.acked, acked)
                yield row, 16 * (len(seen) + len(lives)) + 64
            for dot in self._sorted(group.destroyed):
                yield Group(key, name, self._dot(dot), None, [], [], (0, 0), None), 32


def _number(amount: Amount) -> Number:
    return to_wire(add(amount, 0))


def _exact(by: doubles.Sum) -> Exact:
    infinities, whole, exponent = by
    return infinities, whole.to_bytes(whole.bit_length() // 8 + 1, "big", signed=True), exponent


def _pieces(
    items: Iterator[tuple[Any, ...]], row: Callable[[list[Any]], AnyRow]
) -> Iterator[tuple[AnyRow, int]]:
    """Items, each with its size at the end, as rows of bounded size."""
    piece: list[Any] = []
    size = 0
    for *item, bytes_of in items:
        piece.append(tuple(item))
        size += bytes_of
        if size >= PIECE_BYTES:
            yield row(piece), size
            piece, size = [], 0
    if piece:
        yield row(piece), size
