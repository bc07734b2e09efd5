"""What the engine knows of each open link, shared by detection, overlay, broadcast and sync.

Only data and the arithmetic on it; no decisions, no messages.
"""

from collections import deque
from dataclasses import dataclass, field

from gossipnet.identity.peer import Peer
from gossipnet.ids import NodeId
from gossipnet.protocol.lag import Lag

HEARTBEAT = 1.0
"""Seconds between two pings on a link. Frozen peers must be noticed within 3 s."""

SILENCE_MIN = 1.8
SILENCE_MAX = 10.0
"""Bounds, in seconds, of the silence that is believed: nearly two heartbeats, and ten."""


@dataclass(slots=True)
class PeerLink:
    """One authenticated link.

    Attributes:
      number: The driver's number.
      peer: Who is there.
      dialed: Whether this side dialled.
      chosen: This side dialled to have a neighbour, and not because the peer had given it a reason.
      address: Where to.
      up_at: ``now`` when it came up.
      heard_at: ``now`` when authenticated bytes last arrived.
      greeted: Its Hello has arrived.
      version: Of the protocol; the newest that both speak.
      newer: The peer speaks a newer one still, and may say things that are not known here.
      limbo: The newest root known here withdrew its issuer: roots are compared, nothing else.
      instance: The peer's process, from its Hello.
      incarnation: The peer's incarnation when it said Hello.
      neighbour: Both sides agreed to be neighbours; only such links carry gossip.
      decided: It is settled whether we are neighbours.
      parted: It has ended because one side had neighbours to spare, or said goodbye.
      intent: What this side's Hello asked for.
      grafted: The peer asked for every push, whatever the trees say.
      asked: We asked the peer for that.
      place: Where the peer last said that it is (`vivaldi`).
      rtt: Smoothed round trip in seconds (RFC 6298 weights), None before the first.
      measures: This side has measured it; until then the dialler's word counts.
      gap_mean, gap_deviation: Of the times between arrivals, in seconds.
      total: Records the peer had applied when it last said.
      vector: First 8 bytes of the digest it last said.
      behind: Records that the peer lacks beyond those that are on their way.
      was_here: Records applied here at the heartbeat before.
      differs_since: ``now`` since when its digest differs from ours; None while equal.
      lag: How long records took that came on it.
      clock_base: Peer's wall clock minus our monotonic clock, seconds: our own wall clock may be
        set while the link lives.
      differs_goal: Records that both had to have applied for it to count as progress.
      compared_at: ``now`` when a lasting difference was last looked into.
    """

    number: int
    peer: Peer
    dialed: bool
    address: str
    up_at: float
    heard_at: float
    greeted: bool = False
    version: int = 1
    newer: bool = False
    limbo: bool = False
    instance: bytes = b""
    incarnation: int = 0
    neighbour: bool = False
    decided: bool = False
    parted: bool = False
    intent: int = 0
    grafted: bool = False
    asked: bool = False
    place: list[int] = field(default_factory=list)
    rtt: float | None = None
    measures: bool = False
    rtt_deviation: float = 0.0
    gap_mean: float = HEARTBEAT
    gap_deviation: float = 0.1
    gap_from: float = 0.0
    total: int = 0
    vector: bytes = b""
    differs_since: float | None = None
    differs_goal: int = 0
    compared_at: float = 0.0
    clock_base: float = 0.0
    ping_number: int = 0
    ping_sent_at: float | None = None
    observed: str = ""
    chosen: bool = False
    behind: int = 0
    was_here: int = 0
    lag: Lag = field(default_factory=Lag)
    serving: dict[int, "Serving"] = field(default_factory=dict)

    @property
    def node(self) -> NodeId:
        """Who is at the other end."""
        return self.peer.node_id

    def measured(self, sample: float) -> None:
        """Fold one round trip (seconds) into the estimate: RFC 6298, section 2."""
        if self.rtt is None or not self.measures:
            self.measures = True
            self.rtt, self.rtt_deviation = sample, sample / 2
            return
        self.rtt_deviation += (abs(sample - self.rtt) - self.rtt_deviation) / 4
        self.rtt += (sample - self.rtt) / 8

    def beat(self, now: float) -> None:
        """Fold the time since the last heartbeat into the estimate of gaps."""
        if self.gap_from:
            gap = min(now - self.gap_from, SILENCE_MAX)
            self.gap_deviation += (abs(gap - self.gap_mean) - self.gap_deviation) / 8
            self.gap_mean += (gap - self.gap_mean) / 8
        self.gap_from = now

    def patience(self, health: int) -> float:
        """Seconds of silence that are believed, widened by an unhealthy observer (Lifeguard).

        Mean gap plus six deviations is the accrual detector's threshold of about 8 (Hayashibara
        et al. 2004, with Chebyshev's bound instead of a normal tail) and needs no history.
        """
        wait = self.gap_mean + 6 * self.gap_deviation + 0.5
        return min(max(wait, SILENCE_MIN), SILENCE_MAX) * health


@dataclass(slots=True)
class Serving:
    """A stream of records that this side sends on a link.

    Attributes:
      session: The peer's number for it.
      wanted: What is still to be sent, as asked.
      position: Where the store goes on reading.
      credit: Pieces that may be sent before the peer asks for more.
      reading: A read is under way.
      ended: Everything was read.
    """

    session: int
    wanted: tuple[tuple[bytes, int, int], ...]
    position: int = 0
    credit: int = 2
    reading: bool = False
    ended: bool = False
    queue: deque[bytes] = field(default_factory=deque)


@dataclass(slots=True)
class Pull:
    """A stream that this side receives on a link.

    Attributes:
      session: Our number for it.
      link: On which link.
      wanted: What was asked for.
      progress_at: ``now`` when the last piece came.
      records: Received so far.
      size: Their bytes since ``judged_at``.
      judged_at: ``now`` when its speed was judged last.
      slow: It brings so little that it no longer keeps other pulls waiting.
      held: The next piece is not asked for until the disk has caught up.
    """

    session: int
    link: int
    wanted: list[tuple[bytes, int, int]]
    progress_at: float
    records: int = 0
    size: int = 0
    judged_at: float = 0.0
    slow: bool = False
    held: bool = False


@dataclass(slots=True)
class Gap:
    """Records of one log that a peer has announced and that are not here.

    Attributes:
      mark: Head that must be reached by ``due``, or the tree has failed.
      latest: Head that was announced last.
      due: ``now`` at which to judge.
    """

    mark: int
    latest: int
    due: float
