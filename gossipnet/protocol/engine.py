"""The engine: one node of the mesh, without I/O. Inputs and the time go in, effects come out.

It composes the parts, which never call each other: membership (who is who), presence (what this
node says of itself), overlay and linklife (which links there are), detection and judgement (who is
dead), roster (tables between peers), broadcast and sync (records between peers), commits (what is
durable), relay (newcomers) and clockcheck, over one `Replica`. Here it is said who tells whom; what
they do is in their modules. A peer's fault ends that peer's link and nothing else.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.home import NodeIdentity
from gossipnet.ids import NodeId
from gossipnet.protocol.broadcast import Broadcast
from gossipnet.protocol.certificates import Certificates
from gossipnet.protocol.clockcheck import ClockWatch
from gossipnet.protocol.commits import Commits
from gossipnet.protocol.context import Context
from gossipnet.protocol.detection import Detection
from gossipnet.protocol.effects import (
    Committed,
    DialFailed,
    Effect,
    Event,
    Heard,
    Input,
    JoinClosed,
    JoinOpened,
    JoinReceived,
    LinkDown,
    LinkUp,
    LogRead,
    Received,
    Refreshed,
    Renewed,
)
from gossipnet.protocol.intake import Intake
from gossipnet.protocol.judgement import Judgement
from gossipnet.protocol.linklife import LinkLife
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import ALIVE, AWAY, LEFT, Member, Membership
from gossipnet.protocol.messages import handlers
from gossipnet.protocol.overlay import Overlay
from gossipnet.protocol.presence import Presence
from gossipnet.protocol.quotas import Quotas
from gossipnet.protocol.receipts import ReceiptBook, Wait
from gossipnet.protocol.relay import Relay
from gossipnet.protocol.report import Report
from gossipnet.protocol.roster import Roster
from gossipnet.protocol.settings import EngineSettings
from gossipnet.protocol.standing import Standing
from gossipnet.protocol.sync import Sync
from gossipnet.protocol.talk import Talk
from gossipnet.protocol.tree import Tree
from gossipnet.protocol.wire import Hello, NoticeIds, Notices, decode_untrusted
from gossipnet.state.clock import stamp_ms
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.replica import AppliedRecord, Replica

__all__ = ["Engine", "EngineSettings"]

_BEFORE_GREETING = (Hello, NoticeIds, Notices)


class Engine:
    """One node.

    Args:
      identity: Who this node is.
      replica: Its state, loaded.
      settings: See there.
      rng: For choices that need no secrecy.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      now: Monotonic seconds.
      wall: Unix seconds.

    Attributes:
      replica: All logs.
      keyspace: What local commands read and write; call `take_effects` after they did.
      ready: Started.
      left: This node has left the mesh; its process should end.
      context: Time, counters, timers; for tests and the simulator, as are the parts.
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
        self.left = False
        self._settings = settings
        self._digest: tuple[int, bytes] = (-1, b"")
        trust = identity.trust
        context = self.context = Context(rng, entropy, now, wall)
        links = self.links = dict[int, PeerLink]()
        self.membership = Membership(context, identity, trust, settings.zone, settings.software)
        self.presence = Presence(context, self.membership, links, settings.addresses)
        self.overlay = Overlay(context, self.membership, links)
        self.judgement = Judgement(context, self.membership, links)
        self.detection = Detection(
            context, identity, trust.mesh_id, self.membership, self.judgement, links
        )
        self.life = LinkLife(
            context, self.membership, self.overlay, self.detection, self.judgement, links
        )
        self.clock = ClockWatch(context, links, identity)
        self.roster = Roster(context, self.membership, self.judgement)
        self.tree = Tree(self.membership)
        self.broadcast = Broadcast(context, replica, self.tree, links)
        self.sync = Sync(context, replica, links, self._tables)
        self.commits = Commits(context, replica)
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
        self.relay = Relay(
            context, identity, self.membership, self.overlay, self.commits, settings.secret
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
            self.detection,
            self.judgement,
            self.sync,
            self.tree,
            self.standing,
            self.commits,
            replica,
            links,
        )
        self._handlers = handlers(
            self.life,
            self.detection,
            self.roster,
            self.broadcast,
            self.talk,
            self.receipts,
            self.sync,
            self.relay,
            self.certificates,
            self.standing.board,
        )
        self._wire()

    def _wire(self) -> None:
        """Tell every part whom to tell."""
        self.presence.publish = lambda own: self.broadcast.members([own], None)

        self.overlay.joined = self._on_neighbour
        self.overlay.lost = self.life.unreached

        self.detection.spread = self.broadcast.accusations
        self.judgement.probe = self._probe
        self.judgement.changed = self._on_judgement
        self.judgement.health = lambda: self.detection.health
        self.judgement.slowness = self.detection.slowness
        self.detection.silent = self.life.silent
        self.detection.refuted = self._on_refute
        self.detection.state = lambda: (self.replica.total, self.digest()[:8])
        self.detection.stuck = self.sync.greet

        self.life.digests = lambda: (
            self.digest(),
            self.replica.total,
            self._tables(),
        )
        self.life.admit = lambda link, hello: self.roster.on_hello(link, hello.member)
        self.life.greeted = self._on_greeted
        self.life.ended = self._on_ended
        self.life.busy = lambda link: self.relay.uses(link) or self.certificates.uses(link)
        self.life.gave_up = self._on_gave_up

        self.roster.forward = self.broadcast.members
        self.roster.changed = self._on_record
        self.roster.overtaken = self._on_overtaken

        self.broadcast.ingest = self.quotas.pushed
        self.sync.ingest = self.intake.ingest
        self.broadcast.taken = self.sync.taken = self.commits.foreign
        self.broadcast.missing = self.sync.missing
        self.sync.announce = self.broadcast.announce
        self.sync.graft = self.broadcast.graft
        self.sync.compare_members = self._compare_tables
        self.sync.sendable = self.commits.sendable
        self.commits.durable = self._on_durable
        self.talk.leads = self.broadcast.leads
        self.clock.changed = self._on_clock
        self.clock.stamped = lambda: stamp_ms(self.replica.clock.last) / 1000
        self.certificates.renewed = self._on_renewed
        self.certificates.expiry.close = self.life.close
        self.life.opening = self.standing.board.show
        self.life.forbidden = self.standing.revoking.refuses
        self.relay.reception.refusal = self.standing.revoking.refusal_of_key
        self.standing.closes(self.life.close, self._cease)
        self.standing.rooting.changed = self._on_root

    # -- driving -------------------------------------------------------------------------------

    def start(self, meta: Mapping[str, bytes], now: float, wall: float) -> None:
        """Begin.

        Args:
          meta: Every named value of the database.
          now: Monotonic seconds.
          wall: Unix seconds.
        """
        self.touch(now, wall)
        self.standing.restore(meta)
        self.membership.restore(meta)
        self.relay.restore(meta)
        self.presence.start()
        self.commits.write_log(self.replica.own_log)
        self.commits.hurry()
        self.detection.start()
        self.judgement.start()
        self.sync.start()
        self.life.start()
        self.clock.start()
        self.certificates.start()
        self.overlay.start(self._settings.seeds)
        self.standing.start()
        self.ready = True

    def handle(self, event: Input, now: float, wall: float) -> None:
        """Take one input."""
        self.touch(now, wall)
        if isinstance(event, Received):
            self._on_received(event)
        elif isinstance(event, Heard):
            self._on_heard(event)
        elif isinstance(event, Refreshed):
            self.life.refreshed(event)
        elif isinstance(event, Committed):
            self.commits.done(event.number)
        elif isinstance(event, LinkUp):
            self.life.up(event)
        elif isinstance(event, LinkDown):
            self.life.down(event)
        elif isinstance(event, DialFailed):
            self.overlay.failed(event.dial, event.failure, event.detail)
        elif isinstance(event, LogRead):
            if not self.standing.takes(event):
                self.sync.on_read(event)
        elif isinstance(event, JoinReceived):
            self.relay.received(event.join, event.data)
        elif isinstance(event, JoinOpened):
            self.relay.opened(event.join, event.address)
        elif isinstance(event, JoinClosed):
            self.relay.closed(event.join)

    def tick(self, now: float, wall: float) -> None:
        """Do what is due."""
        self.touch(now, wall)
        self.context.timers.fire(now)

    def deadline(self) -> float:
        """Monotonic seconds at which `tick` is wanted next; infinity if never."""
        return self.context.timers.deadline()

    def take_effects(self, now: float, wall: float) -> list[Effect]:
        """Seal what was written, and hand out everything there is to do, in order."""
        self.touch(now, wall)
        self.receipts.flush()
        self.commits.flush()
        self.talk.flush()
        self.context.timers.set_wall(
            "wall", self.replica.next_due(), self.context.now, self.context.wall, self._advance
        )
        effects, self.context.effects = self.context.effects, []
        for effect in effects:
            if isinstance(effect, Event):
                self._report.note(effect)
        return effects

    def touch(self, now: float, wall: float) -> None:
        """Let local commands see the time; call it once before a batch of them."""
        self.context.now, self.context.wall = now, wall
        self.clock.passed()
        self.replica.touch(wall)

    def _advance(self) -> None:
        applied = self.replica.advance(self.context.wall)
        if applied:
            self.commits.foreign(applied)
            self.broadcast.forward(applied, None, 1)

    # -- local commands ------------------------------------------------------------------------

    def ticket(self) -> int:
        """Number of the commit that will hold everything written so far."""
        return self.commits.ticket()

    @property
    def committed(self) -> int:
        """Every commit up to this number is durable."""
        return self.commits.committed

    def publish(self, channel: bytes, data: bytes) -> None:
        """Say something to all other nodes, once and unstored; `talk` tells how well."""
        self.talk.publish(channel, data)

    def hear(self, listener: Callable[[bytes, bytes], None]) -> None:
        """Whom to give channel and data of what others say."""
        self.talk.heard = listener

    def await_receipts(self, wanted: int) -> Wait:
        """Ask other nodes whether they have all that was written so far; close what is returned."""
        return self.receipts.wait(wanted)

    def on_receipts(self, listener: Callable[[], None]) -> None:
        """Whom to tell when other nodes have answered."""
        self.receipts.changed = listener

    def others(self) -> int:
        """How many other members are alive."""
        return self.membership.alive_count() - 1

    def add_seeds(self, seeds: Iterable[str]) -> None:
        """More addresses to try."""
        self.overlay.add_seeds(tuple(seeds))

    def invite(
        self, role: str, uses: int, ttl_s: float, capabilities: list[tuple[str, bytes]]
    ) -> str:
        """Mint a join token; answer the person once `ticket` is durable.

        Raises:
          UserError: This node is no issuer, or a value is out of range.
        """
        return self.relay.reception.invite(role, uses, ttl_s, capabilities)

    def renew(self) -> None:
        """Have this node certified anew now; `status` tells what came of it.

        Raises:
          Denied: No issuer is known.
        """
        self.certificates.renewal.force()

    def revoke(self, node: str, reason: str) -> dict[str, object]:
        """Revoke a member; answer the person once `ticket` is durable.

        Raises:
          UserError: This node may not, or nobody or more than one is meant; see `Revoking.revoke`.
        """
        return self.standing.revoking.revoke(node, reason)

    def root(self) -> dict[str, object]:
        """``gossipnet root show``."""
        return self.standing.rooting.show()

    def bring_root(self, data: bytes) -> None:
        """Take in a version of the root that a person brings; raises `UserError`."""
        self.standing.rooting.bring(data)

    def leave(self) -> None:
        """Sign off: the others stop expecting this node. A later start returns to the mesh."""
        if not self.left:
            self._depart(LEFT, "left")
            self.left = True

    def goodbye(self) -> None:
        """Say "back soon" and close every link; nothing after `leave`."""
        if not self.left and self.membership.status == ALIVE:
            self._depart(AWAY, "away")

    def _depart(self, status: int, reason: str) -> None:
        self.overlay.stopped = True
        self.presence.depart(status)
        self.broadcast.say_members()
        self.life.close_all(reason)

    def members_table(self) -> list[dict[str, object]]:
        """Rows of ``gossipnet members``."""
        return self._report.members()

    def status(self) -> dict[str, object]:
        """``gossipnet status``."""
        certificate = self.certificates.status()
        return {**self._report.status(), "ready": self.ready, "certificate": certificate}

    def peers(self) -> list[dict[str, object]]:
        """Rows of ``gossipnet peers``."""
        return self._report.peers()

    def events(self) -> list[dict[str, object]]:
        """Rows of ``gossipnet log``, oldest first."""
        return self._report.events()

    def why(self, node: str) -> list[dict[str, object]]:
        """Why members of this name, or with an id that begins so, are in the state they are in.

        Raises:
          NotFound: There is no such member.
        """
        return self._report.why(node)

    def digest(self) -> bytes:
        """32 bytes over the version vector."""
        if self._digest[0] != self.replica.total:
            self._digest = (self.replica.total, self.replica.digest())
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

    # -- messages ------------------------------------------------------------------------------

    def _on_heard(self, event: Heard) -> None:
        link = self.links.get(event.link)
        if link is not None:
            self.detection.heard(link)

    def _on_received(self, event: Received) -> None:
        link = self.links.get(event.link)
        if link is None:
            return
        self.detection.heard(link)
        try:
            message = decode_untrusted(event.payload)
            if link.greeted:
                early = isinstance(message, Hello)
            else:
                early = not isinstance(message, _BEFORE_GREETING)
            if early:
                raise RemoteProtocolError("out-of-order", type(message).__name__)
            self._handlers[type(message)](link, message)
        except RemoteProtocolError as error:
            self.life.fail(link, error.reason, str(error))

    # -- what the parts tell each other --------------------------------------------------------

    def _on_greeted(self, link: PeerLink, hello: Hello) -> None:
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
        self.relay.link_ended(link)
        self.certificates.link_ended(link)
        if link.neighbour:
            self.presence.neighbours_changed(lost=True)

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
        self.broadcast.say_members()

    def _on_overtaken(self, incarnation: int) -> None:
        self.context.event(
            "record-overtaken",
            "others hold a newer record of this node than it does: it takes a higher incarnation "
            "(its home was put back, or runs twice)",
            "warning",
        )
        self.presence.refute(incarnation)

    def _on_gave_up(self, node: NodeId) -> None:
        self.relay.unreached(node)
        self.certificates.unreached(node)

    def _on_renewed(self, identity: NodeIdentity) -> None:
        """This node has new certificates: everything that shows or judges them is told."""
        self.identity = identity
        self.membership.identity = self.clock.identity = self._report.identity = identity
        self.relay.reception.identity = identity
        self.replica.renew(identity.chain)
        self.presence.say()
        self.context.effects.append(Renewed(identity))

    def _on_root(self) -> None:
        """Another version of the root counts: say so, and keep it with the certificates."""
        if self.ready:
            self.presence.say()
        self.context.effects.append(Renewed(self.identity))

    def _on_clock(self, complaint: str | None) -> None:
        """Records stamped far ahead would wait in every peer's quarantine: better refuse them."""
        self.keyspace.refusal = None if complaint is None else ("CLOCKSKEW", complaint)

    def _on_durable(self, records: list[AppliedRecord]) -> None:
        self.broadcast.own([record.data for record in records])
