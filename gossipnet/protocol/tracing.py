"""TRACE: where the newest write of a key has arrived, over which hops, and when.

Each node remembers for a while how records came to it. A question goes to all along the links; each
node answers once, signed, and passes others' answers back the way the question came. What is not
answered in time stays unknown, and is told so. Budgets bound what one member's questions cost the
others. Also counts how long records took to arrive, by the neighbour that brought them.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from gossipnet import ids
from gossipnet.errors import BadSignature, NotFound, RemoteProtocolError, UserError
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import Domain, sign, verify
from gossipnet.ids import LogId, NodeId
from gossipnet.protocol.bucket import Bucket
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.lag import Lag
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import MEMBERS_MAX, Membership
from gossipnet.protocol.wire import encode
from gossipnet.protocol.wire_trace import (
    AskTraces,
    SignedTrace,
    TraceBody,
    Traces,
    decode_trace_untrusted,
)
from gossipnet.state.clock import stamp_ms
from gossipnet.state.dots import log_of, seq_of
from gossipnet.state.replica import AppliedRecord, Replica

REMEMBERED = 4096
"""Records of which is known how they came."""

FAR = 64
"""Links that a question may travel: more than any path in a mesh has."""

QUESTIONS_KEPT = 1024
"""Questions whose way back is remembered."""

TRACES_MAX = 16
"""Questions of this node that are open at one time."""

ASKER_RATE, ASKER_BURST = 2.0, 10.0
ALL_RATE, ALL_BURST = 20.0, 50.0
"""Questions per second that are answered and passed on: of one member, and of all."""

DOTS_MAX = 1_000_000
"""Elements of a key among which the newest write is looked for."""

LAG_MS = 60_000
"""What is older than this when it is fetched is history, and says nothing about the network."""

NOT_HERE, HERE, EARLIER = range(3)
_STATES = ("not here", "here", "here, earlier than is remembered")
_STAMP = slice(58, 66)
"""Where a record's header holds its stamp (`state.record`)."""

