"""Whom to choose as neighbours so that nobody can surround this node with its own.

Whoever holds many certificates can dial a node until its view is full. So a few neighbours are of
this node's own choosing, whatever has dialled in (Heilman et al., "Eclipse attacks on Bitcoin's
peer-to-peer network", USENIX Security 2015), and they are chosen under as many issuers as there
are: certificates come from issuers, so a stolen issuer's are all of one kind. Knows no timers.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member

OUTBOUND = 2
"""Neighbours of a node's own choice: dialled, and not because a peer that broke off provoked it."""

Issuer = bytes
Finder = Callable[[PeerLink], Member | None]


def issuer_of(member: Member | None) -> Issuer:
    """What the certificates of one issuer share; the root's own count as one."""
    return b"" if member is None or len(member.chain) < 2 else member.chain[1]


def lacking(neighbours: Iterable[PeerLink]) -> int:
    """How many neighbours of its own choice this node lacks."""
    return max(0, OUTBOUND - sum(1 for link in neighbours if link.chosen))


def sort(candidates: list[Member], neighbours: Iterable[PeerLink], find: Finder) -> None:
    """Put those first whose issuer has certified the fewest neighbours; otherwise keep the order.

    Only what this node chose counts: who dials in may claim a whole issuer's share.
    """
    shares = Counter(issuer_of(find(link)) for link in neighbours if link.chosen)
    candidates.sort(key=lambda member: shares[issuer_of(member)])


def spare(neighbours: Sequence[PeerLink], find: Finder) -> Sequence[PeerLink]:
    """Those that may go when there are too many: not the last ones of this node's own choice."""
    own = [link for link in neighbours if link.chosen]
    shares = Counter(issuer_of(find(link)) for link in own)
    kept = {
        link.number for link in own if len(own) <= OUTBOUND or shares[issuer_of(find(link))] == 1
    }
    return [link for link in neighbours if link.number not in kept]
