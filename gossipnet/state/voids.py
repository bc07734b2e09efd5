"""Which records have no effect, their author revoked or their log forked, and what that changes.

A void record stays in its log: others may depend on it, and version vectors go on. Where a log
becomes void is a function of the log's own beginning, revocations and proofs, so replicas agree
whatever they learned first. When a revocation comes after records that it voids were applied, their
range is noted as *stale*; `rebuild` makes the state what it would have been.
"""

from dataclasses import dataclass

from gossipnet.identity.revocations import NEVER, Revocations
from gossipnet.identity.trust import MAX_CHAIN
from gossipnet.ids import LogId
from gossipnet.state.fork import Forks
from gossipnet.state.logs import Log, Logs

STEPS_MAX = 256
"""Steps of certificate chains in one log: decades of renewals. A record that brings one more is
void, with all after it; else a log could be filled until a revoked certificate is not noticed."""


@dataclass(slots=True)
class Range:
    """Sequence numbers of one log whose effect has changed, both ends included."""

    first: int
    last: int


class Voids:
    """Keeps `Log.void_from` true.

    Attributes:
      stale: By log, what was applied under another verdict than the present one.
    """

    def __init__(self, logs: Logs, revocations: Revocations, forks: Forks) -> None:
        self._logs = logs
        self._revocations = revocations
        self._forks = forks
        self.stale: dict[LogId, Range] = {}

    def note(self, log: Log, seq: int) -> None:
        """Look at the certificates that stand in a log from record ``seq`` on.

        What they change lies at ``seq`` or after it, hence before nothing that was applied.
        """
        if log.noted is log.chain:
            return
        log.noted = log.chain
        for step in self._revocations.trust.steps(log.chain):
            if step in log.steps:
                continue
            if len(log.steps) >= STEPS_MAX:
                log.full_from = min(log.full_from, seq)
                break
            log.steps[step] = seq
        log.void_from = self._verdict(log)

    def _verdict(self, log: Log) -> int:
        revoked = self._revocations.void_from(log.id, log.author, log.steps)
        # What was cleared cannot become void, nor count again: see `image`.
        return max(min(revoked, self._forks.at(log.id), log.full_from), log.base + 1)

    def full(self, log: LogId) -> bool:
        """Whether one more renewal may not fit into a log."""
        known = self._logs.by_id.get(log)
        return known is not None and len(known.steps) + MAX_CHAIN > STEPS_MAX

    def changed(self) -> bool:
        """Statements were added or lost their force; whether applied records are concerned."""
        concerned = False
        for log in self._logs.by_number:
            before, now = log.void_from, NEVER
            if log.steps:
                now = self._verdict(log)
            log.void_from = now
            first = min(before, now)
            if before != now and first <= log.head:
                self._note_stale(log, first)
                concerned = True
        return concerned

    def _note_stale(self, log: Log, first: int) -> None:
        held = self.stale.get(log.id)
        if held is None:
            self.stale[log.id] = Range(first, log.head)
        else:
            held.first, held.last = min(held.first, first), log.head

    def settled(self) -> None:
        """The state is again what the verdicts say."""
        self.stale.clear()
