"""How a mesh begins, and how it grows, without files or links: keys, root record, certificates.

`Home` writes what `found_with_root` makes; simulations and tests build whole meshes in memory.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from gossipnet.errors import IdentityError
from gossipnet.identity.capability import EVERYTHING, READ_AND_WRITE, Capability
from gossipnet.identity.certificate import NODE_SECONDS
from gossipnet.identity.envelope import MAX_SIGNATURES
from gossipnet.identity.issuer import MEMBER, Issuer, issue_by_root
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.root import make_root
from gossipnet.identity.signing import SecretKey
from gossipnet.identity.trust import Trust

FOUNDER = frozenset({"member", "issuer"})


def found(mesh: str, name: str, entropy: Callable[[int], bytes], wall: float) -> NodeIdentity:
    """Found a mesh whose root key is thrown away.

    Args:
      mesh: The mesh's name.
      name: The founding node's name.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      wall: Unix seconds.

    Raises:
      IdentityError: A name does not do.
    """
    return found_with_root(mesh, name, entropy, wall)[0]


def found_with_root(
    mesh: str, name: str, entropy: Callable[[int], bytes], wall: float
) -> tuple[NodeIdentity, SecretKey]:
    """Found a mesh: its first node, which is an issuer, and the root key.

    Entropy is asked for the seeds of root, issuer and node, then for two serials, in this order.

    Raises:
      IdentityError: A name does not do.
    """
    identity, root_keys = found_with_roots(mesh, name, entropy, wall)
    return identity, root_keys[0]


def found_with_roots(
    mesh: str,
    name: str,
    entropy: Callable[[int], bytes],
    wall: float,
    *,
    threshold: int = 1,
    authorities: int = 1,
    recovery: bytes | None = None,
) -> tuple[NodeIdentity, tuple[SecretKey, ...]]:
    """Found a mesh: its first node, which is an issuer, and the authorities' keys.

    Args:
      mesh: The mesh's name.
      name: The founding node's name.
      entropy: Asked for the seeds of the authorities, of issuer and node, then for two serials.
      wall: Unix seconds.
      threshold: How many authorities must sign what the root signs.
      authorities: How many there are.
      recovery: Public half of a recovery key.

    Raises:
      IdentityError: A name or a number does not do.
    """
    if not 1 <= threshold <= authorities <= MAX_SIGNATURES:
        raise IdentityError(
            f"{threshold} of {authorities} authorities cannot be: there are 1 to {MAX_SIGNATURES} "
            "of them, and up to as many must sign"
        )
    root_keys = tuple(SecretKey.generate(entropy) for _ in range(authorities))
    issuer_key = SecretKey.generate(entropy)
    key = SecretKey.generate(entropy)
    root = make_root(mesh, root_keys, int(wall), threshold=threshold, recovery=recovery)
    trust = Trust(root)
    issuer_chain = issue_by_root(
        root_keys, trust, issuer_key.public_key, name, wall=wall, entropy=entropy
    )
    chain = Issuer(issuer_key, issuer_chain, trust).issue(
        key.public_key, name, wall=wall, entropy=entropy, roles=FOUNDER, capabilities=EVERYTHING
    )
    identity = NodeIdentity.assemble(
        key, chain, trust, issuer_key=issuer_key, issuer_chain=issuer_chain
    )
    return identity, root_keys


def admit(
    by: NodeIdentity,
    name: str,
    entropy: Callable[[int], bytes],
    wall: float,
    *,
    roles: frozenset[str] = MEMBER,
    capabilities: tuple[Capability, ...] = READ_AND_WRITE,
    ttl: float = NODE_SECONDS,
) -> NodeIdentity:
    """A new node of ``by``'s mesh, as a join would make it; an issuer if its roles say so.

    Raises:
      IdentityError: ``by`` may not let anybody in, or not with these roles and capabilities.
    """
    if by.issuer is None:
        raise IdentityError(f"{by.name} is no issuer")
    key = SecretKey.generate(entropy)
    chain = by.issuer.issue(
        key.public_key,
        name,
        wall=wall,
        entropy=entropy,
        roles=roles,
        capabilities=capabilities,
        ttl=ttl,
    )
    if "issuer" not in roles:
        return NodeIdentity.assemble(key, chain, by.trust)
    issuer_key = SecretKey.generate(entropy)
    issuer_chain = by.issuer.issue_issuer(issuer_key.public_key, name, wall=wall, entropy=entropy)
    return NodeIdentity.assemble(
        key, chain, by.trust, issuer_key=issuer_key, issuer_chain=issuer_chain
    )


def expand(seed: bytes) -> Callable[[int], bytes]:
    """Entropy that is the same for the same seed: for simulations, tests and the demo mesh.

    Block n is SHAKE-256 of the seed and of n as 8 bytes, as long as asked for.
    """
    count = 0

    def entropy(size: int) -> bytes:
        nonlocal count
        block = hashlib.shake_256(seed + count.to_bytes(8, "big")).digest(size)
        count += 1
        return block

    return entropy


@dataclass(frozen=True, slots=True)
class Mesh:
    """A whole mesh in memory.

    Attributes:
      identities: The founder first.
      trust: Shared by all of them.
    """

    identities: tuple[NodeIdentity, ...]
    trust: Trust


def found_mesh(
    count: int, *, mesh: str = "mesh", seed: bytes = b"", wall: float = 1_800_000_000.0
) -> Mesh:
    """A mesh of ``count`` nodes, ``n0`` the founder, the same for the same arguments.

    Args:
      count: How many nodes.
      mesh: Its name.
      seed: Anything.
      wall: When all certificates begin, unix seconds.
    """
    entropy = expand(b"gossipnet mesh in memory\0" + seed)
    founder = found(mesh, "n0", entropy, wall)
    rest = (admit(founder, f"n{number}", entropy, wall) for number in range(1, count))
    return Mesh((founder, *rest), founder.trust)
