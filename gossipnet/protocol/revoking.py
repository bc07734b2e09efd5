"""What a revocation does to a running node, and how this node makes one.

Links with the revoked end at once and are refused from then on; the other side is told why first,
so that it can stop instead of knocking for ever. Members are marked, and records beyond the cut
lose their effect (`rebuilding`). A node that learns of its own revocation closes its links and
refuses writes; its clients go on reading.
"""

from collections.abc import Callable, Iterable

from gossipnet import ids
from gossipnet.errors import CertificateError, Denied, NotFound, UserError
from gossipnet.identity.certificate import decode_certificate
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.revocation import (
    KEPT_MAX,
    Revocation,
    decode_revocation,
    make_revocation,
    may_revoke,
)
from gossipnet.identity.revocations import Revocations
from gossipnet.ids import NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.forking import Forking
from gossipnet.protocol.judgement import Judgement
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member, Membership
from gossipnet.protocol.notices import REVOCATION, Noticeboard
from gossipnet.state.replica import Replica

ID_LETTERS = 10
"""Of an id that a person must give at least: as many as are shown in most places."""

_ID_BYTES = 32

KNOCKS_TOLD = 64
"""Revoked peers whose knocking is told once each; others only count."""


class Revoking:
    """Makes, judges and applies revocations.

    Attributes:
      revocations: All that are known.
      own: Why this node itself does not count any more; empty while it does.
    """

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        replica: Replica,
        membership: Membership,
        judgement: Judgement,
        board: Noticeboard,
        forking: Forking,
        links: dict[int, PeerLink],
    ) -> None:
        self._context = context
        self._trust = identity.trust
        self._replica = replica
        self._membership = membership
        self._judgement = judgement
        self._board = board
        self._forking = forking
        self._links = links
        self._told: set[NodeId] = set()
        self.revocations: Revocations = replica.revocations
        self.own = ""
        board.kinds[REVOCATION] = self._take
        membership.struck = self.revocations.strikes
        membership.suspends = forking.suspends
        # Set by the engine.
        self.admitted: Callable[[], Iterable[tuple[str, NodeId]]] = lambda: ()
        self.close: Callable[[PeerLink, str], None] = lambda _link, _reason: None
        self.cease: Callable[[], None] = lambda: None

    @property
    def _identity(self) -> NodeIdentity:
        """With the certificates as they were renewed last."""
        return self._membership.identity

    # -- taking in -----------------------------------------------------------------------------

    def _take(self, payload: bytes) -> bytes | None:
        revocation = decode_revocation(payload, self._trust)
        if revocation.id in self.revocations:
            return revocation.id  # read before the log was, so that nothing had to be done twice
        if not self.revocations.room_for(revocation):
            self._context.counters["revocations_refused"] += 1
            return None
        self.revocations.add(revocation)
        return revocation.id

    def apply(self) -> None:
        """What is known has changed: bring members, links and state in line with it."""
        for member in self._membership.members.values():
            revoked = self.revocations.strikes(member.id, member.chain)
            if revoked != member.revoked:
                self._mark(member, revoked)
            if self._forking.suspends(member.id) != member.suspended:
                self._suspend(member, not member.suspended)
        for link in list(self._links.values()):
            verdict = self._verdict(link)
            if link.limbo:
                if verdict != "withdrawn":
                    self.close(link, "root-changed")  # its next link will be like any other
            elif verdict:
                self._explain(link)
                self.close(link, "revoked" if verdict == "withdrawn" else verdict)
        self._look_at_own()

    def _verdict(self, link: PeerLink) -> str:
        """``revoked``, ``withdrawn`` (by the root), ``forked``, or empty."""
        if self.revocations.strikes(link.node, link.peer.chain):
            struck = self.revocations.against(link.node, link.peer.chain)
            return "revoked" if struck else "withdrawn"
        return "forked" if self._forking.suspends(link.node) else ""

    def _suspend(self, member: Member, suspended: bool) -> None:
        member.suspended = suspended
        member.since = self._context.now
        self._membership.judged(member)
        self._judgement.clear(member, "suspended" if suspended else "let in again")

    def _explain(self, link: PeerLink) -> None:
        """Send a peer what strikes it, so that it can stop instead of knocking for ever."""
        struck = self.revocations.against(link.node, link.peer.chain)
        ids = [revocation.id for revocation in struck]
        ids += self._forking.notices_against(link.node)
        if not ids:
            ids = [record.hash for record in self._trust.roots.chain]
        self._board.send(link.number, self._board.payloads_of(ids))

    def _mark(self, member: Member, revoked: bool) -> None:
        member.revoked = revoked
        member.since = self._context.now
        self._membership.judged(member)
        if not revoked:
            self._context.event("member-pardoned", f"{member.name} counts again", node=member.id)
            return
        self._judgement.clear(member, "revoked")
        self._context.event(
            "member-revoked",
            f"{member.name} was revoked by {self._why(member.id, member.chain)}",
            "warning",
            member.id,
        )

    def _why(self, node: NodeId, chain: tuple[bytes, ...]) -> str:
        struck = self.revocations.against(node, chain)
        if struck:
            return _told(struck)
        return f"version {self._trust.root_version} of the root (it withdrew the issuer)"

    def _look_at_own(self) -> None:
        node, chain = self._identity.node_id, self._identity.chain
        before = self.own
        self.own = self._why(node, chain) if self.revocations.strikes(node, chain) else ""
        if bool(self.own) == bool(before):
            return
        if not self.own:
            self._replica.bar("")
            self._context.event(
                "own-pardon",
                "this node counts again: if it was cut off by a revocation, restart it",
                "warning",
            )
            return
        self._replica.bar(
            f"this node was revoked by {self.own}; to return it needs a new key and an "
            "invitation: `gossipnet join` in another home"
        )
        self._context.event("own-revocation", f"this node was revoked by {self.own}", "error")
        if self.revocations.against(node, chain):
            self.cease()  # else another version of the root may stand by it yet

    # -- links ---------------------------------------------------------------------------------

    def refuses(self, link: PeerLink) -> str:
        """Why a link that has come up must end, or empty; the peer is told.

        ``revoked`` and ``forked`` end it at once; ``withdrawn`` once roots were compared: the peer
        may know of a version that stands by it.
        """
        verdict = self._verdict(link)
        if not verdict:
            return ""
        self._context.counters["revoked_refused"] += 1
        if link.node not in self._told and len(self._told) < KNOCKS_TOLD:
            self._told.add(link.node)
            why = f"was revoked by {self._why(link.node, link.peer.chain)}"
            if verdict == "forked":
                why = "signed contradictory records and is suspended: revoke it, or void the proof"
            self._context.event("link-refused", f"{link.peer.name} {why}", "warning", link.node)
        self._explain(link)
        return verdict

    def refusal_of_key(self, node: NodeId) -> str:
        """Why this key may not join, or empty."""
        if self.own:
            return "the issuer of this token was revoked: ask for a token of another one"
        struck = self.revocations.against(node, ())
        if not struck:
            return ""
        return f"this key was revoked by {_told(struck)}: join from a new home, which has another"

    # -- making --------------------------------------------------------------------------------

    def revoke(self, named: str, reason: str) -> dict[str, object]:
        """Revoke a member, and its issuer's certificates if it has any.

        One that was let in and has never shown itself is no member yet, and may have been stolen
        all the same: it is found among those whom this node let in, or by its whole id.

        Args:
          named: Its id, the first letters of it, or a name that only one member bears.
          reason: For people.

        Raises:
          Denied: This node may not.
          NotFound: There is no such member, and nobody of that name or id was let in here.
          UserError: Several bear the name, or it is this node itself.
        """
        if self.own or not may_revoke(self._identity.certificate):
            raise Denied(f"this node may not revoke: only issuers and revokers may{self._where()}")
        try:
            member = self._find(named)
        except NotFound:
            return self._revoke_unseen(named, reason)
        if member.id == self._membership.me:
            raise UserError(
                "a node does not revoke itself: sign off with `gossipnet leave`, or revoke it on "
                "another issuer"
            )
        row: dict[str, object] = {
            "name": member.name,
            "id": ids.text(member.id),
            "already": member.revoked,
            "issuers": 0,
        }
        issuers = self._issuers_of(member)
        row["issuers"] = len(issuers)
        if not self.revocations.against(member.id, ()):
            self._publish(member.id, member.name, reason, node=member.id)
        for fingerprint, kept in issuers.items():
            self._publish(member.id, member.name, reason, certificate=fingerprint, kept=kept)
        return row

    def _revoke_unseen(self, named: str, reason: str) -> dict[str, object]:
        known = {node: name for name, node in self.admitted()}
        found = {node: name for node, name in known.items() if name == named}
        if len(named) >= ID_LETTERS:
            begun = {n: name for n, name in known.items() if ids.text(n).startswith(named)}
            found = begun or found
        if not found:
            found = _whole_id(named)
        if not found:
            raise NotFound(
                f"no member is called {named[:60]!r}, or has an id that begins so, and nobody of "
                "that name was let in here: `gossipnet members --json` shows ids"
            )
        if len(found) > 1:
            which = ", ".join(ids.text(node)[:16] for node in list(found)[:8])
            raise UserError(f"{len(found)} machines were called {named!r}: give an id ({which})")
        ((node, name),) = found.items()
        already = bool(self.revocations.against(node, ()))
        if not already:
            self._publish(node, name, reason, node=node)
        return {"name": name, "id": ids.text(node), "already": already, "issuers": 0}

    def _publish(
        self,
        subject: NodeId,
        name: str,
        reason: str,
        *,
        node: NodeId | None = None,
        certificate: bytes | None = None,
        kept: Iterable[bytes] = (),
    ) -> None:
        try:
            revocation = make_revocation(
                self._identity.key,
                self._identity.chain,
                self._trust,
                node=node,
                certificate=certificate,
                name=name,
                reason=reason,
                wall=self._context.wall,
                # An issuer's certificate stands in its own node's log too, which loses no more by
                # the end of that certificate than by the node's own.
                seen=self._replica.logs.of_author(subject),
                kept=kept,
            )
        except CertificateError as error:
            raise UserError(f"this node cannot revoke anybody now: {error}") from None
        self._board.publish(REVOCATION, revocation.data)

    def _find(self, named: str) -> Member:
        everybody = list(self._membership.members.values())
        found = [member for member in everybody if member.name == named]
        if len(named) >= ID_LETTERS:
            found = [m for m in everybody if ids.text(m.id).startswith(named)] or found
        if not found:
            raise NotFound(
                f"no member is called {named[:60]!r}, or has an id that begins so: "
                "`gossipnet members --json` shows ids"
            )
        if len(found) > 1:
            which = ", ".join(ids.text(member.id)[:16] for member in found[:8])
            raise UserError(f"{len(found)} members are called {named!r}: give an id ({which})")
        return found[0]

    def _where(self) -> str:
        able = sorted(
            member.name
            for member in self._membership.others()
            if member.roles & {"issuer", "revoker"} and not member.gone
        )
        return f"; run it on {' or '.join(able[:3])}" if able else ""

    def _issuers_of(self, member: Member) -> dict[bytes, list[bytes]]:
        """Issuer's certificates of a member that stand, and the keys below each that are kept.

        A node and its issuer's key were certified together, under one name. What is kept is what
        the certificate had signed as far as this node can see, without the member itself.
        """
        if "issuer" not in member.roles:
            return {}
        found: dict[bytes, set[bytes]] = {}
        own = self._identity.issuer
        chains = [other.chain for other in self._membership.members.values()]
        if own is not None:
            chains.append(own.chain)
        for chain in chains:
            below: bytes = b""
            for data in chain:
                certificate = decode_certificate(data)[0]
                if certificate.path_len is not None and certificate.name == member.name:
                    found.setdefault(certificate.fingerprint, set()).add(below)
                below = ids.node_id(certificate.subject)
        mine = set() if own is None else {c for c, _ in self._trust.steps(own.chain[:1])}
        return {
            fingerprint: sorted(kept - {member.id, b""})[:KEPT_MAX]
            for fingerprint, kept in found.items()
            if fingerprint not in mine and not self._is_struck(fingerprint)
        }

    def _is_struck(self, fingerprint: bytes) -> bool:
        return any(revocation.certificate == fingerprint for revocation in self.revocations)

    # -- for people ----------------------------------------------------------------------------

    def why(self, member: Member) -> list[dict[str, object]]:
        """What strikes a member."""
        return [
            {
                "by": revocation.signer_name,
                "reason": revocation.reason,
                "wall": revocation.wall,
                "id": ids.text(revocation.id),
                "cut": {ids.text(log): seq for log, seq in revocation.cut.items()},
            }
            for revocation in self.revocations.against(member.id, member.chain)
        ]

    def status(self) -> dict[str, object]:
        """For ``gossipnet status``."""
        return {
            "known": len(self.revocations),
            "own": self.own,
        }


def _whole_id(written: str) -> dict[NodeId, str]:
    """A node's id and a name for it, if that is what was written; else nothing."""
    try:
        node = NodeId(ids.parse(written))
    except ValueError:
        return {}
    return {node: ids.short(node)} if ids.text(node) == written and len(node) == _ID_BYTES else {}


def _told(struck: list[Revocation]) -> str:
    first = min(struck, key=lambda revocation: (revocation.wall, revocation.id))
    return f"{first.signer_name} ({first.reason or 'no reason was given'})"
