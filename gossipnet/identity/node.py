"""Who this node is: its keys, its certificate chain, and the mesh it trusts, all of it checked."""

from dataclasses import dataclass, field

from gossipnet import ids
from gossipnet.errors import CertificateError, IdentityError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.issuer import Issuer
from gossipnet.identity.signing import SecretKey
from gossipnet.identity.trust import Trust
from gossipnet.ids import NodeId


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """One node's identity; made by `assemble`, which checks that its parts belong together.

    Attributes:
      key: Signs for this node.
      chain: Its certificates, leaf first.
      certificate: The leaf, taken apart.
      trust: The mesh.
      issuer: What it certifies others with; None if it may not.
    """

    key: SecretKey
    chain: tuple[bytes, ...] = field(repr=False)
    certificate: Certificate = field(repr=False)
    trust: Trust
    issuer: Issuer | None = None

    @classmethod
    def assemble(
        cls,
        key: SecretKey,
        chain: tuple[bytes, ...],
        trust: Trust,
        *,
        issuer_key: SecretKey | None = None,
        issuer_chain: tuple[bytes, ...] = (),
        wall: float | None = None,
    ) -> "NodeIdentity":
        """Put an identity together.

        Args:
          key: The node's key.
          chain: Its certificates, leaf first.
          trust: The mesh.
          issuer_key: The key it certifies others with, if it may.
          issuer_chain: That key's certificates, leaf first.
          wall: Unix seconds, to refuse certificates that are not valid now; None to leave that
            to others.

        Raises:
          IdentityError: Something does not hold, or does not belong together.
        """
        try:
            certificate = trust.verify_chain(chain, wall)
            if certificate.subject != key.public_key:
                raise IdentityError("the certificate and the key do not belong together")
            issuer = None
            if issuer_key is not None:
                issuer = Issuer(issuer_key, issuer_chain, trust)
        except CertificateError as error:
            raise IdentityError(f"the certificate does not hold: {error}") from None
        return cls(key, tuple(chain), certificate, trust, issuer)

    def renewed(
        self, chain: tuple[bytes, ...], issuer_chain: tuple[bytes, ...] = ()
    ) -> "NodeIdentity":
        """The same node under newer certificates.

        Args:
          chain: The node's, leaf first.
          issuer_chain: The issuer key's; empty to keep those it has.

        Raises:
          IdentityError: They do not hold, or are for other keys.
        """
        issuer = self.issuer
        return NodeIdentity.assemble(
            self.key,
            chain,
            self.trust,
            issuer_key=None if issuer is None else issuer.key,
            issuer_chain=issuer_chain or (() if issuer is None else issuer.chain),
        )

    @property
    def node_id(self) -> NodeId:
        """Hash of the public key."""
        return self.key.node_id

    @property
    def public_key(self) -> bytes:
        """Ed25519, 32 bytes."""
        return self.key.public_key

    @property
    def name(self) -> str:
        """From its certificate; for people."""
        return self.certificate.name

    @property
    def roles(self) -> frozenset[str]:
        """From its certificate."""
        return self.certificate.roles

    @property
    def not_after(self) -> float:
        """When its certificate ends, unix seconds."""
        return float(self.certificate.not_after)

    def summary(self) -> dict[str, object]:
        """What may be shown to anybody, for `status` and its like."""
        return {
            "mesh": self.trust.mesh_name,
            "mesh_id": ids.text(self.trust.mesh_id),
            "name": self.name,
            "node_id": ids.text(self.node_id),
            "roles": sorted(self.roles),
            "issuer": self.issuer is not None,
            "not_before": self.certificate.not_before,
            "not_after": self.certificate.not_after,
        }
