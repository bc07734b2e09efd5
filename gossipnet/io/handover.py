"""Requests and certificates that are carried by hand, at both ends, as far as homes are concerned.

An issuer signs here while no daemon runs on its home; otherwise the daemon does. What it knows of
revocations, names and addresses is then what its database held when the daemon stopped.
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from gossipnet import ids
from gossipnet.errors import Denied, HomeError, IdentityError, JoinError, RemoteProtocolError
from gossipnet.identity.capability import Capability
from gossipnet.identity.certificate import decode_certificate
from gossipnet.identity.enrolment import free_name
from gossipnet.identity.files import present, read_private, remove, write_private
from gossipnet.identity.handover import (
    MAX_REQUEST_TEXT,
    judge,
    read_answer,
    read_request,
    sign_request,
    write_request,
)
from gossipnet.identity.home import ISSUER_KEY, Home, NodeIdentity
from gossipnet.identity.invitations import Invitations
from gossipnet.ids import NodeId, node_id
from gossipnet.io.database import open_database
from gossipnet.io.lock import lock_home
from gossipnet.io.recovery import STATE_FILE
from gossipnet.io.seeds import read_seeds, write_seeds
from gossipnet.protocol.effects import Commit
from gossipnet.protocol.membership import LEFT
from gossipnet.protocol.standing import known_statements
from gossipnet.protocol.wire_members import (
    MemberEntry,
    decode_member_untrusted,
)

PENDING = "join.request"
"""The last request of a home that has no certificate yet: it says which mesh it may enter."""


def ask(home: Home, name: str, *, exact: bool, mesh_id: bytes | None) -> str:
    """Make a join request; the keys are made once and kept in the home.

    Args:
      home: Empty, or left by an earlier request or join.
      name: The wanted name.
      exact: No other name will do.
      mesh_id: The only mesh to enter; None for whichever answers.

    Raises:
      HomeError: There is a node here already, or the folder or disk will not do.
      IdentityError: A key that is there is damaged, or the name does not do.
    """
    key = home.pending_key(os.urandom)
    issuer_key = home.pending_issuer_key(os.urandom)
    text = write_request(key, issuer_key, name, exact=exact, mesh_id=mesh_id, wall=time.time())
    write_private(home.path / PENDING, text.encode("ascii"))
    return text


def install(home: Home, text: str) -> NodeIdentity:
    """Take in the certificate for this home's request; the home is complete then.

    Raises:
      HomeError: There is a node here already, or no request was made here, or the disk fails.
      IdentityError: It is not for this machine or mesh, has ended, or was changed on the way.
    """
    answer = read_answer(text)
    if home.exists():
        raise HomeError(
            f"{home.path} already holds a node of a mesh: go on with `gossipnet run`, or choose "
            "another folder with --home"
        )
    try:
        asked = read_request(
            read_private(home.path / PENDING, MAX_REQUEST_TEXT).decode("ascii", "replace")
        )
    except FileNotFoundError:
        raise HomeError(
            f"no join request was made in {home.path}: `gossipnet request` makes one, an issuer "
            "signs it, and what it gives is installed here"
        ) from None
    key = home.pending_key(os.urandom)
    issuer_key = home.pending_issuer_key(os.urandom)
    if key.public_key != asked.public_key:
        raise IdentityError(f"the key in {home.path} is not the one that asked: ask anew")
    trust = judge(answer, key.public_key, asked.mesh_id, time.time())
    is_issuer = bool(answer.issuer_chain)
    write_seeds(home.path, answer.addresses)
    identity = home.install(
        key,
        answer.chain,
        trust,
        issuer_key=issuer_key if is_issuer else None,
        issuer_chain=answer.issuer_chain,
    )
    remove(home.path / PENDING)
    if not is_issuer:
        remove(home.path / ISSUER_KEY)
    return identity


def installed(home: Home, text: str) -> NodeIdentity | None:
    """The node that lives here, if this very certificate made it one; else None.

    Raises:
      HomeError: What is here cannot be read.
      IdentityError: The file is something else, or what is here does not belong together.
    """
    answer = read_answer(text)
    if not home.exists():
        return None
    identity = home.load()
    return identity if answer.chain == identity.chain else None


def sign_at_rest(
    home: Home, text: str, role: str, asked: Sequence[Capability], ttl: float, wall: float
) -> str:
    """Sign a request with a home's issuer key while no daemon runs there.

    Args:
      home: An issuer's.
      text: The request.
      role: What the machine becomes.
      asked: Capabilities; empty for the role's usual.
      ttl: For how many seconds.
      wall: Unix seconds.

    Raises:
      UserError: No issuer lives here, or the request is no good; see `handover.sign_request`.
    """
    request = read_request(text)
    with lock_home(home.path):
        identity = home.load()
        issuer = identity.issuer
        if issuer is None:
            raise Denied(f"{identity.name} may not sign: only issuers may; carry the file to one")
        path = home.path / STATE_FILE
        database = open_database(path) if present(path) else None
        try:
            known = _Known(identity, {} if database is None else database.read_meta())
            refusal = known.refusal(request.node_id)
            if refusal:
                raise JoinError(refusal)
            name = free_name(request.name, request.exact, known.names(request.node_id, wall))
            addresses = [*known.addresses, *read_seeds(home.path)]
            signed = sign_request(
                request,
                issuer,
                name,
                role=role,
                asked=asked,
                ttl=ttl,
                addresses=list(dict.fromkeys(addresses)),
                wall=wall,
                entropy=os.urandom,
            )
            if database is not None:
                known.book.signed(request.public_key, name, wall, signed.certified)
                changes = tuple(known.book.take_changes().items())
                database.write([Commit(0, (), changes, urgent=True)])
        finally:
            if database is not None:
                database.close()
    return signed.text


class _Known:
    """What a stopped daemon's database says of revocations, names and addresses."""

    def __init__(self, identity: NodeIdentity, meta: Mapping[str, bytes]) -> None:
        self._identity = identity
        self.revocations, _forks = known_statements(meta, identity.trust)
        self.book = Invitations()
        self.book.load(meta)
        self.addresses: list[str] = []
        self._names: dict[str, NodeId] = {identity.name: identity.node_id}
        decoder = msgspec.msgpack.Decoder(MemberEntry)
        for key in sorted(meta):
            if key.startswith("member/"):
                try:
                    self._note(decoder.decode(meta[key]))
                except (msgspec.DecodeError, UnicodeDecodeError, RemoteProtocolError):
                    continue  # the daemon counts and removes what it cannot read

    def _note(self, entry: MemberEntry) -> None:
        body = decode_member_untrusted(entry.body)
        if body.addresses and body.status != LEFT:
            self.addresses.append(body.addresses[0])
        if entry.chain and body.status != LEFT:
            certificate = decode_certificate(entry.chain[0])[0]
            self._names.setdefault(certificate.name, node_id(certificate.subject))

    def refusal(self, node: NodeId) -> str:
        """Why a key may not be certified, or empty."""
        me = self._identity
        if self.revocations.against(me.node_id, me.chain):
            return f"{me.name} itself was revoked: have the request signed by another issuer"
        if self.revocations.against(node, ()):
            return (
                f"the key {ids.short(node)} was revoked: make a request in a new home, which has "
                "another"
            )
        return ""

    def names(self, node: NodeId, wall: float) -> dict[str, NodeId]:
        """Names that others bear."""
        taken = {**dict(self.book.names_since(wall - 600)), **self._names}
        return {
            name: other
            for name, other in taken.items()
            if other != node and not self.revocations.against(other, ())
        }


def read_carried(path: Path, what: str, limit: int) -> str:
    """The text of a file that was carried here.

    Raises:
      HomeError: It cannot be read; says what to look for.
    """
    try:
        with path.open("rb") as file:
            return file.read(limit + 1).decode("ascii", "replace")
    except OSError as error:
        raise HomeError(
            f"cannot read the {what} {path} ({error.strerror}): check the path, and that the file "
            "was copied to this machine"
        ) from None
