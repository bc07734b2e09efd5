"""Join tokens: one line that lets one machine in.

``gn1`` and base32: which mesh, which issuer, a token id, a secret, an end, addresses to knock at,
and a checksum, so that a slip of the pen is told from a wrong token. The secret never travels: it
becomes the pre-shared key of the join's handshake.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gossipnet.errors import TokenError
from gossipnet.ids import MeshId, NodeId

PREFIX = "gn1"
_CHECK_BYTES = 4
_TEXT_MAX = 4096


class _Wire(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    mesh_id: Annotated[bytes, Meta(min_length=32, max_length=32)]
    issuer: Annotated[bytes, Meta(min_length=32, max_length=32)]
    token_id: Annotated[bytes, Meta(min_length=16, max_length=16)]
    secret: Annotated[bytes, Meta(min_length=32, max_length=32)]
    not_after: Annotated[int, Meta(ge=0, lt=1 << 40)]
    addresses: Annotated[list[Annotated[str, Meta(max_length=260)]], Meta(max_length=8)]


_decoder = msgspec.msgpack.Decoder(_Wire)


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A token.

    Attributes:
      mesh_id: The mesh; the newcomer pins it.
      issuer: Node id of the only node that can redeem it.
      token_id: 16 bytes, public.
      secret: 32 bytes.
      not_after: Unix seconds.
      addresses: ``HOST:PORT`` to knock at.
    """

    mesh_id: MeshId
    issuer: NodeId
    token_id: bytes
    secret: bytes = field(repr=False)
    not_after: int
    addresses: tuple[str, ...]

    def encode(self) -> str:
        """One line of lower-case letters and digits."""
        body = msgspec.msgpack.encode(
            _Wire(
                self.mesh_id,
                self.issuer,
                self.token_id,
                self.secret,
                self.not_after,
                list(self.addresses[:8]),
            )
        )
        text = base64.b32encode(body + _check(body)).decode("ascii")
        return PREFIX + text.rstrip("=").lower()

    def psk(self) -> bytes:
        """The handshake's pre-shared key."""
        return derive_psk(self.secret)


def derive_psk(secret: bytes) -> bytes:
    """32 bytes: HKDF-SHA256 (RFC 5869) of a token's secret."""
    extracted = hmac.digest(b"gossipnet/v1", secret, "sha256")
    return hmac.digest(extracted, b"gossipnet join psk\x01", "sha256")


def decode_token(text: str) -> JoinToken:
    """Read a token.

    Raises:
      TokenError: It is none, or was not copied whole; the text says which.
    """
    written = "".join(text.split()).lower()
    if not written:
        raise TokenError("the token is empty: paste the line that `gossipnet invite` printed")
    if not written.startswith(PREFIX):
        raise TokenError(
            f"that is not a token of this program: it begins with {PREFIX} and is printed by "
            "`gossipnet invite`"
        )
    if len(written) > _TEXT_MAX:
        raise TokenError("the token is too long: paste only the line that was printed")
    encoded = written[len(PREFIX) :].upper()
    try:
        data = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
    except ValueError:
        raise TokenError(_NOT_WHOLE) from None
    body, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
    if len(check) != _CHECK_BYTES or not hmac.compare_digest(_check(body), check):
        raise TokenError(_NOT_WHOLE)
    try:
        wire = _decoder.decode(body)
    except msgspec.MsgspecError:
        raise TokenError(
            "the token is of a version that this program does not know: update gossipnet"
        ) from None
    return JoinToken(
        MeshId(wire.mesh_id),
        NodeId(wire.issuer),
        wire.token_id,
        wire.secret,
        wire.not_after,
        tuple(wire.addresses),
    )


_NOT_WHOLE = "the token is not whole, or was mistyped: copy the whole line once more"


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES, person=b"gossipnet-token").digest()
