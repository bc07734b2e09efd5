"""How two nodes of one mesh prove who they are to each other: Noise XX with certificates inside.

Two sorts of it are run, chosen as `PostQuantum` says: plain XX, and the hybrid XXhfs, in which an
ML-KEM-768 secret is mixed into the keys beside the Diffie-Hellman ones.

Messages 2 and 3 carry `Credentials`: the certificate chain, and the node key's signature over the
Noise static key. The static key lives as long as the process and is never stored; possession of it
is proved by the handshake itself. The dialling side learns and judges the other's credentials
before it sends its own.

Knows nothing of frames, records or sockets; `session` feeds it whole Noise messages.
"""

from collections.abc import Callable
from enum import StrEnum
from struct import Struct
from typing import Annotated

import msgspec
from msgspec import Meta

from gossipnet.errors import LocalProtocolError, RemoteProtocolError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.peer import Peer
from gossipnet.identity.signing import Domain, sign, verify
from gossipnet.identity.trust import Trust
from gossipnet.ids import MeshId, NodeId, node_id
from gossipnet.protocol import kem
from gossipnet.protocol.noise import (
    HYBRID,
    KEY_BYTES,
    LINK,
    CipherState,
    KeyPair,
    NoiseHandshake,
)
from gossipnet.protocol.preamble import Kind, prologue
from gossipnet.protocol.wire_types import Chain, Count, Signature

BINDING_SECONDS = 86_400
"""How long a node key vouches for a transport key."""
CLOCK_SECONDS = 86_400
"""How far two clocks may differ before a binding is refused.

Generous, because a machine with a wrong clock is told so over its links, and its writes are judged
one by one; certificates keep their own, exact times.
"""
FEATURE = "hybrid"
"""In `Credentials.features`: the sender runs the hybrid handshake with whoever does too."""
FEATURES_MAX = 8
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
      features: What the sender could have run: ``hybrid``.
      padding: Zeros, so that lengths tell less about names and roles.
    """

    chain: Chain
    not_after: Count
    binding: Signature
    root_version: Count
    features: Annotated[
        tuple[Annotated[str, Meta(max_length=16)], ...], Meta(max_length=FEATURES_MAX)
    ]
    padding: Annotated[bytes, Meta(max_length=_PAD_BYTES)]


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Credentials] = msgspec.msgpack.Decoder(Credentials)


class PostQuantum(StrEnum):
    """When a link's keys must not depend on elliptic curves alone."""

    OFF = "off"
    """Never: smaller and faster by a little."""
    PREFER = "prefer"
    """Whenever both sides can; a link on which something prevented it is refused."""
    REQUIRE = "require"
    """Always: peers that cannot are refused."""


class Transport:
    """What all links of one process share: who this node is, and its key for Noise.

    Args:
      identity: This node. Its chain may be renewed meanwhile; later handshakes use the new one.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      secret: The mesh's, or empty; see `preamble`.
      pq: When to run the hybrid handshake.

    Attributes:
      hybrid: It is offered, and taken when offered.
      static: The process's X25519 key, never written anywhere.
      floor: Gives the time before which it cannot be (unix seconds), to judge certificates by.
      answered: First messages that were answered; each has cost a few Diffie-Hellman operations.
    """

    def __init__(
        self,
        identity: NodeIdentity,
        entropy: Callable[[int], bytes],
        *,
        secret: bytes = b"",
        pq: PostQuantum = PostQuantum.PREFER,
    ) -> None:
        self.secret = secret
        self.pq = pq
        self.hybrid = pq is not PostQuantum.OFF and kem.available()
        self.floor: Callable[[], float] = float
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
            features = (FEATURE,) if self.hybrid else ()
            self._credentials = make_credentials(identity, self.static.public, wall, features)
            self._made_for = made_for
            self._made_at = wall
        return self._credentials


def make_credentials(
    identity: NodeIdentity, static: bytes, wall: float, features: tuple[str, ...] = ()
) -> bytes:
    """Encode and sign `Credentials` for the Noise static key ``static``."""
    not_after = int(wall) + BINDING_SECONDS
    body = _binding(static, not_after)
    signature = sign(identity.key, Domain.BINDING, identity.trust.mesh_id, body)
    root_version = identity.trust.root_version
    fields = (list(identity.chain), not_after, signature, root_version, features)
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
    credentials: Credentials,
    static: bytes,
    trust: Trust,
    wall: float,
    trusted: float | None = None,
) -> Certificate:
    """Judge whether ``static`` belongs to a member of the mesh; returns its certificate.

    Args:
      credentials: The peer's.
      static: Its Noise static key.
      trust: The mesh.
      wall: Unix seconds by this machine's clock, for the binding.
      trusted: Unix seconds to judge certificates by; ``wall`` if None.

    Raises:
      CertificateError: The chain does not hold; its reason tells expired from not-yet-valid.
      RemoteProtocolError: ``bad-signature``, ``binding-expired``, ``binding-not-yet-valid``.
    """
    # Of whatever version of the root: whom the newest withdrew is told so by the engine, and may
    # know of a newer one yet.
    certificate = trust.verify_past_chain(credentials.chain, wall if trusted is None else trusted)
    if credentials.not_after <= wall - CLOCK_SECONDS:
        raise RemoteProtocolError("binding-expired")
    if credentials.not_after > wall + BINDING_SECONDS + CLOCK_SECONDS:
        raise RemoteProtocolError("binding-not-yet-valid")
    body = _binding(static, credentials.not_after)
    verify(certificate.subject, Domain.BINDING, trust.mesh_id, body, credentials.binding)
    return certificate


