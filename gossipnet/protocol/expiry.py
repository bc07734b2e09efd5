"""Certificates that end: links of peers whose time is over are closed, and people warned in time.

A peer's certificate was judged when its link came up, and links last longer than certificates. What
counts is the newest one it has shown, in the handshake or in its member record. While this
machine's own clock is in doubt nobody is cut off by it: a jump of the clock must not take the mesh
apart.
"""

from collections.abc import Callable

from gossipnet.identity.issuer import Issuer
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.trust import CLOCK_SECONDS
from gossipnet.protocol.clockcheck import certificate_complaint, clock_complaint
from gossipnet.protocol.context import Context
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Membership

EVERY = 60.0
"""Seconds between two sweeps."""

WARN_DAYS = (30, 14, 7, 1)
"""Each is said once for each certificate."""

_DAY = 86_400.0


class Expiry:
    """Sweeps the links, and counts the days of this node's own certificates.

    Attributes:
      identity: This node.
      warning: What `status` should say of its certificates, or "".
    """

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        membership: Membership,
        links: dict[int, PeerLink],
    ) -> None:
        self.identity = identity
        self.warning = ""
        self._context = context
        self._membership = membership
        self._links = links
        self._told: dict[bytes, int] = {}
        # Set by the engine: ends a link; why a renewal that is due has failed, or "".
        self.close: Callable[[PeerLink, str], None] = lambda _link, _reason: None
        self.failure: Callable[[], str] = lambda: ""

    def start(self) -> None:
        """Begin to look."""
        self._context.timers.set("expiry", self._context.after(5.0, 0.2), self._look)

    def _look(self) -> None:
        self._context.timers.set("expiry", self._context.after(EVERY, 0.1), self._look)
        self._warn()
        self.sweep()

    def sweep(self) -> None:
        """Close the links of peers whose certificate has ended."""
        late = [link for link in self._links.values() if self._ended(link)]
        if not late:
            return
        if self._clock_doubtful():
            self._context.counters["expiry_clock_doubtful"] += 1
            return
        for link in late:
            self._context.event(
                "peer-expired",
                f"the certificate of {link.peer.name} has ended: its link is closed until it has a "
                "new one",
                "warning",
                link.node,
            )
            self.close(link, "expired")

    def _ended(self, link: PeerLink) -> bool:
        member = self._membership.members.get(link.node)
        newest = max(link.peer.not_after, 0.0 if member is None else member.not_after)
        return self._context.trusted >= newest + CLOCK_SECONDS

    def _clock_doubtful(self) -> bool:
        complaint = clock_complaint(self._links.values(), self._context) or certificate_complaint(
            self.identity.certificate, self._context.wall
        )
        return complaint is not None

    # -- this node's own -----------------------------------------------------------------------

    def status(self) -> dict[str, object]:
        """For `status`: what ends when, and what to do about it."""
        issuer = self.identity.issuer
        ends = None if issuer is None else issuer.certificate.not_after
        left = None if ends is None else round((ends - self._context.trusted) / _DAY, 1)
        return {"warning": self.warning, "issuer_not_after": ends, "issuer_days": left}

    def renewed(self, identity: NodeIdentity) -> None:
        """There are new certificates."""
        self.identity = identity
        self._warn()

    def _warn(self) -> None:
        warnings = [self._issuer_warning(self.identity.issuer), self._node_warning()]
        self.warning = "; ".join(text for text in warnings if text)

    def _node_warning(self) -> str:
        failure = self.failure()
        certificate = self.identity.certificate
        days = (certificate.not_after - self._context.trusted) / _DAY
        # Between two thirds of its life and the first success nothing is wrong yet.
        if not failure or days > WARN_DAYS[0]:
            return ""
        text = (
            f"this node's certificate ends in {_days(days)} and could not be renewed ({failure}): "
            "see to it that an issuer runs, or let this machine join anew"
        )
        self._tell(certificate.fingerprint, days, text)
        return text

    def _issuer_warning(self, issuer: Issuer | None) -> str:
        if issuer is None:
            return ""
        days = (issuer.certificate.not_after - self._context.trusted) / _DAY
        if days > WARN_DAYS[0]:
            return ""
        if issuer.certificate.issuer is None:
            how = (
                "stop the daemon, `gossipnet root issuer --key FILE` with the root keys, and start "
                "it again; whom it let in renews by itself after that, and not without"
            )
        else:
            how = "it renews itself at the issuer above it: see to it that one runs"
        text = (
            f"the certificate under which this node lets machines in ends in {_days(days)}: {how}"
        )
        self._tell(issuer.certificate.fingerprint, days, text)
        return text

    def _tell(self, fingerprint: bytes, days: float, text: str) -> None:
        threshold = min(limit for limit in WARN_DAYS if days <= limit)
        if self._told.get(fingerprint, WARN_DAYS[0] + 1) > threshold:
            if len(self._told) >= 16:
                self._told.clear()
            self._told[fingerprint] = threshold
            self._context.counters[f"certificate_warnings_{threshold}d"] += 1
            level = "error" if threshold == WARN_DAYS[-1] else "warning"
            self._context.event("certificate-ends", text, level)


def _days(days: float) -> str:
    if days < 0:
        return "the past"
    return f"{days * 24:.0f} hours" if days < 2 else f"{days:.0f} days"
