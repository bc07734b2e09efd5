"""One direction of a link, as TCP shows it to the two programs at its ends.

The network below loses segments; the programs see only delay: a lost segment comes again after a
retransmission timeout that doubles, and everything behind it waits (head-of-line blocking). RTO
is SRTT + max(200 ms, 4 RTTVAR) (RFC 6298 section 2 with Linux's minimum) and a segment with three
more behind it is resent after one round trip (RFC 5681 section 3.2). A cut path holds the bytes
until a retransmission finds it whole again. Nothing inside a stream is ever reordered or doubled.

What waits to be sent is ordered by lane, as the session's outbox does it, and leaves in flights
of at most 32 KiB, as the driver writes them. Knows no engine and no machine.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol

from gossipnet.sim.world import World

SEGMENT = 1448
"""Payload bytes of a TCP segment on Ethernet with time stamps."""

SEGMENT_OVERHEAD = 52 + 14
"""Bytes of TCP (with time stamps), IPv4 and Ethernet headers on each segment."""

FRAME_OVERHEAD = 2 + 16 + 1
"""Bytes that a session adds to one message: length, authentication tag, lane."""

FLIGHT = 32 * 1024
"""At most this many bytes go down at once, so that a heartbeat never waits for a bulk stream."""

OUTBOX = 4 << 20
"""Bytes that may wait for one link before it counts as too slow."""

RECEIVE_BUFFER = 256 * 1024
"""Bytes that the kernel takes in for a program that does not read."""

UNACKNOWLEDGED = 10 * SEGMENT
"""Bytes that go out while no acknowledgement comes back: an initial window (RFC 6928)."""

RTO_MIN = 0.2
RTO_MAX = 120.0
RETRIES = 15
"""Linux's ``tcp_retries2``: a segment lost this often ends the connection."""


class Path(Protocol):
    """What a stream needs to know of the network under it, between its two hosts."""

    loss: float
    bandwidth: float
    round_trip: float
    """Typical seconds there and back."""
    cut: bool
    """Nothing gets through in this direction."""
    answers_cut: bool
    """Nothing gets back."""

    def latency(self) -> float:
        """Seconds one way, drawn anew for every flight."""
        ...


@dataclass(slots=True)
class Flight:
    """What goes down in one write.

    Attributes:
      messages: Whole messages, in order.
      size: Bytes on the stream, framing included.
      end: How the stream ends after it: ``closed`` after CLOSE, ``truncated`` without; "" if not.
    """

    messages: list[bytes]
    size: int
    end: str = ""


