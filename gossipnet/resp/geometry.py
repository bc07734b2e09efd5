"""Places on the globe as scores of sorted sets, as Redis keeps them: geohashes of 52 bits.

Longitude and latitude are halved 26 times each and their bits interleaved, so that what lies in
one cell of any size has scores in one range (G. M. Morton 1966). Distances are great circles on a
sphere (haversine), with Redis's radius of the Earth and in its order of operations.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import asin, cos, degrees, pi, radians, sin, sqrt

LONGITUDE_MAX = 180.0
LATITUDE_MAX = 85.05112878
"""As in EPSG:3857: the poles cannot be said."""
_RADIUS = 6372797.560856
_STEPS = 26
_DEGREE = pi / 180
_MARGIN = 1e-6  # degrees: rounding must not lose what lies on an edge
_ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"

Point = tuple[float, float]
"""(longitude, latitude) in degrees."""


def encoded(longitude: float, latitude: float) -> int:
    """The score of a place."""
    return _interleaved(
        int((latitude + LATITUDE_MAX) / (2 * LATITUDE_MAX) * (1 << _STEPS)),
        int((longitude + LONGITUDE_MAX) / (2 * LONGITUDE_MAX) * (1 << _STEPS)),
    )


def decoded(score: float) -> Point:
    """The middle of the cell that a score means; some place for a score that means none."""
    bits = int(score) if 0 <= score < 1 << 63 else 0
    return (
        _middle(_every_other(bits >> 1), LONGITUDE_MAX),
        _middle(_every_other(bits), LATITUDE_MAX),
    )


def _middle(cell: int, most: float) -> float:
    low = -most + cell / (1 << _STEPS) * (2 * most)
    high = -most + (cell + 1) / (1 << _STEPS) * (2 * most)
    return max(-most, min(most, (low + high) / 2))


def text(score: float) -> bytes:
    """The geohash of 11 letters, as geohash.org knows it, whose latitudes reach the poles."""
    longitude, latitude = decoded(score)
    bits = _interleaved(
        int((latitude + 90) / 180 * (1 << _STEPS)),
        int((longitude + 180) / 360 * (1 << _STEPS)),
    )
    letters = [_ALPHABET[bits >> (47 - 5 * place) & 31] for place in range(10)]
    return bytes([*letters, _ALPHABET[0]])  # 52 bits are ten letters and a bit: Redis says 0


def _interleaved(even: int, odd: int) -> int:
    return _spread(even) | _spread(odd) << 1


def _spread(bits: int) -> int:
    """A zero bit before each bit of a number of 32."""
    bits = (bits | bits << 16) & 0x0000FFFF0000FFFF
    bits = (bits | bits << 8) & 0x00FF00FF00FF00FF
    bits = (bits | bits << 4) & 0x0F0F0F0F0F0F0F0F
    bits = (bits | bits << 2) & 0x3333333333333333
    return (bits | bits << 1) & 0x5555555555555555


def _every_other(bits: int) -> int:
    """The opposite."""
    bits &= 0x5555555555555555
    bits = (bits | bits >> 1) & 0x3333333333333333
    bits = (bits | bits >> 2) & 0x0F0F0F0F0F0F0F0F
    bits = (bits | bits >> 4) & 0x00FF00FF00FF00FF
    bits = (bits | bits >> 8) & 0x0000FFFF0000FFFF
    return (bits | bits >> 16) & 0x00000000FFFFFFFF


def distance(one: Point, other: Point) -> float:
    """Metres between two places."""
    longitude, latitude = one[0] * _DEGREE, one[1] * _DEGREE
    other_longitude, other_latitude = other[0] * _DEGREE, other[1] * _DEGREE
    across = sin((other_longitude - longitude) / 2)
    if across == 0.0:
        return _RADIUS * abs(other_latitude - latitude)
    along = sin((other_latitude - latitude) / 2)
    square = along * along + cos(latitude) * cos(other_latitude) * across * across
    return 2.0 * _RADIUS * asin(min(sqrt(square), 1.0))


@dataclass(frozen=True)
class Circle:
    """What lies within so many metres of a place."""

    middle: Point
    radius: float

    def distance(self, point: Point) -> float | None:
        """Metres from the middle, None if it lies outside."""
        found = distance(self.middle, point)
        return found if found <= self.radius else None

    def extent(self) -> tuple[float, float]:
        """Degrees of longitude and latitude that it reaches from its middle."""
        angle = self.radius / _RADIUS
        latitude = degrees(angle)
        if abs(self.middle[1]) + latitude >= 90:
            return 180.0, latitude
        return degrees(asin(min(1.0, sin(angle) / cos(radians(self.middle[1]))))), latitude


@dataclass(frozen=True)
class Box:
    """What lies within half a width and half a height of a place, in metres."""

    middle: Point
    width: float
    height: float

    def distance(self, point: Point) -> float | None:
        """Metres from the middle, None if it lies outside."""
        across = distance(point, (self.middle[0], point[1]))
        along = distance(point, (point[0], self.middle[1]))
        if across > self.width / 2 or along > self.height / 2:
            return None
        return distance(self.middle, point)

    def extent(self) -> tuple[float, float]:
        """Degrees of longitude and latitude that it reaches from its middle."""
        latitude = degrees(self.height / 2 / _RADIUS)
        farthest = abs(self.middle[1]) + latitude
        quarter = self.width / 4 / _RADIUS
        if farthest >= 90 or quarter >= pi / 2:
            return 180.0, latitude
        reach = sin(quarter) / cos(radians(farthest))
        return 2 * degrees(asin(reach)) if reach < 1 else 180.0, latitude


Shape = Circle | Box


def ranges(shape: Shape) -> Iterator[tuple[int, int]]:
    """Ranges of scores, from and up to, in which everything inside of a shape lies.

    They are the cells, six at most, of the smallest size of which two beside each other cover it.
    """
    wide, high = (reach + _MARGIN for reach in shape.extent())
    longitude, latitude = shape.middle
    step = _STEPS
    while step and (
        2 * wide > 2 * LONGITUDE_MAX / (1 << step) or 2 * high > 2 * LATITUDE_MAX / (1 << step)
    ):
        step -= 1
    columns: set[int] = set()
    for shift in (-360, 0, 360):  # what leaves the map in the east comes back in the west
        columns |= _cells(longitude - wide + shift, longitude + wide + shift, LONGITUDE_MAX, step)
    rows = _cells(latitude - high, latitude + high, LATITUDE_MAX, step)
    unit = 1 << (2 * (_STEPS - step))
    for cell in sorted(_interleaved(row, column) for row in rows for column in columns):
        yield cell * unit, (cell + 1) * unit


def _cells(low: float, high: float, most: float, step: int) -> set[int]:
    if low > most or high < -most:
        return set()
    size = 2 * most / (1 << step)
    first, last = (int((max(-most, min(most, end)) + most) / size) for end in (low, high))
    return set(range(first, last + 1))  # on the edge in the east begins a cell of its own
