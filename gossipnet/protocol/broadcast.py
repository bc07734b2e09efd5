"""Broadcast along a tree that repairs itself: Plumtree over the neighbours.

Records go at once to *eager* neighbours and are only announced to *lazy* ones (Leitão et al.,
"Epidemic Broadcast Trees", SRDS 2007). A duplicate prunes the link it came on; an announcement that
is not fulfilled in time grafts it back. Where the paper names messages by id, records are named by
(log, sequence number), so one announcement covers everything before it and a lost one is
repaired by the next.

An author sends its own records to all neighbours at once: along the tree to the eager ones, and
beside it to the others. A copy that came beside the tree is applied but not passed on, and neither
it nor a duplicate of it prunes; the tree's copy is passed on when it comes. Otherwise one record
would enter the tree at several places, and the duplicates where its waves meet would cut the tree
to pieces. Member records and accusations are small and rare: they are flooded, and the table's own
version check ends the flood.
"""

from collections.abc import Callable, Iterable

from gossipnet.ids import LogId, NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member
from gossipnet.protocol.wire import (
    Accusation,
    Graft,
    Head,
    IHave,
    MemberEntry,
    Prune,
    Push,
    PushAccusations,
    PushMembers,
    encode,
)
from gossipnet.state.replica import AppliedRecord, Outcome, Replica, Status

ANNOUNCE = 0.05
"""Seconds for which announcements are collected: the tree has usually delivered by then."""

GRAFT_AFTER = 0.1
"""Seconds (plus two round trips) that an announced record may take to come by the tree."""

PRUNE_EVERY = 0.5
"""Seconds between two PRUNEs on one link, so that a burst does not tear the tree apart."""

MEMBERS_AFTER = 0.02
"""Seconds for which member records are collected before they are flooded."""

BESIDE_KEPT = 4096
"""Records that came beside the tree and still wait for its copy, which takes milliseconds."""

PUSH_BYTES = 256 * 1024
"""A larger batch is split, so that receivers can begin."""


