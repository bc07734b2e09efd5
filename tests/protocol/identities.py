"""One mesh whose keys come from names: ``node0`` founded it and lets everybody else in."""

from functools import cache

from gossipnet.identity.founding import admit, expand, found
from gossipnet.identity.node import NodeIdentity

WALL = 1_800_000_000.0
FOUNDER = "node0"


@cache
def identity(name: str) -> NodeIdentity:
    """The node of that name; the same one every time."""
    entropy = expand(name.encode())
    if name == FOUNDER:
        return found("testmesh", FOUNDER, entropy, WALL)
    return admit(identity(FOUNDER), name, entropy, WALL)
