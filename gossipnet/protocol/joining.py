"""How a machine without a certificate gets one: Noise XXpsk3, or XXhfs+psk3, with an issuer.

The token gives the newcomer the mesh id, the issuer's node id and a secret. The preamble names the
token and the issuer in clear, so that any member can carry the bytes to the issuer without being
able to read or change them::

    newcomer -> issuer   preamble, e
    issuer -> newcomer   e, ee, s, es, `Offer`: root record, issuer's credentials, or a refusal
    newcomer -> issuer   s, se, psk; then, sealed, `JoinRequest`
    issuer -> newcomer   sealed, `Grant` or `Refusal`

Which of the two is run the token says, so nothing is negotiated: a token of an issuer that can is
redeemed by the hybrid handshake wherever the newcomer can too. Somebody in between can only make it
fail; and should the token be older than what its issuer now says of itself, the newcomer stops.

The newcomer checks root and issuer against the token before it says anything of itself. It signs
its request over the handshake hash, so a request is worth nothing in another conversation.

Knows nothing of files, of sockets, or of how tokens are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossipnet.errors import (
    JoinError,
    LocalProtocolError,
    RemoteProtocolError,
    TokenError,
    UserError,
)
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.signing import Domain, SecretKey, sign
from gossipnet.identity.token import JoinToken
from gossipnet.identity.trust import Trust
from gossipnet.ids import NodeId, node_id
from gossipnet.protocol import kem
from gossipnet.protocol.handshake import (
    FEATURE,
    PostQuantum,
    check_credentials,
    decode_credentials,
)
from gossipnet.protocol.joinwire import (
    ANSWER_BYTES,
    NAME_CHARACTERS,
    Frames,
    Grant,
    JoinRequest,
    Refusal,
    decode_answer,
    decode_offer,
    encode,
    framed,
    request_body,
    sentence,
)
from gossipnet.protocol.noise import JOIN, JOIN_HYBRID, CipherState, KeyPair, NoiseHandshake
from gossipnet.protocol.preamble import (
    ISSUER_BYTES,
    Kind,
    prologue,
    write_preamble,
)


@dataclass(frozen=True, slots=True)
class Joined:
    """What a newcomer has in hand after joining; everything in it was verified.

    Attributes:
      trust: The mesh's root record.
      chain: Its own certificates, leaf first.
      certificate: The leaf.
      issuer_chain: Certificates of its issuer key; empty unless it became an issuer.
      addresses: ``HOST:PORT`` of members to dial.
      issuer: Node id of who admitted it.
    """

    trust: Trust
    chain: tuple[bytes, ...]
    certificate: Certificate
    issuer_chain: tuple[bytes, ...]
    addresses: tuple[str, ...]
    issuer: NodeId


class Joiner:
    """The newcomer's side.

    Args:
      token: What the issuer gave to a person.
      key: The node key; the same one again when an earlier attempt got no answer.
      name: The wanted name.
      exact: Rather be refused than get another name.
      issuer_key: Under which to issue certificates, should the token make this node an issuer.
      secret: The mesh's, if it has one: a token does not carry it.
      pq: When to run the hybrid handshake.
      entropy: ``entropy(n)`` gives n unpredictable bytes.

    Raises:
      JoinError: The hybrid handshake is required, and the issuer or this machine cannot run it.

    Attributes:
      hybrid: The hybrid handshake is run.
      finished: The answer is here: `result` is set.
      result: What was gained.
    """

    def __init__(
        self,
        token: JoinToken,
        key: SecretKey,
        name: str,
        *,
        issuer_key: SecretKey | None = None,
        secret: bytes = b"",
        exact: bool = True,
        pq: PostQuantum = PostQuantum.PREFER,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._able = pq is not PostQuantum.OFF and kem.available()
        self.hybrid = self._able and token.hybrid
        if pq is PostQuantum.REQUIRE and not self.hybrid:
            raise JoinError(_NOT_HYBRID if self._able else _UNABLE)
        if len(name) > NAME_CHARACTERS:
            raise JoinError(f"the name {name!r} is longer than {NAME_CHARACTERS} characters")
        self._token = token
        self._key = key
        self._name = name
        self._exact = exact
        self._issuer_key = issuer_key
        clear = token.token_id + token.issuer[:ISSUER_BYTES]
        kind = Kind.JOIN_HYBRID if self.hybrid else Kind.JOIN
        self._noise = NoiseHandshake(
            JOIN_HYBRID if self.hybrid else JOIN,
            initiator=True,
            prologue=prologue(kind, token.mesh_id, clear),
            entropy=entropy,
            static=KeyPair.make(entropy),
            psks=(token.psk(),),
        )
        self._out = write_preamble(kind, token.mesh_id, self._noise.write(), clear, secret=secret)
        self._frames = Frames(ANSWER_BYTES)
        self._ciphers: tuple[CipherState, CipherState] | None = None
        self._trust: Trust | None = None
        self._failed = False
        self.finished = False
        self.result: Joined | None = None

    def data_to_send(self) -> bytes:
        """Bytes for the stream, empty when nothing waits."""
        data, self._out = self._out, b""
        return data

    def receive(self, data: bytes, wall: float) -> None:
        """Take bytes from the stream, cut anywhere.

        Args:
          data: As read.
          wall: Unix seconds, to judge the issuer's certificate by.

        Raises:
          TokenError: The issuer says that the token is no good.
          JoinError: It refuses for another reason, or what answered is not the issuer.
        """
        if self._failed:
            raise JoinError("this attempt to join has failed already: begin another")
        try:
            self._frames.add(data)
            while not self.finished and (frame := self._frames.next()) is not None:
                if self._ciphers is None:
                    self._take_offer(frame, wall)
                else:
                    self._take_answer(decode_answer(self._ciphers[1].decrypt(frame)))
        except RemoteProtocolError as error:
            self._failed = True
            raise JoinError(_explained(error)) from error
        except UserError:
            self._failed = True
            raise

    def end_of_stream(self) -> None:
        """The stream ended.

        Raises:
          JoinError: Before the answer came. Trying again with the same key is safe.
        """
        if not self.finished:
            raise JoinError(
                "the connection ended before the issuer answered; the member may be of another "
                "mesh or may not reach the issuer: try again, or give another member's address"
            )

    def _take_offer(self, frame: bytes, wall: float) -> None:
        token = self._token
        offer = decode_offer(self._noise.read(frame))
        trust = Trust.decode(offer.root)
        if trust.mesh_id != token.mesh_id:
            raise RemoteProtocolError("wrong-mesh")
        credentials = decode_credentials(offer.credentials)
        issuer = check_credentials(credentials, self._noise.remote_static, trust, wall)
        if node_id(issuer.subject) != token.issuer:
            raise RemoteProtocolError("wrong-issuer")
        if offer.refusal:
            raise TokenError(sentence(offer.refusal))
        if not self.hybrid and self._able and FEATURE in credentials.features:
            raise RemoteProtocolError("downgraded")
        self._trust = trust
        message = self._noise.write()
        self._ciphers = self._noise.split()
        request = self._ciphers[0].encrypt(encode(self._request()))
        self._out = framed(message) + framed(request)

    def _request(self) -> JoinRequest:
        key, second = self._key, self._issuer_key
        second_public = b"" if second is None else second.public_key
        body = request_body(
            self._noise.hash, key.public_key, second_public, self._name, self._exact
        )
        mesh = self._token.mesh_id
        return JoinRequest(
            key.public_key,
            second_public,
            self._name,
            self._exact,
            sign(key, Domain.JOIN, mesh, body),
            b"" if second is None else sign(second, Domain.JOIN, mesh, body),
        )

    def _take_answer(self, answer: Grant | Refusal) -> None:
        if isinstance(answer, Refusal):
            text = sentence(answer.reason)
            raise TokenError(text) if answer.token else JoinError(text)
        trust = self._trust
        if trust is None:
            raise LocalProtocolError("an answer before the offer")
        # No time check here: a wrong clock must not cost the token. `run` complains of the clock.
        certificate = trust.verify_chain(answer.chain, None)
        if certificate.subject != self._key.public_key:
            raise RemoteProtocolError("wrong-subject")
        if answer.issuer_chain:
            issuing = trust.verify_issuer_chain(answer.issuer_chain, None)
            if self._issuer_key is None or issuing.subject != self._issuer_key.public_key:
                raise RemoteProtocolError("wrong-subject")
        self.result = Joined(
            trust,
            tuple(answer.chain),
            certificate,
            tuple(answer.issuer_chain),
            tuple(answer.addresses),
            self._token.issuer,
        )
        self.finished = True


_APART = "the clocks of this machine and of the issuer are more than a day apart"
_NOT_HYBRID = (
    'pq = "require" is set here, and the issuer of this token runs no post-quantum handshake: set '
    'pq to "prefer" here, or at the issuer and ask for a new token'
)
_UNABLE = (
    'pq = "require" is set, and this build of the package cryptography lacks ML-KEM-768: install '
    'its wheel from the package index, or set pq to "prefer"'
)
_EXPLAINED = {
    "wrong-mesh": "what answered belongs to another mesh than the token names",
    "wrong-issuer": "what answered is not the issuer that the token names",
    "expired": "the issuer's certificate has expired, or this machine's clock is ahead",
    "not-yet-valid": "the issuer's certificate is not valid yet: is this machine's clock behind?",
    "binding-expired": _APART,
    "binding-not-yet-valid": _APART,
    "downgraded": "the issuer runs the post-quantum handshake by now, and the token does not say "
    "so: ask for a new token",
    "bad-tag": "the answer does not fit the token: it is damaged, or was not made by the issuer",
}


def _explained(error: RemoteProtocolError) -> str:
    known = _EXPLAINED.get(error.reason)
    what = known or f"what answered does not speak as an issuer does ({error})"
    return f"joining failed: {what}; nothing was changed, and the same token may be tried again"
