"""The log that this node writes: the open batch, sealing, epochs, its certificate.

Knows the other logs only as a table; knows no keys beyond what the certificate covers.
"""

from collections import Counter
from typing import Protocol

from gossipnet import ids
from gossipnet.identity.signing import SecretKey
from gossipnet.identity.trust import Trust
from gossipnet.ids import LogId, NodeId
from gossipnet.state import record
from gossipnet.state.authority import timely, write_rule
from gossipnet.state.batch import Batch
from gossipnet.state.body import (
    encode_body,
)
from gossipnet.state.checkpoints import Checkpoints
from gossipnet.state.clock import HybridClock, stamp_ms
from gossipnet.state.errors import NotPermitted, WritesRefused
from gossipnet.state.logs import Logs
from gossipnet.state.operations import (
    Checkpoint,
    Endorse,
    OpenLog,
    Renew,
)
from gossipnet.state.outcome import AppliedRecord
from gossipnet.state.voids import Voids
from gossipnet.state.waiting import Recent


class _Host(Protocol):
    """What of the replica the own log needs."""

    logs: Logs
    clock: HybridClock
    counters: Counter[str]
    recent: Recent
    voids: Voids
    checkpoints: Checkpoints
    tail_bytes: int

    @property
    def wall_ms(self) -> int:
        """Unix milliseconds of this turn."""
        ...


class OwnLog:
    """Writes records.

    Attributes:
      id: Of the log.
      epoch: Which log of this author it is, u32.
      author: This node.
      certificate: What it may write.
      barred: Why nothing may be written any more, or empty.
      loading: Nothing may be written yet.
      sealed_bytes: Of records that `seal` has not handed out.
    """

    def __init__(
        self, host: _Host, key: SecretKey, chain: tuple[bytes, ...], trust: Trust, epoch: int
    ) -> None:
        self._host = host
        self._key = key
        self._chain = chain
        self._trust = trust
        self.epoch = epoch
        self.id: LogId = ids.log_id(key.public_key, epoch)
        self.author: NodeId = key.node_id
        self.certificate = trust.verify_past_chain(chain)
        self._batch: Batch | None = None
        self._sealed: list[AppliedRecord] = []
        self.sealed_bytes = 0
        self.barred = ""
        self.loading = False

    @property
    def dirty(self) -> bool:
        """Whether anything waits to be sealed or handed out."""
        return bool(self._sealed) or (self._batch is not None and bool(self._batch.operations))

    @property
    def timely(self) -> bool:
        """Whether a record written now lies within the certificate's time."""
        host = self._host
        return timely(self.certificate, max(host.wall_ms, stamp_ms(host.clock.last)))

    def permit(self, key: bytes) -> None:
        """Raise `NotPermitted` if this node may not write ``key``.

        Every node would void a record from outside the certificate's time, this one too when it
        starts again: such a write must not look as if it had worked.
        """
        certificate = self.certificate
        if self.barred:
            raise WritesRefused("REVOKED", self.barred)
        if self.loading:
            raise WritesRefused("LOADING", "this node is fetching the state from the others")
        if not self.timely:
            raise WritesRefused(
                "CLOCKSKEW",
                "by this machine's clock its certificate is not valid now: set the clock right if "
                "it is wrong, else renew the certificate",
            )
        if not (certificate.writes_everything or certificate.allows("write", key)):
            raise NotPermitted(write_rule(certificate))

    def open_batch(self, anew: bool) -> Batch:
        """The open batch; with ``anew``, what is open is sealed first."""
        if self._batch is not None and anew:
            self.close_batch()
        if self._batch is None:
            self._batch = self._start()
        elif not self._batch.operations:
            # Opened by something that wrote nothing, perhaps long ago: its stamp must be of now.
            log = self._host.logs.by_number[self._batch.number]
            log.stamps[-1] = self._host.clock.tick(self._host.wall_ms)
        return self._batch

    def _start(self) -> Batch:
        host = self._host
        log = host.logs.by_id.get(self.id) or host.logs.open(
            self.id, self._key.public_key, self.certificate, self._chain, self.epoch
        )
        batch = Batch(host.logs, log.number, log.head + 1)
        log.stamps.append(host.clock.tick(host.wall_ms))
        size = sum(map(len, self._chain)) + 48
        if log.head == 0:
            batch.add(OpenLog(self._key.public_key, self.epoch, list(self._chain)), size)
        elif log.chain != self._chain:  # renewed, perhaps by an earlier process that wrote nothing
            batch.add(Renew(list(self._chain)), size)
            log.certificate, log.chain = self.certificate, self._chain
        return batch

    def close_batch(self) -> None:
        """Seal the open batch, if there is one, into a record."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        host = self._host
        log = host.logs.by_number[batch.number]
        if not batch.operations:
            log.stamps.pop()
            return
        body = batch.body()
        sealed = record.write(
            self._key,
            self._trust.mesh_id,
            log.id,
            batch.seq,
            log.head_hash,
            log.stamps[-1],
            encode_body(body),
        )
        host.logs.advance(log, sealed.hash)
        host.voids.note(log, batch.seq)
        host.checkpoints.note(log, sealed, body)
        host.recent.put(log.id, batch.seq, sealed.data)
        host.tail_bytes += len(sealed.data)
        host.counters["records_written"] += 1
        host.counters["operations_written"] += len(batch.operations)
        self._sealed.append(AppliedRecord(log.id, batch.seq, sealed.data))
        self.sealed_bytes += len(sealed.data)

    def begin(self) -> None:
        """Write the record that opens the log, if there is none yet."""
        if not self._host.logs.head(self.id) and self.timely:
            self.open_batch(False)
            self.close_batch()

    def write_alone(self, operation: Checkpoint | Endorse) -> None:
        """Write a record that holds this and nothing that is about keys."""
        self.close_batch()
        batch = self.open_batch(False)
        batch.add(operation, 64)
        self.close_batch()

    def seal(self) -> list[AppliedRecord]:
        """Seal what waits and hand out all own records since the last call, in order."""
        self.close_batch()
        sealed, self._sealed = self._sealed, []
        self.sealed_bytes = 0
        return sealed

    def open_epoch(self, epoch: int) -> None:
        """Write a new log from now on."""
        self.close_batch()
        self.epoch = epoch
        self.id = ids.log_id(self._key.public_key, epoch)

    def renew(self, chain: tuple[bytes, ...]) -> None:
        """Use a renewed certificate; it goes into the log with the next record."""
        self.close_batch()
        self.certificate = self._trust.verify_chain(chain, None)
        self._chain = chain
