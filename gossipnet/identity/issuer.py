"""Signing certificates: by the root for issuers, by an issuer for nodes and, once, for issuers.

Refuses to sign what no node would accept, so that a mistake is told where it is made.
"""

from collections.abc import Callable, Sequence

from gossipnet import ids
from gossipnet.errors import CertificateError, IdentityError
from gossipnet.identity.capability import EVERYTHING, READ_AND_WRITE, Capability
from gossipnet.identity.certificate import (
    FOUNDER_PATH_LEN,
    ISSUER_SECONDS,
    MAX_SECONDS,
    NODE_SECONDS,
    ROLES,
    Certificate,
    check_name,
    decode_body,
    encode_body,
)
from gossipnet.identity.envelope import seal
from gossipnet.identity.signing import Domain, SecretKey, check_public_key, sign
from gossipnet.identity.trust import Trust, check_time, check_within

SERIAL_BYTES = 16
MEMBER = frozenset({"member"})


class Issuer:
    """A key that may sign certificates, and the chain that says so.

    Args:
      key: The issuer's own key, not the node's.
      chain: Its certificate, and that of the issuer above it if there is one.
      trust: The mesh.

    Raises:
      CertificateError: The chain does not hold.
      IdentityError: It is another key's.

    Attributes:
      certificate: What it may hand out.
    """

    __slots__ = ("certificate", "chain", "key", "trust")

    def __init__(self, key: SecretKey, chain: tuple[bytes, ...], trust: Trust) -> None:
        self.key = key
        self.chain = chain
        self.trust = trust
        self.certificate: Certificate = trust.verify_issuer_chain(chain, None)
        if self.certificate.subject != key.public_key:
            raise IdentityError(
                "the issuer's certificate and the issuer's key do not belong together"
            )

    def __repr__(self) -> str:
        return f"<Issuer {self.certificate.name} {ids.short(self.key.node_id)}>"

    def check(
        self,
        wall: float,
        *,
        roles: frozenset[str],
        capabilities: tuple[Capability, ...],
        makes_issuer: bool = False,
    ) -> None:
        """Find out whether `issue`, and `issue_issuer` too if asked for, would do it.

        Raises:
          IdentityError: They would not.
        """
        if makes_issuer:
            self._may_make_issuers()
        mine = self.certificate
        serial = bytes(SERIAL_BYTES)
        self._body(
            mine.subject, mine.name, wall, serial, roles, capabilities, NODE_SECONDS, (0, 0), None
        )

    def issue(
        self,
        subject: bytes,
        name: str,
        *,
        wall: float,
        entropy: Callable[[int], bytes],
        roles: frozenset[str] = MEMBER,
        capabilities: tuple[Capability, ...] = READ_AND_WRITE,
        ttl: float = NODE_SECONDS,
        limits: tuple[int, int] = (0, 0),
    ) -> tuple[bytes, ...]:
        """Certify a node; its chain, leaf first.

        Args:
          subject: The node's public key.
          name: The node's name.
          wall: Unix seconds, when it begins.
          entropy: ``entropy(n)`` gives n unpredictable bytes.
          roles: What it is.
          capabilities: What it may do.
          ttl: For how many seconds, at most until this issuer's own certificate ends.
          limits: Operations and bytes per second; 0 for the mesh's own.

        Raises:
          IdentityError: No node would accept the certificate; the text says what is wrong.
          CertificateError: ``bad-key``.
        """
        return self._sign(subject, name, wall, entropy, roles, capabilities, ttl, limits, None)

    def issue_issuer(
        self,
        subject: bytes,
        name: str,
        *,
        wall: float,
        entropy: Callable[[int], bytes],
        roles: frozenset[str] | None = None,
        capabilities: tuple[Capability, ...] | None = None,
        ttl: float = ISSUER_SECONDS,
    ) -> tuple[bytes, ...]:
        """Certify an issuer below this one, which then cannot certify issuers itself.

        Args:
          subject: The new issuer's public key; not its node's.
          name: Its node's name.
          wall: Unix seconds, when it begins.
          entropy: ``entropy(n)`` gives n unpredictable bytes.
          roles: What it may hand out; default all that this one may.
          capabilities: What it may hand out; default all that this one may.
          ttl: For how many seconds, at most until this issuer's own certificate ends.

        Raises:
          IdentityError: This issuer may not, or may not hand out as much.
          CertificateError: ``bad-key``.
        """
        return self._sign(
            subject,
            name,
            wall,
            entropy,
            self.certificate.roles if roles is None else roles | {"issuer"},
            self.certificate.capabilities if capabilities is None else capabilities,
            ttl,
            self.certificate.limits,
            self._may_make_issuers() - 1,
        )

    def _may_make_issuers(self) -> int:
        """How many issuers may stand below this one, at least one."""
        path_len = self.certificate.path_len
        if not path_len:
            raise IdentityError(
                f"{self.certificate.name} may let machines in, but may not make issuers: ask the "
                "node that founded the mesh"
            )
        return path_len

    def _sign(
        self,
        subject: bytes,
        name: str,
        wall: float,
        entropy: Callable[[int], bytes],
        roles: frozenset[str],
        capabilities: tuple[Capability, ...],
        ttl: float,
        limits: tuple[int, int],
        path_len: int | None,
    ) -> tuple[bytes, ...]:
        check_public_key(subject)
        serial = entropy(SERIAL_BYTES)
        body = self._body(subject, name, wall, serial, roles, capabilities, ttl, limits, path_len)
        signature = sign(self.key, Domain.CERTIFICATE, self.certificate.mesh_id, body)
        return (seal([(0, signature)], body), *self.chain)

    def _body(
        self,
        subject: bytes,
        name: str,
        wall: float,
        serial: bytes,
        roles: frozenset[str],
        capabilities: tuple[Capability, ...],
        ttl: float,
        limits: tuple[int, int],
        path_len: int | None,
    ) -> bytes:
        """A certificate's body, checked as every node will check it."""
        mine = self.certificate
        check_name(name, "a node")
        if not 1 <= ttl <= MAX_SECONDS:
            raise IdentityError(f"a certificate cannot last {ttl} seconds")
        # This node's clock may be behind that of whoever certified it, within the tolerance.
        begins = min(max(int(wall), mine.not_before), mine.not_after - 1)
        try:
            check_time(mine, wall)
            body = encode_body(
                mesh_id=mine.mesh_id,
                serial=serial,
                subject=subject,
                name=name,
                roles=roles,
                capabilities=capabilities,
                not_before=begins,
                not_after=min(begins + int(ttl), mine.not_after),
                issuer=mine.fingerprint,
                path_len=path_len,
                limits=limits,
            )
            check_within(decode_body(body), mine)
        except CertificateError as error:
            raise IdentityError(f"{mine.name} cannot certify {name!r}: {error}") from None
        return body


