"""Failure detection by neighbours: heartbeats, and signed accusations made, taken in and refuted.

Neighbours are observers (Rapid, Suresh et al., USENIX ATC 2018): they hold a link with the member
anyway, so a lost stream and a refused redial are evidence at once, and silence is evidence after an
adaptive time. An observer that was itself stalled widens its timeouts (Lifeguard, Dadgar et al.
2017). What accusations amount to is `judgement`'s business; how links are made is `overlay`'s.
"""

from collections.abc import Callable

from gossipnet.errors import BadSignature, RemoteProtocolError
from gossipnet.identity.home import NodeIdentity
from gossipnet.identity.signing import Domain, sign, verify
from gossipnet.ids import MeshId, NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.judgement import SILENCE, Judgement
from gossipnet.protocol.links import HEARTBEAT, SILENCE_MAX, PeerLink
from gossipnet.protocol.membership import ALIVE, AWAY, AWAY_LIMIT, Membership
from gossipnet.protocol.wire import (
    Ping,
    Pong,
    encode,
)
from gossipnet.protocol.wire_members import (
    Accusation,
    AccusationBody,
    decode_accusation_untrusted,
)

STALL = 0.5
"""A tick that is this late says that this node, not its peers, was away."""

GAP_AT_FIRST, GAP_USUAL, GAP_FACTOR, GAP_DECAY = 2.0, 1.3, 1.6, 0.985
"""The longest silence that ended well (seconds, any link; halved in 23 s): what is believed first,
what is usual, and how much more is believed the next time. A lossy stream stalls for 0.2, 0.4, 0.8,
1.6 s as its timeout doubles (RFC 6298), so mean and deviation foretell too little."""

AUDIT, AUDIT_MEMBERS, AUDIT_AGE = 10.0, 32, 15.0
"""Every so many seconds, so many members (an eighth, if that is more) of this age are looked at
whether anybody observes them: after a power cut of the whole mesh, whoever does not come back has
no link that could break."""

ACCUSER_BURST, ACCUSER_RATE = 64.0, 1.0
"""Accusations that one member is believed at once, and per second after that: it has about ten
neighbours, and stands in for a few more when many die together."""

STUCK = 1.5
"""Seconds for which a difference of states may last before it is looked into."""

ANSWERERS_PING = 8
"""The side that did not dial pings too, at every so many heartbeats, to measure for itself."""

HEALTH_MAX = 8
"""Lifeguard's bound on local health."""

_TICK = HEARTBEAT / 2


