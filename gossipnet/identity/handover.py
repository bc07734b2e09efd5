"""Joining by files carried by hand: what a machine asks, and what an issuer gives it.

A *join request* holds the public keys of a machine and their signatures, which prove that it has
the secret ones; it is no secret and serves nobody else. A *node certificate* file brings the root,
the chain, and addresses to dial. Neither needs to be kept from anybody. What the machine cannot
know by itself is which mesh it should trust: a request may name it, and then nothing else is taken.
Knows nothing of paths, links or clocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from gossipnet.errors import BadSignature, CertificateError, IdentityError
from gossipnet.identity.armour import unwrap, wrap
from gossipnet.identity.capability import Capability
from gossipnet.identity.certificate import MAX_CERTIFICATE_BYTES, Certificate, check_name
from gossipnet.identity.enrolment import Certified, certify, check_role, check_ttl
from gossipnet.identity.issuer import Issuer
from gossipnet.identity.signing import Domain, SecretKey, check_public_key, sign, verify
from gossipnet.identity.trust import MAX_CHAIN, MAX_TRUST_BYTES, Trust
from gossipnet.ids import NodeId, node_id

REQUEST = "join request"
ANSWER = "node certificate"
MAX_REQUEST_TEXT = 4096
MAX_ANSWER_TEXT = 2 * (MAX_TRUST_BYTES + 2 * MAX_CHAIN * MAX_CERTIFICATE_BYTES + 4096)
ADDRESSES_MAX = 8

_ANY_MESH = bytes(32)

_Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
_Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
_Chain = Annotated[
    tuple[Annotated[bytes, Meta(max_length=MAX_CERTIFICATE_BYTES)], ...], Meta(max_length=MAX_CHAIN)
]
_Address = Annotated[str, Meta(max_length=260, pattern=r"\A[!-~]+\Z")]


class _Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What both keys of a request sign."""

    mesh_id: _Key
    public_key: _Key
    issuer_key: _Key
    name: Annotated[str, Meta(max_length=63)]
    exact: bool
    created: Annotated[int, Meta(ge=0, lt=1 << 40)]


