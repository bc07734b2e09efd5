"""What a node believes: its mesh's root record, and by it every certificate chain.

A verdict is a function of the root, the chain's bytes and, if asked, the time: every node comes to
the same. Knows nothing of files, links or secrets.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from gossipnet import ids
from gossipnet.errors import BadSignature, CertificateError
from gossipnet.identity import capability
from gossipnet.identity.certificate import Certificate, decode_certificate
from gossipnet.identity.root import RootRecord, decode_root
from gossipnet.identity.signing import Domain, check_public_key, verify
from gossipnet.ids import MeshId, node_id

MAX_CHAIN = 3
Step = tuple[bytes, bytes]
"""A certificate's place in a chain: its fingerprint, and the id of the key that the certificate
below it is about; empty for the leaf."""
CLOCK_SECONDS = 300
"""How far this node's clock and an issuer's may differ."""

MAX_TRUST_BYTES = 16_384
_MAX_ROOTS = 1
_REMEMBERED = 4096

_decoder: msgspec.msgpack.Decoder[tuple[bytes, ...]] = msgspec.msgpack.Decoder(tuple[bytes, ...])


class Trust:
    """One mesh's root, and the certificates that were found good under it.

    Attributes:
      root: The newest root record.
      mesh_id: Hash of the first root record.
      mesh_name: For people.
      root_version: Of the newest root record.
    """

    def __init__(self, root: RootRecord) -> None:
        self.root = root
        self.mesh_id: MeshId = root.mesh_id
        self.mesh_name = root.name
        self.root_version = root.version
        # Keyed by the certificate's own bytes, which name the issuer whose key was used.
        self._good: dict[bytes, Certificate] = {}

    def __repr__(self) -> str:
        return f"<Trust in {self.mesh_name} {ids.short(self.mesh_id)}>"

    def encode(self) -> bytes:
        """For a file or a newcomer: a msgpack array of the root records, the first one first."""
        return msgspec.msgpack.encode((self.root.data,))

    @classmethod
    def decode(cls, data: bytes, mesh_id: bytes | None = None) -> "Trust":
        """Read what `encode` wrote.

        Args:
          data: From a file or a stranger.
          mesh_id: The mesh it must be about, as a token says; None to believe it.

        Raises:
          CertificateError: ``malformed``, ``wrong-mesh``, ``bad-key``, ``bad-signature``.
        """
        if len(data) > MAX_TRUST_BYTES:
            raise CertificateError("malformed", "root record too long")
        try:
            roots = _decoder.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise CertificateError("malformed", "root record") from None
        if not 1 <= len(roots) <= _MAX_ROOTS:
            raise CertificateError("malformed", "a root record newer than this program knows")
        root = _signed_by_itself(roots[0])
        if mesh_id is not None and root.mesh_id != mesh_id:
            raise CertificateError("wrong-mesh", f"the root record of {root.name!r}")
        return cls(root)

    def verify_chain(self, chain: Sequence[bytes], wall: float | None) -> Certificate:
        """Judge a node's certificate chain.

        Args:
          chain: Encoded, as received: the node's, perhaps a sub-issuer's, the issuer's.
          wall: Unix seconds; None to leave the time out of it.

        Returns:
          The node's certificate.

        Raises:
          CertificateError: The reason is one of ``malformed``, ``unknown-role``, ``too-long``,
            ``wrong-mesh``, ``wrong-issuer``, ``bad-key``, ``bad-signature``,
            ``not-within-issuer``, ``not-a-node``, ``expired``, ``not-yet-valid``.
        """
        leaf = self._verify(chain, wall)
        if leaf.path_len is not None:
            raise CertificateError("not-a-node", "an issuer's certificate is no node's")
        return leaf

    def verify_past_chain(self, chain: Sequence[bytes]) -> Certificate:
        """Judge the chain of what was signed some time ago, whatever the time is.

        Raises:
          CertificateError: As `verify_chain`.
        """
        return self.verify_chain(chain, None)

    def steps(self, chain: Iterable[bytes]) -> tuple[Step, ...]:
        """The steps of a chain, leaf first.

        Args:
          chain: Verified before; it is only taken apart here.
        """
        found: list[Step] = []
        below = b""
        for data in chain:
            certificate = self._good.get(data) or decode_certificate(data)[0]
            found.append((certificate.fingerprint, below))
            below = node_id(certificate.subject)
        return tuple(found)

    def verify_issuer_chain(self, chain: Sequence[bytes], wall: float | None) -> Certificate:
        """Judge an issuer's own chain: perhaps a sub-issuer's certificate, then the issuer's.

        Raises:
          CertificateError: As `verify_chain`; ``wrong-issuer`` if it is a node's.
        """
        leaf = self._verify(chain, wall)
        if leaf.path_len is None:
            raise CertificateError("wrong-issuer", "a node's certificate is no issuer's")
        return leaf

    def _verify(self, chain: Sequence[bytes], wall: float | None) -> Certificate:
        if len(chain) > MAX_CHAIN:
            raise CertificateError("too-long", f"{len(chain)} certificates")
        if not chain:
            raise CertificateError("malformed", "no certificate")
        above: Certificate | None = None
        depth = len(chain)
        for data in reversed(chain):
            depth -= 1
            certificate = self._certificate(data, above)
            if certificate.path_len is None and depth:
                raise CertificateError("wrong-issuer", "a node's certificate signs nothing")
            if wall is not None:
                check_time(certificate, wall)
            above = certificate
        assert above is not None
        return above

    def _certificate(self, data: bytes, above: Certificate | None) -> Certificate:
        """One certificate of a chain, with the verified one above it; None for the root."""
        known = self._good.get(data)
        if known is not None:
            _check_issuer(known, above)
            return known
        certificate, envelope = decode_certificate(data)
        if certificate.mesh_id != self.mesh_id:
            raise CertificateError("wrong-mesh", f"{certificate.name!r} belongs to another mesh")
        _check_issuer(certificate, above)
        check_public_key(certificate.subject)
        try:
            if above is None:
                self.root.verify(Domain.CERTIFICATE, envelope)
            else:
                if [signer for signer, _signature in envelope.signatures] != [0]:
                    raise CertificateError("malformed", "signatures")
                signature = envelope.signatures[0][1]
                verify(above.subject, Domain.CERTIFICATE, self.mesh_id, envelope.body, signature)
        except BadSignature:
            raise CertificateError(
                "bad-signature", f"certificate of {certificate.name!r}"
            ) from None
        if above is not None:
            check_within(certificate, above)
        if len(self._good) >= _REMEMBERED:
            del self._good[next(iter(self._good))]
        self._good[data] = certificate
        return certificate


def check_time(certificate: Certificate, wall: float) -> None:
    """Check that a certificate is valid now, give or take `CLOCK_SECONDS`.

    Raises:
      CertificateError: ``expired``; ``not-yet-valid``, which mostly means that a clock is wrong.
    """
    if wall >= certificate.not_after + CLOCK_SECONDS:
        raise CertificateError(
            "expired",
            f"the certificate of {certificate.name!r} ended {_when(certificate.not_after)}",
        )
    if wall < certificate.not_before - CLOCK_SECONDS:
        raise CertificateError(
            "not-yet-valid",
            f"the certificate of {certificate.name!r} begins {_when(certificate.not_before)}, "
            f"and it is {_when(wall)} here: one of the two clocks is wrong",
        )


def check_within(certificate: Certificate, issuer: Certificate) -> None:
    """Check that a certificate hands on no more than its issuer has.

    Raises:
      CertificateError: ``not-within-issuer``; the detail names what exceeds it.
    """
    exceeds = _exceeding(certificate, issuer)
    if exceeds:
        raise CertificateError("not-within-issuer", exceeds)


def _exceeding(certificate: Certificate, issuer: Certificate) -> str:
    if issuer.path_len is None:
        return "issuing at all"
    if certificate.path_len is not None and certificate.path_len >= issuer.path_len:
        return "length of the chain"
    if "issuer" in certificate.roles and issuer.path_len == 0:
        return "role issuer"
    if not certificate.roles <= issuer.roles:
        return f"role {', '.join(sorted(certificate.roles - issuer.roles))}"
    if not (
        issuer.not_before <= certificate.not_before < certificate.not_after <= issuer.not_after
    ):
        return "time"
    if not capability.within(certificate.capabilities, issuer.capabilities):
        return "capabilities"
    for limit, most in zip(certificate.limits, issuer.limits, strict=True):
        if most and not 0 < limit <= most:
            return "limits"
    return ""


def _check_issuer(certificate: Certificate, above: Certificate | None) -> None:
    if certificate.issuer != (None if above is None else above.fingerprint):
        raise CertificateError(
            "wrong-issuer", f"the certificate of {certificate.name!r} names another issuer"
        )


def _signed_by_itself(data: bytes) -> RootRecord:
    try:
        return decode_root(data)
    except BadSignature:
        raise CertificateError("bad-signature", "root record") from None


def _when(wall: float) -> str:
    try:
        return f"{datetime.fromtimestamp(wall, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"at second {wall:.0f}"
