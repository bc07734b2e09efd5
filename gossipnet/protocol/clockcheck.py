"""Is this machine's clock right? Compared with the clocks that linked peers told.

Causality decides every conflict, so a wrong clock corrupts nothing; but records stamped more than
60 s ahead wait in every peer's quarantine, so writing with such a clock would only look like it
worked. Knows links, not the keyspace.
"""

from statistics import median

from gossipnet.protocol.links import PeerLink

TOLERATED = 60.0
"""Seconds; the same bound as the quarantine of records."""


def clock_offset(links: list[PeerLink]) -> float | None:
    """Median of (peer's clock - ours) in seconds over greeted links; None without any."""
    offsets = [link.clock_offset for link in links if link.greeted]
    return median(offsets) if offsets else None


def clock_complaint(links: list[PeerLink]) -> str | None:
    """One sentence if this machine's clock is off by more than is tolerated, else None.

    Silent when the peers do not agree among themselves: at least half must see the same fault.
    """
    offset = clock_offset(links)
    if offset is None or abs(offset) <= TOLERATED:
        return None
    seen = [link.clock_offset for link in links if link.greeted]
    agreeing = sum(1 for other in seen if abs(other - offset) <= TOLERATED)
    if 2 * agreeing < len(seen):
        return None
    direction = "behind" if offset > 0 else "ahead of"
    return (
        f"this machine's clock is {_span(abs(offset))} {direction} {agreeing} of {len(seen)} "
        "linked peers; set it right, and writing goes on"
    )


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} days"
