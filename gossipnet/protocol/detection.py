"""Failure detection by neighbours: heartbeats, signed accusations, joint judgement, refutation.

Neighbours are observers (Rapid, Suresh et al., USENIX ATC 2018): they hold a link with the member
anyway, so a lost stream and a refused redial are evidence at once, and silence is evidence after an
adaptive time. A member is dead when a majority of its observers agree, for its current incarnation,
and it has not refuted; an observer that is itself accused counts as agreeing, so members that
die together are judged together. An observer that was itself stalled widens its timeouts
(Lifeguard, Dadgar et al. 2017). This module knows links and members, not how links are made.
"""

import hashlib
from collections.abc import Callable, Set
from dataclasses import dataclass, field

from gossipnet import ids
from gossipnet.errors import BadSignature, RemoteProtocolError
from gossipnet.identity.home import NodeIdentity
from gossipnet.identity.signing import Domain, sign, verify
from gossipnet.ids import MeshId, NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import HEARTBEAT, PeerLink
from gossipnet.protocol.membership import ALIVE, AWAY, AWAY_LIMIT, Member, Membership
from gossipnet.protocol.wire import (
    Accusation,
    AccusationBody,
    Ping,
    Pong,
    decode_accusation_untrusted,
    encode,
)

REFUSED, SILENCE, UNREACHABLE = 1, 2, 3

WINDOW_REFUSED = 0.3
WINDOW_SILENCE = 0.6
"""Seconds between a majority and the verdict, for the accused to refute. A refusal comes from the
machine itself and needs less; both cover several round trips of a wide-area link."""

SUSPICION_LIFE = 30.0
"""Seconds after which accusations that found no majority are dropped; a member still gone is
accused anew by whoever meets it."""

STALL = 0.5
"""A tick that is this late says that this node, not its peers, was away."""

AUDIT, AUDIT_MEMBERS, AUDIT_AGE = 5.0, 32, 15.0
"""Every so many seconds, so many members of this age are looked at whether anybody observes them:
after a power cut of the whole mesh, whoever does not come back has no link that could break."""

STUCK = 1.5
"""Seconds for which a difference of states may last before it is looked into."""

HEALTH_MAX = 8
"""Lifeguard's bound on local health."""

SURROGATES = 3
"""Members that step in for observers that cannot speak."""

ACCUSERS_MAX = 64
"""Kept per accused member: as many as a record can list neighbours."""

_TICK = HEARTBEAT / 2
_NAMES = {REFUSED: "refused a redial", SILENCE: "silent", UNREACHABLE: "unreachable"}


@dataclass(slots=True)
class Suspicion:
    """What is held against one incarnation of one member.

    Attributes:
      incarnation: Which one.
      observers: Members that listed it and that it listed, when it was first accused.
      named: Members that it listed: whoever missed the records of its observers judges by them.
      surrogates: Who stands in for observers that cannot speak; chosen when one is needed.
      asked: This node has probed it, or needs not.
      accusations: By prefix of the accuser.
    """

    incarnation: int
    observers: frozenset[bytes]
    named: frozenset[bytes]
    surrogates: frozenset[bytes] = frozenset()
    asked: bool = False
    accusations: dict[bytes, tuple[Accusation, AccusationBody]] = field(default_factory=dict)


