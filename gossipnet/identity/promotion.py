"""Making a node an issuer by the root's own keys: when no issuer is left, or its time is over.

A node that is an issuer already gets new certificates for the same issuer key.
"""

from collections.abc import Callable, Sequence

from gossipnet.errors import IdentityError
from gossipnet.identity.capability import EVERYTHING
from gossipnet.identity.files import present, write_private
from gossipnet.identity.founding import FOUNDER
from gossipnet.identity.home import ISSUER_KEY, Home
from gossipnet.identity.issuer import Issuer, issue_by_root
from gossipnet.identity.keyfile import write_seed
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import SecretKey


def promote(
    home: Home,
    root_keys: Sequence[SecretKey],
    entropy: Callable[[int], bytes],
    wall: float,
) -> NodeIdentity:
    """Certify the node of a home as an issuer that may make others; its daemon must be stopped.

    Args:
      home: Complete.
      root_keys: As many authorities of the newest root as must sign.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      wall: Unix seconds.

    Raises:
      HomeError: The disk will not do.
      IdentityError: The keys are too few, or not this mesh's.
    """
    identity = home.load()
    path = home.path / ISSUER_KEY
    if identity.issuer is not None:
        key = identity.issuer.key
    elif present(path):
        raise IdentityError(f"{path} is there, and no certificate for it: move it away")
    else:
        key = SecretKey.generate(entropy)
    trust = identity.trust
    issuer_chain = issue_by_root(
        root_keys, trust, key.public_key, identity.name, wall=wall, entropy=entropy
    )
    chain = Issuer(key, issuer_chain, trust).issue(
        identity.public_key,
        identity.name,
        wall=wall,
        entropy=entropy,
        roles=identity.roles | FOUNDER,
        capabilities=EVERYTHING,
    )
    promoted = NodeIdentity.assemble(
        identity.key, chain, trust, issuer_key=key, issuer_chain=issuer_chain
    )
    if identity.issuer is None:
        write_private(path, write_seed("issuer", key))
    home.renew(promoted)
    return promoted
