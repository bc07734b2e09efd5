"""What one key holds: usually one string, at times a hash, a set, deadlines, or a clash of types.

A key that is only a string is a bare `Register`, for memory; everything else is a `Compound`. When
concurrent writes made one key several types, all of them are kept and one shows, by a total order,
`KINDS`. DEL clears whatever it saw of all of them.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from gossipnet.state.dots import Seen
from gossipnet.state.types.expiry import NEVER, Expiry
from gossipnet.state.types.fields import FieldEnds
from gossipnet.state.types.index import Index
from gossipnet.state.types.members import Members, all_dots
from gossipnet.state.types.register import Order, Register

KINDS = ("string", "hash", "set", "zset", "list", "stream", "hyperloglog")
"""All types in the order in which one shows when concurrent writes made a key several of them."""
STRING, HASH, SET, ZSET, LIST, STREAM, HYPERLOGLOG = range(len(KINDS))


class Part(Protocol):
    """The content of one type at one key, for the types that have no place of their own below."""

    def __bool__(self) -> bool:
        """Whether anything is left."""
        ...

    @property
    def shows(self) -> bool:
        """Whether what is left is anything to see."""
        ...

    def dots(self) -> Iterator[int]:
        """Every dot held."""
        ...

    def remove(self, seen: Seen, order: Order) -> None:
        """DEL: take away what was seen."""
        ...

    def fingerprint(self, name: Callable[[int], str]) -> object:
        """All of it with dots by their global names, in an order that replicas share."""
        ...


class Compound:
    """A key that is more than one plain string.

    Attributes:
      string, fields, members: The content by type; None where there is none.
      field_index: See `types.index`; for fields, ended ones and deadlines; None until it is needed.
      ends: Deadlines of single fields, and fields that have ended; None where there are none.
      parts: Content of further types, by number in `KINDS`; None where there is none.
      expiry: Deadlines, or None.
    """

    __slots__ = ("ends", "expiry", "field_index", "fields", "members", "parts", "string")

    def __init__(self, string: Register | None = None) -> None:
        self.string = string
        self.fields: dict[bytes, Register] | None = None
        self.field_index: Index | None = None
        self.ends: FieldEnds | None = None
        self.members: Members | None = None
        self.parts: dict[int, Part] | None = None
        self.expiry: Expiry | None = None

    def kind(self) -> str | None:
        """The type that shows; None without any content."""
        if self.string is not None:
            return "string"
        if self.fields is not None:
            return "hash"
        if self.members is not None:
            return "set"
        parts = self.parts
        if parts is not None and len(parts) == 1:  # as nearly all are
            for kind, part in parts.items():
                return KINDS[kind] if part.shows else None
        shown = [kind for kind, part in (parts or {}).items() if part.shows]
        return KINDS[min(shown)] if shown else None

    def field(self, name: bytes) -> Register | None:
        """A field, whether it has ended or not."""
        register = None if self.fields is None else self.fields.get(name)
        if register is None and self.ends is not None:
            register = self.ends.ended.get(name)
        return register

    def note_field(self, dot: int, name: bytes) -> None:
        """A field, or its deadline, has a new dot."""
        if self.field_index is not None:
            self.field_index.add(dot, name)
            if self.field_index.crowded:
                self.field_index = None

    def clashes(self) -> bool:
        """Whether there is content of more than one type."""
        count = (self.string is not None) + (self.fields is not None) + (self.members is not None)
        return count + len(self.parts or ()) > 1

    def holds_more_than_a_string(self) -> bool:
        """Whether there is content of any other type."""
        return bool(
            self.fields is not None
            or self.ends is not None
            or self.members is not None
            or self.parts
        )

    def deadline(self) -> int:
        """When the key ends, unix ms, or `NEVER`."""
        expiry = self.expiry
        if expiry is None or not expiry.deadlines:
            return NEVER
        if self.string is not None and any(dot not in expiry.silent for dot in self.string.bases()):
            return NEVER
        return max(expiry.deadlines.values())

    def tidy(self) -> None:
        """Forget empty parts."""
        if self.string is not None and not self.string:
            self.string = None
        if self.fields is not None and not self.fields:
            self.fields = None
        if self.ends is not None and not self.ends:
            self.ends = None
        if self.fields is None and self.ends is None:
            self.field_index = None
        if self.members is not None and not self.members:
            self.members = None
        if self.parts is not None:
            self.parts = {kind: part for kind, part in self.parts.items() if part} or None
        expiry = self.expiry
        if expiry is not None:
            if expiry.silent:
                bases = set(self.string.bases()) if self.string is not None else set()
                expiry.silent &= bases
            if not expiry.deadlines and not expiry.silent:
                self.expiry = None

    def dots(self) -> Iterator[int]:
        """Every dot held, deadlines included."""
        if self.string is not None:
            yield from self.string.dots()
        if self.fields is not None:
            for register in self.fields.values():
                yield from register.dots()
        if self.ends is not None:
            yield from self.ends.dots()
        if self.members is not None:
            yield from all_dots(self.members)
        for part in (self.parts or {}).values():
            yield from part.dots()
        if self.expiry is not None:
            yield from self.expiry.deadlines


Entry = Register | Compound


def kind_of(entry: Entry) -> str | None:
    """The type that shows."""
    return "string" if isinstance(entry, Register) else entry.kind()


def compound_of(entry: Entry | None) -> Compound:
    """The entry as a `Compound`, made one if it is not."""
    if isinstance(entry, Compound):
        return entry
    return Compound(entry)