class LinkHandshake:
    """One side's handshake of one link.

    Where this process may, it offers the hybrid handshake, and takes it when offered. What was run
    is bound into the transcript by protocol name and prologue; that both sides could have run the
    hybrid one and did not is found by what their credentials say, which no one between can change.

    Args:
      transport: This process's.
      initiator: This side dialled.
      expected: Who must answer, or None for any member.
      binding: Hash of the handshake that this one follows on the same link.

    Attributes:
      kind: What the dialling side offers.
      hybrid: The hybrid handshake was chosen.
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
        self._initiator = initiator
        self._expected = expected
        self._binding = binding
        self._ephemeral = b""
        self._kem_key = b""
        self._noise: NoiseHandshake | None = None
        self.kind = Kind.HYBRID if transport.hybrid else Kind.LINK
        self.hybrid = transport.hybrid
        self.peer: Peer | None = None

    def _begin(self, entropy: Callable[[int], bytes], kem_key: bytes = b"") -> NoiseHandshake:
        """A fresh one of the chosen sort; ``kem_key`` was offered beside it and is not used."""
        transport = self._transport
        self._noise = NoiseHandshake(
            HYBRID if self.hybrid else LINK,
            initiator=self._initiator,
            prologue=prologue(self.kind, transport.mesh_id, self._binding + kem_key),
            entropy=entropy,
            static=transport.static,
        )
        return self._noise

    def first(self) -> bytes:
        """Message 1; it carries nothing."""
        self._ephemeral = self._transport.entropy(KEY_BYTES)
        message = self._begin(_begun_with(self._ephemeral, self._transport.entropy)).write()
        self._kem_key = message[KEY_BYTES:]
        return message

    def answer(self, kind: Kind, first_message: bytes, wall: float) -> bytes:
        """The answering side: message 2 for message 1.

        Raises:
          RemoteProtocolError: ``pq-required``: nothing was computed yet.
        """
        transport = self._transport
        if kind is not Kind.HYBRID and transport.pq is PostQuantum.REQUIRE:
            raise RemoteProtocolError("pq-required")
        transport.answered += 1
        self.kind = kind
        self.hybrid = kind is Kind.HYBRID and transport.hybrid
        if self.hybrid or kind is not Kind.HYBRID:
            noise = self._begin(transport.entropy)
        else:
            first_message, kem_key = first_message[:KEY_BYTES], first_message[KEY_BYTES:]
            noise = self._begin(transport.entropy, kem_key)
        if noise.read(first_message):
            raise RemoteProtocolError("bad-credentials")
        message = noise.write(transport.credentials(wall))
        return bytes((self.hybrid,)) + message if kind is Kind.HYBRID else message

    def conclude(self, message: bytes, wall: float) -> bytes:
        """The dialling side: message 3 for message 2, which has proved `peer`."""
        if self.kind is Kind.HYBRID:
            choice, message = message[:1], message[1:]
            if choice == b"\0":
                self._fall_back()
            elif choice != b"\1":
                raise RemoteProtocolError("bad-choice")
        noise = self._started()
        self._accept(noise.read(message), wall)
        return noise.write(self._transport.credentials(wall))

    def _fall_back(self) -> None:
        """The other side runs no hybrid handshake: go on with the plain one.

        The ephemeral key is the one that was sent; this handshake is the only one that uses it.
        """
        if self._transport.pq is PostQuantum.REQUIRE:
            raise RemoteProtocolError("pq-required")
        self.hybrid = False
        ephemeral = self._ephemeral
        self._begin(lambda _size: ephemeral, self._kem_key).write()

    def _started(self) -> NoiseHandshake:
        if self._noise is None:
            raise LocalProtocolError("the handshake has not begun")
        return self._noise

    def finish(self, message: bytes, wall: float) -> None:
        """The answering side: take message 3, which has proved `peer`."""
        self._accept(self._started().read(message), wall)

    def split(self) -> tuple[CipherState, CipherState]:
        """(for sending, for receiving)."""
        return self._started().split()

    @property
    def hash(self) -> bytes:
        """Names this session; both sides hold the same."""
        return self._started().hash

    def _accept(self, payload: bytes, wall: float) -> None:
        credentials = decode_credentials(payload)
        identity = self._transport.identity
        certificate = check_credentials(
            credentials,
            self._started().remote_static,
            identity.trust,
            wall,
            max(wall, self._transport.floor()),
        )
        who = node_id(certificate.subject)
        if who == identity.node_id:
            raise RemoteProtocolError("self")
        if self._expected is not None and who != self._expected:
            raise RemoteProtocolError("wrong-peer")
        if not self.hybrid and self._transport.hybrid and FEATURE in credentials.features:
            raise RemoteProtocolError("downgraded")
        self.peer = Peer(
            node_id=who,
            public_key=certificate.subject,
            name=certificate.name,
            roles=certificate.roles,
            chain=tuple(credentials.chain),
            not_after=certificate.not_after,
            root_version=credentials.root_version,
            hybrid=self.hybrid,
        )


def _begun_with(first: bytes, entropy: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Entropy whose first answer is known."""
    known = [first]
    return lambda size: known.pop() if known else entropy(size)
