"""How a secret key is written down: a few lines of text that say what they are, and a check line.

A seed is written plainly (a node must start unattended) or under a passphrase (the root key).
The check line tells a damaged file from a wrong passphrase. Knows nothing of paths and modes.
"""

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Callable

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from gossipnet.errors import IdentityError
from gossipnet.identity.signing import SEED_BYTES, SecretKey

MAX_KEY_FILE_BYTES = 2048

KDF_OPS = 3
KDF_MEMORY = 64 * 1024 * 1024
"""RFC 9106, section 4, second recommendation in memory and passes; a fifth of a second."""
_MAX_OPS = 16
_MAX_MEMORY = 512 * 1024 * 1024
"""A file must not be able to ask for more: it may come from anywhere."""
_MAX_PASSPHRASE_BYTES = 1024
_CHECK_BYTES = 8
_ANY_HEAD = re.compile(r"gossipnet [a-z]{1,16} key, version [0-9]{1,9}\n")
_PLAIN_ROOT = "NOT ENCRYPTED: whoever reads this can let anyone into the mesh"


def write_seed(kind: str, key: SecretKey, warning: str = "") -> bytes:
    """The text of a key file in plain.

    Args:
      kind: What the key is for: ``node``, ``issuer``, ``root``.
      key: The key.
      warning: A line for whoever opens the file.
    """
    lines = {"seed": _text(key.seed())}
    if warning:
        lines["warning"] = warning
    return _lines(kind, lines)


def write_root(key: SecretKey, passphrase: str | None, entropy: Callable[[int], bytes]) -> bytes:
    """The text of a root key's file, under a passphrase or, with None, marked as unprotected.

    Raises:
      IdentityError: The passphrase is empty or absurdly long, or memory is short.
    """
    if passphrase is None:
        return write_seed("root", key, _PLAIN_ROOT)
    salt = entropy(argon2id.SALTBYTES)
    box = _box(passphrase, salt, KDF_OPS, KDF_MEMORY)
    sealed = bytes(box.encrypt(key.seed(), entropy(SecretBox.NONCE_SIZE)))
    return _lines(
        "root",
        {
            "kdf": "argon2id",
            "ops": str(KDF_OPS),
            "memory": str(KDF_MEMORY),
            "salt": _text(salt),
            "box": _text(sealed),
        },
    )


def read_seed(kind: str, data: bytes, where: str) -> SecretKey:
    """The key in a plain key file.

    Args:
      kind: As for `write_seed`.
      data: The file.
      where: Its path, for the error.

    Raises:
      IdentityError: It is something else, or damaged.
    """
    return _seed(_parse(kind, data, where), where)


def read_root(data: bytes, passphrase: str | None, where: str) -> SecretKey:
    """The root key in its file.

    Args:
      data: The file.
      passphrase: Ignored when the file has none.
      where: Its path, for the error.

    Raises:
      IdentityError: Damaged, or the passphrase is missing or wrong.
    """
    lines = _parse("root", data, where)
    if "box" not in lines:
        return _seed(lines, where)
    ops, memory = _number(lines.get("ops")), _number(lines.get("memory"))
    salt, sealed = _bytes(lines.get("salt")), _bytes(lines.get("box"))
    if (
        lines.get("kdf") != "argon2id"
        or not argon2id.OPSLIMIT_MIN <= ops <= _MAX_OPS
        or not argon2id.MEMLIMIT_MIN <= memory <= _MAX_MEMORY
    ):
        raise IdentityError(
            f"{where} asks for a key derivation that this program refuses: it is damaged, or not "
            "written by gossipnet"
        )
    if len(salt) != argon2id.SALTBYTES or len(sealed) != SEED_BYTES + _BOX_OVERHEAD:
        raise IdentityError(_damaged(where))
    if passphrase is None:
        raise IdentityError(f"{where} is under a passphrase, and none was given")
    try:
        seed = _box(passphrase, salt, ops, memory).decrypt(sealed)
    except CryptoError:
        raise IdentityError(f"the passphrase does not open {where}") from None
    return SecretKey.from_seed(seed)


def is_encrypted(data: bytes, where: str) -> bool:
    """Whether a root key's file wants a passphrase.

    Raises:
      IdentityError: It is no root key's file, or damaged.
    """
    return "box" in _parse("root", data, where)


_BOX_OVERHEAD = SecretBox.NONCE_SIZE + SecretBox.MACBYTES


def _box(passphrase: str, salt: bytes, ops: int, memory: int) -> SecretBox:
    # The same passphrase typed on two systems may differ in its code points only.
    written = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
    if not 0 < len(written) <= _MAX_PASSPHRASE_BYTES:
        raise IdentityError(
            f"a passphrase has 1 to {_MAX_PASSPHRASE_BYTES} bytes, this one has {len(written)}"
        )
    try:
        key = argon2id.kdf(SecretBox.KEY_SIZE, written, salt, opslimit=ops, memlimit=memory)
    except (CryptoError, MemoryError):
        raise IdentityError(
            f"the root key needs {memory >> 20} MiB of memory to be opened, and there is less"
        ) from None
    return SecretBox(key)


def _lines(kind: str, lines: dict[str, str]) -> bytes:
    head = [_head(kind), *(f"{name}: {value}" for name, value in lines.items())]
    text = "".join(f"{line}\n" for line in head)
    return f"{text}check: {_check(text)}\n".encode("ascii")


def _parse(kind: str, data: bytes, where: str) -> dict[str, str]:
    """The lines of a key file by name, checked for damage."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise IdentityError(_damaged(where)) from None
    if not text.startswith(_head(kind) + "\n"):
        if _ANY_HEAD.match(text):
            raise IdentityError(
                f"{where} is another kind of key, or a newer gossipnet's: {kind!r} "
                "version 1 is wanted here"
            )
        raise IdentityError(_damaged(where))
    body, mark, check = text.rpartition("check: ")
    if not mark or check != f"{_check(body)}\n":
        raise IdentityError(_damaged(where))
    pairs = (line.partition(": ") for line in body.splitlines()[1:])
    return {name: value for name, _colon, value in pairs}


def _seed(lines: dict[str, str], where: str) -> SecretKey:
    seed = _bytes(lines.get("seed"))
    if len(seed) != SEED_BYTES:
        raise IdentityError(_damaged(where))
    return SecretKey.from_seed(seed)


def _damaged(where: str) -> str:
    return f"{where} is damaged: put a copy of it back, or join anew in another home"


def _head(kind: str) -> str:
    return f"gossipnet {kind} key, version 1"


def _check(text: str) -> str:
    return _text(hashlib.blake2b(text.encode("ascii"), digest_size=_CHECK_BYTES).digest())


def _text(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def _bytes(written: str | None) -> bytes:
    """Empty when it is not base32: every length is checked."""
    if written is None:
        return b""
    try:
        return base64.b32decode(written.upper() + "=" * (-len(written) % 8))
    except (binascii.Error, ValueError):
        return b""


def _number(written: str | None) -> int:
    """Zero when it is none: every number is checked."""
    if written is None or not written.isdecimal() or len(written) > 12:
        return 0
    return int(written)
