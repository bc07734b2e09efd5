"""Replies in both protocols."""

import math
from typing import Any

import pytest

from gossipnet.resp.replies import NO_ARRAY, Error, Push, Reply, Text, encode, encode_error, plain


@pytest.mark.parametrize(
    ("reply", "resp2", "resp3"),
    [
        (b"a\r\n", b"$3\r\na\r\n\r\n", b"$3\r\na\r\n\r\n"),
        ("OK", b"+OK\r\n", b"+OK\r\n"),
        (-7, b":-7\r\n", b":-7\r\n"),
        (None, b"$-1\r\n", b"_\r\n"),
        (NO_ARRAY, b"*-1\r\n", b"_\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (3.0, b"$1\r\n3\r\n", b",3\r\n"),
        (math.inf, b"$3\r\ninf\r\n", b",inf\r\n"),
        ([b"a", 1, None], b"*3\r\n$1\r\na\r\n:1\r\n$-1\r\n", b"*3\r\n$1\r\na\r\n:1\r\n_\r\n"),
        ({b"a": [1]}, b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", b"%1\r\n$1\r\na\r\n*1\r\n:1\r\n"),
        ({b"a"}, b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
        (Text(b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
        (Push([b"a"]), b"*1\r\n$1\r\na\r\n", b">1\r\n$1\r\na\r\n"),
        ([Error("ERR no")], b"*1\r\n-ERR no\r\n", b"*1\r\n-ERR no\r\n"),
    ],
)
def test_every_type_in_both_protocols(reply: Reply, resp2: bytes, resp3: bytes) -> None:
    assert encode(reply, 2) == resp2
    assert encode(reply, 3) == resp3


def test_what_a_client_sent_cannot_break_an_error_line() -> None:
    assert encode_error("ERR unknown command 'a\r\n+OK'") == b"-ERR unknown command 'a  +OK'\r\n"


def test_text_of_the_engine_becomes_bulk_strings_wherever_it_stands() -> None:
    assert plain({"a": ["b\r\n", {"c": None}], "d": {"z", "y"}}) == {
        b"a": [b"b\r\n", {b"c": None}],
        b"d": [b"y", b"z"],
    }


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("odd", [None, 5, 1.5, b"x" * 5000, b"", Text(b"t"), [b"a"], "OK"])
def test_many_items_are_written_as_each_is_alone(count: int, protocol: int, odd: Any) -> None:
    items: list[Any] = [b"item:%d" % number for number in range(count)]
    if count:
        items[count // 2] = odd
    body = b"".join(encode(item, protocol) for item in items)
    assert encode(items, protocol) == b"*%d\r\n%b" % (count, body)
    pairs = {b"k%d" % number: item for number, item in enumerate(items)}
    flat = b"".join(encode(key, protocol) + encode(item, protocol) for key, item in pairs.items())
    head = b"%%%d\r\n" % count if protocol == 3 else b"*%d\r\n" % (2 * count)
    assert encode(pairs, protocol) == head + flat
    members = {item for item in items if isinstance(item, bytes)}
    head = b"~" if protocol == 3 else b"*"
    written = b"".join(encode(item, protocol) for item in members)
    assert encode(members, protocol) == b"%b%d\r\n%b" % (head, len(members), written)
