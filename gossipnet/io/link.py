"""One link: a `Session` over one byte stream.

One task reads and hands each message to the driver at once, without a checkpoint per message.
Writing costs no task either while the peer keeps up: `pump` gives the socket what it takes, for
all links that have something, once per turn of the loop. Only when the socket is full does the
link's writer task wait for it, under a deadline.

Whatever the peer does ends this link alone, with a reason and a counter. Knows nothing of the
engine: `LinkOwner` is all it sees of the rest.
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import trio

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.peer import Peer
from gossipnet.io.accounts import Account, LinkLimits
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.session import Established, Finished, Message, Refreshed, Session

DROP_ABOVE_BYTES = 1 << 20
"""What may be dropped is, on a link with more than this unsent: half of what ends it."""
RECEIVE_BYTES = 65_536
SEND_BYTES = 32_768
WRITE_SECONDS = 10.0
"""The longest that one write may wait for the peer (hung readers: hashicorp/yamux issue 142)."""
CLOSE_SECONDS = 2.0
"""From CLOSE being queued to the end of the socket, whatever the peer does."""
HANDSHAKE_SECONDS = 5.0
SLICE_SECONDS = 0.004
"""For which messages of one link are handled before others get their turn."""
_PUMP_BYTES = 8 * SEND_BYTES


class LinkOwner(Protocol):
    """What a link tells, and asks, the driver. Every call is synchronous."""

    counters: Counter[str]

    def wall(self) -> float:
        """Unix seconds."""
        ...

    def link_up(self, link: "Link", peer: Peer) -> None:
        """The handshake is done; the owner gives the link its number."""
        ...

    def link_message(self, link: "Link", payload: bytes) -> None:
        """One whole message."""
        ...

    def link_refreshed(self, link: "Link", peer: Peer) -> None:
        """Another handshake has proved the peer anew, and given the link fresh keys."""
        ...

    def link_heard(self, link: "Link") -> None:
        """Authenticated bytes that completed no message."""
        ...

    def link_down(self, link: "Link", reason: str, clean: bool) -> None:
        """The link ended; called once, also for one that never came up."""
        ...

    def link_dirty(self, link: "Link") -> None:
        """Call ``pump`` before the loop sleeps."""
        ...

    def room(self) -> trio.Event | None:
        """None, or what to wait for before taking more from the peer."""
        ...


class Link:
    """A session, its stream and its end.

    Args:
      owner: Told of everything that happens.
      stream: Connected; `run` closes it.
      session: Fresh: `Session.dial` or `Session.answer`.
      address: Of the other end, for people and for `LinkUp`.
      dialed: The number of the dial, or None if the peer dialed.
      deadline: Trio time by which the handshake must be done.
      account: Counts what it takes, and says when to leave it unread.

    Attributes:
      number: The owner's number; 0 until the link is up.
      up: The handshake is done and the owner knows the link.
      fresh_at: Trio time of the last handshake.
      reason: Why it ended, a short word; "" while it runs.
      shed: Messages for which its queue had no room.
      timed_out: It ended because the handshake took too long.
    """

    def __init__(
        self,
        owner: LinkOwner,
        stream: trio.abc.Stream,
        session: Session,
        *,
        address: str,
        dialed: int | None,
        deadline: float,
        account: Account | None = None,
    ) -> None:
        self.number = 0
        self.address = address
        self.dialed = dialed
        self.up = False
        self.fresh_at = 0.0
        self.reason = ""
        self.clean = False
        self.timed_out = False
        self.shed = 0
        self.account = account or Account(LinkLimits(), trio.current_time())
        self.on_established: Callable[[], None] | None = None
        self._owner = owner
        self._stream = stream
        self._session = session
        self._fd = _descriptor(stream)
        self._scope = trio.CancelScope(deadline=deadline)
        self._closing = False
        self._closing_reason = ""
        self._unsent = b""
        self._blocked = False
        self._broken = False
        self._write_wanted = trio.Event()

    @property
    def queued(self) -> int:
        """Bytes that wait for the peer."""
        return self._session.queued + len(self._unsent)

    # ------------------------------------------------------------ called by the owner

    def send(self, lane: Lane, payload: bytes, droppable: bool = False) -> bool:
        """Queue one message; False when the peer is so slow that the queue is full.

        Of gossip, and of what is ``droppable``, what has no room is dropped and counted: comparing
        states repairs what is missed, and a slow peer keeps its link.
        """
        if self._closing or self.reason:
            return True  # on its way out: the engine has been told, or closed it itself
        late = droppable and self.queued > DROP_ABOVE_BYTES
        if late or not self._session.send(lane, payload):
            if lane is not Lane.GOSSIP and not droppable:
                return False
            self.shed += 1
            self._owner.counters["messages_dropped_slow_link"] += 1
            return True
        self._owner.link_dirty(self)
        return True

    def close(self, reason: str) -> None:
        """Say CLOSE after what is queued, then end, within `CLOSE_SECONDS`."""
        if self._closing or self.reason:
            return
        self._closing = True
        self._scope.deadline = trio.current_time() + CLOSE_SECONDS
        self._session.close()
        self._closing_reason = reason
        self._owner.link_dirty(self)

    def refresh(self) -> bool:
        """Begin a handshake for fresh keys; False if there cannot be one now."""
        if self._closing or self.reason or not self._session.refresh():
            return False
        self._owner.link_dirty(self)
        return True

    def fail(self, reason: str) -> None:
        """End at once; the owner hears of it when the task has ended."""
        self._end(reason, clean=False)
        self._scope.cancel()

    def pump(self) -> None:
        """Write what the socket takes without waiting."""
        if self.reason or self._broken:
            return
        if self._fd < 0 or self._blocked:
            self._write_wanted.set()
            return
        budget = _PUMP_BYTES
        while budget > 0:
            data = self._session.data_to_send(SEND_BYTES)
            if not data:
                if self._closing:
                    self._write_wanted.set()
                return
            budget -= len(data)
            try:
                written = os.write(self._fd, data)
            except BlockingIOError:
                written = 0
            except OSError:
                self._stop_writing()
                return
            if written < len(data):
                self._unsent = data[written:]
                self._blocked = True
                self._write_wanted.set()
                return
        self._owner.link_dirty(self)

    # ------------------------------------------------------------ the task

    async def run(self, first: bytes = b"") -> None:
        """Carry the link until it ends. Raises nothing that the peer can cause.

        Args:
          first: Bytes that were already read from the stream.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    self._owner.link_dirty(self)  # a dialing session speaks first
                    await self._read(first)
                    nursery.cancel_scope.cancel()
            if self._scope.cancelled_caught and not self.reason:
                self.timed_out = not self.up
                late = "broken" if self._broken else "closed"
                self._end("handshake-timeout" if self.timed_out else late, clean=False)
        finally:
            if not self.reason:
                self._last_word()
            self._fd = -1
            self._end("shutdown", clean=False)
            self._owner.link_down(self, self.reason, self.clean)
            await trio.aclose_forcefully(self._stream)

    async def _read(self, first: bytes) -> None:
        try:
            if first:
                await self._take(first)
            while not self.reason:
                room = self._owner.room()
                if room is not None:
                    await room.wait()
                await self._pay()
                data = await self._stream.receive_some(RECEIVE_BYTES)
                if self._closing:
                    if not data:
                        self._end(self._closing_reason, clean=True)
                    continue
                if not data:
                    self._session.end_of_stream()
                    self._end("closed", clean=True)
                    continue
                await self._take(bytes(data))  # no copy: a socket gives bytes
        except RemoteProtocolError as error:
            self._end(error.reason, clean=False)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._end("broken", clean=False)

    async def _pay(self) -> None:
        """Wait as long as the account says; an end of the link does not wait."""
        account = self.account
        began = trio.current_time()
        if account.owed <= began or self._closing:
            return
        await trio.sleep_until(account.owed)
        account.waited(trio.current_time() - began)

    async def _take(self, data: bytes) -> None:
        session, owner = self._session, self._owner
        slice_ends = time.perf_counter() + SLICE_SECONDS
        shaking_hands = not self.up
        messages = 0
        before = session.received_frames
        for event in session.receive(data, owner.wall()):
            if isinstance(event, Message):
                messages += 1
                owner.link_message(self, event.payload)
                if time.perf_counter() > slice_ends:
                    # What one peer sent at once must not keep the others and clients waiting.
                    await trio.lowlevel.checkpoint()
                    slice_ends = time.perf_counter() + SLICE_SECONDS
            elif isinstance(event, Established):
                self._scope.deadline = float("inf")
                self.up = True
                self.fresh_at = trio.current_time()
                if self.on_established is not None:
                    self.on_established()
                owner.link_up(self, event.peer)
            elif isinstance(event, Refreshed):
                self.fresh_at = trio.current_time()
                owner.link_refreshed(self, event.peer)
            elif isinstance(event, Finished):
                self._end("closed", clean=True)
            if self.reason or self._closing:
                break
        else:
            if self.up and not messages and session.received_frames != before:
                owner.link_heard(self)
        self.account.charge(messages, len(data), trio.current_time())
        if shaking_hands or session.shaking:
            owner.link_dirty(self)  # the handshake's answer, or its last word

    async def _write(self) -> None:
        """Take over from `pump` whenever the stream has to be waited for."""
        try:
            with trio.CancelScope() as patience:
                while True:
                    await self._write_wanted.wait()
                    self._write_wanted = trio.Event()
                    await self._write_all(patience)
                    if self._closing and not self._unsent:
                        await self._finish_writing()
                        return
            if patience.cancelled_caught:
                self.fail("write-timeout")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._stop_writing()

    async def _write_all(self, patience: trio.CancelScope) -> None:
        data = self._unsent or self._session.data_to_send(SEND_BYTES)
        while data:
            # One scope for the link's life: moving its deadline is cheaper than a scope per write.
            patience.deadline = trio.current_time() + WRITE_SECONDS
            await self._stream.send_all(data)
            self._unsent = b""
            data = self._session.data_to_send(SEND_BYTES)
        patience.deadline = float("inf")
        self._blocked = False

    def _last_word(self) -> None:
        """This node is being cancelled: say CLOSE if that takes no waiting."""
        if self.up and self._fd >= 0 and not self._blocked:
            self._session.close()
            with suppress(OSError):
                os.write(self._fd, self._session.data_to_send(SEND_BYTES))

    def _stop_writing(self) -> None:
        """The peer takes nothing more, yet its CLOSE may still wait to be read.

        A broken stream is evidence of a dead process and CLOSE is not, so `_read` has the last
        word; it finds the CLOSE or the error within `CLOSE_SECONDS`.
        """
        self._blocked = True
        self._broken = True
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + CLOSE_SECONDS)

    async def _finish_writing(self) -> None:
        """Half-close, then let `_read` wait for the peer's end.

        Closing a socket with unread input sends a reset, and a reset may overtake our CLOSE.
        """
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._stream.send_eof()
        else:
            self._end(self._closing_reason, clean=True)
            self._scope.cancel()

    def _end(self, reason: str, *, clean: bool) -> None:
        if not self.reason:
            self.reason = reason
            self.clean = clean


def _descriptor(stream: trio.abc.Stream) -> int:
    """The file descriptor to write to directly, or -1 for a stream that is not a socket."""
    return stream.socket.fileno() if isinstance(stream, trio.SocketStream) else -1
