"""All that concerns the end of certificates, under one roof: own ones, peers', and others' wishes.

Composes `Renewal` (this node's own), `Renewing` (serving others) and `Expiry` (sweeps, warnings).
"""

from collections.abc import Callable

from gossipnet.identity.node import NodeIdentity
from gossipnet.ids import NodeId
from gossipnet.protocol.clockcheck import clock_complaint
from gossipnet.protocol.context import Context
from gossipnet.protocol.expiry import Expiry
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Membership
from gossipnet.protocol.overlay import Overlay
from gossipnet.protocol.renewal import Renewal
from gossipnet.protocol.renewing import Renewing
from gossipnet.protocol.wire_trust import RenewAnswer, RenewAsk


class Certificates:
    """Keeps certificates fresh, and links to those that let theirs end closed."""

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        membership: Membership,
        overlay: Overlay,
        links: dict[int, PeerLink],
    ) -> None:
        self.renewal = Renewal(context, identity, membership, overlay)
        self.renewing = Renewing(context, identity, membership, overlay)
        self.expiry = Expiry(context, identity, membership, links)
        self.expiry.failure = lambda: self.renewal.failure
        self.renewal.renewed = self._adopt
        self.renewal.doubtful = lambda: clock_complaint(links.values(), context) is not None
        # Set by the engine: takes the node's new identity.
        self.renewed: Callable[[NodeIdentity], None] = lambda _identity: None

    def start(self) -> None:
        """Begin to look."""
        self.renewal.start()
        self.expiry.start()

    def _adopt(self, identity: NodeIdentity) -> None:
        self.renewing.identity = identity
        self.expiry.renewed(identity)
        self.renewed(identity)

    def status(self) -> dict[str, object]:
        """For `status`."""
        return {**self.renewal.status(), **self.expiry.status()}

    def on_ask(self, link: PeerLink, ask: RenewAsk) -> None:
        """A peer wants new certificates."""
        self.renewing.on_ask(link, ask)

    def on_answer(self, link: PeerLink, answer: RenewAnswer) -> None:
        """An answer to this node, or to one whose request it carried."""
        if not self.renewing.carry_back(link, answer):
            self.renewal.on_answer(link, answer)

    def link_ready(self, link: PeerLink) -> None:
        """A link greets."""
        self.renewal.link_ready(link)

    def link_ended(self, link: PeerLink) -> None:
        """Nothing comes over it any more."""
        self.renewing.link_ended(link)
        self.renewal.link_ended(link)

    def unreached(self, node: NodeId) -> None:
        """Somebody could not be dialled."""
        self.renewal.unreached(node)

    def uses(self, link: PeerLink) -> bool:
        """Whether a request or an answer is under way over this link."""
        return self.renewing.uses(link) or self.renewal.uses(link)
