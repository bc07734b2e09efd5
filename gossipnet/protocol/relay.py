"""Join connections at this node: answered here if it is the token's issuer, else relayed to it.

A relay sees a preamble, which names the issuer, and opaque bytes after it. It carries them over a
link that exists or that is dialled for it, in circuits that are few, short and bounded, for nothing
proves yet who is at the other end. It learns neither the token nor what is answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.home import NodeIdentity
from gossipnet.ids import NodeId
from gossipnet.protocol.commits import Commits
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import JoinClose, JoinSend, Lane
from gossipnet.protocol.handshake import PostQuantum
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Membership
from gossipnet.protocol.overlay import Overlay
from gossipnet.protocol.preamble import read_preamble
from gossipnet.protocol.reception import GUEST_BYTES, GUEST_SECONDS, Reception
from gossipnet.protocol.wire import RelayClose, RelayData, RelayOpen

JOINS_MAX = 64
"""Join connections at this node at one time."""

CIRCUITS_PER_NEIGHBOUR = 16
"""Relayed newcomers that one member may have with this issuer at one time, over all its links."""

PIECE_BYTES = 32 * 1024


@dataclass(slots=True)
class Door:
    """One join connection.

    Attributes:
      address: Of the newcomer, for people.
      waiting: Bytes that could not be passed on yet.
      received: Bytes so far.
      issuer: Who must answer; None until the preamble is complete.
      link: Over which it is relayed; None before, and when it is answered here.
      here: This node answers.
      unanswered: What was passed on, while nothing has come back: it can be passed on once more.
    """

    address: str
    waiting: bytearray = field(default_factory=bytearray)
    received: int = 0
    issuer: NodeId | None = None
    link: int | None = None
    here: bool = False
    unanswered: bytes | None = b""


class Relay:
    """Takes join connections to their issuer."""

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        membership: Membership,
        overlay: Overlay,
        commits: Commits,
        secret: bytes = b"",
        pq: PostQuantum = PostQuantum.PREFER,
    ) -> None:
        self._secret = secret
        self._context = context
        self._membership = membership
        self._overlay = overlay
        self._mesh_id = identity.trust.mesh_id
        self._doors: dict[int, Door] = {}
        self._circuits: dict[tuple[int, int], None] = {}
        self.reception = Reception(context, identity, membership, commits, secret, pq)

    def restore(self, meta: Mapping[str, bytes]) -> None:
        """Load invitations."""
        self.reception.restore(meta)

    # -- connections ---------------------------------------------------------------------------

    def opened(self, join: int, address: str) -> None:
        """Somebody without a certificate is there."""
        if len(self._doors) >= JOINS_MAX:
            self._context.counters["joins_refused"] += 1
            self._context.effects.append(JoinClose(join))
            return
        self._doors[join] = Door(address)
        self._context.timers.set(
            ("join", join),
            self._context.now + GUEST_SECONDS,
            lambda: self._end(join, "joins_late"),
        )

    def received(self, join: int, data: bytes) -> None:
        """Bytes of a join connection."""
        door = self._doors.get(join)
        if door is None:
            return
        door.received += len(data)
        if door.received > GUEST_BYTES:
            self._end(join, "joins_too_long")
            return
        if door.here:
            self.reception.received(("join", join), data)
            return
        door.waiting += data
        if door.issuer is None:
            self._route(join, door)
        elif door.link is not None:
            self._pass_on(join, door)

    def closed(self, join: int) -> None:
        """A join connection ended."""
        door = self._doors.pop(join, None)
        if door is None:
            return
        self._context.timers.cancel(("join", join))
        if door.here:
            self.reception.forget(("join", join))
        elif door.link is not None:
            self._context.send(door.link, Lane.CONTROL, RelayClose(join, back=False))

    def _route(self, join: int, door: Door) -> None:
        """Find the issuer as soon as the preamble is there."""
        try:
            preamble = read_preamble(bytes(door.waiting), self._mesh_id, self._secret)
        except RemoteProtocolError:
            self._end(join, "joins_malformed")
            return
        if preamble is None:
            return
        if not preamble.kind.joins:
            self._end(join, "joins_malformed")
            return
        if preamble.issuer == self._membership.prefix:
            self._answer_here(join, door)
            return
        member = self._membership.find(preamble.issuer)
        if member is None:
            self._end(join, "joins_unknown_issuer")
            return
        door.issuer = member.id
        link = self._overlay.linked(member.id)
        if link is not None and link.greeted:
            self._connect(join, door, link)
        elif link is None and not self._overlay.dial(member, "relay"):
            self._end(join, "joins_unreachable_issuer")

    def _answer_here(self, join: int, door: Door) -> None:
        def send(data: bytes) -> None:
            self._context.effects.append(JoinSend(join, data))

        key = ("join", join)
        if not self.reception.admit(key, _host(door.address), send, lambda: self._end(join, "")):
            self._end(join, "")
            return
        door.here = True
        data = bytes(door.waiting)
        door.waiting.clear()
        self.reception.received(key, data)

    def _end(self, join: int, counter: str) -> None:
        if join in self._doors:
            if counter:
                self._context.counters[counter] += 1
            self.closed(join)
            self._context.effects.append(JoinClose(join))

    # -- as a relay ----------------------------------------------------------------------------

    def _connect(self, join: int, door: Door, link: PeerLink) -> None:
        door.link = link.number
        self._context.counters["joins_relayed"] += 1
        self._context.send(link.number, Lane.CONTROL, RelayOpen(join, door.address[:255]))
        self._pass_on(join, door)

    def _pass_on(self, join: int, door: Door) -> None:
        assert door.link is not None
        data = bytes(door.waiting)
        door.waiting.clear()
        if door.unanswered is not None:
            door.unanswered += data
        self._send_pieces(door.link, join, data, back=False)

    def _send_pieces(self, link: int, circuit: int, data: bytes, *, back: bool) -> None:
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            self._context.send(link, Lane.CONTROL, RelayData(circuit, piece, back))

    def link_ready(self, link: PeerLink) -> None:
        """A link greets: newcomers may wait for it."""
        for join, door in list(self._doors.items()):
            if door.issuer == link.node and door.link is None:
                self._connect(join, door, link)

    def unreached(self, node: NodeId) -> None:
        """An issuer could not be dialled."""
        for join, door in list(self._doors.items()):
            if door.issuer == node and door.link is None:
                self._end(join, "joins_unreachable_issuer")

    def link_ended(self, link: PeerLink) -> None:
        """Everything that was relayed over a link ends with it."""
        for join, door in list(self._doors.items()):
            if door.link == link.number:
                door.link = None
                self._again(join, door)
        for key in [key for key in self._circuits if key[0] == link.number]:
            del self._circuits[key]
            self.reception.forget(key)

    def _again(self, join: int, door: Door) -> None:
        """The link is gone; if the issuer has said nothing yet, begin anew over another.

        Where both sides dial at one moment, one of the two links ends as soon as it is up.
        """
        said, door.unanswered = door.unanswered, None
        member = None if door.issuer is None else self._membership.members.get(door.issuer)
        if said is None or member is None:
            self._end(join, "joins_cut_off")
            return
        door.waiting[:0] = said
        link = self._overlay.linked(member.id)
        if link is not None and link.greeted:
            self._connect(join, door, link)
        elif link is None and not self._overlay.dial(member, "relay"):
            self._end(join, "joins_cut_off")

    def uses(self, link: PeerLink) -> bool:
        """Whether a newcomer is served over this link, or will be."""
        return any(key[0] == link.number for key in self._circuits) or any(
            door.link == link.number or (door.link is None and door.issuer == link.node)
            for door in self._doors.values()
        )

    # -- messages ------------------------------------------------------------------------------

    def on_open(self, link: PeerLink, message: RelayOpen) -> None:
        """A peer relays a newcomer to us."""
        key = (link.number, message.circuit)
        if key in self._circuits:
            raise RemoteProtocolError("circuit-twice")

        def send(data: bytes) -> None:
            self._send_pieces(link.number, message.circuit, data, back=True)

        def close() -> None:
            if self._circuits.pop(key, key) is None:
                self._context.send(
                    link.number, Lane.CONTROL, RelayClose(message.circuit, back=True)
                )

        full = self.reception.brought(link.node) >= CIRCUITS_PER_NEIGHBOUR
        if full:
            self._context.counters["joins_over_share"] += 1
        if full or not self.reception.admit(key, link.node, send, close):
            self._context.send(link.number, Lane.CONTROL, RelayClose(message.circuit, back=True))
            return
        self._circuits[key] = None

    def on_data(self, link: PeerLink, message: RelayData) -> None:
        """Bytes of a relayed join, in either direction."""
        if message.back:
            door = self._doors.get(message.circuit)
            if door is not None and door.link == link.number:
                door.unanswered = None
                self._context.effects.append(JoinSend(message.circuit, message.data))
        else:
            self.reception.received((link.number, message.circuit), message.data)

    def on_close(self, link: PeerLink, message: RelayClose) -> None:
        """A relayed join ended at the other side."""
        if message.back:
            door = self._doors.get(message.circuit)
            if door is not None and door.link == link.number:
                door.link = None
                self._end(message.circuit, "")
        else:
            self._circuits.pop((link.number, message.circuit), None)
            self.reception.forget((link.number, message.circuit))


def _host(address: str) -> str:
    """Of ``HOST:PORT``; what comes from one machine shares one share."""
    return address.rpartition(":")[0]
