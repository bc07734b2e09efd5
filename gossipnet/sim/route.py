"""One direction between two hosts: how long a packet takes, and whether it gets there at all.

Knows hosts only by their numbers.
"""

import random
from collections.abc import Container
from dataclasses import dataclass

from gossipnet.sim.world import World


@dataclass
class Conditions:
    """What the network is like; may change while the world runs.

    Attributes:
      latency: Least and greatest one-way seconds; each pair has its own, the same both ways.
      jitter: Up to this many seconds more for each flight: messages on different links overtake.
      loss: Probability that a segment is lost.
      bandwidth: Bytes per second of one link.
      duplicate: Probability that a gossip message is sent a second time, a little later.
    """

    latency: tuple[float, float] = (0.005, 0.025)
    jitter: float = 0.002
    loss: float = 0.0
    bandwidth: float = 12_500_000.0
    duplicate: float = 0.0


class Route:
    """One direction between two hosts: the `Path` of the streams on it."""

    __slots__ = (
        "_base",
        "_conditions",
        "_random",
        "answers_cut",
        "bandwidth",
        "cut",
        "key",
        "loss",
        "round_trip",
    )

    def __init__(
        self, key: tuple[int, int], conditions: Conditions, world: World, rng: random.Random
    ) -> None:
        self._conditions = conditions
        self._random = rng.random
        self.key = key
        pair = sorted(key)
        low, high = conditions.latency
        draw = int.from_bytes(world.derive(f"route/{pair}", 8), "big") / 2**64
        self._base = low + (high - low) * draw
        self.round_trip = 2 * self._base + conditions.jitter
        self.loss = conditions.loss
        self.bandwidth = conditions.bandwidth
        self.cut = False
        self.answers_cut = False

    def look(self, cuts: Container[tuple[int, int]], dark: Container[int]) -> None:
        """Note what is cut just now, and which hosts are without power."""
        source, target = self.key
        self.cut = self.key in cuts or source in dark or target in dark
        self.answers_cut = (target, source) in cuts

    def latency(self) -> float:
        """Seconds one way, for this flight."""
        return self._base + self._conditions.jitter * self._random()

    def drops(self) -> bool:
        """Whether this one packet is lost."""
        return self.cut or (self.loss > 0 and self._random() < self.loss)

    def delivery(self) -> float:
        """Seconds until one small segment is there, retransmissions included."""
        delay = self.latency()
        wait = max(0.2, self.round_trip) + self.round_trip
        while self.loss and self._random() < self.loss:
            delay += wait
            wait *= 2
        return delay
