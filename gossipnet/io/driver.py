"""The driver: sole owner of one `Engine`, between it and sockets, disk and clock.

Inputs go to the engine the moment they come. Effects are carried out once per turn of the loop, by
one task: whatever became ready together (messages of many links, a commit, a client's batch) is
answered by one pass, one record and one write per link. That task also keeps the engine's timer;
nothing here costs a checkpoint per message.

An engine that raises takes the driver, and so the process, down: a bug must be seen. What a peer
causes ends that peer's link. Knows nothing of what effects are for.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable

import trio

from gossipnet.identity.peer import Peer
from gossipnet.ids import short
from gossipnet.io.accounts import Ledger
from gossipnet.io.dials import Dials
from gossipnet.io.freshkeys import FreshKeys
from gossipnet.io.fulldisk import FullDisk
from gossipnet.io.join_stream import Joins
from gossipnet.io.keeping import Keep, Keeping
from gossipnet.io.link import Link
from gossipnet.io.logs import log_event
from gossipnet.io.sockets import remote_address
from gossipnet.io.store import Deferred, Store
from gossipnet.protocol.effects import (
    CloseLink,
    Commit,
    Committed,
    Dial,
    DialFailed,
    DialFailure,
    Effect,
    Event,
    Heard,
    Input,
    JoinClose,
    JoinSend,
    LinkDown,
    LinkUp,
    LogRead,
    PauseLink,
    ReadLog,
    Received,
    Refreshed,
    Renewed,
    Send,
)
from gossipnet.protocol.engine import Engine
from gossipnet.protocol.handshake import Transport
from gossipnet.protocol.session import Session

MAX_LINKS = 256
"""Links at once, half-open ones included; an engine keeps about ten, a seed is asked by more."""


class Driver:
    """Carries one engine.

    Args:
      engine: Started; nobody else feeds it inputs or takes its effects.
      store: Started; nobody else gives it commits.
      transport: Who this node is to its peers.
      wall: Unix seconds.
      keep: Writes renewed certificates to the home; called in a thread.
      ledger: Counts and bounds what peers cost.

    Attributes:
      engine: For reading, and for its commands; call `flush` after those.
      counters: What happened at the sockets, by name.
      on_committed: Called with the number of each commit once the engine knows of it.
      stopping: No link, dial or join is begun any more.
      full_disk: Refuses writes while there is no room.
      more_status: What others have to tell in `status_extra`, by name.
      left: Set when this node has signed off the mesh: the process should stop.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        transport: Transport,
        *,
        wall: Callable[[], float] = time.time,
        keep: Keep | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.engine = engine
        self.counters: Counter[str] = Counter()
        self.on_committed: list[Callable[[int], None]] = []
        self.left = trio.Event()
        self.wall = wall
        self._store = store
        self._transport = transport
        self.ledger = ledger or Ledger()
        self._keeping = Keeping(keep, self.counters)
        self._fresh_keys = FreshKeys(lambda: self._running)
        self._links: dict[int, Link] = {}
        self._running: dict[Link, None] = {}
        self._number = itertools.count(1).__next__
        self._joins = Joins(self.feed, self._number, self.counters)
        self._dials = Dials(self, transport)
        self._dirty: dict[Link, None] = {}
        self._wanted = True
        self._turning = False
        self._parked: trio.lowlevel.Task | None = None
        self._waiting: dict[int, trio.Event] = {}
        self.stopping = False
        self.full_disk = FullDisk(engine.keyspace, self.counters)
        self.more_status: dict[str, Callable[[], object]] = {}
        self._links_gone = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._actions: dict[type[Effect], Callable[..., None]] = {
            Send: self._send,
            Dial: self._start_dial,
            CloseLink: self._close_link,
            PauseLink: self._pause_link,
            Commit: store.commit,
            ReadLog: store.read,
            JoinSend: self._joins.send,
            JoinClose: self._joins.close,
            Event: self._tell,
            Renewed: self._renewed,
        }

    # ------------------------------------------------------------ for everybody

    def feed(self, event: Input) -> None:
        """Give the engine one input."""
        self.engine.handle(event, trio.current_time(), self.wall())
        self.flush()

    def flush(self) -> None:
        """Have effects carried out before the loop sleeps. Cheap, and may be called often."""
        if not self._wanted:
            self._wanted = True
            if self._parked is not None:
                trio.lowlevel.reschedule(self._parked)
                self._parked = None

    async def wait_committed(self, number: int) -> None:
        """Wait until commit ``number``, from `Engine.ticket`, is durable.

        Raises:
          WritesRefused: The disk is full.
        """
        self.flush()
        while self.engine.committed < number:
            self.full_disk.check()
            await self._waiting.setdefault(number, trio.Event()).wait()

    @property
    def full(self) -> bool:
        """See `DialOwner`."""
        return self.stopping or len(self._running) >= MAX_LINKS

    def status_extra(self) -> dict[str, object]:
        """What the engine cannot know, for ``GOSSIP STATUS``."""
        return {
            "disk": self._store.deferred or "ok",
            "disk_backlog_bytes": self._store.backlog,
            "transactions": self._store.transactions,
            "commits": self._store.commits,
            "links": len(self._links),
            "half_open": len(self._running) - len(self._links),
            "dials": self._dials.under_way,
            "joins": len(self._joins),
            "costs": {**self.ledger.status(), "handshakes": self._transport.answered},
            "io": dict(self.counters),
            **{name: tell() for name, tell in self.more_status.items()},
        }

    # ------------------------------------------------------------ the tasks

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Drive until cancelled.

        Raises:
          StoreError: The disk failed.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                await nursery.start(self._store.run, self._stored)
                nursery.start_soon(self._fresh_keys.run)
                task_status.started()
                while True:
                    with trio.CancelScope() as timer:
                        await self._turn_until_due(timer)
        finally:
            self._nursery = None

    async def _turn_until_due(self, timer: trio.CancelScope) -> None:
        while True:
            self._turn()
            # Moving one scope's deadline is cheaper than a scope per turn.
            due = self.engine.deadline()
            if timer.deadline != due:
                timer.deadline = due
            await self._rest()

    async def _rest(self) -> None:
        if self._wanted:
            await trio.lowlevel.checkpoint()
            return
        self._parked = trio.lowlevel.current_task()

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _turn(self) -> None:
        self._wanted = False
        engine = self.engine
        now, wall = trio.current_time(), self.wall()
        if engine.deadline() <= now:
            engine.tick(now, wall)
        self._turning = True
        for effect in engine.take_effects(now, wall):
            self._actions[type(effect)](effect)
        dirty, self._dirty = self._dirty, {}
        for link in dirty:
            link.pump()
        self._turning = False
        self._wanted |= bool(self._dirty)  # these had too much for one turn
        if engine.left or engine.outdated:
            self.left.set()

    async def shut(self, reason: str) -> None:
        """Carry out what the engine wants, say CLOSE on every link, and wait until all have ended.

        Bounded by `link.CLOSE_SECONDS`. No link is opened any more; inputs still reach the engine.
        """
        self.stopping = True
        self._turn()
        for link in list(self._running):
            if link.up:
                link.close(reason)
            else:
                link.fail(reason)
        self._joins.close_all()
        while self._running:
            self._links_gone = trio.Event()
            await self._links_gone.wait()

    def part(self) -> None:
        """Say goodbye as far as that takes no waiting; nothing if the driver has ended."""
        if self._nursery is not None and not self.stopping:
            self.engine.goodbye()
            self._turn()

    # ------------------------------------------------------------ links: effects

    def _send(self, effect: Send) -> None:
        link = self._links.get(effect.link)
        if link is None:
            self.counters["sends_to_ended_links"] += 1
        elif not link.send(effect.lane, effect.payload, effect.droppable):
            self.counters["links_too_slow"] += 1
            link.fail("slow")

    def outbox(self, number: int) -> tuple[int, int]:
        """Bytes that wait on a link, and messages for which there was no room."""
        link = self._links.get(number)
        return (0, 0) if link is None else (link.queued, link.shed)

    def _close_link(self, effect: CloseLink) -> None:
        link = self._links.pop(effect.link, None)
        if link is not None:
            link.close(effect.reason)

    def _pause_link(self, effect: PauseLink) -> None:
        if effect.link in self._links:
            self._links[effect.link].account.hold(effect.seconds, trio.current_time())

    def _start_dial(self, effect: Dial) -> None:
        assert self._nursery is not None
        self._dials.start(effect, self._nursery)

    async def answer_link(
        self,
        stream: trio.SocketStream,
        first: bytes,
        *,
        deadline: float,
        admitted: Callable[[], None],
    ) -> None:
        """Carry a link that a peer dialled until it ends (see `listener.Door`)."""
        if self.full:
            self.counters["links_refused_full"] += 1
            return
        link = Link(
            self,
            stream,
            Session.answer(self._transport),
            address=remote_address(stream),
            dialed=None,
            deadline=deadline,
            account=self.ledger.open(trio.current_time()),
        )
        link.on_established = admitted
        await self.carry(link, first)

    async def answer_join(self, stream: trio.SocketStream, first: bytes) -> None:
        """Carry a join until it ends (see `listener.Door`)."""
        if not self.stopping:
            await self._joins.answer(stream, first)

    async def carry(self, link: Link, first: bytes = b"") -> None:
        """See `DialOwner`."""
        self._running[link] = None
        try:
            await link.run(first)
        finally:
            del self._running[link]
            self._dirty.pop(link, None)
            self.ledger.close(link.account)
            if not self._running:
                self._links_gone.set()

    # ------------------------------------------------------------ links: what they tell

    def link_up(self, link: Link, peer: Peer) -> None:
        """See `LinkOwner`."""
        if not self.ledger.proved(link.account, peer.node_id):
            # It holds as many as it may: what it opens on top is closed at once.
            link.close("too-many-sessions")
            if link.dialed is not None:
                self.feed(DialFailed(link.dialed, DialFailure.HANDSHAKE, "too many links"))
            return
        link.number = self._number()
        self._links[link.number] = link
        self.feed(LinkUp(link.number, peer, link.dialed, link.address))

    def link_message(self, link: Link, payload: bytes) -> None:
        """See `LinkOwner`."""
        self.feed(Received(link.number, payload))

    def link_refreshed(self, link: Link, peer: Peer) -> None:
        """See `LinkOwner`."""
        self.counters["links_refreshed"] += 1
        self._fresh_keys.refreshed(link)
        if self._links.get(link.number) is link:
            self.feed(Refreshed(link.number, peer))

    def link_heard(self, link: Link) -> None:
        """See `LinkOwner`."""
        self.feed(Heard(link.number))

    def link_down(self, link: Link, reason: str, clean: bool) -> None:
        """See `LinkOwner`."""
        self.counters[f"link_ended_{reason.replace('-', '_')}"] += 1
        if link.up:
            if self._links.pop(link.number, None) is not None:
                self.feed(LinkDown(link.number, clean, reason))
        elif link.dialed is not None:
            self._dials.failed(link.dialed, reason)
        else:
            log_event("link-refused", f"{link.address or 'a stranger'}: {reason}", "debug")

    def link_dirty(self, link: Link) -> None:
        """See `LinkOwner`."""
        self._dirty[link] = None
        if not self._turning:
            self.flush()

    def room(self) -> trio.Event | None:
        """See `LinkOwner`."""
        return self._store.room()

    # ------------------------------------------------------------ disk and log

    def _stored(self, done: Committed | LogRead | Deferred) -> None:
        if isinstance(done, Deferred):
            self.full_disk.tell(done.reason)
            while self._waiting:
                self._waiting.popitem()[1].set()
            return
        self.feed(done)
        if isinstance(done, Committed):
            for number in [n for n in self._waiting if n <= done.number]:
                self._waiting.pop(number).set()
            for callback in self.on_committed:
                callback(done.number)

    def _renewed(self, effect: Renewed) -> None:
        """Later handshakes show the new certificates at once; the home has them soon."""
        self._transport.identity = effect.identity
        if self._nursery is not None:
            self._nursery.start_soon(self._keeping.write, effect.identity)

    def _tell(self, effect: Event) -> None:
        log_event(effect.kind, effect.text, effect.level, short(effect.node) if effect.node else "")
