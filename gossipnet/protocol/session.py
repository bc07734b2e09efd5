"""One authenticated, encrypted link between two nodes, without I/O: bytes in, messages out.

Puts `preamble`, `handshake` and `framing` together. Whoever drives it carries bytes between
`data_to_send`/`receive` and a stream, ends the stream at the first error or at `Finished`, and
gives the handshake a deadline. The layers' own limits bound everything that a peer can make a
session keep: one incomplete record, one long message per lane, a bounded outbox per lane.

Knows nothing of what messages mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from math import inf

import msgspec

from gossipnet.errors import LocalProtocolError, RemoteProtocolError
from gossipnet.identity.peer import Peer
from gossipnet.ids import NodeId
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.framing import FRAME_BYTES, RECORD_BYTES, Inbox, Outbox, shake_record
from gossipnet.protocol.handshake import LinkHandshake, Transport
from gossipnet.protocol.noise import KEY_BYTES, TAG_BYTES, CipherState
from gossipnet.protocol.preamble import read_preamble, write_preamble
from gossipnet.protocol.reshake import TOO_SOON, Reshake, Step

REKEY_RECORDS = 1 << 20
REKEY_BYTES = 1 << 30
"""A direction's key is replaced when it has sealed this much; both ends count alike."""

_OVERHEAD = 2 + TAG_BYTES
_LARGEST_FRAME = FRAME_BYTES - 2


@dataclass(frozen=True, slots=True)
class Established:
    """The handshake is done and the other end accepted it."""

    peer: Peer


