"""What people see of the engine: members, status, peers, events, and why somebody is suspected.

Only reads. Keys of the rows are part of the contract: they are added, never renamed.
"""

from collections import deque
from collections.abc import Callable

from gossipnet import ids
from gossipnet.errors import NotFound
from gossipnet.identity.home import NodeIdentity
from gossipnet.protocol.clockcheck import clock_complaint, clock_offset
from gossipnet.protocol.commits import Commits
from gossipnet.protocol.context import Context
from gossipnet.protocol.detection import Detection
from gossipnet.protocol.distance import Distance
from gossipnet.protocol.effects import Event
from gossipnet.protocol.judgement import Judgement
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member, Membership
from gossipnet.protocol.overlay import Overlay
from gossipnet.protocol.standing import Standing
from gossipnet.protocol.sync import Sync
from gossipnet.protocol.tracing import Tracing
from gossipnet.protocol.tree import Tree
from gossipnet.state.poison import Poisoned
from gossipnet.state.replica import Replica

EVENTS_KEPT = 1000

DROPS = (
    "accusations_over_budget",
    "accusations_unknown",
    "dials_postponed",
    "events_over_budget",
    "events_unasked",
    "events_unknown",
    "gaps_dropped",
    "joins_displaced",
    "joins_over_share",
    "joins_refused",
    "members_refused",
    "questions_foreign",
    "questions_over_budget",
    "receipts_dropped",
    "revocations_refused",
    "ranges_dropped",
    "streams_refused",
    "traces_dropped",
    "traces_over_budget",
)
"""Counters of what was thrown away although it may have been good."""

_DAY = 86_400.0


