"""When links get fresh keys: a new handshake inside the session every quarter of an hour or so.

The side that dialled begins, at a time of its own drawing, so that not all links of a node do it at
once. Both sides see to it that it happens: whoever keeps old keys alive, or lets a handshake hang,
loses the link. Only counts; what a handshake is, the session knows.
"""

import random
from collections.abc import Callable, Iterable
from math import inf
from typing import Protocol

import trio

EVERY = 900.0
SPREAD = 0.2
"""Seconds between two handshakes, and the share by which each interval differs."""

ANSWER_SECONDS = 30.0
"""From the first message to fresh keys: it may wait behind what is queued."""

OLDEST = 2 * EVERY * (1 + SPREAD)
"""Seconds for which the answering side goes on with the same keys."""

LOOK_SECONDS = 15.0


class Refreshable(Protocol):
    """A link, as far as this matters."""

    dialed: int | None
    up: bool
    fresh_at: float

    def refresh(self) -> bool:
        """Begin a handshake; False if it cannot be now."""
        ...

    def fail(self, reason: str) -> None:
        """End at once."""
        ...


class FreshKeys:
    """Looks after the keys of all links.

    Args:
      links: Gives those that there are.
    """

    def __init__(self, links: Callable[[], Iterable[Refreshable]]) -> None:
        self._links = links
        self._due: dict[Refreshable, float] = {}
        self._late: dict[Refreshable, float] = {}

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            self.look(trio.current_time())

    def look(self, now: float) -> None:
        """Begin what is due, and end what is overdue."""
        links = [link for link in self._links() if link.up]
        for link in links:
            if link.dialed is None:
                if now - link.fresh_at > OLDEST:
                    link.fail("stale-keys")
                continue
            if self._late.get(link, inf) <= now:
                link.fail("refresh-timeout")
            elif link not in self._due:
                self._due[link] = link.fresh_at + _interval()
            elif self._due[link] <= now and link not in self._late and link.refresh():
                self._late[link] = now + ANSWER_SECONDS
        alive = set(links)
        for table in (self._due, self._late):
            for link in [link for link in table if link not in alive]:
                del table[link]

    def refreshed(self, link: Refreshable) -> None:
        """A handshake is done."""
        self._late.pop(link, None)
        self._due.pop(link, None)


def _interval() -> float:
    return EVERY * (1.0 + SPREAD * (2.0 * random.random() - 1.0))
