"""Glob patterns against a transcript of Redis's own function, and their cost."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipnet.resp.glob import matcher
from gossipnet.resp.limits import PATTERN_PLACES
from gossipnet.resp.replies import CommandError


def stringmatchlen(pattern: bytes, text: bytes) -> bool:
    """Redis 7.0's util.c, statement by statement; exponential like it was."""
    p = s = 0
    while p < len(pattern) and s < len(text):
        byte = pattern[p : p + 1]
        if byte == b"*":
            while pattern[p + 1 : p + 2] == b"*":
                p += 1
            if p == len(pattern) - 1:
                return True
            return any(
                stringmatchlen(pattern[p + 1 :], text[at:]) for at in range(s, len(text) + 1)
            )
        if byte == b"[":
            p += 1
            inverted = pattern[p : p + 1] == b"^"
            p += inverted
            match = False
            while True:
                if p + 1 < len(pattern) and pattern[p : p + 1] == b"\\":
                    p += 1
                    match |= pattern[p] == text[s]
                elif pattern[p : p + 1] == b"]":
                    break
                elif p >= len(pattern):
                    p -= 1
                    break
                elif p + 2 < len(pattern) and pattern[p + 1 : p + 2] == b"-":
                    low, high = sorted((pattern[p], pattern[p + 2]))
                    match |= low <= text[s] <= high
                    p += 2
                else:
                    match |= pattern[p] == text[s]
                p += 1
            if match == inverted:
                return False
            s += 1
        elif byte == b"?":
            s += 1
        else:
            if byte == b"\\" and p + 1 < len(pattern):
                p += 1
            if pattern[p] != text[s]:
                return False
            s += 1
        p += 1
        if s >= len(text):
            while pattern[p : p + 1] == b"*":
                p += 1
            break
    else:
        while not text and pattern[p : p + 1] == b"*":
            p += 1
    return p == len(pattern) and s == len(text)


@given(
    pattern=st.text("ab*?[]^-\\", max_size=8).map(str.encode),
    text=st.text("ab]-^\\", max_size=6).map(str.encode),
)
@example(pattern=b"h[a-]llo", text=b"hallo")
@example(pattern=b"[a", text=b"a")
@example(pattern=b"a\\", text=b"a\\")
@example(pattern=b"**", text=b"")
def test_it_matches_what_redis_matches(pattern: bytes, text: bytes) -> None:
    assert matcher(pattern)(text) == stringmatchlen(pattern, text)


def test_many_stars_cost_no_more_than_pattern_times_text() -> None:
    # Redis itself needs hours for this (CVE-2022-36021 is of the same family).
    assert not matcher(b"a*" * 40 + b"b")(b"a" * 5000)


def test_classes_know_ranges_both_ways_and_inversion() -> None:
    assert [text for text in (b"a", b"c", b"d") if matcher(b"[c-a]")(text)] == [b"a", b"c"]
    assert [text for text in (b"a", b"c", b"d") if matcher(b"[^a-c]")(text)] == [b"d"]


def test_a_hostile_pattern_on_a_large_key_is_nearly_linear() -> None:
    """Pattern times text would be 64 million looks at a byte for each of these."""
    key = b"a" * 65_000
    for piece in (b"a" * 1000 + b"b", b"?" * 500 + b"a" * 500 + b"b", b"[ab]" * 1000 + b"c"):
        assert not matcher(b"*" + piece + b"*x*")(key)


def test_a_pattern_has_a_limit_and_a_plain_name_has_none() -> None:
    assert matcher(b"n" * 60_000)(b"n" * 60_000)
    assert matcher(b"n" * 60_000 + b"*")(b"n" * 60_001)
    assert matcher(b"?" * PATTERN_PLACES)(b"n" * PATTERN_PLACES)
    with pytest.raises(CommandError, match="pattern is longer"):
        matcher(b"?" * (PATTERN_PLACES + 1))
