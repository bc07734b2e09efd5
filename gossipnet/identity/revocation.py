"""Revocations: signed statements that a node, or a certificate, counts no more.

A statement names whom it is about, why, and the *cut*: per log of the author the last record that
still counts. The cut that takes effect is the later of what the signer stated and what it had
applied of that author when it signed; both are in the statement, so that nobody has to guess. A log
that neither of them names ends before its first record.

A statement about a certificate strikes every chain that holds it, unless the certificate below it
was *kept*: so an issuer can be revoked without the nodes that it let in before. This module takes
single statements apart, totally and within bounds, verifies and writes them; `revocations` knows
what several of them amount to.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from gossipnet.errors import CertificateError
from gossipnet.identity.certificate import MAX_CERTIFICATE_BYTES, Certificate, Hash, Name, Seconds
from gossipnet.identity.envelope import open_envelope, seal
from gossipnet.identity.signing import Domain, SecretKey, sign, verify
from gossipnet.identity.trust import CLOCK_SECONDS, MAX_CHAIN, Trust
from gossipnet.ids import LogId, NodeId, node_id

REVOKING_ROLES = frozenset({"issuer", "revoker"})
"""Who may revoke: either role of a node's certificate will do."""

REASON_MAX = 200
LOGS_MAX = 256
"""Logs in a cut: as many as one author may have."""
KEPT_MAX = 16_384
"""Certificates kept under a revoked issuer: a mesh never has more members."""
KEPT_BYTES = 16
MAX_REVOCATION_BYTES = 400_000

Kept = Annotated[bytes, Meta(min_length=KEPT_BYTES, max_length=KEPT_BYTES)]
_LogBytes = Annotated[bytes, Meta(min_length=16, max_length=16)]
_Seq = Annotated[int, Meta(ge=0, lt=1 << 40)]
Cut = Annotated[tuple[tuple[_LogBytes, _Seq, Hash], ...], Meta(max_length=LOGS_MAX)]
"""(log, sequence number of the last record that counts, its hash)."""


class _Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The signed bytes: a msgpack array of these, in this order."""

    version: int
    node: Hash | None
    certificate: Hash | None
    name: Name
    reason: Annotated[str, Meta(max_length=REASON_MAX)]
    wall: Seconds
    signer: Hash
    cut: Cut
    seen: Cut
    kept: Annotated[tuple[Kept, ...], Meta(max_length=KEPT_MAX)]


class _Statement(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What travels: the sealed body and the signer's certificate chain."""

    sealed: Annotated[bytes, Meta(max_length=MAX_REVOCATION_BYTES)]
    chain: Annotated[
        tuple[Annotated[bytes, Meta(max_length=MAX_CERTIFICATE_BYTES)], ...],
        Meta(max_length=MAX_CHAIN),
    ]


_encoder = msgspec.msgpack.Encoder()
_body_decoder: msgspec.msgpack.Decoder[_Body] = msgspec.msgpack.Decoder(_Body)
_decoder: msgspec.msgpack.Decoder[_Statement] = msgspec.msgpack.Decoder(_Statement)


@dataclass(frozen=True, slots=True)
class Revocation:
    """One verified statement.

    Attributes:
      id: BLAKE2b-256 of the body.
      node: Whom it is about, or None.
      certificate: Fingerprint of the certificate it is about, or None.
      name: Of the revoked, for people.
      reason: For people.
      wall: When it was signed, unix seconds.
      signer: Node id of the signer.
      signer_name: For people.
      cut: Last sequence number that counts, by log; effective, as the module says.
      kept: First `KEPT_BYTES` of the ids of keys whose certificates, directly below the revoked
        one, still hold.
      data: The whole statement, as received.
    """

    id: bytes
    node: NodeId | None
    certificate: bytes | None
    name: str
    reason: str
    wall: int
    signer: NodeId
    signer_name: str
    cut: dict[LogId, int]
    kept: frozenset[bytes]
    data: bytes


def may_revoke(certificate: Certificate) -> bool:
    """Whether a node's certificate gives the right to revoke."""
    return certificate.path_len is None and bool(certificate.roles & REVOKING_ROLES)


