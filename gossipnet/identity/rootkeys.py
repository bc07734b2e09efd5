"""Where authority keys are kept, and how a recovery key is written on paper.

One authority: ``root.key``. Several: ``root-1.key``, ``root-2.key``, ... Later versions of the root
say theirs: ``root-v2.key``. All of them can be carried to other machines, and are only ever opened
by commands of a person; a daemon needs none. A recovery key is no file at all: it is printed once.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from gossipnet.errors import HomeError, IdentityError
from gossipnet.identity.files import present, read_private, write_private
from gossipnet.identity.keyfile import MAX_KEY_FILE_BYTES, is_encrypted, read_root, write_root
from gossipnet.identity.signing import SEED_BYTES, SecretKey

PATTERN = "root*.key"
_RECOVERY_HEAD = "gnr1"
_CHECK_BYTES = 4
_GROUP = 6


def names(version: int, count: int) -> list[str]:
    """File names for the authority keys of one version of the root."""
    stem = "root" if version == 1 else f"root-v{version}"
    return [f"{stem}.key"] if count == 1 else [f"{stem}-{n}.key" for n in range(1, count + 1)]


def found_in(folder: Path) -> list[Path]:
    """All authority key files of a folder, in order."""
    return sorted(folder.glob(PATTERN))


def sealed(
    version: int,
    keys: Sequence[SecretKey],
    passphrase: str | None,
    entropy: Callable[[int], bytes],
) -> dict[str, bytes]:
    """The files for the authority keys of one version, by name; nothing is written.

    Args:
      version: Of the root.
      keys: In the root record's order.
      passphrase: Protects them; None leaves them in plain.
      entropy: ``entropy(n)`` gives n unpredictable bytes.

    Raises:
      IdentityError: The passphrase will not do.
    """
    return {
        name: write_root(key, passphrase, entropy)
        for name, key in zip(names(version, len(keys)), keys, strict=True)
    }


def write_all(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write what `sealed` made; none of it may be there.

    Raises:
      HomeError: There are such files already, or the disk will not do.
    """
    paths = [folder / name for name in files]
    for path in paths:
        if present(path):
            raise HomeError(f"{path} is there already: move it away if it is of no use any more")
    for path, data in zip(paths, files.values(), strict=True):
        write_private(path, data)
    return paths


def encrypted(paths: Iterable[Path]) -> bool:
    """Whether any of these files wants a passphrase; raises as `open_keys`."""
    return any(is_encrypted(_read(path), str(path)) for path in paths)


def open_keys(paths: Iterable[Path], passphrase: str | None) -> list[SecretKey]:
    """The keys in some files, all under one passphrase if any.

    Raises:
      HomeError: A file is missing, or open to others.
      IdentityError: The passphrase is missing or wrong, or a file is damaged.
    """
    return [read_root(_read(path), passphrase, str(path)) for path in paths]


def _read(path: Path) -> bytes:
    try:
        return read_private(path, MAX_KEY_FILE_BYTES)
    except FileNotFoundError:
        raise HomeError(f"there is no key file {path}") from None


# -- the recovery key ------------------------------------------------------------------------------


def recovery_text(key: SecretKey) -> str:
    """What is printed once: groups of letters and digits, with a check sum."""
    seed = key.seed()
    written = base64.b32encode(seed + _check(seed)).decode("ascii").rstrip("=").lower()
    groups = [written[at : at + _GROUP] for at in range(0, len(written), _GROUP)]
    return "-".join([_RECOVERY_HEAD, *groups])


def read_recovery(text: str) -> SecretKey:
    """The key that was printed.

    Raises:
      IdentityError: It is something else, or was mistyped.
    """
    plain = "".join(text.split()).replace("-", "").lower()
    if not plain.startswith(_RECOVERY_HEAD):
        raise IdentityError(f"a recovery key begins with {_RECOVERY_HEAD}")
    written = plain[len(_RECOVERY_HEAD) :].upper()
    try:
        data = base64.b32decode(written + "=" * (-len(written) % 8))
    except (binascii.Error, ValueError):
        data = b""
    seed, check = data[:SEED_BYTES], data[SEED_BYTES:]
    if len(seed) != SEED_BYTES or check != _check(seed):
        raise IdentityError("the recovery key is not whole: compare it with the paper")
    return SecretKey.from_seed(seed)


def _check(seed: bytes) -> bytes:
    return hashlib.blake2b(b"gossipnet recovery\0" + seed, digest_size=_CHECK_BYTES).digest()
