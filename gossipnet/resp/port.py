"""What commands need from the rest of the node; `gossipnet.protocol.engine.Engine` has all of it.

A protocol and not the class, so that commands can be tested on a replica alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gossipnet.state.keyspace import Keyspace


class Receipts(Protocol):
    """A question to other nodes that is under way."""

    def count(self, *, synced: bool = False) -> int:
        """How many others have said that they have it; ``synced``: on disk for good."""
        ...

    def close(self) -> None:
        """Nobody waits for it any more."""
        ...


class Trace(Protocol):
    """A question where a write has arrived that is under way."""

    @property
    def complete(self) -> bool:
        """Whether all have answered."""
        ...

    def document(self) -> Mapping[str, Any]:
        """What is known now."""
        ...

    def close(self) -> None:
        """Nobody waits for it any more."""
        ...


class MeshPort(Protocol):
    """The mesh as commands see it.

    Attributes:
      keyspace: All keys.
    """

    keyspace: Keyspace

    @property
    def committed(self) -> int:
        """Every commit up to this number is on disk."""
        ...

    def ticket(self) -> int:
        """The commit that will hold everything written so far."""
        ...

    def publish(self, channel: bytes, data: bytes) -> None:
        """Say something to all other nodes, once and unstored."""
        ...

    def hear(self, listener: Callable[[bytes, bytes], None]) -> None:
        """Whom to give channel and data of what others say."""
        ...

    def await_receipts(self, wanted: int) -> Receipts:
        """Ask other nodes whether they have all that was written so far."""
        ...

    def on_receipts(self, listener: Callable[[], None]) -> None:
        """Whom to tell when other nodes have answered."""
        ...

    def trace(self, key: bytes) -> Trace:
        """Ask all members about the newest write of a key; raises `gossipnet.errors.NotFound`."""
        ...

    def others(self) -> int:
        """How many other members are alive."""
        ...

    def members_table(self) -> Sequence[Mapping[str, Any]]:
        """One row a member."""
        ...

    def status(self) -> Mapping[str, Any]:
        """This node's health."""
        ...

    def peers(self) -> Sequence[Mapping[str, Any]]:
        """One row a link."""
        ...

    def map(self) -> Sequence[Sequence[str]]:
        """Pairs of ids of members that are neighbours."""
        ...

    def events(self) -> Sequence[Mapping[str, Any]]:
        """What happened, newest last."""
        ...

    def nearest(self, count: int) -> Sequence[Mapping[str, Any]]:
        """Rows of the nearest living members."""
        ...

    def owners(self, key: bytes, count: int) -> Sequence[Mapping[str, Any]]:
        """Rows of the living members to which a key belongs, its owner first."""
        ...

    def why(self, name_or_id: str) -> Any:
        """Why a member is thought to be what it is."""
        ...

    def invite(
        self, role: str, uses: int, ttl_s: float, capabilities: list[tuple[str, bytes]]
    ) -> str:
        """A join token's text; raises `gossipnet.errors.UserError`."""
        ...

    def sign(
        self, request: str, role: str, ttl_s: float, capabilities: list[tuple[str, bytes]]
    ) -> str:
        """A node certificate's text for a join request; raises `gossipnet.errors.UserError`."""
        ...

    def invites(self) -> Mapping[str, Any]:
        """Tokens, and who was let in."""
        ...

    def cancel_invite(self, token: str) -> str:
        """End a token; raises `gossipnet.errors.UserError`."""
        ...

    def renew(self) -> None:
        """Have this node certified anew; raises `gossipnet.errors.UserError`."""
        ...

    def revoke(self, node: str, reason: str) -> Mapping[str, Any]:
        """Revoke a member; raises `gossipnet.errors.UserError`."""
        ...

    def root(self) -> Mapping[str, Any]:
        """Versions of the mesh's root, and how many members know which."""
        ...

    def bring_root(self, data: bytes) -> None:
        """Take in a version of the root; raises `gossipnet.errors.UserError`."""
        ...

    def leave(self) -> None:
        """Sign off the mesh."""
        ...
