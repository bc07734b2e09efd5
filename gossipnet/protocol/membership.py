"""The member table: signed records of everybody, and what this node makes of them.

Only the subject signs its record, so only the subject can raise its incarnation, move its address
or leave (the trust model's rows 25-27). The table is bounded by issued certificates. Whether a
member is *dead* is a judgement about one incarnation (`detection`), never part of a record.
This module does not dial, accuse, or know links.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from gossipnet import ids
from gossipnet.errors import BadSignature, CertificateError, RemoteProtocolError
from gossipnet.identity.certificate import Certificate
from gossipnet.identity.home import NodeIdentity
from gossipnet.identity.signing import Domain, sign, verify
from gossipnet.identity.trust import Trust
from gossipnet.ids import NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.memberentry import body_of, kept
from gossipnet.protocol.wire import (
    encode,
)
from gossipnet.protocol.wire_members import (
    MemberBody,
    MemberEntry,
)
from gossipnet.protocol.wire_types import UNREADABLE
from gossipnet.protocol.zones import Rankings, Zones

MEMBERS_MAX = 16_384
"""More certificates than this are never issued for one mesh, so a longer table is an attack."""

ALIVE, AWAY, LEFT = 0, 1, 2

AWAY_LIMIT = 600.0
"""Seconds for which a member that said "back soon" is believed."""

_META = "member/"


@dataclass(slots=True)
class Member:
    """One row of the table.

    Attributes:
      id: Node id.
      public_key: Its Ed25519 key, from its certificate.
      chain: Its certificate chain.
      name: From its certificate.
      roles: From its certificate.
      not_after: End of its certificate, unix seconds.
      certificate: First 16 bytes of its certificate's fingerprint.
      body: Its newest record.
      entry: The same as received: signed bytes and chain.
      previous: Its neighbours in the record before this one.
      dead: Judged dead in its current incarnation.
      suspected: There are valid accusations, but no verdict.
      revoked: A revocation strikes it; nothing it says counts.
      suspended: It signed contradictory records; nothing it says counts until somebody decides.
      unheard: It is known from an earlier run only: no member of the mesh has been met since.
      since: ``now`` when its state last changed.
      decisive: Its newest record answers whether it lives: the others wait for it.
      rtt: Smoothed round trip in seconds, None when never measured.
      total: Records it had applied when last heard, None when never heard.
    """

    id: NodeId
    public_key: bytes
    chain: tuple[bytes, ...]
    name: str
    roles: frozenset[str]
    not_after: float
    certificate: bytes
    body: MemberBody
    entry: MemberEntry
    previous: frozenset[bytes] = frozenset()
    dead: bool = False
    suspected: bool = False
    revoked: bool = False
    suspended: bool = False
    unheard: bool = False
    decisive: bool = False
    since: float = 0.0
    rtt: float | None = None
    total: int | None = None
    neighbours: frozenset[bytes] = field(default=frozenset())
    number: int = 0

    @property
    def state(self) -> str:
        """``alive``, ``suspect``, ``dead``, ``away``, ``left`` or ``revoked``."""
        if self.revoked:
            return "revoked"
        if self.body.status == LEFT:
            return "left"
        if self.suspended:
            return "suspect"
        if self.dead:
            return "dead"
        if self.body.status == AWAY:
            return "away"
        return "suspect" if self.suspected or self.unheard else "alive"

    @property
    def gone(self) -> bool:
        """Not expected back: it left, or does not count."""
        return self.body.status == LEFT or self.outcast

    @property
    def outcast(self) -> bool:
        """Nothing that it says counts, and nobody keeps a link with it."""
        return self.revoked or self.suspended

    @property
    def reachable(self) -> bool:
        """Worth a link: neither gone for good nor judged dead nor away nor an outcast."""
        return self.body.status == ALIVE and not self.dead and not self.outcast

    def names(self, prefix: bytes) -> bool:
        """Whether the member lists this neighbour (16-byte prefix), now or in its last record."""
        return prefix in self.neighbours or prefix in self.previous


class Membership:
    """The table, this node's own record, and the digest over both."""

    def __init__(
        self, context: Context, identity: NodeIdentity, trust: Trust, zone: str, software: str
    ) -> None:
        self._context = context
        self.identity = identity
        self._trust = trust
        self.zone = zone
        self._software = software
        self.me = identity.node_id
        self.prefix = identity.node_id[:16]
        self.members: dict[NodeId, Member] = {}
        self._by_prefix: dict[bytes, NodeId] = {}
        self._digest_sum = 0
        self._chains: dict[tuple[bytes, ...], Certificate] = {}
        self.incarnation = 0
        self._serial = 0
        self.zones = Zones()
        self._rankings = Rankings(self.members)
        self._lost: dict[NodeId, Member] = {}
        self._topology = 0
        self._edges: dict[NodeId, int] = {}
        self._edges_due: dict[NodeId, Member] = {}
        self.addresses: tuple[str, ...] = ()
        self.place: list[int] = []
        self.status = ALIVE
        self.listed: frozenset[bytes] = frozenset()
        """Neighbours in this node's own current record."""
        # Set by the engine: whether a revocation strikes a node with this chain; a fork a node.
        self.struck: Callable[[NodeId, tuple[bytes, ...]], bool] = lambda _node, _chain: False
        self.suspends: Callable[[NodeId], bool] = lambda _node: False

    # -- reading -------------------------------------------------------------------------------

    @property
    def own(self) -> Member:
        """This node's own row."""
        return self.members[self.me]

    def find(self, prefix: bytes) -> Member | None:
        """The member whose id begins with these 16 bytes."""
        found = self._by_prefix.get(prefix)
        return None if found is None else self.members[found]

    def others(self) -> list[Member]:
        """Everybody else, in the order in which they became known."""
        return [member for member in self.members.values() if member.id != self.me]

    def alive_count(self) -> int:
        """Members that are neither dead, away nor left, this one included."""
        return self.zones.total

    def ranked_for(self, member: Member) -> Iterator[Member]:
        """All others in the order of their ranks for a member; see `Rankings`."""
        return self._rankings.of(member)

    def unreachable(self) -> list[Member]:
        """Members that are dead or away, but did not leave."""
        return list(self._lost.values())

    def judged(self, member: Member) -> None:
        """A member's record or its state has changed: count anew."""
        self.zones.note(member)
        if member.reachable or member.gone:
            self._lost.pop(member.id, None)
        else:
            self._lost[member.id] = member
        self._edges_due[member.id] = member

    @property
    def topology(self) -> int:
        """Changes whenever somebody's neighbours do, or whether it can be reached."""
        for member in self._edges_due.values():
            number = 0
            if member.reachable:
                edges = member.id + b"".join(sorted(member.neighbours))
                number = int.from_bytes(hashlib.blake2b(edges, digest_size=16).digest(), "big")
            change = number - self._edges.get(member.id, 0)
            self._edges[member.id] = number
            self._topology = (self._topology + change) % (1 << 128)
        self._edges_due.clear()
        return self._topology

    def digest(self) -> bytes:
        """32 bytes over every record held: equal digests mean equal tables."""
        total = self._digest_sum.to_bytes(32, "big") + len(self.members).to_bytes(4, "big")
        return hashlib.blake2b(total, digest_size=32).digest()

    def heads(self) -> list[tuple[bytes, int, int]]:
        """(id prefix, incarnation, serial) of every record."""
        return [
            (member.id[:16], member.body.incarnation, member.body.serial)
            for member in self.members.values()
        ]

    # -- own record ----------------------------------------------------------------------------

    def sign_own(self, neighbours: Iterable[NodeId] | None = None) -> Member:
        """Write this node's record anew with the current addresses, status and neighbours."""
        if neighbours is not None:
            self.listed = frozenset(peer[:16] for peer in neighbours)
        self._serial += 1
        body = MemberBody(
            version=1,
            node=self.me,
            incarnation=self.incarnation,
            serial=self._serial,
            status=self.status,
            addresses=list(self.addresses[:8]),
            neighbours=sorted(self.listed)[:64],
            dialable=bool(self.addresses),
            zone=self.zone,
            software=self._software,
            certificate=self.identity.certificate.fingerprint[:16],
            root=self._trust.root_version,
            place=self.place,
        )
        signed = encode(body)
        signature = sign(self.identity.key, Domain.MEMBER, self._trust.mesh_id, signed)
        entry = MemberEntry(signed, signature, list(self.identity.chain))
        self.store(body, entry)
        self._context.meta["incarnation"] = self.incarnation.to_bytes(8, "big")
        return self.own

    def raise_incarnation(self, above: int) -> None:
        """Take an incarnation higher than ``above`` and than the present one."""
        self.incarnation = max(self.incarnation, min(above, 1 << 60)) + 1
        self._serial = 0

    # -- others' records -----------------------------------------------------------------------

    def admit(self, entry: MemberEntry) -> Member | None:
        """Take in a record; returns the row if it was news. Raises as `check` does."""
        checked = self.check(entry)
        return None if checked is None else self.store(*checked)

    def check(self, entry: MemberEntry) -> tuple[MemberBody, MemberEntry] | None:
        """Verify a record from the wire, for `store`; None if it is no news.

        Raises:
          RemoteProtocolError: Malformed, badly signed, or from someone this mesh never admitted.
        """
        body = body_of(entry)
        node = NodeId(body.node)
        known = self.members.get(node)
        version = (body.incarnation, body.serial)
        if known is not None and version <= (known.body.incarnation, known.body.serial):
            return None
        if entry.chain and (known is None or tuple(entry.chain) != known.chain):
            leaf, chain = self._check_chain(node, entry.chain), entry.chain
        elif known is not None:
            leaf, chain = self._leaf(known.chain), list(known.chain)
        else:
            raise RemoteProtocolError("member-without-certificate")
        if body.certificate not in (b"", leaf.fingerprint[:16]):
            raise RemoteProtocolError("member-without-certificate", "with another of its chains")
        if known is None and len(self.members) >= MEMBERS_MAX:
            self._context.counters["members_refused"] += 1
            return None
        verify(leaf.subject, Domain.MEMBER, self._trust.mesh_id, entry.body, entry.signature)
        return body, MemberEntry(entry.body, entry.signature, chain)

    def verify_own(self, entry: MemberEntry) -> None:
        """Check a record that claims to be this node's; it is not taken in.

        Raises:
          RemoteProtocolError: This node did not sign it.
        """
        verify(
            self.identity.public_key,
            Domain.MEMBER,
            self._trust.mesh_id,
            entry.body,
            entry.signature,
        )

    def version(self, node: NodeId) -> tuple[int, int]:
        """Incarnation and serial of the record that is here; (-1, -1) for none."""
        known = self.members.get(node)
        return (-1, -1) if known is None else (known.body.incarnation, known.body.serial)

    def knows(self, entry: MemberEntry) -> bool:
        """Whether `admit` could verify this entry: it brings its chain, or we have it."""
        if entry.chain:
            return True
        body = body_of(entry)
        known = self.members.get(NodeId(body.node))
        return known is not None and body.certificate in (b"", known.certificate)

    def _check_chain(self, node: NodeId, chain: list[bytes]) -> Certificate:
        leaf = self._leaf(tuple(chain))
        if ids.node_id(leaf.subject) != node:
            raise CertificateError("wrong-subject", "the certificate is another node's")
        return leaf

    def _leaf(self, chain: tuple[bytes, ...]) -> Certificate:
        """Verify a chain once; no time check, for a record outlives its certificate's renewal."""
        leaf = self._chains.get(chain)
        if leaf is None:
            leaf = self._trust.verify_past_chain(chain)
            if len(self._chains) >= MEMBERS_MAX:
                self._chains.clear()
            self._chains[chain] = leaf
        return leaf

    def store(self, body: MemberBody, entry: MemberEntry) -> Member:
        """Put what `check` has verified into the table."""
        node = NodeId(body.node)
        record = kept(body, entry)
        body, entry = record.body, record.entry
        known = self.members.get(node)
        chain = tuple(entry.chain)
        if known is not None and known.chain == chain:
            chain = known.chain
        leaf = self._leaf(chain)
        moved = known is None
        if known is None:
            known = Member(
                node,
                leaf.subject,
                chain,
                leaf.name,
                leaf.roles,
                leaf.not_after,
                leaf.fingerprint[:16],
                body,
                entry,
                since=self._context.now,
            )
            self.members[node] = known
            self._by_prefix[node[:16]] = node
        else:
            self._digest_sum -= known.number
            moved = known.body.zone != body.zone
            if body.incarnation > known.body.incarnation:
                known.dead = known.suspected = False
            if body.incarnation > known.body.incarnation or body.status != known.body.status:
                known.since = self._context.now
            known.previous = known.neighbours
            known.body, known.entry, known.chain = body, entry, chain
            known.name, known.roles, known.not_after = leaf.name, leaf.roles, leaf.not_after
            known.certificate = leaf.fingerprint[:16]
        known.neighbours, known.number = record.neighbours, record.number
        known.revoked, known.suspended = self.struck(node, chain), self.suspends(node)
        self.judged(known)
        if moved:
            self._rankings.note(known)
        self._digest_sum = (self._digest_sum + record.number) % (1 << 256)
        self._context.meta[_META + node.hex()] = record.packed
        return known

    # -- disk ----------------------------------------------------------------------------------

    def restore(self, meta: Mapping[str, bytes]) -> None:
        """Load the table that an earlier process stored: the address book of this one."""
        decoder = msgspec.msgpack.Decoder(MemberEntry)
        self.incarnation = int.from_bytes(meta.get("incarnation", b""), "big")
        unreadable: list[str] = []
        for name in sorted(meta):
            if not name.startswith(_META):
                continue
            try:
                entry = decoder.decode(meta[name])
                others = body_of(entry).node != self.me
                if others and (member := self.admit(entry)) is not None:
                    member.unheard = True
            except (*UNREADABLE, RemoteProtocolError, BadSignature):
                self._context.counters["members_unreadable"] += 1
                unreadable.append(name)
        self._context.meta.clear()  # it is all there already
        self._context.meta.update(dict.fromkeys(unreadable))
