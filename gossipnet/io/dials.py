"""Dials under way: from the engine's wish to a link that is carried, or to the reason why not.

Bounded in number; each has the engine's deadline for everything, the handshake included.
"""

from collections import Counter
from typing import Protocol

import trio

from gossipnet.io.accounts import Ledger
from gossipnet.io.dialer import DialError, connect
from gossipnet.io.link import Link, LinkOwner
from gossipnet.protocol.effects import Dial, DialFailed, DialFailure, Input
from gossipnet.protocol.handshake import Transport
from gossipnet.protocol.session import Session

MAX_DIALS = 32
# A dial that ends for one of these found no peer that speaks; for any other, a wrong one.
_SPEECHLESS = frozenset({"broken", "closed", "truncated", "handshake-timeout", "shutdown"})


_HUNG_UP = (
    "it hung up during the handshake ({}): most likely it is no gossipnet, or of another mesh, or "
    "has a mesh secret that this node lacks; or it has too many links and will take one later"
)
_LIKELY = {
    "broken": _HUNG_UP.format("broken"),
    "closed": _HUNG_UP.format("closed"),
    "truncated": _HUNG_UP.format("truncated"),
    "refused": "it refused this node's certificate (refused): `gossipnet log` there tells why; "
    "most likely it has expired, or this node was revoked",
    "handshake-timeout": "it connected and then said nothing (handshake-timeout): most likely "
    "something else listens there, or the machine is overloaded",
}
"""What people read instead of a word; it stays in it, for searching."""


class DialOwner(LinkOwner, Protocol):
    """What dials ask of the driver."""

    counters: Counter[str]
    ledger: Ledger

    @property
    def full(self) -> bool:
        """No link may be begun."""
        ...

    def feed(self, event: Input) -> None:
        """Give the engine one input."""
        ...

    async def carry(self, link: Link) -> None:
        """Carry a link until it ends."""
        ...


class Dials:
    """Carries out `Dial` effects.

    Attributes:
      under_way: How many have not become links yet, nor failed.
    """

    def __init__(self, owner: DialOwner, transport: Transport) -> None:
        self.under_way = 0
        self._owner = owner
        self._transport = transport

    def start(self, effect: Dial, nursery: trio.Nursery) -> None:
        """Begin one, or say at once that there are too many."""
        owner = self._owner
        if owner.full or self.under_way >= MAX_DIALS:
            owner.counters["dials_refused"] += 1
            unreachable = DialFailure.UNREACHABLE
            owner.feed(DialFailed(effect.dial, unreachable, "too many links or dials"))
            return
        self.under_way += 1
        nursery.start_soon(self._dial, effect)

    async def _dial(self, effect: Dial) -> None:
        deadline = trio.current_time() + effect.deadline
        try:
            stream = await connect(effect.address, effect.deadline)
        except DialError as error:
            self.under_way -= 1
            self._owner.feed(DialFailed(effect.dial, error.failure, str(error)))
            return
        link = Link(
            self._owner,
            stream,
            Session.dial(self._transport, expected=effect.expected),
            address=effect.address,
            dialed=effect.dial,
            deadline=deadline,
            account=self._owner.ledger.open(trio.current_time()),
        )
        link.on_established = self._became_link
        await self._owner.carry(link)

    def _became_link(self) -> None:
        self.under_way -= 1

    def failed(self, dial: int, reason: str) -> None:
        """A dialled link ended before it was up."""
        self.under_way -= 1
        failure = DialFailure.UNREACHABLE if reason in _SPEECHLESS else DialFailure.HANDSHAKE
        self._owner.feed(DialFailed(dial, failure, _LIKELY.get(reason, reason)))
