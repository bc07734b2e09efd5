"""Who is dead: accusations weighed together, by everybody in the same way.

A member is dead when a majority of its observers says so or cannot speak, somebody really saw it,
and it has not refuted within a window. Who observes whom is in the signed records: both list each
other, now or in the record before. Members that die together are judged together, for an observer
that is accused counts as agreeing, and a surrogate chosen by rendezvous hashing looks in its place.
This module neither listens nor accuses (`detection`); it knows links only to see whether one lives.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass, field

from gossipnet.ids import NodeId
from gossipnet.protocol.cases import PastCases, accusers
from gossipnet.protocol.context import Context
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import ALIVE, Member, Membership
from gossipnet.protocol.wire_members import (
    Accusation,
    AccusationBody,
)

REFUSED, SILENCE, UNREACHABLE = 1, 2, 3
"""Evidence, as in `AccusationBody`."""

WINDOW_REFUSED = 0.3
WINDOW_SILENCE = 0.6
"""Seconds between a majority and the verdict, for the accused to refute. A refusal comes from the
machine itself and needs less; both cover several round trips of a wide-area link."""

SUSPICION_LIFE = 30.0
"""Seconds after which accusations that found no majority are dropped; a member still gone is
accused anew by whoever meets it."""

REVIEW = 1.0
"""Seconds between two looks at cases that are not closed."""

SURROGATES = 3
"""Members that step in for observers that cannot speak."""

ACCUSERS_MAX = 64
"""Kept per accused member: as many as a record can list neighbours."""

CRIES, CRY_LIFE = 3.0, 30.0
"""After so many refuted accusations (one is forgotten in so many seconds) an accuser's word counts
only beside somebody else's: who cries wolf removes nobody."""

CRIERS_MAX = 1024


@dataclass(slots=True)
class Suspicion:
    """What is held against one incarnation of one member.

    Attributes:
      incarnation: Which one.
      observers: Members that listed it and that it listed, when it was first accused.
      named: Members that it listed: whoever missed the records of its observers judges by them.
      surrogates: Who stands in for observers that cannot speak; chosen when one is needed.
      asked: This node has probed it, or needs not.
      closed: There was a verdict.
      accusations: By prefix of the accuser.
    """

    incarnation: int
    observers: frozenset[bytes]
    named: frozenset[bytes]
    surrogates: frozenset[bytes] = frozenset()
    asked: bool = False
    closed: bool = False
    accusations: dict[bytes, tuple[Accusation, AccusationBody]] = field(default_factory=dict)