class Broadcast:
    """Eager and lazy push of what this node wrote or applied."""

    def __init__(self, context: Context, replica: Replica, links: dict[int, PeerLink]) -> None:
        self._context = context
        self._replica = replica
        self._links = links
        self._announce: dict[LogId, int] = {}
        self._told: dict[LogId, set[int]] = {}
        self._wide: set[LogId] = set()
        self._beside: dict[bytes, int] = {}
        self._members: dict[NodeId, tuple[MemberEntry, int | None]] = {}
        # Set by the engine.
        self.ingest: Callable[[bytes], Outcome] = lambda data: replica.ingest(data, context.wall)
        self.taken: Callable[[Iterable[AppliedRecord]], None] = lambda _records: None
        self.missing: Callable[[PeerLink, Iterable[tuple[LogId, int, int]], float], None] = (
            lambda _link, _ranges, _delay: None
        )

    def _neighbours(self) -> list[PeerLink]:
        return [link for link in self._links.values() if link.neighbour]

    # -- records -------------------------------------------------------------------------------

    def own(self, records: list[bytes]) -> None:
        """Send this node's own committed records to every neighbour."""
        neighbours = self._neighbours()
        if neighbours and not any(link.eager for link in neighbours):
            min(neighbours, key=lambda link: link.rtt or 1.0).eager = True
        for piece in _pieces(records):
            payloads: dict[bool, bytes] = {}
            for link in neighbours:
                payload = payloads.get(link.eager)
                if payload is None:
                    payload = payloads[link.eager] = encode(Push(1, not link.eager, piece))
                self._context.send_bytes(link.number, Lane.GOSSIP, payload)
        self._context.counters["records_pushed"] += len(records) * len(neighbours)

    def on_push(self, link: PeerLink, message: Push) -> None:
        """Validate, apply, forward; prune the link if it brought nothing new along the tree."""
        applied: list[AppliedRecord] = []
        late: list[AppliedRecord] = []
        news, redundant = False, False
        counters = self._context.counters
        for data in message.records:
            counters["records_received"] += 1
            outcome = self.ingest(data)
            applied.extend(outcome.applied)
            if outcome.status is not Status.DUPLICATE:
                news = True
            elif not message.first and self._beside.pop(_name(data), 0):
                late.extend(self._own_copy(data))
            else:
                counters["records_duplicate"] += 1
                redundant = True
            if outcome.missing:
                self.missing(link, outcome.missing, GRAFT_AFTER + 2 * (link.rtt or 0.0))
        counters["hops_max"] = max(counters["hops_max"], message.hop)
        if applied:
            self.taken(applied)
        if message.first and len(applied) <= len(message.records):
            self._keep_beside(applied)
            self.announce(applied, link.number)
            return
        if news or late:
            link.eager = True
        elif redundant and not message.first:
            self._prune(link)
        hop = min(message.hop + 1, 255)
        self._push(late, link, hop)
        self.forward(applied, link, hop)

    def _own_copy(self, data: bytes) -> list[AppliedRecord]:
        """What we hold under a duplicate's name: its bytes were checked, the peer's were not."""
        log, seq = LogId(data[2:18]), int.from_bytes(data[18:26], "big")
        held = self._replica.record(log, seq)
        return [] if held is None else [AppliedRecord(log, seq, held)]

    def _keep_beside(self, applied: list[AppliedRecord]) -> None:
        for record in applied:
            if len(self._beside) >= BESIDE_KEPT:
                del self._beside[next(iter(self._beside))]
            self._beside[_name(record.data)] = 1

    def forward(self, applied: list[AppliedRecord], source: PeerLink | None, hop: int) -> None:
        """Push to eager neighbours, announce to the others."""
        if not applied:
            return
        for record in applied:
            self._beside.pop(_name(record.data), None)
        self._push(applied, source, hop)
        self.announce(applied, -1 if source is None else source.number)

    def _push(self, records: list[AppliedRecord], source: PeerLink | None, hop: int) -> None:
        payloads: list[bytes] = []
        for link in self._links.values():
            if not records or not link.neighbour or not link.eager or link is source:
                continue
            if not payloads:
                pieces = _pieces([record.data for record in records])
                payloads = [encode(Push(hop, False, piece)) for piece in pieces]
            for payload in payloads:
                self._context.send_bytes(link.number, Lane.GOSSIP, payload)
            self._context.counters["records_pushed"] += len(records)

    def announce(
        self, applied: Iterable[AppliedRecord], source: int, *, everybody: bool = False
    ) -> None:
        """Tell lazy neighbours, or all of them, soon; ``source`` knows already."""
        for record in applied:
            head = self._announce.get(record.log, 0)
            if record.seq > head:
                self._announce[record.log] = record.seq
                self._told[record.log] = {source}
            if everybody:
                self._wide.add(record.log)
        if "announce" not in self._context.timers:
            self._context.timers.set("announce", self._context.now + ANNOUNCE, self._say)

    def _say(self) -> None:
        heads, self._announce = self._announce, {}
        told, self._told = self._told, {}
        wide, self._wide = self._wide, set()
        for link in self._links.values():
            if not link.neighbour:
                continue
            news: list[Head] = [
                (log, head)
                for log, head in heads.items()
                if link.number not in told[log] and (not link.eager or log in wide)
            ]
            if news:
                self._context.send(link.number, Lane.GOSSIP, IHave(news[:16_384]))

    def on_ihave(self, link: PeerLink, message: IHave) -> None:
        """Wait a little for the tree to bring what was announced; then ask."""
        ranges = [
            (LogId(log), self._replica.head(LogId(log)) + 1, head)
            for log, head in message.heads
            if head > self._replica.head(LogId(log))
        ]
        if ranges:
            self.missing(link, ranges, GRAFT_AFTER + 2 * (link.rtt or 0.0))

    def graft(self, link: PeerLink) -> None:
        """The tree failed us: make this link part of it."""
        if not link.eager or link.pruned_at >= 0:
            link.eager, link.pruned_at = True, -1.0
        self._context.counters["grafts"] += 1
        self._context.send(link.number, Lane.GOSSIP, Graft())

    def on_graft(self, link: PeerLink) -> None:
        """The peer wants pushes."""
        link.eager = True

    def _prune(self, link: PeerLink) -> None:
        if self._context.now - link.pruned_at < PRUNE_EVERY and link.pruned_at >= 0:
            return
        link.pruned_at = self._context.now
        link.eager = False
        self._context.counters["prunes"] += 1
        self._context.send(link.number, Lane.GOSSIP, Prune())

    def on_prune(self, link: PeerLink) -> None:
        """The peer hears of us by a faster path."""
        link.eager = False

    # -- members and accusations -----------------------------------------------------------------

    def members(self, fresh: Iterable[Member], source: int | None) -> None:
        """Flood newer records of these members; ``source`` has them already."""
        for member in fresh:
            self._members[member.id] = (member.entry, source)
        if self._members and "members" not in self._context.timers:
            self._context.timers.set("members", self._context.now + MEMBERS_AFTER, self.say_members)

    def say_members(self) -> None:
        """Send what was collected now."""
        pending, self._members = self._members, {}
        self._context.timers.cancel("members")
        for link in self._neighbours():
            entries = [entry for entry, source in pending.values() if source != link.number]
            for start in range(0, len(entries), 512):
                self._context.send(
                    link.number, Lane.CONTROL, PushMembers(entries[start : start + 512])
                )

    def accusations(self, accusations: list[Accusation], source: int | None) -> None:
        """Flood accusations at once: a verdict waits for them."""
        payload = encode(PushAccusations(accusations[:1024]))
        for link in self._neighbours():
            if link.number != source:
                self._context.send_bytes(link.number, Lane.CONTROL, payload)


def _name(data: bytes) -> bytes:
    """Log and sequence number, as they stand in a record's header."""
    return data[2:26]


def _pieces(records: list[bytes]) -> list[list[bytes]]:
    """Split a batch so that no message is much above `PUSH_BYTES`."""
    pieces: list[list[bytes]] = [[]]
    size = 0
    for data in records:
        if pieces[-1] and size + len(data) > PUSH_BYTES:
            pieces.append([])
            size = 0
        pieces[-1].append(data)
        size += len(data)
    return pieces
