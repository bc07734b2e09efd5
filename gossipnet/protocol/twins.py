"""Another machine that runs with this node's key: a home that was copied, or put back.

Others then hold a newer record of this node than it does. It takes a higher incarnation, so that
its own record counts again; against a twin that does the same it does so ever more slowly, and says
what is wrong.
"""

from collections.abc import Callable

from gossipnet.protocol.context import Context

TWIN_AFTER = 4
"""Newer records of this node in a row that say: another machine runs with its key."""

TWIN_PATIENCE = 30.0
"""Seconds, at most, before such a record is answered by a higher incarnation."""

TWIN_FORGOTTEN = 120.0
"""Seconds without one after which the count begins anew."""


class Twins:
    """See the module.

    Args:
      context: Of the engine.
      refute: Takes an incarnation above the one it is given.
    """

    def __init__(self, context: Context, refute: Callable[[int], None]) -> None:
        self._context = context
        self._refute = refute
        self._seen = 0
        self._seen_at = -TWIN_FORGOTTEN

    def overtaken(self, incarnation: int) -> None:
        """Others hold a record of this node with ``incarnation``, newer than its own."""
        now = self._context.now
        if "overtaken" in self._context.timers:
            return  # the answer that waits is above whatever is known by then
        if now - self._seen_at > TWIN_FORGOTTEN:
            self._seen = 0
        self._seen_at = now
        self._seen += 1
        twin = self._seen >= TWIN_AFTER
        self._context.event(
            "record-overtaken",
            "another machine runs with this node's key (its home was copied): stop one of them, "
            "and let the copy join anew from an empty home"
            if twin
            else "others hold a newer record of this node than it does (its home was put back): it "
            "takes a higher incarnation",
            "error" if twin else "warning",
        )
        wait = 0.0 if not twin else min(TWIN_PATIENCE, 2.0 ** (self._seen - TWIN_AFTER))
        self._context.timers.set("overtaken", now + wait, lambda: self._refute(incarnation))
