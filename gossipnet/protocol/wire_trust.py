"""Messages about trust: notices that go ahead of everything else, and the renewal of certificates.

Layouts only; `wire` decodes the messages, `notices` and `renewal` know what they are for.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol.wire_types import (
    UNREADABLE,
    Bytes16,
    Bytes32,
    Chain,
    Count,
    Message,
    Signature,
    Text,
)


class NoticeIds(Message, frozen=True, tag=48):
    """First 16 bytes of the ids of all notices that the sender holds; may come before Hello."""

    ids: Annotated[list[Bytes16], Meta(max_length=32_768)]


class Notices(Message, frozen=True, tag=49):
    """Notices: for each a byte that says what kind it is, and its payload. May come before Hello.

    A link opens with `NoticeIds`; what the other side lacks is sent before anything else.
    """

    notices: Annotated[
        list[Annotated[bytes, Meta(min_length=1, max_length=400_001)]], Meta(max_length=256)
    ]


# -- renewing certificates ---------------------------------------------------------------------


class RenewBody(Struct, array_like=True, frozen=True):
    """What a member asks of an issuer, signed by each key that is to be certified anew.

    Attributes:
      issuer: Node id of who is asked: the request means nothing to anybody else.
      wall_ms: The asker's wall clock.
      nonce: Names the request.
    """

    issuer: Bytes32
    wall_ms: Count
    nonce: Bytes16


class RenewAsk(Message, frozen=True, tag=40):
    """Give me my next certificates; to an issuer, or to a peer that has a link with it.

    Attributes:
      number: The sender's, repeated in the answer.
      issuer: First 16 bytes of the issuer's node id.
      chain: The node's present certificates.
      issuer_chain: Those of its issuer key, where they are to be renewed too, or empty.
      body: A `RenewBody`.
      signature: By the node key, `Domain.RENEW`.
      issuer_signature: By the issuer key, or empty.
    """

    number: Count
    issuer: Bytes16
    chain: Chain
    issuer_chain: Chain
    body: Annotated[bytes, Meta(max_length=128)]
    signature: Signature
    issuer_signature: Annotated[bytes, Meta(max_length=64)]


class RenewAnswer(Message, frozen=True, tag=41):
    """New certificates, or in one sentence why not."""

    number: Count
    chain: Chain
    issuer_chain: Chain
    refusal: Text


_renew_decoder: msgspec.msgpack.Decoder[RenewBody] = msgspec.msgpack.Decoder(RenewBody)


def decode_renew_untrusted(body: bytes) -> RenewBody:
    """Parse the signed body of a request for renewal; raises `RemoteProtocolError`."""
    try:
        return _renew_decoder.decode(body)
    except UNREADABLE as error:
        raise RemoteProtocolError("bad-renewal", str(error)) from error
