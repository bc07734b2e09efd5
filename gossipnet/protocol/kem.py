"""ML-KEM-768 (FIPS 203) for the hybrid handshake: one key pair and one use of it a handshake.

Comes from `cryptography`, whose own OpenSSL has it; a build against an older one does not, and
`available` says so. Decapsulation rejects implicitly: a ciphertext that is not for this key gives a
secret that nobody else has, and the handshake fails at its next tag.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from gossipnet.errors import RemoteProtocolError

SEED_BYTES = 64
PUBLIC_BYTES = 1184
CIPHERTEXT_BYTES = 1088
SECRET_BYTES = 32


class KemKey(NamedTuple):
    """A decapsulation key, and what the other side encapsulates to."""

    private: MLKEM768PrivateKey
    public: bytes

    @classmethod
    def make(cls, entropy: Callable[[int], bytes]) -> Self:
        """A fresh one from 64 unpredictable bytes (FIPS 203's d and z)."""
        private = MLKEM768PrivateKey.from_seed_bytes(entropy(SEED_BYTES))
        return cls(private, private.public_key().public_bytes_raw())

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The shared secret in a ciphertext, or a random-looking one if it is for another key.

        Raises:
          RemoteProtocolError: ``bad-kem``: it has another length.
        """
        try:
            return self.private.decapsulate(ciphertext)
        except ValueError:
            raise RemoteProtocolError("bad-kem") from None


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """(ciphertext, shared secret) for the holder of ``public``.

    Raises:
      RemoteProtocolError: ``bad-kem``: it is no such key (FIPS 203, section 7.2).
    """
    try:
        secret, ciphertext = MLKEM768PublicKey.from_public_bytes(public).encapsulate()
    except ValueError:
        raise RemoteProtocolError("bad-kem") from None
    return ciphertext, secret


@functools.cache
def available() -> bool:
    """Whether this build of `cryptography` has ML-KEM-768."""
    try:
        MLKEM768PrivateKey.from_seed_bytes(bytes(SEED_BYTES))
    except UnsupportedAlgorithm:
        return False
    return True
