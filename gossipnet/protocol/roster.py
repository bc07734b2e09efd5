"""The member table between peers: comparing, asking, admitting, passing on, and telling people.

Tables are compared by one digest; when it differs, the dialler shows the version of every record it
holds, and the other side answers with what it lacks and asks for what it lacks itself. A newcomer
is told who is accused after it was told who there is, so that it judges as the others did.
"""

from collections.abc import Callable, Iterable

from gossipnet.errors import RemoteProtocolError
from gossipnet.ids import NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane, PauseLink
from gossipnet.protocol.judgement import Judgement
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.memberentry import body_of
from gossipnet.protocol.membership import ALIVE, AWAY, LEFT, Member, Membership
from gossipnet.protocol.pacing import Checked, Pacing
from gossipnet.protocol.wire import (
    AskMembers,
    MemberHeads,
    Members,
    PushAccusations,
)
from gossipnet.protocol.wire_members import (
    Accusation,
    MemberBody,
    MemberEntry,
)

PIECE_BYTES = 128 * 1024
"""Of member records in one message: a table of thousands must not delay a heartbeat."""

ASKED_AT_ONCE = 1024

PACED_PAUSE = 0.05
"""Seconds for which the link of a member that overdoes its record changes is left unread."""


class Roster:
    """Exchanges member records and accusations with peers."""

    def __init__(self, context: Context, membership: Membership, judgement: Judgement) -> None:
        self._context = context
        self._membership = membership
        self._judgement = judgement
        self._pacing = Pacing(context)
        self._pacing.take = self._take_paced
        # Set by the engine.
        self.forward: Callable[[Iterable[Member], int], None] = lambda _members, _link: None
        self.echoed: Callable[[NodeId, int], None] = lambda _node, _link: None
        self.changed: Callable[[Member], None] = lambda _member: None
        self.overtaken: Callable[[int], None] = lambda _incarnation: None

    # -- comparing -----------------------------------------------------------------------------

    def compare(self, link: PeerLink) -> None:
        """Show the version of every record to a peer whose table differs."""
        self._context.send(
            link.number, Lane.CONTROL, MemberHeads(self._membership.heads(), reply=False)
        )

    def on_heads(self, link: PeerLink, message: MemberHeads) -> None:
        """Answer with what the peer lacks, and ask for what we lack."""
        entries, wanted = self._newer_than(message.heads)
        self._send(link, entries)
        for start in range(0, len(wanted), ASKED_AT_ONCE):
            self._ask(link, wanted[start : start + ASKED_AT_ONCE])
        if message.reply:
            self.compare(link)
        self.tell_accusations(link)

    def _newer_than(
        self, heads: Iterable[tuple[bytes, int, int]]
    ) -> tuple[list[MemberEntry], list[bytes]]:
        """Compare with a peer's heads: entries it lacks, and prefixes of which it knows more."""
        theirs = {prefix: (incarnation, serial) for prefix, incarnation, serial in heads}
        entries: list[MemberEntry] = []
        for member in self._membership.members.values():
            known = theirs.get(member.id[:16])
            if known is None or known < (member.body.incarnation, member.body.serial):
                entries.append(member.entry)
        wanted = [
            prefix
            for prefix, version in theirs.items()
            if (mine := self._membership.find(prefix)) is None
            or (mine.body.incarnation, mine.body.serial) < version
        ]
        return entries, wanted

    def on_ask(self, link: PeerLink, message: AskMembers) -> None:
        """Send these records; to whom they are new also what is held against anybody."""
        found = [self._membership.find(prefix) for prefix in dict.fromkeys(message.nodes)]
        entries = [member.entry for member in found if member is not None]
        if not message.chains:
            entries = [MemberEntry(entry.body, entry.signature, []) for entry in entries]
        self._send(link, entries)
        if message.chains:
            self.tell_accusations(link)

    def _ask(self, link: PeerLink, prefixes: list[bytes]) -> None:
        self._context.send(link.number, Lane.CONTROL, AskMembers(prefixes, chains=True))

    def _send(self, link: PeerLink, entries: list[MemberEntry]) -> None:
        piece: list[MemberEntry] = []
        size = 0
        for entry in entries:
            if piece and size > PIECE_BYTES:
                self._context.send(link.number, Lane.CONTROL, Members(piece))
                piece, size = [], 0
            piece.append(entry)
            size += len(entry.body) + 80 + sum(map(len, entry.chain))
        if piece:
            self._context.send(link.number, Lane.CONTROL, Members(piece))

    def tell_accusations(self, link: PeerLink) -> None:
        """Show a peer everything that is held against anybody, itself included."""
        held: list[Accusation] = []
        for node in self._judgement.suspicions:
            held.extend(self._judgement.against(node))
        for start in range(0, len(held), 512):
            self._context.send(
                link.number, Lane.CONTROL, PushAccusations(held[start : start + 512])
            )

    # -- admitting -----------------------------------------------------------------------------

    def on_members(self, link: PeerLink, entries: list[MemberEntry], pushed: bool) -> None:
        """Take in records; pass on what was news.

        A newcomer to whom most of the table is news passes nothing on: everybody has it.

        Raises:
          RemoteProtocolError: One of them is malformed or forged.
        """
        before = len(self._membership.members)
        fresh: list[Member] = []
        unknown: list[bytes] = []
        bodies = [body_of(entry) for entry in entries]
        newest = {body.node: (body.incarnation, body.serial) for body in _by_version(bodies)}
        try:
            for entry, body in zip(entries, bodies, strict=True):
                node = NodeId(body.node)
                if newest[body.node] > (body.incarnation, body.serial):
                    continue  # a newer one is in the same message
                if node == self._membership.me:
                    self._own(entry)
                elif (held := self._membership.version(node)) >= (body.incarnation, body.serial):
                    if held == (body.incarnation, body.serial):
                        self.echoed(node, link.number)
                elif self._pacing.waiting(node) >= (body.incarnation, body.serial):
                    continue
                elif not self._membership.knows(entry):
                    unknown.append(node[:16])
                elif (member := self._admit(node, entry)) is not None:
                    fresh.append(member)
                elif node == link.node and self._pacing.waiting(node) >= (0, 0):
                    # It signs faster than anybody needs: verifying that has a price too.
                    self._context.effects.append(PauseLink(link.number, PACED_PAUSE))
        finally:
            if fresh and (pushed or len(fresh) <= before):
                self.forward(fresh, link.number)
        if unknown:
            self._ask(link, unknown[:ASKED_AT_ONCE])

    def on_hello(self, link: PeerLink, entry: MemberEntry) -> None:
        """Take in the record with which a peer introduces itself.

        Raises:
          RemoteProtocolError: It is malformed, forged, or somebody else's.
        """
        if body_of(entry).node != link.node:
            raise RemoteProtocolError("hello-of-another")
        self.on_members(link, [entry], pushed=True)

    def _own(self, entry: MemberEntry) -> None:
        """Our own record from outside: one of a life that this home has forgotten overtakes us."""
        body = body_of(entry)
        own = self._membership.own.body
        if (body.incarnation, body.serial) > (own.incarnation, own.serial):
            self._membership.verify_own(entry)
            self._context.counters["own_record_ahead"] += 1
            self.overtaken(body.incarnation)

    def _admit(self, node: NodeId, entry: MemberEntry) -> Member | None:
        checked = self._membership.check(entry)
        if checked is None:
            return None
        if self._membership.version(node) >= (0, 0) and self._pacing.holds(node, checked):
            return None
        return self._take(node, checked)

    def _take_paced(self, node: NodeId, checked: Checked) -> None:
        try:
            member = self._take(node, checked)
        except RemoteProtocolError:  # a new root withdrew its certificate meanwhile
            self._context.counters["members_refused"] += 1
        else:
            self.forward([member], 0)

    def _take(self, node: NodeId, checked: Checked) -> Member:
        known = self._membership.members.get(node)
        before = None if known is None else known.state
        moved_from = [] if known is None else known.body.addresses
        member = self._membership.store(*checked)
        member.decisive = before not in (None, "alive") or member.body.status != ALIVE
        self._judgement.on_record(member)
        self._tell(member, before)
        if before is not None and moved_from != member.body.addresses and moved_from:
            # One without a host stands for wherever its peers see it.
            told = [address for address in member.body.addresses if not address.startswith(":")]
            self._context.event(
                "member-moved",
                f"{member.name} is now at {', '.join(told) or 'no address'}",
                node=member.id,
            )
        self.changed(member)
        return member

    def _tell(self, member: Member, before: str | None) -> None:
        status, name = member.body.status, member.name
        if member.outcast:
            return
        if before is None:
            if status == ALIVE:
                self._context.event("member-join", f"{name} is in the mesh", node=member.id)
        elif status == LEFT and before != "left":
            self._context.event("member-left", f"{name} left", node=member.id)
        elif status == AWAY and before != "away":
            self._context.event("member-away", f"{name} went away, back soon", node=member.id)
        elif status == ALIVE and before in ("dead", "away", "left") and not member.dead:
            self._context.event("member-back", f"{name} is back", node=member.id)


def _by_version(bodies: Iterable[MemberBody]) -> list[MemberBody]:
    return sorted(bodies, key=lambda body: (body.incarnation, body.serial))
