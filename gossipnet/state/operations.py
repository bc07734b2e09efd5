"""The operations that records carry, and their layout in bytes.

In an operation a log is a reference: 0 is the record's own log, n the n-th of the table that its
`body` begins with. The tag that opens each operation is its version: a changed layout gets a new
tag. Nothing here knows what operations mean.
"""

from typing import Annotated

from msgspec import Meta, Struct

KEY_MAX = 64 * 1024
Seq = Annotated[int, Meta(ge=1, lt=1 << 40)]
Place = Annotated[int, Meta(ge=0, lt=1 << 16)]
Ref = Annotated[int, Meta(ge=0, lt=1 << 14)]
Key = Annotated[bytes, Meta(max_length=KEY_MAX)]
Value = Annotated[bytes, Meta(max_length=1 << 20)]
Number = Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)] | Annotated[str, Meta(max_length=64)]
"""Whole numbers as such, decimal fractions as text: both exact."""

SeenRefs = Annotated[
    list[tuple[Annotated[int, Meta(ge=1, lt=1 << 14)], Seq]], Meta(max_length=1 << 14)
]
"""Per foreign log named: everything up to this record had been applied when the operation was made.

Of the own log that is everything before the operation, and is not said."""
Pairs = Annotated[list[tuple[Key, Value]], Meta(max_length=1 << 16)]
Names = Annotated[list[Key], Meta(max_length=1 << 16)]
Values = Annotated[list[Value], Meta(min_length=1, max_length=1 << 16)]
Offset = Annotated[int, Meta(ge=-(1 << 50), le=1 << 50)]
PathRefs = Annotated[list[tuple[Offset, Ref, Offset]], Meta(min_length=1, max_length=256)]
"""A place in a list (`types.places`): number, log, offset of every step."""
ElementRef = tuple[PathRefs, Seq, Place]
"""An element of a list: its place, and the dot that inserted it, of the last log in that."""
Spans = Annotated[list[tuple[ElementRef, ElementRef | None]], Meta(max_length=1 << 16)]
"""First element and last one, None if it is the same."""
Number64 = Annotated[int, Meta(ge=0)]
"""Unsigned; msgpack has no larger ones than 2^64 - 1."""
EntryId = tuple[Number64, Number64]
Fields = Annotated[list[Value], Meta(max_length=1 << 16)]
StreamEntries = Annotated[list[tuple[Number64, Number64, Fields]], Meta(max_length=1 << 16)]
"""Milliseconds, sequence, names and values in turn."""
Dots = Annotated[list[tuple[Ref, Seq, Place]], Meta(max_length=1 << 14)]
"""Single dots, not bounds."""
Scored = Annotated[list[tuple[Key, float]], Meta(max_length=1 << 16)]


SKETCH_GENERATIONS = 16
STEPS_AND_VALUES = 1024
"""Elements that one operation inserts deep in a list, times the steps of their places: each keeps
its own."""


