"""What a link knows about its other end once the handshake has proved it."""

from dataclasses import dataclass

from gossipnet.ids import NodeId


@dataclass(frozen=True, slots=True)
class Peer:
    """An authenticated peer.

    Attributes:
      node_id: Hash of its public key.
      public_key: Ed25519, 32 bytes.
      name: The name in its certificate; informational.
      roles: For example ``frozenset({"member"})``.
      chain: Its certificate chain, leaf first, as received.
      not_after: When the leaf certificate ends, seconds since 1970.
      root_version: The newest root record version it says it holds.
      hybrid: The link's keys hold against quantum computers too.
    """

    node_id: NodeId
    public_key: bytes
    name: str
    roles: frozenset[str]
    chain: tuple[bytes, ...]
    not_after: float
    root_version: int
    hybrid: bool = False
