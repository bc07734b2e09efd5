"""The engine: one node of the mesh, without I/O. Inputs and the time go in, effects come out.

`parts` says what it is made of and who tells whom; here inputs, timers and local commands reach
them. A peer's fault ends that peer's link and nothing else.
"""

from collections.abc import Callable, Iterable, Mapping

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol.effects import (
    Committed,
    DialFailed,
    Effect,
    Event,
    Heard,
    Input,
    JoinClosed,
    JoinOpened,
    JoinReceived,
    Lane,
    LinkDown,
    LinkUp,
    LogRead,
    Received,
    Refreshed,
)
from gossipnet.protocol.imaging import Fetch
from gossipnet.protocol.membership import ALIVE, AWAY, LEFT
from gossipnet.protocol.parts import Parts
from gossipnet.protocol.receipts import Wait
from gossipnet.protocol.settings import EngineSettings
from gossipnet.protocol.tracing import Trace
from gossipnet.protocol.wire import Hello, PushMembers, decode_untrusted
from gossipnet.protocol.wire_newer import unknown_kind
from gossipnet.protocol.wire_trust import NoticeIds, Notices

__all__ = ["Engine", "EngineSettings"]

_BEFORE_GREETING = (Hello, NoticeIds, Notices)


class Engine(Parts):
    """One node.

    Args:
      identity: Who this node is.
      replica: Its state, loaded.
      settings: See there.
      rng: For choices that need no secrecy.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      now: Monotonic seconds.
      wall: Unix seconds.

    Attributes:
      replica: All logs.
      keyspace: What local commands read and write; call `take_effects` after they did.
      ready: Started.
      left: This node has left the mesh; its process should end.
      context: Time, counters, timers; for tests and the simulator, as are the parts.
    """

    # -- driving -------------------------------------------------------------------------------

    def start(
        self, meta: Mapping[str, bytes], now: float, wall: float, fetch: Fetch | None = None
    ) -> None:
        """Begin.

        Args:
          meta: Every named value of the database.
          now: Monotonic seconds.
          wall: Unix seconds.
          fetch: What was loaded of an image that was being fetched.
        """
        self.touch(now, wall)
        self.time.restore(meta)
        self.standing.restore(meta)
        self.membership.restore(meta)
        self.relay.restore(meta)
        self.clearing.restore(meta)
        self.imaging.restore(fetch)
        self.presence.start()
        self.commits.write_log(self.replica.own_log)
        self.commits.hurry()
        self.detection.start()
        self.judgement.start()
        self.sync.start()
        self.life.start()
        self.clock.start()
        self.time.start()
        self.certificates.start()
        self.overlay.start(self._settings.seeds)
        self.distance.start()
        self.standing.start()
        self.clearing.start()
        self.ready = True

    def handle(self, event: Input, now: float, wall: float) -> None:
        """Take one input."""
        self.touch(now, wall)
        if isinstance(event, Received):
            self._on_received(event)
        elif isinstance(event, Heard):
            self._on_heard(event)
        elif isinstance(event, Refreshed):
            self.life.refreshed(event)
        elif isinstance(event, Committed):
            self.commits.done(event.number)
        elif isinstance(event, LinkUp):
            self.life.up(event)
        elif isinstance(event, LinkDown):
            self.life.down(event)
        elif isinstance(event, DialFailed):
            self.overlay.failed(event.dial, event.failure, event.detail)
        elif isinstance(event, LogRead):
            if not (self.standing.takes(event) or self.clearing.takes(event)):
                self.sync.streams.on_read(event)
        elif isinstance(event, JoinReceived):
            self.relay.received(event.join, event.data)
        elif isinstance(event, JoinOpened):
            self.relay.opened(event.join, event.address)
        elif isinstance(event, JoinClosed):
            self.relay.closed(event.join)

    def tick(self, now: float, wall: float) -> None:
        """Do what is due."""
        self.touch(now, wall)
        self.context.timers.fire(now)

    def deadline(self) -> float:
        """Monotonic seconds at which `tick` is wanted next; infinity if never."""
        return self.context.timers.deadline()

    def take_effects(self, now: float, wall: float) -> list[Effect]:
        """Seal what was written, and hand out everything there is to do, in order."""
        self.touch(now, wall)
        self.receipts.flush()
        self.commits.flush()
        self.talk.flush()
        self.context.timers.set_wall(
            "wall", self.replica.next_due(), self.context.now, self.context.wall, self._advance
        )
        effects, self.context.effects = self.context.effects, []
        for effect in effects:
            if isinstance(effect, Event):
                self._report.note(effect)
        return effects

    def touch(self, now: float, wall: float) -> None:
        """Let local commands see the time; call it once before a batch of them."""
        context = self.context
        if now == context.now and wall == context.wall:
            return  # the same turn
        context.now, context.wall = now, wall
        self.clock.passed()
        self.replica.touch(wall)

    def _advance(self) -> None:
        applied = self.replica.advance(self.context.wall)
        if applied:
            self.commits.foreign(applied)
            self.broadcast.forward(applied, None, 1)

    # -- local commands ------------------------------------------------------------------------

    def ticket(self) -> int:
        """Number of the commit that will hold everything written so far."""
        return self.commits.ticket()

    @property
    def committed(self) -> int:
        """Every commit up to this number is durable."""
        return self.commits.committed

    def publish(self, channel: bytes, data: bytes) -> None:
        """Say something to all other nodes, once and unstored; `talk` tells how well."""
        self.talk.publish(channel, data)

    def hear(self, listener: Callable[[bytes, bytes], None]) -> None:
        """Whom to give channel and data of what others say."""
        self.talk.heard = listener

    def await_receipts(self, wanted: int) -> Wait:
        """Ask other nodes whether they have all that was written so far; close what is returned."""
        return self.receipts.wait(wanted)

    def on_receipts(self, listener: Callable[[], None]) -> None:
        """Whom to tell when other nodes have answered, about receipts or traces."""
        self.receipts.changed = self.tracing.changed = listener

    def trace(self, key: bytes) -> Trace:
        """Ask all members about the newest write of a key; close what is returned.

        Raises:
          NotFound: There is no such key.
        """
        return self.tracing.trace(key)

    def others(self) -> int:
        """How many other members are alive."""
        return self.membership.alive_count() - 1

    def add_seeds(self, seeds: Iterable[str]) -> None:
        """More addresses to try."""
        self.overlay.add_seeds(tuple(seeds))

    def invite(
        self, role: str, uses: int, ttl_s: float, capabilities: list[tuple[str, bytes]]
    ) -> str:
        """Mint a join token; answer the person once `ticket` is durable.

        Raises:
          UserError: This node is no issuer, or a value is out of range.
        """
        return self.relay.reception.invite(role, uses, ttl_s, capabilities)

    def sign(
        self, request: str, role: str, ttl_s: float, capabilities: list[tuple[str, bytes]]
    ) -> str:
        """Certify the machine that made a join request; answer once `ticket` is durable.

        Raises:
          UserError: This node is no issuer, the request is no good, or a value is out of range.
        """
        return self.relay.reception.sign(request, role, ttl_s, capabilities)

    def invites(self) -> dict[str, object]:
        """Which tokens this issuer has minted, and whom it has let in."""
        return self.relay.reception.audit()

    def cancel_invite(self, token: str) -> str:
        """End a token before its time; raises `UserError`."""
        return self.relay.reception.cancel(token)

    def renew(self) -> None:
        """Have this node certified anew now; `status` tells what came of it.

        Raises:
          Denied: No issuer is known.
        """
        self.certificates.renewal.force()

    def revoke(self, node: str, reason: str) -> dict[str, object]:
        """Revoke a member; answer the person once `ticket` is durable.

        Raises:
          UserError: This node may not, or nobody or more than one is meant; see `Revoking.revoke`.
        """
        return self.standing.revoking.revoke(node, reason)

    def root(self) -> dict[str, object]:
        """``gossipnet root show``."""
        return self.standing.rooting.show()

    def bring_root(self, data: bytes) -> None:
        """Take in a version of the root that a person brings; raises `UserError`."""
        self.standing.rooting.bring(data)

    def leave(self) -> None:
        """Sign off: the others stop expecting this node. A later start returns to the mesh."""
        if not self.left:
            self._depart(LEFT, "left")
            self.left = True

    def goodbye(self) -> None:
        """Say "back soon" and close every link; nothing after `leave`."""
        if not self.left and self.membership.status == ALIVE:
            self._depart(AWAY, "away")

    def _depart(self, status: int, reason: str) -> None:
        self.overlay.stopped = True
        self.presence.depart(status)
        self.spread.say_members()
        for link in self.links.values():  # one that came up just now carries no gossip yet
            if link.greeted and not link.neighbour:
                self.context.send(
                    link.number, Lane.CONTROL, PushMembers([self.membership.own.entry])
                )
        self.life.close_all(reason)

    def members_table(self) -> list[dict[str, object]]:
        """Rows of ``gossipnet members``."""
        return self._report.members()

    def status(self) -> dict[str, object]:
        """``gossipnet status``."""
        certificate = self.certificates.status()
        document = self._report.status()
        clock = document["clock"]
        assert isinstance(clock, dict)
        clock["complaint"] = clock["complaint"] or self.time.complaint() or ""
        return {
            **document,
            "ready": self.ready,
            "certificate": certificate,
            "clearing": {**self.clearing.status(), **self.imaging.status()},
        }

    def peers(self) -> list[dict[str, object]]:
        """Rows of ``gossipnet peers``."""
        return self._report.peers(self.outbox)

    def map(self) -> list[list[str]]:
        """Pairs of node ids that are neighbours."""
        return self._report.map()

    def events(self) -> list[dict[str, object]]:
        """Rows of ``gossipnet log``, oldest first."""
        return self._report.events()

    def nearest(self, count: int) -> list[dict[str, object]]:
        """The ``count`` nearest living members, nearest first: rows of `members_table`."""
        return self._report.nearest(count)

    def owners(self, key: bytes, count: int) -> list[dict[str, object]]:
        """The living members to which a key belongs, the owner first: rows of `members_table`."""
        return self._report.owners(key, count)

    def why(self, node: str) -> list[dict[str, object]]:
        """Why members of this name, or with an id that begins so, are in the state they are in.

        Raises:
          NotFound: There is no such member.
        """
        return self._report.why(node)

    # -- messages ------------------------------------------------------------------------------

    def _on_heard(self, event: Heard) -> None:
        link = self.links.get(event.link)
        if link is not None:
            self.detection.heard(link)

    def _on_received(self, event: Received) -> None:
        link = self.links.get(event.link)
        if link is None:
            return
        self.detection.heard(link)
        try:
            try:
                message = decode_untrusted(event.payload)
            except RemoteProtocolError:
                if not (link.newer and link.greeted and unknown_kind(event.payload)):
                    raise
                self.context.counters["messages_of_newer_kinds"] += 1
                return
            if link.greeted:
                early = isinstance(message, Hello)
            else:
                early = not isinstance(message, _BEFORE_GREETING)
            if early:
                raise RemoteProtocolError("out-of-order", type(message).__name__)
            self._handlers[type(message)](link, message)
        except RemoteProtocolError as error:
            self.life.fail(link, error.reason, str(error))
