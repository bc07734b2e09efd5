"""Streams of records that peers pull from this node: from memory if few, else from disk.

Sent in pieces, each on the peer's word that it took the last one in. Knows nothing of what this
node itself lacks; that is `sync`.
"""

from collections.abc import Callable

from gossipnet.ids import LogId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane, LogRead, ReadLog
from gossipnet.protocol.links import PeerLink, Serving
from gossipnet.protocol.wire import RECORDS_PER_MESSAGE, More, Records, Want
from gossipnet.state.replica import Replica

PIECE_BYTES = 64 * 1024
"""Size of one piece of a stream: small enough that a piece never delays a heartbeat."""

STREAMS_PER_LINK = 2
"""Streams served to one peer at a time; one more is told to come again."""

FROM_MEMORY = 64
"""A gap of at most this many records is answered from memory if they are all there."""


class Streams:
    """Serves what others lack.

    Args:
      context: Time, counters, effects.
      replica: Whose records.
      links: Open links.
      sendable: ``sendable(log, head)`` is the number up to which a log may leave this node.
    """

    def __init__(
        self,
        context: Context,
        replica: Replica,
        links: dict[int, PeerLink],
        sendable: Callable[[LogId, int], int],
    ) -> None:
        self._context = context
        self._replica = replica
        self._links = links
        self._sendable = sendable
        self._read = 0
        self._reads: dict[int, tuple[int, Serving]] = {}
        # Set by the engine.
        self.cleared: Callable[[PeerLink], None] = lambda _link: None

    def on_want(self, link: PeerLink, message: Want) -> None:
        """Serve a small gap from memory, anything else as a stream from disk."""
        ranges = [
            (LogId(log), first, min(last, head))
            for log, first, last in message.ranges
            if first <= (head := self._sendable(LogId(log), self._replica.head(LogId(log))))
            and first <= last
        ]
        by_id, image = self._replica.logs.by_id, self._replica.image
        if image is not None:
            if any(first <= by_id[log].base for log, first, _last in ranges):
                self._context.send(link.number, Lane.BULK, Records(message.session, [], True, True))
                self.cleared(link)
                return
            ranges += [
                (image.log, first, min(last, image.count))
                for log, first, last in message.ranges
                if log == image.name and first <= min(last, image.count)
            ]
        total = sum(last - first + 1 for _log, first, last in ranges)
        if total <= FROM_MEMORY:
            found = [
                self._replica.record(log, seq)
                for log, first, last in ranges
                for seq in range(first, last + 1)
            ]
            records = [data for data in found if data is not None]
            if len(records) == len(found) and sum(map(len, records)) <= 4 * PIECE_BYTES:
                self._context.send(
                    link.number, Lane.GOSSIP, Records(message.session, records, True, False)
                )
                return
        if len(link.serving) >= STREAMS_PER_LINK or message.session in link.serving:
            self._context.counters["streams_refused"] += 1
            self._context.send(link.number, Lane.BULK, Records(message.session, [], True, True))
            return
        serving = Serving(message.session, tuple(ranges))
        link.serving[message.session] = serving
        self._read_on(link, serving)

    def on_more(self, link: PeerLink, message: More) -> None:
        """The peer took a piece in."""
        serving = link.serving.get(message.session)
        if serving is not None:
            serving.credit = min(serving.credit + 1, 4)
            self._serve(link, serving)

    def _read_on(self, link: PeerLink, serving: Serving) -> None:
        self._read += 1
        self._reads[self._read] = (link.number, serving)
        serving.reading = True
        wanted = tuple((LogId(log), first, last) for log, first, last in serving.wanted)
        self._context.effects.append(ReadLog(self._read, wanted, serving.position, 4 * PIECE_BYTES))

    def on_read(self, read: LogRead) -> None:
        """Records came from disk."""
        number, serving = self._reads.pop(read.request, (0, None))
        link = self._links.get(number)
        if serving is None or link is None or serving.session not in link.serving:
            return
        serving.reading = False
        serving.queue.extend(read.records)
        if read.position is None:
            serving.ended = True
        else:
            serving.position = read.position
        self._serve(link, serving)

    def _serve(self, link: PeerLink, serving: Serving) -> None:
        while serving.credit > 0 and (serving.queue or serving.ended):
            piece: list[bytes] = []
            size = 0
            while serving.queue and size < PIECE_BYTES and len(piece) < RECORDS_PER_MESSAGE:
                piece.append(serving.queue.popleft())
                size += len(piece[-1])
            done = serving.ended and not serving.queue
            serving.credit -= 1
            self._context.counters["records_served"] += len(piece)
            self._context.send(link.number, Lane.BULK, Records(serving.session, piece, done, False))
            if done:
                del link.serving[serving.session]
                return
        if not serving.queue and not serving.ended and not serving.reading:
            self._read_on(link, serving)

    def forget(self, number: int) -> None:
        """A link is gone."""
        for request in [r for r, (link, _s) in self._reads.items() if link == number]:
            del self._reads[request]
