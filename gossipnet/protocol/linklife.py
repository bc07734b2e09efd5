"""A link from its first message to its end: Hello, duplicates, verdicts, and what an end means.

Both sides say Hello at once. Of two links between the same two nodes one stays: the newer one if
the peer was restarted or if the older had been up for a while (the peer would not have dialled had
it not lost it, so a half-open link never blocks its successor), and the lower node id's dial if
both dialled at the same time. A link that was lost is redialled at once; what comes of that is
evidence. What flows over a link afterwards is not this module's business.
"""

from collections.abc import Callable

from gossipnet.errors import RemoteProtocolError
from gossipnet.ids import NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.detection import Detection
from gossipnet.protocol.effects import DialFailure, Lane, LinkDown, LinkUp, Refreshed
from gossipnet.protocol.judgement import REFUSED, UNREACHABLE, Judgement
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import ALIVE, Membership
from gossipnet.protocol.overlay import Overlay
from gossipnet.protocol.wire import LEAST_VERSION, PROTOCOL_VERSION, Hello

LINKS_MAX = 512
"""Open links of one node, which needs about ten: beyond this, peers are sent elsewhere."""

REHEARSED = b"\x93\xcc\xc8\xa4next\xc3"
"""A message of a kind that does not exist yet, with which tests rehearse upgrades."""

HELLO_WITHIN = 5.0
"""Seconds from the handshake to the peer's Hello."""

SIMULTANEOUS = 3.0
"""Links that came up within this many seconds were dialled at one time: a dial may take 2."""

IDLE = 5.0
"""Seconds that a link without a purpose is kept: long enough to hand over a member table."""

DIAL_BACK = 5.0
"""Seconds for which a lost peer that nobody can dial may dial back."""

FLAPPING = 1.0
"""A link that lived for less than this is not redialled at once."""

PENALTY = 5.0
"""Seconds for which the dials of a peer that broke the protocol are refused: it would redial, and
break it, as fast as the network goes."""

PENALTIES_MAX = 1024


