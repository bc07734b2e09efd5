"""Root records: which keys speak for a mesh, version by version. The first one's hash is its id.

A version names the one before it by hash and is signed under its own rule and, besides, under the
old rule or by the old recovery key. So whoever knows the mesh id, as every token does, can check a
row of versions that comes from anybody. Which of several rows counts is `roots`' business. Knows
nothing of certificates below it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from gossipnet.errors import BadSignature, CertificateError
from gossipnet.identity.certificate import Hash, Key, Name, Seconds, check_name, valid_name
from gossipnet.identity.envelope import MAX_SIGNATURES, Envelope, open_envelope, seal
from gossipnet.identity.signing import Domain, SecretKey, check_public_key, sign, verify
from gossipnet.ids import MeshId

MAX_ROOT_BYTES = 8192
VERSIONS_MAX = 64
ISSUERS_MAX = 64
VOIDS_MAX = 64

OLD_AUTHORITY = 64
"""Number of the first authority of the version before, as a signer."""
OLD_RECOVERY = 128
"""Number of the recovery key of the version before, as a signer."""
_MOST_SIGNATURES = 2 * MAX_SIGNATURES + 1

Keys = Annotated[tuple[Key, ...], Meta(max_length=MAX_SIGNATURES)]
Version = Annotated[int, Meta(ge=1, le=VERSIONS_MAX)]


class _First(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The signed bytes of version 1: a msgpack array of these, in this order."""

    format: int
    version: Version
    name: Name
    created: Seconds
    threshold: Annotated[int, Meta(ge=1, le=MAX_SIGNATURES)]
    authorities: Annotated[Keys, Meta(min_length=1)]
    recovery: Key | None
    revokers: Keys
    previous: Hash | None


