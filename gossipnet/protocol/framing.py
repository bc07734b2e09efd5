"""What travels inside a link once it is encrypted: messages, by lane, packed into records.

On the wire a record is ``u16 length | sealed``, at most `FRAME_BYTES` long. Its plaintext is a row
of pieces, each ``kind and lane (1) | ...``::

    WHOLE  u16 length | a whole message
    FIRST  u32 total | u16 length | the beginning of a long message
    MORE   u16 length | its continuation, on the same lane
    SHAKE  a message of a handshake for fresh keys; alone in its record, which may be empty
    READY  nothing: the answering side accepts the dialling one
    CLOSE  nothing: no more will come; always the last piece

Many small messages share one record; a long one is spread over many, between which other lanes'
messages find their place. A lane carries one long message at a time and its total is judged before
a byte of it is kept.

Knows nothing of encryption or of what messages mean.
"""

from collections import deque
from struct import Struct
from struct import error as StructError

from gossipnet.errors import LocalProtocolError, RemoteProtocolError
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.noise import TAG_BYTES

FRAME_BYTES = 16_384
"""Of one record with its length: two fill a `TCP_NOTSENT_LOWAT` of 32 KiB."""
RECORD_BYTES = FRAME_BYTES - 2 - TAG_BYTES
"""Of one record's plaintext."""
MESSAGE_BYTES = 2 * 1024 * 1024
"""Of one message: the largest record of a log and what carries it fit easily."""
OUTBOX_BYTES = 2 * 1024 * 1024
"""Queued on one lane before `Outbox.put` says no; an empty lane takes any one message."""
_QUEUED_COST = 64
"""What a queued message costs besides its bytes, so that tiny ones are bounded too."""

_WHOLE, _FIRST, _MORE, _READY, _CLOSE, _SHAKE = 0x10, 0x20, 0x30, 0x40, 0x50, 0x60
_LANES = len(Lane)

_whole = Struct("!BH")
_first = Struct("!BIH")
_LARGEST_WHOLE = RECORD_BYTES - _whole.size
_SMALLEST_CHUNK = 512
"""Less room than this at a record's end is left empty rather than cut a message for it."""


def shake_record(message: bytes) -> bytes:
    """The record that carries a message of a `Reshake`."""
    return bytes((_SHAKE,)) + message


class Outbox:
    """Messages that wait to be sent, by lane; bounded."""

    def __init__(self) -> None:
        self._queues: tuple[deque[bytes], ...] = tuple(deque() for _ in range(_LANES))
        self._costs = [0] * _LANES
        self._offsets = [0] * _LANES
        self._waiting = 0
        self._ready = False
        self._closing = False
        self._close_said = False

    @property
    def queued(self) -> int:
        """Bytes that wait, of all lanes, with what keeping them costs."""
        return sum(self._costs)

    def put(self, lane: Lane, payload: bytes) -> bool:
        """Queue one message; False when its lane is full.

        Raises:
          LocalProtocolError: Longer than `MESSAGE_BYTES`, or after `close`.
        """
        size = len(payload)
        if size > MESSAGE_BYTES:
            raise LocalProtocolError(f"a message of {size} bytes is over {MESSAGE_BYTES}")
        if self._closing:
            raise LocalProtocolError("the session is closing")
        cost = self._costs[lane]
        if cost and cost + size > OUTBOX_BYTES:
            return False
        self._costs[lane] = cost + size + _QUEUED_COST
        self._queues[lane].append(payload)
        self._waiting += 1
        return True

    def ready(self) -> None:
        """Say READY before anything else."""
        self._ready = True

    def close(self) -> None:
        """Say CLOSE after everything that is queued."""
        self._closing = True

    def next_record(self, limit: int) -> bytes | None:
        """The plaintext of the next record, or None when nothing waits or nothing fits.

        Args:
          limit: Its largest size, at most `RECORD_BYTES`.
        """
        parts: list[bytes | memoryview] = []
        room = limit
        if self._ready:
            parts.append(bytes((_READY,)))
            room -= 1
            self._ready = False
        if self._waiting:
            for lane in range(_LANES):
                if self._queues[lane]:
                    room = self._fill(lane, parts, room)
                    if self._queues[lane]:
                        break  # it begins the next record; no lower lane comes before it
        if self._closing and not self._close_said and not self._waiting and room:
            parts.append(bytes((_CLOSE,)))
            self._close_said = True
        return b"".join(parts) if parts else None

    def _fill(self, lane: int, parts: list[bytes | memoryview], room: int) -> int:
        """Move what fits from one lane into a record; returns the room that is left."""
        queue = self._queues[lane]
        pack, kind = _whole.pack, _WHOLE | lane
        while queue:
            payload = queue[0]
            size = len(payload)
            if size > _LARGEST_WHOLE:
                used = self._cut(lane, payload, parts, room)
                room -= used
                if self._offsets[lane] or not used:
                    break
            elif size + _whole.size <= room:
                parts.append(pack(kind, size))
                parts.append(payload)
                room -= size + _whole.size
            else:
                break
            queue.popleft()
            self._waiting -= 1
            self._costs[lane] -= size + _QUEUED_COST
        return room

    def _cut(self, lane: int, payload: bytes, parts: list[bytes | memoryview], room: int) -> int:
        """Add the next piece of a long message; returns the room used, 0 when there is too little.

        The lane's offset returns to 0 with the last piece.
        """
        offset = self._offsets[lane]
        total = len(payload)
        header = _whole.size if offset else _first.size
        size = min(room - header, total - offset)
        if size < min(_SMALLEST_CHUNK, total - offset):
            return 0
        parts.append(
            _whole.pack(_MORE | lane, size) if offset else _first.pack(_FIRST | lane, total, size)
        )
        end = offset + size
        parts.append(memoryview(payload)[offset:end])
        self._offsets[lane] = 0 if end == total else end
        return header + size


