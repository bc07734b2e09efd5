"""The parts of one node, and who tells whom.

They never call each other: membership (who is who), presence (what this node says of itself), twins
(whether another machine says it too), overlay and linklife (which links there are), detection and
judgement (who is dead), roster (tables between peers), broadcast and sync (records between peers),
blobs (pieces of large values), clearing and imaging (what stands for old records), talk (messages
that nobody keeps), commits and receipts (what is durable, here and elsewhere), relay (newcomers),
certificates, standing (revocations, the root), quotas and clockcheck, over one `Replica`. What they
do is in their modules; `engine` drives them.
"""

import hashlib
import random
from collections.abc import Callable

from gossipnet.identity.home import NodeIdentity
from gossipnet.ids import NodeId
from gossipnet.protocol.blobs import Blobs
from gossipnet.protocol.broadcast import Broadcast
from gossipnet.protocol.certificates import Certificates
from gossipnet.protocol.clearing import Clearing
from gossipnet.protocol.clockcheck import ClockWatch
from gossipnet.protocol.commits import Commits
from gossipnet.protocol.context import Context
from gossipnet.protocol.detection import Detection
from gossipnet.protocol.distance import Distance
from gossipnet.protocol.effects import (
    Renewed,
)
from gossipnet.protocol.imaging import Imaging
from gossipnet.protocol.intake import Intake
from gossipnet.protocol.judgement import Judgement
from gossipnet.protocol.linklife import LinkLife
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member, Membership
from gossipnet.protocol.messages import handlers
from gossipnet.protocol.overlay import REFUSED_FOR, Overlay
from gossipnet.protocol.presence import Presence
from gossipnet.protocol.quotas import Quotas
from gossipnet.protocol.receipts import ReceiptBook
from gossipnet.protocol.relay import Relay
from gossipnet.protocol.report import Report
from gossipnet.protocol.roster import Roster
from gossipnet.protocol.settings import EngineSettings
from gossipnet.protocol.spread import Spread
from gossipnet.protocol.standing import Standing
from gossipnet.protocol.sync import Sync
from gossipnet.protocol.talk import Talk
from gossipnet.protocol.timefloor import TimeFloor
from gossipnet.protocol.tracing import Tracing
from gossipnet.protocol.tree import Tree
from gossipnet.protocol.twins import Twins
from gossipnet.protocol.wire import Hello
from gossipnet.state.clock import stamp_ms
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.replica import AppliedRecord, Replica


