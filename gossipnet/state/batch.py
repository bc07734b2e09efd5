"""The open batch: operations of this node that wait to be sealed into one record.

Operations are applied the moment they are added, under the dot they will have. The batch keeps the
table of foreign logs that they name. Knows nothing of keys or signatures.
"""

from collections.abc import Iterable

from gossipnet.state.body import (
    Body,
)
from gossipnet.state.dots import LOG_SHIFT, LOW_MASK, PLACE_BITS, PLACE_MASK, Seen
from gossipnet.state.logs import Logs
from gossipnet.state.operations import (
    AnyOperation,
    Dots,
    SeenRefs,
)

SOFT_BYTES = 64 * 1024
SOFT_OPERATIONS = 4096
"""A batch is sealed above these as soon as the command at hand is done."""
HARD_BYTES = (1 << 20) + 128 * 1024
HARD_OPERATIONS = 60_000
"""More than this never goes into one record."""
_REF_BYTES = 16
_LOG_BYTES = 27
"""At most, of a reference to a dot, and of a log with its head."""


class Batch:
    """Operations of one record to be.

    Attributes:
      number: Local number of the own log.
      seq: The record's sequence number.
      operations: So far, in order.
      table: Local log numbers by reference, the own log first.
      size: Estimate of their bytes.
    """

    __slots__ = ("_deps", "_logs", "_refs", "number", "operations", "seq", "size", "table")

    def __init__(self, logs: Logs, number: int, seq: int) -> None:
        self._logs = logs
        self.number = number
        self.seq = seq
        self.operations: list[AnyOperation] = []
        self.table = [number]
        self.size = 0
        self._refs: dict[int, int] = {number: 0}
        self._deps: dict[int, int] = {}

    @property
    def full(self) -> bool:
        """Whether it should be sealed before anything else is added."""
        return self.size > SOFT_BYTES or len(self.operations) > SOFT_OPERATIONS

    def fits(self, size: int, operations: int = 1) -> bool:
        """Whether operations of this many bytes still fit."""
        return (
            self.size + size + _LOG_BYTES * len(self.table) <= HARD_BYTES
            and len(self.operations) + operations <= HARD_OPERATIONS
        )

    def add(self, operation: AnyOperation, size: int) -> int:
        """Append one operation; returns its place."""
        self.operations.append(operation)
        self.size += size + 16
        return len(self.operations) - 1

    def seen(self, seen: Seen) -> SeenRefs:
        """Bounds as they go into an operation; their bytes are counted."""
        self.size += _REF_BYTES * len(seen)
        return [
            (self.ref(number, low >> PLACE_BITS), low >> PLACE_BITS)
            for number, low in seen.items()
            if number != self.number
        ]

    def dots(self, dots: Iterable[int]) -> Dots:
        """Single dots as they go into an operation; their bytes are counted."""
        refs: Dots = []
        for dot in dots:
            number, low = dot >> LOG_SHIFT, dot & LOW_MASK
            seq = low >> PLACE_BITS
            refs.append((self.ref(number, seq), seq, low & PLACE_MASK))
        self.size += _REF_BYTES * len(refs)
        return refs

    def ref(self, number: int, seq: int) -> int:
        """A log's reference; the record will depend on it up to ``seq``."""
        if number != self.number and seq > self._deps.get(number, 0):
            self._deps[number] = seq
        ref = self._refs.get(number)
        if ref is None:
            ref = self._refs[number] = len(self.table)
            self.table.append(number)
        return ref

    def body(self) -> Body:
        """What will be encoded and signed."""
        logs = self._logs.by_number
        return Body(
            [(logs[number].id, self._deps[number]) for number in self.table[1:]], self.operations
        )
