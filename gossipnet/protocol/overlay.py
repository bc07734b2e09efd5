"""The overlay: which links this node holds, whom it dials, and how it never gives up.

A HyParView-style active view (Leitão et al., DSN 2007): a handful of symmetric links, 5 + ceil(log10
N), replaced the moment one dies. The passive view is the member table itself, since everybody knows
everybody. Unreachable members and seeds are retried for ever, round-robin, at least one attempt
every 2 s. This module knows members and links; what flows over a link is not its business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log10

from gossipnet.ids import NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Dial, DialFailure, Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import LEFT, Member, Membership
from gossipnet.protocol.wire import Verdict

SLACK = 2
"""Links accepted above the target, so that a newcomer finds room in a full mesh."""

DIAL_DEADLINE = 2.0
"""Seconds for resolving, connecting and the handshake of one dial."""

PROBE_DEADLINE = 1.0
"""The same when the dial is to find out whether a member is still there."""

DIALS_AT_ONCE = 4
"""Neighbour dials under way at one time."""

BACKOFF_MIN, BACKOFF_MAX = 1.0, 30.0
"""Seconds between two dials of one address, doubling, jittered."""

RETRY = 2.0
"""At least one attempt in this many seconds while anybody is unreachable."""

ADDRESS_MAX = 4096
"""Addresses with a remembered backoff."""


@dataclass(slots=True)
class Attempt:
    """A dial under way.

    Attributes:
      address: Where to.
      node: Who is expected, if known.
      purpose: ``neighbour``, ``return`` (an unreachable one or a seed), ``probe`` or ``relay``.
    """

    address: str
    node: NodeId | None
    purpose: str


@dataclass(slots=True)
class Backoff:
    """When an address may be tried again."""

    failures: int = 0
    next_at: float = 0.0
    tried_at: float = -1e9


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
        self.attempts: dict[int, Attempt] = {}
        self.stopped = False
        # Set by the engine.
        self.joined: Callable[[PeerLink], None] = lambda _link: None
        self.lost: Callable[[NodeId, DialFailure], None] = lambda _node, _failure: None

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
        """How many neighbours a node of this mesh should have."""
        return 5 + ceil(log10(max(1, self._membership.alive_count())))

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
        self._context.timers.set("overlay", self._context.after(1.0, 0.2), self._tend)
        self._seek_neighbours()
        self._seek_lost()

    def _seek_neighbours(self) -> None:
        dialing = {attempt.node for attempt in self.attempts.values()}
        busy = sum(1 for attempt in self.attempts.values() if attempt.purpose == "neighbour")
        linked = {link.node for link in self._links.values()}
        missing = self.target() - len(self.neighbours) - busy
        if missing <= 0:
            return
        candidates = [
            member
            for member in self._membership.members.values()
            if member.reachable
            and member.id != self._membership.me
            and member.id not in linked
            and member.id not in dialing
            and any(self._due(address) for address in member.body.addresses)
        ]
        self._context.rng.shuffle(candidates)
        for member in candidates[: min(missing, DIALS_AT_ONCE - busy)]:
            address = next(a for a in member.body.addresses if self._due(a))
            self._dial(Attempt(address, member.id, "neighbour"), DIAL_DEADLINE)

    def _seek_lost(self) -> None:
        """One attempt at somebody who is unreachable: the one that has waited longest."""
        if any(attempt.purpose == "return" for attempt in self.attempts.values()):
            return
        targets = self._lost_addresses()
        if not targets:
            return
        due = [pair for pair in targets if self._due(pair[0])]
        if not due:
            if self._context.now - self._returned_at < RETRY:
                return
            due = targets
        address, node = min(due, key=lambda pair: self._backoff_of(pair[0]).tried_at)
        self._returned_at = self._context.now
        self._dial(Attempt(address, node, "return"), DIAL_DEADLINE)

    def _lost_addresses(self) -> list[tuple[str, NodeId | None]]:
        alone = not self.neighbours
        linked = {link.node for link in self._links.values()}
        found: dict[str, NodeId | None] = {}
        for seed in self._seeds:
            node = self._seed_nodes.get(seed)
            member = None if node is None else self._membership.members.get(node)
            if alone or member is None or (member.dead and member.id not in linked):
                found[seed] = None
        for member in self._membership.members.values():
            if member.id == self._membership.me or member.id in linked:
                continue
            if member.body.status != LEFT and (alone or not member.reachable):
                for address in member.body.addresses:
                    found.setdefault(address, member.id)
        own = set(self._membership.addresses)
        return [(address, node) for address, node in found.items() if address not in own]

    # -- dialling ------------------------------------------------------------------------------

    def dial(self, member: Member, purpose: str) -> bool:
        """Dial a member now, whatever its backoff; False if it has no address or is being dialled."""
        if any(attempt.node == member.id for attempt in self.attempts.values()):
            return True
        if not member.body.addresses:
            return False
        deadline = PROBE_DEADLINE if purpose == "probe" else DIAL_DEADLINE
        self._dial(Attempt(member.body.addresses[0], member.id, purpose), deadline)
        return True

    def _dial(self, attempt: Attempt, deadline: float) -> None:
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
        if attempt is not None:
            self._backoff.pop(attempt.address, None)
            if attempt.address in self._seeds:
                self._seed_nodes[attempt.address] = node
        return attempt

    def failed(self, number: int, failure: DialFailure, detail: str) -> None:
        """A dial came to nothing."""
        attempt = self.attempts.pop(number, None)
        if attempt is None:
            return
        self._context.counters[f"dials_{failure.name.lower()}"] += 1
        backoff = self._backoff_of(attempt.address)
        backoff.failures += 1
        wait = min(BACKOFF_MAX, BACKOFF_MIN * 2 ** min(backoff.failures - 1, 6))
        backoff.next_at = self._context.after(wait, 0.3)
        if backoff.failures == 1 or attempt.node is None:
            self._context.event(
                "dial-failed",
                f"{attempt.address}: {detail}",
                "warning" if attempt.node is None and backoff.failures == 1 else "debug",
                attempt.node,
            )
        if attempt.node is not None and attempt.purpose == "probe":
            self.lost(attempt.node, failure)
        self.kick(0.05)

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

    def intent(self) -> int:
        """What to ask of the next peer: 1 if there is no neighbour yet."""
        return 0 if self.neighbours else 1

    def consider(self, link: PeerLink, intent: int) -> None:
        """The dialler said Hello: take it as a neighbour if there is room."""
        room = self.target() + SLACK + (SLACK if intent == 1 else 0)
        accepted = intent != 2 and len(self.neighbours) < room
        self._context.send(link.number, Lane.CONTROL, Verdict(accepted))
        if accepted:
            self._accept(link)
        else:
            self._context.counters["neighbours_refused"] += 1

    def on_verdict(self, link: PeerLink, accepted: bool) -> bool:
        """The peer we dialled has decided; False means the link has no more use."""
        if accepted:
            self._accept(link)
            return True
        for address in self._addresses_of(link.node):
            backoff = self._backoff_of(address)
            backoff.next_at = self._context.after(5.0, 0.5)
        self.kick(0.05)
        return False

    def _addresses_of(self, node: NodeId) -> list[str]:
        member = self._membership.members.get(node)
        return [] if member is None else list(member.body.addresses)

    def _accept(self, link: PeerLink) -> None:
        if not link.neighbour:
            link.neighbour = True
            self.joined(link)
            self.kick(0.05)