class Parts:
    """Composed and connected; `Engine` is this with a front.

    Args:
      identity: Who this node is.
      replica: Its state, loaded.
      settings: See there.
      rng: For choices that need no secrecy.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      now: Monotonic seconds.
      wall: Unix seconds.
    """

    def __init__(
        self,
        identity: NodeIdentity,
        replica: Replica,
        settings: EngineSettings,
        *,
        rng: random.Random,
        entropy: Callable[[int], bytes],
        now: float,
        wall: float,
    ) -> None:
        self.identity = identity
        self.replica = replica
        self.keyspace: Keyspace = replica.keyspace
        self.ready = False
        # Set by the driver: bytes that wait on a link, and messages for which there was no room.
        self.outbox: Callable[[int], tuple[int, int]] = lambda _link: (0, 0)
        self.left = False
        self._met = False
        self.outdated = False
        self._settings = settings
        self._digest: tuple[int, bytes] = (-1, b"")
        trust = identity.trust
        context = self.context = Context(rng, entropy, now, wall)
        links = self.links = dict[int, PeerLink]()
        self.membership = Membership(context, identity, trust, settings.zone, settings.software)
        self.presence = Presence(context, self.membership, links, settings.addresses)
        self.twins = Twins(context, self.presence.refute)
        self.overlay = Overlay(context, self.membership, links)
        self.distance = Distance(context, self.membership, links)
        self.judgement = Judgement(context, self.membership, links)
        self.detection = Detection(
            context, identity, trust.mesh_id, self.membership, self.judgement, links
        )
        self.life = LinkLife(
            context, self.membership, self.overlay, self.detection, self.judgement, links
        )
        self.blobs = Blobs(context, self.overlay, links)
        self.life.speaks += settings.rehearse
        self.clock = ClockWatch(context, links, identity)
        self.time = TimeFloor(context, links)
        self.roster = Roster(context, self.membership, self.judgement)
        self.spread = Spread(context, self.membership, links)
        self.tree = Tree(self.membership)
        self.broadcast = Broadcast(context, replica, self.tree, links)
        self.sync = Sync(context, replica, links, self._tables)
        self.commits = Commits(context, replica)
        self.clearing = Clearing(context, identity, replica, self.membership, self.commits)
        self.imaging = Imaging(
            context, trust, replica, self.commits, self.clearing, self.sync, links
        )
        self.intake = Intake(context, replica, identity.public_key, trust.mesh_id, self.commits)
        self.quotas = Quotas(context, replica, self.overlay, self.intake.ingest)
        self.receipts = ReceiptBook(
            context,
            identity,
            self.membership,
            replica,
            self.commits,
            links,
            synced=settings.synced,
        )
        self.talk = Talk(context, identity, self.membership, links)
        self.tracing = Tracing(context, identity, self.membership, replica, links)
        self.relay = Relay(
            context,
            identity,
            self.membership,
            self.overlay,
            self.commits,
            settings.secret,
            settings.pq,
        )
        self.certificates = Certificates(context, identity, self.membership, self.overlay, links)
        self.standing = Standing(
            context, identity, replica, self.membership, self.judgement, self.commits, links
        )
        self._report = Report(
            context,
            identity,
            self.membership,
            self.overlay,
            self.distance,
            self.detection,
            self.judgement,
            self.sync,
            self.tree,
            self.tracing,
            self.standing,
            self.commits,
            replica,
            links,
        )
        self._handlers = handlers(
            self.life,
            self.detection,
            self.roster,
            self.spread,
            self.broadcast,
            self.talk,
            self.receipts,
            self.tracing,
            self.sync,
            self.imaging,
            self.relay,
            self.certificates,
            self.standing.board,
            self.blobs,
        )
        self._wire()

    def _wire(self) -> None:
        """Tell every part whom to tell."""
        self.context.others = lambda: self.membership.alive_count() - 1
        self.presence.publish = lambda own: self.spread.members([own], None)

        self.overlay.joined = self._on_neighbour
        self.overlay.lost = self.life.unreached

        self.detection.spread = self.spread.accusations
        self.judgement.probe = self._probe
        self.judgement.changed = self._on_judgement
        self.judgement.health = lambda: self.detection.health
        self.judgement.slowness = self.detection.slowness
        self.detection.silent = self.life.silent
        self.detection.refuted = self._on_refute
        self.detection.state = lambda: (self.replica.total, self.digest()[:8])
        self.detection.stuck = self.sync.greet
        self.detection.place, self.detection.measured = self.distance.told, self.distance.measured
        self.distance.publish = self.presence.say

        self.life.digests = lambda: (
            self.digest(),
            self.replica.total,
            self._tables(),
        )
        self.life.admit = lambda link, hello: self.roster.on_hello(link, hello.member)
        self.life.greeted = self._on_greeted
        self.life.ended = self._on_ended
        self.life.busy = lambda link: (
            self.relay.uses(link) or self.certificates.uses(link) or self.blobs.uses(link)
        )
        self.life.gave_up = self._on_gave_up

        self.roster.forward = self.spread.members
        self.roster.echoed = self.spread.echoed
        self.roster.changed = self._on_record
        self.roster.overtaken = self.twins.overtaken

        self.broadcast.ingest = self.quotas.pushed
        self.sync.ingest = self.intake.ingest
        self.broadcast.arrived = self.sync.arrived = self.tracing.arrived
        self.broadcast.taken = self.sync.taken = self.commits.foreign
        self.broadcast.missing = self.sync.missing
        self.sync.announce = self.broadcast.announce
        self.sync.graft = self.broadcast.graft
        self.sync.compare_members = self._compare_tables
        self.sync.sendable = self.commits.sendable
        self.broadcast.congested = self.sync.congested = lambda: self.commits.congested
        self.commits.durable = self._on_durable
        self.talk.leads = self.broadcast.leads
        self.clock.changed = self._on_clock
        self.relay.reception.clock = self.time.complaint
        self.certificates.renewing.clock = self.time.complaint
        self.clock.jumped = lambda: self.context.timers.cancel("wall")
        self.clock.stamped = lambda: stamp_ms(self.replica.clock.last) / 1000
        self.certificates.renewed = self._on_renewed
        self.certificates.expiry.close = self.life.close
        self.life.opening = self.standing.board.show
        self.life.forbidden = self.standing.revoking.refuses
        self.relay.reception.refusal = self.standing.revoking.refusal_of_key
        self.standing.revoking.admitted = self.relay.reception.admitted
        self.standing.closes(self.life.close, self._cease)
        self.standing.rooting.changed = self._on_root
        forking = self.standing.forking
        self.broadcast.forked = self.sync.forked = forking.on_evidence
        self.sync.suspect = forking.suspect
        self.sync.chunk = self.imaging.chunk
        self.sync.joining = self.imaging.joining
        self.sync.streams.cleared = self.imaging.give
        self.clearing.busy = lambda: (
            self.standing.rebuilding.active or bool(self.replica.voids.stale)
        )
        self.clearing.reload = self.imaging.reload = self._reload
        self.clearing.looked = self.imaging.look
        forking.fetch = self.sync.fetch
        forking.applied = self._on_released
        forking.own_forked = lambda: self.intake.open_epoch("this node's log was forked")

    # -- what is compared ----------------------------------------------------------------------

    def digest(self) -> bytes:
        """32 bytes over the version vector."""
        changes = self.replica.logs.changes
        if self._digest[0] != changes:
            self._digest = (changes, self.replica.digest())
        return self._digest[1]

    def _tables(self) -> bytes:
        """32 bytes over the member table and the notices: nodes that differ compare them."""
        both = self.membership.digest() + self.standing.board.digest()
        return hashlib.blake2b(both, digest_size=32).digest()

    def _compare_tables(self, link: PeerLink) -> None:
        self.standing.board.show(link)
        self.roster.compare(link)

    def _cease(self) -> None:
        """This node was revoked: it keeps what it has, and speaks to nobody any more."""
        self.overlay.stopped = True
        self.life.close_all("revoked")

    # -- what the parts tell each other --------------------------------------------------------

    def _on_greeted(self, link: PeerLink, hello: Hello) -> None:
        if not self._met:  # from now on there is news of whoever is gone
            self._met = True
            for member in self.membership.members.values():
                member.unheard = False
        self.presence.observed()
        self.clock.look()
        if hello.members != self._tables() and link.dialed:
            self.roster.compare(link)
        self.roster.tell_accusations(link)
        self.relay.link_ready(link)
        self.certificates.link_ready(link)

    def _on_neighbour(self, link: PeerLink) -> None:
        self.context.event(
            "link-up",
            f"{link.peer.name} at {link.address} is a neighbour",
            "debug",
            link.node,
        )
        self.presence.neighbours_changed(lost=False)
        if link.dialed and link.vector != self.digest()[:8]:
            self.sync.show_vector(link, reply=True)

    def _on_ended(self, link: PeerLink) -> None:
        self.sync.forget(link.number)
        self.imaging.forget(link.number)
        self.relay.link_ended(link)
        self.certificates.link_ended(link)
        self.blobs.forget(link.number)
        if link.neighbour and link.parted:
            self.overlay.avoid(link.node, REFUSED_FOR)
        if link.neighbour:
            self.presence.neighbours_changed(lost=not link.parted, parted=link.parted)

    def _probe(self, member: Member) -> None:
        self.overlay.dial(member, "probe")

    def _on_judgement(self, member: Member) -> None:
        if member.suspected:
            self.context.event("member-suspect", f"{member.name} is suspected", node=member.id)
        self.overlay.kick()

    def _on_record(self, member: Member) -> None:
        if member.reachable and self.overlay.linked(member.id) is None:
            self.overlay.welcome(member)

    def _on_refute(self, incarnation: int) -> None:
        self.context.counters["refutations"] += 1
        self.context.event("accused", "this node was accused of being gone, and says it is not")
        self.presence.refute(incarnation)
        self.spread.say_members()

    def _on_gave_up(self, node: NodeId) -> None:
        self.relay.unreached(node)
        self.certificates.unreached(node)

    def _on_renewed(self, identity: NodeIdentity) -> None:
        """This node has new certificates: everything that shows or judges them is told."""
        self.identity = identity
        self.membership.identity = self.clock.identity = self._report.identity = identity
        self.relay.reception.identity = identity
        if self.replica.voids.full(self.replica.own_log):
            self.intake.open_epoch("this node's log holds as many certificates as one log may")
        self.replica.renew(identity.chain)
        self.presence.say()
        self.context.effects.append(Renewed(identity))

    def _on_released(self, records: list[AppliedRecord]) -> None:
        """Records had waited for a part of a log that nobody will ever take."""
        self.commits.foreign(records)
        self.broadcast.forward(records, None, 1)

    def _reload(self) -> None:
        """The disk has what the state must become: this process has to read it anew."""
        self.outdated = True
        self.context.event("reloading", "the state on the disk is newer: it is read anew")

    def _on_root(self) -> None:
        """Another version of the root counts: say so, and keep it with the certificates."""
        if self.ready:
            self.presence.say()
        self.context.effects.append(Renewed(self.identity))

    def _on_clock(self, complaint: str | None) -> None:
        """Records stamped far ahead would wait in every peer's quarantine: better refuse them."""
        self.keyspace.refuse("CLOCKSKEW", complaint)

    def _on_durable(self, records: list[AppliedRecord]) -> None:
        self.tracing.arrived(records, None, 0)
        self.broadcast.own([record.data for record in records])
