"""Who counts, and since when not: notices about trust and all that follows, under one roof.

Composes `Noticeboard` (keeps and spreads signed statements), `Rooting` (versions of the root),
`Forking` (logs of two branches), `Frontiers` (what issuers know there to be), `Revoking` (what all
of it means for members and links) and `Rebuilding` (what it means for the state).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.revocation import decode_revocation
from gossipnet.identity.revocations import Revocations
from gossipnet.identity.trust import Trust
from gossipnet.protocol.commits import Commits
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import LogRead
from gossipnet.protocol.forking import Forking
from gossipnet.protocol.frontiers import Frontiers
from gossipnet.protocol.judgement import Judgement
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member, Membership
from gossipnet.protocol.notices import FORK, FRONTIER, META, REVOCATION, ROOT, Noticeboard
from gossipnet.protocol.rebuilding import Rebuilding
from gossipnet.protocol.revoking import Revoking
from gossipnet.protocol.rooting import Rooting
from gossipnet.state.fork import Forks, decode_proof
from gossipnet.state.replica import Replica


def known_statements(meta: Mapping[str, bytes], trust: Trust) -> tuple[Revocations, Forks]:
    """What the named values of a database hold, for a `Replica` that is about to be loaded.

    Loaded without them it would first apply what is void, and then have to compute it anew. The
    versions of the root that are there go into ``trust`` before.
    """
    revocations, forks = Revocations(trust), Forks(trust)
    notices = [notice for name, notice in meta.items() if name.startswith(META)]
    left = [notice[1:] for notice in notices if notice[:1] == bytes((ROOT,))]
    before = 0
    while len(left) != before:  # each may have to wait for the one that it follows
        before = len(left)
        left = [data for data in left if not _adopted(data, trust)]
    for notice in notices:
        # What cannot be read is told when the noticeboard reads it.
        with suppress(RemoteProtocolError):
            if notice[:1] == bytes((REVOCATION,)):
                revocations.add(decode_revocation(notice[1:], trust))
            elif notice[:1] == bytes((FORK,)):
                forks.add(decode_proof(notice[1:], trust))
    return revocations, forks


def _adopted(data: bytes, trust: Trust) -> bool:
    try:
        return trust.adopt(data) is not None
    except RemoteProtocolError:
        return False


class Standing:
    """Keeps links, members and state in line with what is known about trust."""

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        replica: Replica,
        membership: Membership,
        judgement: Judgement,
        commits: Commits,
        links: dict[int, PeerLink],
    ) -> None:
        self.board = Noticeboard(context, links)
        self.rebuilding = Rebuilding(context, replica)
        self.rooting = Rooting(context, identity.trust, membership, self.board)
        self.forking = Forking(context, identity.trust, replica, self.board)
        self.revoking = Revoking(
            context, identity, replica, membership, judgement, self.board, self.forking, links
        )
        self.frontiers = Frontiers(
            context,
            identity.trust,
            replica,
            membership,
            self.board,
            self.revoking.revocations,
            links,
        )
        self._replica = replica
        self.board.stored = commits.hurry
        self.board.taken = self._on_taken

    def restore(self, meta: Mapping[str, bytes]) -> None:
        """Load what an earlier process stored; before members are."""
        self.board.restore(meta, (bytes((ROOT,)) + data for data in self.rooting.known()))
        self.rooting.apply()

    def _on_taken(self, kinds: set[int]) -> None:
        if ROOT in kinds:
            self.rooting.apply()
        if kinds != {FRONTIER}:
            self._settle()

    def _settle(self) -> None:
        # Logs are judged while they still say how far they were applied, and end afterwards.
        stale = self._replica.revocations_changed()
        self.forking.apply()
        if stale:
            self.rebuilding.begin()
        self.revoking.apply()

    def start(self) -> None:
        """Bring everything in line with what was loaded."""
        self._settle()
        self.frontiers.start()

    def closes(self, close: Callable[[PeerLink, str], None], cease: Callable[[], None]) -> None:
        """Set what ends one link, and what ends this node's part in the mesh."""
        self.revoking.close, self.revoking.cease = close, cease

    def takes(self, read: LogRead) -> bool:
        """Take records that came from disk, if they were asked for here."""
        if self.forking.takes(read):
            return True
        if not self.rebuilding.takes(read):
            return False
        self.rebuilding.on_read(read)
        return True

    def why(self, member: Member) -> dict[str, object]:
        """What is held against a member, for people."""
        return {"revocations": self.revoking.why(member), "forks": self.forking.why(member)}

    def status(self) -> dict[str, object]:
        """For ``gossipnet status``."""
        return {
            **self.revoking.status(),
            "rebuilding": self.rebuilding.active,
            "forks": len(self.forking.forks),
            "frontier": self.frontiers.status(),
            "root": self.rooting.status(),
        }
