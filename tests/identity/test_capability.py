"""Prefixes end at segments, verbs include each other, and nobody hands on more than it has."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipnet.identity.capability import EVERYTHING, VERBS, allows, matches, within

# Few letters, so that prefixes often meet.
KEYS = st.text(alphabet="ab:/", max_size=6).map(str.encode)
CAPABILITIES = st.lists(st.tuples(st.sampled_from(VERBS), KEYS), max_size=3)


@pytest.mark.parametrize(
    ("prefix", "key", "expected"),
    [
        (b"", b"", True),
        (b"", b"anything", True),
        (b"a", b"a", True),
        (b"a", b"a:b", True),
        (b"a", b"a/b", True),
        (b"a", b"ab", False),
        (b"a", b"", False),
        (b"a:", b"a", False),
        (b"a:", b"a:", True),
        (b"a:", b"a:b", True),
        (b"a:", b"ab", False),
        (b"a/b", b"a/b", True),
        (b"a/b", b"a/bc", False),
        (b"a/b", b"a", False),
        (b"a/b", b"a/b/../c", True),
        (b"a/b", b"a/../a/b", False),
        (b"a/b", b"A/b", False),
        (b"a/b", b"a:b", False),
        (b"a\0", b"a\0:b", True),
        (b"\xff", b"\xff:\0", True),
    ],
)
def test_prefixes_end_at_segments(prefix: bytes, key: bytes, expected: bool) -> None:
    assert matches(prefix, key) is expected


def test_keys_are_bytes_and_not_text() -> None:
    composed, decomposed = (unicodedata.normalize(form, "é").encode() for form in ("NFC", "NFD"))
    assert matches(composed, composed + b":x")
    assert not matches(composed, decomposed)
    assert not matches(b"e", decomposed)


def test_each_verb_includes_those_before_it() -> None:
    for rank, held in enumerate(VERBS):
        for other_rank, asked in enumerate(VERBS):
            assert allows([(held, b"a")], asked, b"a:b") is (rank >= other_rank)


@given(CAPABILITIES, CAPABILITIES, st.sampled_from(VERBS), KEYS)
def test_whoever_is_within_can_do_no_more(asked, granted, verb: str, key: bytes) -> None:
    if within(asked, granted) and allows(asked, verb, key):
        assert allows(granted, verb, key)


@given(st.sampled_from(VERBS), KEYS, st.sampled_from(VERBS), KEYS, KEYS)
def test_whoever_is_not_within_could_do_more(verb, prefix, held, other, key: bytes) -> None:
    """For single capabilities the answer is exact: refused means that some key would be new."""
    if not within([(verb, prefix)], [(held, other)]):
        more = [prefix, prefix + b":x", prefix + b"/x", b"zz"]
        assert any(
            allows([(verb, prefix)], verb, one) and not allows([(held, other)], verb, one)
            for one in more
        )


def test_nothing_is_within_nothing() -> None:
    assert within([], [])
    assert not within([("relay", b"a")], [])
    assert within([("manage", b"")], EVERYTHING)
    assert not within([("read", b"")], [("read", b"a")])