class LinkLife:
    """Opens, greets, settles and ends the links of one node."""

    def __init__(
        self,
        context: Context,
        membership: Membership,
        overlay: Overlay,
        detection: Detection,
        judgement: Judgement,
        links: dict[int, PeerLink],
    ) -> None:
        self._context = context
        self._membership = membership
        self._overlay = overlay
        self._detection = detection
        self._judgement = judgement
        self._links = links
        self._instance = context.entropy(8)
        self._penalties: dict[NodeId, float] = {}
        self.speaks = PROTOCOL_VERSION
        # Set by the engine.
        self.digests: Callable[[], tuple[bytes, int, bytes]] = lambda: (bytes(32), 0, bytes(32))
        self.admit: Callable[[PeerLink, Hello], None] = lambda _link, _hello: None
        self.greeted: Callable[[PeerLink, Hello], None] = lambda _link, _hello: None
        self.ended: Callable[[PeerLink], None] = lambda _link: None
        self.gave_up: Callable[[NodeId], None] = lambda _node: None
        self.busy: Callable[[PeerLink], bool] = lambda _link: False
        self.opening: Callable[[PeerLink], None] = lambda _link: None
        self.forbidden: Callable[[PeerLink], str] = lambda _link: ""

    def start(self) -> None:
        """Begin to look for links that have no use."""
        self._context.timers.set("idle", self._context.after(1.0, 0.2), self._close_idle)

    # -- beginning -----------------------------------------------------------------------------

    def up(self, event: LinkUp) -> None:
        """The handshake is done: say what goes ahead of everything, then Hello."""
        node = event.peer.node_id
        attempt = None if event.dialed is None else self._overlay.dialed(event.dialed, node)
        link = PeerLink(
            event.link,
            event.peer,
            event.dialed is not None,
            event.address,
            self._context.now,
            self._context.now,
        )
        refusal = self._refusal(node)
        verdict = "" if refusal else self.forbidden(link)
        if verdict in ("revoked", "forked"):
            self._overlay.avoid(node)
            refusal = verdict
        if refusal:
            self._context.close(link.number, refusal)
            return
        link.intent = self._overlay.intent("" if attempt is None else attempt.purpose, node)
        link.chosen = attempt is not None and attempt.purpose == "neighbour"
        self._links[link.number] = link
        self.opening(link)
        if verdict:
            link.limbo = True
            self._give_up_without_hello(link, verdict)
            return
        vector, total, members = self.digests()
        hello = Hello(
            protocol=self.speaks,
            instance=self._instance,
            intent=link.intent,
            wall_ms=max(0, self._context.wall_ms),
            observed=event.address[:255],
            vector=vector,
            total=total,
            members=members,
            member=self._membership.own.entry,
            least=LEAST_VERSION,
        )
        self._context.send(link.number, Lane.CONTROL, hello)
        self._give_up_without_hello(link, "no-hello")

    def _give_up_without_hello(self, link: PeerLink, reason: str) -> None:
        self._context.timers.set(
            ("hello", link.number),
            self._context.now + HELLO_WITHIN,
            lambda: self.close(link, reason),
        )

    def refreshed(self, event: Refreshed) -> None:
        """The peer has shown its certificates anew."""
        link = self._links.get(event.link)
        if link is not None:
            link.peer = event.peer
            verdict = self.forbidden(link)
            if verdict:
                self.close(link, verdict)

    def _refusal(self, node: NodeId) -> str:
        if node == self._membership.me:
            return "self"
        if self._overlay.stopped:
            return "stopping"
        if self._context.now < self._penalties.get(node, 0.0):
            return "misbehaved"
        return "too-many-links" if len(self._links) >= LINKS_MAX else ""

    def on_hello(self, link: PeerLink, hello: Hello) -> None:
        """Learn who is there, settle duplicates, agree on being neighbours.

        Raises:
          RemoteProtocolError: A second Hello, or one of somebody else.
        """
        if link.greeted:
            raise RemoteProtocolError("second-hello")
        if link.limbo:
            return
        self._context.timers.cancel(("hello", link.number))
        if hello.protocol < LEAST_VERSION or hello.least > self.speaks:
            older = "this node" if hello.least > self.speaks else link.peer.name
            self._context.event(
                "link-refused",
                f"{link.peer.name} speaks versions {hello.least} to {hello.protocol} of the "
                f"protocol, this node {LEAST_VERSION} to {self.speaks}: upgrade {older}",
                "warning",
                link.node,
            )
            self._overlay.avoid(link.node)
            self.close(link, "other-version")
            return
        link.version = min(hello.protocol, self.speaks)
        link.newer = hello.protocol > PROTOCOL_VERSION
        self.admit(link, hello)
        link.greeted = True
        link.instance = hello.instance
        link.total, link.vector = hello.total, hello.vector[:8]
        link.clock_base = hello.wall_ms / 1000 - self._context.now
        link.observed = hello.observed
        if not self._settle(link):
            return
        self._detection.compare(link)
        if not link.dialed:
            self._overlay.consider(link, hello.intent)
        self.greeted(link, hello)
        if self.speaks > PROTOCOL_VERSION and link.number in self._links:
            self._context.send_bytes(link.number, Lane.CONTROL, REHEARSED)

    def _settle(self, link: PeerLink) -> bool:
        """Keep one greeted link per peer; False if it is not this one."""
        for other in list(self._links.values()):
            if other is link or other.node != link.node or not other.greeted:
                continue
            older, newer = (other, link) if other.up_at <= link.up_at else (link, other)
            if self._newer_stays(older, newer):
                self._drop_duplicate(older, "replaced")
            else:
                self._drop_duplicate(newer, "duplicate")
        return link.number in self._links

    def _newer_stays(self, older: PeerLink, newer: PeerLink) -> bool:
        restarted = older.instance != newer.instance
        if restarted or older.dialed == newer.dialed or newer.up_at - older.up_at > SIMULTANEOUS:
            return True
        low = bool(self._membership.me < newer.node)
        return newer.dialed == low

    def _drop_duplicate(self, link: PeerLink, reason: str) -> None:
        self.forget(link)
        self._context.close(link.number, reason)

    def on_verdict(self, link: PeerLink, accepted: bool) -> None:
        """The peer we dialled said whether we are neighbours.

        Raises:
          RemoteProtocolError: We did not ask.
        """
        if not link.dialed or link.neighbour:
            raise RemoteProtocolError("unexpected-verdict")
        self._overlay.on_verdict(link, accepted)

    # -- ending --------------------------------------------------------------------------------

    def forget(self, link: PeerLink) -> None:
        """Take a link out of everything; says nothing to the peer."""
        if self._links.pop(link.number, None) is None:
            return
        self._context.timers.cancel(("hello", link.number))
        if link.dialed and (not link.decided or self._context.now - link.up_at < FLAPPING):
            self._overlay.back_off(link.address)
        self.ended(link)
        self._overlay.kick()

    def close(self, link: PeerLink, reason: str) -> None:
        """End a link from this side."""
        link.parted = reason == "surplus"
        self.forget(link)
        self._context.close(link.number, reason)
        self._judgement.unlinked(link.node)

    def fail(self, link: PeerLink, reason: str, detail: str) -> None:
        """The peer broke the protocol: its link ends, and it is left alone for a while."""
        self._context.counters["protocol_errors"] += 1
        self._context.event(
            "peer-misbehaved", f"{link.peer.name}: {detail}"[:300], "warning", link.node
        )
        self._overlay.avoid(link.node)
        if len(self._penalties) >= PENALTIES_MAX:
            del self._penalties[next(iter(self._penalties))]
        self._penalties[link.node] = self._context.now + PENALTY
        self.close(link, reason)

    def down(self, event: LinkDown) -> None:
        """A link ended from outside: find out whether the peer is gone."""
        link = self._links.get(event.link)
        if link is None:
            return
        link.parted = event.clean
        self.forget(link)
        self._context.counters["links_closed" if event.clean else "links_lost"] += 1
        level = "debug" if event.clean or not link.neighbour else "info"
        self._context.event(
            "link-down", f"link with {link.peer.name} ended: {event.reason}", level, link.node
        )
        self._judgement.unlinked(link.node)
        if not event.clean and link.greeted:
            self._look_after(link)

    def silent(self, link: PeerLink) -> None:
        """Nothing came for too long: give the link up and dial anew."""
        self._context.counters["links_silent"] += 1
        self.close(link, "silent")
        if link.greeted:
            self._look_after(link)

    def _look_after(self, link: PeerLink) -> None:
        """A peer was lost without a word: redial at once."""
        member = self._membership.members.get(link.node)
        if member is None or self._overlay.stopped or self._overlay.linked(link.node) is not None:
            return
        if member.body.status != ALIVE or member.dead or not link.neighbour:
            return
        if self._context.now - link.up_at < FLAPPING:
            self._overlay.avoid(link.node, FLAPPING)
            return
        if not self._overlay.dial(member, "probe"):
            node = link.node
            self._context.timers.set(
                ("dial-back", node), self._context.now + DIAL_BACK, lambda: self._not_back(node)
            )

    def unreached(self, node: NodeId, failure: DialFailure, purpose: str) -> None:
        """Every address of a member was tried in vain: evidence, if this node's word counts."""
        member = self._membership.members.get(node)
        if member is None or self._overlay.linked(node) is not None:
            return
        if not member.dead and (purpose == "probe" or self._judgement.concerned(member)):
            refused = failure is DialFailure.REFUSED
            self._detection.accuse(node, REFUSED if refused else UNREACHABLE)
        self.gave_up(node)

    def _not_back(self, node: NodeId) -> None:
        if self._overlay.linked(node) is None:
            self._detection.accuse(node, UNREACHABLE)

    def _close_idle(self) -> None:
        self.start()
        for link in list(self._links.values()):
            unused = not link.neighbour and not self.busy(link) and not link.serving
            if unused and self._context.now - link.up_at > IDLE:
                self.close(link, "idle")
        surplus = self._overlay.surplus()
        if surplus is not None:
            self.close(surplus, "surplus")

    def close_all(self, reason: str) -> None:
        """Say goodbye on every link."""
        for link in list(self._links.values()):
            self.forget(link)
            self._context.close(link.number, reason)
