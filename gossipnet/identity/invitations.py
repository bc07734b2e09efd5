"""An issuer's book of invitations: which tokens it minted, and who used them.

A token is redeemed by one compare-and-set in this book, which one node alone keeps; so two machines
never share a single-use token. The same key gets the same certificates again, so that a lost answer
costs nothing. What is kept of a token is the pre-shared key, not the secret. The caller makes
`take_changes` durable before it answers anybody.

Each use is a named value of its own, so that a token for thousands of machines does not rewrite
thousands of certificates for each.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gossipnet import ids
from gossipnet.errors import NotFound, TokenError, UserError
from gossipnet.identity.capability import Capability
from gossipnet.identity.enrolment import Certified, capabilities_of, check_role, roles_of
from gossipnet.identity.issuer import Issuer
from gossipnet.identity.token import SECRET_BYTES, TOKEN_ID_BYTES, JoinToken, derive_psk
from gossipnet.ids import MeshId, NodeId, node_id

KEY_PREFIX = "invite/"
INVITATIONS_MAX = 4096
USES_MAX = 10_000
REDEEMED_MAX = 16_384
"""Uses kept over all tokens: a mesh never has more members."""
TTL_MAX = 366 * 86_400
KEPT_SECONDS = 30 * 86_400
"""For how long after its end an invitation is kept, to tell who used it."""
SIGNED_MAX = 4096
"""Requests signed from files that are remembered; the oldest are forgotten first."""
BY_FILE = bytes(TOKEN_ID_BYTES)
"""In place of a token's id: let in by a file."""

_TokenId = Annotated[bytes, Meta(min_length=TOKEN_ID_BYTES, max_length=TOKEN_ID_BYTES)]


class Redeemed(Struct, array_like=True, frozen=True):
    """One use of a token: by whom, when (unix seconds), with which outcome."""

    token_id: _TokenId
    public_key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    name: str
    wall: float
    certified: Certified


