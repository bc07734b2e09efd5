"""What became of a record that was taken in."""

from dataclasses import dataclass, field
from enum import Enum

from gossipnet.ids import LogId


class Status(Enum):
    """Of one record."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    """It is here, or waits here, already."""
    HELD = "held"
    """It waits for records that are missing."""
    QUARANTINED = "quarantined"
    """Its stamp is more than a minute ahead; it waits until it is due."""
    VOID = "void"
    """Its author may not do that; the log goes on, the operations do nothing, on every node."""
    FORKED = "forked"
    """Its author signed it, and another one in its place or below it: see `fork`."""
    OWN_AHEAD = "own-ahead"
    """Signed by this node's own log and not known here: the database is older than the log."""


@dataclass(frozen=True, slots=True)
class AppliedRecord:
    """One record that was applied, or written, just now."""

    log: LogId
    seq: int
    data: bytes


@dataclass(slots=True)
class Outcome:
    """Of one `ingest`.

    Attributes:
      status: Of the record itself.
      applied: What was applied by it, in order: itself, and what had waited for it.
      missing: (log, first, last) that would let it, or others, be applied.
    """

    status: Status
    applied: list[AppliedRecord] = field(default_factory=list)
    missing: list[tuple[LogId, int, int]] = field(default_factory=list)
