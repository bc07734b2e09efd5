"""Places and shapes: nothing that lies inside is missed, whatever the cells are."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resp_world import Caller, open_service

from gossipnet.resp.geometry import Box, Circle, Shape, decoded, distance, encoded, ranges, text

POINTS = st.tuples(st.floats(-180, 180), st.floats(-85.05, 85.05))
METRES = st.one_of(st.floats(0, 1000), st.floats(0, 3e7))
SHAPES = st.one_of(st.builds(Circle, POINTS, METRES), st.builds(Box, POINTS, METRES, METRES))


def test_a_known_place() -> None:
    palermo = encoded(13.361389, 38.115556)
    assert palermo == 3479099956230698
    assert text(palermo) == b"sqc8b49rny0"
    assert distance(decoded(palermo), decoded(3479447370796909)) == pytest.approx(166274.1516)


@given(POINTS)
def test_a_cell_is_smaller_than_a_metre(point: tuple[float, float]) -> None:
    assert distance(point, decoded(encoded(*point))) < 1


@given(SHAPES, st.integers(0, 1 << 32))
def test_cells_cover_a_shape(shape: Shape, seed: int) -> None:
    rng = random.Random(seed)
    spans = list(ranges(shape))
    assert len(spans) <= 12
    wide, high = shape.extent()
    for _ in range(50):
        if rng.random() < 0.5:  # near by, where the edges are
            longitude = shape.middle[0] + rng.uniform(-1.01, 1.01) * wide
            longitude = (longitude + 180) % 360 - 180
            latitude = shape.middle[1] + rng.uniform(-1.01, 1.01) * high
            latitude = max(-85.05, min(85.05, latitude))
        else:
            longitude, latitude = rng.uniform(-180, 180), rng.uniform(-85.05, 85.05)
        score = encoded(longitude, latitude)
        if shape.distance(decoded(score)) is not None:
            assert any(low <= score < top for low, top in spans), (longitude, latitude)


def test_any_stops_early_and_what_is_near_comes_first_without_it() -> None:
    caller = Caller(open_service())
    for number in range(100):
        caller.call("GEOADD", "g", number / 100, 0, f"m{number}")
    near = caller.call("GEOSEARCH", "g", "FROMLONLAT", 0, 0, "BYRADIUS", 500, "km", "COUNT", 3)
    assert near == [b"m0", b"m1", b"m2"]
    some = caller.call(
        "GEOSEARCH", "g", "FROMLONLAT", 0, 0, "BYRADIUS", 500, "km", "COUNT", 3, "ANY"
    )
    assert len(some) == 3
