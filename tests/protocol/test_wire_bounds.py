"""Every decoder answers arbitrary, nested and badly encoded bytes with one error, and cheaply."""

import tracemalloc
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol.handshake import decode_credentials
from gossipnet.protocol.joinwire import decode_answer, decode_offer, decode_request
from gossipnet.protocol.wire import (
    AnyMessage,
    decode_untrusted,
)
from gossipnet.protocol.wire_members import (
    decode_accusation_untrusted,
    decode_member_untrusted,
)
from gossipnet.state.body import (
    Body,
    decode_body_untrusted,
    encode_body,
)
from gossipnet.state.operations import (
    Set,
)
from gossipnet.state.record import parse_untrusted

DECODERS = [
    decode_untrusted,
    decode_member_untrusted,
    decode_accusation_untrusted,
    decode_credentials,
    decode_offer,
    decode_request,
    decode_answer,
    decode_body_untrusted,
    parse_untrusted,
]
TAGS = sorted(kind.__struct_config__.tag for kind in AnyMessage.__args__)


def refused(decode, data):
    with pytest.raises(RemoteProtocolError):
        decode(data)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    "head", [b"", b"\x9f", b"\x9f\x01\x01\x01\x01\x01\x01\x01", b"\xdc\xff\xff"]
)
@pytest.mark.parametrize("nest", [b"\x91", b"\x81\xa1k"])
def test_nesting_without_end_is_one_error(decode, head, nest):
    refused(decode, head + nest * 60_000)


@pytest.mark.parametrize("tag", TAGS)
def test_every_message_refuses_nesting_in_a_field_that_it_skips(tag):
    known = msgspec.msgpack.encode(tag)
    refused(decode_untrusted, b"\x9f" + known + b"\x90" * 12 + b"\x91" * 60_000)


def test_a_text_that_is_not_utf8_costs_the_peer_its_link_and_nothing_more():
    refused(decode_untrusted, b"\x93\x20\x01\xa1\xff")


@pytest.mark.parametrize("decode", DECODERS)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_never_do_anything_else(decode, data):
    with suppress(RemoteProtocolError):
        decode(data)


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    "huge", [b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\x7f\xff\xff\xff"]
)
def test_an_announced_length_reserves_no_memory(decode, huge):
    tracemalloc.start()
    try:
        for start in (b"", b"\x92\x15", b"\x93\x01", b"\x92\x12"):
            refused(decode, start + huge)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_record_with_more_in_it_than_its_version_knows_is_refused_whatever_it_is():
    """How deep a decoder may go depends on its caller; what is skipped must not decide a record."""
    body = Body([], [Set(b"k", b"v", False, [])])
    plain = msgspec.msgpack.decode(encode_body(body))
    assert decode_body_untrusted(msgspec.msgpack.encode(plain))
    refused(decode_body_untrusted, msgspec.msgpack.encode([*plain, None]))
    refused(decode_body_untrusted, msgspec.msgpack.encode([plain[0], [[*plain[1][0], [[]]]]]))
