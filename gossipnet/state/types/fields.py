"""When single fields of a hash end: for each a register of deadlines, as a key has one.

A field past its deadline moves out of sight, on every node by itself, and stays in `ended` until an
operation removes it. HSET votes for "never" as a plain SET does; of concurrent deadlines the latest
counts.
"""

from collections.abc import Iterator

from gossipnet.state.dots import Seen
from gossipnet.state.types.expiry import NEVER, Expiry
from gossipnet.state.types.register import Register


class FieldEnds:
    """For the fields of one hash that were ever given a deadline.

    Attributes:
      expiries: Deadlines by field, and values that do not vote; a field without is not in it.
      ended: Fields past their deadline.
    """

    __slots__ = ("ended", "expiries")

    def __init__(self) -> None:
        self.expiries: dict[bytes, Expiry] = {}
        self.ended: dict[bytes, Register] = {}

    def __bool__(self) -> bool:
        return bool(self.expiries or self.ended)

    def deadline(self, name: bytes, register: Register | None) -> int:
        """When a field ends, unix ms, or `NEVER`."""
        expiry = self.expiries.get(name)
        if expiry is None or register is None or not expiry.deadlines:
            return NEVER
        if any(dot not in expiry.silent for dot in register.bases()):
            return NEVER
        return max(expiry.deadlines.values())

    def expiry(self, name: bytes) -> Expiry:
        """The deadlines of a field, to be added to."""
        return self.expiries.setdefault(name, Expiry())

    def replace(self, name: bytes, seen: Seen) -> None:
        """Take away the deadlines of a field that were seen; `tidy` afterwards."""
        expiry = self.expiries.get(name)
        if expiry is not None:
            expiry.remove(seen)

    def tidy(self, name: bytes, register: Register | None) -> None:
        """Forget votes of values that are gone.

        A value that was silenced once stays so, also when the deadline that did it is gone: another
        one may be on its way that has not seen the value.
        """
        expiry = self.expiries.get(name)
        if expiry is not None:
            expiry.silent &= set(register.bases()) if register is not None else set()
            if not expiry.deadlines and not expiry.silent:
                del self.expiries[name]

    def dots_of(self, name: bytes) -> Iterator[int]:
        """Dots of a field's deadlines, and of the field if it has ended."""
        if name in self.expiries:
            yield from self.expiries[name].deadlines
        if name in self.ended:
            yield from self.ended[name].dots()

    def dots(self) -> Iterator[int]:
        """Every dot held."""
        for expiry in self.expiries.values():
            yield from expiry.deadlines
        for register in self.ended.values():
            yield from register.dots()
