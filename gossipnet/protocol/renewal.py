"""This node's own certificate: renewed in time, here if this node is an issuer, else over the mesh.

From two thirds of its life on (a little later on each node, so that they do not all ask at once)
one issuer after another is asked: over a link that is there or is dialled for it, or through a
neighbour of an issuer that nobody can dial. What comes back must say the same of this node as the
present certificate, for longer. Keeping it, and showing it to others, is the engine's business.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from gossipnet.errors import Denied, IdentityError, RemoteProtocolError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import Domain, sign
from gossipnet.ids import NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member, Membership
from gossipnet.protocol.overlay import Overlay
from gossipnet.protocol.renewing import again
from gossipnet.protocol.wire import encode
from gossipnet.protocol.wire_trust import RenewAnswer, RenewAsk, RenewBody

DUE = 2 / 3
"""Of a certificate's life, when it is renewed."""

SPREAD = 1 / 30
"""Of its life, by which each node may be later: three days of ninety."""

LOOK_MAX = 60.0
"""Seconds between two looks; certificates that live for minutes are looked at more often."""

LOOKS_PER_LIFE = 60

ANSWER_SECONDS = 10.0
"""For one issuer, dialling included."""

RETRY_MIN, RETRY_MAX = 5.0, 3600.0
"""Seconds after every issuer was asked in vain, doubling."""


@dataclass(slots=True)
class Asking:
    """A round of requests.

    Attributes:
      left: Issuers that were not asked yet.
      forced: A person wants it, whatever the present certificate's age.
      issuer: Who is being asked.
      link: Over which the request went; None while it is being dialled.
      through: To whom that link leads: the issuer or a neighbour of it.
      number: Of the request.
      failures: What each issuer said.
    """

    left: list[Member]
    forced: bool
    issuer: Member | None = None
    link: int | None = None
    through: NodeId | None = None
    number: int = 0
    failures: list[str] = field(default_factory=list)


