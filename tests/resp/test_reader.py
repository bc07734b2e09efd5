"""Requests from bytes: the capped parser, hiredis behind its guard, and the two held together."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resp_world import request

from gossipnet.resp.limits import ARGUMENTS, BULK_BYTES, COMMAND_BYTES, INLINE_BYTES
from gossipnet.resp.parser import Oversized, ProtocolError, RequestParser, split_words
from gossipnet.resp.reader import GuardedHiredis, RequestReader

# Bits of requests, of replies that hiredis would take for some, and of nonsense.
PIECES = [
    *(b"*1\r\n", b"*2\r\n", b"*0\r\n", b"*-1\r\n", b"*-10\r\n", b"*01\r\n", b"*x\r\n"),
    *(b"$3\r\nGET\r\n", b"$1\r\nA\r\n", b"$0\r\n\r\n", b"$-1\r\n", b"$03\r\nabc\r\n"),
    *(b"$5\r\n*2~=>\r\n", b"$2\r\n\r\n\r\n", b"$1\r\nAXX", b"$9\r\nshort\r\n"),
    *(b"+PING\r\n", b":1\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(12\r\n", b"-ERR x\r\n"),
    *(b"=7\r\ntxt:abc\r\n", b"~1\r\n", b"%1\r\n", b">1\r\n", b"|1\r\n", b"!3\r\nERR\r\n"),
    *(b"PING\r\n", b"\r\n", b"\n", b'SET a "b c"\r\n', b'"\r\n'),
    *(b"*1\r\n$4\r\nPING\r\n", b"*2\r\n$3\r\nGET\r\n$3\r\nk=v\r\n"),
]
STREAMS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=9).map(b"".join)


def parsed(data: bytes, cuts: list[int]) -> tuple[list[list[bytes]], str | None]:
    """What the capped parser alone makes of it."""
    parser, commands, last = RequestParser(), [], 0
    try:
        for cut in [*cuts, len(data)]:
            parser.feed(data[last:cut])
            last = cut
            while (command := parser.next_command()) is not None:
                commands.append(command)
    except ProtocolError as error:
        return commands, str(error)
    return commands, None


def read(
    data: bytes, cuts: list[int], fast: GuardedHiredis
) -> tuple[list[list[bytes]], str | None]:
    """What the reader makes of it, hiredis where it is sure."""
    reader, commands, last = RequestReader(fast), [], 0
    for cut in [*cuts, len(data)]:
        commands += reader.feed(data[last:cut])
        last = cut
        if reader.error is not None:
            return commands, str(reader.error)
    return commands, None


@given(data=STREAMS)
def test_both_parsers_agree_at_every_split_point(data: bytes) -> None:
    fast = GuardedHiredis()
    whole = parsed(data, [])
    for cut in range(len(data) + 1):
        assert parsed(data, [cut]) == whole
        assert read(data, [cut], fast) == whole


@given(
    commands=st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=5), max_size=8),
    seed=st.integers(0, 1000),
)
def test_what_clients_write_is_read_back_in_any_pieces(
    commands: list[list[bytes]], seed: int
) -> None:
    data = b"".join(request(*command) for command in commands)
    rng = random.Random(seed)
    cuts = sorted(rng.randint(0, len(data)) for _cut in range(rng.randint(0, 6)))
    assert read(data, cuts, GuardedHiredis()) == (commands, None)
    assert parsed(data, cuts) == (commands, None)


@given(data=st.binary(max_size=200))
def test_any_bytes_at_all_end_in_commands_or_one_protocol_error(data: bytes) -> None:
    assert read(data, [], GuardedHiredis()) == parsed(data, [])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*%d\r\n" % (ARGUMENTS + 1), "invalid multibulk length"),
        (b"*2147483647\r\n", "invalid multibulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$-5\r\n", "invalid bulk length"),
        (b"*1\r\n$%d\r\n" % (BULK_BYTES + 1), "invalid bulk length"),
        (b"*1\r\nfoo\r\n", "expected '$', got 'f'"),
        (b"*1\r\n+PING\r\n", "expected '$', got '+'"),
        (b"*1\r\n\x00\r\n", "expected '$', got '\\x00'"),
        (b'SET a "b\r\n', "unbalanced quotes in request"),
        (b"x" * (INLINE_BYTES + 1), "too big inline request"),
        (b"*" + b"1" * (INLINE_BYTES + 1), "too big mbulk count string"),
        (b"*1\r\n$" + b"1" * (INLINE_BYTES + 1), "too big bulk count string"),
    ],
)
def test_protocol_errors_have_redis_texts(data: bytes, text: str) -> None:
    assert parsed(data, []) == ([], text)


def test_empty_requests_are_passed_over() -> None:
    data = b"*0\r\n*-10\r\n\r\n\n  \r\n" + request("PING")
    assert parsed(data, []) == ([[b"PING"]], None)
    assert read(data, [], GuardedHiredis()) == ([[b"PING"]], None)


def test_commands_before_an_error_still_count() -> None:
    assert read(request("PING") + b"*1\r\n:1\r\n", [], GuardedHiredis()) == (
        [[b"PING"]],
        "expected '$', got ':'",
    )


def test_a_command_that_is_too_large_is_read_past_without_being_kept() -> None:
    reader = RequestReader(GuardedHiredis())
    size = 300 * 1024 * 1024
    assert reader.feed(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % size) == [[b"", b"SET"]]
    piece = b"x" * 65536
    for _each in range(16):  # of the 300 MB: the rest is the same
        assert reader.feed(piece) == []
        assert reader.buffered == 0


def test_after_one_that_was_too_large_the_stream_goes_on() -> None:
    large = request("SET", "k", b"v" * COMMAND_BYTES)
    data = request("PING") + large + request("GET", "k")
    commands: list[list[bytes]] = []
    reader = RequestReader(GuardedHiredis())
    most = 0
    for start in range(0, len(data), 65536):
        commands += reader.feed(data[start : start + 65536])
        most = max(most, reader.buffered)
    assert commands == [[b"PING"], [b"", b"SET"], [b"GET", b"k"]]
    assert type(commands[1]) is Oversized
    assert most < COMMAND_BYTES + 65536


def test_a_header_that_announces_a_million_arguments_reserves_nothing() -> None:
    reader = RequestReader(GuardedHiredis())
    assert reader.feed(b"*1000000\r\n") == []
    assert reader.feed(b"$1\r\na\r\n" * 3) == []
    assert reader.buffered < 100


def test_one_byte_at_a_time_is_the_same() -> None:
    data = request("SET", "k", b"v\r\n" * 50) + b"PING\r\n" + request("GET", "k")
    reader = RequestReader(GuardedHiredis())
    commands = [command for byte in data for command in reader.feed(bytes([byte]))]
    assert commands == [[b"SET", b"k", b"v\r\n" * 50], [b"PING"], [b"GET", b"k"]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"SET a b", [b"SET", b"a", b"b"]),
        (b"  SET\ta\vb \v c ", [b"SET", b"a\vb", b"c"]),
        (b'SET a "b c"', [b"SET", b"a", b"b c"]),
        (b"SET a 'b c'", [b"SET", b"a", b"b c"]),
        (rb'"\x41\x4zq\n\r\t\b\a\\\""', [b'Ax4zq\n\r\t\b\a\\"']),
        (rb"'it\'s' '\n'", [b"it's", b"\\n"]),
        (b'""', [b""]),
        (b'a"b"', [b"ab"]),
        (b"a\0 b", [b"a"]),
    ],
)
def test_inline_words_are_those_of_sdssplitargs(line: bytes, words: list[bytes]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", [b'"a', b"'a", b'"a"b', b"'a'b", b'a "', b'"\\'])
def test_quotes_must_be_balanced(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="unbalanced quotes"):
        split_words(line)
