"""One replica: every author's log, this node's own log, and the keyspace they add up to.

A record is taken in when the one before it and everything it names have been: then "not in the
store but in the version vector" means removed, and no element needs a tombstone. What comes early
waits, bounded, and its gap is reported so that the caller can ask for it. Records stamped far
ahead of the clock wait until they are due. Nothing here sends, stores or waits.
"""

from collections import Counter
from collections.abc import Mapping
from math import inf

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.revocations import Revocations
from gossipnet.identity.signing import SecretKey
from gossipnet.identity.trust import Trust
from gossipnet.ids import LogId, NodeId
from gossipnet.state import fingerprint, record
from gossipnet.state.authority import may_write, renew_author
from gossipnet.state.body import (
    Body,
    decode_body_untrusted,
)
from gossipnet.state.check import check_operations
from gossipnet.state.checkpoints import Checkpoints
from gossipnet.state.clock import HybridClock
from gossipnet.state.fork import ForkProof, Forks
from gossipnet.state.freezing import freeze
from gossipnet.state.image import Image
from gossipnet.state.imaged import Imaged
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.loading import Loading
from gossipnet.state.logs import HASH_BYTES, Log, Logs
from gossipnet.state.opening import author_of, open_log, verify_first
from gossipnet.state.outcome import AppliedRecord, Outcome, Status
from gossipnet.state.own_log import OwnLog
from gossipnet.state.poison import Poison
from gossipnet.state.reaping import reap
from gossipnet.state.record import Record
from gossipnet.state.voids import Voids
from gossipnet.state.waiting import Gaps, Recent, Waiting

__all__ = ["AppliedRecord", "Outcome", "Replica", "Status"]


