"""The issuer's side of a join; `joining` tells what is said, and is the newcomer's side.

Knows nothing of sockets or relays, and keeps no tokens: the book of invitations does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gossipnet.errors import (
    JoinError,
    RemoteProtocolError,
    TokenError,
    UserError,
)
from gossipnet.identity.enrolment import Certified, certify
from gossipnet.identity.invitations import Invitation, Invitations
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import Domain, check_public_key, verify
from gossipnet.ids import NodeId, node_id
from gossipnet.protocol import kem
from gossipnet.protocol.handshake import FEATURE, PostQuantum, make_credentials
from gossipnet.protocol.joinwire import (
    REQUEST_BYTES,
    Frames,
    Grant,
    JoinRequest,
    Offer,
    Refusal,
    decode_request,
    encode,
    framed,
    request_body,
    sentence,
)
from gossipnet.protocol.noise import JOIN, JOIN_HYBRID, CipherState, KeyPair, NoiseHandshake
from gossipnet.protocol.preamble import (
    ISSUER_BYTES,
    Kind,
    read_preamble,
)

Naming = Callable[[NodeId, str, bool], str]
_PLAIN = (
    'this mesh wants post-quantum handshakes (pq = "require" at its issuer): set pq to "prefer" on '
    "the new machine, with a package cryptography that has ML-KEM-768, and a token made since"
)


@dataclass(frozen=True, slots=True)
class Granted:
    """Whom an issuer admitted."""

    node_id: NodeId
    public_key: bytes
    name: str
    chain: tuple[bytes, ...]


class JoinAnswer:
    """The issuer's side of one conversation, whether direct or relayed.

    Using up a token changes the book (`Invitations.take_changes`); those changes must be durable
    before the last word, the one with which `finished` becomes true, leaves the node.

    Args:
      identity: This node, which must be an issuer.
      invitations: Its book of tokens.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      addresses: Of members, for the newcomer to dial; at most 8.
      secret: The mesh's, or empty; see `preamble`.
      refusal: Why a key may not be certified, or empty.
      naming: The name for a key that wants one, exactly or about; raises `JoinError`.
      pq: Whether a plain handshake is refused. A hybrid one is taken wherever it can be run.

    Attributes:
      token_id: Which token the newcomer holds; empty until it has said so.
      finished: The last word is in `data_to_send`.
      result: Who was admitted.
    """

    def __init__(
        self,
        identity: NodeIdentity,
        invitations: Invitations,
        entropy: Callable[[int], bytes],
        addresses: Sequence[str] = (),
        secret: bytes = b"",
        refusal: Callable[[NodeId], str] = lambda _node: "",
        naming: Naming = lambda _node, wanted, _exact: wanted,
        pq: PostQuantum = PostQuantum.PREFER,
    ) -> None:
        self._identity = identity
        self._invitations = invitations
        self._entropy = entropy
        self._addresses = addresses
        self._secret = secret
        self._refusal = refusal
        self._naming = naming
        self._pq = pq
        self._first_flight: bytearray | None = bytearray()
        self._frames = Frames(REQUEST_BYTES)
        self._noise: NoiseHandshake | None = None
        self._ciphers: tuple[CipherState, CipherState] | None = None
        self.token_id = b""
        self._out = b""
        self._failed = False
        self.finished = False
        self.result: Granted | None = None

    def data_to_send(self) -> bytes:
        """Bytes for the stream, empty when nothing waits."""
        data, self._out = self._out, b""
        return data

    def receive(self, data: bytes, wall: float) -> None:
        """Take bytes from the newcomer, cut anywhere, the preamble included.

        Args:
          data: As received.
          wall: Unix seconds.

        Raises:
          TokenError: The token is unknown, expired or used up.
          UserError: The newcomer was refused for another reason that a person can understand.
          RemoteProtocolError: It said something illegal, or does not hold the token's secret.
            In each case end the conversation after sending `data_to_send`, which tells why.
        """
        if self._failed or self.finished:
            raise RemoteProtocolError("after-close")
        try:
            if self._first_flight is not None:
                self._first_flight += data
                data = self._open(bytes(self._first_flight), wall)
            self._frames.add(data)
            while (frame := self._frames.next()) is not None:
                self._take(frame, wall)
                if self.finished:
                    break
        except (RemoteProtocolError, UserError):
            self._failed = True
            raise

    def _open(self, data: bytes, wall: float) -> bytes:
        """Answer the first flight once it is complete; returns the bytes after it."""
        mesh_id = self._identity.trust.mesh_id
        preamble = read_preamble(data, mesh_id, self._secret)
        if preamble is None:
            return b""
        hybrid = preamble.kind is Kind.JOIN_HYBRID
        if not preamble.kind.joins or (hybrid and not kem.available()):
            raise RemoteProtocolError("unknown-kind")
        if preamble.issuer != self._identity.node_id[:ISSUER_BYTES]:
            raise RemoteProtocolError("wrong-issuer")
        self._first_flight = None
        self.token_id = preamble.token_id
        psk = b""
        refusal: UserError | None = None
        try:
            psk = self._invitations.psk_of(preamble.token_id, wall)
        except TokenError as error:
            refusal = error
        if not hybrid and self._pq is PostQuantum.REQUIRE:
            refusal = JoinError(_PLAIN)
        static = KeyPair.make(self._entropy)
        self._noise = NoiseHandshake(
            JOIN_HYBRID if hybrid else JOIN,
            initiator=False,
            prologue=preamble.prologue(mesh_id),
            entropy=self._entropy,
            static=static,
            psks=(psk,),
        )
        if self._noise.read(preamble.first_message):
            raise RemoteProtocolError("bad-join-message")
        able = self._pq is not PostQuantum.OFF and kem.available()
        features = (FEATURE,) if able else ()
        offer = Offer(
            self._identity.trust.encode(),
            make_credentials(self._identity, static.public, wall, features),
            "" if refusal is None else sentence(str(refusal)),
        )
        self._out = framed(self._noise.write(encode(offer)))
        if refusal is not None:
            raise refusal
        return data[preamble.size :]

    def _take(self, frame: bytes, wall: float) -> None:
        noise = self._noise
        if noise is None:
            raise RemoteProtocolError("bad-join-message")
        if self._ciphers is None:
            if noise.read(frame):
                raise RemoteProtocolError("bad-join-message")
            self._ciphers = noise.split()
            return
        sending, receiving = self._ciphers
        request = decode_request(receiving.decrypt(frame))
        try:
            answer = self._grant(request, noise.hash, wall)
        except UserError as error:
            refusal = Refusal(sentence(str(error)), isinstance(error, TokenError))
            self._out = framed(sending.encrypt(encode(refusal)))
            raise
        self._out = framed(sending.encrypt(encode(answer)))
        self.finished = True

    def _grant(self, request: JoinRequest, handshake_hash: bytes, wall: float) -> Grant:
        """Judge a request and use up the token for it."""
        mesh_id = self._identity.trust.mesh_id
        key, second = request.public_key, request.issuer_key
        body = request_body(handshake_hash, key, second, request.name, request.exact)
        check_public_key(key)
        verify(key, Domain.JOIN, mesh_id, body, request.signature)
        if second:
            check_public_key(second)
            verify(second, Domain.JOIN, mesh_id, body, request.issuer_signature)
        refusal = self._refusal(node_id(key))
        if refusal:
            raise JoinError(refusal)
        issuer = self._identity.issuer
        if issuer is None:
            raise JoinError(f"{self._identity.name} may not let anybody in any more")

        name = self._naming(node_id(key), request.name, request.exact)

        def issue(invitation: Invitation) -> Certified:
            return certify(
                issuer,
                key,
                second,
                name,
                role=invitation.role,
                asked=invitation.asked,
                wall=wall,
                entropy=self._entropy,
            )

        certified = self._invitations.redeem(self.token_id, key, name, wall, issue)
        chain, issuer_chain = certified.chain, certified.issuer_chain
        self.result = Granted(node_id(key), key, name, chain)
        return Grant(list(chain), list(issuer_chain), list(self._addresses[:8]))