class Detection:
    """Watches the links of one node and judges accusations about anybody."""

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        mesh_id: MeshId,
        membership: Membership,
        links: dict[int, PeerLink],
    ) -> None:
        self._context = context
        self._identity = identity
        self._mesh_id = mesh_id
        self._membership = membership
        self._links = links
        self.suspicions: dict[NodeId, Suspicion] = {}
        self.health = 1
        self._tick_due = 0.0
        self._odd = False
        self._audited = 0
        # Set by the engine that composes the parts.
        self.spread: Callable[[list[Accusation], int | None], None] = lambda _a, _link: None
        self.probe: Callable[[Member], None] = lambda _member: None
        self.silent: Callable[[PeerLink], None] = lambda _link: None
        self.changed: Callable[[Member], None] = lambda _member: None
        self.stuck: Callable[[PeerLink], None] = lambda _link: None
        self.refuted: Callable[[int], None] = lambda _incarnation: None
        self.state: Callable[[], tuple[int, bytes]] = lambda: (0, bytes(8))

    def start(self) -> None:
        """Begin to tick."""
        self._arm(self._context.rng.random() * _TICK)
        self._context.timers.set("audit", self._context.after(AUDIT, 0.5), self._audit)

    def _arm(self, delay: float) -> None:
        self._tick_due = self._context.now + delay
        self._context.timers.set("beat", self._tick_due, self._tick)

    # -- heartbeats ----------------------------------------------------------------------------

    def _tick(self) -> None:
        context = self._context
        late = context.now - self._tick_due
        self._arm(_TICK)
        if late > STALL:
            # Whatever arrived meanwhile still waits in our socket buffers.
            self.health = min(HEALTH_MAX, self.health + 1)
            context.counters["stalls"] += 1
            for link in self._links.values():
                link.heard_at = context.now
                link.gap_from = 0.0
        elif self.health > 1 and context.rng.random() < 0.05:
            self.health -= 1
        self._odd = not self._odd
        if self._odd:
            self._ping_all()
            self._end_absences()
        for link in list(self._links.values()):
            if context.now - link.heard_at > link.patience(self.health):
                self._on_silence(link)

    def _ping_all(self) -> None:
        total, digest = self.state()
        for link in self._links.values():
            if not link.dialed:
                continue
            link.ping_number += 1
            if link.ping_sent_at is None:
                link.ping_sent_at = self._context.now
            rtt_us = 0 if link.rtt is None else int(link.rtt * 1e6)
            self._context.send(
                link.number, Lane.CONTROL, Ping(link.ping_number, total, digest, rtt_us)
            )

    def on_ping(self, link: PeerLink, message: Ping) -> None:
        """Answer, and learn what the dialler measured."""
        total, digest = self.state()
        self._context.send(link.number, Lane.CONTROL, Pong(message.number, total, digest))
        if message.rtt_us:
            link.rtt = min(message.rtt_us, 60_000_000) / 1e6
        self._heartbeat(link, message.total, message.vector)

    def on_pong(self, link: PeerLink, message: Pong) -> None:
        """Measure the round trip."""
        if link.ping_sent_at is not None and message.number == link.ping_number:
            link.measured(self._context.now - link.ping_sent_at)
            link.ping_sent_at = None
        self._heartbeat(link, message.total, message.vector)

    def _heartbeat(self, link: PeerLink, total: int, vector: bytes) -> None:
        link.beat(self._context.now)
        link.total, link.vector = total, vector
        self.compare(link)
        member = self._membership.members.get(link.node)
        if member is not None:
            member.rtt, member.total = link.rtt, total

    def compare(self, link: PeerLink) -> None:
        """Note since when a peer's state differs from ours; `status` shows it as lag.

        Under steady writes two states are never equal when they are compared: what counts is that
        both get past where the further of them was.
        """
        total, digest = self.state()
        if link.vector == digest:
            link.differs_since = None
            return
        if link.differs_since is None or min(total, link.total) >= link.differs_goal:
            link.differs_since = self._context.now
            link.differs_goal = max(total, link.total)
        elif (
            self._context.now - link.differs_since > STUCK
            and self._context.now - link.compared_at > STUCK
        ):
            link.compared_at = self._context.now
            self.stuck(link)

    def _on_silence(self, link: PeerLink) -> None:
        self.silent(link)
        if link.neighbour and not self._linked(link.node):
            self.accuse(link.node, SILENCE)

    def unlinked(self, node: NodeId) -> None:
        """A link that spoke for an accused member has ended: judge it anew."""
        held = self.suspicions.get(node)
        if held is not None and not self._membership.members[node].dead:
            self._judge(self._membership.members[node])

    def concerned(self, member: Member) -> bool:
        """Whether this node's word counts: it observes, or stands in as nobody else can speak."""
        observers = self._observers(member)
        if self._membership.prefix in observers:
            return True
        if any(not self._mute(prefix) for prefix in observers):
            return False
        surrogates = self._surrogates(member)
        return not surrogates or self._membership.prefix in surrogates

    def _end_absences(self) -> None:
        for member in self._membership.unreachable():
            if (
                member.body.status == AWAY
                and not member.dead
                and member.id != self._membership.me
                and self._context.now - member.since > AWAY_LIMIT
            ):
                self._declare(member, "said it would be back and was not")

    # -- accusing ------------------------------------------------------------------------------

    def accuse(self, node: NodeId, evidence: int) -> None:
        """Say, signed, that a member is gone."""
        member = self._membership.members.get(node)
        if member is None or member.body.status != ALIVE or member.dead:
            return
        held = self.suspicions.get(node)
        if (
            held is not None
            and held.incarnation == member.body.incarnation
            and self._membership.prefix in held.accusations
        ):
            return
        body = encode(
            AccusationBody(
                accuser=self._membership.me,
                subject=node,
                incarnation=member.body.incarnation,
                evidence=evidence,
                wall_ms=self._context.wall_ms,
            )
        )
        accusation = Accusation(
            body, sign(self._identity.key, Domain.ACCUSATION, self._mesh_id, body)
        )
        self._context.counters["accusations_made"] += 1
        self._hold(member, accusation, decode_accusation_untrusted(body))
        self.spread([accusation], None)

    def on_accusations(self, accusations: list[Accusation], source: int) -> None:
        """Take in what a peer passes on; what is news goes on to the other neighbours."""
        fresh: list[Accusation] = []
        for accusation in accusations:
            body = decode_accusation_untrusted(accusation.body)
            if self._admit(accusation, body):
                fresh.append(accusation)
        if fresh:
            self.spread(fresh, source)

    def _admit(self, accusation: Accusation, body: AccusationBody) -> bool:
        """Verify and hold one accusation; True if it was news.

        Raises:
          RemoteProtocolError: It is not signed by its accuser.
        """
        accuser = self._membership.members.get(NodeId(body.accuser))
        subject = self._membership.members.get(NodeId(body.subject))
        if accuser is None or subject is None or body.accuser == body.subject:
            self._context.counters["accusations_unknown"] += 1
            return False
        if body.incarnation < subject.body.incarnation or subject.dead:
            return False
        if body.incarnation > subject.body.incarnation:
            # Its newer record is on the way; judging the old one would be wrong either way.
            self._context.counters["accusations_early"] += 1
            return False
        held = self.suspicions.get(subject.id)
        if held is not None and body.accuser[:16] in held.accusations:
            return False
        try:
            verify(
                accuser.public_key,
                Domain.ACCUSATION,
                self._mesh_id,
                accusation.body,
                accusation.signature,
            )
        except BadSignature as error:
            raise RemoteProtocolError("forged-accusation") from error
        if subject.id == self._membership.me:
            self._context.counters["refutations"] += 1
            self.refuted(body.incarnation)
            return False
        if subject.body.status != ALIVE:
            return False
        return self._hold(subject, accusation, body)

    def _hold(self, member: Member, accusation: Accusation, body: AccusationBody) -> bool:
        held = self.suspicions.get(member.id)
        if held is None or held.incarnation != body.incarnation:
            held = Suspicion(body.incarnation, self._observers(member), self._named(member))
            held.asked = body.accuser == self._membership.me
            self.suspicions[member.id] = held
            member.suspected = True
            member.since = self._context.now
            self.changed(member)
            self._context.timers.set(
                ("drop", member.id),
                self._context.now + SUSPICION_LIFE,
                lambda: self.clear(member, "no majority agreed"),
            )
        if len(held.accusations) >= ACCUSERS_MAX:
            return False
        held.accusations[body.accuser[:16]] = (accusation, body)
        self._judge_all()
        return True

    def _audit(self) -> None:
        """Probe members that nobody observes, if it is on this node to do so."""
        context = self._context
        context.timers.set("audit", context.after(AUDIT, 0.2), self._audit)
        members = list(self._membership.members.values())
        for _ in range(min(AUDIT_MEMBERS, len(members))):
            self._audited = (self._audited + 1) % len(members)
            member = members[self._audited]
            if (
                member.reachable
                and not member.suspected
                and member.id != self._membership.me
                and context.now - member.since > AUDIT_AGE
                and not self._linked(member.id)
                and not self._observers(member)
                and self._membership.prefix in self._surrogates(member)
            ):
                context.counters["audits"] += 1
                self.probe(member)

    # -- judging -------------------------------------------------------------------------------

    def _observers(self, member: Member) -> frozenset[bytes]:
        """Who watches it: both records list each other, now or in the one before."""
        seen: list[bytes] = []
        for prefix in sorted(member.neighbours | member.previous):
            other = self._membership.find(prefix)
            if other is not None and other.body.status == ALIVE and other.names(member.id[:16]):
                seen.append(prefix)
        return frozenset(seen)

    def _named(self, member: Member) -> frozenset[bytes]:
        """Whom it says it is watched by. It cannot frame itself, so their word is good."""
        return frozenset(
            prefix for prefix in member.neighbours if self._membership.find(prefix) is not None
        )

    def _surrogates(self, member: Member) -> frozenset[bytes]:
        """Who steps in for observers that cannot speak: rendezvous hashing over the living."""
        observers = self._observers(member)
        ranked = sorted(
            (
                hashlib.blake2b(member.id + other.id, digest_size=8).digest(),
                other.id[:16],
            )
            for other in self._membership.members.values()
            if other.reachable
            and not other.suspected
            and other.id != member.id
            and other.id[:16] not in observers
        )
        return frozenset(prefix for _rank, prefix in ranked[:SURROGATES])

    def _call_witnesses(self, member: Member, held: Suspicion) -> None:
        """Probe an accused member if this node observes it, or stands in for one that is mute."""
        if not held.surrogates and (
            not held.observers or any(self._mute(prefix) for prefix in held.observers)
        ):
            held.surrogates = self._surrogates(member)
        me = self._membership.prefix
        if not held.asked and (me in held.observers or me in held.surrogates):
            held.asked = True
            if not self._linked(member.id):
                self.probe(member)

    def _judge_all(self) -> None:
        # One accusation can complete the case against another member: they are judged together.
        for node in list(self.suspicions):
            self._judge(self._membership.members[node])

    def _judge(self, member: Member) -> None:
        held = self.suspicions.get(member.id)
        if held is None or member.dead:
            return
        self._call_witnesses(member, held)
        name = ("verdict", member.id)
        if not self._majority(held) or self._linked(member.id):
            self._context.timers.cancel(name)
            return
        if name in self._context.timers:
            return
        refused = any(body.evidence == REFUSED for _a, body in held.accusations.values())
        window = WINDOW_REFUSED if refused else WINDOW_SILENCE
        self._context.timers.set(
            name,
            self._context.now + window * self.health,
            lambda: self._declare(member, "a majority of its observers agree"),
        )

    def _majority(self, held: Suspicion) -> bool:
        accusers = held.accusations.keys()
        if self._agree(held.named, accusers & held.named):
            return True
        if not held.observers:
            return self._agree(held.surrogates, accusers & held.surrogates) or (
                not held.surrogates and bool(accusers)
            )
        genuine = accusers & held.observers
        witnesses = genuine or accusers & held.surrogates or accusers & held.named
        return bool(witnesses) and self._agree(held.observers, genuine, witnesses)

    def _agree(
        self, voters: frozenset[bytes], accusers: Set[bytes], witnesses: Set[bytes] | None = None
    ) -> bool:
        """A majority of voters accuses or cannot speak, and somebody really saw it."""
        if not (accusers if witnesses is None else witnesses):
            return False
        mute = sum(1 for prefix in voters - accusers if self._mute(prefix))
        return 2 * (len(accusers) + mute) > len(voters)

    def _mute(self, prefix: bytes) -> bool:
        """An observer that is itself gone or accused counts as agreeing."""
        member = self._membership.find(prefix)
        return member is None or not member.reachable or member.suspected

    def _linked(self, node: NodeId) -> bool:
        """A link that lives is better evidence than any number of accusations."""
        return any(link.node == node and link.greeted for link in self._links.values())

    def _declare(self, member: Member, why: str) -> None:
        if member.dead or self._linked(member.id):
            return
        member.dead, member.suspected = True, False
        member.since = self._context.now
        self._membership.judged()
        self._context.counters["members_died"] += 1
        self._context.timers.cancel(("drop", member.id))
        self._context.event("member-dead", f"{member.name} is dead: {why}", "warning", member.id)
        self.changed(member)
        self._judge_all()

    def clear(self, member: Member, why: str) -> None:
        """Drop what is held against a member: it refuted, came back, or nobody agreed."""
        held = self.suspicions.pop(member.id, None)
        self._context.timers.cancel(("verdict", member.id))
        self._context.timers.cancel(("drop", member.id))
        if held is None:
            return
        if member.suspected:
            member.suspected = False
            member.since = self._context.now
            self._context.event("member-cleared", f"{member.name}: {why}", "info", member.id)
            self.changed(member)

    def on_record(self, member: Member) -> None:
        """A newer record of a member came in: a higher incarnation refutes."""
        held = self.suspicions.get(member.id)
        if held is None:
            return
        if held.incarnation < member.body.incarnation or member.body.status != ALIVE:
            self.clear(member, "refuted")

    def against(self, node: NodeId) -> list[Accusation]:
        """What is held against a member, so that it can be told and refute."""
        held = self.suspicions.get(node)
        return (
            [] if held is None else [accusation for accusation, _body in held.accusations.values()]
        )

    def observers_of(self, node: NodeId) -> list[bytes]:
        """Whose word counts about a member: prefixes of their ids, in order."""
        held = self.suspicions.get(node)
        if held is not None:
            return sorted(held.observers)
        return sorted(self._observers(self._membership.members[node]))

    def why(self, node: NodeId) -> list[dict[str, object]]:
        """For people: who accused, on what evidence, when (unix milliseconds)."""
        held = self.suspicions.get(node)
        if held is None:
            return []
        rows: list[dict[str, object]] = []
        for _accusation, body in held.accusations.values():
            accuser = self._membership.members.get(NodeId(body.accuser))
            rows.append(
                {
                    "accuser": accuser.name if accuser else ids.short(body.accuser),
                    "evidence": _NAMES[body.evidence],
                    "wall_ms": body.wall_ms,
                    "incarnation": body.incarnation,
                }
            )
        return rows
