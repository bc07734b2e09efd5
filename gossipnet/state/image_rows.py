"""What an image consists of: chunks of rows, each a piece of what one key holds, and a manifest.

An image is all state at one version vector, in one form only: whoever has applied the same records
writes the same bytes. Rows are in the order of keys, pieces of one key in the order of the types
below, and a piece is small, however large its key is. A chunk begins with the records that its dots
are of, with their stamps; in a row a dot is ``place in that table << 16 | place in the record``.
Names of what may be gone already are written out as (log, seq, place), a log by its place in the
manifest. Layout and bounds only.
"""

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gossipnet import ids
from gossipnet.errors import RemoteProtocolError
from gossipnet.ids import LogId
from gossipnet.state.operations import Key, Number, Number64, Place, Seq, Value

CHUNK_BYTES = 64 * 1024
"""A chunk ends with the row that reaches this; one more value may be 1 MiB."""
PIECE_BYTES = 16 * 1024
CHUNKS_MAX = 1 << 16
MANIFEST_MAX = 1_500_000
VOIDS_MAX = 64

MARK = 0xC1
"""First byte of a chunk, where a record has its version; msgpack never uses it."""
VERSION = 1

Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
LogIndex = Annotated[int, Meta(ge=0, lt=1 << 14)]
Dot = Annotated[int, Meta(ge=0, lt=1 << 40)]
Name = tuple[LogIndex, Annotated[int, Meta(ge=0, lt=1 << 40)], Place]
Stamp = Number64
Many = Meta(max_length=1 << 17)


