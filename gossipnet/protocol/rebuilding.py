"""Keeps the state what the verdicts say: has keys computed anew, piece by piece, from the disk.

While that goes on the node serves clients and peers as ever; a verdict that changes meanwhile
begins it again. Knows nothing of why records are void.
"""

from gossipnet.ids import LogId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import LogRead, ReadLog
from gossipnet.state.rebuild import Rebuild
from gossipnet.state.replica import Replica

PIECE_BYTES = 256 * 1024
"""Read at a time: some milliseconds of work in one turn."""

_FIRST = -1
"""Numbers of reads count down from here; those of anti-entropy count up."""


class Rebuilding:
    """Drives `Rebuild` by `ReadLog`."""

    def __init__(self, context: Context, replica: Replica) -> None:
        self._context = context
        self._replica = replica
        self._work: Rebuild | None = None
        self._request = _FIRST
        self._wanted: tuple[tuple[LogId, int, int], ...] = ()

    @property
    def active(self) -> bool:
        """Whether keys are being computed anew."""
        return self._work is not None

    def begin(self) -> None:
        """Records that were applied are void now, or no longer are."""
        self._work = self._replica.begin_rebuild()
        self._context.counters["rebuilds"] += 1
        self._go_on(self._work)

    def takes(self, read: LogRead) -> bool:
        """Whether a read was asked for here."""
        return read.request < 0

    def on_read(self, read: LogRead) -> None:
        """Records came from disk."""
        work = self._work
        if work is None or read.request != self._request:
            return  # of a computation that was begun again
        for data in read.records:
            work.feed(data)
        if read.position is None:
            self._go_on(work)
        else:
            self._read(read.position)

    def _go_on(self, work: Rebuild) -> None:
        wanted = work.wanted()
        if wanted:
            self._wanted = tuple(wanted)
            self._read(0)
            return
        self._work = None
        changed = work.finish()
        self._context.counters["keys_rebuilt"] += changed
        self._context.event(
            "state-rebuilt",
            f"{changed} key{'' if changed == 1 else 's'} changed, for records of theirs count no "
            "more, or count again",
        )

    def _read(self, position: int) -> None:
        self._request -= 1
        self._context.effects.append(ReadLog(self._request, self._wanted, position, PIECE_BYTES))