class Detection:
    """Watches the links of one node, accuses, and answers accusations."""

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        mesh_id: MeshId,
        membership: Membership,
        judgement: Judgement,
        links: dict[int, PeerLink],
    ) -> None:
        self._context = context
        self._identity = identity
        self._mesh_id = mesh_id
        self._membership = membership
        self._judgement = judgement
        self._links = links
        self.health = 1
        self.longest_gap = GAP_AT_FIRST
        self._tick_due = 0.0
        self._odd = False
        self._audited = 0
        self._budgets: dict[NodeId, tuple[float, float]] = {}
        # Set by the engine that composes the parts.
        self.spread: Callable[[list[Accusation], int | None], None] = lambda _a, _link: None
        self.silent: Callable[[PeerLink], None] = lambda _link: None
        self.place: Callable[[int], list[int]] = lambda _number: []
        self.measured: Callable[[PeerLink, float, list[int]], None] = lambda _link, _rtt, _p: None
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
        self.longest_gap *= GAP_DECAY
        self._odd = not self._odd
        if self._odd:
            self._ping_all()
            self._end_absences()
        self._watch_silence()

    def _watch_silence(self) -> None:
        """Give up who was silent for too long, at the moment when it is too long."""
        now, soonest = self._context.now, self._tick_due
        for link in list(self._links.values()):
            ends = link.heard_at + self._patience(link)
            if ends <= now:
                self._on_silence(link)
            else:
                soonest = min(soonest, ends)
        if soonest < self._tick_due:
            self._context.timers.set("silence", soonest, self._watch_silence)

    def heard(self, link: PeerLink) -> None:
        """Authenticated bytes came on a link."""
        gap = self._context.now - link.heard_at
        if gap > self.longest_gap:
            self.longest_gap = min(gap, SILENCE_MAX)
        link.heard_at = self._context.now

    def _patience(self, link: PeerLink) -> float:
        """Seconds of silence that are believed of a link, by its own history and all others'."""
        return max(link.patience(self.health), GAP_FACTOR * self.longest_gap)

    def slowness(self) -> float:
        """Seconds by which the network has lately been slower than heartbeats should be."""
        return max(0.0, self.longest_gap - GAP_USUAL)

    def _ping_all(self) -> None:
        total, digest = self.state()
        for link in self._links.values():
            link.ping_number += 1
            if not link.dialed and link.ping_number % ANSWERERS_PING:
                continue
            if link.ping_sent_at is None:
                link.ping_sent_at = self._context.now
            rtt_us = 0 if link.rtt is None else int(link.rtt * 1e6)
            self._context.send(
                link.number,
                Lane.CONTROL,
                Ping(link.ping_number, total, digest, rtt_us, self.place(link.ping_number)),
            )

    def on_ping(self, link: PeerLink, message: Ping) -> None:
        """Answer, and learn what the dialler measured."""
        total, digest = self.state()
        self._context.send(
            link.number,
            Lane.CONTROL,
            Pong(message.number, total, digest, self.place(message.number)),
        )
        link.place = message.place or link.place
        if message.rtt_us and not link.measures:
            link.rtt = min(message.rtt_us, 60_000_000) / 1e6
        self._heartbeat(link, message.total, message.vector, regular=not link.dialed)

    def on_pong(self, link: PeerLink, message: Pong) -> None:
        """Measure the round trip."""
        if link.ping_sent_at is not None and message.number == link.ping_number:
            sample = self._context.now - link.ping_sent_at
            link.measured(sample)
            link.ping_sent_at = None
            link.place = message.place or link.place
            self.measured(link, min(sample, link.rtt or sample), link.place)
        self._heartbeat(link, message.total, message.vector, regular=link.dialed)

    def _heartbeat(self, link: PeerLink, total: int, vector: bytes, *, regular: bool) -> None:
        if regular:  # one a second; those in between would make the gaps look irregular
            link.beat(self._context.now)
            # What was here a whole heartbeat ago and is not there yet is more than on its way.
            own = self.state()[0]
            link.behind, link.was_here = max(0, link.was_here - total), own
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
        if link.neighbour and not self._judgement.linked(link.node):
            self.accuse(link.node, SILENCE)

    def _end_absences(self) -> None:
        for member in self._membership.unreachable():
            if (
                member.body.status == AWAY
                and not member.dead
                and member.id != self._membership.me
                and self._context.now - member.since > AWAY_LIMIT
            ):
                self._judgement.declare(member, "said it would be back and was not")

    # -- accusing ------------------------------------------------------------------------------

    def accuse(self, node: NodeId, evidence: int) -> None:
        """Say, signed, that a member is gone."""
        member = self._membership.members.get(node)
        if member is None or member.body.status != ALIVE or member.dead or member.outcast:
            return
        held = self._judgement.suspicions.get(node)
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
        self._judgement.hold(member, accusation, decode_accusation_untrusted(body))
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
        if accuser is None or subject is None or accuser.outcast or accuser is subject:
            self._context.counters["accusations_unknown"] += 1
            return False
        if body.incarnation < subject.body.incarnation or subject.dead:
            return False
        if body.incarnation > subject.body.incarnation:
            # Its newer record is on the way; judging the old one would be wrong either way.
            self._context.counters["accusations_early"] += 1
            return False
        held = self._judgement.suspicions.get(subject.id)
        if held is not None and body.accuser[:16] in held.accusations:
            return False
        if not self._within_budget(accuser.id):
            self._context.counters["accusations_over_budget"] += 1
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
            self.refuted(body.incarnation)
            return False
        if subject.body.status != ALIVE or subject.outcast:
            return False
        return self._judgement.hold(subject, accusation, body)

    def _within_budget(self, accuser: NodeId) -> bool:
        """One member that accuses all, again after each refutation, must not keep all busy."""
        left, at = self._budgets.get(accuser, (ACCUSER_BURST, self._context.now))
        left = min(ACCUSER_BURST, left + (self._context.now - at) * ACCUSER_RATE)
        if left < 1.0:
            return False
        self._budgets[accuser] = (left - 1.0, self._context.now)
        return True

    def _audit(self) -> None:
        """Probe members that nobody observes, if it is on this node to do so."""
        context = self._context
        context.timers.set("audit", context.after(AUDIT, 0.2), self._audit)
        members = list(self._membership.members.values())
        for _ in range(min(max(AUDIT_MEMBERS, len(members) // 8), len(members))):
            self._audited = (self._audited + 1) % len(members)
            member = members[self._audited]
            if context.now - member.since > AUDIT_AGE and self._judgement.unwatched(member, 0.0):
                context.counters["audits"] += 1
                self._judgement.probe(member)