class Judgement:
    """Holds accusations and comes to verdicts.

    Attributes:
      suspicions: What is held against whom; kept for the dead, to show to newcomers.
    """

    def __init__(
        self, context: Context, membership: Membership, links: dict[int, PeerLink]
    ) -> None:
        self._context = context
        self._membership = membership
        self._links = links
        self.suspicions: dict[NodeId, Suspicion] = {}
        self._cries: dict[bytes, tuple[float, float]] = {}
        self.past = PastCases()
        # Set by the engine.
        self.probe: Callable[[Member], None] = lambda _member: None
        self.changed: Callable[[Member], None] = lambda _member: None
        self.health: Callable[[], int] = lambda: 1
        self.slowness: Callable[[], float] = lambda: 0.0

    def hold(self, member: Member, accusation: Accusation, body: AccusationBody) -> bool:
        """Count a verified accusation of a member's present incarnation; False if there are many.

        The caller has checked who signed it.
        """
        held = self.suspicions.get(member.id)
        fresh = held is None or held.incarnation != body.incarnation
        if held is None or fresh:
            held = Suspicion(body.incarnation, self.observers(member), self._named(member))
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
            self._look_after_orphans(member)
        if len(held.accusations) >= ACCUSERS_MAX:
            return False
        held.accusations[body.accuser[:16]] = (accusation, body)
        held.surrogates = frozenset()  # views may have changed: choose anew
        self._judge(member)
        if fresh:
            self._judge_observed(member)
        return True

    def _judge_observed(self, member: Member) -> None:
        """An observer that is accused can complete the case against whom it observed."""
        for prefix in sorted(member.neighbours | member.previous):
            other = self._membership.find(prefix)
            if other is not None and other.id in self.suspicions:
                self._judge(other)

    def _look_after_orphans(self, member: Member) -> None:
        """Whoever it observed may have nobody left: the surrogates look there at once."""
        for prefix in sorted(member.neighbours):
            other = self._membership.find(prefix)
            if other is not None and self.unwatched(other):
                self._context.counters["orphans_probed"] += 1
                self.probe(other)

    def unwatched(self, member: Member, share: float = 0.5) -> bool:
        """This share of a member's observers cannot speak, and this node is to stand in for them.

        Half of them is the measure after a death. Members that died together and observed mainly
        each other would stay undetected, hence the audit's, which is one observer.
        """
        if not member.reachable or member.suspected or member.id == self._membership.me:
            return False
        observers = self.observers(member)
        mute = sum(1 for prefix in observers if self._mute(prefix))
        return (
            mute >= share * len(observers)
            and (mute > 0 or not observers)
            and not self.linked(member.id)
            and self._membership.prefix in self.surrogates(member)
        )

    def start(self) -> None:
        """Begin to look again at cases that are not closed: those who judge them may die too."""
        self._context.timers.set("review", self._context.after(REVIEW, 0.2), self._review)

    def _review(self) -> None:
        self.start()
        for node, held in list(self.suspicions.items()):
            member = self._membership.members[node]
            if not member.dead:
                held.surrogates = frozenset()
                self._judge(member)

    def observers(self, member: Member) -> frozenset[bytes]:
        """Who watches it: both records list each other, now or in the one before."""
        seen: list[bytes] = []
        for prefix in sorted(member.neighbours | member.previous):
            other = self._membership.find(prefix)
            if other is None or other.body.status != ALIVE or other.outcast:
                continue
            if other.names(member.id[:16]):
                seen.append(prefix)
        return frozenset(seen)

    def _named(self, member: Member) -> frozenset[bytes]:
        """Whom it says it is watched by. It cannot frame itself, so their word is good."""
        return frozenset(
            prefix for prefix in member.neighbours if self._membership.find(prefix) is not None
        )

    def surrogates(self, member: Member) -> frozenset[bytes]:
        """Who steps in for observers that cannot speak: rendezvous hashing over the living."""
        observers = self.observers(member)
        chosen: list[bytes] = []
        for other in self._membership.ranked_for(member):
            if other.reachable and not other.suspected and other.id[:16] not in observers:
                chosen.append(other.id[:16])
                if len(chosen) == SURROGATES:
                    break
        return frozenset(chosen)

    def _call_witnesses(self, member: Member, held: Suspicion) -> None:
        """Probe an accused member if this node observes it, or stands in for one that is mute."""
        if not held.surrogates and (
            not held.observers or any(self._mute(prefix) for prefix in held.observers)
        ):
            held.surrogates = self.surrogates(member)
        me = self._membership.prefix
        if not held.asked and (me in held.observers or me in held.surrogates):
            held.asked = True
            if not self.linked(member.id):
                self.probe(member)

    def _judge(self, member: Member) -> None:
        held = self.suspicions.get(member.id)
        if held is None or member.dead:
            return
        self._call_witnesses(member, held)
        name = ("verdict", member.id)
        if not self._majority(held) or self.linked(member.id):
            self._context.timers.cancel(name)
            return
        if name in self._context.timers:
            return
        refused = any(body.evidence == REFUSED for _a, body in held.accusations.values())
        window = WINDOW_REFUSED if refused else WINDOW_SILENCE
        self._context.timers.set(
            name,
            self._context.now + window * self.health() + 2 * self.slowness(),
            lambda: self.declare(member, "a majority of its observers agree"),
        )

    def _majority(self, held: Suspicion) -> bool:
        accusers = self._credible(held)
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
        if member is None or not member.reachable:
            return True
        held = self.suspicions.get(member.id) if member.suspected else None
        # One observer's impression of silence makes nobody mute: a lossy network is full of them.
        return held is not None and (
            len(held.accusations) > 1
            or any(held.accusations[one][1].evidence != SILENCE for one in self._credible(held))
        )

    def _credible(self, held: Suspicion) -> Set[bytes]:
        """Whose accusations count: everybody's, but not one alone that has been wrong too often."""
        accusers = held.accusations.keys()
        if len(accusers) == 1:
            (one,) = accusers
            if one != self._membership.prefix and self._cried(one) >= CRIES:
                return set()
        return accusers

    def _cried(self, accuser: bytes) -> float:
        """How often somebody's accusations were refuted lately."""
        count, at = self._cries.get(accuser, (0.0, 0.0))
        return max(0.0, count - (self._context.now - at) / CRY_LIFE)

    def _refuted(self, held: Suspicion) -> None:
        for accuser in held.accusations:
            count = self._cried(accuser) + 1.0
            if len(self._cries) >= CRIERS_MAX and accuser not in self._cries:
                del self._cries[next(iter(self._cries))]
            self._cries[accuser] = (min(count, 2 * CRIES), self._context.now)

    def linked(self, node: NodeId) -> bool:
        """A link that lives is better evidence than any number of accusations."""
        return any(link.node == node and link.greeted for link in self._links.values())

    def declare(self, member: Member, why: str) -> None:
        """It is dead, unless a link with it lives after all."""
        if member.dead or self.linked(member.id):
            return
        member.dead, member.suspected = True, False
        held = self.suspicions.get(member.id)
        if held is not None:
            held.closed = True
        member.since = self._context.now
        self._membership.judged(member)
        self._context.counters["members_died"] += 1
        self._context.timers.cancel(("drop", member.id))
        self._remember(member, f"declared dead: {why}")
        self._context.event("member-dead", f"{member.name} is dead: {why}", "warning", member.id)
        self.changed(member)

    def clear(self, member: Member, why: str) -> None:
        """Drop what is held against a member: it refuted, came back, or nobody agreed."""
        if member.id in self.suspicions:
            self._remember(member, f"cleared: {why}")
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

    def _remember(self, member: Member, outcome: str) -> None:
        """Keep how a case ended, for people."""
        self.past.ended(member.id, self._context.wall_ms, outcome, self.why(member.id))

    def on_record(self, member: Member) -> None:
        """A newer record of a member came in: a higher incarnation refutes."""
        held = self.suspicions.get(member.id)
        if held is None:
            return
        if held.incarnation < member.body.incarnation or member.body.status != ALIVE:
            if member.body.status == ALIVE and not held.closed:
                self._refuted(held)
            self.clear(
                member,
                f"refuted by its incarnation {member.body.incarnation}"
                if member.body.status == ALIVE
                else "it signed off",
            )

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
        return sorted(self.observers(self._membership.members[node]))

    def why(self, node: NodeId) -> list[dict[str, object]]:
        """For people: who accuses, on what evidence, when."""
        held = self.suspicions.get(node)
        bodies = [] if held is None else [body for _a, body in held.accusations.values()]
        return accusers(self._membership, bodies)

    def unlinked(self, node: NodeId) -> None:
        """A link that spoke for an accused member has ended: judge it anew."""
        held = self.suspicions.get(node)
        if held is not None and not self._membership.members[node].dead:
            self._judge(self._membership.members[node])

    def concerned(self, member: Member) -> bool:
        """Whether this node's word counts: it observes, or stands in as nobody else can speak."""
        observers = self.observers(member)
        if self._membership.prefix in observers:
            return True
        if any(not self._mute(prefix) for prefix in observers):
            return False
        surrogates = self.surrogates(member)
        return not surrogates or self._membership.prefix in surrogates
