"""Where newcomers are received: the issuer's side of joins, direct or relayed.

A conversation runs end to end between newcomer and issuer (`joining`); here it is opened, fed,
bounded and ended, and what it consumes (an invitation's use) is durable before the newcomer hears
that it succeeded. Where the bytes come from is the caller's business.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

from gossipnet import ids
from gossipnet.errors import Denied, JoinError, RemoteProtocolError, UserError
from gossipnet.identity.enrolment import free_name
from gossipnet.identity.handover import read_request, sign_request
from gossipnet.identity.home import NodeIdentity
from gossipnet.identity.invitations import Invitations, audit_of
from gossipnet.identity.issuer import Issuer
from gossipnet.ids import NodeId
from gossipnet.protocol import kem
from gossipnet.protocol.commits import Commits
from gossipnet.protocol.context import Context
from gossipnet.protocol.handshake import PostQuantum
from gossipnet.protocol.joinanswer import JoinAnswer
from gossipnet.protocol.membership import Membership

GUESTS_MAX = 64
"""Conversations at one time."""

GUEST_BYTES = 64 * 1024
"""Bytes that one newcomer may send; it needs about two thousand."""

GUEST_SECONDS = 20.0
"""From the first byte to the answer: the newcomer may be on another continent."""

ADDRESSES_TOLD = 8
"""Members' addresses in the answer and in a token: where to knock first."""

NAME_SECONDS = 600.0
"""For so long a name is kept for whom it was given to, until the member itself is known."""


@dataclass(slots=True)
class Guest:
    """One conversation: who answers, how to reach the newcomer, and whence it comes."""

    answer: JoinAnswer
    origin: Hashable
    send: Callable[[bytes], None]
    close: Callable[[], None]
    received: int = 0
    committing: bool = False


