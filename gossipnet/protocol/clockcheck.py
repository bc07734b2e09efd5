"""Is this machine's clock right? Compared with the clocks that linked peers told.

Causality decides every conflict, so a wrong clock corrupts nothing; but records stamped more than
60 s ahead wait in every peer's quarantine, so writing with such a clock would only look like it
worked. A clock far behind shows in this node's own certificate, which begins in its future; no
peer is needed to see that, and no peer's certificate would hold. Knows links, not the keyspace.
"""

from collections.abc import Callable, Iterable

from gossipnet.identity.certificate import Certificate
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.trust import CLOCK_SECONDS
from gossipnet.protocol.context import Context
from gossipnet.protocol.links import PeerLink

TOLERATED = 60.0
"""Seconds; the same bound as the quarantine of records."""

WITNESSES = 2
"""Peers that must see the same fault of this node's clock."""

EVERY, AGAIN = 10.0, 1.0
"""Seconds between two looks, and while the clock is wrong."""


def clock_offset(links: Iterable[PeerLink], context: Context) -> float | None:
    """Median of (peer's clock - ours) in seconds over greeted peers; None without any."""
    offsets = _offsets(links, context)
    return median(offsets) if offsets else None


def median(values: list[float]) -> float:
    """The middle one, or the mean of the two; `statistics` would bring in fractions."""
    ordered = sorted(values)
    return (ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]) / 2


def _offsets(links: Iterable[PeerLink], context: Context) -> list[float]:
    """One a peer, however many links it has."""
    ours = context.wall - context.now
    return list({link.node: link.clock_base - ours for link in links if link.greeted}.values())


def clock_complaint(links: Iterable[PeerLink], context: Context) -> str | None:
    """One sentence if this machine's clock is off by more than is tolerated, else None.

    Silent when the peers do not agree among themselves: at least half must see the same fault, and
    two of them, for a single liar could else stop this node's writes; where only one other member
    lives, its word is all there is.
    """
    seen = _offsets(links, context)
    offset = median(seen) if seen else 0.0
    if abs(offset) <= TOLERATED:
        return None
    agreeing = sum(1 for other in seen if abs(other - offset) <= TOLERATED)
    if 2 * agreeing < len(seen) or agreeing < min(WITNESSES, context.others()):
        return None
    direction = "behind" if offset > 0 else "ahead of"
    return (
        f"this machine's clock is {span(abs(offset))} {direction} {agreeing} of {len(seen)} "
        "linked peers; set it right, and writing goes on"
    )


def certificate_complaint(certificate: Certificate, wall: float) -> str | None:
    """One sentence if, by this machine's clock, its own certificate is not valid, else None."""
    if wall < certificate.not_before - CLOCK_SECONDS:
        return (
            f"this machine's clock is at least {span(certificate.not_before - wall)} behind, for "
            "its own certificate begins only then; set it right, and everything goes on"
        )
    if wall > certificate.not_after + CLOCK_SECONDS:
        return (
            f"this node's certificate ended {span(wall - certificate.not_after)} ago: let this "
            "machine join anew, or set its clock right if that is ahead"
        )
    return None


def stamp_complaint(ahead: float) -> str | None:
    """One sentence if this node's newest stamp is that many seconds ahead of its right clock.

    A clock that was ahead for a moment leaves such a stamp behind, and stamps never go back.
    """
    if ahead <= TOLERATED:
        return None
    return (
        f"this machine's clock was ahead when it last wrote, and whatever it wrote now would wait "
        f"{span(ahead)} at every other member before it shows; writing goes on then, or at once "
        "if you stop the daemon, move state.db away and start it: the state comes back from the "
        "others, without what was written meanwhile"
    )


class ClockWatch:
    """Looks now and then, and at once when the clock jumps; says when writing may not go on."""

    def __init__(
        self, context: Context, links: dict[int, PeerLink], identity: NodeIdentity
    ) -> None:
        self._context = context
        self._links = links
        self.identity = identity
        self._wrong = False
        self._base: float | None = None
        # Set by the engine: what waits for a time of day is to be reckoned anew.
        self.jumped: Callable[[], None] = lambda: None
        # Set by the engine: the newest stamp in unix seconds.
        self.stamped: Callable[[], float] = lambda: 0.0
        # Set by the engine: told the complaint, or None when the clock is right again.
        self.changed: Callable[[str | None], None] = lambda _complaint: None

    def start(self) -> None:
        """Begin to look."""
        self._base = self._context.wall - self._context.now
        self._context.timers.set("clock", self._context.after(1.0, 0.1), self.look)

    def passed(self) -> None:
        """Time has come in: if the clock has jumped, look before anything is stamped by it."""
        base = self._context.wall - self._context.now
        if self._base is not None and abs(base - self._base) > TOLERATED:
            self.jumped()
            self.look()

    def look(self) -> None:
        """Compare; called also when a peer has told its clock."""
        context = self._context
        self._base = context.wall - context.now
        # Peers know best: by a wrong clock a good certificate looks as if it had ended.
        complaint = clock_complaint(self._links.values(), context) or certificate_complaint(
            self.identity.certificate, context.wall
        )
        if complaint is None and any(link.greeted for link in self._links.values()):
            complaint = stamp_complaint(self.stamped() - context.wall)
        context.timers.set("clock", context.after(AGAIN if complaint else EVERY, 0.1), self.look)
        if complaint is not None:
            if not self._wrong:
                self._context.event("clock-wrong", complaint, "error")
            self._wrong = True
            self.changed(complaint)
        elif self._wrong:
            self._wrong = False
            self._context.event("clock-right", "this machine's clock fits again")
            self.changed(None)


def span(seconds: float) -> str:
    """A length of time for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} days"