class Report:
    """Rows and documents for the command line and the socket."""

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        membership: Membership,
        overlay: Overlay,
        distance: Distance,
        detection: Detection,
        judgement: Judgement,
        sync: Sync,
        tree: Tree,
        tracing: Tracing,
        standing: Standing,
        commits: Commits,
        replica: Replica,
        links: dict[int, PeerLink],
    ) -> None:
        self._context = context
        self.identity = identity
        self._membership = membership
        self._overlay = overlay
        self._distance = distance
        self._detection = detection
        self._judgement = judgement
        self._sync = sync
        self._tree = tree
        self._tracing = tracing
        self._standing = standing
        self._commits = commits
        self._replica = replica
        self._links = links
        self._events: deque[tuple[int, float, Event]] = deque(maxlen=EVENTS_KEPT)
        self._noted = 0
        self._started_at = context.now

    def note(self, event: Event) -> None:
        """Keep an event for `events`."""
        self._noted += 1
        self._events.append((self._noted, self._context.wall, event))

    def events(self) -> list[dict[str, object]]:
        """What happened, oldest first; ``seq`` counts them since the start of this process."""
        return [
            {
                "seq": seq,
                "wall": wall,
                "kind": event.kind,
                "level": event.level,
                "text": event.text,
                "node": "" if event.node is None else ids.text(event.node),
            }
            for seq, wall, event in self._events
        ]

    def members(self) -> list[dict[str, object]]:
        """Everybody, by name."""
        rows = [self._member(member) for member in self._membership.members.values()]
        return sorted(rows, key=lambda row: (str(row["name"]), str(row["id"])))

    def nearest(self, count: int) -> list[dict[str, object]]:
        """The nearest others."""
        return [self._member(member) for member in self._distance.nearest()[:count]]

    def owners(self, key: bytes, count: int) -> list[dict[str, object]]:
        """Who owns a key."""
        return [self._member(member) for member in self._distance.owners(key, count)]

    def _member(self, member: Member) -> dict[str, object]:
        me = member.id == self._membership.me
        rtt, measured = (None, False) if me else self._distance.rtt(member)
        link = self._overlay.linked(member.id)
        behind = link.behind if link is not None and link.greeted else None
        return {
            "name": member.name,
            "id": ids.text(member.id),
            "state": member.state,
            "address": member.body.addresses[0] if member.body.addresses else "",
            "rtt_ms": None if rtt is None else round(rtt * 1000, 3),
            "behind": 0 if me else behind,
            "roles": sorted(member.roles),
            "zone": member.body.zone,
            "version": member.body.software,
            "incarnation": member.body.incarnation,
            "rtt_measured": measured,
        }

    def map(self) -> list[list[str]]:
        """Pairs of node ids that are neighbours, as the members themselves say."""
        by_prefix = {member.id[:16]: member.id for member in self._membership.members.values()}
        pairs = {
            tuple(sorted((member.id, by_prefix[prefix])))
            for member in self._membership.members.values()
            if member.state in ("alive", "suspect")
            for prefix in member.neighbours
            if prefix in by_prefix
        }
        return [[ids.text(one), ids.text(other)] for one, other in sorted(pairs)]

    def peers(self, outbox: Callable[[int], tuple[int, int]]) -> list[dict[str, object]]:
        """Open links, neighbours first."""
        links = sorted(self._links.values(), key=lambda link: (not link.neighbour, link.number))
        return [
            {
                "name": link.peer.name,
                "id": ids.text(link.node),
                "address": link.address,
                "direction": "out" if link.dialed else "in",
                "neighbour": link.neighbour,
                "eager": link.neighbour and (link.grafted or self._tree.carries(link)),
                "rtt_ms": None if link.rtt is None else round(link.rtt * 1000, 3),
                "behind": link.behind if link.greeted else None,
                "queued_bytes": outbox(link.number)[0],
                "since_s": round(self._context.now - link.up_at, 3),
                "hybrid": link.peer.hybrid,
                "lag": link.lag.told(),
                "shed": outbox(link.number)[1],
            }
            for link in links
        ]

    def converged(self) -> tuple[bool, float]:
        """Whether every neighbour's state was ours when it last spoke, and the worst lag.

        The lag is the time, in seconds, for which one has differed without getting nearer.
        """
        lag = 0.0
        equal = True
        own = self._replica.digest()[:8]
        for link in self._links.values():
            if link.neighbour and link.vector != own:
                equal = False
                since = link.differs_since
                lag = max(lag, 0.0 if since is None else self._context.now - since)
        return equal and not self._sync.pulls, lag

    def status(self) -> dict[str, object]:
        """One document about this node."""
        identity, replica, counters = self.identity, self._replica, self._context.counters
        members = list(self._membership.members.values())
        links = list(self._links.values())
        converged, lag = self.converged()
        offset = clock_offset(links, self._context)
        return {
            "mesh_id": ids.text(identity.trust.mesh_id),
            "mesh": identity.trust.mesh_name,
            "node_id": ids.text(identity.node_id),
            "name": identity.name,
            "roles": sorted(identity.roles),
            "ready": True,
            "incarnation": self._membership.incarnation,
            "addresses": list(self._membership.addresses),
            "members": sum(1 for member in members if member.state in ("alive", "suspect")),
            "known": len(members),
            "neighbours": len(self._overlay.neighbours),
            "peers": len(links),
            "keys": len(replica.keyspace),
            "converged": converged,
            "lag_s": round(lag, 3),
            "drops": sum(counters[name] for name in DROPS)
            + replica.counters["held_dropped"]
            + replica.counters["held_evicted"],
            "epoch": replica.epoch,
            "logs": len(replica.vector()),
            "records": replica.total,
            "held": replica.held,
            "quarantined": replica.quarantined,
            "poisoned": [self._poisoned(row) for row in replica.poison.rows],
            "committed": self._commits.committed,
            "uncommitted": self._commits.issued - self._commits.committed,
            "sync": self._sync.progress(),
            "clock": {
                "offset_s": None if offset is None else round(offset, 3),
                "complaint": clock_complaint(links, self._context) or "",
                "floor": round(self._context.floor),
            },
            "certificate_days": round((identity.not_after - self._context.wall) / _DAY, 1),
            "uptime_s": round(self._context.now - self._started_at, 3),
            "trust": self._standing.status(),
            "health": self._detection.health,
            "arrivals": self._tracing.lag.told(),
            "counters": dict(sorted((counters + replica.counters).items())),
        }

    def _poisoned(self, row: Poisoned) -> dict[str, object]:
        """An operation that this program failed over."""
        author = self._replica.author_of_number(row.log)
        return {
            "author": ids.text(author),
            "seq": row.seq,
            "operation": row.what,
            "key": row.key.decode(errors="backslashreplace")[:200],
            "error": row.error,
        }

    def why(self, node: str) -> list[dict[str, object]]:
        """What is held against members of this name, or with an id that begins so.

        Raises:
          NotFound: There is no such member.
        """
        found = [
            member
            for member in self._membership.members.values()
            if member.name == node or (len(node) >= 4 and ids.text(member.id).startswith(node))
        ]
        if not found:
            raise NotFound(
                f"no member is called {node[:60]!r}; `gossipnet members` shows who there is"
            )
        return [self._case(member) for member in found]

    def _case(self, member: Member) -> dict[str, object]:
        return {
            "name": member.name,
            "id": ids.text(member.id),
            "state": member.state,
            "since_s": round(self._context.now - member.since, 3),
            "incarnation": member.body.incarnation,
            "observers": [self._name(prefix) for prefix in self._judgement.observers_of(member.id)],
            "accusations": self._judgement.why(member.id),
            "past": self._judgement.past.of(member.id),
            **self._standing.why(member),
        }

    def _name(self, prefix: bytes) -> str:
        member = self._membership.find(prefix)
        return ids.short(prefix) if member is None else member.name
