"""An issuer's book of invitations: which tokens it minted, and who used them.

A token is redeemed by one compare-and-set in this book, which one node alone keeps; so two machines
never share a single-use token. The same key gets the same certificates again, so that a lost answer
costs nothing. What is kept of a token is the pre-shared key, not the secret. The caller makes
`take_changes` durable before it answers anybody.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gossipnet.errors import TokenError, UserError
from gossipnet.identity.capability import READ_AND_WRITE, Capability
from gossipnet.identity.issuer import Issuer
from gossipnet.identity.token import JoinToken, derive_psk
from gossipnet.ids import MeshId, NodeId

KEY_PREFIX = "invite/"
INVITATIONS_MAX = 4096
USES_MAX = 10_000
TTL_MAX = 366 * 86_400
KEPT_SECONDS = 7 * 86_400
"""For how long after its end an invitation is kept, to tell who used it."""


class Redeemed(Struct, array_like=True, frozen=True):
    """One use: by whom, when (unix seconds), with which outcome."""

    public_key: bytes
    name: str
    wall: float
    chain: tuple[bytes, ...]


class Invitation(Struct, array_like=True):
    """One token as its issuer keeps it."""

    token_id: bytes
    psk: bytes
    role: str
    capabilities: tuple[tuple[str, bytes], ...]
    uses: Annotated[int, Meta(ge=1)]
    not_after: int
    used: list[Redeemed]

    def __repr__(self) -> str:
        return f"<Invitation {self.token_id.hex()[:8]} {len(self.used)}/{self.uses} used>"

    @property
    def roles(self) -> frozenset[str]:
        """What the newcomer becomes."""
        return frozenset({"member", self.role} if self.role == "issuer" else {self.role})


_decoder = msgspec.msgpack.Decoder(Invitation)


class Invitations:
    """The book."""

    def __init__(self) -> None:
        self._book: dict[bytes, Invitation] = {}
        self._changes: dict[str, bytes | None] = {}

    def load(self, meta: Mapping[str, bytes]) -> int:
        """Read what an earlier process stored; how many entries could not be read."""
        unreadable = 0
        for name, value in meta.items():
            if name.startswith(KEY_PREFIX):
                try:
                    invitation = _decoder.decode(value)
                except msgspec.MsgspecError:
                    unreadable += 1
                    continue
                self._book[invitation.token_id] = invitation
        return unreadable

    def take_changes(self) -> dict[str, bytes | None]:
        """Named values to make durable since the last call."""
        changes, self._changes = self._changes, {}
        return changes

    def create(
        self,
        issuer: Issuer,
        *,
        node: NodeId,
        role: str,
        uses: int,
        ttl: float,
        capabilities: Sequence[Capability],
        addresses: Sequence[str],
        wall: float,
        entropy: Callable[[int], bytes],
    ) -> JoinToken:
        """Mint a token.

        Raises:
          UserError: A number is out of range, or there are too many open invitations.
        """
        self._prune(wall)
        if not 1 <= uses <= USES_MAX:
            raise UserError(f"a token has 1 to {USES_MAX} uses, not {uses}")
        if not 0 < ttl <= TTL_MAX:
            raise UserError("a token is valid for up to 366 days, and for more than no time")
        if role not in ("member", "issuer"):
            raise UserError(f"{role!r} is not a role to invite: choose member or issuer")
        if len(self._book) >= INVITATIONS_MAX:
            raise UserError(f"{INVITATIONS_MAX} invitations are open: wait until some expire")
        secret = entropy(32)
        token = JoinToken(
            MeshId(issuer.certificate.mesh_id),
            node,
            entropy(16),
            secret,
            int(wall + ttl),
            tuple(addresses),
        )
        self._keep(
            Invitation(
                token.token_id,
                derive_psk(secret),
                role,
                tuple(capabilities) or READ_AND_WRITE,
                uses,
                token.not_after,
                [],
            )
        )
        return token

    def psk_of(self, token_id: bytes, wall: float) -> bytes:
        """The pre-shared key of a token; raises `TokenError`."""
        return self._find(token_id, wall).psk

    def redeem(
        self,
        token_id: bytes,
        public_key: bytes,
        name: str,
        wall: float,
        issue: Callable[[Invitation], tuple[bytes, ...]],
    ) -> tuple[bytes, ...]:
        """Use a token for a key: the chain it gets, the same one whenever it asks again.

        Raises:
          TokenError: Unknown, expired or used up.
        """
        invitation = self._find(token_id, wall)
        for use in invitation.used:
            if use.public_key == public_key:
                return use.chain
        if len(invitation.used) >= invitation.uses:
            raise TokenError("the token has been used: ask for a new one with `gossipnet invite`")
        chain = issue(invitation)
        invitation.used.append(Redeemed(public_key, name, wall, chain))
        self._keep(invitation)
        return chain

    def _find(self, token_id: bytes, wall: float) -> Invitation:
        invitation = self._book.get(token_id)
        if invitation is None:
            raise TokenError("the issuer does not know this token: ask for a new one")
        if wall > invitation.not_after:
            raise TokenError("the token has expired: ask for a new one with `gossipnet invite`")
        return invitation

    def _keep(self, invitation: Invitation) -> None:
        self._book[invitation.token_id] = invitation
        name = KEY_PREFIX + invitation.token_id.hex()
        self._changes[name] = msgspec.msgpack.encode(invitation)

    def _prune(self, wall: float) -> None:
        for token_id, invitation in list(self._book.items()):
            if wall > invitation.not_after + KEPT_SECONDS:
                del self._book[token_id]
                self._changes[KEY_PREFIX + token_id.hex()] = None