class Row(Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """Base of all rows."""

    key: Key


class Text(Row, tag=0, frozen=True):
    """One value of a string; concurrent ones have a row each."""

    dot: Dot
    value: Value


Exact = tuple[int, Annotated[bytes, Meta(max_length=4096)], int]
"""An exact sum of doubles (`doubles.Sum`); its whole number, signed and big-endian, is large."""


class Cells(Row, tag=1, frozen=True):
    """What each record added to a string, by the newest dot of it."""

    cells: Annotated[list[tuple[Dot, Number]], Many]


class Fields(Row, tag=2, frozen=True):
    """Values of fields of a hash."""

    values: Annotated[list[tuple[Key, Dot, Value]], Many]


class FieldCells(Row, tag=3, frozen=True):
    """The same of fields of a hash."""

    cells: Annotated[list[tuple[Key, Dot, Number]], Many]


class Ends(Row, tag=4, frozen=True):
    """Deadlines of a field, or of the key itself; dots of the values that do not vote."""

    field: Key | None
    deadlines: Annotated[list[tuple[Dot, Annotated[int, Meta(ge=0, le=1 << 62)]]], Many]
    silent: Annotated[list[Dot], Many]


class SetMembers(Row, tag=5, frozen=True):
    """Members of a set, once for each dot."""

    members: Annotated[list[tuple[Key, Dot]], Many]


class Scores(Row, tag=6, frozen=True):
    """Scores assigned to members of a sorted set."""

    scores: Annotated[list[tuple[Key, Dot, float]], Many]


class ScoreCells(Row, tag=7, frozen=True):
    """The same of scores."""

    cells: Annotated[list[tuple[Key, Dot, Exact]], Many]


_Path = Annotated[list[tuple[int, LogIndex, int]], Meta(min_length=1, max_length=256)]


class Element(Row, tag=8, frozen=True):
    """An element of a list; ``values`` where it was assigned anew, else ``dot`` is its birth."""

    path: _Path
    birth: Name
    value: Value | None
    dot: Dot
    values: Annotated[list[tuple[Dot, Value]], Many]


class Entry(Row, tag=9, frozen=True):
    """An entry of a stream."""

    ms: Number64
    seq: Number64
    dot: Dot
    fields: Annotated[list[Value], Many]


class StreamHead(Row, tag=10, frozen=True):
    """What a stream has beside entries."""

    tops: Annotated[list[tuple[Dot, Number64, Number64]], Many]
    generations: Annotated[list[Dot], Many]


class Group(Row, tag=11, frozen=True):
    """One creation of a consumer group; ``dot`` of a mark that ended it if ``start`` is None."""

    name: Key
    dot: Dot
    start: tuple[Number64, Number64] | None
    seen: Annotated[list[Name], Many]
    generations: Annotated[list[Name], Many]
    acked: tuple[Number64, Number64]
    acked_dot: Dot | None


class Sketch(Row, tag=12, frozen=True):
    """A generation of a HyperLogLog: who raised which registers to where they are."""

    birth: Dot
    hits: Annotated[list[tuple[Dot, Annotated[bytes, Meta(max_length=3 << 14)]]], Many]


AnyRow = (
    Text
    | Cells
    | Fields
    | FieldCells
    | Ends
    | SetMembers
    | Scores
    | ScoreCells
    | Element
    | Entry
    | StreamHead
    | Group
    | Sketch
)


class Chunk(Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """Records (log, seq, stamp) and rows."""

    records: Annotated[list[tuple[LogIndex, Seq, Stamp]], Meta(max_length=1 << 20)]
    rows: Annotated[list[AnyRow], Meta(max_length=1 << 20)]


class LogRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What of one log goes on behind an image.

    Attributes:
      public_key, epoch: Its author's.
      chain: The author's certificates at the end, by place in `Manifest.certificates`.
      head, hash, stamp: Of its last record.
      voids: First and last of records without effect.
      full: The record whose certificates did not fit in any more, or None.
      steps: Steps of its certificate chains, with the record that brought each first.
    """

    public_key: Hash
    epoch: Annotated[int, Meta(ge=0, lt=1 << 32)]
    chain: Annotated[list[Annotated[int, Meta(ge=0, lt=1 << 16)]], Meta(max_length=3)]
    head: Seq
    hash: Hash
    stamp: Stamp
    voids: Annotated[list[tuple[Seq, Seq]], Meta(max_length=VOIDS_MAX)]
    full: Seq | None
    steps: Annotated[
        list[tuple[Hash, Annotated[bytes, Meta(max_length=32)], Seq]], Meta(max_length=256)
    ]

    @property
    def id(self) -> LogId:
        """Of the log."""
        return ids.log_id(self.public_key, self.epoch)


class Manifest(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Signed for as a whole, by its hash: `root_of`."""

    version: Annotated[int, Meta(ge=VERSION, le=VERSION)]
    certificates: Annotated[list[Annotated[bytes, Meta(max_length=4096)]], Meta(max_length=1 << 16)]
    logs: Annotated[list[LogRow], Meta(max_length=1 << 14)]
    chunks: Annotated[list[Hash], Meta(max_length=CHUNKS_MAX)]
    keys: Annotated[int, Meta(ge=0)]


_encode = msgspec.msgpack.Encoder().encode
_chunk: msgspec.msgpack.Decoder[Chunk] = msgspec.msgpack.Decoder(Chunk)
_manifest: msgspec.msgpack.Decoder[Manifest] = msgspec.msgpack.Decoder(Manifest)


def encode_chunk(chunk: Chunk) -> bytes:
    """Bytes as they are hashed, stored and sent."""
    return bytes((MARK, VERSION)) + _encode(chunk)


def decode_chunk_untrusted(data: bytes) -> Chunk:
    """Parse a chunk; raises `RemoteProtocolError`."""
    if data[:2] != bytes((MARK, VERSION)):
        raise RemoteProtocolError("bad-image", "no chunk")
    try:
        return _chunk.decode(memoryview(data)[2:])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("bad-image", str(error)) from error


def chunk_hash(data: bytes) -> bytes:
    """What the manifest has of a chunk."""
    return hashlib.blake2b(data, digest_size=32, person=b"gossipnet chunk").digest()


def encode_manifest(manifest: Manifest) -> bytes:
    """Bytes as they are hashed, stored and sent."""
    return _encode(manifest)


def decode_manifest_untrusted(data: bytes) -> Manifest:
    """Parse a manifest and check what needs no key; raises `RemoteProtocolError`."""
    if len(data) > MANIFEST_MAX:
        raise RemoteProtocolError("bad-image", "too long")
    try:
        manifest = _manifest.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("bad-image", str(error)) from error
    logs = [row.id for row in manifest.logs]
    if logs != sorted(set(logs)):
        raise RemoteProtocolError("bad-image", "order of logs")
    if any(place >= len(manifest.certificates) for row in manifest.logs for place in row.chain):
        raise RemoteProtocolError("bad-image", "names a certificate that is not there")
    return manifest


def root_of(manifest: bytes) -> bytes:
    """What authors endorse."""
    return hashlib.blake2b(manifest, digest_size=32, person=b"gossipnet image").digest()


def image_log(root: bytes) -> LogId:
    """Under which name chunks are stored and asked for, as if they were a log's records."""
    return LogId(hashlib.blake2b(root, digest_size=16, person=b"gossipnet chunks").digest())
