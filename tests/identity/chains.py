"""Certificates that our own issuer would refuse to make, for verifiers to refuse."""

from typing import Any

from gossipnet.identity import certificate as certificates
from gossipnet.identity.capability import READ_AND_WRITE
from gossipnet.identity.envelope import open_envelope, seal
from gossipnet.identity.founding import expand, found_with_root
from gossipnet.identity.signing import Domain, SecretKey, sign

WALL = 1_800_000_000
DAY = 86_400

FOUNDER, ROOT = found_with_root("test", "founder", expand(b"chains"), WALL)
TRUST = FOUNDER.trust
ISSUER = FOUNDER.issuer
assert ISSUER is not None


def key_of(name: str) -> SecretKey:
    return SecretKey.generate(expand(name.encode()))


def forge(
    signer: SecretKey, above: bytes | None, *, domain: Domain = Domain.CERTIFICATE, **changed: Any
) -> bytes:
    """A certificate with these fields, signed by ``signer`` whatever they are.

    Args:
      signer: Its key.
      above: Encoded certificate of the issuer that it names; None for the root.
      domain: What the signature claims to be about.
      changed: Fields that differ from a good node certificate's.
    """
    issuer = None
    if above is not None:
        issuer = certificates.decode_certificate(above)[0].fingerprint
    fields: dict[str, Any] = {
        "version": 1,
        "mesh_id": TRUST.mesh_id,
        "serial": bytes(16),
        "subject": key_of("node").public_key,
        "name": "node",
        "roles": ("member",),
        "capabilities": READ_AND_WRITE,
        "not_before": WALL,
        "not_after": WALL + 90 * DAY,
        "issuer": issuer,
        "path_len": None,
        "limits": (0, 0),
        **changed,
    }
    body = certificates._encoder.encode(certificates._Body(**fields))
    return seal([(0, sign(signer, domain, fields["mesh_id"], body))], body)


def below(**changed: Any) -> list[bytes]:
    """A chain whose leaf is forged below the founder's issuer."""
    return [forge(ISSUER.key, ISSUER.chain[0], **changed), *ISSUER.chain]


def resigned(data: bytes, signer: SecretKey) -> bytes:
    """The same body under another key's signature."""
    body = open_envelope(data, 4096).body
    return seal([(0, sign(signer, Domain.CERTIFICATE, TRUST.mesh_id, body))], body)
