"""Broadcast: pushed along each author's tree, announced to everybody else, repaired by asking.

Records are pushed to those neighbours whose parent in the author's tree this node is (`tree`), and
announced to the others a little later. Where an announcement is not fulfilled in time the tree
has failed: the record is pulled, and the link it came on is *grafted*, so that it carries every
push until a duplicate *prunes* it, as in Plumtree (Leitão et al., "Epidemic Broadcast Trees", SRDS
2007). Where the paper names messages by id, records are named by (log, sequence number), so one
announcement covers everything before it and a lost one is repaired by the next. An author is the
root of its tree: its own records go to all its neighbours at once. Member records and accusations
travel in another way (`spread`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gossipnet.ids import LogId, NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.tree import Tree
from gossipnet.protocol.wire import (
    Graft,
    Head,
    IHave,
    Prune,
    Push,
    encode,
)
from gossipnet.state.replica import AppliedRecord, Outcome, Replica, Status

ANNOUNCE = 0.05
"""Seconds for which announcements are collected: the tree has usually delivered by then."""

GRAFT_AFTER = 0.1
"""Seconds (plus two round trips) that an announced record may take to come by the tree."""

PUSH_BYTES = 256 * 1024
"""A larger batch is split, so that receivers can begin."""


@dataclass(slots=True)
class Announcement:
    """A log of which there is news, and the links whose other ends know."""

    head: int
    told: set[int]


class Broadcast:
    """Eager and lazy push of what this node wrote or applied."""

    def __init__(
        self, context: Context, replica: Replica, tree: Tree, links: dict[int, PeerLink]
    ) -> None:
        self._context = context
        self._replica = replica
        self._tree = tree
        self._links = links
        self._announce: dict[LogId, Announcement] = {}
        # Set by the engine.
        self.ingest: Callable[[bytes], Outcome] = lambda data: replica.ingest(data, context.wall)
        self.congested: Callable[[], bool] = lambda: False
        self.forked: Callable[[PeerLink, bytes], None] = lambda _link, _data: None
        self.taken: Callable[[Iterable[AppliedRecord]], None] = lambda _records: None
        self.arrived: Callable[[list[AppliedRecord], PeerLink | None, int], None] = (
            lambda _records, _link, _hop: None
        )
        self.missing: Callable[[PeerLink, Iterable[tuple[LogId, int, int]], float], None] = (
            lambda _link, _ranges, _delay: None
        )

    def _neighbours(self) -> list[PeerLink]:
        return [link for link in self._links.values() if link.neighbour]

    # -- records -------------------------------------------------------------------------------

    def own(self, records: list[bytes]) -> None:
        """Send this node's own committed records to every neighbour."""
        neighbours = self._neighbours()
        for piece in _pieces(records):
            payload = encode(Push(1, True, piece))
            for link in neighbours:
                self._context.send_bytes(link.number, Lane.GOSSIP, payload)
        self._context.counters["records_pushed"] += len(records) * len(neighbours)

    def on_push(self, link: PeerLink, message: Push) -> None:
        """Validate, apply, forward; end a graft that brings nothing new."""
        applied: list[AppliedRecord] = []
        news = False
        counters = self._context.counters
        if self.congested():  # the disk is behind: they come again when it has caught up
            counters["records_deferred"] += len(message.records)
            return
        try:
            for data in message.records:
                counters["records_received"] += 1
                outcome = self.ingest(data)
                applied.extend(outcome.applied)
                if outcome.status is Status.DUPLICATE:
                    counters["records_duplicate"] += 1
                else:
                    news = True
                if outcome.status is Status.FORKED:
                    self.forked(link, data)
                if outcome.missing:
                    self.missing(link, outcome.missing, GRAFT_AFTER + 2 * (link.rtt or 0.0))
        finally:  # what came before a bad one is applied: it must reach the disk and the others
            if applied:
                self.taken(applied)
                self.arrived(applied, link, message.hop)
                self.forward(applied, link, min(message.hop + 1, 255))
        counters["hops_max"] = max(counters["hops_max"], message.hop)
        if link.asked and not news:
            link.asked = False
            counters["prunes"] += 1
            self._context.send(link.number, Lane.GOSSIP, Prune())

    def forward(self, applied: list[AppliedRecord], source: PeerLink | None, hop: int) -> None:
        """Push to whom the tree leads, announce to the others."""
        authors = {record.log: self._replica.author_of(record.log) for record in applied}
        told: dict[LogId, set[int]] = {log: set() for log in authors}
        payloads: dict[tuple[LogId, ...], list[bytes]] = {}
        for link in self._links.values():
            if not link.neighbour:
                continue
            if link is source:
                logs = tuple(authors)
            else:
                logs = tuple(log for log, author in authors.items() if self.leads(author, link))
                if logs and logs not in payloads:
                    wanted = set(logs)
                    pieces = _pieces([r.data for r in applied if r.log in wanted])
                    payloads[logs] = [encode(Push(hop, False, piece)) for piece in pieces]
                for payload in payloads.get(logs, ()):
                    self._context.send_bytes(link.number, Lane.GOSSIP, payload)
            for log in logs:
                told[log].add(link.number)
        self._note(applied, told)

    def leads(self, author: NodeId | None, link: PeerLink) -> bool:
        """Whether what an author says is to be pushed on a link."""
        return link.grafted or self._tree.pushes(author, link)

    def announce(self, applied: Iterable[AppliedRecord], source: int) -> None:
        """Tell all neighbours but ``source`` soon that these are here."""
        records = list(applied)
        self._note(records, {record.log: {source} for record in records})

    def _note(self, applied: list[AppliedRecord], told: dict[LogId, set[int]]) -> None:
        for record in applied:
            known = self._announce.get(record.log)
            if known is None:
                self._announce[record.log] = Announcement(record.seq, told[record.log])
            elif record.seq > known.head:
                known.head = record.seq
                known.told = known.told & told[record.log]
        if self._announce and "announce" not in self._context.timers:
            self._context.timers.set("announce", self._context.now + ANNOUNCE, self._say)

    def _say(self) -> None:
        announce, self._announce = self._announce, {}
        for link in self._links.values():
            if not link.neighbour:
                continue
            news: list[Head] = [
                (log, noted.head)
                for log, noted in announce.items()
                if link.number not in noted.told
            ]
            if news:
                self._context.send(link.number, Lane.GOSSIP, IHave(news[:16_384]))

    def on_ihave(self, link: PeerLink, message: IHave) -> None:
        """Wait a little for the tree to bring what was announced; then ask."""
        for log, head in message.heads:
            noted = self._announce.get(LogId(log))
            if noted is not None and head >= noted.head:
                noted.told.add(link.number)  # it need not be told what it tells
        ranges = [
            (LogId(log), self._replica.head(LogId(log)) + 1, head)
            for log, head in message.heads
            if head > self._replica.head(LogId(log))
        ]
        if ranges:
            self.missing(link, ranges, GRAFT_AFTER + 2 * (link.rtt or 0.0))

    def graft(self, link: PeerLink) -> None:
        """The tree failed us: have all pushed on this link, until that brings nothing new."""
        self._context.counters["grafts"] += 1
        if not link.asked:
            link.asked = True
            self._context.send(link.number, Lane.GOSSIP, Graft())

    def on_graft(self, link: PeerLink) -> None:
        """The peer wants pushes."""
        link.grafted = True

    def on_prune(self, link: PeerLink) -> None:
        """The peer hears of us by a faster path."""
        link.grafted = False


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
