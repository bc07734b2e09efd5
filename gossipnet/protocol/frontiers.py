"""Frontiers in a running node: signed by issuers, spread as notices, compared with what is here.

A relay may keep the newest records of a log from a node that knows nobody else, or show it the mesh
as it was last month. What issuers have signed goes ahead of all data and is stored, so that such a
node sees that something is missing, or that nobody has signed anything for long, and says so. It
goes on with what it has: who lacks records can still read and write.
"""

from typing import NamedTuple

from gossipnet import ids
from gossipnet.errors import CertificateError, RemoteProtocolError
from gossipnet.identity.frontier import (
    LOGS_MAX,
    Frontier,
    decode_frontier,
    make_frontier,
    may_state,
)
from gossipnet.identity.revocations import Revocations
from gossipnet.identity.trust import Trust
from gossipnet.ids import LogId, NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Membership
from gossipnet.protocol.notices import FRONTIER, Noticeboard
from gossipnet.state.replica import Replica

FIRST = 120.0
EVERY = 3600.0
"""Seconds after the start, and between two statements of one issuer, if anything was written."""
ANYWAY = 86_400.0
"""Seconds after which an issuer signs again though nothing was written: that is news too."""
LOOK = 20.0
PATIENCE = 60.0
"""Seconds without progress after which what is missing is called kept back."""
SIGNERS_MAX = 64
TOLD_MAX = 64
"""Logs that are told of one by one; the rest is only counted."""


class _Lack(NamedTuple):
    head: int
    since: float


class Frontiers:
    """Signs, keeps and compares.

    Attributes:
      withheld: Logs of which nobody gives what an issuer has signed.
      contradicted: Logs whose records here are other ones than an issuer has signed.
    """

    def __init__(
        self,
        context: Context,
        trust: Trust,
        replica: Replica,
        membership: Membership,
        board: Noticeboard,
        revocations: Revocations,
        links: dict[int, PeerLink],
    ) -> None:
        self._context = context
        self._trust = trust
        self._replica = replica
        self._membership = membership
        self._board = board
        self._revocations = revocations
        self._links = links
        self._newest: dict[NodeId, Frontier] = {}
        self._lacks: dict[LogId, _Lack] = {}
        self._told: set[LogId] = set()
        self._signed = b""
        self.withheld = 0
        self.contradicted = 0
        board.kinds[FRONTIER] = self._take

    def start(self) -> None:
        """Begin to look, and to sign if this node may."""
        # No random numbers: an hour from now is soon enough for two to be apart by their names.
        spread = int.from_bytes(self._membership.identity.node_id[:2], "big") % 60
        self._context.timers.set("frontier", self._context.now + FIRST + spread, self._sign)
        self._context.timers.set("frontier-look", self._context.now + LOOK, self._look)

    # -- signing -------------------------------------------------------------------------------

    def _sign(self) -> None:
        self._context.timers.set("frontier", self._context.now + EVERY, self._sign)
        identity = self._membership.identity
        digest = self._replica.digest()
        own = self._newest.get(identity.node_id)
        due = own is None or self._context.wall - own.wall > ANYWAY or digest != self._signed
        if not due or not may_state(identity.certificate):
            return
        if self._revocations.strikes(identity.node_id, identity.chain):
            return
        logs = [log for log in self._replica.logs.by_number if log.head]
        logs.sort(key=lambda log: log.last_stamp, reverse=True)
        statement = make_frontier(
            identity.key,
            identity.chain,
            self._trust,
            wall=self._context.wall,
            heads=[(log.id, log.head, log.head_hash) for log in logs[:LOGS_MAX]],
        )
        try:
            self._board.publish(FRONTIER, statement)
        except (RemoteProtocolError, CertificateError):  # its certificate has ended: said elsewhere
            self._context.counters["frontiers_unsigned"] += 1
            return
        self._signed = digest
        self._context.counters["frontiers_signed"] += 1

    # -- taking in -----------------------------------------------------------------------------

    def _take(self, payload: bytes) -> bytes | None:
        frontier = decode_frontier(payload, self._trust)
        held = self._newest.get(frontier.signer)
        # Nodes keep the same ones, whatever came first: else they would compare for ever.
        if held is None and len(self._newest) >= SIGNERS_MAX:
            held = self._newest[max(self._newest)]
            if frontier.signer > held.signer:
                self._context.counters["frontiers_passed_over"] += 1
                return None
            del self._newest[held.signer]
        elif held is not None and (held.wall, held.id) >= (frontier.wall, frontier.id):
            self._context.counters["frontiers_passed_over"] += 1
            return None
        if held is not None:
            self._board.drop(held.id)
        self._newest[frontier.signer] = frontier
        return frontier.id

    # -- comparing -----------------------------------------------------------------------------

    def _in_force(self) -> list[Frontier]:
        return [
            frontier
            for frontier in self._newest.values()
            if not self._revocations.strikes(frontier.signer, frontier.chain)
        ]

    def _look(self) -> None:
        self._context.timers.set("frontier-look", self._context.now + LOOK, self._look)
        lacks: dict[LogId, _Lack] = {}
        overdue: set[LogId] = set()
        contradicted: set[LogId] = set()
        logs, waiting = self._replica.logs, self._replica.waiting
        for frontier in self._in_force() if self._links else ():
            for log, (said, last) in frontier.heads.items():
                seq = logs.needed(log, said)
                head = logs.head(log)
                if head >= seq:
                    known = logs.by_id.get(log)
                    if known is None or not max(1, known.base) <= said == seq:
                        continue  # or cleared: nothing is left to compare
                    if known.hash_of(seq) != last:
                        contradicted.add(log)
                    continue
                if waiting.has(log, head + 1):
                    continue  # it is here, and waits for its time or for others
                lack = self._lacks.get(log)
                if lack is None or lack.head != head:
                    lack = _Lack(head, self._context.now)
                lacks[log] = lack
                if self._context.now - lack.since >= PATIENCE:
                    overdue.add(log)
                    self._tell(frontier, log, said, head)
        self._lacks = lacks
        self._told &= overdue
        self.withheld, self.contradicted = len(overdue), len(contradicted)

    def _tell(self, frontier: Frontier, log: LogId, said: int, head: int) -> None:
        if log in self._told or len(self._told) >= TOLD_MAX:
            return
        self._told.add(log)
        self._context.event(
            "records-withheld",
            f"{frontier.name} has signed that log {ids.short(log)} goes to {said}, and no peer "
            f"gives more than {head}: one of them keeps records back, or shows the mesh as it was",
            "warning",
            frontier.signer,
        )

    def status(self) -> dict[str, object]:
        """For ``gossipnet status``."""
        walls = [frontier.wall for frontier in self._in_force()]
        return {
            "signers": len(walls),
            "age_s": round(max(0.0, self._context.wall - max(walls)), 1) if walls else None,
            "withheld": self.withheld,
            "contradicted": self.contradicted,
        }
