"""Ten thousand nodes in zones: the production overlay and broadcast, and stand-ins for all else.

Whom to link with (`protocol.choice`, `protocol.overlay`), the trees (`protocol.tree`) and who sends
what to whom (`protocol.broadcast`) are the production code, one of each a node, and their messages
are encoded and counted. Not simulated: signatures and handshakes (nothing is signed), the state,
repair beyond asking whoever announced, membership (one table serves all, and is right), and
failures. Heartbeats are counted, not sent. `sim.mesh` simulates all that, for up to 1,000 nodes.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import log10
from types import SimpleNamespace
from typing import Any, cast
from zlib import crc32

from gossipnet.identity.peer import Peer
from gossipnet.ids import LogId, NodeId
from gossipnet.protocol.broadcast import Broadcast
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Dial, Send
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member
from gossipnet.protocol.overlay import REFUSED_FOR, Overlay
from gossipnet.protocol.tree import Tree
from gossipnet.protocol.wire import (
    Graft,
    IHave,
    Prune,
    Push,
    Verdict,
    decode_untrusted,
)
from gossipnet.protocol.wire_members import (
    MemberBody,
)
from gossipnet.sim.standins import Heads, Shared, Table
from gossipnet.sim.world import World

RECORD_BYTES = 300
"""Of one write of a small key with its signature."""

OVERHEAD = 19 + 66
"""Bytes that a session, TCP, IP and Ethernet add to one message that travels alone."""

HEARTBEAT_BYTES = 270
"""On the wire for one Ping, its Pong and the acknowledgement, each second and link."""

HERE, THERE = (0.001, 0.005), (0.01, 0.08)
"""Seconds one way within a zone, and between zones."""


class Node:
    """One node: its links, overlay and broadcast."""

    def __init__(self, vast: "Vast", number: int, zone: str) -> None:
        name = hashlib.blake2b(b"%d/%d" % (vast.world.seed, number), digest_size=16).digest()
        self.id = NodeId(name * 2)
        self.zone = zone
        self.vast = vast
        self.peer = Peer(self.id, name, f"n{number}", frozenset(), (), 0.0, 1)
        rng = random.Random(f"{vast.world.seed}/{number}")
        self.context = Context(rng, rng.randbytes, 0.0, 0.0)
        self.links: dict[int, PeerLink] = {}
        self.ends: dict[int, tuple[Node, int]] = {}
        self.heads = Heads()
        table = cast(Any, Table(vast.shared, self.id, zone))
        self.overlay = Overlay(self.context, table, self.links)
        self.broadcast = Broadcast(self.context, cast(Any, self.heads), Tree(table), self.links)
        self.broadcast.ingest = self.heads.ingest
        self.broadcast.missing = self.missing
        self._numbers = 0
        self._wake_at = float("inf")

    def next_link(self) -> int:
        """A number for one more link."""
        self._numbers += 1
        return self._numbers

    # -- driving -------------------------------------------------------------------------------

    def turn(self) -> None:
        """Carry out what the parts want, and set the timer."""
        effects, self.context.effects = self.context.effects, []
        for effect in effects:
            if isinstance(effect, Send):
                self.vast.send(self, effect)
            elif isinstance(effect, Dial):
                self.vast.dial(self, effect)
        due = self.context.timers.deadline()
        if due < self._wake_at:
            self._wake_at = due
            self.vast.world.at(due, self._wake, due)

    def _wake(self, due: float) -> None:
        if due == self._wake_at:
            self._wake_at = float("inf")
            self.context.now = self.vast.world.now
            self.context.timers.fire(self.context.now)
            self.turn()

    def receive(self, number: int, payload: bytes) -> None:
        """One message came on a link."""
        link = self.links.get(number)
        if link is None:
            return
        self.context.now = self.vast.world.now
        message = decode_untrusted(payload)
        if isinstance(message, Push):
            self.broadcast.on_push(link, message)
        elif isinstance(message, IHave):
            self.broadcast.on_ihave(link, message)
        elif isinstance(message, Graft):
            self.broadcast.on_graft(link)
        elif isinstance(message, Prune):
            self.broadcast.on_prune(link)
        elif isinstance(message, Verdict):
            self.overlay.on_verdict(link, message.accepted)
            if not message.accepted:
                self.vast.unlink(self, number)
        self.turn()

    # -- repair, in short ----------------------------------------------------------------------

    def missing(
        self, link: PeerLink, ranges: Iterable[tuple[LogId, int, int]], delay: float
    ) -> None:
        """What was announced and does not come is asked of who announced it, as `sync` does."""
        wait = delay * (1.0 + 2.0 * self.context.rng.random())
        for log, _first, last in ranges:
            self.vast.world.after(wait, self._ask, link.number, log, last)

    def _ask(self, number: int, log: LogId, last: int) -> None:
        if self.heads.head(log) < last and number in self.links:
            self.context.now = self.vast.world.now
            self.vast.asked += 1
            self.broadcast.graft(self.links[number])
            self.turn()
            other, back = self.ends[number]
            wait = 2 * self.vast.latency(self, other)
            push = Push(1, False, [_record(log, last)])
            link = self.links[number]
            self.vast.world.after(wait, self._answered, link, push)
            self.vast.count(other, self, RECORD_BYTES + 2 * OVERHEAD + 60)
            assert back

    def _answered(self, link: PeerLink, push: Push) -> None:
        self.context.now = self.vast.world.now
        self.broadcast.on_push(link, push)
        self.turn()


@dataclass(frozen=True)
class Cost:
    """What broadcasts cost in one mesh.

    Attributes:
      nodes, zones: Its size.
      links: Neighbours of a node, on average.
      crossing: Links between zones.
      missed: Writes that some node lacks, summed over nodes, after 5 s each.
      redundancy: Duplicates for each record that was news.
      last_hop: Most links that a record travelled.
      slowest: Seconds until the last node had a write, at most.
      per_write: Bytes for each write and node.
      crossing_per_write: Bytes between zones for each write, in all.
      idle: Bytes per second and node for heartbeats.
    """

    nodes: int
    zones: int
    links: float
    crossing: int
    missed: int
    redundancy: float
    last_hop: int
    slowest: float
    per_write: float
    crossing_per_write: float
    idle: float


class Vast:
    """All nodes, and what is between them."""

    def __init__(self, seed: int, nodes: int, zones: int) -> None:
        self.world = World(seed)
        self.shared = Shared()
        # Trees are remembered by this number, for all meshes of this process.
        self.shared.topology = int.from_bytes(self.world.derive(f"{nodes}/{zones}", 12), "big")
        self.bytes: Counter[bool] = Counter()
        self.asked = 0
        self.dials = 0
        self.nodes = [Node(self, n, f"zone{n % zones}") for n in range(nodes)]
        self.by_address = {node.id.hex(): node for node in self.nodes}
        self.zone_count = zones
        entry = cast(Any, SimpleNamespace(body=b"", signature=b"", chain=()))
        for node in self.nodes:
            body = MemberBody(
                1, node.id, 1, 1, 0, [node.id.hex()], [], True, node.zone, "sim"
            )  # fmt: skip
            name, key = node.peer.name, node.peer.public_key
            row = Member(node.id, key, (), name, frozenset(), 0.0, b"", body, entry)
            self.shared.members[node.id] = row
            self.shared.zones.note(row)

    def latency(self, one: Node, other: Node) -> float:
        """Seconds one way, the same for a pair both ways."""
        low, high = HERE if one.zone == other.zone else THERE
        pair = min(one.id, other.id) + max(one.id, other.id)
        return low + (high - low) * crc32(pair) / 2**32

    def count(self, source: Node, target: Node, size: int) -> None:
        """So many bytes go over a link."""
        self.bytes[source.zone != target.zone] += size

    def send(self, node: Node, effect: Send) -> None:
        """Carry one message over a link."""
        end = node.ends.get(effect.link)
        if end is not None:
            other, number = end
            self.count(node, other, len(effect.payload) + OVERHEAD)
            self.world.after(self.latency(node, other), other.receive, number, effect.payload)

    def dial(self, node: Node, effect: Dial) -> None:
        """Open a link: three round trips, as a handshake takes."""
        self.dials += 1
        other = self.by_address[effect.address]
        self.world.after(6 * self.latency(node, other), self._linked, node, other, effect.dial)

    def _linked(self, node: Node, other: Node, dial: int) -> None:
        now = self.world.now
        node.context.now = other.context.now = now
        near, far = node.next_link(), other.next_link()
        attempt = node.overlay.dialed(dial, other.id)
        assert attempt is not None
        intent = node.overlay.intent(attempt.purpose, other.id)
        mine = PeerLink(near, other.peer, True, attempt.address, now, now, greeted=True)
        theirs = PeerLink(far, node.peer, False, "", now, now, greeted=True)
        mine.intent, mine.rtt = intent, 2 * self.latency(node, other)
        theirs.rtt = mine.rtt
        node.links[near], other.links[far] = mine, theirs
        node.ends[near], other.ends[far] = (other, far), (node, near)
        other.overlay.consider(theirs, intent)
        other.turn()
        node.turn()

    def unlink(self, node: Node, number: int) -> None:
        """A link ends, on both sides at once."""
        other, far = node.ends.pop(number)
        node.links.pop(number, None)
        other.links.pop(far, None)
        other.ends.pop(far, None)
        for side, peer in ((node, other), (other, node)):
            side.context.now = self.world.now
            side.overlay.avoid(peer.id, REFUSED_FOR)
            side.overlay.kick()
            side.turn()

    # -- a run ---------------------------------------------------------------------------------

    def form(self, seconds: float = 40.0) -> None:
        """Let the overlay form; then everybody knows whose neighbour everybody is."""
        for node in self.nodes:
            self.world.at(2.0 * node.context.rng.random(), self._start, node)
        for second in range(int(seconds)):
            self.world.run(float(second + 1))
            for node in self.nodes:
                node.context.now = self.world.now
                surplus = node.overlay.surplus()
                if surplus is not None:
                    self.unlink(node, surplus.number)
            self._tell()
        for node in self.nodes:
            node.overlay.stopped = True
            node.context.timers.cancel("overlay")
        self.world.run(self.world.now + 2.0)
        self._tell()

    def _start(self, node: Node) -> None:
        node.context.now = self.world.now
        node.overlay.start(())
        node.turn()

    def _tell(self) -> None:
        for node in self.nodes:
            listed = frozenset(link.node[:16] for link in node.links.values() if link.neighbour)
            self.shared.members[node.id].neighbours = listed
        self.shared.topology += 1

    def write(self, node: Node) -> tuple[LogId, int]:
        """A node writes once."""
        log = LogId(node.id[:16])
        seq = node.heads.head(log) + 1
        node.heads.heads[log] = seq
        node.context.now = self.world.now
        node.broadcast.own([_record(log, seq)])
        node.turn()
        return log, seq

    def measure(self, writes: int) -> Cost:
        """Writes from random nodes, one every 5 s."""
        rng = self.world.rng("writers")
        self.bytes.clear()
        for node in self.nodes:
            node.context.counters.clear()
        missed, slowest = 0, 0.0
        for _ in range(writes):
            began = self.world.now
            log, seq = self.write(rng.choice(self.nodes))
            while self.world.now < began + 5.0:
                self.world.run(self.world.now + 0.02)
                if all(node.heads.head(log) >= seq for node in self.nodes):
                    slowest = max(slowest, self.world.now - began)
                    break
            self.world.run(began + 5.0)
            missed += sum(1 for node in self.nodes if node.heads.head(log) < seq)
        total: Counter[str] = Counter()
        for node in self.nodes:
            total.update(node.context.counters)
        hops = max(node.context.counters["hops_max"] for node in self.nodes)
        count = len(self.nodes)
        links = [link for node in self.nodes for link in node.links.values() if link.neighbour]
        crossing = sum(
            1
            for node in self.nodes
            for number, link in node.links.items()
            if link.neighbour and node.ends[number][0].zone != node.zone
        )
        news = total["records_received"] - total["records_duplicate"]
        return Cost(
            nodes=count,
            zones=self.zone_count,
            links=len(links) / count,
            crossing=crossing // 2,
            missed=missed,
            redundancy=total["records_duplicate"] / max(1, news),
            last_hop=hops,
            slowest=slowest,
            per_write=sum(self.bytes.values()) / writes / count,
            crossing_per_write=self.bytes[True] / writes,
            idle=HEARTBEAT_BYTES * len(links) / 2 / count,
        )


def _record(log: LogId, seq: int) -> bytes:
    return bytes(log) + seq.to_bytes(4, "big") + bytes(RECORD_BYTES - 20)


def grows_like_log(costs: list[Cost], slack: float = 1.15) -> bool:
    """Whether traffic for each node grows no faster than log N, from the smallest mesh on."""
    first = costs[0]
    per = first.per_write / log10(first.nodes)
    return all(cost.per_write <= slack * per * log10(cost.nodes) for cost in costs)
