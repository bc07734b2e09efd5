"""How a signed statement is laid out in bytes: its signatures, then its body.

Layout: ``count u8 | count x (signer u8 | signature 64) | body``. Signers are numbered by whoever
defines the body: for what the root signs, its authority keys; else 0. Numbers ascend, so that the
same signatures have one order only. The body is kept and verified as it came.

Knows nothing of what bodies mean, and verifies nothing.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from gossipnet.errors import CertificateError
from gossipnet.identity.signing import SIGNATURE_BYTES

MAX_SIGNATURES = 8
_ENTRY_BYTES = 1 + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class Envelope:
    """A body and who signed it.

    Attributes:
      signatures: (number of the signer, signature), ascending, not verified yet.
      body: The signed bytes.
    """

    signatures: tuple[tuple[int, bytes], ...]
    body: bytes


def seal(signatures: Sequence[tuple[int, bytes]], body: bytes) -> bytes:
    """The bytes of an envelope."""
    parts = [bytes((len(signatures),))]
    parts += (bytes((signer,)) + signature for signer, signature in sorted(signatures))
    parts.append(body)
    return b"".join(parts)


def open_envelope(data: bytes, limit: int, most: int = MAX_SIGNATURES) -> Envelope:
    """Take an envelope apart.

    Args:
      data: As received.
      limit: Longer is refused.
      most: So many signatures at most.

    Raises:
      CertificateError: ``malformed``.
    """
    if not 0 < len(data) <= limit:
        raise CertificateError("malformed", f"{len(data)} bytes")
    count = data[0]
    body_at = 1 + count * _ENTRY_BYTES
    if not 1 <= count <= most or len(data) <= body_at:
        raise CertificateError("malformed", "signatures")
    signatures = tuple(
        (data[at], data[at + 1 : at + _ENTRY_BYTES]) for at in range(1, body_at, _ENTRY_BYTES)
    )
    if any(one[0] >= other[0] for one, other in itertools.pairwise(signatures)):
        raise CertificateError("malformed", "order of signatures")
    return Envelope(signatures, data[body_at:])
