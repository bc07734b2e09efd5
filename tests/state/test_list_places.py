"""Places in lists: one between any two, in order, and short for queues and for plain editing."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipnet.state.types.places import OFFSET_MAX, NoPlace, Path, place

LOGS = [b"a" * 16, b"b" * 16, b"c" * 16]


def put(paths: list[Path], rank: int, own: bytes, count: int) -> None:
    before = paths[rank - 1] if rank else None
    behind = paths[rank] if rank < len(paths) else None
    path = place(before, behind, own, count)
    paths[rank:rank] = [(*path[:-1], path[-1] + at) for at in range(count)]


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(LOGS), st.integers(1, 3)), max_size=40))
def test_there_is_a_place_between_any_two(insertions: list[tuple[float, bytes, int]]) -> None:
    paths: list[Path] = []
    for where, own, count in insertions:
        put(paths, round(where * len(paths)), own, count)
        assert all(one < other for one, other in pairwise(paths)), paths


def test_paths_stay_short_at_the_ends_and_at_random() -> None:
    rng = random.Random(1)
    paths: list[Path] = []
    for _ in range(2000):
        put(paths, rng.choice((0, len(paths))), rng.choice(LOGS), 1)
    assert {len(path) for path in paths} == {3}
    for _ in range(2000):
        put(paths, rng.randrange(len(paths)), rng.choice(LOGS), 1)
    assert max(map(len, paths)) <= 3 * 12


def test_one_author_types_at_one_spot_without_going_deep() -> None:
    paths: list[Path] = [(0, LOGS[0], 0), (0, LOGS[0], 1)]
    for _ in range(100):
        put(paths, 1, LOGS[1], 1)
    for _ in range(100):
        put(paths, 50, LOGS[1], 1)
    for at in range(100):
        put(paths, 51 + at, LOGS[1], 1)
    assert max(map(len, paths)) <= 12


@pytest.mark.parametrize("authors", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_hundreds_of_insertions_between_the_last_two_find_a_place(authors: int, seed: int) -> None:
    rng = random.Random(seed)
    left: Path = (0, LOGS[0], 0)
    right: Path = (0, LOGS[0], 1)
    for _ in range(500):
        middle = place(left, right, rng.choice(LOGS[-authors:]))
        assert left < middle < right
        left, right = (middle, right) if rng.random() < 0.5 else (left, middle)


def test_one_gap_is_used_up_in_the_end() -> None:
    with pytest.raises(NoPlace):
        halve_for_ever()


def halve_for_ever() -> None:
    left: Path = (0, LOGS[0], 0)
    right: Path = (0, LOGS[0], 1)
    for turn in range(100_000):
        middle = place(left, right, LOGS[turn // 2 % 3])
        left, right = (middle, right) if turn % 2 else (left, middle)


def test_numbers_are_bounded() -> None:
    with pytest.raises(NoPlace):
        place((OFFSET_MAX, LOGS[0], 0), None, LOGS[1])
    with pytest.raises(NoPlace):
        place(None, (0, LOGS[0], -OFFSET_MAX), LOGS[0], 5)
