"""How far members are: this node's place, whom to tell of it, who is near, and who owns a key.

Round trips that this node measures itself on its links move its place (`vivaldi`); neighbours tell
each other theirs with heartbeats, and everybody else has it from the signed member record, which is
signed anew for this reason alone only when the place has moved much, and ever more rarely. Who owns
a key is rendezvous hashing over the living (Thaler and Ravishankar 1998): equal views give equal
answers, and a member that comes or goes moves only its own keys.
"""

import hashlib
from collections.abc import Callable, Iterable

from gossipnet.ids import NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import ALIVE, Member, Membership
from gossipnet.protocol.vivaldi import Coordinate, Place, Vivaldi, heard

TELL_EVERY = 8
"""Heartbeats between two that carry a place, once it is roughly known."""

ROUGH = 0.5
"""Relative error above which every heartbeat carries it."""

SETTLED = 6
"""Measurements before a place is told at all."""

PACE_MIN, PACE_MAX = 10.0, 320.0
"""Seconds between two records signed for this reason; doubles each time."""

MOVED = 0.001
MOVED_SHARE = 0.25
"""A place has moved much if by so many seconds and by such a share of the usual round trip."""


class Distance:
    """One node's place among the others."""

    def __init__(
        self, context: Context, membership: Membership, links: dict[int, PeerLink]
    ) -> None:
        self._context = context
        self._membership = membership
        self._links = links
        self._vivaldi = Vivaldi(context.rng)
        self._pace = PACE_MIN
        # Set by the engine: sign and publish this node's record.
        self.publish: Callable[[], None] = lambda: None

    @property
    def here(self) -> Coordinate:
        """This node's place."""
        return self._vivaldi.here

    def start(self) -> None:
        """Begin to look whether the place is worth a record."""
        self._context.timers.set("place", self._context.after(self._pace, 0.3), self._look)

    # -- telling -------------------------------------------------------------------------------

    def told(self, number: int) -> Place:
        """What heartbeat ``number`` says of this node's place; empty for nothing."""
        if self._vivaldi.samples < SETTLED or (
            self.here.error <= ROUGH and number % TELL_EVERY != 1
        ):
            return []
        return self.here.told()

    def measured(self, link: PeerLink, rtt: float, place: Place) -> None:
        """A round trip was measured on a link; its peer said where it is, or nothing."""
        there = heard(place)
        if there is not None:
            self._vivaldi.measured(there, rtt)
        elif self._vivaldi.samples < SETTLED and link.neighbour:
            # Nobody knows a place yet: all begin in the middle and push each other apart.
            self._vivaldi.measured(Coordinate(), rtt)

    def _look(self) -> None:
        if self._vivaldi.samples >= SETTLED and self._moved():
            self._pace = min(2 * self._pace, PACE_MAX)
            self._membership.place = self.here.told()
            self.publish()
        self.start()

    def _moved(self) -> bool:
        said = heard(self._membership.place)
        if said is None:
            return True
        known = sorted(link.rtt for link in self._links.values() if link.rtt is not None)
        usual = known[len(known) // 2] if known else 0.0
        moved = said.distance(self.here) - said.height - self.here.height
        moved += abs(said.height - self.here.height)
        return moved > max(MOVED, MOVED_SHARE * usual)

    # -- asking --------------------------------------------------------------------------------

    def rtt(self, member: Member) -> tuple[float | None, bool]:
        """Seconds to a member and back, and whether that was measured; None if unknown."""
        if member.rtt is not None:
            return member.rtt, True
        there = heard(member.body.place)
        if there is None or self._vivaldi.samples < SETTLED:
            return None, False
        return self.here.distance(there), False

    def nearest(self) -> list[Member]:
        """All others that are alive and at a known distance, the nearest first."""
        known = [
            (rtt, member.id, member)
            for member in self._membership.others()
            if member.reachable and (rtt := self.rtt(member)[0]) is not None
        ]
        return [member for _rtt, _id, member in sorted(known, key=lambda row: row[:2])]

    def owners(self, key: bytes, count: int) -> list[Member]:
        """The members to which a key belongs, first its owner, then who steps in."""
        living = self._membership.members
        ranked = rank(key, (node for node, member in living.items() if _counts(member)))
        return [living[node] for node in ranked[:count]]


def _counts(member: Member) -> bool:
    return member.body.status == ALIVE and not member.dead and not member.outcast


def rank(key: bytes, nodes: Iterable[NodeId]) -> list[NodeId]:
    """Nodes by their claim to a key, highest first."""
    head = hashlib.blake2b(b"gossipnet owner\0" + key, digest_size=32).digest()
    return sorted(
        nodes,
        key=lambda node: (hashlib.blake2b(head + node, digest_size=16).digest(), node),
        reverse=True,
    )
