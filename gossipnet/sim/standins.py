"""What stands in for membership and for the state in `vast`: right, and the same for all nodes."""

from gossipnet.ids import LogId, NodeId
from gossipnet.protocol.membership import Member
from gossipnet.protocol.zones import Zones
from gossipnet.state.outcome import AppliedRecord, Outcome, Status


class Shared:
    """One member table for all."""

    def __init__(self) -> None:
        self.members: dict[NodeId, Member] = {}
        self.zones = Zones()
        self.topology = 0


class Table:
    """What all nodes know of all, and one node's place in it."""

    def __init__(self, shared: Shared, me: NodeId, zone: str) -> None:
        self._shared = shared
        self.members = shared.members
        self.zones = shared.zones
        self.me, self.prefix, self.zone = me, me[:16], zone
        self.addresses = (me.hex(),)
        self.listed: frozenset[bytes] = frozenset()

    @property
    def topology(self) -> int:
        """Changes with the links that the records tell of."""
        return self._shared.topology

    def alive_count(self) -> int:
        """All of them."""
        return self.zones.total

    def unreachable(self) -> list[Member]:
        """Nobody."""
        return []

    def others(self) -> list[Member]:
        """Everybody else."""
        return [member for member in self.members.values() if member.id != self.me]


class Heads:
    """Stands in for a replica: how far each log has been heard."""

    def __init__(self) -> None:
        self.heads: dict[LogId, int] = {}

    def head(self, log: LogId) -> int:
        """The newest record here, 0 for none."""
        return self.heads.get(log, 0)

    def author_of(self, log: LogId) -> NodeId:
        """A log is named after its author here."""
        return NodeId(bytes(log) * 2)

    def ingest(self, data: bytes) -> Outcome:
        """Take a record in: 16 bytes of its log, 4 of its number, and padding."""
        log, seq = LogId(data[:16]), int.from_bytes(data[16:20], "big")
        if seq <= self.head(log):
            return Outcome(Status.DUPLICATE)
        self.heads[log] = seq
        return Outcome(Status.APPLIED, [AppliedRecord(log, seq, data)])
