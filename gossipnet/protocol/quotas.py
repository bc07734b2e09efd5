"""How fast one author may write: a budget each, and backpressure for who overdraws it.

Every valid record is taken, whoever brings it; nothing is ever shed. But the link with its author
is read no further until its budget is even again, and as all its neighbours count everything that
it writes, all of them do that at the same time. What is fetched to catch up does not count: whoever
asks for it sets the pace. An author whose certificate states limits gets those, at least; for all
others there is a generous one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossipnet.identity.certificate import Certificate
from gossipnet.ids import LogId, NodeId
from gossipnet.protocol.bucket import Bucket
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import PauseLink
from gossipnet.protocol.overlay import Overlay
from gossipnet.state.body import (
    decode_body_untrusted,
)
from gossipnet.state.outcome import AppliedRecord, Outcome
from gossipnet.state.record import OVERHEAD
from gossipnet.state.replica import Replica

RECORDS = 3000.0
"""Records per second of an author without limits of its own: a node that batches its writes by
commits, as this program does, makes some hundreds, whatever the number of operations."""

BYTES = 32.0 * 1024 * 1024

BURST_SECONDS = 5.0

PAUSE_MAX = 0.5
"""Seconds for which a link is left unread at one time: its heartbeats come the same way."""

AUTHORS_MAX = 16_384


@dataclass(slots=True)
class _Quota:
    """Of one author: for records (operations where its certificate limits those) and bytes."""

    certificate: Certificate
    count: Bucket
    size: Bucket


class Quotas:
    """Counts what authors write.

    Attributes:
      ingest: Where records go.
    """

    def __init__(
        self,
        context: Context,
        replica: Replica,
        overlay: Overlay,
        ingest: Callable[[bytes], Outcome],
    ) -> None:
        self._context = context
        self._replica = replica
        self._overlay = overlay
        self._quotas: dict[LogId, _Quota] = {}
        self.ingest = ingest

    def pushed(self, data: bytes) -> Outcome:
        """Take in a fresh record, and count it against its author."""
        outcome = self.ingest(data)
        for record in outcome.applied:
            self._charge(record)
        return outcome

    def _charge(self, record: AppliedRecord) -> None:
        certificate = self._replica.logs.by_id[record.log].certificate
        quota = self._quotas.get(record.log)
        if quota is None or quota.certificate is not certificate:
            quota = self._open(record.log, certificate)
        now = self._context.now
        count = _operations(record.data) if certificate.limits[0] else 1
        debt = max(quota.count.spend(count, now), quota.size.spend(len(record.data), now))
        if debt:
            author = self._replica.author_of(record.log)
            self._hold_back(author, debt)

    def _hold_back(self, author: NodeId | None, debt: float) -> None:
        self._context.counters["records_over_quota"] += 1
        link = None if author is None else self._overlay.linked(author)
        if link is not None:
            self._context.effects.append(PauseLink(link.number, min(debt, PAUSE_MAX)))

    def _open(self, log: LogId, certificate: Certificate) -> _Quota:
        if len(self._quotas) >= AUTHORS_MAX:
            del self._quotas[next(iter(self._quotas))]
        operations, size = certificate.limits
        now = self._context.now
        count_rate = float(operations) or RECORDS
        byte_rate = float(size) or BYTES
        quota = self._quotas[log] = _Quota(
            certificate,
            Bucket(count_rate, count_rate * BURST_SECONDS, now),
            Bucket(byte_rate, byte_rate * BURST_SECONDS, now),
        )
        return quota


def _operations(data: bytes) -> int:
    """How many operations a record holds that was applied, so that its body is sound."""
    return len(decode_body_untrusted(data[OVERHEAD:]).operations)
