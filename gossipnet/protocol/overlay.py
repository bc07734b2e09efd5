"""The overlay: which links this node holds, whom it dials, and how it never gives up.

A HyParView-style active view (Leitão et al., DSN 2007): a handful of symmetric links, 5 +
ceil(log10 N), replaced the moment one dies. The passive view is the member table itself, since
everybody knows everybody. Unreachable members and seeds are retried for ever, round-robin, at least
one attempt every 2 s. This module knows members and links; what flows over a link is not its
business.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossipnet.ids import NodeId
from gossipnet.protocol.choice import Choice
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Dial, DialFailure, Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member, Membership
from gossipnet.protocol.wire import Verdict

DIAL_DEADLINE = 2.0
"""Seconds for resolving, connecting and the handshake of one dial."""

PROBE_DEADLINE = 1.0
"""The same when the dial is to find out whether a member is still there; four of its round trips
come on top, for connecting and the handshake take three."""

DIALS_AT_ONCE = 4
"""Neighbour dials under way at one time."""

REFUSED_FOR = 5.0
"""Seconds before a member that had no room is asked again."""

BACKOFF_MIN, BACKOFF_MAX = 1.0, 30.0
"""Seconds between two dials of one address, doubling, jittered."""

ATTEMPTS_MAX = 24
"""Dials under way at one time, whatever for; the driver's own bound is higher, so that what it
reports is about the other machine."""

RETRY = 2.0
"""At least one attempt in this many seconds while anybody is unreachable."""

RETURN_PACE = 0.25
"""Between two such attempts however many are unreachable, unless this node is alone."""

OWN_ADDRESS = 300.0
"""Seconds for which a seed that turned out to be this node is left alone: names change."""

AVOIDED = 30.0
"""Seconds for which a peer that broke the protocol is not dialled."""

ADDRESS_MAX = 4096
"""Addresses with a remembered backoff."""


@dataclass(slots=True)
class Attempt:
    """A dial under way.

    Attributes:
      address: Where to.
      node: Who is expected, if known.
      purpose: ``neighbour``, ``return`` (an unreachable one or a seed), ``probe`` or ``relay``.
      rest: Addresses of the same member to try after this one.
      failure: What the addresses before this one said: a refusal counts only if all refuse.
    """

    address: str
    node: NodeId | None
    purpose: str
    rest: tuple[str, ...] = ()
    failure: DialFailure = DialFailure.REFUSED


@dataclass(slots=True)
class Backoff:
    """When an address may be tried again, and whether it turned out to be our own."""

    failures: int = 0
    next_at: float = 0.0
    tried_at: float = -1e9
    mine: bool = False


class Overlay:
    """Keeps the active view full."""

    def __init__(
        self, context: Context, membership: Membership, links: dict[int, PeerLink]
    ) -> None:
        self._context = context
        self._membership = membership
        self._links = links
        self._dial_number = 0
        self._seeds: tuple[str, ...] = ()
        self._seed_nodes: dict[str, NodeId] = {}
        self._backoff: dict[str, Backoff] = {}
        self._returned_at = -1e9
        self._choice = Choice(context, membership, links)
        self._choice.target = lambda: self.target()
        self.attempts: dict[int, Attempt] = {}
        self.stopped = False
        # Set by the engine.
        self.joined: Callable[[PeerLink], None] = lambda _link: None
        self.lost: Callable[[NodeId, DialFailure, str], None] = lambda _node, _failure, _why: None

    def start(self, seeds: tuple[str, ...]) -> None:
        """Begin to look for neighbours, at these addresses too."""
        self._seeds = seeds
        self.kick()

    def add_seeds(self, seeds: tuple[str, ...]) -> None:
        """More addresses to try."""
        self._seeds = tuple(dict.fromkeys(self._seeds + seeds))
        self.kick()

    # -- what there is -------------------------------------------------------------------------

    @property
    def neighbours(self) -> list[PeerLink]:
        """Links that carry gossip."""
        return [link for link in self._links.values() if link.neighbour]

    def target(self) -> int:
        """How many neighbours a node should have within its zone."""
        return self._choice.usual()

    def linked(self, node: NodeId) -> PeerLink | None:
        """The link to a node, a neighbour's first."""
        best: PeerLink | None = None
        for link in self._links.values():
            if link.node == node and (best is None or link.neighbour):
                best = link
        return best

    # -- upkeep --------------------------------------------------------------------------------

    def kick(self, delay: float = 0.0) -> None:
        """Look after the view soon."""
        if not self.stopped:
            self._context.timers.set("overlay", self._context.now + delay, self._tend)

    def _tend(self) -> None:
        if self.stopped:
            return
        self._context.timers.set("overlay", self._context.after(1.0, 0.2), self._tend)
        self._seek_neighbours()
        self._seek_lost()

    def _seek_neighbours(self) -> None:
        every = {attempt.node for attempt in self.attempts.values()}
        busy = {a.node for a in self.attempts.values() if a.purpose == "neighbour" and a.node}
        wanted = self._choice.wanted(
            busy,
            lambda member: member.id not in every and any(map(self._due, member.body.addresses)),
        )
        for member in wanted[: max(0, DIALS_AT_ONCE - len(busy))]:
            address = next(a for a in member.body.addresses if self._due(a))
            self._dial(Attempt(address, member.id, "neighbour"))

    def _seek_lost(self) -> None:
        """One attempt at somebody who is unreachable: the one that has waited longest."""
        if any(attempt.purpose == "return" for attempt in self.attempts.values()):
            return
        if self._context.now - self._returned_at < RETURN_PACE and self.neighbours:
            return
        targets = self._lost_addresses()
        if not targets:
            return
        due = [pair for pair in targets if self._due(pair[0])]
        if not due:
            if self._context.now - self._returned_at < RETRY:
                return
            due = targets
        address, node = min(
            due, key=lambda pair: (self._backoff_of(pair[0]).tried_at, self._context.rng.random())
        )
        self._returned_at = self._context.now
        self._dial(Attempt(address, node, "return"))

    def _lost_addresses(self) -> list[tuple[str, NodeId | None]]:
        alone = not any(link.neighbour or not link.decided for link in self._links.values())
        linked = {link.node for link in self._links.values()}
        busy = {attempt.address for attempt in self.attempts.values()}
        busy.update(link.address for link in self._links.values() if link.dialed)
        found: dict[str, NodeId | None] = {}
        for seed in self._seeds:
            node = self._seed_nodes.get(seed)
            member = None if node is None else self._membership.members.get(node)
            if alone or member is None or (member.dead and member.id not in linked):
                found[seed] = None
        members = (
            [member for member in self._membership.others() if not member.gone]
            if alone
            else self._membership.unreachable()
        )
        for member in members:
            if member.id != self._membership.me and member.id not in linked:
                for address in member.body.addresses:
                    found.setdefault(address, member.id)
        return [
            pair for pair in found.items() if pair[0] not in busy and not self._is_mine(pair[0])
        ]

    def _is_mine(self, address: str) -> bool:
        if address in self._membership.addresses:
            return True
        known = self._backoff.get(address)
        return known is not None and known.mine and known.next_at > self._context.now

    # -- dialling ------------------------------------------------------------------------------

    def dial(self, member: Member, purpose: str) -> bool:
        """Dial a member now, whatever its backoff; False if it has no address."""
        if any(attempt.node == member.id for attempt in self.attempts.values()):
            return True
        if not member.body.addresses or self.stopped:
            return False
        if len(self.attempts) >= ATTEMPTS_MAX:
            self._context.counters["dials_postponed"] += 1
            return True
        first, *rest = member.body.addresses
        self._dial(Attempt(first, member.id, purpose, tuple(rest)))
        return True

    def _dial(self, attempt: Attempt) -> None:
        deadline = DIAL_DEADLINE
        if attempt.purpose == "probe":
            member = self._membership.members.get(attempt.node) if attempt.node else None
            rtt = (member.rtt if member else None) or 0.0
            deadline = min(DIAL_DEADLINE, PROBE_DEADLINE + 4 * rtt)
        self._dial_number += 1
        self.attempts[self._dial_number] = attempt
        self._backoff_of(attempt.address).tried_at = self._context.now
        self._context.counters["dials"] += 1
        self._context.effects.append(
            Dial(self._dial_number, attempt.address, attempt.node, deadline)
        )

    def dialed(self, number: int, node: NodeId) -> Attempt | None:
        """A dial succeeded."""
        attempt = self.attempts.pop(number, None)
        if attempt is not None and attempt.address in self._seeds:
            self._seed_nodes[attempt.address] = node
        return attempt

    def failed(self, number: int, failure: DialFailure, detail: str) -> None:
        """A dial came to nothing."""
        attempt = self.attempts.pop(number, None)
        if attempt is None:
            return
        self._context.counters[f"dials_{failure.name.lower()}"] += 1
        backoff = self.back_off(attempt.address)
        backoff.mine = detail.startswith("self")
        if backoff.mine:
            backoff.next_at = self._context.now + OWN_ADDRESS
        elif backoff.failures == 1 or attempt.node is None:
            self._context.event(
                "dial-failed",
                f"{attempt.address}: {detail}",
                "warning" if attempt.node is None and backoff.failures == 1 else "debug",
                attempt.node,
            )
        self.kick(0.05)
        if attempt.node is None or self.stopped:
            return
        if failure is not DialFailure.REFUSED:
            attempt.failure = DialFailure.UNREACHABLE
        if attempt.rest:
            first, *rest = attempt.rest
            self._dial(Attempt(first, attempt.node, attempt.purpose, tuple(rest), attempt.failure))
            return
        self.lost(attempt.node, attempt.failure, attempt.purpose)

    def back_off(self, address: str) -> Backoff:
        """An address was of no use, whether it did not answer or its link soon ended."""
        backoff = self._backoff_of(address)
        backoff.failures += 1
        wait = min(BACKOFF_MAX, BACKOFF_MIN * 2 ** min(backoff.failures - 1, 6))
        backoff.next_at = self._context.after(wait, 0.3)
        return backoff

    def avoid(self, node: NodeId, seconds: float = AVOIDED) -> None:
        """Do not dial a member for a while."""
        for address in self._addresses_of(node):
            backoff = self._backoff_of(address)
            backoff.next_at = max(backoff.next_at, self._context.after(seconds, 0.3))

    def welcome(self, member: Member) -> None:
        """A member is back or has moved: its addresses may be tried at once."""
        for address in member.body.addresses:
            self._backoff.pop(address, None)
        self.kick(self._context.rng.random() * 0.2)

    def _due(self, address: str) -> bool:
        backoff = self._backoff.get(address)
        return backoff is None or backoff.next_at <= self._context.now

    def _backoff_of(self, address: str) -> Backoff:
        known = self._backoff.get(address)
        if known is None:
            if len(self._backoff) >= ADDRESS_MAX:
                self._backoff.pop(next(iter(self._backoff)))
            known = self._backoff[address] = Backoff()
        return known

    # -- agreeing on neighbours ----------------------------------------------------------------

    def intent(self, purpose: str, node: NodeId) -> int:
        """What to ask of a peer: 1 if there is no neighbour yet, 2 if it is for short business.

        For a peer of another zone only neighbours in other zones count.
        """
        neighbours = len(self.neighbours)
        if purpose == "relay" or (
            purpose == "probe"
            and neighbours >= self.target()
            and node[:16] not in self._membership.listed
        ):
            return 2
        return 0 if neighbours and not self._choice.isolated(node) else 1

    def consider(self, link: PeerLink, intent: int) -> None:
        """The dialler said Hello: take it as a neighbour if there is room."""
        accepted = intent != 2 and self._choice.room_for(link, intent)
        link.decided = True
        self._context.send(link.number, Lane.CONTROL, Verdict(accepted))
        if accepted:
            self._accept(link)
        else:
            self._context.counters["neighbours_refused"] += 1

    def on_verdict(self, link: PeerLink, accepted: bool) -> None:
        """The peer we dialled has decided. Without room the link stays only while it has a use."""
        link.decided = True
        if accepted:
            self._accept(link)
        elif link.intent != 2:
            self.avoid(link.node, REFUSED_FOR)
            self.kick(0.05)

    def surplus(self) -> PeerLink | None:
        """A neighbour to part with, if there is one to spare."""
        return self._choice.surplus()

    def _addresses_of(self, node: NodeId) -> list[str]:
        return list(member.body.addresses) if (member := self._membership.members.get(node)) else []

    def _accept(self, link: PeerLink) -> None:
        if not link.neighbour:
            link.neighbour = True
            self._backoff.pop(link.address, None)
            self.joined(link)
            self.kick(0.05)
