"""Anti-entropy: whatever the broadcast missed, found by version vectors and streamed.

In sync, two peers exchange 32-byte digests and nothing else. Otherwise they exchange version
vectors (one head per log; each log is contiguous), long ones by `ranges`, and whoever lacks
something pulls it: in the order in which the sender applied it, which is a causal order, in pieces
under credit, from one peer at a time. Small gaps that an announcement or a held-back record reveals
are pulled from whoever revealed them after giving the tree time to fill them.
"""

from collections.abc import Callable, Iterable, Sequence
from math import inf

from gossipnet.ids import LogId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import Gap, PeerLink, Pull
from gossipnet.protocol.ranges import RANGES_ABOVE, Heads, Ranges
from gossipnet.protocol.streams import FROM_MEMORY, Streams
from gossipnet.protocol.wire import (
    RECORDS_PER_MESSAGE,
    Digest,
    More,
    Range,
    Records,
    Tip,
    Vector,
    Want,
)
from gossipnet.protocol.wire_types import Message
from gossipnet.state.image_rows import MARK
from gossipnet.state.replica import AppliedRecord, Outcome, Replica, Status

PERIOD = 5.0
"""Seconds (± 50 %) between two digests to a random neighbour."""

STALLED = 3.0
"""Seconds without a piece after which a pull is given up and tried elsewhere."""

SLOW_BYTES = 4096
"""Bytes per second, over `STALLED` seconds, below which a pull keeps no other waiting: a neighbour
that drips one record after another must not be the only source."""

SLOW_FOR = 60.0
"""Seconds for which the next pulls from such a neighbour keep no other waiting either."""

PULLS_MAX = 8
"""Pulls at a time, all but one of them slow."""

HELD = 0.2
"""Seconds between two looks whether the disk has caught up, so that a stream may go on."""

GRAFT_AGAIN = 0.2
"""Seconds for the tree to bring what was announced while an earlier gap was waited for."""

GAPS_MAX = 4096
"""Gaps remembered while the tree has time to fill them."""


CHUNK = bytes((MARK,))
"""What a piece of an image begins with, where a record has its version."""