class Replica(Imaged):
    """State that converges.

    Args:
      key: This node's signing key.
      chain: Its certificate chain; travels in the first record of its log.
      trust: The mesh's root.
      epoch: Which log of this author to write, u32.
      wall: Unix seconds.
      revocations: Those that are known; later ones are added to it (`revocations_changed`).
      forks: Those that are known; later ones are added to it and then to `freeze`.

    Attributes:
      keyspace: What local commands use.
      revocations, forks: As given.
      voids: Which records they leave without effect.
      counters: What was taken in, refused, held back.
      clock: The hybrid logical clock.
    """

    def __init__(
        self,
        *,
        key: SecretKey,
        chain: tuple[bytes, ...],
        trust: Trust,
        epoch: int,
        wall: float,
        revocations: Revocations | None = None,
        forks: Forks | None = None,
    ) -> None:
        self._trust = trust
        self.logs = Logs()
        self.revocations = Revocations(trust) if revocations is None else revocations
        self.forks = Forks(trust) if forks is None else forks
        self.voids = Voids(self.logs, self.revocations, self.forks)
        self.waiting = Waiting(self.logs)
        self.clock = HybridClock()
        self.counters: Counter[str] = Counter()
        self.recent = Recent()
        self.poison = Poison()
        self.checkpoints = Checkpoints(self.logs)
        self.image: Image | None = None
        self.tail_bytes = 0
        for proof in self.forks:
            freeze(self, proof)
        self._own = OwnLog(self, key, chain, trust, epoch)
        self.keyspace = Keyspace(self.logs, self._own.open_batch)
        self.keyspace.wall_ms = int(wall * 1000)
        self.keyspace.permit = self._own.permit
        self._loading = Loading(self.logs, self.forks, trust, self._apply)

    # -- what is here --------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """Records applied, of all logs."""
        return self.logs.total

    @property
    def wall_ms(self) -> int:
        """Unix milliseconds as of the last `advance` or `ingest`."""
        return self.keyspace.wall_ms

    @property
    def epoch(self) -> int:
        """Of the own log."""
        return self._own.epoch

    @property
    def own_log(self) -> LogId:
        """Id of the log that this node writes."""
        return self._own.id

    def head(self, log: LogId) -> int:
        """Highest sequence number applied of a log, 0 for none."""
        return self.logs.head(log)

    def vector(self) -> dict[LogId, int]:
        """The version vector."""
        return self.logs.vector()

    def digest(self) -> bytes:
        """32 bytes over the version vector: equal digests mean equal vectors."""
        return self.logs.digest()

    def wanted_from(self, theirs: Mapping[LogId, int]) -> list[tuple[LogId, int, int]]:
        """(log, first, last) that a peer has and that neither is applied nor waits here."""
        return [
            piece
            for log, first, last in self.logs.lacking(theirs)
            for piece in self.waiting.holes(log, first, last)
        ]

    def record(self, log: LogId, seq: int) -> bytes | None:
        """A record's bytes if it is recent enough to be in memory."""
        return self.recent.get(log, seq)

    def author_of(self, log: LogId) -> NodeId | None:
        """Who writes a log, None if it is unknown here."""
        known = self.logs.by_id.get(log)
        return None if known is None else known.author

    def author_of_number(self, number: int) -> NodeId:
        """Who writes the log with this local number."""
        return self.logs.by_number[number].author

    @property
    def held(self) -> int:
        """Records that wait for others."""
        return self.waiting.held

    @property
    def quarantined(self) -> int:
        """Records that wait for their time to come."""
        return self.waiting.quarantined

    def state_digest(self) -> bytes:
        """32 bytes over all state, hidden keys included: a pure function of the vector."""
        return fingerprint.of(self.keyspace, self.logs)

    # -- own records ---------------------------------------------------------------------------

    @property
    def dirty(self) -> bool:
        """Whether anything waits to be sealed or handed out."""
        return self._own.dirty

    @property
    def unstored_bytes(self) -> int:
        """Bytes of own records that `seal` has not handed out."""
        return self._own.sealed_bytes

    def seal(self, wall: float) -> list[AppliedRecord]:
        """Sign what waits and hand out all own records since the last call, in order."""
        return self._own.seal()

    def open_epoch(self, epoch: int, wall: float) -> None:
        """Write a new log from now on: the old one may have been continued elsewhere."""
        self._own.open_epoch(epoch)
        self.counters["epochs_opened"] += 1

    def renew(self, chain: tuple[bytes, ...]) -> None:
        """Use a renewed certificate; it goes into the log with the next record."""
        self._own.renew(chain)

    # -- revocations ---------------------------------------------------------------------------

    def freeze(self, proof: ForkProof, wall: float) -> Outcome:
        """End a log that was forked; what others wrote and waited for it is applied."""
        return self._take_all(freeze(self, proof), wall)

    # -- foreign records -----------------------------------------------------------------------

    def ingest(self, data: bytes, wall: float) -> Outcome:
        """Take in a record from a peer.

        Raises:
          RemoteProtocolError: It is forged or malformed; the peer that brought it is at fault.
        """
        self._own.close_batch()  # its stamp was given before what comes now was seen
        arrived = record.parse_untrusted(data)
        outcome = Outcome(Status.APPLIED)
        known = self.logs.begun(arrived.log)
        if self.loading:
            outcome.status = Status.HELD  # it comes again once the image is here
            return outcome
        if arrived.seq >= self.forks.at(arrived.log):
            self.counters["records_frozen"] += 1
            outcome.status = Status.VOID
            return outcome
        if known is not None and arrived.seq <= known.base:
            outcome.status = Status.DUPLICATE  # and cleared
            return outcome
        old = known is not None and arrived.seq <= known.head
        if known is not None and old and known.hash_of(arrived.seq) == arrived.hash[:HASH_BYTES]:
            outcome.status = Status.DUPLICATE
            return outcome
        if arrived.log == self.own_log:
            outcome.status = Status.OWN_AHEAD
            return outcome
        if old:
            self._verify(arrived, known)
            outcome.status = self._forked()
            return outcome
        if known is None and arrived.seq > 1:
            # Without its first record nobody knows who signs this log: nothing worth keeping.
            self.counters["records_early"] += 1
            outcome.status = Status.HELD
            outcome.missing.append((arrived.log, 1, arrived.seq))
            return outcome
        if known is not None and self.waiting.has(arrived.log, arrived.seq):
            outcome.status = Status.DUPLICATE
            return outcome
        body = self._verify(arrived, known)
        outcome.status = self._take(arrived, body, known, wall, outcome)
        if outcome.applied:
            self._release(wall, outcome)
        return outcome

    def _verify(self, arrived: Record, known: Log | None) -> Body | None:
        """Check the signature; the body is decoded early only where the key is in it."""
        if known is None:
            return verify_first(arrived, self._trust)
        arrived.verify(known.public_key, self._trust.mesh_id)
        return None

    def _take(
        self, arrived: Record, body: Body | None, known: Log | None, wall: float, outcome: Outcome
    ) -> Status:
        """Apply a verified record, or let it wait."""
        head = 0 if known is None else known.head
        if arrived.seq > head + 1:
            outcome.missing += self.waiting.holes(arrived.log, head + 1, arrived.seq - 1)
            return self._hold(arrived)
        if known is not None and arrived.prev != known.head_hash:
            return self._forked()
        if known is None and arrived.prev != record.GENESIS:
            raise RemoteProtocolError("bad-record", "a first record that follows another")
        if known is not None and arrived.stamp <= known.last_stamp:
            raise RemoteProtocolError("bad-record", "its stamp goes back")
        if self.waiting.too_early(arrived, wall):
            return self._hold(arrived, quarantine=True)
        body = body or decode_body_untrusted(arrived.body)
        lacking = self.logs.lacking({LogId(log): seq for log, seq in body.logs})
        if lacking:
            outcome.missing += [
                hole
                for log, first, last in lacking
                for hole in self.waiting.holes(log, first, last)
            ]
            return self._hold(arrived, needs=lacking)
        check_operations(body, arrived)
        log = known or open_log(self.logs, arrived, body, self._trust)
        outcome.applied.append(AppliedRecord(arrived.log, arrived.seq, arrived.data))
        return self._apply(arrived, body, log)

    def _forked(self) -> Status:
        """A good signature, and no place for the record in what is here of its log."""
        self.counters["forks_seen"] += 1
        return Status.FORKED

    def _take_all(self, waited: list[Record], wall: float) -> Outcome:
        outcome = Outcome(Status.APPLIED)
        for one in waited:
            self._own.close_batch()
            self._take_waited(one, wall, outcome)
        self._release(wall, outcome)
        return outcome

    def _take_waited(self, waited: Record, wall: float, outcome: Outcome) -> None:
        try:
            self._take(waited, None, self.logs.begun(waited.log), wall, outcome)
        except RemoteProtocolError:
            # Its signature was good: its author is at fault, not who brought the other.
            self.counters["held_malformed"] += 1

    def _hold(self, arrived: Record, needs: Gaps = (), *, quarantine: bool = False) -> Status:
        author = author_of(arrived, self.logs.begun(arrived.log))
        kept = self.waiting.hold(arrived, author, quarantine=quarantine, needs=needs)
        self.counters["held_evicted"] = self.waiting.evicted
        if not kept:
            self.counters["held_dropped"] += 1
        elif quarantine:
            self.counters["records_quarantined"] += 1
        return Status.QUARANTINED if quarantine else Status.HELD

    def _release(self, wall: float, outcome: Outcome) -> None:
        """Apply what waited for the records that have just been applied."""
        position = 0
        while position < len(outcome.applied):
            applied = outcome.applied[position]
            position += 1
            for waited in self.waiting.ready(applied.log, applied.seq):
                self._take_waited(waited, wall, outcome)

    def _apply(self, arrived: Record, body: Body, log: Log) -> Status:
        log.stamps.append(arrived.stamp)
        self.logs.advance(log, arrived.hash)
        self.clock.merge(arrived.stamp)
        self.recent.put(arrived.log, arrived.seq, arrived.data)
        self.tail_bytes += len(arrived.data)
        self.counters["renewals_refused"] += renew_author(log, body, self._trust)
        self.voids.note(log, arrived.seq)
        if arrived.seq >= log.void_from:
            self.counters["records_revoked"] += 1
            return Status.VOID
        if not may_write(log, arrived, body):
            self.counters["records_void"] += 1
            return Status.VOID
        self.checkpoints.note(log, arrived, body)
        table = [log.number, *(self.logs.by_id[LogId(other)].number for other, _seq in body.logs)]
        for place, operation in enumerate(body.operations):
            self.poison.apply(self.keyspace.apply, operation, table, arrived.seq, place)
        return Status.APPLIED

    # -- time ----------------------------------------------------------------------------------

    def touch(self, wall: float) -> None:
        """Let reads and writes see the time; keys that end now are hidden at once."""
        for key in self.keyspace.move_clock(int(wall * 1000)):
            self.counters["keys_expired"] += 1
            if self.keyspace.on_change is not None:
                self.keyspace.on_change(key, "expired", -1, 0)

    def advance(self, wall: float) -> list[AppliedRecord]:
        """Let time pass: keys end, quarantined records come due.

        Returns:
          Foreign records that were applied now; own ones come from `seal`.
        """
        self.touch(wall)
        if self._reaping:
            reap(self.keyspace, self._own, self.logs, self.counters)
        return self._take_all(self.waiting.due(wall), wall).applied

    @property
    def _reaping(self) -> bool:
        return (
            self.keyspace.refusal is None
            and self._own.timely
            and not (self._own.barred or self.loading)
        )

    def next_due(self) -> float:
        """Unix seconds at which `advance` has something to do, or infinity."""
        # While nothing may be written nothing is reaped: its time would come at once, for ever.
        reaping = bool(self.keyspace.hidden) and self._reaping
        deadline = self.keyspace.next_deadline_ms(reaping=reaping)
        return min(deadline / 1000 if deadline is not None else inf, self.waiting.next_due())

    # -- the own disk --------------------------------------------------------------------------

    def load(self, data: bytes) -> None:
        """Apply one record of the own database, in stored order.

        Raises:
          StoreError: It is damaged.
        """
        self._loading.load(data)

    def finish_loading(self, wall: float) -> None:
        """Check the newest signature of each log, which covers all before it.

        Raises:
          StoreError: One of them does not hold.
        """
        self._loading.finish()
        self.keyspace.move_clock(int(wall * 1000))