class Renewal:
    """Keeps this node's certificate fresh.

    Attributes:
      identity: Whose; set anew by whoever takes in what `renewed` hands out.
      failure: Why the last round came to nothing, for people; "" when it did not.
    """

    def __init__(
        self, context: Context, identity: NodeIdentity, membership: Membership, overlay: Overlay
    ) -> None:
        self.identity = identity
        self.failure = ""
        self._context = context
        self._membership = membership
        self._overlay = overlay
        self._asking: Asking | None = None
        self._number = -1
        self._rounds = 0
        self._not_until = 0.0
        self._jitter = context.rng.random()
        # Set by `Certificates`: whether this machine's clock is in doubt; takes the new identity.
        self.doubtful: Callable[[], bool] = lambda: False
        self.renewed: Callable[[NodeIdentity], None] = lambda _identity: None

    def start(self) -> None:
        """Begin to look."""
        self._context.timers.set("renewal", self._context.after(1.0, 0.5), self._look)

    def _due(self, certificate: Certificate) -> bool:
        life = certificate.not_after - certificate.not_before
        return self._context.wall >= certificate.not_before + life * (DUE + SPREAD * self._jitter)

    def _look(self) -> None:
        certificate = self.identity.certificate
        often = (certificate.not_after - certificate.not_before) / LOOKS_PER_LIFE
        self._context.timers.set(
            "renewal", self._context.after(min(LOOK_MAX, max(often, 0.05)), 0.2), self._look
        )
        wanted = self._due(certificate) or self._issuer_due()
        ready = self._asking is None and self._context.now >= self._not_until
        # An issuer whose clock is ahead would certify itself from a day that is not there yet.
        if wanted and ready and not self.doubtful():
            self._begin(forced=False)

    def _issuer_due(self) -> bool:
        """This node's issuer key needs a new certificate, and the root need not be asked for it."""
        issuer = self.identity.issuer
        return (
            issuer is not None
            and issuer.certificate.issuer is not None
            and self._due(issuer.certificate)
        )

    def force(self) -> None:
        """Renew now.

        Raises:
          Denied: There is no issuer to ask.
        """
        if self._asking is not None:
            self._asking.forced = True
            return
        if not self._renews_itself() and not self._issuers():
            raise Denied("no issuer is known here: a certificate can only be renewed by an issuer")
        self._begin(forced=True)

    def status(self) -> dict[str, object]:
        """For `status`."""
        certificate = self.identity.certificate
        return {
            "serial": certificate.serial.hex(),
            "not_after": certificate.not_after,
            "renewal": "asking" if self._asking else "failed" if self.failure else "idle",
            "failure": self.failure,
        }

    # -- asking --------------------------------------------------------------------------------

    def _issuers(self) -> list[Member]:
        issuers = [
            member
            for member in self._membership.others()
            if "issuer" in member.roles and not member.gone
        ]
        self._context.rng.shuffle(issuers)
        # Those that answer now come first; one that seems dead to us may still be tried.
        return sorted(issuers, key=lambda member: not member.reachable)

    def _begin(self, *, forced: bool) -> None:
        if self._renews_itself() and (not self._issuer_due() or not self._issuers()):
            self._renew_here(forced=forced)
            return
        self._asking = Asking(self._issuers(), forced)
        self._ask_next()

    def _renews_itself(self) -> bool:
        """Whether this node's own issuer key may certify it.

        One that stands below another certifies no issuers, and so not the node that it lives on.
        """
        issuer = self.identity.issuer
        return issuer is not None and (
            bool(issuer.certificate.path_len) or "issuer" not in self.identity.roles
        )

    def _renew_here(self, *, forced: bool) -> None:
        issuer = self.identity.issuer
        if issuer is None:
            return
        try:
            chain = again(issuer, self.identity.certificate, self._context)
            self._take(chain, (), forced=forced)
        except IdentityError as error:
            self._failed(str(error))

    def _ask_next(self) -> None:
        asking = self._asking
        if asking is None:
            return
        asking.link = asking.through = None
        while asking.left:
            asking.issuer = asking.left.pop(0)
            if self._reach(asking, asking.issuer):
                self._context.timers.set(
                    "renewal-answer",
                    self._context.now + ANSWER_SECONDS,
                    lambda: self._next("did not answer"),
                )
                return
            asking.failures.append(f"{asking.issuer.name} cannot be reached")
        self._asking = None
        self._context.timers.cancel("renewal-answer")
        if self._renews_itself():  # only its issuer key had to go elsewhere
            self._renew_here(forced=asking.forced)
        self._failed("; ".join(asking.failures[:4]) or "no issuer is known")

    def _next(self, why: str) -> None:
        asking = self._asking
        if asking is not None and asking.issuer is not None:
            asking.failures.append(f"{asking.issuer.name} {why}")
            self._ask_next()

    def _failed(self, why: str) -> None:
        self.failure = why
        self._rounds += 1
        wait = min(RETRY_MAX, RETRY_MIN * 2 ** min(self._rounds - 1, 12))
        self._not_until = self._context.after(wait, 0.2)
        self._context.counters["renewals_failed"] += 1
        level = "debug" if self._rounds > 1 else "warning"
        self._context.event("renewal-failed", f"certificate not renewed: {why}", level)

    def _reach(self, asking: Asking, issuer: Member) -> bool:
        """Ask over a link, or dial for one; False if there is no way."""
        for member in self._ways(issuer):
            link = self._overlay.linked(member.id)
            if link is not None and link.greeted:
                asking.through = member.id
                self._send(asking, link)
                return True
            if link is not None or (member.reachable and self._overlay.dial(member, "relay")):
                asking.through = member.id
                return True
        return False

    def _ways(self, issuer: Member) -> list[Member]:
        """The issuer itself if it can be dialled, then those that have a link with it."""
        beside = [
            member
            for prefix in sorted(issuer.neighbours)
            if (member := self._membership.find(prefix)) is not None
            and member.id != self._membership.me
        ]
        beside.sort(key=lambda member: self._overlay.linked(member.id) is None)
        direct = self._overlay.linked(issuer.id) is not None or bool(issuer.body.addresses)
        return [issuer] if direct else beside

    def link_ready(self, link: PeerLink) -> None:
        """A link greets: a request may wait for it."""
        asking = self._asking
        if asking is not None and asking.link is None and asking.through == link.node:
            self._send(asking, link)

    def unreached(self, node: NodeId) -> None:
        """Somebody could not be dialled."""
        asking = self._asking
        if asking is not None and asking.link is None and asking.through == node:
            self._next("cannot be reached")

    def link_ended(self, link: PeerLink) -> None:
        """The answer will not come."""
        asking = self._asking
        if asking is not None and asking.link == link.number:
            self._next("closed the link")

    def uses(self, link: PeerLink) -> bool:
        """Whether the answer comes over this link."""
        asking = self._asking
        return asking is not None and asking.through == link.node

    def _send(self, asking: Asking, link: PeerLink) -> None:
        issuer, identity = asking.issuer, self.identity
        if issuer is None:
            return
        self._number += 2
        asking.number, asking.link = self._number, link.number
        body = encode(RenewBody(issuer.id, self._context.wall_ms, self._context.entropy(16)))
        mesh_id = identity.trust.mesh_id
        mine = identity.issuer if self._issuer_due() else None
        self._context.send(
            link.number,
            Lane.CONTROL,
            RenewAsk(
                asking.number,
                issuer.id[:16],
                list(identity.chain),
                [] if mine is None else list(mine.chain),
                body,
                sign(identity.key, Domain.RENEW, mesh_id, body),
                b"" if mine is None else sign(mine.key, Domain.RENEW, mesh_id, body),
            ),
        )

    # -- the answer ----------------------------------------------------------------------------

    def on_answer(self, link: PeerLink, answer: RenewAnswer) -> None:
        """An issuer has answered, or whom it was asked through. One that comes late is ignored."""
        asking = self._asking
        if asking is None or asking.link != link.number or asking.number != answer.number:
            self._context.counters["renewals_late"] += 1
            return
        if answer.refusal:
            told = "".join(letter for letter in answer.refusal if letter.isprintable())
            self._next(f"refused: {told}")
            return
        try:
            self._take(tuple(answer.chain), tuple(answer.issuer_chain), forced=asking.forced)
        except IdentityError as error:
            self._next(f"sent what is no use: {error}")
            return
        self._context.timers.cancel("renewal-answer")
        self._asking = None

    def _take(
        self, chain: tuple[bytes, ...], issuer_chain: tuple[bytes, ...], *, forced: bool
    ) -> None:
        """Change over to new certificates.

        Raises:
          IdentityError: They are not this node's, say something else of it, or end too soon.
        """
        old = self.identity
        new = old.renewed(chain, issuer_chain)
        was, now = old.certificate, new.certificate
        try:
            new.trust.verify_chain(chain, self._context.trusted)
        except RemoteProtocolError as error:
            raise IdentityError(str(error)) from None
        if _says(was) != _says(now):
            raise IdentityError("a certificate that says something else of this node")
        later = now.not_after > was.not_after or bool(issuer_chain)
        # A person may also want to part with one that a wrong clock made.
        same = now.not_after == was.not_after or self._context.wall < was.not_before
        if not later and not (forced and same):
            raise IdentityError("it would end no later, for its issuer's own certificate ends then")
        self._jitter = self._context.rng.random()
        self.identity = new
        self.failure = ""
        self._rounds = 0
        self._context.counters["renewals"] += 1
        days = (now.not_after - self._context.wall) / 86_400
        self._context.event(
            "certificate-renewed", f"this node's certificate is good for another {days:.0f} days"
        )
        self.renewed(new)


def _says(certificate: Certificate) -> tuple[object, ...]:
    return (
        certificate.name,
        certificate.roles,
        frozenset(certificate.capabilities),
        certificate.limits,
    )