class Operation(Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """Base of every operation."""


class Set(Operation, tag=1, frozen=True):
    """Assign a string; ``seen`` is about the string and the expiry, not about other types.

    ``keep``: the key's expiry stays (SET KEEPTTL, APPEND, SETRANGE).
    """

    key: Key
    value: Value
    keep: bool
    seen: SeenRefs


class Increment(Operation, tag=2, frozen=True):
    """Add to a counter. Nothing is said of what was counted before: see `types.register`."""

    key: Key
    by: Number


class Delete(Operation, tag=3, frozen=True):
    """Remove what was seen of a key, whatever its type."""

    key: Key
    seen: SeenRefs


class HashSet(Operation, tag=4, frozen=True):
    """Assign fields; ``seen`` is about these fields only."""

    key: Key
    pairs: Pairs
    seen: SeenRefs


class HashIncrement(Operation, tag=5, frozen=True):
    """`Increment` of one field."""

    key: Key
    name: Key
    by: Number


class HashDelete(Operation, tag=6, frozen=True):
    """Remove what was seen of these fields."""

    key: Key
    names: Names
    seen: SeenRefs


class SetAdd(Operation, tag=7, frozen=True):
    """Add members; ``seen`` is about these members only."""

    key: Key
    members: Names
    seen: SeenRefs


class SetRemove(Operation, tag=8, frozen=True):
    """Remove what was seen of these members."""

    key: Key
    members: Names
    seen: SeenRefs


class Expire(Operation, tag=9, frozen=True):
    """Set the deadline (unix ms) of a key, or None to persist it; ``seen`` is about its expiry."""

    key: Key
    deadline: Annotated[int, Meta(ge=0, le=1 << 49)] | None
    seen: SeenRefs


class ScoreSet(Operation, tag=10, frozen=True):
    """Assign scores to members; ``seen`` is about these members only."""

    key: Key
    pairs: Scored
    seen: SeenRefs


class ScoreIncrement(Operation, tag=11, frozen=True):
    """`Increment` of one member's score."""

    key: Key
    name: Key
    by: float


class ScoreRemove(Operation, tag=12, frozen=True):
    """Remove what was seen of these members."""

    key: Key
    names: Names
    seen: SeenRefs


class ListInsert(Operation, tag=13, frozen=True):
    """Put elements at a place of the author's own and the offsets behind it."""

    key: Key
    path: PathRefs
    values: Values


class ListRemove(Operation, tag=14, frozen=True):
    """Remove what was seen of the elements from the first to the last of each span."""

    key: Key
    spans: Spans
    seen: SeenRefs


class ListSet(Operation, tag=15, frozen=True):
    """Assign an element; ``seen`` is about this element only."""

    key: Key
    element: ElementRef
    value: Value
    seen: SeenRefs


class SketchAdd(Operation, tag=24, frozen=True):
    """Raise registers of a HyperLogLog.

    Attributes:
      key: Which.
      hits: Three bytes each: register (14 bits) and rank (6 bits).
      begun: Generations that were seen, by the dots that began them; none begins one. Each takes
        all hits, so they are few; there are more than one only where several authors began at once.
    """

    key: Key
    hits: Annotated[bytes, Meta(max_length=3 << 14)]
    begun: Annotated[list[tuple[Ref, Seq, Place]], Meta(max_length=SKETCH_GENERATIONS)]


class StreamAdd(Operation, tag=26, frozen=True):
    """Add entries; ``begins``: its author saw no generation of the stream (`types.stream`)."""

    key: Key
    entries: StreamEntries
    begins: bool


class StreamDelete(Operation, tag=27, frozen=True):
    """Remove what was seen of these entries."""

    key: Key
    ids: Annotated[list[EntryId], Meta(max_length=1 << 16)]
    seen: SeenRefs


class StreamTrim(Operation, tag=28, frozen=True):
    """Remove what was seen of all entries before an id."""

    key: Key
    below: EntryId
    seen: SeenRefs


class StreamTop(Operation, tag=29, frozen=True):
    """The author's newest id in a stream, without an entry: XSETID, and copies."""

    key: Key
    last: EntryId


class GroupCreate(Operation, tag=30, frozen=True):
    """Begin a consumer group.

    Attributes:
      key: Of the stream.
      name: The group's.
      start: Where it begins to read.
      seen: Of earlier creations and ends of this group.
      generations: Of the stream, as they were seen; none begins one.
    """

    key: Key
    name: Key
    start: EntryId
    seen: SeenRefs
    generations: Dots


class GroupDestroy(Operation, tag=31, frozen=True):
    """End a consumer group, with every creation that has not seen this."""

    key: Key
    name: Key
    seen: SeenRefs


class GroupAck(Operation, tag=32, frozen=True):
    """Everything up to an id that was read through these creations of a group is done."""

    key: Key
    name: Key
    upto: EntryId
    created: Dots


class HashExpire(Operation, tag=33, frozen=True):
    """Set the deadline (unix ms) of fields, or None to let them stay; ``seen`` is about these."""

    key: Key
    names: Names
    deadline: Annotated[int, Meta(ge=0, le=1 << 49)] | None
    seen: SeenRefs


class OpenLog(Operation, tag=64, frozen=True):
    """First operation of a log: who writes it, in which epoch, certified by whom."""

    public_key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    epoch: Annotated[int, Meta(ge=0, lt=1 << 32)]
    chain: Annotated[list[Annotated[bytes, Meta(max_length=4096)]], Meta(max_length=3)]


class Renew(Operation, tag=65, frozen=True):
    """The author's renewed certificate; valid from this record on."""

    chain: Annotated[list[Annotated[bytes, Meta(max_length=4096)]], Meta(max_length=3)]


_Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
LogBytes = Annotated[bytes, Meta(min_length=16, max_length=16)]


class Checkpoint(Operation, tag=66, frozen=True):
    """An issuer proposes to keep of all records up to here only what is left of them.

    Attributes:
      heads: (log, last record, its hash), by log id.
      excused: Authors that need not endorse it: they left, were revoked, or are long silent.
    """

    heads: Annotated[list[tuple[LogBytes, Seq, _Hash]], Meta(max_length=1 << 14)]
    excused: Annotated[list[_Hash], Meta(max_length=1 << 14)]


class Endorse(Operation, tag=67, frozen=True):
    """The author has computed what is left up to a checkpoint; it comes to this.

    Attributes:
      proposal: Hash of the record that proposed the checkpoint.
      root: Hash over the image (`image`).
    """

    proposal: _Hash
    root: _Hash


KEYLESS = (OpenLog, Renew, Checkpoint, Endorse)
"""Operations that are about the log itself and no key."""

AnyOperation = (
    Set
    | Increment
    | Delete
    | HashSet
    | HashIncrement
    | HashDelete
    | SetAdd
    | SetRemove
    | Expire
    | ScoreSet
    | ScoreIncrement
    | ScoreRemove
    | ListInsert
    | ListRemove
    | ListSet
    | SketchAdd
    | StreamAdd
    | StreamDelete
    | StreamTrim
    | StreamTop
    | GroupCreate
    | GroupDestroy
    | GroupAck
    | HashExpire
    | OpenLog
    | Renew
    | Checkpoint
    | Endorse
)