class Stream:
    """One direction of one link.

    Args:
      arrived: Called with every flight that reaches the other end, in order.
      broken: Called once when the connection breaks by itself.

    Attributes:
      bytes_sent: Bytes put on the wire, segment headers and retransmissions included.
      messages_sent: Messages that left.
      waiting: Bytes in the outbox.
      unread: Bytes that the receiving program has not taken.
    """

    __slots__ = (
        "_arrived",
        "_broken",
        "_ending",
        "_free_at",
        "_held",
        "_last_arrival",
        "_outbox",
        "_path",
        "_pump_due",
        "_rng",
        "_stuck",
        "_stuck_since",
        "_unacknowledged",
        "_world",
        "bytes_sent",
        "dead",
        "messages_sent",
        "unread",
        "waiting",
    )

    def __init__(
        self,
        world: World,
        path: Path,
        rng: random.Random,
        arrived: Callable[[Flight], None],
        broken: Callable[[], None],
    ) -> None:
        self._world = world
        self._path = path
        self._rng = rng
        self._arrived = arrived
        self._broken = broken
        self._outbox: tuple[deque[bytes], ...] = (deque(), deque(), deque())
        self._ending = ""
        self._held = False
        self._free_at = 0.0
        self._pump_due = False
        self._last_arrival = 0.0
        self._stuck: list[Flight] = []
        self._stuck_since = 0.0
        self._unacknowledged = 0
        self.dead = False
        self.bytes_sent = 0
        self.messages_sent = 0
        self.waiting = 0
        self.unread = 0

    def opened(self, at: float) -> None:
        """The handshake's last message gets there at ``at``; nothing overtakes it."""
        self._last_arrival = at

    def queue(self, lane: int, payload: bytes) -> bool:
        """Take one message; False when so much waits that the peer counts as too slow."""
        size = len(payload) + FRAME_OVERHEAD
        if self.waiting + size > OUTBOX and self.waiting:
            return False
        self._outbox[lane].append(payload)
        self.waiting += size
        return True

    def close(self) -> None:
        """Say CLOSE after what waits, and end."""
        self._ending = "closed"
        self.pump()

    def abort(self) -> None:
        """The program died: what the kernel has goes out, then the stream ends without CLOSE."""
        for lane in self._outbox:
            lane.clear()
        self.waiting = 0
        self._ending = "truncated"
        self.pump()

    def kill(self) -> None:
        """Nothing more leaves or arrives: the machine is gone, or nobody reads any more."""
        self.dead = True
        self._stuck.clear()

    # -- sending -------------------------------------------------------------------------------

    def pump(self) -> None:
        """Send what may be sent now."""
        if self.dead or self._stuck or self.unread >= RECEIVE_BUFFER:
            return
        while self.waiting or self._ending:
            if self._free_at > self._world.now:
                self._pump_at(self._free_at)
                return
            if not self._path.answers_cut:
                self._unacknowledged = 0
                self._held = False
            elif self._unacknowledged >= UNACKNOWLEDGED:
                if not self._held:
                    self._held = True
                    self._stuck_since = self._world.now
                return
            flight = self._next_flight()
            self._unacknowledged += flight.size
            self._depart(flight)
            if flight.end:
                return

    def _pump_at(self, time: float) -> None:
        if not self._pump_due and time < inf:
            self._pump_due = True
            self._world.at(time, self._pump_again)

    def _pump_again(self) -> None:
        self._pump_due = False
        self.pump()

    def _next_flight(self) -> Flight:
        messages: list[bytes] = []
        size = 0
        for lane in self._outbox:
            while lane and (not messages or size + len(lane[0]) + FRAME_OVERHEAD <= FLIGHT):
                payload = lane.popleft()
                size += len(payload) + FRAME_OVERHEAD
                messages.append(payload)
        self.waiting -= size
        self.messages_sent += len(messages)
        end = ""
        if self._ending and not self.waiting:
            size += FRAME_OVERHEAD
            end, self._ending = self._ending, ""
        return Flight(messages, size, end)

    def _depart(self, flight: Flight) -> None:
        path, now = self._path, self._world.now
        segments = -(-flight.size // SEGMENT)
        self.bytes_sent += flight.size + segments * SEGMENT_OVERHEAD
        serialised = flight.size / path.bandwidth
        delay = self._retransmissions(segments) if path.loss else 0.0
        if delay == inf:
            self.dead = True
            self._world.after(RTO_MAX, self._broken)
            return
        # After a timeout the window is one segment: nothing new leaves before it is acknowledged.
        self._free_at = now + serialised + (delay + path.round_trip if delay else 0.0)
        arrival = max(now + serialised + delay + path.latency(), self._last_arrival)
        self._last_arrival = arrival
        self._world.at(arrival, self._arrive, flight)

    def _retransmissions(self, segments: int) -> float:
        """Seconds by which losses delay the last segment of a flight; infinity: given up."""
        loss, draw = self._path.loss, self._rng.random
        rtt = self._path.round_trip
        rto = rtt + max(RTO_MIN, rtt)
        worst = 0.0
        for place in range(segments):
            lost = 0
            while draw() < loss:
                lost += 1
                if lost > RETRIES:
                    return inf
            if lost:
                self.bytes_sent += lost * (SEGMENT + SEGMENT_OVERHEAD)
                if segments - place > 3:
                    delay = rtt + rto * (2 ** (lost - 1) - 1)
                else:
                    delay = rto * (2**lost - 1)
                worst = max(worst, min(delay, RTO_MAX * lost))
        return worst

    # -- arriving ------------------------------------------------------------------------------

    def _arrive(self, flight: Flight) -> None:
        if self.dead:
            return
        if self._stuck or self._path.cut:
            # Checked on arrival and not on departure, so that what is under way stays in order.
            if not self._stuck:
                self._stuck_since = self._world.now
            self._stuck.append(flight)
            return
        self._arrived(flight)

    # -- a cut path ----------------------------------------------------------------------------

    def healed(self) -> None:
        """The path may be whole again: the next retransmission will tell."""
        if (self._stuck or self._held) and not self.dead:
            self._world.at(self._next_retransmission(), self._release)

    def _next_retransmission(self) -> float:
        rtt = self._path.round_trip
        rto = rtt + max(RTO_MIN, rtt)
        at = self._stuck_since + rto
        while at < self._world.now:
            rto = min(2 * rto, RTO_MAX)
            at += rto
        return at

    def _release(self) -> None:
        path = self._path
        if self.dead or path.cut:
            return
        flights, self._stuck = self._stuck, []
        now = self._world.now
        for flight in flights:
            self.bytes_sent += flight.size
            now = max(now + flight.size / path.bandwidth, self._last_arrival)
            self._last_arrival = now + path.latency()
            self._world.at(self._last_arrival, self._arrive, flight)
        self._free_at = now + path.round_trip
        self._pump_at(self._free_at)
