"""What the roles that people name mean in certificates, and the certificates of one newcomer.

The same for tokens and for requests by files. Refuses, with a sentence, what no node would take or
what would not be what its name says.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from gossipnet import ids
from gossipnet.errors import IdentityError, JoinError, UserError
from gossipnet.identity.capability import (
    MAX_CAPABILITIES,
    MAX_PREFIX_BYTES,
    READ_AND_WRITE,
    READ_ONLY,
    VERBS,
    Capability,
)
from gossipnet.identity.certificate import NODE_SECONDS, check_name
from gossipnet.identity.issuer import MEMBER, Issuer
from gossipnet.ids import NodeId

ROLES_TO_INVITE = ("member", "observer", "relay", "issuer", "revoker")
NAME_MAX = 63
CERTIFICATE_SECONDS_MAX = 366 * 86_400
"""The longest that a person may ask for; what its issuer has left bounds it too."""

_Chain = Annotated[tuple[bytes, ...], Meta(max_length=3)]
_ALONE = {"observer": "read", "relay": "relay"}
"""Roles that go without `member`, and the most that their certificates may say."""
_RELAY_ONLY: tuple[Capability, ...] = (("relay", b""),)


class Certified(Struct, array_like=True, frozen=True):
    """What a newcomer gets: its node's chain and, if it becomes an issuer, that key's chain."""

    chain: _Chain
    issuer_chain: _Chain = ()


def roles_of(role: str) -> frozenset[str]:
    """What a certificate says for a role of `ROLES_TO_INVITE`."""
    return frozenset({role}) if role in _ALONE else MEMBER | {role}


def capabilities_of(role: str, asked: Sequence[Capability]) -> tuple[Capability, ...]:
    """What a newcomer may do: what was asked for, else the role's usual."""
    if asked:
        return tuple(asked)
    return {"observer": READ_ONLY, "relay": _RELAY_ONLY}.get(role, READ_AND_WRITE)


def check_role(role: str, asked: Sequence[Capability]) -> None:
    """Find out whether a role can be handed out with these capabilities.

    Raises:
      UserError: It is none, or the capabilities are more than it stands for, or too many.
    """
    if role not in ROLES_TO_INVITE:
        known = ", ".join(ROLES_TO_INVITE)
        raise UserError(f"{role[:40]!r} is not a role to hand out: choose one of {known}")
    if len(asked) > MAX_CAPABILITIES:
        raise UserError(f"a certificate says at most {MAX_CAPABILITIES} things, not {len(asked)}")
    for verb, prefix in asked:
        if len(prefix) > MAX_PREFIX_BYTES:
            raise UserError(
                f"a key prefix has at most {MAX_PREFIX_BYTES} bytes in a certificate, and this one "
                f"has {len(prefix)}: grant a shorter one"
            )
        most = _ALONE.get(role)
        if most is not None and VERBS.index(verb) > VERBS.index(most):
            does = "only reads" if role == "observer" else "only passes on what others write"
            raise UserError(
                f"{'an' if role == 'observer' else 'a'} {role} {does}, and "
                f"{verb}:{prefix.decode(errors='backslashreplace')} is more: invite a member"
            )


def certify(
    issuer: Issuer,
    public_key: bytes,
    issuer_key: bytes,
    name: str,
    *,
    role: str,
    asked: Sequence[Capability],
    wall: float,
    entropy: Callable[[int], bytes],
    ttl: float = NODE_SECONDS,
) -> Certified:
    """The certificates of one newcomer.

    Args:
      issuer: Signs them.
      public_key: The newcomer's.
      issuer_key: Under which it would certify others; empty if it brings none.
      name: Its name.
      role: One of `ROLES_TO_INVITE`.
      asked: Capabilities; empty for the role's usual. They bound what a new issuer hands out too.
      wall: Unix seconds.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      ttl: For how many seconds its node is certified.

    Raises:
      UserError: The issuer may not hand that out, or nobody would take it.
    """
    issuer_chain: tuple[bytes, ...] = ()
    roles = roles_of(role)
    if role == "issuer" and issuer_key:
        issuer_chain = issuer.issue_issuer(
            issuer_key, name, wall=wall, entropy=entropy, capabilities=tuple(asked) or None
        )
    elif role == "issuer":
        roles = MEMBER
    chain = issuer.issue(
        public_key,
        name,
        wall=wall,
        entropy=entropy,
        roles=roles,
        capabilities=capabilities_of(role, asked),
        ttl=ttl,
    )
    return Certified(chain, issuer_chain)


def check_ttl(ttl: float, issuer: Issuer, wall: float) -> None:
    """Refuse a life that a node's certificate cannot have.

    Raises:
      IdentityError: Too long, or longer than the issuer's own certificate lasts.
    """
    if not 60 <= ttl <= CERTIFICATE_SECONDS_MAX:
        raise IdentityError("a node's certificate lasts from a minute to 366 days")
    left = issuer.certificate.not_after - wall
    if ttl > left:
        raise IdentityError(
            f"{issuer.certificate.name}'s own certificate as an issuer ends in "
            f"{max(0, int(left // 86_400))} days: ask for no longer than that"
        )


def free_name(wanted: str, exact: bool, taken: Mapping[str, NodeId]) -> str:
    """A name that nobody else bears: the wanted one, or it with a number behind it.

    Args:
      wanted: What the newcomer asks for.
      exact: It wants no other.
      taken: Names in use, with who bears them.

    Raises:
      JoinError: It is taken, and no other will do.
    """
    check_name(wanted, "a node")
    if wanted not in taken:
        return wanted
    if exact:
        raise JoinError(
            f"a member is called {wanted} already ({ids.short(taken[wanted])}): choose another "
            "name with --name, or, if this machine takes that one's place, revoke that one first"
        )
    number = 2
    while True:
        ending = f"-{number}"
        name = wanted[: NAME_MAX - len(ending)] + ending
        if name not in taken:
            return name
        number += 1
