"""WAIT: who else has this node's records on disk, by signed receipts.

While somebody waits, a question goes along the links, first to the neighbours if they are enough.
Each node remembers on which link a question came first, answers it once its disk has the record,
and passes others' answers back that way. A receipt names the hash of a record of this node's log,
which covers all before it, so that one is good for every earlier write. Nobody has any cost from
this while nobody waits. Receipts are counted by who signed them; whoever carries one cannot change
it, and is not to blame for it.

A question that travels further than the asker's own links is signed, and each member has a budget
of them at every node: else one liar could make all nodes answer whatever it makes up.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import structs

from gossipnet.errors import BadSignature, RemoteProtocolError
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import Domain, sign, verify
from gossipnet.ids import LogId, NodeId
from gossipnet.protocol.bucket import Bucket
from gossipnet.protocol.commits import Commits
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import MEMBERS_MAX, Membership
from gossipnet.protocol.wire import encode
from gossipnet.protocol.wire_receipts import (
    AskReceipts,
    QuestionBody,
    Receipt,
    ReceiptBody,
    Receipts,
    decode_receipt_untrusted,
)
from gossipnet.state.record import SIGNED_BYTES
from gossipnet.state.replica import Replica

FAR = 64
"""Links that a question may travel: more than any path in a mesh has."""

AGAIN = 0.25
"""Seconds after which a question is asked again, and of everybody; doubled each time up to this."""
AGAIN_MAX = 2.0

QUESTIONS_KEPT = 4096
"""Questions whose way back is remembered."""

OWED_MAX = 4096
"""Questions about records that are still to come."""

NEAR_RATE, FAR_RATE = 2000.0, 100.0
"""Questions per second of one member: to its neighbours, and through the mesh."""

FAR_PAUSE = 0.02
"""Seconds between two questions of this node that go through the mesh, half of what is granted."""

Question = tuple[bytes, int]


class Wait:
    """What one client waits for.

    Attributes:
      ticket: The commit that holds what it wrote.
      wanted: How many other nodes should have it.
      seq: Of the record in this node's log, once it is durable here.
    """

    __slots__ = ("_receipts", "seq", "ticket", "wanted")

    def __init__(self, receipts: "ReceiptBook", ticket: int, wanted: int) -> None:
        self._receipts = receipts
        self.ticket = ticket
        self.wanted = wanted
        self.seq: int | None = None

    def count(self, *, synced: bool = False) -> int:
        """How many other nodes have said that they have it; ``synced``: fsynced."""
        return 0 if self.seq is None else self._receipts.holders(self.seq, synced=synced)

    def close(self) -> None:
        """Nobody waits for it any more."""
        self._receipts.forget(self)


@dataclass(slots=True)
class Way:
    """Where the answers to a question go, and how many have gone there."""

    link: int
    passed: int = 0


class ReceiptBook:
    """Asks, answers, passes on and counts."""

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        membership: Membership,
        replica: Replica,
        commits: Commits,
        links: dict[int, PeerLink],
        *,
        synced: bool,
    ) -> None:
        self._context = context
        self._key = identity.key
        self._mesh_id = identity.trust.mesh_id
        self._membership = membership
        self._replica = replica
        self._commits = commits
        self._links = links
        self._synced = synced
        self._waits: dict[Wait, None] = {}
        self._number = 0
        self._asked = 0
        self._log = replica.own_log
        self._held: dict[NodeId, tuple[int, int]] = {}
        self._ways: OrderedDict[Question, Way] = OrderedDict()
        self._owed: dict[Question, tuple[LogId, int]] = {}
        self._budgets: dict[tuple[NodeId, bool], Bucket] = {}
        self._far_at = 0.0
        # Set by the engine.
        self.changed: Callable[[], None] = lambda: None

    # -- waiting -------------------------------------------------------------------------------

    def wait(self, wanted: int) -> Wait:
        """Begin to ask for all that this node has written so far; `Wait.close` ends it."""
        wait = Wait(self, self._commits.ticket(), wanted)
        self._waits[wait] = None
        return wait

    def forget(self, wait: Wait) -> None:
        """See `Wait.close`."""
        self._waits.pop(wait, None)

    def holders(self, seq: int, *, synced: bool) -> int:
        """How many other nodes have this node's log up to ``seq``."""
        return sum(held[synced] >= seq for held in self._held.values())

    def flush(self) -> None:
        """Ask what is to be asked, and answer what can be; once a turn."""
        if self._waits:
            self._ask_new()
        if self._owed:
            self._pay()

    def _ask_new(self) -> None:
        if self._log != self._replica.own_log:  # a new epoch: nobody has said anything of it
            self._log, self._asked = self._replica.own_log, 0
            self._held.clear()
        durable = self._commits.sendable(self._log, self._replica.head(self._log))
        for wait in self._waits:
            if wait.seq is None and wait.ticket <= self._commits.committed:
                wait.seq = durable
        open_waits = self._unanswered()
        newest = max((wait.seq or 0 for wait in open_waits), default=0)
        if newest > self._asked:
            wanted = max(wait.wanted for wait in open_waits)
            neighbours = sum(link.neighbour for link in self._links.values())
            if wanted <= neighbours:
                self._ask(newest, 1)
            elif self._context.now < self._far_at:  # what is written until then goes with it
                if "receipts-far" not in self._context.timers:
                    self._context.timers.set("receipts-far", self._far_at, self._ask_new)
                return
            else:
                self._far_at = self._context.now + FAR_PAUSE
                self._ask(newest, FAR)
            self._again(AGAIN)

    def _unanswered(self) -> list[Wait]:
        return [wait for wait in self._waits if wait.seq and wait.count() < wait.wanted]

    def _ask(self, seq: int, reach: int) -> None:
        self._asked = seq
        self._number = max(self._number + 1, self._context.wall_ms)
        self._context.counters["receipts_asked"] += 1
        asked = QuestionBody(self._membership.prefix, self._number, self._log, seq)
        signature = b""
        if reach > 1:
            signature = sign(self._key, Domain.QUESTION, self._mesh_id, encode(asked))
        self._spread(AskReceipts(*_fields(asked), reach, signature), None)

    def _again(self, after: float) -> None:
        def ask() -> None:
            waits = self._unanswered()
            if waits:
                self._ask(max(wait.seq or 0 for wait in waits), FAR)
                self._again(min(2 * after, AGAIN_MAX))

        self._context.timers.set("receipts", self._context.now + after, ask)

    def _spread(self, question: AskReceipts, source: PeerLink | None) -> None:
        payload = encode(question)
        for link in self._links.values():
            if link.neighbour and link is not source:
                self._context.send_bytes(link.number, Lane.GOSSIP, payload)

    # -- answering -----------------------------------------------------------------------------

    def on_ask(self, link: PeerLink, message: AskReceipts) -> None:
        """Answer when the record is on disk, and ask others.

        Raises:
          RemoteProtocolError: It claims to be another's question, and that one did not sign it.
        """
        question = (message.asker, message.number)
        if question in self._ways or message.asker == self._membership.prefix:
            return
        if not self._permitted(link, message):
            return
        self._ways[question] = Way(link.number)
        if len(self._ways) > QUESTIONS_KEPT:
            oldest, _way = self._ways.popitem(last=False)
            self._owed.pop(oldest, None)
        if message.reach > 1 and message.signature:
            self._spread(structs.replace(message, reach=message.reach - 1), link)
        if len(self._owed) < OWED_MAX:
            self._owed[question] = (LogId(message.log), message.seq)
        else:
            self._context.counters["receipts_dropped"] += 1

    def _permitted(self, link: PeerLink, message: AskReceipts) -> bool:
        """Whether a member asks, of its own log, and within its budget."""
        near = message.asker == link.node[:16] and not message.signature
        asker = self._membership.find(message.asker)
        if asker is None or asker.gone:
            self._context.counters["questions_foreign"] += 1
            return False
        if not near:
            asked = QuestionBody(message.asker, message.number, message.log, message.seq)
            verify(
                asker.public_key, Domain.QUESTION, self._mesh_id, encode(asked), message.signature
            )
        author = self._replica.author_of(LogId(message.log))
        if author is not None and author != asker.id:
            self._context.counters["questions_foreign"] += 1
            return False
        budget = self._budgets.get((asker.id, near))
        if budget is None:  # as many as there are members, at most twice
            rate = NEAR_RATE if near else FAR_RATE
            budget = self._budgets[asker.id, near] = Bucket(rate, 2 * rate, self._context.now)
        if not budget.take(1, self._context.now):
            self._context.counters["questions_over_budget"] += 1
            return False
        return True

    def _pay(self) -> None:
        """What is here now will be durable with the next commit: answer then."""
        due = {
            question: log
            for question, (log, seq) in self._owed.items()
            if self._replica.head(log) >= seq
        }
        if not due:
            return
        for question in due:
            del self._owed[question]
        receipts = {log: self._signed(log) for log in set(due.values())}

        def answer() -> None:
            for question, log in due.items():
                self._pass_on(question, [receipts[log]])

        if self._commits.idle:
            answer()
        else:
            self._commits.then(answer)

    def _signed(self, log: LogId) -> Receipt:
        known = self._replica.logs.by_id[log]
        self._context.counters["receipts_signed"] += 1
        body = encode(
            ReceiptBody(self._membership.me, log, known.head, known.head_hash, self._synced)
        )
        return Receipt(body, sign(self._key, Domain.RECEIPT, self._mesh_id, body))

    def _pass_on(self, question: Question, receipts: list[Receipt]) -> None:
        way = self._ways.get(question)
        if way is None or way.link not in self._links or way.passed >= MEMBERS_MAX:
            self._context.counters["receipts_dropped"] += len(receipts)
            return
        way.passed += len(receipts)
        self._context.send(way.link, Lane.GOSSIP, Receipts(*question, receipts))

    # -- counting ------------------------------------------------------------------------------

    def on_receipts(self, _link: PeerLink, message: Receipts) -> None:
        """Count what is for this node, pass on what is for others."""
        if message.asker != self._membership.prefix:
            self._pass_on((message.asker, message.number), message.receipts)
            return
        for receipt in message.receipts:
            try:
                self._count(receipt)
            except (BadSignature, RemoteProtocolError):
                self._context.counters["receipts_bad"] += 1
        self.changed()

    def _count(self, receipt: Receipt) -> None:
        body = decode_receipt_untrusted(receipt.body)
        node = NodeId(body.node)
        member = self._membership.members.get(node)
        before = self._held.get(node, (0, 0))
        if member is None or node == self._membership.me or member.gone:
            self._context.counters["receipts_foreign"] += 1
        elif body.log == self._log and body.seq > before[body.synced]:
            verify(
                member.public_key, Domain.RECEIPT, self._mesh_id, receipt.body, receipt.signature
            )
            if self._hash(body.seq) != body.hash:
                self._context.counters["receipts_foreign"] += 1
            else:
                synced = max(before[1], body.seq if body.synced else 0)
                self._held[node] = (max(before[0], body.seq), synced)

    def _hash(self, seq: int) -> bytes | None:
        """Of a record of this node's own log, if it is recent enough to tell."""
        own = self._replica.logs.by_id.get(self._log)
        if own is None:
            return None
        if seq == own.head:
            return own.head_hash
        data = self._replica.record(self._log, seq)
        if data is None:
            return None
        return hashlib.blake2b(data[:SIGNED_BYTES], digest_size=32).digest()


def _fields(asked: QuestionBody) -> tuple[bytes, int, bytes, int]:
    return asked.asker, asked.number, asked.log, asked.seq