class Reception:
    """Answers newcomers if this node is an issuer."""

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        membership: Membership,
        commits: Commits,
        secret: bytes = b"",
        pq: PostQuantum = PostQuantum.PREFER,
    ) -> None:
        self._secret = secret
        self._pq = pq
        self._context = context
        self.identity = identity
        self._membership = membership
        self._commits = commits
        self._guests: dict[Hashable, Guest] = {}
        self.invitations = Invitations()
        # Set by the engine: why this key may not join, or this node may not admit it; or empty.
        self.refusal: Callable[[NodeId], str] = lambda _node: ""
        # Set by the engine: what is wrong with this machine's clock, if it is behind.
        self.clock: Callable[[], str | None] = lambda: None

    @property
    def open_to(self) -> bool:
        """Whether this node may answer newcomers."""
        return self.identity.issuer is not None

    def restore(self, meta: Mapping[str, bytes]) -> None:
        """Load the invitations that an earlier process stored."""
        self.invitations.load(meta)

    def _refusal(self, node: NodeId) -> str:
        if self.clock() is not None:
            return "the issuer's own clock is wrong: have it set right, then try the token again"
        return self.refusal(node)

    # -- inviting ------------------------------------------------------------------------------

    def invite(
        self, role: str, uses: int, ttl_s: float, capabilities: list[tuple[str, bytes]]
    ) -> str:
        """Mint a token; see `Engine.invite`."""
        issuer = self._issuer("invite")
        token = self.invitations.create(
            issuer,
            node=self.identity.node_id,
            role=role,
            uses=uses,
            ttl=ttl_s,
            capabilities=capabilities,
            addresses=self.addresses(),
            wall=self._context.trusted,
            entropy=self._context.entropy,
            hybrid=self._pq is not PostQuantum.OFF and kem.available(),
        )
        self._store()
        return token.encode()

    def _issuer(self, verb: str) -> Issuer:
        issuer = self.identity.issuer
        if issuer is not None:
            complaint = self.clock()
            if complaint is not None:
                raise UserError(f"{complaint}; until then this node certifies nobody")
            return issuer
        names = sorted(
            member.name
            for member in self._membership.others()
            if "issuer" in member.roles and not member.gone
        )
        where = f"run it on {' or '.join(names)}" if names else "no issuer is known here"
        raise Denied(f"this node may not {verb}: only issuers may; {where}")

    def sign(
        self, text: str, role: str, ttl_s: float, capabilities: list[tuple[str, bytes]]
    ) -> str:
        """Certify whoever made a join request; see `Engine.sign`."""
        issuer, wall = self._issuer("sign"), self._context.trusted
        request = read_request(text)
        refusal = self.refusal(request.node_id)
        if refusal:
            raise JoinError(refusal)
        name = self._name_for(request.node_id, request.name, request.exact)
        signed = sign_request(
            request,
            issuer,
            name,
            role=role,
            asked=capabilities,
            ttl=ttl_s,
            addresses=self.addresses(),
            wall=wall,
            entropy=self._context.entropy,
        )
        self.invitations.signed(request.public_key, name, wall, signed.certified)
        self._store()
        self._context.counters["requests_signed"] += 1
        self._context.event(
            "request-signed",
            f"{name} ({ids.short(request.node_id)}) was admitted as {role} by a file",
            node=request.node_id,
        )
        return signed.text

    def cancel(self, prefix: str) -> str:
        """End a token before its time; its id."""
        cancelled = self.invitations.cancel(prefix, self._context.trusted).hex()
        self._store()
        self._context.event("token-cancelled", f"token {cancelled[:8]} lets nobody in any more")
        return cancelled

    def audit(self) -> dict[str, object]:
        """Which tokens there are, and who was let in by them or by files."""
        return audit_of(self.invitations, self._context.trusted)

    def admitted(self) -> Iterator[tuple[str, NodeId]]:
        """Names and ids of all whom this node let in, as far back as it remembers."""
        return self.invitations.names_since(0.0)

    def _name_for(self, node: NodeId, wanted: str, exact: bool) -> str:
        """The name for a newcomer: nobody else may bear it who may still come back.

        Raises:
          JoinError: It is taken, and no other will do.
        """
        wall = self._context.trusted
        taken = {
            member.name: member.id
            for member in self._membership.members.values()
            if member.id != node
            and not member.revoked
            and member.state != "left"
            and member.not_after > wall
        }
        for name, other in self.invitations.names_since(wall - NAME_SECONDS):
            if other != node and not self.refusal(other):
                taken.setdefault(name, other)
        return free_name(wanted, exact, taken)

    def addresses(self) -> tuple[str, ...]:
        """Where a newcomer may knock: here first, then at members that are alive."""
        found = dict.fromkeys(self._membership.addresses[:3])
        for member in self._membership.others():
            if len(found) >= ADDRESSES_TOLD:
                break
            if member.reachable and not member.suspected and member.body.addresses:
                found[member.body.addresses[0]] = None
        return tuple(found)

    def _store(self) -> bool:
        changed = self.invitations.take_changes()
        self._context.meta.update(changed)
        if changed:
            self._commits.hurry()
        return bool(changed)

    # -- conversations -------------------------------------------------------------------------

    def admit(
        self,
        key: Hashable,
        origin: Hashable,
        send: Callable[[bytes], None],
        close: Callable[[], None],
    ) -> bool:
        """A newcomer is there; False if it cannot be received now.

        Args:
          key: Names the conversation.
          origin: The neighbour that relays it, or the address that it comes from.
          send: Takes bytes for the newcomer.
          close: Ends the newcomer's connection.
        """
        if not self.open_to or key in self._guests or not self._room(origin):
            self._context.counters["joins_refused"] += 1
            return False
        answer = JoinAnswer(
            self.identity,
            self.invitations,
            entropy=self._context.entropy,
            addresses=self.addresses(),
            refusal=self._refusal,
            secret=self._secret,
            naming=self._name_for,
            pq=self._pq,
        )
        self._guests[key] = Guest(answer, origin, send, close)
        self._context.timers.set(
            ("guest", key),
            self._context.now + GUEST_SECONDS,
            lambda: self._end(key, "join-late"),
        )
        return True

    def brought(self, origin: Hashable) -> int:
        """Conversations under way that come from there."""
        return sum(1 for guest in self._guests.values() if guest.origin == origin)

    def _room(self, origin: Hashable) -> bool:
        """Whether one more fits; whoever brought the most makes room for who brought fewer."""
        brought = Counter(guest.origin for guest in self._guests.values())
        if len(self._guests) < GUESTS_MAX:
            return True
        greedy, most = max(brought.items(), key=itemgetter(1))
        if most <= brought[origin] + 1:
            return False
        for key, guest in self._guests.items():
            if guest.origin == greedy and not guest.committing:
                self._end(key, "joins-displaced")
                return True
        return False

    def received(self, key: Hashable, data: bytes) -> None:
        """Bytes of a newcomer."""
        guest = self._guests.get(key)
        if guest is None or guest.committing:
            return
        guest.received += len(data)
        if guest.received > GUEST_BYTES:
            self._end(key, "join-too-long")
            return
        try:
            guest.answer.receive(data, self._context.trusted)
        except (RemoteProtocolError, UserError) as error:
            self._store()
            self._context.event("join-refused", f"a newcomer was refused: {error}", "warning")
            guest.send(guest.answer.data_to_send())
            self._end(key, "join-refused")
            return
        out = guest.answer.data_to_send()
        if self._store() or guest.answer.finished:
            guest.committing = True
            self._commits.then(lambda: self._answered(key, out))
        elif out:
            guest.send(out)

    def _answered(self, key: Hashable, out: bytes) -> None:
        """The use of the invitation is durable: the newcomer may know."""
        guest = self._guests.get(key)
        if guest is None:
            return
        guest.committing = False
        if out:
            guest.send(out)
        result = guest.answer.result
        if result is not None:
            self._context.counters["joins_answered"] += 1
            self._context.event(
                "join-answered",
                f"{result.name} ({ids.short(result.node_id)}) was admitted with token "
                f"{guest.answer.token_id.hex()[:8]}",
                node=result.node_id,
            )
            self._end(key, "")

    def _end(self, key: Hashable, counter: str) -> None:
        guest = self._guests.get(key)
        if guest is not None:
            if counter:
                self._context.counters[counter.replace("-", "_")] += 1
            self.forget(key)
            guest.close()

    def forget(self, key: Hashable) -> None:
        """The newcomer is gone."""
        self._guests.pop(key, None)
        self._context.timers.cancel(("guest", key))