def issue_by_root(
    root_key: SecretKey | Sequence[SecretKey],
    trust: Trust,
    subject: bytes,
    name: str,
    *,
    wall: float,
    entropy: Callable[[int], bytes],
    ttl: float = ISSUER_SECONDS,
) -> tuple[bytes, ...]:
    """Certify an issuer that may hand out everything and make one more generation of issuers.

    Args:
      root_key: The mesh's authority, or at least as many of them as must sign.
      trust: The mesh.
      subject: The issuer's public key.
      name: Its node's name.
      wall: Unix seconds, when it begins.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      ttl: For how many seconds.

    Raises:
      IdentityError: The keys are not this mesh's authorities, or too few, or the name does not do.
      CertificateError: ``bad-key``.
    """
    check_name(name, "a node")
    signers = root_signers(root_key, trust)
    check_public_key(subject)
    body = encode_body(
        mesh_id=trust.mesh_id,
        serial=entropy(SERIAL_BYTES),
        subject=subject,
        name=name,
        roles=ROLES,
        capabilities=EVERYTHING,
        not_before=int(wall),
        not_after=int(wall + ttl),
        issuer=None,
        path_len=FOUNDER_PATH_LEN,
    )
    signatures = [
        (number, sign(key, Domain.CERTIFICATE, trust.mesh_id, body)) for number, key in signers
    ]
    return (seal(signatures, body),)


def root_signers(
    keys: SecretKey | Sequence[SecretKey], trust: Trust
) -> list[tuple[int, SecretKey]]:
    """Exactly as many of the newest root's authorities as must sign, each with its number.

    Raises:
      IdentityError: These keys are too few.
    """
    held = [keys] if isinstance(keys, SecretKey) else list(keys)
    root = trust.root
    by_public = {key.public_key: key for key in held}
    signers = [
        (number, by_public[public])
        for number, public in enumerate(root.authorities)
        if public in by_public
    ]
    if len(signers) < root.threshold:
        if root.threshold == 1:
            raise IdentityError(f"this root key is not the authority of mesh {trust.mesh_name!r}")
        raise IdentityError(
            f"{root.threshold} of the {len(root.authorities)} authority keys of mesh "
            f"{trust.mesh_name!r} must sign, and {len(signers)} of them are here"
        )
    return signers[: root.threshold]
