"""Forks of logs in a running node: found, proved to everybody, and their authors suspended.

A record that its author signed and that does not fit what is here of its log says that there are
two branches; so does a peer's head with another hash. Where they part is found by asking that peer
for what lies below, until two records follow the same one: those are the proof. It is spread as a
notice; from then on the log ends there (`state.freezing`), and links with its author end, until an
issuer revokes it or a new root lets it in again.
"""

from collections.abc import Callable, Iterable

from gossipnet import ids
from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.revocations import NEVER
from gossipnet.identity.trust import Trust
from gossipnet.ids import LogId, NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import LogRead, ReadLog
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member
from gossipnet.protocol.notices import FORK, Noticeboard
from gossipnet.state.fork import ForkProof, decode_proof, make_proof
from gossipnet.state.logs import HASH_BYTES, Log
from gossipnet.state.record import parse_untrusted
from gossipnet.state.replica import AppliedRecord, Replica

BLOCK = 64
"""Records asked for at once on the way down to where two branches part."""

AGAIN = 2.0
"""Seconds before the same log is looked into again."""

HUNTS_MAX = 256
READS_MAX = 64

FIRST_REQUEST = -(1 << 40)
"""Numbers of reads count down from here, below those of `rebuilding`."""


class Forking:
    """Turns contradictions into proofs, and proofs into consequences.

    Attributes:
      forks: All that are known.
    """

    def __init__(
        self, context: Context, trust: Trust, replica: Replica, board: Noticeboard
    ) -> None:
        self._context = context
        self._trust = trust
        self._replica = replica
        self._board = board
        self._hunts: dict[LogId, tuple[int, float]] = {}
        self._reads: dict[int, bytes] = {}
        self._request = FIRST_REQUEST
        self._fresh: list[ForkProof] = []
        self.forks = replica.forks
        board.kinds[FORK] = self._take
        # Set by the engine.
        self.fetch: Callable[[PeerLink, LogId, int, int], None] = lambda _l, _log, _a, _b: None
        self.applied: Callable[[list[AppliedRecord]], None] = lambda _records: None
        self.own_forked: Callable[[], None] = lambda: None

    # -- finding -------------------------------------------------------------------------------

    def suspect(self, link: PeerLink, log: LogId, seq: int) -> None:
        """A peer's record ``seq`` of a log has another hash than the one here."""
        known = self._replica.logs.by_id.get(log)
        if known is not None and seq <= known.head:
            self._hunt(link, known, seq)

    def on_evidence(self, link: PeerLink, data: bytes) -> None:
        """A record with a good signature contradicts what is here of its log."""
        theirs = parse_untrusted(data)
        log = self._replica.logs.by_id[theirs.log]
        if theirs.seq >= log.frozen_at:
            return
        here = theirs.seq <= log.head
        if not here or theirs.prev[:HASH_BYTES] != log.hash_of(theirs.seq - 1):
            self._hunt(link, log, min(theirs.seq - 1, log.head))
            return
        ours = self._replica.record(theirs.log, theirs.seq)
        if ours is not None:
            self._prove(ours, data)
        elif len(self._reads) < READS_MAX:
            self._request -= 1
            self._reads[self._request] = data
            wanted = ((theirs.log, theirs.seq, theirs.seq),)
            self._context.effects.append(ReadLog(self._request, wanted, 0, 1))

    def _hunt(self, link: PeerLink, log: Log, last: int) -> None:
        """Ask for records up to ``last``, unless that or what is below it was asked just now."""
        lowest, at = self._hunts.get(log.id, (last + 1, 0.0))
        if last < 1 or (lowest <= last and self._context.now - at < AGAIN):
            return
        if len(self._hunts) >= HUNTS_MAX:
            del self._hunts[next(iter(self._hunts))]
        first = max(1, last - BLOCK + 1)
        self._hunts[log.id] = (first, self._context.now)
        self._context.counters["forks_hunted"] += 1
        self.fetch(link, log.id, first, last)

    def takes(self, read: LogRead) -> bool:
        """Take a record of our own that came from disk, if it was asked for here."""
        if read.request > FIRST_REQUEST:
            return False
        theirs = self._reads.pop(read.request, None)
        if theirs is not None and read.records:
            self._prove(read.records[0], theirs)
        return True

    def _prove(self, ours: bytes, theirs: bytes) -> None:
        one, other = parse_untrusted(ours), parse_untrusted(theirs)
        log = self._replica.logs.by_id[one.log]
        proof = make_proof(log.public_key, log.epoch, log.chain, one, other)
        try:
            self._board.publish(FORK, proof)
        except RemoteProtocolError:
            self._context.counters["forks_unproved"] += 1

    # -- taking in -----------------------------------------------------------------------------

    def _take(self, payload: bytes) -> bytes | None:
        proof = decode_proof(payload, self._trust)
        news, replaced = self.forks.add(proof)
        if replaced is not None:
            self._board.drop(replaced.id)
        if news:
            self._fresh.append(proof)
            return proof.id
        held = self.forks.at(proof.log)  # loaded before the log was, or a higher one
        return proof.id if held == proof.seq else None

    def apply(self) -> None:
        """End the logs that were proved to be forked; the verdicts on logs are up to date."""
        fresh, self._fresh = self._fresh, []
        own_log = self._replica.own_log
        if self.forks.at(own_log) != NEVER:
            self.own_forked()
        for proof in fresh:
            own = proof.log == own_log
            outcome = self._replica.freeze(proof, self._context.wall)
            if outcome.applied:
                self.applied(outcome.applied)
            self._hunts.pop(proof.log, None)
            self._context.event(
                "log-forked",
                f"{ids.short(proof.author)} signed two records with number {proof.seq} of log "
                f"{ids.short(proof.log)}: it ends before them, and its author is suspended"
                + (" (this node's key is used elsewhere)" if own else ""),
                "error",
                proof.author,
            )

    # -- what follows --------------------------------------------------------------------------

    def suspends(self, node: NodeId) -> bool:
        """Whether links with a node are refused for what is proved against it."""
        return bool(self.forks.of(node))

    def notices_against(self, node: NodeId) -> Iterable[bytes]:
        """Ids of the notices that say why."""
        return [proof.id for proof in self.forks.of(node)]

    def why(self, member: Member) -> list[dict[str, object]]:
        """What is proved against a member, for people."""
        return [
            {"log": ids.text(proof.log), "seq": proof.seq, "id": ids.text(proof.id)}
            for proof in self.forks.of(member.id)
        ]
