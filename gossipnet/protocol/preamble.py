"""The first bytes of every connection: what it wants, and proof that it knows this mesh's id.

Layout, once, from the side that dialled, followed by Noise message 1 in a frame::

    "GSP1" | kind | flags 0 | 0 0 | mac1 (16) | [joins: token id (16) | issuer (16)] | u16 | msg1

Kind `HYBRID` offers the hybrid handshake, and its message 1 fits the plain one too: the other side
chooses, and says which it chose in a byte ahead of message 2.

The mac is WireGuard's mac1 (Donenfeld 2017, section 5.3): BLAKE2s-128 over everything else here,
under a key made from the mesh id and, where the mesh has one, from a secret that all its members
share. It keeps scanners and strangers from causing a single Diffie-Hellman operation. Mesh ids are
no secret, so without a mesh secret it keeps out nobody who means it; with one, only members learn
what listens here. It replaces nothing: who has it still needs a certificate. All bytes but the mac
are bound into the handshake by `Preamble.prologue`.

Knows nothing of keys and certificates; needs no state.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import IntEnum

from gossipnet.errors import RemoteProtocolError
from gossipnet.ids import MeshId
from gossipnet.protocol.kem import PUBLIC_BYTES
from gossipnet.protocol.noise import KEY_BYTES, TAG_BYTES

_MAGIC = b"GSP1"
_HEAD_BYTES = 8
_MAC_BYTES = 16
TOKEN_ID_BYTES = 16
ISSUER_BYTES = 16
"""Of the issuer's node id, as in wire messages: enough to find it, too many to collide."""


class Kind(IntEnum):
    """What a connection is for."""

    LINK = 0
    JOIN = 1
    HYBRID = 2
    JOIN_HYBRID = 3

    @property
    def joins(self) -> bool:
        """Whether somebody without a certificate is there."""
        return self in (Kind.JOIN, Kind.JOIN_HYBRID)


_CLEAR_BYTES = {kind: TOKEN_ID_BYTES + ISSUER_BYTES if kind.joins else 0 for kind in Kind}
_FIRST_MESSAGE_BYTES = {
    Kind.LINK: KEY_BYTES,
    Kind.JOIN: KEY_BYTES + TAG_BYTES,
    Kind.HYBRID: KEY_BYTES + PUBLIC_BYTES,
    Kind.JOIN_HYBRID: KEY_BYTES + PUBLIC_BYTES + 2 * TAG_BYTES,
}

FIRST_FLIGHT_BYTES = max(
    _HEAD_BYTES + _MAC_BYTES + _CLEAR_BYTES[kind] + 2 + _FIRST_MESSAGE_BYTES[kind] for kind in Kind
)
"""`read_preamble` never needs more than this."""


@dataclass(frozen=True, slots=True)
class Preamble:
    """What the first bytes of a connection said.

    Attributes:
      kind: What for.
      token_id: Join: names the token; 16 bytes.
      issuer: Join: the first 16 bytes of the node id of the issuer that minted it.
      first_message: Noise message 1.
      size: Bytes that all this took, the first message's frame included.
    """

    kind: Kind
    token_id: bytes
    issuer: bytes
    first_message: bytes
    size: int

    def prologue(self, mesh_id: MeshId) -> bytes:
        """What both ends bind into the Noise handshake."""
        return prologue(self.kind, mesh_id, self.token_id + self.issuer)


def prologue(kind: Kind, mesh_id: MeshId, clear: bytes = b"") -> bytes:
    """The Noise prologue: every byte that was said, or taken for granted, before message 1."""
    return b"gossipnet/1\0" + mesh_id + _head(kind) + clear


def write_preamble(
    kind: Kind, mesh_id: MeshId, first_message: bytes, clear: bytes = b"", *, secret: bytes = b""
) -> bytes:
    """The first flight.

    Args:
      kind: What for.
      mesh_id: Of which mesh.
      first_message: Noise message 1.
      clear: Join: token id and issuer.
      secret: The mesh's, if it has one.
    """
    head = _head(kind)
    mac = _mac(mesh_id, secret, head + clear + first_message)
    return b"".join((head, mac, clear, len(first_message).to_bytes(2, "big"), first_message))


def read_kind(data: bytes) -> Kind | None:
    """What a connection is for, by its first 8 bytes; None while they are not all there.

    Raises:
      RemoteProtocolError: ``not-gossipnet``, at the first wrong byte; ``unknown-kind``.
    """
    if data[:4] != _MAGIC[: len(data)]:
        raise RemoteProtocolError("not-gossipnet")
    if len(data) < _HEAD_BYTES:
        return None
    if data[4] not in _CLEAR_BYTES or data[5:_HEAD_BYTES] != b"\0\0\0":
        raise RemoteProtocolError("unknown-kind")
    return Kind(data[4])


def read_preamble(data: bytes, mesh_id: MeshId, secret: bytes = b"") -> Preamble | None:
    """Judge the first bytes of a connection.

    Returns:
      None while more bytes are needed; never once `FIRST_FLIGHT_BYTES` are there.

    Raises:
      RemoteProtocolError: As `read_kind`; ``bad-handshake-frame``; ``wrong-mesh``, without the
        mesh's secret, or damaged on the way.
    """
    kind = read_kind(data)
    if kind is None:
        return None
    clear_at = _HEAD_BYTES + _MAC_BYTES
    frame_at = clear_at + _CLEAR_BYTES[kind]
    size = frame_at + 2 + _FIRST_MESSAGE_BYTES[kind]
    if len(data) < size:
        return None
    if int.from_bytes(data[frame_at : frame_at + 2], "big") != _FIRST_MESSAGE_BYTES[kind]:
        raise RemoteProtocolError("bad-handshake-frame")
    clear = bytes(data[clear_at:frame_at])
    first_message = bytes(data[frame_at + 2 : size])
    mac = _mac(mesh_id, secret, data[:_HEAD_BYTES] + clear + first_message)
    if not hmac.compare_digest(mac, data[_HEAD_BYTES:clear_at]):
        raise RemoteProtocolError("wrong-mesh")
    return Preamble(kind, clear[:TOKEN_ID_BYTES], clear[TOKEN_ID_BYTES:], first_message, size)


def _head(kind: Kind) -> bytes:
    return _MAGIC + bytes((kind, 0, 0, 0))


def _mac(mesh_id: MeshId, secret: bytes, data: bytes) -> bytes:
    # As a key, a secret of any length becomes 32 bytes; empty, it is no key at all.
    hidden = hashlib.blake2s(b"gossipnet mesh secret" + secret).digest() if secret else b""
    key = hashlib.blake2s(b"gossipnet mac1" + mesh_id, key=hidden).digest()
    return hashlib.blake2s(data, key=key, digest_size=_MAC_BYTES).digest()
