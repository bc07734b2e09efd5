"""Messages that clients publish: signed, carried once to everybody, and not stored.

They travel like fresh records (`broadcast`): along the author's tree, and announced a little later
to neighbours outside of it, which ask for what did not come. But they are best effort: whoever is
cut off for more than a moment has missed them, a link that is behind gets none, and what a node
still holds for others to ask for is a few seconds' worth. An author's events are numbered; a window
of numbers tells what was there already. Knows no clients: what is heard is given to `heard`.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from math import inf

from gossipnet.errors import BadSignature, CertificateError, RemoteProtocolError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import Domain, sign, verify
from gossipnet.ids import NodeId
from gossipnet.protocol.broadcast import ANNOUNCE, GRAFT_AFTER
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Membership
from gossipnet.protocol.wire import encode
from gossipnet.protocol.wire_talk import (
    ASKED_EVENTS,
    EVENT_BYTES,
    EVENTS_PER_BODY,
    AskEvents,
    EventBody,
    EventHead,
    EventHeads,
    PushEvents,
    SignedEvent,
    decode_event_untrusted,
)
from gossipnet.state.authority import timely

WINDOW = 4096
"""Numbers of one author that are told apart; older ones are taken for repetitions."""

RECENT_BYTES = 1 << 20
"""Events kept for those who ask."""

STALE_MS = 300_000
"""Events older than this by their author's clock are not passed on: somebody says them again."""

AUTHOR_BYTES = 8 << 20
"""What one author may say in a second; twice as much at once. The rest is dropped by everybody."""

WANTED_MAX = 4096
"""Events waited for before they are asked for."""

PUSH_BYTES = 256 * 1024
"""Of events in one message; more goes into the next."""

_MASK = (1 << WINDOW) - 1
_OVERHEAD = 16


class Heard:
    """What has been heard of one author.

    Attributes:
      instance: Its process, as far as known.
      highest: Number of its newest event.
      budget: Bytes that it may say now.
      refilled_at: ``now`` when that was reckoned.
    """

    __slots__ = ("_bits", "budget", "highest", "instance", "refilled_at")

    def __init__(self, instance: int, before: int, now: float) -> None:
        self.instance = instance
        self.highest = before
        self._bits = _MASK  # whatever was said before is not for us
        self.budget = 2.0 * AUTHOR_BYTES
        self.refilled_at = now

    def has(self, number: int) -> bool:
        """Whether it was here, or is too old to say."""
        back = self.highest - number
        return back >= 0 and (back >= WINDOW or bool(self._bits >> back & 1))

    def note(self, number: int) -> None:
        """It is here."""
        ahead = number - self.highest
        if ahead > 0:
            self._bits = (self._bits << min(ahead, WINDOW) | 1) & _MASK
            self.highest = number
        else:
            self._bits |= 1 << -ahead

    def lacking(self, upto: int) -> list[int]:
        """The newest numbers up to ``upto`` that are not here, oldest first."""
        first = max(1, upto - ASKED_EVENTS + 1, self.highest - WINDOW + 1)
        return [number for number in range(first, upto + 1) if not self.has(number)]

    def spend(self, size: int, now: float) -> bool:
        """Whether so many bytes are within its share."""
        refill = (now - self.refilled_at) * AUTHOR_BYTES
        self.budget = min(2.0 * AUTHOR_BYTES, self.budget + refill)
        self.refilled_at = now
        if size > self.budget:
            return False
        self.budget -= size
        return True


