"""Frontiers: an issuer's signed statement of how far it knows every log at a moment.

Whoever holds one can tell that it is being shown less: a log that ends before it, or another row of
records. It takes nothing away and proves nothing about what came later. This module writes
statements, takes them apart, totally and within bounds, and verifies them.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from gossipnet.errors import CertificateError
from gossipnet.identity.certificate import MAX_CERTIFICATE_BYTES, Certificate, Seconds
from gossipnet.identity.signing import Domain, SecretKey, sign, verify
from gossipnet.identity.trust import CLOCK_SECONDS, MAX_CHAIN, Trust
from gossipnet.ids import LogId, NodeId, node_id

LOGS_MAX = 8192
"""Logs in one statement; of more, those that were written to last."""
HASH_BYTES = 16
MAX_FRONTIER_BYTES = 400_000

_Log = tuple[
    Annotated[bytes, Meta(min_length=16, max_length=16)],
    Annotated[int, Meta(ge=1, lt=1 << 40)],
    Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)],
]


class _Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    version: int
    wall: Seconds
    logs: Annotated[tuple[_Log, ...], Meta(max_length=LOGS_MAX)]


class _Statement(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What travels: the signed bytes, the signature, and the signer's certificate chain."""

    body: Annotated[bytes, Meta(max_length=MAX_FRONTIER_BYTES)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]
    chain: Annotated[
        tuple[Annotated[bytes, Meta(max_length=MAX_CERTIFICATE_BYTES)], ...],
        Meta(max_length=MAX_CHAIN),
    ]


_encoder = msgspec.msgpack.Encoder()
_body_decoder: msgspec.msgpack.Decoder[_Body] = msgspec.msgpack.Decoder(_Body)
_decoder: msgspec.msgpack.Decoder[_Statement] = msgspec.msgpack.Decoder(_Statement)


@dataclass(frozen=True, slots=True)
class Frontier:
    """One verified statement.

    Attributes:
      id: BLAKE2b-256 of the body and the signer.
      signer: Node id.
      name: The signer's, for people.
      chain: The signer's certificates.
      wall: When it was signed, unix seconds.
      heads: By log the sequence number of the newest record, and how its hash begins.
      data: The whole statement, as received.
    """

    id: bytes
    signer: NodeId
    name: str
    chain: tuple[bytes, ...]
    wall: int
    heads: dict[LogId, tuple[int, bytes]]
    data: bytes


def may_state(certificate: Certificate) -> bool:
    """Whether a node's certificate gives the right to sign frontiers: the role of an issuer."""
    return certificate.path_len is None and "issuer" in certificate.roles


def make_frontier(
    key: SecretKey,
    chain: Sequence[bytes],
    trust: Trust,
    *,
    wall: float,
    heads: Iterable[tuple[LogId, int, bytes]],
) -> bytes:
    """Sign a statement.

    Args:
      key: The signer's node key.
      chain: Its certificates, leaf first.
      trust: The mesh.
      wall: Unix seconds.
      heads: (log, seq, hash) of the newest record of each log, at most `LOGS_MAX`.
    """
    logs = tuple(sorted((bytes(log), seq, last[:HASH_BYTES]) for log, seq, last in heads))
    body = _encoder.encode(_Body(1, int(wall), logs))
    signature = sign(key, Domain.FRONTIER, trust.mesh_id, body)
    return _encoder.encode(_Statement(body, signature, tuple(chain)))


def decode_frontier(data: bytes, trust: Trust) -> Frontier:
    """Take a statement apart and verify it: a function of its bytes and the mesh's roots.

    Raises:
      CertificateError: ``malformed``, ``may-not-state``, ``expired``, or why its chain does not
        hold.
      BadSignature: It is not the signer's.
    """
    if len(data) > MAX_FRONTIER_BYTES:
        raise CertificateError("malformed", "frontier")
    try:
        statement = _decoder.decode(data)
        body = _body_decoder.decode(statement.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CertificateError("malformed", "frontier") from None
    if body.version != 1 or _encoder.encode(statement) != data:
        raise CertificateError("malformed", "frontier")
    names = [log for log, _seq, _last in body.logs]
    if names != sorted(set(names)):
        raise CertificateError("malformed", "order of logs")
    signer = trust.verify_past_chain(statement.chain)
    if not may_state(signer):
        raise CertificateError("may-not-state", f"{signer.name!r} may not sign frontiers")
    if not signer.not_before - CLOCK_SECONDS <= body.wall <= signer.not_after + CLOCK_SECONDS:
        raise CertificateError("expired", f"{signer.name!r} had no certificate when it signed")
    verify(signer.subject, Domain.FRONTIER, trust.mesh_id, statement.body, statement.signature)
    author = node_id(signer.subject)
    return Frontier(
        id=hashlib.blake2b(author + statement.body, digest_size=32).digest(),
        signer=author,
        name=signer.name,
        chain=tuple(statement.chain),
        wall=body.wall,
        heads={LogId(log): (seq, last) for log, seq, last in body.logs},
        data=data,
    )
