"""The local socket: one task serves all clients.

All client sockets are watched by one selector, whose own descriptor is what trio waits for. Each
time it fires, every client that has sent something gets one slice (`Session.run`): one read, one
pass through the commands, one write. So a command costs no task switch and no checkpoint; the loop
goes through trio only when nothing is ready, when somebody wrote, or when `TURN_SECONDS` are over.

Who gets in is `doors`' business.
"""

import random
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from gossipnet.io.client import Client
from gossipnet.io.doors import Door, Doors, ReadOnly
from gossipnet.io.logs import log_event
from gossipnet.io.process_info import process_info
from gossipnet.resp.audit import Caller
from gossipnet.resp.limits import STALLED_SECONDS
from gossipnet.resp.service import Service
from gossipnet.resp.session import Session

if TYPE_CHECKING:
    from gossipnet.io.driver import Driver

TURN_SECONDS = 0.002
"""The longest that clients are served before links, timers and the disk get their turn."""
ACCEPT_AGAIN_SECONDS = 0.1
"""After a refusal of the system (no descriptors left)."""
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class ClientServer:
    """Serves clients on one socket file.

    Args:
      driver: Of the engine that they talk to.
      path: Where the socket's file is made.
      max_clients: One more is told so and sent away.
      durability: For CONFIG GET: ``always`` or ``every-second``.
      readonly: A second socket, whose clients only read.

    Attributes:
      service: What the clients share.
      slow: See `ClientOwner`.
      look: Sees how far the disk is behind; whether clients are to be slowed.
    """

    def __init__(
        self,
        driver: "Driver",
        path: Path,
        max_clients: int,
        *,
        durability: str = "always",
        readonly: ReadOnly | None = None,
    ) -> None:
        self._driver = driver
        self._path = path
        self._readonly = readonly
        certificate = driver.engine.identity.certificate
        reads_all = certificate.allows("read", b"")
        self.service = Service(
            driver.engine,
            rng=random.Random(),
            wall_ms=int(driver.wall() * 1000),
            may_read=None if reads_all else lambda key: certificate.allows("read", key),
            max_clients=max_clients,
        )
        self.service.durability = durability
        self.service.info = lambda: process_info(str(self._path))
        self.service.audit.say = log_event
        self.service.extra_status = driver.status_extra
        self.service.left = self.service.said = driver.flush
        self.slow = False
        self.look: Callable[[], bool] = bool
        self._selector: selectors.BaseSelector
        self._doors: Doors
        self._accept_at = 0.0
        self._clients: set[Client] = set()
        self._busy: dict[Client, None] = {}
        self._pushed: dict[Client, None] = {}
        self._stuck: dict[Client, None] = {}
        self._waiting: deque[tuple[int, Client]] = deque()
        self._blocked: dict[Session, Client] = {}
        self.service.blocking.wake = self.service.tracking.wake = self._ring
        self.service.clock = time.perf_counter
        self._wrote = False
        self._refused_to = 0
        self._late = False
        self._bell: socket.socket
        self._rope: socket.socket
        self._rung = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled.

        Raises:
          HomeError: The socket's file cannot be made.
        """
        self._doors = Doors(
            self._path,
            self._readonly,
            self.service.counters,
            lambda: len(self._clients) >= self.service.max_clients,
            self._welcome,
        )
        self._selector = selectors.DefaultSelector()
        self._bell, self._rope = socket.socketpair()
        try:
            self._bell.setblocking(False)
            self._rope.setblocking(False)
            self._listen()
            self._selector.register(self._bell, _READ, self._quiet)
            self._driver.on_committed.append(self._committed)
            self._driver.full_disk.listeners.append(self._refuse_waiting)
            task_status.started()
            await self._loop()
        finally:
            if self._committed in self._driver.on_committed:
                self._driver.on_committed.remove(self._committed)
                self._driver.full_disk.listeners.remove(self._refuse_waiting)
            for client in list(self._clients):
                self._close(client)
            self._selector.close()
            self._bell.close()
            self._rope.close()
            self._doors.close()

    # ------------------------------------------------------------ the loop

    async def _loop(self) -> None:
        selector, driver = self._selector, self._driver
        descriptor: int = selector.fileno()  # type: ignore[attr-defined]  # epoll and kqueue have it
        turn_ends = 0.0
        while True:
            ready = selector.select(0)
            if not ready and not self._busy and not self._late:
                await self._rest(descriptor)
                turn_ends = time.monotonic() + TURN_SECONDS
                continue
            wall = driver.wall()
            self.service.wall_ms = int(wall * 1000)
            self.service.now = trio.current_time()
            driver.engine.touch(self.service.now, wall)
            self._late = False
            work: list[Client] = list(self._busy)
            self._busy.clear()
            for key, events in ready:
                if not isinstance(key.data, Client):
                    key.data()
                elif events & _WRITE:
                    self._writable(key.data)
                elif not key.data.session.unfinished:
                    work.append(key.data)
            for client in work:
                self._serve(client)
                if self._blocked and self.service.blocking.stirred:
                    self._resume()  # before anybody who came later takes what they wait for
                if time.monotonic() > turn_ends:
                    await self._yield()
                    turn_ends = time.monotonic() + TURN_SECONDS
            if self._blocked:
                self._resume()
            if self.service.tracking.due:  # what other nodes, or the clock, have changed
                self.service.tracking.flush()
            for client in list(self._pushed):
                client.flush()
                self._settle(client)
            self._pushed.clear()
            if self._wrote:
                await self._yield()
                turn_ends = time.monotonic() + TURN_SECONDS

    async def _yield(self) -> None:
        if self._wrote:
            self._wrote = False
            self.slow = self.look()
            self._driver.flush()
        await trio.lowlevel.checkpoint()
        if self._stuck or self._accept_at:
            self._deadlines(trio.current_time())

    async def _rest(self, descriptor: int) -> None:
        """Sleep until a socket is ready, a bell rings, or a deadline is over."""
        deadline = min(self._accept_at or inf, self.service.blocking.deadline())
        for client in self._stuck:
            if client.stuck_since is not None:
                deadline = min(deadline, client.stuck_since + STALLED_SECONDS)
        if deadline == inf:
            await trio.lowlevel.wait_readable(descriptor)
            return
        with trio.move_on_at(deadline):
            await trio.lowlevel.wait_readable(descriptor)
        self._deadlines(trio.current_time())
        self._late = self.service.blocking.deadline() <= trio.current_time()

    def _deadlines(self, now: float) -> None:
        if self._accept_at and now >= self._accept_at:
            self._accept_at = 0.0
            self._listen()
        for client in list(self._stuck):
            if client.stuck_since is None:
                self._settle(client)
            elif now >= client.stuck_since + STALLED_SECONDS:
                self.client_failed(client, "clients_too_slow")

    def _serve(self, client: Client) -> None:
        """One slice for one client."""
        session = client.session
        if client.closed:
            return
        if client.paused:  # perhaps since another one wrote
            self.service.counters["writers_slowed"] += self.slow
            self._settle(client)
            return
        if session.unfinished or (client.receive() and not session.blocked):
            self._answer(client, *session.run())
            if session.blocked:
                self._blocked[session] = client
            if session.unfinished or session.closing or client.wants_to_write or client.paused:
                self._settle(client)
        elif client.ended:
            self._settle(client)

    def _answer(self, client: Client, out: list[bytes], first_write: int) -> None:
        if first_write < 0:
            client.reply(out, -1, 0, 0)
            return
        self._wrote = True
        engine = self._driver.engine
        ticket, committed = engine.ticket(), engine.committed
        full = self._driver.full_disk
        if full.reason and ticket <= self._refused_to:
            first_write = -1  # nothing new waits for the disk: every write was refused
        if client.reply(out, first_write, ticket, committed):
            self._waiting.append((ticket, client))
            if full.reason:
                self._refuse_waiting(full.of_waiting)

    def _resume(self) -> None:
        """Answer clients that waited for something that has happened, or too long."""
        for session in self.service.blocking.due(self.service.now):
            client = self._blocked.get(session)
            if client is None or not session.blocked:
                continue  # the one before it has ended it
            answer = session.resume()
            if answer is not None:
                del self._blocked[session]
                self._answer(client, *answer)
                self._settle(client)

    def _writable(self, client: Client) -> None:
        client.flush()
        self._settle(client)

    def _committed(self, number: int) -> None:
        """A commit is on disk: the replies that waited for it may go."""
        self.slow = self.look()
        waiting = self._waiting
        while waiting and waiting[0][0] <= number:
            client = waiting.popleft()[1]
            if client.closed:
                continue
            if client.release(number):
                self._wait_again(client)
            if client.events != _READ or client.session.unfinished or client.session.closing:
                self._settle(client)
                self._ring()

    def _refuse_waiting(self, text: str) -> None:
        """The disk takes nothing now: whoever waits for it is told so instead of being kept."""
        self._refused_to = self._driver.engine.ticket()
        while self._waiting:
            client = self._waiting.popleft()[1]
            if not client.closed:
                client.refuse(text)
                self._settle(client)
        self._ring()

    def _wait_again(self, client: Client) -> None:
        """Keep the queue in the order of commits: this client goes behind its equals."""
        at = len(self._waiting)
        while at and self._waiting[at - 1][0] > client.waits_for:
            at -= 1
        self._waiting.insert(at, (client.waits_for, client))

    def _settle(self, client: Client) -> None:
        """Watch for what a client waits for now: its words, room in its socket, or nothing."""
        if client.closed:
            return
        if client.done:
            self._close(client)
            return
        paused = client.paused
        if client.session.unfinished and not paused:
            self._busy[client] = None
        if client.overfull:
            if client.stuck_since is None:
                client.stuck_since = trio.current_time()
            self._stuck[client] = None
        elif self._stuck:
            client.stuck_since = None
            self._stuck.pop(client, None)
        deaf = paused or client.ended or client.session.closing
        events = (0 if deaf else _READ) | (_WRITE if client.wants_to_write else 0)
        if events != client.events:
            if not events:
                self._selector.unregister(client.connection)
            elif not client.events:
                self._selector.register(client.connection, events, client)
            else:
                self._selector.modify(client.connection, events, client)
            client.events = events

    # ------------------------------------------------------------ what clients tell

    def client_changed(self, client: Client) -> None:
        """See `ClientOwner`."""
        self._settle(client)

    def client_pushed(self, client: Client) -> None:
        """See `ClientOwner`."""
        self._pushed[client] = None
        self._ring()

    def client_failed(self, client: Client, counter: str) -> None:
        """See `ClientOwner`."""
        if not client.closed:
            self.service.counters[counter] += 1
            self._close(client)

    def _close(self, client: Client) -> None:
        client.closed = True
        self._clients.discard(client)
        self._busy.pop(client, None)
        self._pushed.pop(client, None)
        self._stuck.pop(client, None)
        self._blocked.pop(client.session, None)
        if client.events:
            self._selector.unregister(client.connection)
            client.events = 0
        self.service.close_session(client.session)
        client.connection.close()

    # ------------------------------------------------------------ the bell

    def _ring(self) -> None:
        """Let the loop look again: it may be asleep while somebody else's task got us here."""
        if not self._rung:
            self._rung = True
            self._rope.send(b"!")

    def _quiet(self) -> None:
        self._rung = False
        self._bell.recv(16)

    # ------------------------------------------------------------ new clients

    def _accept(self, door: Door) -> None:
        if not self._doors.accept(door):
            for each in self._doors:
                self._selector.unregister(each.listener)
            self._accept_at = trio.current_time() + ACCEPT_AGAIN_SECONDS

    def _listen(self) -> None:
        for door in self._doors:
            self._selector.register(door.listener, _READ, partial(self._accept, door))

    def _welcome(self, connection: socket.socket, caller: Caller, path: Path) -> None:
        client = Client(self, connection, self.service.open_session(str(path), caller))
        self._clients.add(client)
        self._settle(client)