class _Signed(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    body: Annotated[bytes, Meta(max_length=512)]
    signature: _Signature
    issuer_signature: _Signature


class Answer(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What an issuer gives for a request; nothing in it has been verified yet.

    Attributes:
      trust: Encoded `Trust`.
      chain: The node's certificates, leaf first.
      issuer_chain: Those of its issuer key; empty unless it becomes an issuer.
      addresses: ``HOST:PORT`` of members to dial.
    """

    trust: Annotated[bytes, Meta(max_length=MAX_TRUST_BYTES)]
    chain: _Chain
    issuer_chain: _Chain
    addresses: Annotated[tuple[_Address, ...], Meta(max_length=ADDRESSES_MAX)]


_body = msgspec.msgpack.Decoder(_Body)
_signed = msgspec.msgpack.Decoder(_Signed)
_answer = msgspec.msgpack.Decoder(Answer)


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose signatures hold.

    Attributes:
      mesh_id: The only mesh that the machine will enter; None if it did not say.
      public_key: Of the node.
      issuer_key: Under which it would certify others.
      name: The name it wants.
      exact: It wants no other.
      created: Unix seconds, by the machine's own clock; for people.
    """

    mesh_id: bytes | None
    public_key: bytes
    issuer_key: bytes
    name: str
    exact: bool
    created: int

    @property
    def node_id(self) -> NodeId:
        """Of the machine."""
        return node_id(self.public_key)


def write_request(
    key: SecretKey,
    issuer_key: SecretKey,
    name: str,
    *,
    exact: bool,
    mesh_id: bytes | None,
    wall: float,
) -> str:
    """The text of a request; the fields are `Request`'s.

    Raises:
      IdentityError: The name does not do.
    """
    check_name(name, "a node")
    mesh = mesh_id or _ANY_MESH
    body = msgspec.msgpack.encode(
        _Body(mesh, key.public_key, issuer_key.public_key, name, exact, max(0, int(wall)))
    )
    signed = _Signed(
        body,
        sign(key, Domain.REQUEST, mesh, body),
        sign(issuer_key, Domain.REQUEST, mesh, body),
    )
    return wrap(REQUEST, msgspec.msgpack.encode(signed))


def read_request(text: str) -> Request:
    """Read a request and check that whoever made it holds both keys.

    Raises:
      IdentityError: It is something else, damaged, or not signed by the keys in it.
    """
    packed = unwrap(REQUEST, text, MAX_REQUEST_TEXT)
    try:
        signed = _signed.decode(packed)
        body = _body.decode(signed.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise IdentityError(
            "this join request cannot be read: make a new one with `gossipnet request`"
        ) from None
    check_name(body.name, "a node")
    pairs = ((body.public_key, signed.signature), (body.issuer_key, signed.issuer_signature))
    try:
        for public, signature in pairs:
            check_public_key(public)
            verify(public, Domain.REQUEST, body.mesh_id, signed.body, signature)
    except (BadSignature, CertificateError):
        raise IdentityError(
            "this join request is not signed by the keys in it: it was changed on the way; make a "
            "new one with `gossipnet request`"
        ) from None
    return Request(
        None if body.mesh_id == _ANY_MESH else body.mesh_id,
        body.public_key,
        body.issuer_key,
        body.name,
        body.exact,
        body.created,
    )


def write_answer(answer: Answer) -> str:
    """The text of what an issuer gives."""
    return wrap(ANSWER, msgspec.msgpack.encode(answer))


def read_answer(text: str) -> Answer:
    """Read what an issuer gave.

    Raises:
      IdentityError: It is something else, or damaged.
    """
    packed = unwrap(ANSWER, text, MAX_ANSWER_TEXT)
    try:
        return _answer.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise IdentityError("this node certificate cannot be read: have it signed anew") from None


def judge(answer: Answer, public_key: bytes, mesh_id: bytes | None, wall: float) -> Trust:
    """The mesh that an answer leads into, if it is for this key and holds now.

    Args:
      answer: From a file.
      public_key: This machine's.
      mesh_id: The only mesh to enter, or None for any.
      wall: Unix seconds.

    Raises:
      IdentityError: One sentence: another mesh's, another machine's, forged, ended, or early.
    """
    try:
        trust = Trust.decode(answer.trust)
        if mesh_id is not None and trust.mesh_id != mesh_id:
            raise IdentityError(
                f"this certificate is for another mesh, {trust.mesh_name!r}, and the request named "
                "one: have the request signed there, or make a new one"
            )
        leaf = trust.verify_chain(answer.chain, None)
        _check_bearer(leaf, public_key)
        trust.verify_chain(answer.chain, wall)
    except CertificateError as error:
        remedy = {
            "expired": "have the request signed anew, or set this machine's clock right",
            "not-yet-valid": "set this machine's clock right, then install it again",
        }.get(error.reason, "it was changed on the way or is not this mesh's; have it signed anew")
        raise IdentityError(f"this certificate does not hold ({error}): {remedy}") from None
    return trust


def _check_bearer(leaf: Certificate, public_key: bytes) -> None:
    if leaf.subject != public_key:
        raise IdentityError(
            f"this certificate is for another machine's key (it names {leaf.name!r}): install it "
            "where its request was made, or make a request here with `gossipnet request`"
        )


@dataclass(frozen=True, slots=True)
class Signed:
    """An answer, and the certificates in it for the issuer's book."""

    text: str
    certified: Certified


def sign_request(
    request: Request,
    issuer: Issuer,
    name: str,
    *,
    role: str,
    asked: Sequence[Capability],
    ttl: float,
    addresses: Sequence[str],
    wall: float,
    entropy: Callable[[int], bytes],
) -> Signed:
    """Certify whoever made a request.

    Args:
      request: Read before, so its signatures hold.
      issuer: Signs.
      name: The name to give.
      role: One of `enrolment.ROLES_TO_INVITE`.
      asked: Capabilities; empty for the role's usual.
      ttl: For how many seconds.
      addresses: ``HOST:PORT`` of members to dial.
      wall: Unix seconds.
      entropy: ``entropy(n)`` gives n unpredictable bytes.

    Raises:
      UserError: The request is for another mesh, or the issuer may not hand that out.
    """
    if request.mesh_id not in (None, issuer.trust.mesh_id):
        raise IdentityError(
            f"this request is for another mesh than {issuer.trust.mesh_name!r}: sign it there"
        )
    check_role(role, asked)
    check_ttl(ttl, issuer, wall)
    certified = certify(
        issuer,
        request.public_key,
        request.issuer_key,
        name,
        role=role,
        asked=asked,
        wall=wall,
        entropy=entropy,
        ttl=ttl,
    )
    answer = Answer(
        issuer.trust.encode(),
        certified.chain,
        certified.issuer_chain,
        tuple(addresses[:ADDRESSES_MAX]),
    )
    return Signed(write_answer(answer), certified)
