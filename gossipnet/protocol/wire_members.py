"""What members say of themselves and of each other, signed, and the gates that decode it.

The messages that carry these statements are in `wire`. Nothing here decides anything.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol.wire_types import (
    UNREADABLE,
    Addresses,
    Bytes16,
    Bytes32,
    Chain,
    Count,
    Place,
    Signature,
)


class MemberBody(Struct, array_like=True, frozen=True):
    """What a member says of itself; signed with `Domain.MEMBER`, bytes kept as received.

    Attributes:
      version: Of this layout.
      node: Its id.
      incarnation: Raised at every start and to refute an accusation; only the subject can.
      serial: Counts changes within one incarnation.
      status: 0 alive, 1 away (back soon), 2 left.
      addresses: ``HOST:PORT`` to dial, best first.
      neighbours: First 16 bytes of the ids of the peers it holds links with: its observers.
      dialable: Whether others can connect to it.
      zone: Name of its zone, or empty.
      software: Version of the program.
      certificate: First 16 bytes of the fingerprint of its certificate, so that whoever holds an
        older one knows to ask for the chain.
      root: The newest version of the mesh's root that it knows.
      place: Its network coordinate, see `vivaldi`, or empty.
    """

    version: Count
    node: Bytes32
    incarnation: Count
    serial: Count
    status: Annotated[int, Meta(ge=0, le=2)]
    addresses: Addresses
    neighbours: Annotated[list[Bytes16], Meta(max_length=64)]
    dialable: bool
    zone: Annotated[str, Meta(max_length=63)]
    software: Annotated[str, Meta(max_length=31)]
    certificate: Annotated[bytes, Meta(max_length=16)] = b""
    root: Count = 1
    place: Place = []


class MemberEntry(Struct, array_like=True, frozen=True):
    """A member record on its way: signed body, signature, and the chain unless both know it."""

    body: Annotated[bytes, Meta(max_length=4096)]
    signature: Signature
    chain: Chain


class AccusationBody(Struct, array_like=True, frozen=True):
    """An observer says that one incarnation of a member is gone; signed, `Domain.ACCUSATION`.

    Attributes:
      accuser: Node id of the observer.
      subject: Node id of the accused.
      incarnation: The incarnation that is accused; a higher one refutes.
      evidence: 1 stream lost and redial refused, 2 silence, 3 unreachable.
      wall_ms: The accuser's wall clock, for people.
    """

    accuser: Bytes32
    subject: Bytes32
    incarnation: Count
    evidence: Annotated[int, Meta(ge=1, le=3)]
    wall_ms: Count


class Accusation(Struct, array_like=True, frozen=True):
    """A signed `AccusationBody`."""

    body: Annotated[bytes, Meta(max_length=256)]
    signature: Signature


_member_decoder: msgspec.msgpack.Decoder[MemberBody] = msgspec.msgpack.Decoder(MemberBody)
_accusation_decoder: msgspec.msgpack.Decoder[AccusationBody] = msgspec.msgpack.Decoder(
    AccusationBody
)


def decode_member_untrusted(body: bytes) -> MemberBody:
    """Parse the signed body of a member record; raises `RemoteProtocolError`."""
    try:
        return _member_decoder.decode(body)
    except UNREADABLE as error:
        raise RemoteProtocolError("bad-member-record", str(error)) from error


def decode_accusation_untrusted(body: bytes) -> AccusationBody:
    """Parse the signed body of an accusation; raises `RemoteProtocolError`."""
    try:
        return _accusation_decoder.decode(body)
    except UNREADABLE as error:
        raise RemoteProtocolError("bad-accusation", str(error)) from error