class Inbox:
    """Takes records apart. A record counts as a whole: an error in it loses all of it.

    Args:
      expect_ready: The first piece of the first record must be READY.

    Attributes:
      ready: READY came, or was not expected.
      closed: CLOSE came.
      shake: The message of a handshake that the last record was; None if it was not one.
    """

    def __init__(self, *, expect_ready: bool) -> None:
        self.ready = not expect_ready
        self.closed = False
        self.shake: bytes | None = None
        self._partial: list[bytearray | None] = [None] * _LANES
        self._totals = [0] * _LANES

    def take(self, record: bytes) -> list[bytes]:
        """The messages that a record completes.

        Raises:
          RemoteProtocolError: ``bad-record``, ``message-too-large``, ``not-ready``,
            ``after-close``.
        """
        if self.closed:
            raise RemoteProtocolError("after-close")
        if not record:
            raise RemoteProtocolError("bad-record", "empty")
        messages: list[bytes] = []
        at, end = 0, len(record)
        self.shake = None
        if record[0] == _SHAKE and self.ready:
            self.shake = record[1:]
            return messages
        if not self.ready:
            if record[0] != _READY:
                raise RemoteProtocolError("not-ready")
            self.ready = True
            at = 1
        partial = self._partial
        while at < end:
            head = record[at]
            lane = head & 0x0F
            kind = head & 0xF0
            if kind == _WHOLE and lane < _LANES and at + 3 <= end:
                start = at + 3
                at = start + (record[at + 1] << 8 | record[at + 2])
                if at > end or partial[lane] is not None:
                    raise RemoteProtocolError("bad-record")
                messages.append(record[start:at])
            elif kind in (_FIRST, _MORE) and lane < _LANES:
                at = self._piece(kind, lane, record, at, messages)
            elif head == _CLOSE and at + 1 == end and not any(p is not None for p in partial):
                self.closed = True
                at = end
            else:
                raise RemoteProtocolError("bad-record")
        return messages

    def _piece(self, kind: int, lane: int, record: bytes, at: int, messages: list[bytes]) -> int:
        """Take a piece of a long message; returns where the next piece begins."""
        partial = self._partial[lane]
        if (kind == _FIRST) != (partial is None):
            raise RemoteProtocolError("bad-record")
        try:
            if kind == _FIRST:
                _, total, size = _first.unpack_from(record, at)
                start = at + _first.size
                if total > MESSAGE_BYTES:
                    raise RemoteProtocolError("message-too-large")
                partial = bytearray()
                self._partial[lane] = partial
                self._totals[lane] = total
            else:
                _, size = _whole.unpack_from(record, at)
                start = at + _whole.size
        except StructError:
            raise RemoteProtocolError("bad-record") from None
        stop: int = start + size
        # Each piece must bring something, else a stream of empty ones would never end.
        if partial is None or not size or stop > len(record):
            raise RemoteProtocolError("bad-record")
        total = self._totals[lane]
        if len(partial) + size > total:
            raise RemoteProtocolError("bad-record")
        partial += memoryview(record)[start:stop]
        if len(partial) == total:
            messages.append(bytes(partial))
            self._partial[lane] = None
        return stop
