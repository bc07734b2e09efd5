"""For people: who accuses a member, and how earlier cases against it ended. Decides nothing."""

from collections import OrderedDict, deque
from collections.abc import Iterable

from gossipnet import ids
from gossipnet.ids import NodeId
from gossipnet.protocol.membership import Membership
from gossipnet.protocol.wire_members import (
    AccusationBody,
)

PAST_KEPT, PAST_MEMBERS = 8, 1024
"""Cases remembered that are closed: of one member, and members that have any."""

_NAMES = {1: "refused a redial", 2: "silent", 3: "unreachable"}

Row = dict[str, object]


def accusers(membership: Membership, bodies: Iterable[AccusationBody]) -> list[Row]:
    """Who accused, on what evidence, when (unix milliseconds)."""
    rows: list[Row] = []
    for body in bodies:
        accuser = membership.members.get(NodeId(body.accuser))
        rows.append(
            {
                "accuser": accuser.name if accuser else ids.short(body.accuser),
                "evidence": _NAMES[body.evidence],
                "wall_ms": body.wall_ms,
                "incarnation": body.incarnation,
            }
        )
    return rows


class PastCases:
    """How cases ended, by member; bounded."""

    def __init__(self) -> None:
        self._past: OrderedDict[NodeId, deque[Row]] = OrderedDict()

    def ended(self, node: NodeId, wall_ms: int, outcome: str, rows: list[Row]) -> None:
        """Keep how a case ended, and who had spoken in it."""
        spoken = "; ".join(f"{row['accuser']}: {row['evidence']}" for row in rows[:8])
        text = f"{outcome} ({spoken})" if spoken else outcome
        self._past.setdefault(node, deque(maxlen=PAST_KEPT)).append(
            {"wall_ms": wall_ms, "text": text}
        )
        self._past.move_to_end(node)
        if len(self._past) > PAST_MEMBERS:
            self._past.popitem(last=False)

    def of(self, node: NodeId) -> list[Row]:
        """Oldest first."""
        return list(self._past.get(node, ()))
