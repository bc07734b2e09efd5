"""When authors, and who may revoke, were last seen in the mesh, and for whom nobody waits any more.

Kept across restarts: a process that has just begun has seen nobody yet.
"""

from collections.abc import Mapping

import msgspec

from gossipnet.identity.revocation import REVOKING_ROLES
from gossipnet.ids import NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.membership import Membership
from gossipnet.protocol.stored_image import SEEN_KEY
from gossipnet.state.logs import Logs

HEAR = 600.0
"""Seconds between two looks at who is there."""

NOTED = 3600.0
"""Seconds by which what is stored may be old."""

SILENT = 30 * 86_400.0
"""Seconds after which nobody waits for a member that was not heard of."""


class Attendance:
    """See the module. One entry for each author of a log and each member that may revoke."""

    def __init__(self, context: Context, logs: Logs, membership: Membership) -> None:
        self._context = context
        self._logs = logs
        self._membership = membership
        self._heard: dict[NodeId, float] = {}
        self._hear_at = 0.0

    def restore(self, meta: Mapping[str, bytes]) -> None:
        """Go on from what an earlier process stored."""
        if SEEN_KEY in meta:
            seen = msgspec.msgpack.decode(meta[SEEN_KEY], type=dict[bytes, float])
            self._heard = {NodeId(node): at for node, at in seen.items()}

    def look(self) -> None:
        """Note who is there, now and then, for the day when somebody is not."""
        if self._context.now < self._hear_at:
            return
        self._hear_at = self._context.now + HEAR
        wall, changed = self._context.wall, False
        members = self._membership.members
        # Who may revoke is waited for even before it has written anything.
        watched = {one.id for one in members.values() if not REVOKING_ROLES.isdisjoint(one.roles)}
        watched.update(log.author for log in self._logs.by_number)
        for author in sorted(watched):
            member = members.get(author)
            there = author == self._membership.me or (member is not None and member.reachable)
            if author not in self._heard or (there and wall - self._heard[author] > NOTED):
                self._heard[author], changed = wall, True
        if changed:
            self._context.meta[SEEN_KEY] = msgspec.msgpack.encode(
                {bytes(node): at for node, at in self._heard.items()}
            )

    def excused(self, author: NodeId) -> bool:
        """Whether it left, was revoked, or has been silent for so long that nobody waits for it."""
        member = self._membership.members.get(author)
        if member is not None and member.state in ("left", "revoked"):
            return True
        return self._context.wall - self._heard.get(author, self._context.wall) > SILENT
