r"""The one function that signs and the one that verifies; every Ed25519 operation is here.

Only libsodium (PyNaCl) is asked. Ed25519 verifiers disagree about signatures that no honest signer
makes (Chalkias et al., "Taming the many EdDSAs", 2020), and two replicas that disagree about one
signature never converge again. Keys are admitted only if they are points of the prime-order group.

A signature is over ``b"gossipnet/v1/" + tag + b"\0" + mesh id + body``, so that none can be taken
for one about something else or of another mesh. Knows nothing of what bodies mean.
"""

import functools
import hashlib
from collections.abc import Callable
from enum import Enum

from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from gossipnet import ids
from gossipnet.errors import BadSignature, CertificateError
from gossipnet.ids import NodeId

KEY_BYTES = 32
SEED_BYTES = 32
SIGNATURE_BYTES = 64
_MESH_ID_BYTES = 32
_ADMITTED_KEYS = 16_384


class Domain(Enum):
    """What a signature is about; the value is the tag inside the signed bytes."""

    CERTIFICATE = "certificate"
    ROOT = "root"
    BINDING = "binding"
    RECORD = "record"
    JOIN = "join"
    MEMBER = "member"
    ACCUSATION = "accusation"
    REQUEST = "request"
    RENEW = "renew"
    REVOKE = "revoke"
    FRONTIER = "frontier"
    EVENT = "event"
    RECEIPT = "receipt"
    TRACE = "trace"
    QUESTION = "question"

    def __init__(self, tag: str) -> None:
        self.prefix = b"gossipnet/v1/" + tag.encode("ascii") + b"\0"


class SecretKey:
    """An Ed25519 key that can sign. Its text form shows the public half only.

    Attributes:
      public_key: 32 bytes.
      node_id: Hash of the public key.
    """

    __slots__ = ("_signing", "node_id", "public_key")

    def __init__(self, signing: SigningKey) -> None:
        self._signing = signing
        self.public_key: bytes = bytes(signing.verify_key)
        self.node_id: NodeId = ids.node_id(self.public_key)

    @classmethod
    def from_seed(cls, seed: bytes) -> "SecretKey":
        """The key that grows from ``seed``.

        Raises:
          ValueError: The seed is not 32 bytes.
        """
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has {SEED_BYTES} bytes, not {len(seed)}")
        return cls(SigningKey(seed))

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes]) -> "SecretKey":
        """A new key; ``entropy(n)`` gives n unpredictable bytes."""
        return cls.from_seed(entropy(SEED_BYTES))

    def seed(self) -> bytes:
        """The 32 secret bytes, to be written to a key file and nowhere else."""
        return bytes(self._signing)

    def sign_raw(self, message: bytes) -> bytes:
        """For `sign` alone, which puts the domain in front."""
        return bytes(self._signing.sign(message).signature)

    def __repr__(self) -> str:
        return f"<SecretKey of {ids.short(self.node_id)}>"

    def __reduce__(self) -> str:
        raise TypeError("a secret key is not to be pickled or copied")


class _Verified:
    """Digests of signatures that were good, the oldest forgotten first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._digests: dict[bytes, None] = {}

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._digests

    def add(self, digest: bytes) -> None:
        if len(self._digests) >= self._size:
            del self._digests[next(iter(self._digests))]
        self._digests[digest] = None


_verified: _Verified | None = None


def remember_verified(size: int) -> None:
    """Let `verify` skip the arithmetic for what it has verified before in this process.

    For the simulator, where one process is a thousand nodes and each of them verifies the same
    record. Only good signatures are kept, by a hash of everything that goes into them.

    Args:
      size: How many at most, about 120 bytes each; 0 switches it off and forgets.
    """
    global _verified
    _verified = _Verified(size) if size > 0 else None


def sign(key: SecretKey, domain: Domain, mesh_id: bytes, body: bytes) -> bytes:
    """Sign ``body``; 64 bytes.

    Raises:
      ValueError: ``mesh_id`` is not 32 bytes.
    """
    return key.sign_raw(_message(domain, mesh_id, body))


def verify(
    public_key: bytes, domain: Domain, mesh_id: bytes, body: bytes, signature: bytes
) -> None:
    """Check that the holder of ``public_key`` signed exactly ``body``, about this, in this mesh.

    Admission of the key itself (`check_public_key`) is the business of whoever takes it in.

    Raises:
      BadSignature: Anything is wrong with the signature, lengths included.
    """
    _verify_message(public_key, _message(domain, mesh_id, body), signature)


def check_public_key(public_key: bytes) -> None:
    """Admit a key only if it is a point of the prime-order group, canonically written.

    Small-order keys verify one signature for many messages; mixed-order keys let verifiers differ.

    Raises:
      CertificateError: ``bad-key``.
    """
    if len(public_key) != KEY_BYTES or not _is_valid_point(public_key):
        raise CertificateError("bad-key", "not a point of Ed25519's prime-order group")


@functools.lru_cache(maxsize=_ADMITTED_KEYS)
def _is_valid_point(public_key: bytes) -> bool:
    return bool(crypto_core_ed25519_is_valid_point(public_key))


def _verify_message(public_key: bytes, message: bytes, signature: bytes) -> None:
    # Before anything else: the lengths are what lets the digest below be read in one way only.
    if len(public_key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise BadSignature("wrong length")
    digest = b""
    if _verified is not None:
        digest = hashlib.blake2b(public_key + signature + message, digest_size=32).digest()
        if digest in _verified:
            return
    try:
        VerifyKey(public_key).verify(message, signature)
    except BadSignatureError:
        raise BadSignature from None
    if _verified is not None:
        _verified.add(digest)


def _message(domain: Domain, mesh_id: bytes, body: bytes) -> bytes:
    if len(mesh_id) != _MESH_ID_BYTES:
        raise ValueError(f"a mesh id has {_MESH_ID_BYTES} bytes, not {len(mesh_id)}")
    return domain.prefix + mesh_id + body
