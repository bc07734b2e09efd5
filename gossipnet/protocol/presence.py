"""What this node says of itself: incarnation, addresses, neighbours, and that it goes away.

The record is signed anew at once when a neighbour was lost, since others judge by it who observes
whom, and otherwise at most every 10 s. A node that listens on every address of its machine learns
from its peers under which one they see it. This module knows the overlay's links, not how
they come and go.
"""

from collections import Counter
from collections.abc import Callable

from gossipnet.config import join_address, split_address
from gossipnet.protocol.context import Context
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import ALIVE, Member, Membership

PACE = 10.0
"""Seconds between two records that differ only in neighbours gained."""

SETTLE = 0.25
"""Seconds after a change before it is signed: neighbours that die together make one record, and the
accusations that concern them are judged by the record before it."""

PARTED = 3.0
"""Seconds after a neighbour and this node let go of each other on purpose: nobody is in doubt."""

FIRST = 0.5
"""Seconds after the first neighbour: until then nobody observes this node."""

_ANY = ("0.0.0.0", "::", "", "*")  # noqa: S104 - compared with, never bound


class Presence:
    """Keeps this node's own member record true.

    Args:
      configured: Addresses to advertise; one whose host means "all of them" stands for the host
        under which peers see this node, with that port.
    """

    def __init__(
        self,
        context: Context,
        membership: Membership,
        links: dict[int, PeerLink],
        configured: tuple[str, ...],
    ) -> None:
        self._context = context
        self._membership = membership
        self._links = links
        self._fixed: list[str] = []
        self._ports: list[int] = []
        self._six = False
        for address in configured:
            host, port = split_address(address)
            if host.strip("[]") in _ANY:
                self._ports.append(port)
                self._six = self._six or host.strip("[]") != "0.0.0.0"  # noqa: S104 - as above
            else:
                self._fixed.append(address)
        self._learned = ""
        self._signed_at = -1e9
        self._due_at = 0.0
        membership.addresses = tuple(self._fixed)
        # Set by the engine.
        self.publish: Callable[[Member], None] = lambda _own: None

    def start(self) -> None:
        """Begin a new incarnation; its first record goes out with the first Hello."""
        self._membership.raise_incarnation(0)
        self._membership.sign_own(())

    # -- neighbours ----------------------------------------------------------------------------

    def neighbours_changed(self, *, lost: bool, parted: bool = False) -> None:
        """Sign a new record when it is time: soon after a loss, less soon after a parting."""
        since = self._context.now - self._signed_at
        wait = SETTLE if lost else PARTED if parted else max(FIRST, PACE - since)
        due = self._context.now + wait
        if "presence" in self._context.timers and self._due_at <= due:
            return
        self._due_at = due
        self._context.timers.set("presence", due, self._refresh)

    def _refresh(self) -> None:
        listed = frozenset(link.node[:16] for link in self._links.values() if link.neighbour)
        if listed != self._membership.listed:
            self._signed_at = self._context.now
            self.say()

    def say(self) -> None:
        """Sign and publish this node's record as things are now."""
        self._context.timers.cancel("presence")
        neighbours = [link.node for link in self._links.values() if link.neighbour]
        self.publish(self._membership.sign_own(neighbours))

    def refute(self, above: int) -> None:
        """Answer an accusation, or an older life's record: a higher incarnation of the same."""
        self._membership.raise_incarnation(above)
        self.say()

    def depart(self, status: int) -> None:
        """Say that this node goes away (`AWAY`) or for good (`LEFT`)."""
        self._membership.status = status
        self.say()

    # -- addresses -----------------------------------------------------------------------------

    def observed(self) -> None:
        """Peers told from where they see this node: the address most of them say is ours."""
        if not self._ports or self._membership.status != ALIVE:
            return
        votes: Counter[str] = Counter()
        for link in self._links.values():
            address = self._from(link)
            if address:
                votes[address] += 1
        if not votes:
            return
        best = max(votes, key=lambda address: (not _loopback(address), votes[address]))
        held = self._learned
        if best == held:
            return
        if votes[held] >= votes[best] and _loopback(held) == _loopback(best):
            return
        self._learned = best
        learned = [best, *(a for a in votes if a != best)][:4]
        self._membership.addresses = tuple(dict.fromkeys([*self._fixed, *learned]))
        self._context.event("address-learned", f"peers reach this node at {best}", "info")
        self.say()

    def _from(self, link: PeerLink) -> str:
        """The address in a peer's word: what it dialled, or where it sees us, with our port."""
        try:
            host, port = split_address(link.observed)
        except ValueError:
            return ""
        if ":" in host and not self._six:
            return ""  # a link that went out over IPv6, from a node that listens on IPv4 alone
        return join_address(host, self._ports[0] if link.dialed else port)


def _loopback(address: str) -> bool:
    return address.startswith(("127.", "[::1]", "localhost:"))
