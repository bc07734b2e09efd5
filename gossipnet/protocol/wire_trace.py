"""Messages about where one record has arrived, asked for by TRACE and answered with a signature.

Layouts only; `wire` decodes them, `tracing` knows what they are for.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol.wire_types import UNREADABLE, Bytes16, Bytes32, Count, Message, Signature

TRACES_PER_MESSAGE = 256


class TraceBody(Struct, array_like=True, frozen=True):
    """How a record came to a node; signed with `Domain.TRACE`, bytes kept as received.

    Attributes:
      node: Who says so.
      asker: First half of the id of the node that asked.
      number: Of its question.
      state: 0 not here, 1 here, 2 here since longer than is remembered.
      source: First half of the id of the neighbour that brought it; empty for the author.
      hop: Links that it had travelled; 0 if it was fetched, or written here.
      wall_ms: The node's clock when it came.
    """

    node: Bytes32
    asker: Bytes16
    number: Count
    state: Annotated[int, Meta(ge=0, le=2)]
    source: Annotated[bytes, Meta(max_length=16)]
    hop: Annotated[int, Meta(ge=0, le=255)]
    wall_ms: Count


class SignedTrace(Struct, array_like=True, frozen=True):
    """A signed `TraceBody` on its way."""

    body: Annotated[bytes, Meta(max_length=160)]
    signature: Signature


class AskTraces(Message, frozen=True, tag=54):
    """Say how this record came to you, and ask others.

    Attributes:
      asker: First half of the id of the node that wants to know.
      number: Of its question; names the way back.
      log: Whose record.
      seq: Which.
      reach: Links that the question may still travel, this one included.
    """

    asker: Bytes16
    number: Count
    log: Bytes16
    seq: Annotated[int, Meta(ge=1, le=1 << 62)]
    reach: Annotated[int, Meta(ge=1, le=64)]


class Traces(Message, frozen=True, tag=55):
    """Answers on their way back, along the links on which the question came."""

    asker: Bytes16
    number: Count
    traces: Annotated[list[SignedTrace], Meta(max_length=TRACES_PER_MESSAGE)]


_decoder: msgspec.msgpack.Decoder[TraceBody] = msgspec.msgpack.Decoder(TraceBody)


def decode_trace_untrusted(body: bytes) -> TraceBody:
    """Parse the signed body of an answer; raises `RemoteProtocolError`."""
    try:
        return _decoder.decode(body)
    except UNREADABLE as error:
        raise RemoteProtocolError("bad-trace", str(error)) from error
