"""What a node believes: its mesh's root records, and by them every certificate chain.

A verdict is a function of the roots, the chain's bytes and, if asked, the time: every node comes to
the same. An issuer's certificate that an earlier version of the root signed holds as long as the
newest one lists it; what it did before is still read (`Trust.verify_past_chain`), for a record is
void by a rule of its own (`withdrawn`). Knows nothing of files, links or secrets.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from gossipnet import ids
from gossipnet.errors import BadSignature, CertificateError, RemoteProtocolError
from gossipnet.identity import capability
from gossipnet.identity.certificate import Certificate, decode_certificate
from gossipnet.identity.envelope import Envelope
from gossipnet.identity.root import RootRecord, decode_root
from gossipnet.identity.roots import Roots
from gossipnet.identity.signing import Domain, check_public_key, verify
from gossipnet.ids import MeshId, node_id

MAX_CHAIN = 3
Step = tuple[bytes, bytes]
"""A certificate's place in a chain: its fingerprint, and the id of the key that the certificate
below it is about; empty for the leaf."""
CLOCK_SECONDS = 300
"""How far this node's clock and an issuer's may differ."""

MAX_TRUST_BYTES = 49_152
"""Of all versions together: they must fit into the message that lets a newcomer in."""
_REMEMBERED = 4096
_ISSUERS_REMEMBERED = 1024

_decoder: msgspec.msgpack.Decoder[tuple[bytes, ...]] = msgspec.msgpack.Decoder(tuple[bytes, ...])


class Trust:
    """One mesh's roots, and the certificates that were found good under them.

    Args:
      root: The first version.

    Attributes:
      roots: All versions that are known.
      mesh_id: Hash of the first root record.
      mesh_name: For people.
    """

    def __init__(self, root: RootRecord) -> None:
        self.roots = Roots(root)
        self.mesh_id: MeshId = root.mesh_id
        self.mesh_name = root.name
        # Keyed by the certificate's own bytes, which name the issuer whose key was used.
        self._good: dict[bytes, Certificate] = {}
        self._by_root: dict[bytes, Envelope] = {}
        self._holds: dict[bytes, bool] = {}

    @property
    def root(self) -> RootRecord:
        """The newest root record."""
        return self.roots.newest

    @property
    def root_version(self) -> int:
        """Of the newest root record."""
        return self.roots.newest.version

    def adopt(self, data: bytes) -> RootRecord | None:
        """Take in a version of the root, of whatever row; None if it cannot be placed.

        Raises:
          CertificateError: It does not hold.
        """
        record = self.roots.add(data)
        self._holds.clear()
        return record

    def __repr__(self) -> str:
        return f"<Trust in {self.mesh_name} {ids.short(self.mesh_id)}>"

    def encode(self) -> bytes:
        """For a file or a newcomer: a msgpack array of the versions, the first one first."""
        return msgspec.msgpack.encode(tuple(record.data for record in self.roots.chain))

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
        if not roots:
            raise CertificateError("malformed", "no root record")
        root = _signed_by_itself(roots[0])
        if mesh_id is not None and root.mesh_id != mesh_id:
            raise CertificateError("wrong-mesh", f"the root record of {root.name!r}")
        trust = cls(root)
        for later in roots[1:]:
            if trust.adopt(later) is None:
                raise CertificateError("malformed", "versions of the root that do not follow")
        return trust

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
            ``not-within-issuer``, ``not-a-node``, ``expired``, ``not-yet-valid``, ``withdrawn``.
        """
        leaf, top = self._verify(chain, wall)
        self._check_newest(top)
        if leaf.path_len is not None:
            raise CertificateError("not-a-node", "an issuer's certificate is no node's")
        return leaf

    def verify_past_chain(self, chain: Sequence[bytes], wall: float | None = None) -> Certificate:
        """Judge a chain under whatever version of the root: of what was signed some time ago.

        Raises:
          CertificateError: As `verify_chain`, but for ``withdrawn``.
        """
        leaf, _top = self._verify(chain, wall)
        if leaf.path_len is not None:
            raise CertificateError("not-a-node", "an issuer's certificate is no node's")
        return leaf

    def withdrawn(self, fingerprint: bytes) -> bool:
        """Whether this is a certificate of the root's that the newest version does not stand by."""
        envelope = self._by_root.get(fingerprint)
        if envelope is None:
            return False
        holds = self._holds.get(fingerprint)
        if holds is None:
            holds = fingerprint in self.root.issuers or _signed(self.root, envelope)
            self._holds[fingerprint] = holds
        return not holds

    def _check_newest(self, certificate: Certificate) -> None:
        if self.withdrawn(certificate.fingerprint):
            raise CertificateError(
                "withdrawn",
                f"version {self.root_version} of the root does not stand by the certificate of "
                f"{certificate.name!r}",
            )

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
        leaf, top = self._verify(chain, wall)
        self._check_newest(top)
        if leaf.path_len is None:
            raise CertificateError("wrong-issuer", "a node's certificate is no issuer's")
        return leaf

    def _verify(
        self, chain: Sequence[bytes], wall: float | None
    ) -> tuple[Certificate, Certificate]:
        """The first and the last certificate of a chain that holds."""
        if len(chain) > MAX_CHAIN:
            raise CertificateError("too-long", f"{len(chain)} certificates")
        if not chain:
            raise CertificateError("malformed", "no certificate")
        above: Certificate | None = None
        top: Certificate | None = None
        depth = len(chain)
        for data in reversed(chain):
            depth -= 1
            certificate = self._certificate(data, above)
            if certificate.path_len is None and depth:
                raise CertificateError("wrong-issuer", "a node's certificate signs nothing")
            if wall is not None:
                check_time(certificate, wall)
            above = certificate
            top = top or certificate
        assert above is not None
        assert top is not None
        return above, top

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
                self._check_root(certificate, envelope)
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

    def _check_root(self, certificate: Certificate, envelope: Envelope) -> None:
        """Find a version of the root that signed an issuer's certificate."""
        if certificate.path_len is None:
            raise CertificateError("wrong-issuer", "the root signs issuers only")
        if not any(_signed(record, envelope) for record in self.roots.every()):
            raise BadSignature
        if len(self._by_root) >= _ISSUERS_REMEMBERED:
            self._by_root.clear()
            self._good.clear()
        self._by_root[certificate.fingerprint] = envelope


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


def _signed(record: RootRecord, envelope: Envelope) -> bool:
    try:
        record.verify(Domain.CERTIFICATE, envelope)
    except RemoteProtocolError:
        return False
    return True


def _when(wall: float) -> str:
    try:
        return f"{datetime.fromtimestamp(wall, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"at second {wall:.0f}"
