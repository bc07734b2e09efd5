"""Join tokens: one line that lets one machine in.

``gn1`` and base32 of ``length u16 | body | checksum 4``. The body says which mesh, which issuer, a
token id, a secret, an end and addresses to knock at. Length and checksum tell a line that was not
copied whole from one that was mistyped. The secret never travels: it becomes the pre-shared key of
the join's handshake.
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
ADDRESSES_MAX = 8
SECRET_BYTES = 32
TOKEN_ID_BYTES = 16
_CHECK_BYTES = 4
_TEXT_MAX = 4096
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")


class _Wire(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    mesh_id: Annotated[bytes, Meta(min_length=32, max_length=32)]
    issuer: Annotated[bytes, Meta(min_length=32, max_length=32)]
    token_id: Annotated[bytes, Meta(min_length=TOKEN_ID_BYTES, max_length=TOKEN_ID_BYTES)]
    secret: Annotated[bytes, Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]
    not_after: Annotated[int, Meta(ge=0, lt=1 << 40)]
    addresses: Annotated[
        # Printed when they are dialled, so nothing that could move a terminal's cursor.
        list[Annotated[str, Meta(max_length=260, pattern=r"\A[!-~]+\Z")]],
        Meta(max_length=ADDRESSES_MAX),
    ]
    hybrid: bool


_decoder = msgspec.msgpack.Decoder(_Wire)


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A token.

    Attributes:
      mesh_id: The mesh; the newcomer pins it.
      issuer: Node id of the only node that can redeem it.
      token_id: 16 bytes, public.
      secret: 32 bytes; left out of comparisons, which would tell it byte by byte.
      not_after: Unix seconds.
      addresses: ``HOST:PORT`` to knock at.
      hybrid: The issuer runs the hybrid post-quantum handshake; whoever brought the token said so,
        and nobody on the network can take it back.
    """

    mesh_id: MeshId
    issuer: NodeId
    token_id: bytes
    secret: bytes = field(repr=False, compare=False)
    not_after: int
    addresses: tuple[str, ...]
    hybrid: bool = False

    def encode(self) -> str:
        """One line of lower-case letters and digits."""
        body = msgspec.msgpack.encode(
            _Wire(
                self.mesh_id,
                self.issuer,
                self.token_id,
                self.secret,
                self.not_after,
                list(self.addresses[:ADDRESSES_MAX]),
                self.hybrid,
            )
        )
        return PREFIX + _base32(len(body).to_bytes(2, "big") + body + _check(body))

    def psk(self) -> bytes:
        """The handshake's pre-shared key."""
        return derive_psk(self.secret)


def derive_psk(secret: bytes) -> bytes:
    """32 bytes: HKDF-SHA256 (RFC 5869) of a token's secret."""
    extracted = hmac.digest(b"gossipnet/v1", secret, "sha256")
    return hmac.digest(extracted, b"gossipnet join psk\x01", "sha256")


def decode_token(text: str) -> JoinToken:
    """Read a token.

    Args:
      text: As pasted; white space in it and capitals do no harm.

    Raises:
      TokenError: It is none, or was cut short, or mistyped, or is a newer program's.
    """
    if len(text) > 2 * _TEXT_MAX:
        raise TokenError("the token is too long: paste only the line that was printed")
    written = "".join(text.split()).lower()
    if not written:
        raise TokenError("the token is empty: paste the line that `gossipnet invite` printed")
    if not written.startswith(PREFIX):
        raise TokenError(_foreign(written))
    body = _body(written[len(PREFIX) :])
    try:
        wire = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
        wire.hybrid,
    )


def _foreign(written: str) -> str:
    if len(written) > 2 and written[:2] == "gn" and written[2].isdecimal():
        return "the token was made by a newer gossipnet: update this one"
    return (
        f"that is not a join token of gossipnet: one begins with {PREFIX} and is printed by "
        "`gossipnet invite`"
    )


def _body(encoded: str) -> bytes:
    """What is between length and checksum, which must both be right."""
    wrong = next((letter for letter in encoded if letter not in _ALPHABET), None)
    if wrong is not None:
        raise TokenError(f"the token is mistyped: {wrong!r} cannot be in one; copy it once more")
    data = base64.b32decode(_whole_bytes(encoded).upper())
    if len(data) < 2:
        raise TokenError(_CUT)
    size = int.from_bytes(data[:2], "big") + 2
    body, check = data[2:size], data[size:]
    if len(data) < size + _CHECK_BYTES:
        # A mistyped length may look like this too, and the remedy is the same.
        raise TokenError(_CUT)
    if len(data) > size + _CHECK_BYTES:
        raise TokenError("the token goes on after its end: paste only the line that was printed")
    if not hmac.compare_digest(_check(body), check) or _base32(data) != encoded:
        raise TokenError("the token is mistyped: copy the whole line once more")
    return body


def _whole_bytes(encoded: str) -> str:
    """Without a last letter that completes no byte, padded as `base64` wants it."""
    if len(encoded) % 8 in (1, 3, 6):
        encoded = encoded[:-1]
    return encoded + "=" * (-len(encoded) % 8)


_CUT = "the token is cut short: copy the whole line that `gossipnet invite` printed"


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES, person=b"gossipnet-token").digest()
