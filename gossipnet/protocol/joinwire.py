"""The messages between a newcomer and an issuer, and how their bytes are cut into frames.

Knows nothing of the order in which they are said, which is `joining`'s business.
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.trust import MAX_TRUST_BYTES
from gossipnet.protocol.wire_types import Addresses, Bytes32, Chain, Signature

ANSWER_BYTES = 64_000
"""Of one frame from issuer to newcomer: root versions and chains at their largest fit."""
REQUEST_BYTES = 1024
"""Of one frame from newcomer to issuer."""
NAME_CHARACTERS = 63
_REASON_CHARACTERS = 255

_T = TypeVar("_T")
Reason = Annotated[str, Meta(max_length=_REASON_CHARACTERS)]


class Offer(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The issuer shows itself.

    Attributes:
      root: The mesh's root versions, encoded.
      credentials: Encoded `Credentials` for the issuer's key in this handshake; their features say
        whether it could have run the hybrid one.
      refusal: Why the token is no good; empty if it is.
    """

    root: Annotated[bytes, Meta(max_length=MAX_TRUST_BYTES)]
    credentials: Annotated[bytes, Meta(max_length=16_384)]
    refusal: Reason


class JoinRequest(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The newcomer asks for a certificate; both keys sign the handshake hash and all of this.

    Attributes:
      public_key: Of the node, Ed25519.
      issuer_key: Under which the newcomer would issue certificates itself, or empty.
      name: The name it wants.
      exact: It wants no other; else the issuer may put a number behind a name that is taken.
      signature: By the node key, `Domain.JOIN`.
      issuer_signature: By the issuer key, or empty.
    """

    public_key: Bytes32
    issuer_key: Annotated[bytes, Meta(max_length=32)]
    name: Annotated[str, Meta(max_length=NAME_CHARACTERS)]
    exact: bool
    signature: Signature
    issuer_signature: Annotated[bytes, Meta(max_length=64)]


class Grant(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=1):
    """Welcome.

    Attributes:
      chain: The newcomer's certificates, leaf first.
      issuer_chain: Those of its issuer key, if the token makes it an issuer, else empty.
      addresses: Of members to dial.
    """

    chain: Chain
    issuer_chain: Chain
    addresses: Addresses


class Refusal(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=2):
    """No; ``token`` tells whether the token is to blame."""

    reason: Reason
    token: bool


encode = msgspec.msgpack.Encoder().encode
_offer = msgspec.msgpack.Decoder(Offer)
_request = msgspec.msgpack.Decoder(JoinRequest)
_answer: msgspec.msgpack.Decoder[Grant | Refusal] = msgspec.msgpack.Decoder(Grant | Refusal)


def decode_offer(data: bytes) -> Offer:
    """Raises ``RemoteProtocolError("bad-join-message")``, like the other two."""
    return _decode(_offer, data)


def decode_request(data: bytes) -> JoinRequest:
    """See `decode_offer`."""
    return _decode(_request, data)


def decode_answer(data: bytes) -> Grant | Refusal:
    """See `decode_offer`."""
    return _decode(_answer, data)


def _decode(decoder: msgspec.msgpack.Decoder[_T], data: bytes) -> _T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RemoteProtocolError("bad-join-message") from None


def sentence(reason: str) -> str:
    """A reason that fits its field and is safe to show: printable, on one line."""
    return "".join(letter for letter in reason if letter.isprintable())[:_REASON_CHARACTERS]


def request_body(
    handshake_hash: bytes, public_key: bytes, issuer_key: bytes, name: str, exact: bool
) -> bytes:
    """What both keys of a `JoinRequest` sign."""
    size, last = bytes((len(issuer_key),)), bytes((exact,))
    return b"".join((handshake_hash, public_key, size, issuer_key, last, name.encode()))


class Frames:
    """Cuts a stream into frames of at most ``largest`` bytes, keeping at most one."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._rest = bytearray()

    def add(self, data: bytes) -> None:
        """Bytes came."""
        self._rest += data

    def next(self) -> bytes | None:
        """The next whole frame.

        Raises:
          RemoteProtocolError: ``frame-too-large``; before it is kept.
        """
        rest = self._rest
        if len(rest) < 2:
            return None
        size = int.from_bytes(rest[:2], "big")
        if size > self._largest:
            raise RemoteProtocolError("frame-too-large")
        if len(rest) < size + 2:
            return None
        frame = bytes(rest[2 : size + 2])
        del rest[: size + 2]
        return frame


def framed(message: bytes) -> bytes:
    """A message with its length before it."""
    return len(message).to_bytes(2, "big") + message
