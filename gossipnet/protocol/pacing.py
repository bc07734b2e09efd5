"""How often one member's record may change here: at once within a budget, then at its pace.

A member signs its record anew when its neighbours change, every 10 s at most, and at once when it
lost a link. Each change travels to everybody, so one that signs without end would have the whole
mesh carry it. Beyond the budget only the newest record waits, verified, and takes effect when the
budget allows: the newest is never lost, those between were out of date anyway. Knows no links.
"""

from collections.abc import Callable

from gossipnet.ids import NodeId
from gossipnet.protocol.bucket import Bucket
from gossipnet.protocol.context import Context
from gossipnet.protocol.wire_members import (
    MemberBody,
    MemberEntry,
)

RATE = 1.0
"""Changes per second of one member in the long run; an honest one needs a tenth."""

BURST = 32.0
"""Changes at once: more links than a member loses in one moment."""

Checked = tuple[MemberBody, MemberEntry]


class Pacing:
    """Budgets by member, and the record of each that waits.

    Attributes:
      take: Set by the owner: takes a record in whose time has come.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        # Both by members of the table: bounded by it.
        self._budgets: dict[NodeId, Bucket] = {}
        self._waiting: dict[NodeId, Checked] = {}
        self.take: Callable[[NodeId, Checked], None] = lambda _node, _checked: None

    def waiting(self, node: NodeId) -> tuple[int, int]:
        """Incarnation and serial of the record that waits; (-1, -1) for none."""
        held = self._waiting.get(node)
        return (-1, -1) if held is None else (held[0].incarnation, held[0].serial)

    def holds(self, node: NodeId, checked: Checked) -> bool:
        """Whether a newer, verified record of a known member has to wait; it is kept then."""
        now = self._context.now
        budget = self._budgets.get(node)
        if budget is None:
            budget = self._budgets[node] = Bucket(RATE, BURST, now)
        if node not in self._waiting and budget.take(1, now):
            return False
        self._context.counters["member_records_paced"] += 1
        if node not in self._waiting:
            self._context.timers.set(("paced", node), now + 1 / RATE, lambda: self._due(node))
        self._waiting[node] = checked
        return True

    def _due(self, node: NodeId) -> None:
        self._budgets[node].take(1, self._context.now)
        self.take(node, self._waiting.pop(node))
