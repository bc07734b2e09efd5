"""What one key holds: usually one string, at times a hash, a set, deadlines, or a clash of types.

A key that is only a string is a bare `Register`, for memory; everything else is a `Compound`. When
concurrent writes made one key several types, all of them are kept and one shows, by a total order:
string before hash before set. DEL clears whatever it saw of all of them.
"""

from collections.abc import Iterator

from gossipnet.state.types.expiry import NEVER, Expiry
from gossipnet.state.types.members import Members, all_dots
from gossipnet.state.types.register import Register


class Compound:
    """A key that is more than one plain string.

    Attributes:
      string, fields, members: The content by type; None where there is none.
      expiry: Deadlines, or None.
    """

    __slots__ = ("expiry", "fields", "members", "string")

    def __init__(self, string: Register | None = None) -> None:
        self.string = string
        self.fields: dict[bytes, Register] | None = None
        self.members: Members | None = None
        self.expiry: Expiry | None = None

    def kind(self) -> str | None:
        """The type that shows; None without any content."""
        if self.string is not None:
            return "string"
        if self.fields is not None:
            return "hash"
        return "set" if self.members is not None else None

    def clashes(self) -> bool:
        """Whether there is content of more than one type."""
        parts = (self.string, self.fields, self.members)
        return sum(part is not None for part in parts) > 1

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
        if self.members is not None and not self.members:
            self.members = None
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
        if self.members is not None:
            yield from all_dots(self.members)
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
