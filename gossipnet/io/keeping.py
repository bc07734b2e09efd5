"""Writes renewed certificates to the home, however long the disk refuses them.

They are in use already; a home that never gets them costs another renewal after the next start.
"""

from collections import Counter
from collections.abc import Callable

import trio

from gossipnet.errors import HomeError, IdentityError
from gossipnet.identity.node import NodeIdentity
from gossipnet.io.logs import log_event

AGAIN_SECONDS = 60.0

Keep = Callable[[NodeIdentity], None]
"""`Home.renew`: blocks until it is on disk."""


class Keeping:
    """Keeps the newest identity; an older one that waits is forgotten.

    Args:
      keep: Called in a thread; None keeps nothing.
      counters: Where failures are counted.
    """

    def __init__(self, keep: Keep | None, counters: Counter[str]) -> None:
        self._keep = keep
        self._counters = counters
        self._newest: NodeIdentity | None = None

    async def write(self, identity: NodeIdentity) -> None:
        """Return once it is on disk, or overtaken."""
        self._newest = identity
        while self._keep is not None and self._newest is identity:
            try:
                await trio.to_thread.run_sync(self._keep, identity)
                return
            except (HomeError, IdentityError) as error:
                self._counters["renewals_not_kept"] += 1
                log_event("renewal-not-kept", f"{error}; it is tried again every minute", "error")
                await trio.sleep(AGAIN_SECONDS)
