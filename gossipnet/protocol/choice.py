"""Whom this node wants as a neighbour, for whom it has room, and whom it can spare.

Within its zone every node holds a handful of links. Between zones only bridges do (`zones`): each a
few, to bridges of other zones, first to zones that it has no link to. So what crosses between zones
does not grow with the number of nodes. In a mesh without zones everybody is in one. Which bridges
are gone only a link can tell: so a bridge lets in whoever dials from a zone that it has no link to,
and who has no link to any other zone tries anybody there. This module dials nobody and closes
nothing.
"""

from collections import Counter
from collections.abc import Callable
from math import ceil, log10

from gossipnet.ids import NodeId
from gossipnet.protocol import diversity
from gossipnet.protocol.context import Context
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member, Membership

SLACK = 2
"""Links accepted above the target, so that a newcomer finds room in a full mesh."""

SURPLUS = 4
"""Neighbours above the target that are kept when the other sides have none to spare."""

SETTLED = 3.0
"""Seconds for which a link is left alone: both sides' records tell of it by then."""

DEMOTED = 10.0
"""The same for a link between zones that is not for this node to hold: its successors need time."""

SAMPLED = 64
"""Of a large zone so many members are considered at a time, drawn at random."""

Due = Callable[[Member], bool]


class Choice:
    """Chooses among members and links."""

    def __init__(
        self, context: Context, membership: Membership, links: dict[int, PeerLink]
    ) -> None:
        self._context = context
        self._membership = membership
        self._links = links
        # Set by the overlay that asks: how many neighbours a node should have within its zone.
        self.target: Callable[[], int] = self.usual

    def usual(self) -> int:
        """The number of neighbours within the zone that keeps a mesh of its size together."""
        zones = self._membership.zones
        return 5 + ceil(log10(max(1, zones.size(self._membership.zone))))

    # -- zones ---------------------------------------------------------------------------------

    def across(self) -> int:
        """How many links to other zones this node should hold."""
        zones = self._membership.zones
        if self._membership.me not in zones.bridges(self._membership.zone):
            return 0
        others = [zone for zone in zones.names() if zone != self._membership.zone]
        if not others:
            return 0
        bridges = sum(len(zones.bridges(zone)) for zone in others)
        return min(bridges, 2 + ceil(log10(1 + len(others))))

    def _member(self, link: PeerLink) -> Member | None:
        return self._membership.members.get(link.node)

    def _zone_of(self, link: PeerLink) -> str:
        member = self._member(link)
        return self._membership.zone if member is None else member.body.zone

    def _split(self) -> tuple[list[PeerLink], list[PeerLink]]:
        """Neighbours inside the zone, and beyond it."""
        inside: list[PeerLink] = []
        beyond: list[PeerLink] = []
        for link in self._links.values():
            if link.neighbour:
                home = self._zone_of(link) == self._membership.zone
                (inside if home else beyond).append(link)
        return inside, beyond

    # -- wanting -------------------------------------------------------------------------------

    def wanted(self, busy: set[NodeId], due: Due) -> list[Member]:
        """Whom to dial, best first and no more than are missing.

        Args:
          busy: Being dialled for this purpose.
          due: Whether an address of a member may be tried now.
        """
        inside, beyond = self._split()
        rows = self._membership.members
        home = [node for node in busy if rows[node].body.zone == self._membership.zone]
        missing = max(self.target() - len(inside), diversity.lacking(inside)) - len(home)
        chosen: list[Member] = []
        if missing > 0:
            living = self._membership.zones.living(self._membership.zone)
            chosen = self._fit(living, due)
            diversity.sort(chosen, inside, self._member)
            chosen = chosen[:missing]
        missing = self.across() - len(beyond) - (len(busy) - len(home))
        if missing > 0:
            chosen += self._abroad(beyond, due)[:missing]
        return chosen

    def _fit(self, members: list[Member], due: Due) -> list[Member]:
        """Those of them that may be dialled, in random order; of very many a sample."""
        linked = {link.node for link in self._links.values()}
        linked.add(self._membership.me)
        for size in (min(SAMPLED, len(members)), len(members)):
            mixed = self._context.rng.sample(members, size)
            found = [member for member in mixed if member.id not in linked and due(member)]
            if found:
                return found
        return []

    def _abroad(self, beyond: list[PeerLink], due: Due) -> list[Member]:
        """Bridges of other zones, those first to whose zones there are the fewest links."""
        zones, rows = self._membership.zones, self._membership.members
        held = Counter(self._zone_of(link) for link in beyond)
        found: list[Member] = []
        for zone in zones.names():
            if zone == self._membership.zone:
                continue
            bridges = self._fit([rows[node] for node in zones.bridges(zone)], due)
            if not bridges and not beyond:  # perhaps all are gone, and nobody could tell us
                bridges = self._fit(zones.living(zone), due)[:1]
            found += bridges
        self._context.rng.shuffle(found)
        picked: list[Member] = []
        while found:
            best = min(found, key=lambda member: held[member.body.zone])
            held[best.body.zone] += 1
            found.remove(best)
            picked.append(best)
        return picked

    # -- having room ---------------------------------------------------------------------------

    def room_for(self, link: PeerLink, intent: int) -> bool:
        """Whether to take a peer that asks as a neighbour; ``intent`` as in its Hello."""
        inside, beyond = self._split()
        zones, zone = self._membership.zones, self._zone_of(link)
        if zone == self._membership.zone:
            return len(inside) < self.target() + SLACK + (SLACK if intent == 1 else 0)
        most = self.across() + SLACK
        if intent == 1:  # it is cut off, and we may be the first that it can reach
            return len(beyond) < most + self.target()
        if self._membership.me not in zones.bridges(self._membership.zone):
            return False
        known = link.node in zones.bridges(zone)
        lacking = not any(self._zone_of(other) == zone for other in beyond)
        return (known or lacking) and len(beyond) < (most + SLACK if lacking else most)

    def isolated(self, node: NodeId) -> bool:
        """Whether a member is of another zone, and this node has no link to any other zone."""
        member = self._membership.members.get(node)
        if member is None or member.body.zone == self._membership.zone:
            return False
        _inside, beyond = self._split()
        return not beyond

    # -- sparing -------------------------------------------------------------------------------

    def surplus(self) -> PeerLink | None:
        """A neighbour to part with, if there are too many: the one that has most others.

        Up to `SURPLUS` too many stay while the other side would miss the link. Both sides may let
        go of it at once, so only the dialler does, now and then.
        """
        inside, beyond = self._split()
        over = len(inside) - self.target()
        if over > SURPLUS:
            return max(diversity.spare(inside, self._member), key=self._others, default=None)
        if self._context.rng.random() >= 1 / 4:
            return None
        if over > 0:
            spare = diversity.spare(inside, self._member)
            able = [link for link in spare if link.dialed and self._spares(link)]
            if able:
                return max(able, key=self._others)
        return self._needless(beyond) if inside or not self._alone() else None

    def _others(self, link: PeerLink) -> tuple[int, int]:
        member = self._member(link)
        return (0 if member is None else len(member.neighbours), link.number)

    def _spares(self, link: PeerLink) -> bool:
        """Whether the other end, too, has had more neighbours than it needs for a while."""
        member = self._member(link)
        if member is None or member.suspected or self._context.now - link.up_at < SETTLED:
            return False
        return len(member.neighbours) > self.target()

    def _alone(self) -> bool:
        return self._membership.zones.size(self._membership.zone) <= 1

    def _needless(self, beyond: list[PeerLink]) -> PeerLink | None:
        """A link to another zone that this node, or its peer, is no longer there for."""
        zones = self._membership.zones
        old = [link for link in beyond if self._context.now - link.up_at > DEMOTED]
        if self._membership.me not in zones.bridges(self._membership.zone):
            return max(old, key=self._others, default=None)
        idle = [link for link in old if link.node not in zones.bridges(self._zone_of(link))]
        if not idle and len(beyond) > self.across() + SLACK:
            idle = old
        return max(idle, key=self._others, default=None)
