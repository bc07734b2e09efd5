"""The root record: which keys speak for a mesh. Its hash is the mesh's id.

Whoever knows the mesh id, as every token does, can check a root record that comes from anybody.
Knows nothing of certificates below it.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from gossipnet.errors import CertificateError
from gossipnet.identity.certificate import Key, Name, Seconds, check_name, valid_name
from gossipnet.identity.envelope import MAX_SIGNATURES, Envelope, open_envelope, seal
from gossipnet.identity.signing import Domain, SecretKey, check_public_key, sign, verify
from gossipnet.ids import MeshId

MAX_ROOT_BYTES = 4096

Keys = Annotated[tuple[Key, ...], Meta(max_length=MAX_SIGNATURES)]


class _Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The signed bytes: a msgpack array of these, in this order."""

    format: int
    version: int
    name: Name
    created: Seconds
    threshold: Annotated[int, Meta(ge=1, le=MAX_SIGNATURES)]
    authorities: Annotated[Keys, Meta(min_length=1)]
    recovery: Key | None
    revokers: Keys
    previous: Key | None


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Body] = msgspec.msgpack.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class RootRecord:
    """One version of a mesh's root.

    Attributes:
      version: 1 for the first, which gives the mesh its id.
      name: The mesh's name, for people.
      created: Unix seconds.
      threshold: How many authorities must sign what the root signs.
      authorities: Their Ed25519 public keys.
      recovery: A key that may sign the next version alone; None if there is none.
      revokers: Keys that may revoke and nothing else.
      hash: BLAKE2b-256 of the body.
      data: The whole record, signatures included, as received.
      voids: Ids of statements that have no effect any more, or of nodes whose statements have none.
    """

    version: int
    name: str
    created: int
    threshold: int
    authorities: tuple[bytes, ...]
    recovery: bytes | None
    revokers: tuple[bytes, ...]
    hash: bytes
    data: bytes
    voids: frozenset[bytes] = frozenset()

    @property
    def mesh_id(self) -> MeshId:
        """The id of the mesh that begins with this record."""
        return MeshId(self.hash)

    def verify(self, domain: Domain, envelope: Envelope) -> None:
        """Check that exactly ``threshold`` authorities signed, each with its own key.

        Raises:
          BadSignature: One of the signatures is not good, or of no authority.
          CertificateError: ``bad-signature``: too few or too many of them.
        """
        if len(envelope.signatures) != self.threshold:
            raise CertificateError(
                "bad-signature", f"{len(envelope.signatures)} signatures, not {self.threshold}"
            )
        for signer, signature in envelope.signatures:
            if signer >= len(self.authorities):
                raise CertificateError("bad-signature", "no such authority")
            verify(self.authorities[signer], domain, self.mesh_id, envelope.body, signature)


def make_root(name: str, authority: SecretKey, created: int) -> RootRecord:
    """Version 1 of a new mesh with a single authority.

    Args:
      name: The mesh's name; see `valid_name`.
      authority: Signs the record, and issuers' certificates later.
      created: Unix seconds.

    Raises:
      IdentityError: The name does not do.
    """
    check_name(name, "a mesh")
    body = _encoder.encode(
        _Body(
            format=1,
            version=1,
            name=name,
            created=created,
            threshold=1,
            authorities=(authority.public_key,),
            recovery=None,
            revokers=(),
            previous=None,
        )
    )
    mesh_id = hashlib.blake2b(body, digest_size=32).digest()
    return decode_root(seal([(0, sign(authority, Domain.ROOT, mesh_id, body))], body))


def decode_root(data: bytes) -> RootRecord:
    """Take a root record apart and check that its own authorities signed it.

    Raises:
      CertificateError: ``malformed``, ``bad-key``, ``bad-signature``.
      BadSignature: See `RootRecord.verify`.
    """
    envelope = open_envelope(data, MAX_ROOT_BYTES)
    try:
        body = _decoder.decode(envelope.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CertificateError("malformed", "root record") from None
    if _encoder.encode(body) != envelope.body:
        raise CertificateError("malformed", "root record not in its shortest form")
    if body.format != 1 or body.version != 1 or body.previous is not None:
        raise CertificateError("malformed", "a root record of a newer kind than this program knows")
    if not valid_name(body.name):
        raise CertificateError("malformed", "name of the mesh")
    if len(set(body.authorities)) != len(body.authorities):
        raise CertificateError("malformed", "an authority twice")
    if body.threshold > len(body.authorities):
        raise CertificateError("malformed", "more signatures wanted than there are authorities")
    for key in (*body.authorities, *body.revokers, *filter(None, (body.recovery,))):
        check_public_key(key)
    record = RootRecord(
        version=body.version,
        name=body.name,
        created=body.created,
        threshold=body.threshold,
        authorities=body.authorities,
        recovery=body.recovery,
        revokers=body.revokers,
        hash=hashlib.blake2b(envelope.body, digest_size=32).digest(),
        data=data,
    )
    record.verify(Domain.ROOT, envelope)
    return record
