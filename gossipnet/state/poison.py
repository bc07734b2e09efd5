"""An operation whose handler fails, by a mistake in this program, is set aside and shown.

Every node applies every record, also again at each start. Were such a failure to end the process,
one record would end the whole mesh, and for good. So its operation has no effect on the nodes that
fail over it, everything else goes on, and it can be seen: a counter, an event and a row in `status`
name the key, which a DEL clears. Checks refuse what an author may not sign; this is about what the
checks have overlooked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

POISONED_MAX = 64
"""Rows kept; more are counted."""


@dataclass(frozen=True, slots=True)
class Poisoned:
    """One operation that failed.

    Attributes:
      log: Number of the log it came with.
      seq, place: Of its record, and its place in there.
      what: Its kind.
      key: Which key it is about.
      error: Of what kind, and its text.
    """

    log: int
    seq: int
    place: int
    what: str
    key: bytes
    error: str


class Poison:
    """Applies operations, and keeps those that failed.

    Attributes:
      rows: The first ones.
      count: How many there were.
    """

    def __init__(self) -> None:
        self.rows: list[Poisoned] = []
        self.count = 0

    def apply(
        self,
        apply: Callable[[Any, list[int], int, int], object],
        operation: Any,
        table: list[int],
        seq: int,
        place: int,
    ) -> None:
        """Apply one operation; whatever it raises but a lack of memory is kept, not raised."""
        try:
            apply(operation, table, seq, place)
        except MemoryError:
            raise
        except Exception as error:
            self.count += 1
            if len(self.rows) < POISONED_MAX:
                key = bytes(getattr(operation, "key", b""))
                told = f"{type(error).__name__}: {error}"[:200]
                what = type(operation).__name__
                self.rows.append(Poisoned(table[0], seq, place, what, key, told))
