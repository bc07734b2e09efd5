"""Certificates: who holds a key, under which name, until when, and what it may do.

Two kinds share one layout. A *node certificate* (no ``path_len``) says what a node is. An *issuer
certificate* (with one) says what its subject may hand out: its roles and capabilities bound those
of every certificate below it. Whether a chain of them holds is `trust`'s business; this module
takes single certificates apart, totally and within bounds, and writes them.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gossipnet.errors import CertificateError, IdentityError
from gossipnet.identity import capability
from gossipnet.identity.capability import Capability
from gossipnet.identity.envelope import Envelope, open_envelope
from gossipnet.ids import MeshId

MAX_CERTIFICATE_BYTES = 4096
NODE_SECONDS = 90 * 86_400
ISSUER_SECONDS = 365 * 86_400
MAX_SECONDS = 1 << 40
FOUNDER_PATH_LEN = 1
"""A founder's issuer may make issuers, those may not: chains are at most three certificates."""

ROLES = frozenset({"member", "relay", "issuer", "revoker", "observer"})
_NODE_ROLES = frozenset({"member", "relay", "observer"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)

Serial = Annotated[bytes, Meta(min_length=16, max_length=16)]
Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
Name = Annotated[str, Meta(max_length=63)]
Seconds = Annotated[int, Meta(ge=0, lt=MAX_SECONDS)]
Rate = Annotated[int, Meta(ge=0, lt=1 << 40)]
Prefix = Annotated[bytes, Meta(max_length=capability.MAX_PREFIX_BYTES)]
Verb = Literal["relay", "read", "write", "manage"]
Grants = Annotated[tuple[tuple[Verb, Prefix], ...], Meta(max_length=capability.MAX_CAPABILITIES)]


class _Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The signed bytes: a msgpack array of these, in this order."""

    version: int
    mesh_id: Hash
    serial: Serial
    subject: Key
    name: Name
    roles: Annotated[tuple[Annotated[str, Meta(max_length=16)], ...], Meta(max_length=8)]
    capabilities: Grants
    not_before: Seconds
    not_after: Seconds
    issuer: Hash | None
    path_len: Annotated[int, Meta(ge=0, le=FOUNDER_PATH_LEN)] | None
    limits: tuple[Rate, Rate]


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Body] = msgspec.msgpack.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate, taken apart.

    Attributes:
      mesh_id: Of which mesh.
      serial: 16 random bytes.
      subject: The Ed25519 public key it is about.
      name: For people; only its form is checked.
      roles: Some of `ROLES`. An issuer certificate: those it may hand out.
      capabilities: (verb, key prefix) pairs. An issuer certificate: those it may hand out.
      not_before: Unix seconds.
      not_after: Unix seconds.
      issuer: Fingerprint of the certificate that signed it; None if the root did.
      path_len: How many issuers may stand below it; None for a node certificate.
      limits: Operations and bytes per second that its subject may count on; 0 for the mesh's own.
      fingerprint: BLAKE2b-256 of the body. Signatures are left out, so that nobody but a signer
        can give one certificate a second fingerprint.
      writes_everything: It may write any key, so that nobody need look at keys.
    """

    mesh_id: MeshId
    serial: bytes
    subject: bytes
    name: str
    roles: frozenset[str]
    capabilities: tuple[Capability, ...]
    not_before: int
    not_after: int
    issuer: bytes | None
    path_len: int | None
    limits: tuple[int, int]
    fingerprint: bytes
    writes_everything: bool = field(init=False)

    def __post_init__(self) -> None:
        everything = self.path_len is None and capability.within(
            capability.READ_AND_WRITE, self.capabilities
        )
        object.__setattr__(self, "writes_everything", everything)

    def allows(self, verb: str, key: bytes) -> bool:
        """Whether its subject may ``verb`` (relay, read, write, manage) this key.

        An issuer certificate allows nothing: it is about certificates, not about keys.
        """
        return self.path_len is None and capability.allows(self.capabilities, verb, key)


def valid_name(name: str) -> bool:
    """Whether this can name a node or a mesh: 1 to 63 letters, digits, dots, dashes, underscores.

    Names come from others and end up in terminals, so nothing else is let in.
    """
    return _NAME.fullmatch(name) is not None


def check_name(name: str, what: str) -> None:
    """Refuse a name that no certificate or root record may hold.

    Raises:
      IdentityError: With what is wanted; ``what`` says what it was to name.
    """
    if not valid_name(name):
        raise IdentityError(
            f"{name!r} cannot name {what}: use up to 63 letters, digits, dots, dashes and "
            "underscores, a letter or digit first"
        )


def encode_body(
    *,
    mesh_id: bytes,
    serial: bytes,
    subject: bytes,
    name: str,
    roles: frozenset[str],
    capabilities: tuple[Capability, ...],
    not_before: int,
    not_after: int,
    issuer: bytes | None,
    path_len: int | None,
    limits: tuple[int, int] = (0, 0),
) -> bytes:
    """The bytes to be signed; `Certificate` says what the fields mean.

    Raises:
      CertificateError: No node would take such a certificate.
    """
    body = _encoder.encode(
        _Body(
            version=1,
            mesh_id=mesh_id,
            serial=serial,
            subject=subject,
            name=name,
            roles=tuple(sorted(roles)),
            capabilities=capabilities,  # type: ignore[arg-type]
            not_before=not_before,
            not_after=not_after,
            issuer=issuer,
            path_len=path_len,
            limits=limits,
        )
    )
    decode_body(body)
    return body


def decode_certificate(data: bytes) -> tuple[Certificate, Envelope]:
    """Take one certificate apart; its signatures are not verified yet.

    Raises:
      CertificateError: ``malformed`` or ``unknown-role``.
    """
    envelope = open_envelope(data, MAX_CERTIFICATE_BYTES)
    return decode_body(envelope.body), envelope


def decode_body(data: bytes) -> Certificate:
    """Read a body.

    Raises:
      CertificateError: ``malformed`` or ``unknown-role``.
    """
    try:
        body = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CertificateError("malformed") from None
    # One certificate has one form. The comparison is no part of verifying: that takes `data`.
    if _encoder.encode(body) != data:
        raise CertificateError("malformed", "not in its shortest form")
    if body.version != 1:
        raise CertificateError("malformed", f"version {body.version}")
    roles = frozenset(body.roles)
    if not roles <= ROLES:
        raise CertificateError("unknown-role", ", ".join(sorted(roles - ROLES))[:64])
    _check_sense(body, roles)
    return Certificate(
        mesh_id=MeshId(body.mesh_id),
        serial=body.serial,
        subject=body.subject,
        name=body.name,
        roles=roles,
        capabilities=body.capabilities,
        not_before=body.not_before,
        not_after=body.not_after,
        issuer=body.issuer,
        path_len=body.path_len,
        limits=body.limits,
        fingerprint=hashlib.blake2b(data, digest_size=32).digest(),
    )


def _check_sense(body: _Body, roles: frozenset[str]) -> None:
    if body.roles != tuple(sorted(roles)):
        raise CertificateError("malformed", "order of roles")
    if not valid_name(body.name):
        raise CertificateError("malformed", "name")
    if body.not_before >= body.not_after:
        raise CertificateError("malformed", "ends before it begins")
    if body.path_len is None:
        if not roles & _NODE_ROLES:
            raise CertificateError("malformed", "a node that is neither member, relay nor observer")
        _check_lesser_role(body, roles)
    elif "issuer" not in roles:
        raise CertificateError("malformed", "an issuer without its role")


def _check_lesser_role(body: _Body, roles: frozenset[str]) -> None:
    """An observer that could write, or a relay that could read, would not be what it says."""
    if "member" in roles:
        return
    most = "read" if "observer" in roles else "relay"
    if any(
        capability.VERBS.index(verb) > capability.VERBS.index(most) for verb, _ in body.capabilities
    ):
        raise CertificateError("malformed", f"more than {most} without the role of a member")
