"""The Noise protocol framework, revision 34: one symmetric state, one handshake for all `patterns`.

Production runs four protocols, `LINK`, `HYBRID`, `JOIN` and `JOIN_HYBRID`; the other patterns are
here because the official vectors exercise this very code through them. X25519 and ChaCha20-Poly1305
come from `cryptography`, hashes from the standard library. Section numbers are those of
https://noiseprotocol.org/noise.html.

Knows nothing of certificates, frames or meshes. Whatever the peer does wrong raises
`RemoteProtocolError`.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gossipnet.errors import LocalProtocolError, RemoteProtocolError
from gossipnet.protocol.kem import CIPHERTEXT_BYTES, PUBLIC_BYTES, KemKey, encapsulate
from gossipnet.protocol.patterns import parse

LINK = "Noise_XX_25519_ChaChaPoly_BLAKE2s"
HYBRID = "Noise_XXhfs_25519+MLKEM768_ChaChaPoly_BLAKE2s"
JOIN = "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s"
JOIN_HYBRID = "Noise_XXhfs+psk3_25519+MLKEM768_ChaChaPoly_BLAKE2s"

KEY_BYTES = 32
TAG_BYTES = 16
MESSAGE_BYTES = 65_535
"""The longest Noise message (section 3)."""

_LAST_NONCE = (1 << 64) - 1
"""Reserved for `CipherState.rekey` (section 4.2): never used for a message."""

_FIELDS = {"s": KEY_BYTES, "e1": PUBLIC_BYTES, "ekem1": CIPHERTEXT_BYTES}
"""Fields that are encrypted where there is a key, and their lengths without its tag."""

_nonce = Struct("<4xQ").pack
_HASHES: dict[str, Callable[[bytes], Any]] = {"BLAKE2s": hashlib.blake2s, "SHA256": hashlib.sha256}


class KeyPair(NamedTuple):
    """An X25519 key and its public half, which costs a multiplication to find."""

    private: X25519PrivateKey
    public: bytes

    @classmethod
    def make(cls, entropy: Callable[[int], bytes]) -> Self:
        """A fresh pair from 32 unpredictable bytes."""
        return cls.from_bytes(entropy(KEY_BYTES))

    @classmethod
    def from_bytes(cls, secret: bytes) -> Self:
        """The pair whose private half is ``secret`` (32 bytes)."""
        private = X25519PrivateKey.from_private_bytes(secret)
        return cls(private, private.public_key().public_bytes_raw())


class CipherState:
    """A key and its nonce counter (section 5.1), for one direction.

    The counter moves only after success, so that a forged message changes nothing (CVE-2021-4239
    and snow's GHSA-7g9j-g5jg-3vv3 were the opposite). Without a key it passes bytes through.

    Attributes:
      nonce: Messages so far.
    """

    __slots__ = ("_cipher", "nonce")

    def __init__(self, key: bytes | None = None) -> None:
        self._cipher = None if key is None else ChaCha20Poly1305(key)
        self.nonce = 0

    @property
    def keyed(self) -> bool:
        """There is a key: output is longer than input by `TAG_BYTES`."""
        return self._cipher is not None

    def encrypt(self, plaintext: bytes, associated: bytes | None = None) -> bytes:
        """Seal one message.

        Raises:
          LocalProtocolError: 2^64 - 1 messages were sealed.
        """
        if self._cipher is None:
            return plaintext
        nonce = self.nonce
        if nonce >= _LAST_NONCE:
            raise LocalProtocolError("this direction's nonces are used up")
        sealed = self._cipher.encrypt(_nonce(nonce), plaintext, associated)
        self.nonce = nonce + 1
        return sealed

    def decrypt(self, sealed: bytes | memoryview, associated: bytes | None = None) -> bytes:
        """Open one message.

        Raises:
          RemoteProtocolError: ``bad-tag``: not sealed with this key and nonce.
        """
        if self._cipher is None:
            return bytes(sealed)
        nonce = self.nonce
        if nonce >= _LAST_NONCE:
            raise RemoteProtocolError("nonces-used-up")
        try:
            plaintext = self._cipher.decrypt(_nonce(nonce), sealed, associated)
        except InvalidTag:
            raise RemoteProtocolError("bad-tag") from None
        self.nonce = nonce + 1
        return plaintext

    def rekey(self) -> None:
        """Replace the key by one from which the old cannot be found (sections 4.2 and 11.3)."""
        if self._cipher is None:
            raise LocalProtocolError("there is no key yet")
        self._cipher = ChaCha20Poly1305(
            self._cipher.encrypt(_nonce(_LAST_NONCE), bytes(KEY_BYTES), None)[:KEY_BYTES]
        )


class SymmetricState:
    """Chaining key, handshake hash and cipher (section 5.2).

    Attributes:
      hash: ``h``: everything that both sides have seen so far.
      cipher: For the handshake's own encrypted fields.
    """

    __slots__ = ("_chaining_key", "_function", "_name", "cipher", "hash")

    def __init__(self, protocol: bytes, hash_name: str) -> None:
        self._function = _HASHES[hash_name]
        self._name = hash_name.lower()
        self.hash: bytes = (
            protocol.ljust(32, b"\0") if len(protocol) <= 32 else self._function(protocol).digest()
        )
        self._chaining_key = self.hash
        self.cipher = CipherState()

    def mix_hash(self, data: bytes) -> None:
        """Bind ``data`` into the hash."""
        self.hash = self._function(self.hash + data).digest()

    def mix_key(self, material: bytes) -> None:
        """Bind a shared secret into the key."""
        self._chaining_key, key = self._derive(material, 2)
        self.cipher = CipherState(key)

    def mix_key_and_hash(self, material: bytes) -> None:
        """Bind a pre-shared key into both."""
        self._chaining_key, middle, key = self._derive(material, 3)
        self.mix_hash(middle)
        self.cipher = CipherState(key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """Seal a field of the handshake; in clear while there is no key."""
        sealed = self.cipher.encrypt(plaintext, self.hash)
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed: bytes) -> bytes:
        """Open a field of the handshake."""
        plaintext = self.cipher.decrypt(sealed, self.hash)
        self.mix_hash(sealed)
        return plaintext

    def split(self) -> tuple[CipherState, CipherState]:
        """Keys for the messages that follow: initiator to responder, and back."""
        first, second = self._derive(b"", 2)
        return CipherState(first), CipherState(second)

    def _derive(self, material: bytes, count: int) -> list[bytes]:
        """HKDF with the chaining key as salt (section 4.3)."""
        temporary = hmac.digest(self._chaining_key, material, self._name)
        keys: list[bytes] = []
        previous = b""
        for number in range(1, count + 1):
            previous = hmac.digest(temporary, previous + bytes([number]), self._name)
            keys.append(previous)
        return keys


class NoiseHandshake:
    """One side of one handshake (section 5.3). After the first error it can only be dropped.

    Args:
      protocol: A full name such as `LINK`.
      initiator: This side speaks first.
      prologue: What both sides must agree on without saying it.
      entropy: ``entropy(n)`` gives n unpredictable bytes; the ephemeral key comes from it.
      static: This side's long-term key, where the pattern has one.
      remote_static: The other side's, where the pattern knows it beforehand.
      psks: Pre-shared keys of 32 bytes, in the order of the pattern's modifiers.

    Attributes:
      finished: All messages were exchanged: `split` may be called.
      remote_static: The other side's long-term key, once known, else empty.
    """

    def __init__(
        self,
        protocol: str,
        *,
        initiator: bool,
        prologue: bytes,
        entropy: Callable[[int], bytes],
        static: KeyPair | None = None,
        remote_static: bytes = b"",
        psks: Sequence[bytes] = (),
    ) -> None:
        pattern, hash_name, self._with_psk = parse(protocol)
        self._symmetric = SymmetricState(protocol.encode("ascii"), hash_name)
        self._symmetric.mix_hash(prologue)
        self._initiator = initiator
        self._entropy = entropy
        self._static = static
        self._ephemeral: KeyPair | None = None
        self._remote_ephemeral = b""
        self._kem: KemKey | None = None
        self._remote_kem = b""
        self._encapsulate = encapsulate
        self.remote_static = remote_static
        self._psks = list(psks)
        self._messages = pattern.messages
        self._turn = 0
        self.finished = False
        for side, tokens in ((True, pattern.initiator_pre), (False, pattern.responder_pre)):
            if tokens:
                mine = side == initiator
                self._symmetric.mix_hash(self._need(static).public if mine else remote_static)

    @property
    def hash(self) -> bytes:
        """The handshake hash: names this session once `finished` (section 11.2)."""
        return self._symmetric.hash

    def write(self, payload: bytes = b"") -> bytes:
        """The next message, carrying ``payload``.

        Raises:
          LocalProtocolError: It is not this side's turn.
          RemoteProtocolError: ``low-order-key``.
        """
        symmetric = self._symmetric
        parts: list[bytes] = []
        for word in self._begin(writing=True):
            if word == "e":
                self._ephemeral = KeyPair.make(self._entropy)
                parts.append(self._ephemeral.public)
                self._mix_ephemeral(self._ephemeral.public)
            elif word == "s":
                parts.append(symmetric.encrypt_and_hash(self._need(self._static).public))
            elif word == "e1":
                self._kem = KemKey.make(self._entropy)
                parts.append(symmetric.encrypt_and_hash(self._kem.public))
            elif word == "ekem1":
                ciphertext, secret = self._encapsulate(self._remote_kem)
                parts.append(symmetric.encrypt_and_hash(ciphertext))
                symmetric.mix_key(secret)
            else:
                self._mix_secret(word)
        parts.append(symmetric.encrypt_and_hash(payload))
        self._end()
        return b"".join(parts)

    def read(self, message: bytes) -> bytes:
        """Take the other side's next message; returns its payload.

        Raises:
          LocalProtocolError: It is this side's turn.
          RemoteProtocolError: ``short-handshake``, ``bad-tag``, ``low-order-key``.
        """
        symmetric = self._symmetric
        at = 0
        for word in self._begin(writing=False):
            if word == "e":
                self._remote_ephemeral = _field(message, at, KEY_BYTES)
                at += KEY_BYTES
                self._mix_ephemeral(self._remote_ephemeral)
            elif word in _FIELDS:
                size = _FIELDS[word] + (TAG_BYTES if symmetric.cipher.keyed else 0)
                self._take_field(word, symmetric.decrypt_and_hash(_field(message, at, size)))
                at += size
            else:
                self._mix_secret(word)
        rest = message[at:]
        if symmetric.cipher.keyed and len(rest) < TAG_BYTES:
            raise RemoteProtocolError("short-handshake")
        payload = symmetric.decrypt_and_hash(rest)
        self._end()
        return payload

    def _take_field(self, word: str, field: bytes) -> None:
        if word == "s":
            self.remote_static = field
        elif word == "e1":
            self._remote_kem = field
        elif self._kem is None:
            raise LocalProtocolError("a ciphertext without a key to open it")
        else:
            self._symmetric.mix_key(self._kem.decapsulate(field))

    def split(self) -> tuple[CipherState, CipherState]:
        """(for sending, for receiving).

        Raises:
          LocalProtocolError: The handshake is not over.
        """
        if not self.finished:
            raise LocalProtocolError("the handshake is not over")
        first, second = self._symmetric.split()
        return (first, second) if self._initiator else (second, first)

    def _begin(self, *, writing: bool) -> list[str]:
        """The tokens of the next message. The turn moves at once: an error is final."""
        turn = self._turn
        if turn >= len(self._messages) or (turn % 2 == 0) != (self._initiator == writing):
            raise LocalProtocolError("it is not this side's turn in the handshake")
        self._turn = turn + 1
        return self._messages[turn].split()

    def _end(self) -> None:
        self.finished = self._turn == len(self._messages)

    def _mix_ephemeral(self, public: bytes) -> None:
        self._symmetric.mix_hash(public)
        if self._with_psk:  # section 9.2: else a psk's first use could repeat a key
            self._symmetric.mix_key(public)

    def _mix_secret(self, word: str) -> None:
        if word == "psk":
            if not self._psks:
                raise LocalProtocolError("the pattern needs a pre-shared key")
            self._symmetric.mix_key_and_hash(self._psks.pop(0))
            return
        # The first letter names the initiator's key, the second the responder's.
        mine, theirs = word[:1], word[1:]
        if not self._initiator:
            mine, theirs = theirs, mine
        local = self._need(self._ephemeral if mine == "e" else self._static)
        remote = self._remote_ephemeral if theirs == "e" else self.remote_static
        try:
            secret = local.private.exchange(X25519PublicKey.from_public_bytes(remote))
        except ValueError:
            # The shared secret is all zero: the peer chose a point of low order.
            raise RemoteProtocolError("low-order-key") from None
        self._symmetric.mix_key(secret)

    def _need(self, pair: KeyPair | None) -> KeyPair:
        if pair is None:
            raise LocalProtocolError("the pattern needs a key that was not given")
        return pair


def _field(message: bytes, at: int, size: int) -> bytes:
    field = message[at : at + size]
    if len(field) != size:
        raise RemoteProtocolError("short-handshake")
    return field