class Talk:
    """Publishes, passes on and hears."""

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        membership: Membership,
        links: dict[int, PeerLink],
    ) -> None:
        self._context = context
        self._key = identity.key
        self._trust = identity.trust
        self._membership = membership
        self._links = links
        self._saying: list[tuple[bytes, bytes]] = []
        self._saying_bytes = 0
        self._ready: deque[list[tuple[bytes, bytes]]] = deque()
        self._instance = -1
        self._number = 0
        self._heard: dict[NodeId, Heard] = {}
        self._recent: OrderedDict[EventHead, SignedEvent] = OrderedDict()
        self._recent_bytes = 0
        self._news: dict[bytes, tuple[int, int, set[int]]] = {}
        self._wanted: dict[EventHead, tuple[float, int]] = {}
        # Set by the engine.
        self.leads: Callable[[NodeId, PeerLink], bool] = lambda _author, _link: True
        self.heard: Callable[[bytes, bytes], None] = lambda _channel, _data: None

    # -- saying --------------------------------------------------------------------------------

    def publish(self, channel: bytes, data: bytes) -> None:
        """Say it to all other nodes with the next turn's effects.

        Args:
          channel: Any bytes.
          data: With the channel at most `EVENT_BYTES`.
        """
        size = len(channel) + len(data) + _OVERHEAD
        full = self._saying_bytes + size > EVENT_BYTES or len(self._saying) >= EVENTS_PER_BODY
        if self._saying and full:
            self._close()
        self._saying.append((channel, data))
        self._saying_bytes += size

    def _close(self) -> None:
        self._ready.append(self._saying)
        self._saying, self._saying_bytes = [], 0

    def flush(self) -> None:
        """Sign and send what was published."""
        if not self._saying:
            return
        self._close()
        neighbours = [link for link in self._links.values() if link.neighbour]
        events = [self._signed(said) for said in self._ready]
        self._ready.clear()
        for payload in _payloads(1, events):
            for link in neighbours:
                self._context.send_droppable(link.number, Lane.GOSSIP, payload)

    def _signed(self, said: list[tuple[bytes, bytes]]) -> SignedEvent:
        membership = self._membership
        if membership.incarnation != self._instance:
            self._instance, self._number = membership.incarnation, 0
        self._number += 1
        counters = self._context.counters
        counters["events_published"] += len(said)
        body = encode(
            EventBody(membership.me, self._instance, self._number, self._context.wall_ms, said)
        )
        event = SignedEvent(body, sign(self._key, Domain.EVENT, self._trust.mesh_id, body))
        self._keep((membership.prefix, self._instance, self._number), event)
        return event

    # -- hearing -------------------------------------------------------------------------------

    def on_push(self, link: PeerLink, message: PushEvents) -> None:
        """Hear what is new and pass it on."""
        fresh: dict[NodeId, list[SignedEvent]] = {}
        counters = self._context.counters
        for event in message.events:
            body = decode_event_untrusted(event.body)
            author = NodeId(body.author)
            counters["events_received"] += 1
            if self._take(author, body, event):
                fresh.setdefault(author, []).append(event)
        counters["event_hops_max"] = max(counters["event_hops_max"], message.hop)
        if fresh:
            self._forward(link, fresh, min(message.hop + 1, 255))

    def _take(self, author: NodeId, body: EventBody, event: SignedEvent) -> bool:
        """Whether an event is new and good; then it has been heard."""
        counters, now = self._context.counters, self._context.now
        member = self._membership.members.get(author)
        if author == self._membership.me:
            counters["events_duplicate"] += 1
            return False
        if member is None or member.outcast:
            counters["events_unknown"] += 1
            return False
        known = self._heard.get(author)
        if known is not None and (
            body.instance < known.instance
            or (body.instance == known.instance and known.has(body.number))
        ):
            counters["events_duplicate"] += 1
            return False
        if body.wall_ms < self._context.wall_ms - STALE_MS:
            counters["events_stale"] += 1
            return False
        try:
            certificate = self._trust.verify_past_chain(member.chain)  # it was: this is looked up
            mesh_id = self._trust.mesh_id
            verify(member.public_key, Domain.EVENT, mesh_id, event.body, event.signature)
        except (BadSignature, CertificateError) as error:
            raise RemoteProtocolError("bad-event", str(error)) from error
        if known is None or body.instance > known.instance:
            known = self._heard[author] = Heard(body.instance, body.number - 1, now)
        known.note(body.number)
        if not known.spend(len(event.body), now):
            counters["events_over_budget"] += 1
            return False
        if not timely(certificate, body.wall_ms):
            counters["events_forbidden"] += 1
            return False
        self._keep((author[:16], body.instance, body.number), event)
        self._say(certificate, body)
        return True

    def _say(self, certificate: Certificate, body: EventBody) -> None:
        for channel, data in body.said:
            if certificate.writes_everything or certificate.allows("write", channel):
                self.heard(channel, data)
            else:
                self._context.counters["events_forbidden"] += 1

    # -- passing on ----------------------------------------------------------------------------

    def _forward(self, source: PeerLink, fresh: dict[NodeId, list[SignedEvent]], hop: int) -> None:
        payloads: dict[tuple[NodeId, ...], list[bytes]] = {}
        told: dict[NodeId, set[int]] = {author: {source.number} for author in fresh}
        for link in self._links.values():
            if not link.neighbour or link is source:
                continue
            authors = tuple(author for author in fresh if self.leads(author, link))
            if authors and authors not in payloads:
                events = [event for author in authors for event in fresh[author]]
                payloads[authors] = list(_payloads(hop, events))
            for payload in payloads.get(authors, ()):
                self._context.send_droppable(link.number, Lane.GOSSIP, payload)
            for author in authors:
                told[author].add(link.number)
        for author, links in told.items():
            heard = self._heard[author]
            before = self._news.get(author[:16])
            known = links if before is None else before[2] & links
            self._news[author[:16]] = (heard.instance, heard.highest, known)
        if "talk" not in self._context.timers:
            self._context.timers.set("talk", self._context.now + ANNOUNCE, self._announce)

    def _announce(self) -> None:
        news, self._news = self._news, {}
        for link in self._links.values():
            if not link.neighbour:
                continue
            heads: list[EventHead] = [
                (author, instance, number)
                for author, (instance, number, told) in news.items()
                if link.number not in told and author != link.node[:16]
            ]
            if heads:
                self._context.send(link.number, Lane.GOSSIP, EventHeads(heads[:4096]))

    # -- asking --------------------------------------------------------------------------------

    def on_heads(self, link: PeerLink, message: EventHeads) -> None:
        """Give the tree a moment to bring what was announced; then ask."""
        due = self._context.now + GRAFT_AFTER + 2 * (link.rtt or 0.0)
        newest: dict[tuple[bytes, int], int] = {}  # a head is about all before it
        for author, instance, number in message.heads:
            newest[author, instance] = max(number, newest.get((author, instance), 0))
        for (author, instance), number in newest.items():
            if len(self._wanted) >= WANTED_MAX:
                self._context.counters["events_unasked"] += 1
                continue
            for lacking in self._lacking(author, instance, number):
                self._wanted.setdefault((author, instance, lacking), (due, link.number))
        if self._wanted and "talk-ask" not in self._context.timers:
            self._context.timers.set("talk-ask", due, self._ask)

    def _lacking(self, prefix: bytes, instance: int, number: int) -> list[int]:
        member = self._membership.find(prefix)
        if member is None or member.id == self._membership.me:
            return []
        known = self._heard.get(member.id)
        if known is None or instance > known.instance:
            return [number]
        return known.lacking(number) if instance == known.instance else []

    def _lacks(self, prefix: bytes, instance: int, number: int) -> bool:
        """Whether this one event would still be news."""
        member = self._membership.find(prefix)
        known = None if member is None else self._heard.get(member.id)
        if known is None or instance > known.instance:
            return member is not None
        return instance == known.instance and not known.has(number)

    def _ask(self) -> None:
        now, later = self._context.now, inf
        asked: dict[int, list[EventHead]] = {}
        for event, (due, number) in list(self._wanted.items()):
            if due > now:
                later = min(later, due)
                continue
            del self._wanted[event]
            if self._lacks(*event):
                asked.setdefault(number, []).append(event)
        for number, events in asked.items():
            if number in self._links:
                self._context.counters["events_asked"] += len(events)
                for start in range(0, len(events), ASKED_EVENTS):
                    piece = events[start : start + ASKED_EVENTS]
                    self._context.send(number, Lane.GOSSIP, AskEvents(piece))
        if later < inf:
            self._context.timers.set("talk-ask", later, self._ask)

    def on_ask(self, link: PeerLink, message: AskEvents) -> None:
        """Send what is still here."""
        found = [self._recent[event] for event in message.events if event in self._recent]
        for payload in _payloads(1, found):
            self._context.send_droppable(link.number, Lane.GOSSIP, payload)

    def _keep(self, name: EventHead, event: SignedEvent) -> None:
        self._recent[name] = event
        self._recent_bytes += len(event.body) + 256
        while self._recent_bytes > RECENT_BYTES and len(self._recent) > 1:
            _name, old = self._recent.popitem(last=False)
            self._recent_bytes -= len(old.body) + 256


def _payloads(hop: int, events: list[SignedEvent]) -> list[bytes]:
    """Encoded messages, none much above `PUSH_BYTES`."""
    payloads: list[bytes] = []
    piece: list[SignedEvent] = []
    size = 0
    for event in events:
        if piece and (size + len(event.body) > PUSH_BYTES or len(piece) >= ASKED_EVENTS):
            payloads.append(encode(PushEvents(hop, piece)))
            piece, size = [], 0
        piece.append(event)
        size += len(event.body) + 64
    if piece:
        payloads.append(encode(PushEvents(hop, piece)))
    return payloads
