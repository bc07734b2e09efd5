"""How two nodes of one mesh prove who they are to each other: Noise XX with certificates inside.

Messages 2 and 3 carry `Credentials`: the certificate chain, and the node key's signature over the
Noise static key. The static key lives as long as the process and is never stored; possession of it
is proved by the handshake itself. The dialling side learns and judges the other's credentials
before it sends its own.

Knows nothing of frames, records or sockets; `session` feeds it whole Noise messages.
"""

from collections.abc import Callable
from struct import Struct
from typing import Annotated

import msgspec
from msgspec import Meta

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.peer import Peer
from gossipnet.identity.signing import Domain, sign, verify
from gossipnet.identity.trust import Trust
from gossipnet.ids import MeshId, NodeId, node_id
from gossipnet.protocol.noise import LINK, CipherState, KeyPair, NoiseHandshake
from gossipnet.protocol.preamble import Kind, prologue
from gossipnet.protocol.wire_types import Chain, Count, Signature

BINDING_SECONDS = 86_400
"""How long a node key vouches for a transport key."""
CLOCK_SECONDS = 86_400
"""How far two clocks may differ before a binding is refused.

Generous, because a machine with a wrong clock is told so over its links, and its writes are judged
one by one; certificates keep their own, exact times.
"""
_RENEW_SECONDS = BINDING_SECONDS // 2
_PAD_BYTES = 64

_binding = Struct("!32sQ").pack


class Credentials(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The payload of handshake messages 2 and 3.

    Attributes:
      chain: Certificates, leaf first.
      not_after: When the binding ends, seconds since 1970.
      binding: Signature of the leaf's key over the sender's Noise static key and ``not_after``.
      root_version: The newest root record that the sender holds.
      padding: Zeros, so that lengths tell less about names and roles.
    """

    chain: Chain
    not_after: Count
    binding: Signature
    root_version: Count
    padding: Annotated[bytes, Meta(max_length=_PAD_BYTES)]


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Credentials] = msgspec.msgpack.Decoder(Credentials)


class Transport:
    """What all links of one process share: who this node is, and its key for Noise.

    Args:
      identity: This node. Its chain may be renewed meanwhile; later handshakes use the new one.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      secret: The mesh's, or empty; see `preamble`.

    Attributes:
      static: The process's X25519 key, never written anywhere.
      answered: First messages that were answered; each has cost a few Diffie-Hellman operations.
    """

    def __init__(
        self, identity: NodeIdentity, entropy: Callable[[int], bytes], *, secret: bytes = b""
    ) -> None:
        self.secret = secret
        self.answered = 0
        self.identity = identity
        self.entropy = entropy
        self.static = KeyPair.make(entropy)
        self._credentials = b""
        self._made_for: tuple[tuple[bytes, ...], int] = ((), -1)
        self._made_at = 0.0

    @property
    def mesh_id(self) -> MeshId:
        """The mesh that links must belong to."""
        return self.identity.trust.mesh_id

    def credentials(self, wall: float) -> bytes:
        """This side's handshake payload; signed anew every 12 hours and when the chain changes."""
        identity = self.identity
        made_for = (identity.chain, identity.trust.root_version)
        fresh = 0.0 <= wall - self._made_at < _RENEW_SECONDS
        if not fresh or made_for != self._made_for:
            self._credentials = make_credentials(identity, self.static.public, wall)
            self._made_for = made_for
            self._made_at = wall
        return self._credentials


def make_credentials(identity: NodeIdentity, static: bytes, wall: float) -> bytes:
    """Encode and sign `Credentials` for the Noise static key ``static``."""
    not_after = int(wall) + BINDING_SECONDS
    body = _binding(static, not_after)
    signature = sign(identity.key, Domain.BINDING, identity.trust.mesh_id, body)
    fields = (list(identity.chain), not_after, signature, identity.trust.root_version)
    bare = len(_encoder.encode(Credentials(*fields, b"")))
    return _encoder.encode(Credentials(*fields, bytes(-bare % _PAD_BYTES)))


def decode_credentials(payload: bytes) -> Credentials:
    """The one gate for a peer's handshake payload.

    Raises:
      RemoteProtocolError: ``bad-credentials``.
    """
    try:
        credentials = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RemoteProtocolError("bad-credentials") from None
    if any(credentials.padding):
        raise RemoteProtocolError("bad-credentials")
    return credentials


def check_credentials(
    credentials: Credentials, static: bytes, trust: Trust, wall: float
) -> Certificate:
    """Judge whether ``static`` belongs to a member of the mesh; returns its certificate.

    Raises:
      CertificateError: The chain does not hold; its reason tells expired from not-yet-valid.
      RemoteProtocolError: ``bad-signature``, ``binding-expired``, ``binding-not-yet-valid``.
    """
    certificate = trust.verify_chain(credentials.chain, wall)
    if credentials.not_after <= wall - CLOCK_SECONDS:
        raise RemoteProtocolError("binding-expired")
    if credentials.not_after > wall + BINDING_SECONDS + CLOCK_SECONDS:
        raise RemoteProtocolError("binding-not-yet-valid")
    body = _binding(static, credentials.not_after)
    verify(certificate.subject, Domain.BINDING, trust.mesh_id, body, credentials.binding)
    return certificate


class LinkHandshake:
    """One side's handshake of one link.

    Args:
      transport: This process's.
      initiator: This side dialled.
      expected: Who must answer, or None for any member.
      binding: Hash of the handshake that this one follows on the same link.

    Attributes:
      peer: Who is at the other end, once its credentials were accepted.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        initiator: bool,
        expected: NodeId | None = None,
        binding: bytes = b"",
    ) -> None:
        self._transport = transport
        self._expected = expected
        self._noise = NoiseHandshake(
            LINK,
            initiator=initiator,
            prologue=prologue(Kind.LINK, transport.mesh_id, binding),
            entropy=transport.entropy,
            static=transport.static,
        )
        self.peer: Peer | None = None

    def first(self) -> bytes:
        """Message 1; it carries nothing."""
        return self._noise.write()

    def answer(self, first_message: bytes, wall: float) -> bytes:
        """The answering side: message 2 for message 1."""
        self._transport.answered += 1
        if self._noise.read(first_message):
            raise RemoteProtocolError("bad-credentials")
        return self._noise.write(self._transport.credentials(wall))

    def conclude(self, message: bytes, wall: float) -> bytes:
        """The dialling side: message 3 for message 2, which has proved `peer`."""
        self._accept(self._noise.read(message), wall)
        return self._noise.write(self._transport.credentials(wall))

    def finish(self, message: bytes, wall: float) -> None:
        """The answering side: take message 3, which has proved `peer`."""
        self._accept(self._noise.read(message), wall)

    def split(self) -> tuple[CipherState, CipherState]:
        """(for sending, for receiving)."""
        return self._noise.split()

    @property
    def hash(self) -> bytes:
        """Names this session; both sides hold the same."""
        return self._noise.hash

    def _accept(self, payload: bytes, wall: float) -> None:
        credentials = decode_credentials(payload)
        identity = self._transport.identity
        certificate = check_credentials(
            credentials, self._noise.remote_static, identity.trust, wall
        )
        who = node_id(certificate.subject)
        if who == identity.node_id:
            raise RemoteProtocolError("self")
        if self._expected is not None and who != self._expected:
            raise RemoteProtocolError("wrong-peer")
        self.peer = Peer(
            node_id=who,
            public_key=certificate.subject,
            name=certificate.name,
            roles=certificate.roles,
            chain=tuple(credentials.chain),
            not_after=certificate.not_after,
            root_version=credentials.root_version,
        )
