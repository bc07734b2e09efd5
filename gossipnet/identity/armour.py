"""Bytes as a text file that people carry: a line that says what it is, then base32 with a checksum.

The checksum tells a file that was cut or damaged from one that is not good; it proves nothing.
Knows nothing of what is inside.
"""

import base64
import binascii
import hashlib

from gossipnet.errors import IdentityError

_LINE = 76
_CHECK_BYTES = 8


def wrap(title: str, packed: bytes) -> str:
    """The text of a file.

    Args:
      title: What it is: ``join request`` and the like.
      packed: Its content.
    """
    packed += hashlib.blake2b(packed, digest_size=_CHECK_BYTES).digest()
    written = base64.b32encode(packed).decode("ascii").rstrip("=").lower()
    lines = [written[at : at + _LINE] for at in range(0, len(written), _LINE)]
    return _head(title) + "\n".join(lines) + "\n"


def unwrap(title: str, text: str, limit: int) -> bytes:
    """What `wrap` was given.

    Args:
      title: What it has to be.
      text: From a file; line ends and white space do no harm.
      limit: More characters are refused before anything is decoded.

    Raises:
      IdentityError: It is something else, cut, or damaged.
    """
    if len(text) > limit:
        raise IdentityError(f"this is no whole {title}: it is far too long")
    text = text.lstrip().replace("\r\n", "\n")
    if not text.startswith(_head(title)):
        raise IdentityError(_otherwise(title, text))
    written = "".join(text[len(_head(title)) :].split()).upper()
    try:
        packed = base64.b32decode(written + "=" * (-len(written) % 8))
    except (binascii.Error, ValueError):
        packed = b""
    if base64.b32encode(packed).decode("ascii").rstrip("=") != written:
        packed = b""  # the last letter has bits that no byte takes: they must be what we write
    body, check = packed[:-_CHECK_BYTES], packed[-_CHECK_BYTES:]
    if not body or hashlib.blake2b(body, digest_size=_CHECK_BYTES).digest() != check:
        raise IdentityError(f"this is no whole {title}: it is cut or damaged, have it sent anew")
    return body


def _head(title: str) -> str:
    return f"gossipnet {title}, version 1\n"


def _otherwise(title: str, text: str) -> str:
    first = text.partition("\n")[0]
    if first.startswith(f"gossipnet {title}, version "):
        return f"this {title} is a newer gossipnet's: update this one"
    if first.startswith("gossipnet ") and ", version " in first and len(first) < 80:
        found = first.removeprefix("gossipnet ").partition(", version ")[0]
        if found.isprintable():
            return f"this is a {found}, and a {title} is wanted here"
    return f"this is no whole {title}: have it sent anew"
