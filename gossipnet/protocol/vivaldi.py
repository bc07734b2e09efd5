"""Network coordinates: a place for every node, so that round trips never measured can be told.

Vivaldi (Dabek, Cox, Kaashoek, Morris, "Vivaldi: A Decentralized Network Coordinate System", SIGCOMM
2004) with the paper's height and adaptive error. Each measured round trip is a spring between two
places; a node moves a little along it. What a peer says of its own place is bounded before it
counts: its components, its claimed certainty, and how far one word of it can move this node.

Pure arithmetic in seconds. Knows no links, members or messages.
"""

import random
from dataclasses import dataclass
from math import dist, isfinite

DIMENSIONS = 3
"""Besides the height. The paper finds that two and a height fit the Internet; a third is cheap."""

FARTHEST = 5_000_000
"""Microseconds: no component of a place is larger, or it is cut to this."""

ERROR_MAX, ERROR_MIN = 1.5, 0.02
"""Relative error of a place: of one that knows nothing, and the least that is believed of others
and oneself (a peer that claims to be certain would otherwise decide alone)."""

GAIN_ERROR, GAIN_MOVE = 0.15, 0.25
"""The paper's c_e and c_c."""

STEP_SHARE, STEP_LEAST = 0.25, 0.0005
"""One measurement moves a place by at most this share of the round trip, or by so many seconds."""

HEIGHT_MIN = 0.00001
RTT_MIN = 0.00001
"""Seconds; shorter round trips are noise of the clock."""

GRAVITY = 10_000.0
"""A pull to the middle, once a measurement, of a share of one in so many, so that a mesh does not
drift away as a whole."""

Place = list[int]
"""As it travels: `DIMENSIONS` components and the height in microseconds, the error in thousandths.
Empty for unknown."""


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A place.

    Attributes:
      vector: Seconds, in each dimension.
      height: Seconds from there to the network's core: a slow line at home.
      error: Relative error of what it foretells, about.
    """

    vector: tuple[float, ...] = (0.0,) * DIMENSIONS
    height: float = HEIGHT_MIN
    error: float = ERROR_MAX

    def distance(self, other: "Coordinate") -> float:
        """The round trip to expect, in seconds."""
        return dist(self.vector, other.vector) + self.height + other.height

    def told(self) -> Place:
        """For the wire."""
        components = [_micro(value) for value in (*self.vector, self.height)]
        return [*components, round(1000 * self.error)]


def heard(place: Place) -> Coordinate | None:
    """A place from the wire, bounded; None if there is none."""
    if len(place) != DIMENSIONS + 2:
        return None
    vector = tuple(_bounded(value) / 1e6 for value in place[:DIMENSIONS])
    height = max(HEIGHT_MIN, _bounded(place[DIMENSIONS]) / 1e6)
    error = min(ERROR_MAX, max(ERROR_MIN, place[-1] / 1000))
    return Coordinate(vector, height, error)


def _micro(seconds: float) -> int:
    return _bounded(round(seconds * 1e6)) if isfinite(seconds) else 0


def _bounded(value: int) -> int:
    return max(-FARTHEST, min(FARTHEST, value))


class Vivaldi:
    """One node's own place.

    Attributes:
      here: Where it is.
      samples: Round trips that it has been moved by.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.here = Coordinate()
        self.samples = 0

    def measured(self, there: Coordinate, rtt: float) -> None:
        """Move by one round trip (seconds) with a node at ``there``."""
        if not (isfinite(rtt) and rtt > 0):
            return
        here = self.here
        rtt = max(rtt, RTT_MIN)
        expected = here.distance(there)
        weight = here.error / (here.error + there.error)
        # Of a hopeless guess only that it is hopeless counts, or it would take long to forget.
        wrong = min(ERROR_MAX, abs(expected - rtt) / rtt)
        error = wrong * GAIN_ERROR * weight + here.error * (1 - GAIN_ERROR * weight)
        limit = max(STEP_LEAST, STEP_SHARE * rtt)
        force = max(-limit, min(limit, GAIN_MOVE * weight * (rtt - expected)))
        unit, apart = self._direction(here.vector, there.vector)
        pull = 1.0 - 1.0 / GRAVITY
        vector = tuple(
            max(-FARTHEST / 1e6, min(FARTHEST / 1e6, pull * (value + part * force)))
            for value, part in zip(here.vector, unit, strict=True)
        )
        height = here.height
        if apart > 0:
            height += (here.height + there.height) * force / max(apart, expected / 4)
        height = min(max(height, HEIGHT_MIN), FARTHEST / 1e6)
        self.here = Coordinate(vector, height, min(ERROR_MAX, max(ERROR_MIN, error)))
        self.samples += 1

    def _direction(
        self, here: tuple[float, ...], there: tuple[float, ...]
    ) -> tuple[tuple[float, ...], float]:
        """The unit vector away from ``there``, any if both are one place; and the distance."""
        apart = dist(here, there)
        if apart > 1e-9:
            return tuple((a - b) / apart for a, b in zip(here, there, strict=True)), apart
        drawn = tuple(self._rng.random() - 0.5 for _ in here)
        length = dist(drawn, (0.0,) * len(drawn)) or 1.0
        return tuple(value / length for value in drawn), 0.0