class Message(msgspec.Struct, frozen=True, gc=False):
    """One whole message."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Another handshake gave the link fresh keys, and proved the peer anew."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class Finished:
    """The peer said CLOSE: no more will come."""


class _Stage(Enum):
    """What a session waits for; the value is the smallest frame that can be it."""

    FIRST_FLIGHT = 0
    MESSAGE_2 = 2 * KEY_BYTES + 2 * TAG_BYTES
    MESSAGE_3 = KEY_BYTES + 2 * TAG_BYTES
    RECORDS = 1 + TAG_BYTES


class _Direction:
    """A cipher state that replaces its key in time."""

    __slots__ = ("_bytes", "_cipher", "_rekey_at")

    def __init__(self, cipher: CipherState) -> None:
        self._cipher = cipher
        self._bytes = 0
        self._rekey_at = REKEY_RECORDS

    def seal(self, record: bytes) -> bytes:
        sealed = self._cipher.encrypt(record)
        self._count(len(record))
        return sealed

    def open(self, sealed: memoryview) -> bytes:
        record = self._cipher.decrypt(sealed)
        self._count(len(record))
        return record

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes >= REKEY_BYTES or self._cipher.nonce >= self._rekey_at:
            self._cipher.rekey()
            self._bytes = 0
            self._rekey_at = self._cipher.nonce + REKEY_RECORDS


class Session:
    """One end of one link; made by `dial` or `answer`.

    Attributes:
      received_frames: Authenticated records so far: each is a sign of life.
    """

    def __init__(
        self, transport: Transport, *, initiator: bool, expected: NodeId | None = None
    ) -> None:
        self._transport = transport
        self._initiator = initiator
        self._handshake = LinkHandshake(transport, initiator=initiator, expected=expected)
        self._stage = _Stage.MESSAGE_2 if initiator else _Stage.FIRST_FLIGHT
        self._outbox = Outbox()
        self._inbox = Inbox(expect_ready=initiator)
        self._handshake_out = b""
        self._rest = bytearray()
        self._needed = 0
        self._sending: _Direction | None = None
        self._receiving: _Direction | None = None
        self._established = False
        self._peer: Peer | None = None
        self._hash = b""
        self._reshake: Reshake | None = None
        self._shakes: list[Step] = []
        self._shaken_wall = -inf
        self._closing = False
        self._error: RemoteProtocolError | None = None
        self.received_frames = 0

    @classmethod
    def dial(cls, transport: Transport, *, expected: NodeId | None) -> "Session":
        """The end that opened the connection and speaks first.

        Args:
          transport: This process's.
          expected: Who must answer, or None when only the address is known.
        """
        session = cls(transport, initiator=True, expected=expected)
        first = session._handshake.first()
        session._handshake_out = write_preamble(
            session._handshake.kind, transport.mesh_id, first, secret=transport.secret
        )
        return session

    @classmethod
    def answer(cls, transport: Transport) -> "Session":
        """The end that accepted the connection; `receive` gets all its bytes, preamble included."""
        return cls(transport, initiator=False)

    @property
    def hash(self) -> bytes:
        """Names the session once `Established` was reported: both ends hold the same 32 bytes."""
        return self._hash

    @property
    def shaking(self) -> bool:
        """A handshake for fresh keys has something to say."""
        return bool(self._shakes)

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent."""
        return self._outbox.queued

    def send(self, lane: Lane, payload: bytes) -> bool:
        """Queue one message; False when its lane is full, and nothing was queued.

        Raises:
          LocalProtocolError: Too long, or after `close`.
        """
        return self._outbox.put(lane, payload)

    def close(self) -> None:
        """Say CLOSE after everything that is queued; `send` is over."""
        self._closing = True
        self._outbox.close()

    def refresh(self) -> bool:
        """The dialling side asks for fresh keys; False if it cannot now.

        Raises:
          LocalProtocolError: This side did not dial.
        """
        if not self._initiator:
            raise LocalProtocolError("the side that dialled asks for fresh keys")
        if self._peer is None or self._reshake is not None or self._closing:
            return False
        self._reshake = self._another()
        self._shakes.append(Step(self._reshake.first()))
        return True

    def _another(self) -> Reshake:
        assert self._peer is not None
        return Reshake(
            self._transport,
            initiator=self._initiator,
            expected=self._peer.node_id,
            binding=self._hash,
        )

    def data_to_send(self, limit: int) -> bytes:
        """Bytes for the stream, empty when nothing waits.

        Args:
          limit: About how many: at least one record comes, and then only what fits.
        """
        if self._handshake_out:
            data, self._handshake_out = self._handshake_out, b""
            return data
        sending = self._sending
        if sending is None or not self._established or self._error is not None:
            return b""
        parts: list[bytes] = []
        if self._shakes:
            sending = self._send_shakes(sending, parts)
        room = RECORD_BYTES
        left = limit
        while room > 0:
            record = self._outbox.next_record(room)
            if record is None:
                break
            sealed = sending.seal(record)
            parts.append(len(sealed).to_bytes(2, "big"))
            parts.append(sealed)
            left -= 2 + len(sealed)
            room = min(left - _OVERHEAD, RECORD_BYTES)
        return b"".join(parts)

    def _send_shakes(self, sending: _Direction, parts: list[bytes]) -> _Direction:
        """Seal what a handshake for fresh keys has to say; returns the key for what follows."""
        shakes, self._shakes = self._shakes, []
        for step in shakes:
            if step.reply is not None:
                sealed = sending.seal(shake_record(step.reply))
                parts.append(_framed(sealed))
            if step.sending is not None:
                sending = self._sending = _Direction(step.sending)
        return sending

    def receive(
        self, data: bytes, wall: float
    ) -> Iterator[Established | Refreshed | Message | Finished]:
        """Take bytes from the stream; the events they complete follow as they are asked for.

        Run through all of them before the next call, or drop the session.

        Args:
          data: As read, cut anywhere.
          wall: Unix seconds, to judge certificates by.

        Raises:
          RemoteProtocolError: While iterating; the session is over, its reason says why.
        """
        if self._error is not None:
            raise RemoteProtocolError(self._error.reason)
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return iter(())
            data = bytes(self._rest)
            self._rest.clear()
        return self._events(data, wall)

    def end_of_stream(self) -> None:
        """The stream ended.

        Raises:
          RemoteProtocolError: ``truncated``: without CLOSE; ``refused``: after it had our
            credentials, and instead of READY.
        """
        if self._inbox.closed:
            return
        judged = self._stage is _Stage.RECORDS and not self._established
        raise RemoteProtocolError("refused" if judged else "truncated")

    def _events(
        self, data: bytes, wall: float
    ) -> Iterator[Established | Refreshed | Message | Finished]:
        try:
            at = 0
            if self._stage is _Stage.FIRST_FLIGHT:
                at = self._first_flight(data, wall)
                if not at:
                    self._rest += data
                    return
            view = memoryview(data)
            while True:
                frame = self._frame(view, at)
                if frame is None:
                    break
                at += 2 + len(frame)
                if self._receiving is None:
                    if self._handshake_frame(bytes(frame), wall):
                        yield self._establish()
                    continue
                messages = self._inbox.take(self._receiving.open(frame))
                self.received_frames += 1
                if not self._established:
                    yield self._establish()
                for payload in messages:
                    yield Message(payload)
                if self._inbox.shake is not None:
                    peer = self._take_shake(self._inbox.shake, wall)
                    if peer is not None:
                        yield Refreshed(peer)
                if self._inbox.closed:
                    yield Finished()
            self._rest += view[at:]
        except RemoteProtocolError as error:
            self._error = error
            raise

    def _take_shake(self, message: bytes, wall: float) -> Peer | None:
        """Take a message of a handshake for fresh keys; returns the peer once it is proved anew."""
        if self._reshake is None:
            if self._initiator:
                raise RemoteProtocolError("unexpected-handshake")
            if 0 <= wall - self._shaken_wall < TOO_SOON:
                raise RemoteProtocolError("handshake-too-soon")
            self._shaken_wall = wall
            self._reshake = self._another()
        step = self._reshake.take(message, wall)
        if not self._closing:
            self._shakes.append(step)
        if step.receiving is not None:
            self._receiving = _Direction(step.receiving)
        if self._reshake.done:
            self._hash = self._reshake.hash
            self._peer = step.peer
            self._reshake = None
        return step.peer

    def _frame(self, view: memoryview, at: int) -> memoryview | None:
        """The frame that begins at ``at``, or None while it is incomplete."""
        available = len(view) - at
        if available < 2:
            self._needed = self._stage.value + 2
            return None
        size = view[at] << 8 | view[at + 1]
        if size > _LARGEST_FRAME:
            raise RemoteProtocolError("frame-too-large")
        if size < self._stage.value:
            raise RemoteProtocolError("bad-frame")
        if available < size + 2:
            self._needed = size + 2
            return None
        return view[at + 2 : at + 2 + size]

    def _first_flight(self, data: bytes, wall: float) -> int:
        """Answer the preamble with message 2; returns the bytes it took, 0 while incomplete."""
        preamble = read_preamble(data, self._transport.mesh_id, self._transport.secret)
        if preamble is None:
            return 0
        if preamble.kind.joins:
            raise RemoteProtocolError("unknown-kind")
        message = self._handshake.answer(preamble.kind, preamble.first_message, wall)
        self._handshake_out = _framed(message)
        self._stage = _Stage.MESSAGE_3
        return preamble.size

    def _handshake_frame(self, message: bytes, wall: float) -> bool:
        """Take message 2 or 3; returns whether the session is established by it."""
        answering = self._stage is _Stage.MESSAGE_3
        if answering:
            self._handshake.finish(message, wall)
            self._outbox.ready()
        else:
            self._handshake_out = _framed(self._handshake.conclude(message, wall))
        self._hash = self._handshake.hash
        sending, receiving = self._handshake.split()
        self._sending, self._receiving = _Direction(sending), _Direction(receiving)
        self._stage = _Stage.RECORDS
        return answering

    def _establish(self) -> Established:
        peer = self._handshake.peer
        if peer is None:
            raise LocalProtocolError("established without a peer")
        self._established = True
        self._peer = peer
        return Established(peer)


def _framed(message: bytes) -> bytes:
    if len(message) > _LARGEST_FRAME:
        raise LocalProtocolError("this node's certificate chain is too long for a handshake")
    return len(message).to_bytes(2, "big") + message