class Invitation(Struct, array_like=True):
    """One token as its issuer keeps it.

    Attributes:
      token_id: 16 bytes, public.
      psk: The handshake's pre-shared key.
      role: One of `enrolment.ROLES_TO_INVITE`.
      asked: The capabilities that were asked for; none for the role's usual ones.
      uses: For how many machines.
      not_after: Unix seconds.
    """

    token_id: _TokenId
    psk: Annotated[bytes, Meta(min_length=32, max_length=32)]
    role: str
    asked: tuple[Capability, ...]
    uses: Annotated[int, Meta(ge=1, le=USES_MAX)]
    not_after: int

    def __repr__(self) -> str:
        return f"<Invitation {self.token_id.hex()[:8]} for {self.uses} as {self.role}>"

    @property
    def roles(self) -> frozenset[str]:
        """What the newcomer becomes."""
        return roles_of(self.role)

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What the newcomer may do."""
        return capabilities_of(self.role, self.asked)


_invitation = msgspec.msgpack.Decoder(Invitation)
_redeemed = msgspec.msgpack.Decoder(Redeemed)


class Invitations:
    """The book."""

    def __init__(self) -> None:
        self._book: dict[bytes, Invitation] = {}
        self._used: dict[bytes, dict[bytes, Redeemed]] = {}
        self._used_count = 0
        self._signed: dict[bytes, Redeemed] = {}
        self._changes: dict[str, bytes | None] = {}

    def load(self, meta: Mapping[str, bytes]) -> int:
        """Read what an earlier process stored; how many entries could not be read."""
        uses: list[Redeemed] = []
        unreadable = 0
        for name, value in meta.items():
            if not name.startswith(KEY_PREFIX):
                continue
            try:
                if "/" in name[len(KEY_PREFIX) :]:
                    uses.append(_redeemed.decode(value))
                else:
                    invitation = _invitation.decode(value)
                    self._book[invitation.token_id] = invitation
                    self._used.setdefault(invitation.token_id, {})
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                unreadable += 1
        for use in uses:
            if use.token_id in self._book:
                self._note(use)
            elif use.token_id == BY_FILE:
                self._signed[use.public_key] = use
            else:
                unreadable += 1
        return unreadable

    def take_changes(self) -> dict[str, bytes | None]:
        """Named values to make durable since the last call; None removes one."""
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
        hybrid: bool = False,
    ) -> JoinToken:
        """Mint a token.

        Args:
          issuer: Will certify whoever redeems it.
          node: The issuer's node, which newcomers must reach.
          role: One of `enrolment.ROLES_TO_INVITE`.
          uses: For how many machines, 1 to `USES_MAX`.
          ttl: Valid for so many seconds, up to `TTL_MAX`.
          capabilities: What newcomers may do, and new issuers hand out; empty for the usual.
          addresses: Where to knock, ``HOST:PORT``.
          wall: Unix seconds.
          entropy: ``entropy(n)`` gives n unpredictable bytes.
          hybrid: The issuer's node answers hybrid joins.

        Raises:
          UserError: A number is out of range, there are too many open invitations, or the issuer
            may not hand that out: better told here than to the newcomer.
        """
        self._prune(wall)
        if not 1 <= uses <= USES_MAX:
            raise UserError(f"a token has 1 to {USES_MAX} uses, not {uses}")
        if not 0 < ttl <= TTL_MAX:
            raise UserError("a token is valid for up to 366 days, and for more than no time")
        check_role(role, capabilities)
        if len(self._book) >= INVITATIONS_MAX:
            raise UserError(f"{INVITATIONS_MAX} invitations are open: wait until some expire")
        secret = entropy(SECRET_BYTES)
        token = JoinToken(
            MeshId(issuer.certificate.mesh_id),
            node,
            entropy(TOKEN_ID_BYTES),
            secret,
            int(wall + ttl),
            tuple(addresses),
            hybrid,
        )
        invitation = Invitation(
            token.token_id, derive_psk(secret), role, tuple(capabilities), uses, token.not_after
        )
        issuer.check(
            wall,
            roles=invitation.roles,
            capabilities=invitation.capabilities,
            makes_issuer=role == "issuer",
        )
        self._book[token.token_id] = invitation
        self._used[token.token_id] = {}
        self._changes[_name(token.token_id)] = msgspec.msgpack.encode(invitation)
        return token

    def psk_of(self, token_id: bytes, wall: float) -> bytes:
        """The pre-shared key of a token, used up or not: who used it may ask again.

        Raises:
          TokenError: Unknown or expired.
        """
        return self._find(token_id, wall).psk

    def redeem(
        self,
        token_id: bytes,
        public_key: bytes,
        name: str,
        wall: float,
        issue: Callable[[Invitation], Certified],
    ) -> Certified:
        """Use a token for a key.

        Args:
          token_id: Which token; the caller has proof that the newcomer holds its secret.
          public_key: The newcomer's; the caller has proof that it holds the key.
          name: The name it wants.
          wall: Unix seconds.
          issue: Makes the certificates. What it raises leaves the token unused.

        Returns:
          What the key gets, the same whenever it asks again.

        Raises:
          TokenError: Unknown, expired or used up.
        """
        invitation = self._find(token_id, wall)
        used = self._used[token_id]
        earlier = used.get(public_key)
        if earlier is not None:
            return earlier.certified
        if len(used) >= invitation.uses:
            raise TokenError("the token has been used: ask for a new one with `gossipnet invite`")
        if self._used_count >= REDEEMED_MAX:
            self._prune(wall)
        if self._used_count >= REDEEMED_MAX:
            raise TokenError(f"this issuer let in {REDEEMED_MAX} machines of late: use another one")
        use = Redeemed(token_id, public_key, name, wall, issue(invitation))
        self._note(use)
        self._changes[_name(token_id, public_key)] = msgspec.msgpack.encode(use)
        return use.certified

    def signed(self, public_key: bytes, name: str, wall: float, certified: Certified) -> None:
        """Note that a key was certified by a file; the last time counts."""
        use = Redeemed(BY_FILE, public_key, name, wall, certified)
        self._signed.pop(public_key, None)
        self._signed[public_key] = use
        self._changes[_name(BY_FILE, public_key)] = msgspec.msgpack.encode(use)
        while len(self._signed) > SIGNED_MAX:
            oldest = min(self._signed.values(), key=lambda each: each.wall).public_key
            del self._signed[oldest]
            self._changes[_name(BY_FILE, oldest)] = None

    def cancel(self, prefix: str, wall: float) -> bytes:
        """End a token before its time; its id. Whom it let in stays.

        Args:
          prefix: The first letters of its id in hexadecimal, 8 at least.
          wall: Unix seconds.

        Raises:
          NotFound: No open token begins so, or several do.
        """
        found = [
            one
            for one, invitation in self._book.items()
            if len(prefix) >= 8 and one.hex().startswith(prefix) and wall <= invitation.not_after
        ]
        if len(found) != 1:
            raise NotFound(
                f"no open token has an id that begins with {prefix[:40]!r}: `gossipnet invites` "
                "lists them"
            )
        invitation = self._book[found[0]]
        invitation.not_after = min(invitation.not_after, int(wall) - 1)
        self._changes[_name(invitation.token_id)] = msgspec.msgpack.encode(invitation)
        return invitation.token_id

    def audit(self) -> list[Redeemed]:
        """Who used which token when, as far back as it is kept; the oldest first."""
        uses = [use for used in self._used.values() for use in used.values()]
        uses += self._signed.values()
        return sorted(uses, key=lambda use: use.wall)

    def tokens(self) -> list[tuple[Invitation, int]]:
        """Every token that is kept, and how many machines have used it; the first to end first."""
        rows = [(each, len(self._used[each.token_id])) for each in self._book.values()]
        return sorted(rows, key=lambda row: row[0].not_after)

    def names_since(self, wall: float) -> Iterator[tuple[str, NodeId]]:
        """Names that were given since then, with the nodes that got them."""
        for used in (*self._used.values(), self._signed):
            for use in used.values():
                if use.wall >= wall:
                    yield use.name, node_id(use.public_key)

    def _find(self, token_id: bytes, wall: float) -> Invitation:
        invitation = self._book.get(token_id)
        if invitation is None:
            raise TokenError("the issuer does not know this token: ask for a new one")
        if wall > invitation.not_after:
            raise TokenError("the token has expired: ask for a new one with `gossipnet invite`")
        return invitation

    def _note(self, use: Redeemed) -> None:
        self._used[use.token_id][use.public_key] = use
        self._used_count += 1

    def _prune(self, wall: float) -> None:
        for token_id, invitation in list(self._book.items()):
            if wall > invitation.not_after + KEPT_SECONDS:
                del self._book[token_id]
                self._changes[_name(token_id)] = None
                for public_key in self._used.pop(token_id):
                    self._used_count -= 1
                    self._changes[_name(token_id, public_key)] = None


def _name(token_id: bytes, public_key: bytes | None = None) -> str:
    used_by = "" if public_key is None else f"/{node_id(public_key).hex()}"
    return f"{KEY_PREFIX}{token_id.hex()}{used_by}"


def audit_of(book: Invitations, wall: float) -> dict[str, object]:
    """Which tokens there are, and who was let in by them or by files, for people.

    Args:
      book: An issuer's.
      wall: Unix seconds.
    """
    tokens: list[dict[str, object]] = []
    for invitation, used in book.tokens():
        ended = wall > invitation.not_after
        tokens.append(
            {
                "token": invitation.token_id.hex(),
                "role": invitation.role,
                "allow": [
                    f"{verb}:{prefix.decode(errors='backslashreplace')}"
                    for verb, prefix in invitation.capabilities
                ],
                "uses": invitation.uses,
                "used": used,
                "not_after": invitation.not_after,
                "state": "ended" if ended else "used" if used >= invitation.uses else "open",
            }
        )
    admitted = [
        {
            "token": "" if use.token_id == BY_FILE else use.token_id.hex(),
            "name": use.name,
            "id": ids.text(node_id(use.public_key)),
            "wall": use.wall,
        }
        for use in book.audit()
    ]
    return {"tokens": tokens, "admitted": admitted}
