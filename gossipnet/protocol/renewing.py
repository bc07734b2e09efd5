"""The answering side of renewals: an issuer certifies anew, any other member passes the request on.

A request is signed by the keys it is for and names one issuer, and the answer is public, so a relay
can neither change nor misuse them. It is carried over one peer only, and only for the peer that
made it. An issuer gives what the present certificate says, no more, and only while that one holds.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossipnet import ids
from gossipnet.errors import IdentityError, RemoteProtocolError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.issuer import Issuer
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import Domain, verify
from gossipnet.ids import NodeId, node_id
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Membership
from gossipnet.protocol.overlay import Overlay
from gossipnet.protocol.wire_trust import RenewAnswer, RenewAsk, decode_renew_untrusted

CARRIED_MAX = 64
"""Requests under way through this node."""

CARRIED_SECONDS = 15.0

AGAIN = 60.0
"""Seconds for which the same node gets the same answer, so that asking twice costs nothing."""

ANSWERS_MAX = 1024

ASKED_WITHIN = 86_400.0
"""Seconds by which the asker's clock may differ: its certificate was judged by ours."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A request that went on to its issuer: where the answer goes, and where it must come from."""

    back: int
    number: int
    issuer: int


class Renewing:
    """Serves members that want new certificates.

    Attributes:
      identity: This node; it answers if it is an issuer.
    """

    def __init__(
        self, context: Context, identity: NodeIdentity, membership: Membership, overlay: Overlay
    ) -> None:
        self.identity = identity
        self._context = context
        self._membership = membership
        self._overlay = overlay
        # Set by the engine: what is wrong with this machine's clock, if it is behind.
        self.clock: Callable[[], str | None] = lambda: None
        self._carried: dict[int, Carried] = {}
        self._number = 0
        self._answers: dict[NodeId, tuple[float, bytes, RenewAnswer]] = {}

    # -- requests ------------------------------------------------------------------------------

    def on_ask(self, link: PeerLink, ask: RenewAsk) -> None:
        """A peer wants new certificates, from this node or from one beyond it.

        Raises:
          RemoteProtocolError: What it sent proves nothing.
        """
        subject = self.identity.trust.verify_chain(ask.chain, None)
        if ask.issuer == self._membership.prefix:
            self._reply(link.number, ask.number, self._answer(node_id(subject.subject), ask))
        elif subject.subject != link.peer.public_key:
            raise RemoteProtocolError("bad-renewal", "a request that was carried already")
        else:
            self._carry(link, ask)

    def _carry(self, link: PeerLink, ask: RenewAsk) -> None:
        member = self._membership.find(ask.issuer)
        there = None if member is None else self._overlay.linked(member.id)
        if there is None or not there.greeted or len(self._carried) >= CARRIED_MAX:
            self._context.counters["renewals_not_carried"] += 1
            self._reply(link.number, ask.number, _refusal("that issuer cannot be reached"))
            return
        self._number += 2  # even here, odd for this node's own requests
        number = self._number
        self._carried[number] = Carried(link.number, ask.number, there.number)
        self._context.timers.set(
            ("carried", number), self._context.now + CARRIED_SECONDS, lambda: self._forget(number)
        )
        self._context.counters["renewals_carried"] += 1
        self._context.send(
            there.number,
            Lane.CONTROL,
            RenewAsk(
                number,
                ask.issuer,
                ask.chain,
                ask.issuer_chain,
                ask.body,
                ask.signature,
                ask.issuer_signature,
            ),
        )

    def carry_back(self, link: PeerLink, answer: RenewAnswer) -> bool:
        """Hand an answer on to who asked through this node; False if nobody did."""
        carried = self._carried.get(answer.number)
        if carried is None or carried.issuer != link.number:
            return False
        self._forget(answer.number)
        self._reply(carried.back, carried.number, answer)
        return True

    def _forget(self, number: int) -> None:
        self._carried.pop(number, None)
        self._context.timers.cancel(("carried", number))

    def link_ended(self, link: PeerLink) -> None:
        """Nothing comes or goes over it any more."""
        for number, carried in list(self._carried.items()):
            if link.number in (carried.back, carried.issuer):
                self._forget(number)

    def uses(self, link: PeerLink) -> bool:
        """Whether a request is under way over this link."""
        return any(link.number in (each.back, each.issuer) for each in self._carried.values())

    def _reply(self, link: int, number: int, answer: RenewAnswer) -> None:
        self._context.send(
            link,
            Lane.CONTROL,
            RenewAnswer(number, answer.chain, answer.issuer_chain, answer.refusal),
        )

    # -- the issuer's judgement ----------------------------------------------------------------

    def _answer(self, who: NodeId, ask: RenewAsk) -> RenewAnswer:
        """New certificates, or a refusal that a person can read. No fault of whoever carried it."""
        wall, wanted = self._context.wall, b"".join((*ask.chain, *ask.issuer_chain))
        try:  # first of all: certificates are public, and an answer is kept for who they are of
            self._proven(ask)
        except RemoteProtocolError as error:
            self._context.counters["renewals_forged"] += 1
            return _refusal(str(error))
        known = self._answers.get(who)
        if known is not None and 0 <= wall - known[0] < AGAIN:
            same = known[1] == wanted
            return known[2] if same else _refusal("it was certified less than a minute ago")
        try:
            answer = self._judged(ask)
        except (IdentityError, RemoteProtocolError) as error:
            answer = _refusal(str(error))
        if len(self._answers) >= ANSWERS_MAX:
            del self._answers[next(iter(self._answers))]
        self._answers[who] = (wall, wanted, answer)
        self._tell(who, answer)
        return answer

    def _tell(self, who: NodeId, answer: RenewAnswer) -> None:
        member = self._membership.members.get(who)
        name = ids.short(who) if member is None else member.name
        if answer.refusal:
            self._context.counters["renewals_refused"] += 1
            self._context.event("renewal-refused", f"{name}: {answer.refusal}", "warning", who)
        else:
            self._context.counters["renewals_answered"] += 1
            self._context.event(
                "renewal-answered", f"the certificate of {name} was renewed", node=who
            )

    def _proven(self, ask: RenewAsk) -> None:
        """Check that the holder of the certificates has signed this.

        Raises:
          RemoteProtocolError: It has not.
        """
        trust = self.identity.trust
        subject = trust.verify_chain(ask.chain, None).subject
        verify(subject, Domain.RENEW, trust.mesh_id, ask.body, ask.signature)

    def _judged(self, ask: RenewAsk) -> RenewAnswer:
        """New certificates.

        Raises:
          RemoteProtocolError: The request proves nothing, or the old certificates do not hold.
          IdentityError: This node may not give that.
        """
        trust, wall = self.identity.trust, self._context.trusted
        # Once more and with the time: what has ended, or was revoked, is not renewed.
        old = trust.verify_chain(ask.chain, wall)
        body = decode_renew_untrusted(ask.body)
        if self._membership.struck(node_id(old.subject), tuple(ask.chain)):
            raise IdentityError("it was revoked")
        if self.clock() is not None:
            raise IdentityError("this issuer's own clock is wrong")
        if body.issuer != self.identity.node_id:
            raise RemoteProtocolError("bad-renewal", "a request for another issuer")
        if abs(body.wall_ms / 1000 - wall) > ASKED_WITHIN:
            raise IdentityError("the clocks of both machines are more than a day apart")
        issuer = self.identity.issuer
        if issuer is None:
            raise IdentityError(f"{self.identity.name} is no issuer")
        chain = again(issuer, old, self._context)
        return RenewAnswer(0, list(chain), self._issuers(issuer, ask), "")

    def _issuers(self, issuer: Issuer, ask: RenewAsk) -> list[bytes]:
        """The asker's certificates as an issuer, anew; empty if none are wanted, or not from us."""
        if not ask.issuer_chain or not issuer.certificate.path_len:
            return []
        trust = self.identity.trust
        old = trust.verify_issuer_chain(ask.issuer_chain, self._context.trusted)
        verify(old.subject, Domain.RENEW, trust.mesh_id, ask.body, ask.issuer_signature)
        if self._membership.struck(node_id(old.subject), tuple(ask.issuer_chain)):
            # A node that was kept when its issuer was revoked might ask for that one.
            raise IdentityError("its issuer's certificate was revoked")
        return list(
            issuer.issue_issuer(
                old.subject,
                old.name,
                wall=self._context.trusted,
                entropy=self._context.entropy,
                roles=old.roles,
                capabilities=old.capabilities,
            )
        )


def again(issuer: Issuer, old: Certificate, context: Context) -> tuple[bytes, ...]:
    """A certificate that says what ``old`` says, from now on.

    Raises:
      IdentityError: ``issuer`` may not hand that out.
    """
    return issuer.issue(
        old.subject,
        old.name,
        wall=context.trusted,
        entropy=context.entropy,
        roles=old.roles,
        capabilities=old.capabilities,
        limits=old.limits,
    )


def _refusal(why: str) -> RenewAnswer:
    return RenewAnswer(0, [], [], why[:255])