Question = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a record came: from whom (empty: written here), over how many links (0: fetched)."""

    source: bytes
    hop: int
    wall_ms: int


class Trace:
    """One question and the answers so far; `close` ends it.

    Attributes:
      key: What was asked about.
      log: Of its newest write.
      seq: Of its newest write.
      written_ms: Its author's clock then.
      answers: By node.
    """

    def __init__(
        self, tracing: "Tracing", key: bytes, log: LogId, seq: int, written_ms: int | None
    ) -> None:
        self._tracing = tracing
        self.key, self.log, self.seq = key, log, seq
        self.written_ms = written_ms
        self.answers: dict[NodeId, TraceBody] = {}

    @property
    def complete(self) -> bool:
        """Whether every other living member has answered."""
        return not self._tracing.silent(self)

    def document(self) -> dict[str, object]:
        """What is known now."""
        return self._tracing.document(self)

    def close(self) -> None:
        """Nobody waits for it any more."""
        self._tracing.forget(self)


class Tracing:
    """Remembers arrivals, asks, answers and passes on."""

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        membership: Membership,
        replica: Replica,
        links: dict[int, PeerLink],
    ) -> None:
        self._context = context
        self._key = identity.key
        self._mesh_id = identity.trust.mesh_id
        self._membership = membership
        self._replica = replica
        self._links = links
        self._arrivals: OrderedDict[tuple[LogId, int], Arrival] = OrderedDict()
        self._open: dict[int, Trace] = {}
        self._number = 0
        self._ways: OrderedDict[Question, int] = OrderedDict()
        self._askers: dict[bytes, Bucket] = {}
        self._all = Bucket(ALL_RATE, ALL_BURST, context.now)
        self.lag = Lag()
        # Set by the engine.
        self.changed: Callable[[], None] = lambda: None

    # -- remembering ---------------------------------------------------------------------------

    def arrived(self, records: Iterable[AppliedRecord], link: PeerLink | None, hop: int) -> None:
        """Records were applied; ``hop`` is 0 where they were fetched, or written here."""
        source = b"" if link is None else link.node[:16]
        wall_ms = self._context.wall_ms
        for record in records:
            self._arrivals[record.log, record.seq] = Arrival(source, hop, wall_ms)
            if len(self._arrivals) > REMEMBERED:
                self._arrivals.popitem(last=False)
            if link is not None:
                took = wall_ms - stamp_ms(int.from_bytes(record.data[_STAMP], "big"))
                if hop or took < LAG_MS:
                    self.lag.add(took)
                    link.lag.add(took)

    # -- asking --------------------------------------------------------------------------------

    def trace(self, key: bytes) -> Trace:
        """Begin to ask all members about the newest write of a key.

        Raises:
          NotFound: There is no such key here.
          UserError: Too many questions are open.
        """
        entry = self._replica.keyspace.entries.get(key)
        if entry is None:
            raise NotFound(f"there is no key {key.decode(errors='backslashreplace')[:60]!r} here")
        if len(self._open) >= TRACES_MAX:
            raise UserError(f"{TRACES_MAX} traces are under way: try again in a moment")
        logs = self._replica.logs
        newest = max(
            islice(entry.dots(), DOTS_MAX),
            key=lambda dot: (
                (1, seq_of(dot))
                if seq_of(dot) > logs.by_number[log_of(dot)].head  # about to be committed
                else (0, logs.stamp(dot))
            ),
        )
        log, seq = logs.by_number[log_of(newest)], seq_of(newest)
        written = stamp_ms(logs.stamp(newest)) if seq <= log.head else None
        trace = Trace(self, key, log.id, seq, written)
        self._number = max(self._number + 1, self._context.wall_ms)
        self._open[self._number] = trace
        self._context.counters["traces_asked"] += 1
        self._spread(
            AskTraces(self._membership.prefix, self._number, log.id, seq, FAR), source=None
        )
        return trace

    def forget(self, trace: Trace) -> None:
        """See `Trace.close`."""
        self._open = {number: one for number, one in self._open.items() if one is not trace}

    def _spread(self, question: AskTraces, source: PeerLink | None) -> None:
        payload = encode(question)
        for link in self._links.values():
            if link.neighbour and link is not source:
                self._context.send_droppable(link.number, Lane.GOSSIP, payload)

    # -- answering -----------------------------------------------------------------------------

    def on_ask(self, link: PeerLink, message: AskTraces) -> None:
        """Answer, and ask others, within the asker's budget."""
        question = (message.asker, message.number)
        if question in self._ways or message.asker == self._membership.prefix:
            return
        if not self._within_budget(message.asker):
            self._context.counters["traces_over_budget"] += 1
            return
        self._ways[question] = link.number
        if len(self._ways) > QUESTIONS_KEPT:
            self._ways.popitem(last=False)
        log = LogId(message.log)
        if message.reach > 1:
            self._spread(AskTraces(*question, log, message.seq, message.reach - 1), link)
        self._pass_on(question, [self._signed(question, log, message.seq)])

    def _within_budget(self, asker: bytes) -> bool:
        if self._membership.find(asker) is None:
            return False
        bucket = self._askers.get(asker)
        if bucket is None:
            if len(self._askers) >= QUESTIONS_KEPT:
                del self._askers[next(iter(self._askers))]
            bucket = self._askers[asker] = Bucket(ASKER_RATE, ASKER_BURST, self._context.now)
        now = self._context.now
        return bucket.take(1, now) and self._all.take(1, now)

    def _signed(self, question: Question, log: LogId, seq: int) -> SignedTrace:
        state, arrival = self._here(log, seq)
        body = encode(
            TraceBody(
                self._membership.me, *question, state, arrival.source, arrival.hop, arrival.wall_ms
            )
        )
        return SignedTrace(body, sign(self._key, Domain.TRACE, self._mesh_id, body))

    def _here(self, log: LogId, seq: int) -> tuple[int, Arrival]:
        known = self._arrivals.get((log, seq))
        if known is not None:
            return HERE, known
        state = EARLIER if self._replica.head(log) >= seq else NOT_HERE
        return state, Arrival(b"", 0, 0)

    def _pass_on(self, question: Question, traces: list[SignedTrace]) -> None:
        way = self._ways.get(question)
        if way is None or way not in self._links:
            self._context.counters["traces_dropped"] += len(traces)
            return
        self._context.send_droppable(way, Lane.GOSSIP, encode(Traces(*question, traces)))

    def on_traces(self, _link: PeerLink, message: Traces) -> None:
        """Keep what is for this node, pass on what is for others."""
        if message.asker != self._membership.prefix:
            self._pass_on((message.asker, message.number), message.traces)
            return
        trace = self._open.get(message.number)
        if trace is None:
            return
        for signed in message.traces:
            try:
                self._count(trace, message.number, signed)
            except (BadSignature, RemoteProtocolError):
                self._context.counters["traces_bad"] += 1
        self.changed()

    def _count(self, trace: Trace, number: int, signed: SignedTrace) -> None:
        body = decode_trace_untrusted(signed.body)
        member = self._membership.members.get(NodeId(body.node))
        if member is None or member.outcast or len(trace.answers) >= MEMBERS_MAX:
            return
        verify(member.public_key, Domain.TRACE, self._mesh_id, signed.body, signed.signature)
        if (body.asker, body.number) != (self._membership.prefix, number):
            raise RemoteProtocolError("bad-trace", "an answer to another question")
        trace.answers[member.id] = body

    # -- telling -------------------------------------------------------------------------------

    def silent(self, trace: Trace) -> list[NodeId]:
        """Living members that have not answered."""
        return [
            member.id
            for member in self._membership.others()
            if member.reachable and member.id not in trace.answers
        ]

    def document(self, trace: Trace) -> dict[str, object]:
        """What is known of a trace: rows by time of arrival, and who did not answer."""
        state, arrival = self._here(trace.log, trace.seq)
        own = TraceBody(
            self._membership.me, b"", 0, state, arrival.source, arrival.hop, arrival.wall_ms
        )
        author = self._replica.author_of(trace.log)
        bodies = [own, *trace.answers.values()]
        bodies.sort(key=lambda body: (body.state != HERE, body.wall_ms, body.node))
        silent = self.silent(trace)
        return {
            "key": trace.key,
            "author": "" if author is None else self._name(author),
            "log": trace.log.hex(),
            "seq": trace.seq,
            "written_ms": trace.written_ms,
            "nodes": [self._row(trace, body, author) for body in bodies],
            "silent": sorted(self._name(node) for node in silent),
            "complete": not silent,
        }

    def _row(self, trace: Trace, body: TraceBody, author: NodeId | None) -> dict[str, object]:
        here = body.state == HERE
        written = here and body.node == author and not body.source
        took = here and trace.written_ms is not None
        return {
            "name": self._name(NodeId(body.node)),
            "id": ids.text(body.node),
            "state": _STATES[body.state],
            "how": ("written" if written else "pushed" if body.hop else "fetched") if here else "",
            "from": self._name(body.source) if body.source else "",
            "hops": body.hop if here and (body.hop or written) else None,
            "at_ms": body.wall_ms if here else None,
            "after_ms": body.wall_ms - (trace.written_ms or 0) if took else None,
        }

    def _name(self, node: bytes) -> str:
        member = self._membership.find(node[:16])
        return ids.short(node) if member is None else member.name
