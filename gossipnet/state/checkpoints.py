"""What was proposed and endorsed, as records of it are applied; bounded, for anybody may endorse.

Says when an image is complete: when there is an endorsement of one and the same root by every
author in it that was not excused. That only ever becomes true, on every node alike.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from gossipnet.ids import LogId, NodeId
from gossipnet.state.body import (
    Body,
)
from gossipnet.state.image import Heads, Proof
from gossipnet.state.logs import Log, Logs
from gossipnet.state.operations import (
    Checkpoint,
    Endorse,
)
from gossipnet.state.record import Record

PROPOSALS_KEPT = 4
"""Of one issuer; the oldest are forgotten first."""
ISSUERS_MAX = 64
ROOTS_MAX = 8
"""Different roots that one author may endorse for one proposal; honest ones endorse one."""


@dataclass(slots=True)
class Proposal:
    """One checkpoint.

    Attributes:
      id: Hash of the record that proposed it.
      stamp: Of that record.
      author: The issuer.
      heads: The vector.
      excused: Who need not endorse it.
      data: The record.
      endorsed: By author: record by root.
    """

    id: bytes
    stamp: int
    author: NodeId
    heads: Heads
    excused: frozenset[NodeId]
    data: bytes
    endorsed: dict[NodeId, dict[bytes, bytes]] = field(default_factory=dict)


class Checkpoints:
    """All proposals that may still come to something.

    Attributes:
      changes: Rises with everything new.
    """

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._by_id: dict[bytes, Proposal] = {}
        self.changes = 0

    def note(self, log: Log, record: Record, body: Body) -> None:
        """Take in a record that has effect."""
        for operation in body.operations:
            if isinstance(operation, Checkpoint):
                self._propose(log, record, operation)
            elif isinstance(operation, Endorse):
                self._endorse(log, record, operation)

    def _propose(self, log: Log, record: Record, operation: Checkpoint) -> None:
        heads = {LogId(one): (seq, last) for one, seq, last in operation.heads}
        mine = [one for one in self._by_id.values() if one.author == log.author]
        if not mine and len({one.author for one in self._by_id.values()}) >= ISSUERS_MAX:
            return
        if log.id not in heads:
            return  # nobody could check who proposed it
        for old in sorted(mine, key=lambda one: one.stamp)[: -(PROPOSALS_KEPT - 1)]:
            del self._by_id[old.id]
        excused = frozenset(map(NodeId, operation.excused))
        self._by_id[record.hash] = Proposal(
            record.hash, record.stamp, log.author, heads, excused, record.data
        )
        self.changes += 1

    def _endorse(self, log: Log, record: Record, operation: Endorse) -> None:
        proposal = self._by_id.get(operation.proposal)
        if proposal is None:
            return
        roots = proposal.endorsed.setdefault(log.author, {})
        if operation.root not in roots and len(roots) < ROOTS_MAX:
            roots[operation.root] = record.data
            self.changes += 1

    def __iter__(self) -> Iterator[Proposal]:
        return iter(sorted(self._by_id.values(), key=lambda one: (one.stamp, one.id)))

    def authors(self, proposal: Proposal) -> set[NodeId]:
        """Whose endorsement it takes; logs that are not known here count as nobody's."""
        by_id = self._logs.by_id
        authors = {by_id[log].author for log in proposal.heads if log in by_id}
        return authors - proposal.excused

    def waits_for(self, proposal: Proposal, root: bytes) -> set[NodeId]:
        """Who has not endorsed this root yet."""
        return {
            author
            for author in self.authors(proposal)
            if root not in proposal.endorsed.get(author, ())
        }

    def complete(self, base: Heads) -> Iterator[Proposal]:
        """Proposals beyond ``base`` for which all authors endorse one root, whichever it is."""
        for proposal in self:
            authors = self.authors(proposal)
            roots = {root for author in authors for root in proposal.endorsed.get(author, ())}
            if dominates(proposal.heads, base) and any(
                not self.waits_for(proposal, root) for root in roots
            ):
                yield proposal

    def proof(self, proposal: Proposal, root: bytes) -> Proof:
        """Once nobody is waited for."""
        found = [
            (author, proposal.endorsed[author][root]) for author in sorted(self.authors(proposal))
        ]
        return Proof(proposal.data, tuple(found))

    def forget(self, heads: Heads) -> None:
        """An image stands: drop proposals that do not go beyond it in every log."""
        for proposal in list(self._by_id.values()):
            if not dominates(proposal.heads, heads):
                del self._by_id[proposal.id]
                self.changes += 1


def dominates(heads: Heads, base: Heads) -> bool:
    """Whether ``heads`` goes as far as ``base`` in every log, and further in some."""
    return heads != base and all(
        log in heads and heads[log][0] >= seq for log, (seq, _hash) in base.items()
    )