class _Later(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The signed bytes of every later version, format 2."""

    format: int
    version: Version
    name: Name
    created: Seconds
    threshold: Annotated[int, Meta(ge=1, le=MAX_SIGNATURES)]
    authorities: Annotated[Keys, Meta(min_length=1)]
    recovery: Key | None
    revokers: Keys
    previous: Hash
    issuers: Annotated[tuple[Hash, ...], Meta(max_length=ISSUERS_MAX)]
    voids: Annotated[tuple[Hash, ...], Meta(max_length=VOIDS_MAX)]


_encoder = msgspec.msgpack.Encoder()
_first: msgspec.msgpack.Decoder[_First] = msgspec.msgpack.Decoder(_First)
_later: msgspec.msgpack.Decoder[_Later] = msgspec.msgpack.Decoder(_Later)


@dataclass(frozen=True, slots=True)
class RootRecord:
    """One version of a mesh's root.

    Attributes:
      mesh_id: Hash of the first version.
      version: 1 for the first, which gives the mesh its id.
      name: The mesh's name, for people.
      created: Unix seconds.
      threshold: How many authorities must sign what the root signs.
      authorities: Their Ed25519 public keys.
      recovery: A key that may sign the next version alone; None if there is none.
      revokers: Reserved.
      previous: Hash of the version before; None for the first.
      issuers: Fingerprints of issuers' certificates of earlier versions that still hold.
      voids: Ids of statements that have no effect any more, or of nodes whose statements have none.
      by_rule: The authorities of the version before signed it.
      by_recovery: The recovery key of the version before signed it.
      hash: BLAKE2b-256 of the body.
      data: The whole record, signatures included, as received.
    """

    mesh_id: MeshId
    version: int
    name: str
    created: int
    threshold: int
    authorities: tuple[bytes, ...]
    recovery: bytes | None
    revokers: tuple[bytes, ...]
    previous: bytes | None
    issuers: frozenset[bytes]
    voids: frozenset[bytes]
    by_rule: bool
    by_recovery: bool
    hash: bytes
    data: bytes

    def verify(self, domain: Domain, envelope: Envelope) -> None:
        """Check that exactly ``threshold`` authorities signed, each with its own key.

        Raises:
          BadSignature: One of the signatures is not good, or of no authority.
          CertificateError: ``bad-signature``: too few or too many of them.
        """
        _verify_rule(self, domain, envelope.signatures, envelope.body, self.mesh_id)


def _verify_rule(
    rule: "RootRecord | _First | _Later",
    domain: Domain,
    signatures: Sequence[tuple[int, bytes]],
    body: bytes,
    mesh_id: bytes,
) -> None:
    if len(signatures) != rule.threshold:
        raise CertificateError(
            "bad-signature", f"{len(signatures)} signatures, not {rule.threshold}"
        )
    for signer, signature in signatures:
        if signer >= len(rule.authorities):
            raise CertificateError("bad-signature", "no such authority")
        verify(rule.authorities[signer], domain, mesh_id, body, signature)


def make_root(
    name: str,
    authorities: SecretKey | Sequence[SecretKey],
    created: int,
    *,
    threshold: int = 1,
    recovery: bytes | None = None,
) -> RootRecord:
    """Version 1 of a new mesh.

    Args:
      name: The mesh's name; see `valid_name`.
      authorities: Sign the record, and issuers' certificates later.
      created: Unix seconds.
      threshold: How many of them must sign.
      recovery: Public half of a key that may sign the next version alone.

    Raises:
      IdentityError: The name does not do.
    """
    check_name(name, "a mesh")
    keys = [authorities] if isinstance(authorities, SecretKey) else list(authorities)
    body = _encoder.encode(
        _First(
            format=1,
            version=1,
            name=name,
            created=created,
            threshold=threshold,
            authorities=tuple(key.public_key for key in keys),
            recovery=recovery,
            revokers=(),
            previous=None,
        )
    )
    mesh_id = hashlib.blake2b(body, digest_size=32).digest()
    signatures = [
        (number, sign(key, Domain.ROOT, mesh_id, body))
        for number, key in enumerate(keys[:threshold])
    ]
    return decode_root(seal(signatures, body))


def later_body(
    before: RootRecord,
    *,
    created: int,
    threshold: int,
    authorities: Sequence[bytes],
    recovery: bytes | None,
    issuers: frozenset[bytes],
    voids: frozenset[bytes],
) -> bytes:
    """The bytes to be signed for the version after ``before``; the fields are `RootRecord`'s."""
    return _encoder.encode(
        _Later(
            format=2,
            version=before.version + 1,
            name=before.name,
            created=created,
            threshold=threshold,
            authorities=tuple(authorities),
            recovery=recovery,
            revokers=before.revokers,
            previous=before.hash,
            issuers=tuple(sorted(issuers)),
            voids=tuple(sorted(voids)),
        )
    )


def place_of(data: bytes) -> tuple[int, bytes | None]:
    """(version, hash of the version before it) that a record claims; nothing is verified.

    Raises:
      CertificateError: ``malformed``.
    """
    body = _open(data)[1]
    return body.version, body.previous


def read_body(data: bytes) -> _First | _Later:
    """The fields of a body that is to be signed; raises `CertificateError`."""
    try:
        body = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CertificateError("malformed", "root record") from None
    _check_sense(body, data)
    return body


def decode_root(data: bytes, before: RootRecord | None = None) -> RootRecord:
    """Take a root record apart and check that those signed it who must.

    Args:
      data: As received.
      before: The version before it; None for the first version.

    Raises:
      CertificateError: ``malformed``, ``bad-key``, ``bad-signature``, ``wrong-root``.
      BadSignature: See `RootRecord.verify`.
    """
    envelope, body = _open(data)
    _check_sense(body, envelope.body)
    digest = hashlib.blake2b(envelope.body, digest_size=32).digest()
    mesh_id = MeshId(digest) if before is None else before.mesh_id
    own = [pair for pair in envelope.signatures if pair[0] < OLD_AUTHORITY]
    _verify_rule(body, Domain.ROOT, own, envelope.body, mesh_id)
    by_rule = by_recovery = False
    if before is None:
        if isinstance(body, _Later) or body.version != 1 or len(own) != len(envelope.signatures):
            raise CertificateError("malformed", "not the first root record of a mesh")
    else:
        _check_succession(body, before)
        by_rule, by_recovery = _consent(envelope, before)
        if not by_rule and not by_recovery:
            raise CertificateError("bad-signature", "not signed under the rule before it")
        if before.recovery not in (None, body.recovery) and not by_recovery:
            raise CertificateError("bad-signature", "a new recovery key without the old one's word")
    return RootRecord(
        mesh_id=mesh_id,
        version=body.version,
        name=body.name,
        created=body.created,
        threshold=body.threshold,
        authorities=body.authorities,
        recovery=body.recovery,
        revokers=body.revokers,
        previous=body.previous,
        issuers=frozenset(body.issuers) if isinstance(body, _Later) else frozenset(),
        voids=frozenset(body.voids) if isinstance(body, _Later) else frozenset(),
        by_rule=by_rule,
        by_recovery=by_recovery,
        hash=digest,
        data=data,
    )


def _open(data: bytes) -> tuple[Envelope, _First | _Later]:
    envelope = open_envelope(data, MAX_ROOT_BYTES, _MOST_SIGNATURES)
    try:
        return envelope, _decode(envelope.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CertificateError("malformed", "root record") from None


def _decode(body: bytes) -> _First | _Later:
    # An array's second byte is its first element: the format.
    return (_later if body[1:2] == b"\2" else _first).decode(body)


def _check_sense(body: _First | _Later, data: bytes) -> None:
    if _encoder.encode(body) != data:
        raise CertificateError("malformed", "root record not in its shortest form")
    expected = 2 if isinstance(body, _Later) else 1
    if body.format != expected or (body.version == 1) != (expected == 1):
        raise CertificateError("malformed", "a root record of a newer kind than this program knows")
    if (body.previous is None) != (expected == 1):
        raise CertificateError("malformed", "a root record that follows none")
    if not valid_name(body.name):
        raise CertificateError("malformed", "name of the mesh")
    if len(set(body.authorities)) != len(body.authorities):
        raise CertificateError("malformed", "an authority twice")
    if body.threshold > len(body.authorities):
        raise CertificateError("malformed", "more signatures wanted than there are authorities")
    for key in (*body.authorities, *body.revokers, *filter(None, (body.recovery,))):
        check_public_key(key)
    if isinstance(body, _Later):
        for hashes in (body.issuers, body.voids):
            if list(hashes) != sorted(set(hashes)):
                raise CertificateError("malformed", "order of hashes")


def _check_succession(body: _First | _Later, before: RootRecord) -> None:
    if body.previous != before.hash or body.version != before.version + 1:
        raise CertificateError("wrong-root", "it does not follow the version before it")
    if body.name != before.name:
        raise CertificateError("wrong-root", "it names another mesh")


def _consent(envelope: Envelope, before: RootRecord) -> tuple[bool, bool]:
    """Whether the old authorities signed, and whether the old recovery key did.

    Every signature that is there must be good and needed: one statement has one form.
    """
    old = [(n - OLD_AUTHORITY, s) for n, s in envelope.signatures if 0 <= n - OLD_AUTHORITY < 64]
    recovery = [signature for n, signature in envelope.signatures if n >= OLD_RECOVERY]
    if old:
        _verify_rule(before, Domain.ROOT, old, envelope.body, before.mesh_id)
    if recovery:
        if before.recovery is None or envelope.signatures[-1][0] != OLD_RECOVERY:
            raise BadSignature("no such recovery key")
        verify(before.recovery, Domain.ROOT, before.mesh_id, envelope.body, recovery[0])
    return bool(old), bool(recovery)
