"""What all clients of the local socket share: the mesh, the clock, and each other.

Knows no sockets: whoever serves them sets `Session.deliver` and closes what `Session.closing` says.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gossipnet.ids import text
from gossipnet.resp.audit import Audit, Caller
from gossipnet.resp.blocking import RECEIPTS, Blocked, Blocking
from gossipnet.resp.catalogue import TABLE
from gossipnet.resp.channels import Channels
from gossipnet.resp.glob import matcher
from gossipnet.resp.notifications import Notifications
from gossipnet.resp.port import MeshPort
from gossipnet.resp.pressure import Pressure
from gossipnet.resp.reader import GuardedHiredis
from gossipnet.resp.replies import Push, encode
from gossipnet.resp.session import Session
from gossipnet.resp.slowlog import KEPT, SLOWER_THAN, SlowLog
from gossipnet.resp.tracking import Tracked, Tracking
from gossipnet.state.clock import stamp_ms
from gossipnet.state.core import OnChange

Matcher = Callable[[bytes], bool]
_NAMES_MS = 1000  # a stranger's change makes the table of names be read again, not oftener


def _nothing() -> dict[str, Any]:
    return {}


def _no_one() -> None:
    return


class Service:
    """One node's commands.

    Args:
      mesh: The engine.
      rng: For RANDOMKEY, SPOP and their like.
      wall_ms: Unix milliseconds; whoever runs sessions keeps `wall_ms` fresh.
      may_read: Whether this node's certificate lets its clients read a key; None if all.
      max_clients: For INFO and CONFIG GET; enforced by whoever accepts them.

    Attributes:
      sessions: By number.
      counters: What was refused or cut off, by name.
      info: Gives lines for INFO by section: what only the process knows.
      fetch_chunks: Given the hash of a value's chunks together and those of some of them, has
        them fetched; how many are not here yet.
      extra_status: Rows to add to GOSSIP STATUS.
      left: Called when a client has signed this node off.
      said: Called when something waits to be sent that no commit will bring along.
      channels: Who of the clients hears what.
      blocking: Clients that wait for something.
      tracking: Clients that cache.
      pressure: Why writes are refused.
      slow: Commands that took long.
      audit: Who was connected, and what they did beside reading and writing keys.
      clock: Monotonic seconds, to measure with.
      now: The same; whoever runs sessions keeps it fresh.
      notifications: Which changes of keys are told on channels.
      durability: For CONFIG GET.
      table: The commands.
    """

    def __init__(
        self,
        mesh: MeshPort,
        *,
        rng: random.Random,
        wall_ms: int,
        may_read: Callable[[bytes], bool] | None = None,
        max_clients: int = 1000,
    ) -> None:
        self.mesh = mesh
        self.keyspace = mesh.keyspace
        self.rng = rng
        self.wall_ms = wall_ms
        self.started_ms = wall_ms
        self.may_read = may_read
        self.max_clients = max_clients
        self.sessions: dict[int, Session] = {}
        self.counters: Counter[str] = Counter()
        self.pressure = Pressure(self.counters)
        self.info: Callable[[], Mapping[str, Mapping[str, Any]]] = _nothing
        self.fetch_chunks: Callable[[bytes, Sequence[bytes]], int] | None = None
        self.extra_status: Callable[[], Mapping[str, Any]] = _nothing
        self.left: Callable[[], None] = _no_one
        self.said: Callable[[], None] = _no_one
        self.durability = "always"
        self.table = TABLE
        self.commands = 0
        self.connections = 0
        self.fast = GuardedHiredis()
        self._listeners: list[OnChange] = []
        self.blocking = Blocking()
        self.tracking = Tracking(self.sessions)
        self.slow = SlowLog()
        self.audit = Audit()
        self.clock: Callable[[], float] = float
        self.now = 0.0
        self.channels = Channels(may_read)
        self.notifications = Notifications(self.keyspace, self.channels)
        mesh.hear(self._heard)
        mesh.on_receipts(lambda: self.blocking.happened(RECEIPTS))
        self._watching: dict[Session, dict[bytes, Matcher]] = {}
        self._names: dict[str, str] = {}
        self._names_due_ms = 0

    def open_session(self, address: str = "", caller: Caller | None = None) -> Session:
        """A new client."""
        self.connections += 1
        session = Session(self, self.connections, address, caller or Caller())
        self.sessions[session.number] = session
        self.audit.opened(session)
        return session

    def close_session(self, session: Session) -> None:
        """A client is gone. May be called twice."""
        if self.sessions.pop(session.number, None) is not None:
            self.audit.closed(session)
        session.reset()
        if len(self.tracking):
            self.tracking.gone(session)

    def settings(self) -> dict[bytes, bytes]:
        """What CONFIG GET knows: settings of Redis that clients and benchmarks ask for."""
        always = self.durability == "always"
        return {
            b"appendfsync": b"always" if always else b"everysec",
            b"appendonly": b"yes",
            b"bind": b"",
            b"databases": b"1",
            b"maxclients": b"%d" % self.max_clients,
            b"maxmemory": b"%d" % self.pressure.caps.memory,
            b"maxmemory-policy": b"noeviction",
            b"notify-keyspace-events": self.notifications.flags.encode(),
            b"port": b"0",
            b"proto-max-bulk-len": b"%d" % self.pressure.caps.query_buffer,
            b"requirepass": b"",
            b"save": b"",
            b"slowlog-log-slower-than": b"%d" % (SLOWER_THAN * 1e6),
            b"slowlog-max-len": b"%d" % KEPT,
            b"timeout": b"0",
        }

    # ------------------------------------------------------------ changes and messages

    def _listen(self, listener: OnChange) -> None:
        """Have somebody told of every change of a key."""
        if listener not in self._listeners:
            self._listeners.append(listener)
            self._set_listener()

    def _unlisten(self, listener: OnChange) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._set_listener()

    def _set_listener(self) -> None:
        """Changes cost nothing while nobody listens, and one call while one does."""
        listeners = tuple(self._listeners)

        def tell(key: bytes, event: str, log: int, stamp: int) -> None:
            for listener in listeners:
                listener(key, event, log, stamp)

        self.keyspace.on_change = tell if len(listeners) > 1 else next(iter(listeners), None)

    def block(self, session: Session, blocked: Blocked) -> None:
        """Let a client wait."""
        self.blocking.add(session, blocked)
        if self.blocking.waits_for_keys:
            self._listen(self._wake)

    def unblock(self, session: Session) -> None:
        """It waits no more."""
        if len(self.blocking):
            self.blocking.remove(session)
            if not self.blocking.waits_for_keys:
                self._unlisten(self._wake)

    def track(self, session: Session, tracked: Tracked) -> None:
        """Tell a client when keys that it may keep change."""
        self.tracking.begin(session, tracked)
        session.caches = True
        session.settle()
        self._listen(self.tracking.changed)

    def untrack(self, session: Session) -> None:
        """Tell it no more; nothing if it was not told."""
        if session.caches:
            self.tracking.end(session)
            session.caches = False
            session.settle()
            if not len(self.tracking):
                self._unlisten(self.tracking.changed)

    def _wake(self, key: bytes, _event: str, _log: int, _stamp: int) -> None:
        self.blocking.happened(key)

    def notify(self, flags: str) -> None:
        """Choose which changes of keys are told on channels; raises `CommandError`."""
        self.notifications.choose(flags)
        if self.notifications.wanted:
            self._listen(self._notify)
        else:
            self._unlisten(self._notify)

    def _notify(self, key: bytes, event: str, log: int, stamp: int) -> None:
        if self.may_read is None or self.may_read(key):
            self.notifications.changed(key, event, log, stamp)

    def publish(self, channel: bytes, data: bytes) -> int:
        """Tell clients here, and all other nodes; how many heard it here."""
        told = self.channels.tell(channel, data)
        self.mesh.publish(channel, data)
        self.said()
        return told

    def _heard(self, channel: bytes, data: bytes) -> None:
        self.channels.tell(channel, data)

    # ------------------------------------------------------------ GOSSIP WATCH

    def watch(self, session: Session, patterns: list[bytes]) -> int:
        """Tell a client of changes of keys that match; how many patterns it has now."""
        wanted = self._watching.setdefault(session, {})
        for pattern in patterns:
            wanted[pattern] = matcher(pattern)
        self._listen(self._changed)
        return len(wanted)

    def unwatch(self, session: Session) -> None:
        """Tell it of no changes any more."""
        if self._watching.pop(session, None) is not None and not self._watching:
            self._unlisten(self._changed)

    def _changed(self, key: bytes, event: str, log: int, stamp: int) -> None:
        if self.may_read is not None and not self.may_read(key):
            return
        told: dict[int, bytes] = {}
        for session, patterns in list(self._watching.items()):
            if any(matches(key) for matches in patterns.values()):
                protocol = session.protocol
                if protocol not in told:
                    told[protocol] = encode(self._change(key, event, log, stamp), protocol)
                session.push(told[protocol])

    def _change(self, key: bytes, event: str, log: int, stamp: int) -> Push:
        kind = self.keyspace.type_of(key)
        value = self.keyspace.text(key) if kind == "string" else None
        named = (kind or "none").encode()
        # An expiry is nobody's write: each node sees it by its own clock.
        if log < 0:
            author, wall_ms = b"", self.keyspace.wall_ms
        else:
            author, wall_ms = self.author(log), stamp_ms(stamp)
        return Push([b"change", key, event.encode(), named, value, author, wall_ms])

    def author(self, log: int) -> bytes:
        """The name of the member that writes a log; its id while the name is not known."""
        author = text(self.keyspace.logs.by_number[log].author)
        if author not in self._names and self.wall_ms >= self._names_due_ms:
            self._names_due_ms = self.wall_ms + _NAMES_MS
            self._names = {row["id"]: row["name"] for row in self.mesh.members_table()}
        return str(self._names.get(author, author)).encode()
