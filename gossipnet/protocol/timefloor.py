"""The latest time that this node had reason to believe, kept over restarts.

A clock that was set back would make an ended certificate, or token, look good again, and let an
issuer date certificates back. So it is never believed to be earlier than this node's clock once was
while linked peers, each over an authenticated link, agreed with it. A clock that nobody confirms
raises nothing, for it may be the wrong one; a clock that lies before the beginning of this node's
own certificate is called wrong anyway (`clockcheck`). And when peers confirm a clock that is behind
what was remembered, that was wrong, and is lowered.

Writing goes on with a clock that is behind: stamps never go back, whatever the clock does.
"""

from collections.abc import Mapping

from gossipnet.identity.trust import CLOCK_SECONDS
from gossipnet.protocol.clockcheck import TOLERATED, clock_offset, span
from gossipnet.protocol.context import Context
from gossipnet.protocol.links import PeerLink

META = "time.floor"
FIRST, EVERY = 5.0, 60.0
"""Seconds between two looks: while nobody is linked, and after that."""
KEPT_EVERY = 300.0
"""Seconds by which it must have moved to be stored anew: a certificate's tolerance is as much."""


class TimeFloor:
    """Keeps `Context.floor`."""

    def __init__(self, context: Context, links: dict[int, PeerLink]) -> None:
        self._context = context
        self._links = links
        self._kept = 0.0
        self._behind = False

    def restore(self, meta: Mapping[str, bytes]) -> None:
        """Load what an earlier process stored."""
        stored = meta.get(META, b"")
        self._kept = float(int.from_bytes(stored[:8], "big")) if len(stored) == 8 else 0.0
        self._context.floor = self._kept

    def start(self) -> None:
        """Begin to look."""
        self._context.timers.set("time-floor", self._context.now + FIRST, self.look)

    def look(self) -> None:
        """Compare the clock with the peers', and remember it if they agree."""
        context = self._context
        offset = clock_offset(self._links.values(), context)
        wait = FIRST if offset is None else EVERY
        context.timers.set("time-floor", context.now + wait, self.look)
        if offset is None or abs(offset) > TOLERATED:
            self._warn()
            return
        if context.floor > context.wall + CLOCK_SECONDS:
            context.event(
                "time-floor-lowered",
                f"linked peers agree with this machine's clock: the time that was remembered, "
                f"{span(context.floor - context.wall)} later, was wrong",
                "warning",
            )
            context.counters["time_floor_lowered"] += 1
            context.floor = context.wall
            self._keep()
        elif context.wall > context.floor:
            context.floor = context.wall
            if context.floor >= self._kept + KEPT_EVERY:
                self._keep()
        self._warn()

    def _keep(self) -> None:
        self._kept = self._context.floor
        self._context.meta[META] = int(self._kept).to_bytes(8, "big")

    def _warn(self) -> None:
        complaint = self.complaint()
        if complaint is not None and not self._behind:
            self._context.event("clock-behind", complaint, "warning")
        self._behind = complaint is not None

    def complaint(self) -> str | None:
        """One sentence if this machine's clock is behind what is known for sure, else None."""
        behind = self._context.floor - self._context.wall
        if behind <= CLOCK_SECONDS:
            return None
        return (
            f"this machine's clock is {span(behind)} behind the latest time that it has shown "
            "before, which other members confirmed: set it right"
        )
