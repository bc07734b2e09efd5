"""What a person chose for one node, as far as the engine is concerned."""

from dataclasses import dataclass, field

from gossipnet.protocol.handshake import PostQuantum


@dataclass(frozen=True)
class EngineSettings:
    """Attributes tell what each setting means.

    Attributes:
      addresses: ``HOST:PORT`` to advertise; a host such as ``0.0.0.0`` stands for the one under
        which peers see this node.
      seeds: Addresses to try when nobody is reachable.
      synced: What is committed is fsynced, not only with the operating system.
      zone: Name of this node's zone, or empty.
      software: Version of the program.
      secret: The mesh's, or empty; see `preamble`.
      rehearse: Act as the next version of the protocol would: for tests of upgrades.
      pq: When joins must be hybrid; links have it from their `Transport`.
    """

    addresses: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    synced: bool = True
    zone: str = ""
    software: str = ""
    secret: bytes = field(default=b"", repr=False)
    pq: PostQuantum = PostQuantum.PREFER
    rehearse: bool = False