def make_revocation(
    key: SecretKey,
    chain: Sequence[bytes],
    trust: Trust,
    *,
    node: NodeId | None = None,
    certificate: bytes | None = None,
    name: str,
    reason: str,
    wall: float,
    seen: Iterable[tuple[LogId, int, bytes]],
    cut: Iterable[tuple[LogId, int, bytes]] = (),
    kept: Iterable[bytes] = (),
) -> Revocation:
    """Sign a revocation of a node or of a certificate.

    Args:
      key: The signer's node key.
      chain: Its certificates, leaf first.
      trust: The mesh.
      node: Whom to revoke, or None.
      certificate: Fingerprint of the certificate to revoke, or None.
      name: Of the revoked, for people.
      reason: For people, up to `REASON_MAX` characters.
      wall: Unix seconds.
      seen: (log, seq, hash) of the newest record applied, of every log of the author that the
        signer knows.
      cut: The same as stated by a person; what it names below ``seen`` has no effect.
      kept: Ids of keys directly below a revoked issuer's certificate that stay.

    Raises:
      CertificateError: ``may-not-revoke``, or the chain does not hold.
    """
    leaf = trust.verify_chain(chain, None)
    body = _encoder.encode(
        _Body(
            version=1,
            node=node,
            certificate=certificate,
            name=name,
            reason=reason[:REASON_MAX],
            wall=int(wall),
            signer=leaf.fingerprint,
            cut=_cut(cut),
            seen=_cut(seen),
            kept=tuple(sorted({bytes(one[:KEPT_BYTES]) for one in kept})),
        )
    )
    sealed = seal([(0, sign(key, Domain.REVOKE, trust.mesh_id, body))], body)
    return decode_revocation(_encoder.encode(_Statement(sealed, tuple(chain))), trust)


def _cut(entries: Iterable[tuple[LogId, int, bytes]]) -> tuple[tuple[bytes, int, bytes], ...]:
    return tuple(sorted((bytes(log), seq, last) for log, seq, last in entries))


def decode_revocation(data: bytes, trust: Trust) -> Revocation:
    """Take a statement apart and verify it: a function of its bytes and the mesh's roots.

    The time plays no part, only the signer's own stamp, which must lie within its certificate:
    every node comes to the same verdict, whenever it looks.

    Raises:
      CertificateError: ``malformed``, ``may-not-revoke``, or why the signer's chain does not hold.
      BadSignature: It is not the signer's.
    """
    if len(data) > MAX_REVOCATION_BYTES:
        raise CertificateError("malformed", "revocation")
    try:
        statement = _decoder.decode(data)
        envelope = open_envelope(statement.sealed, MAX_REVOCATION_BYTES)
        body = _body_decoder.decode(envelope.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CertificateError("malformed", "revocation") from None
    # One statement has one form. The comparison is no part of verifying: that takes the bytes.
    if _encoder.encode(body) != envelope.body or _encoder.encode(statement) != data:
        raise CertificateError("malformed", "revocation not in its shortest form")
    _check_sense(body)
    signer = trust.verify_past_chain(statement.chain)
    if signer.fingerprint != body.signer or len(envelope.signatures) != 1:
        raise CertificateError("malformed", "revocation by another certificate than it names")
    if not may_revoke(signer):
        raise CertificateError("may-not-revoke", f"{signer.name!r} may not revoke")
    if not signer.not_before - CLOCK_SECONDS <= body.wall <= signer.not_after + CLOCK_SECONDS:
        raise CertificateError("expired", f"{signer.name!r} had no certificate when it revoked")
    number, signature = envelope.signatures[0]
    if number:
        raise CertificateError("malformed", "signatures")
    verify(signer.subject, Domain.REVOKE, trust.mesh_id, envelope.body, signature)
    cut: dict[LogId, int] = {}
    for log, seq, _last in (*body.cut, *body.seen):
        cut[LogId(log)] = max(seq, cut.get(LogId(log), 0))
    return Revocation(
        id=hashlib.blake2b(envelope.body, digest_size=32).digest(),
        node=None if body.node is None else NodeId(body.node),
        certificate=body.certificate,
        name=body.name,
        reason=body.reason,
        wall=body.wall,
        signer=node_id(signer.subject),
        signer_name=signer.name,
        cut=cut,
        kept=frozenset(body.kept),
        data=data,
    )


def _check_sense(body: _Body) -> None:
    if body.version != 1:
        raise CertificateError("malformed", f"revocation of version {body.version}")
    if (body.node is None) == (body.certificate is None):
        raise CertificateError("malformed", "a revocation of both or neither")
    if not body.name.isprintable() or not body.reason.isprintable():
        raise CertificateError("malformed", "text that cannot be shown")
    for cut in (body.cut, body.seen):
        logs = [log for log, _seq, _last in cut]
        if logs != sorted(set(logs)):
            raise CertificateError("malformed", "order of logs")
    if list(body.kept) != sorted(set(body.kept)):
        raise CertificateError("malformed", "order of what is kept")