class Sync:
    """Compares with neighbours, pulls what is missing, serves what others lack."""

    def __init__(
        self,
        context: Context,
        replica: Replica,
        links: dict[int, PeerLink],
        members_digest: Callable[[], bytes],
    ) -> None:
        self._context = context
        self._replica = replica
        self._links = links
        self._members_digest = members_digest
        self._session = 0
        self._sorted: tuple[tuple[int, int], Heads] | None = None
        self.pulls: dict[int, Pull] = {}
        self._waiting: dict[int, bool] = {}
        self._slow: dict[int, float] = {}
        self._gaps: dict[tuple[LogId, int], Gap] = {}
        self._gaps_due = inf
        # Set by the engine.
        self.forked: Callable[[PeerLink, bytes], None] = lambda _link, _data: None
        self.suspect: Callable[[PeerLink, LogId, int], None] = lambda _link, _log, _seq: None
        self.taken: Callable[[Iterable[AppliedRecord]], None] = lambda _records: None
        self.arrived: Callable[[list[AppliedRecord], PeerLink | None, int], None] = (
            lambda _records, _link, _hop: None
        )
        self.announce: Callable[[Iterable[AppliedRecord], int], None] = lambda _r, _link: None
        self.graft: Callable[[PeerLink], None] = lambda _link: None
        self.compare_members: Callable[[PeerLink], None] = lambda _link: None
        self.ingest: Callable[[bytes], Outcome] = lambda data: replica.ingest(data, context.wall)
        self.chunk: Callable[[bytes], None] = lambda _data: None
        self.joining: Callable[[PeerLink], bool] = lambda _link: False
        self.congested: Callable[[], bool] = lambda: False
        self.sendable: Callable[[LogId, int], int] = lambda _log, head: head
        self.streams = Streams(context, replica, links, lambda log, head: self.sendable(log, head))

    def start(self) -> None:
        """Begin the periodic comparison."""
        self._context.timers.set("sync", self._context.after(PERIOD, 0.5), self._compare)

    # -- comparing -----------------------------------------------------------------------------

    def _compare(self) -> None:
        self.start()
        neighbours = [link for link in self._links.values() if link.neighbour]
        if neighbours:
            self.greet(self._context.rng.choice(neighbours))

    def greet(self, link: PeerLink) -> None:
        """Show our digests to a peer."""
        self._context.send(
            link.number,
            Lane.BULK,
            Digest(self._replica.digest(), self._members_digest(), self._replica.total),
        )

    def on_digest(self, link: PeerLink, vector: bytes, members: bytes) -> None:
        """Equal: done. Otherwise show our vector and ask for theirs."""
        if vector != self._replica.digest():
            self.show_vector(link, reply=True)
        if members != self._members_digest():
            self.compare_members(link)

    def show_vector(self, link: PeerLink, *, reply: bool) -> None:
        """Send our version vector, or if it is long begin to compare it by ranges."""
        if len(self._replica.logs.by_number) > RANGES_ABOVE:
            self._context.counters["ranges_begun"] += 1
            self.answer(link, [self.ranges(link).begin()])
            return
        self._context.send(link.number, Lane.BULK, Vector(self._tips()[:16_384], reply))

    def _tips(self) -> list[Tip]:
        return [
            (log.id, sendable, log.hash_of(sendable))
            for log in self._replica.logs.by_number
            if (sendable := self.sendable(log.id, log.head))
        ]

    def ranges(self, link: PeerLink) -> Ranges:
        """Compares long vectors with a peer."""
        return Ranges(self._heads, lambda tips: self._differ(link, tips), self._dropped)

    def _heads(self) -> Heads:
        """The vector in order; most of the time the one of the last question."""
        logs, own = self._replica.logs, self._replica.own_log
        now = (logs.changes, self.sendable(own, self._replica.head(own)))
        if self._sorted is None or self._sorted[0] != now:
            self._sorted = (now, Heads(self._tips()))
        return self._sorted[1]

    def _dropped(self, count: int) -> None:
        self._context.counters["ranges_dropped"] += count

    def answer(self, link: PeerLink, messages: Sequence[Message]) -> None:
        """Go on with a comparison by ranges."""
        for message in messages:
            self._context.send(link.number, Lane.BULK, message)

    def on_vector(self, link: PeerLink, message: Vector) -> None:
        """Pull what the peer has and we lack."""
        if message.reply:
            self.show_vector(link, reply=False)
        self._differ(link, message.heads)

    def _differ(self, link: PeerLink, heads: list[Tip]) -> None:
        theirs = {LogId(log): head for log, head, _tip in heads}
        wanted = self._replica.wanted_from(theirs)
        if self.joining(link):
            return
        if wanted:
            self._pull(link, wanted)
        by_id = self._replica.logs.by_id
        for log, head, tip in heads:
            known = by_id.get(LogId(log))
            if known is None or not max(1, known.base) <= head <= known.head:
                continue
            if known.hash_of(head) != tip:
                self.suspect(link, LogId(log), head)

    # -- pulling -------------------------------------------------------------------------------

    def pull_image(self, link: PeerLink, name: LogId, first: int, last: int) -> None:
        """Ask for chunks of an image."""
        self._pull(link, [(name, first, last)])

    def _pull(self, link: PeerLink, wanted: list[tuple[LogId, int, int]]) -> None:
        """Start a stream, unless one is under way: then compare again when it ends."""
        if self.congested():  # the difference lasts, so it is looked into again and again
            self._context.counters["pulls_deferred"] += 1
            return
        if self._occupied(link.number):
            self._waiting[link.number] = True
            return
        self._session += 1
        ranges: list[Range] = [(log, first, last) for log, first, last in wanted]
        ranges = ranges[:RECORDS_PER_MESSAGE]
        pull = Pull(self._session, link.number, ranges, self._context.now)
        pull.judged_at = self._context.now
        pull.slow = self._slow.get(link.number, -inf) > self._context.now
        self.pulls[self._session] = pull
        self._context.counters["pulls"] += 1
        self._context.send(link.number, Lane.BULK, Want(self._session, ranges))
        self._watch(self._session)

    def _occupied(self, number: int) -> bool:
        """Whether a pull is under way that another one has to wait for."""
        pulls = self.pulls.values()
        return (
            any(not pull.slow or pull.link == number for pull in pulls) or len(pulls) >= PULLS_MAX
        )

    def _watch(self, session: int, wait: float = STALLED) -> None:
        def check() -> None:
            pull = self.pulls.get(session)
            if pull is None:
                return
            if pull.held:
                self._go_on(pull)
            elif self._context.now - pull.progress_at >= STALLED:
                self._context.counters["pulls_stalled"] += 1
                self._end(pull)
            else:
                self._judge(pull)
                self._watch(session)

        self._context.timers.set(("pull", session), self._context.now + wait, check)

    def _judge(self, pull: Pull) -> None:
        """Let another neighbour have a try beside a pull that hardly moves."""
        now = self._context.now
        if now - pull.judged_at < STALLED:
            return
        enough = pull.size >= SLOW_BYTES * (now - pull.judged_at)
        pull.size, pull.judged_at = 0, now
        if enough or pull.slow:
            return
        pull.slow = True
        self._slow[pull.link] = now + SLOW_FOR
        self._context.counters["pulls_slow"] += 1
        others = [
            link for link in self._links.values() if link.neighbour and link.number != pull.link
        ]
        if others and not self._greet_waiting():
            self.greet(self._context.rng.choice(others))

    def _go_on(self, pull: Pull) -> None:
        """Ask for the next piece once the disk has caught up."""
        pull.progress_at = pull.judged_at = self._context.now
        pull.size = 0
        pull.held = self.congested()
        if not pull.held:
            self._context.send(pull.link, Lane.BULK, More(pull.session))
        self._watch(pull.session, HELD if pull.held else STALLED)

    def on_records(self, link: PeerLink, message: Records) -> None:
        """Take in one piece and ask for the next."""
        pull = self.pulls.get(message.session)
        if pull is not None and pull.link != link.number:
            pull = None
        applied: list[AppliedRecord] = []
        try:
            for data in message.records:
                self._context.counters["records_received"] += 1
                if data[:1] == CHUNK:
                    self.chunk(data)
                    continue
                outcome = self.ingest(data)
                applied.extend(outcome.applied)
                if outcome.status is Status.FORKED:
                    self.forked(link, data)
        finally:  # what came before a bad one is applied: it must reach the disk and the others
            if applied:
                self.taken(applied)
                self.arrived(applied, link, 0)
                self.announce(applied, link.number)
        if pull is not None:
            if message.records:  # empty pieces could hold the only stream for ever
                pull.progress_at = self._context.now
            pull.records += len(message.records)
            pull.size += sum(map(len, message.records))
        if not message.done and not message.refused:
            if pull is not None and self.congested():
                pull.held = True
                self._watch(pull.session, HELD)
            else:
                self._context.send(link.number, Lane.BULK, More(message.session))
        elif pull is not None:
            self._end(pull)

    def _end(self, pull: Pull) -> None:
        self.pulls.pop(pull.session, None)
        self._context.timers.cancel(("pull", pull.session))
        if self._greet_waiting():
            return
        if pull.records == 0:
            self._context.timers.set("sync", self._context.after(1.0, 0.5), self._compare)

    def _greet_waiting(self) -> bool:
        """Compare with the neighbour that has waited longest to be pulled from."""
        while self._waiting:
            number = next(iter(self._waiting))
            del self._waiting[number]
            link = self._links.get(number)
            if link is not None:
                self.greet(link)
                return True
        return False

    def progress(self) -> dict[str, int]:
        """Records received and asked for by the streams under way."""
        wanted = sum(
            last - first + 1 for pull in self.pulls.values() for _log, first, last in pull.wanted
        )
        return {"received": sum(p.records for p in self.pulls.values()), "wanted": wanted}

    # -- gaps ----------------------------------------------------------------------------------

    def missing(
        self, link: PeerLink, ranges: Iterable[tuple[LogId, int, int]], delay: float
    ) -> None:
        """A gap was seen: if it is still there after ``delay``, pull it from this peer.

        The wait is drawn from one to three times ``delay``: whoever is cut off together learns of
        it at the same time, and one that asks first supplies the others.
        """
        due = self._context.now + delay * (1.0 + 2.0 * self._context.rng.random())
        for log, _first, last in ranges:
            known = self._gaps.get((log, link.number))
            if known is not None:
                known.latest = max(known.latest, last)
            elif len(self._gaps) < GAPS_MAX:
                self._gaps[log, link.number] = Gap(last, last, due)
            else:
                self._context.counters["gaps_dropped"] += 1
        self._arm_gaps()

    def _arm_gaps(self) -> None:
        due = min((gap.due for gap in self._gaps.values()), default=inf)
        if due < inf and due != self._gaps_due:
            self._context.timers.set("gaps", due, self._fill)
        self._gaps_due = due

    def _fill(self) -> None:
        """Pull what the tree has not brought in time."""
        self._gaps_due = inf
        if self.congested():
            self._gaps.clear()
            return
        now = self._context.now
        asked: set[LogId] = set()
        wanted: dict[int, list[Range]] = {}
        for (log, number), gap in list(self._gaps.items()):
            head = self._replica.head(log)
            if number not in self._links or head >= gap.latest:
                del self._gaps[log, number]
            elif gap.due > now:
                continue
            elif head >= gap.mark:  # the tree works, it has only not brought the newest yet
                gap.mark, gap.due = gap.latest, now + GRAFT_AGAIN
            else:
                del self._gaps[log, number]
                ranges = self._replica.wanted_from({log: gap.latest})
                if ranges and log not in asked:
                    asked.add(log)
                    wanted.setdefault(number, []).extend(ranges)
        for number, lacking in wanted.items():
            self._pull_gap(self._links[number], lacking)
        self._arm_gaps()

    def fetch(self, link: PeerLink, log: LogId, first: int, last: int) -> None:
        """Ask for a few records although there are some of these numbers here."""
        self._session += 1
        self._context.send(link.number, Lane.GOSSIP, Want(self._session, [(log, first, last)]))

    def _pull_gap(self, link: PeerLink, lacking: list[Range]) -> None:
        self.graft(link)
        total = sum(last - first + 1 for _log, first, last in lacking)
        if total > FROM_MEMORY:
            self._pull(link, [(LogId(log), first, last) for log, first, last in lacking])
            return
        self._session += 1
        self._context.send(
            link.number, Lane.GOSSIP, Want(self._session, lacking[:RECORDS_PER_MESSAGE])
        )

    def forget(self, number: int) -> None:
        """A link is gone: give up its pull, and compare with somebody else."""
        self._waiting.pop(number, None)
        self._slow.pop(number, None)
        for pull in [pull for pull in self.pulls.values() if pull.link == number]:
            self._end(pull)
        self.streams.forget(number)
