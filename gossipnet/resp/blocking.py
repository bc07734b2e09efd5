"""Clients that wait for something: a key to change, receipts to come, or a time to be over.

A handler that cannot answer yet returns `Blocked`. Its client's later commands then wait, and
whatever the client waits for makes it due: the handler's ``attempt`` is asked again, between
commands, never inside one. Who waited longest is asked first. Knows no sockets and no clock:
whoever serves clients keeps `Service.now` fresh and calls `Blocking.due`.
"""

import heapq
from collections.abc import Callable, Hashable, Iterable
from math import inf
from typing import TYPE_CHECKING, Final

from gossipnet.resp.replies import CommandError, Reply

if TYPE_CHECKING:
    from gossipnet.resp.session import Session


class _NotYet:
    __slots__ = ()


NOT_YET: Final = _NotYet()
"""What ``attempt`` returns while there is nothing to answer."""

RECEIPTS: Final = "receipts"
"""The topic of those who wait for other nodes' receipts; keys are topics as they are."""


def _nothing() -> None:
    return


class Blocked:
    """Why a command has no reply yet.

    Attributes:
      topics: What it waits for: keys, or `RECEIPTS`.
      attempt: Gives the reply, or `NOT_YET`; may write, and may refuse.
      otherwise: Gives the reply when its time is over, inside EXEC at once.
      until: ``Service.now`` at which that is; infinity for never.
      writes: ``attempt`` may write, so that its reply waits for the disk.
      ended: Called once when it waits no more, whatever the reason.
    """

    __slots__ = ("attempt", "ended", "otherwise", "topics", "until", "writes")

    def __init__(
        self,
        topics: Iterable[Hashable],
        attempt: Callable[[], Reply],
        otherwise: Callable[[], Reply],
        until: float,
        *,
        writes: bool = False,
        ended: Callable[[], None] = _nothing,
    ) -> None:
        self.topics = tuple(dict.fromkeys(topics))
        self.attempt = attempt
        self.otherwise = otherwise
        self.until = until
        self.writes = writes
        self.ended = ended


class Blocking:
    """All clients that wait.

    Attributes:
      wake: Called when somebody may be answered now, from inside of whatever made it so.
    """

    def __init__(self) -> None:
        self._waiting: dict[Session, Blocked] = {}
        self._arrivals: dict[Session, int] = {}
        self._arrived = 0
        self._times: list[tuple[float, int, Session]] = []
        self._topics: dict[Hashable, dict[Session, None]] = {}
        self._due: dict[Session, None] = {}
        self._ended: dict[Session, Reply] = {}
        self.wake: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waits_for_keys(self) -> bool:
        """Whether changes of keys matter to anybody."""
        return any(topic != RECEIPTS for topic in self._topics)

    def add(self, session: "Session", blocked: Blocked) -> None:
        """A client waits from now on."""
        self._waiting[session] = blocked
        self._arrived += 1
        self._arrivals[session] = self._arrived
        if blocked.until != inf:
            heapq.heappush(self._times, (blocked.until, self._arrived, session))
        for topic in blocked.topics:
            self._topics.setdefault(topic, {})[session] = None

    def remove(self, session: "Session") -> None:
        """It waits no more, or is gone. May be called for anybody."""
        blocked = self._waiting.pop(session, None)
        self._arrivals.pop(session, None)
        self._due.pop(session, None)
        self._ended.pop(session, None)
        if blocked is None:
            return
        blocked.ended()
        for topic in blocked.topics:
            waiting = self._topics[topic]
            del waiting[session]
            if not waiting:
                del self._topics[topic]

    def happened(self, topic: Hashable) -> None:
        """Something has changed: those who wait for it are to be asked again."""
        waiting = self._topics.get(topic)
        if waiting:
            self._due.update(waiting)
            self.wake()

    def end(self, session: "Session", *, error: bool) -> bool:
        """CLIENT UNBLOCK: as if its time were over, or with an error; whether it waited."""
        blocked = self._waiting.get(session)
        if blocked is None:
            return False
        refusal = CommandError("UNBLOCKED client unblocked via CLIENT UNBLOCK")
        self._ended[session] = refusal if error else None
        self._due[session] = None
        self.wake()
        return True

    @property
    def stirred(self) -> bool:
        """Whether something has happened that somebody waits for."""
        return bool(self._due)

    def deadline(self) -> float:
        """``Service.now`` at which somebody's time is over; infinity if never."""
        times = self._times
        while times and self._arrivals.get(times[0][2]) != times[0][1]:
            heapq.heappop(times)  # it has been answered
        return times[0][0] if times else inf

    def due(self, now: float) -> "list[Session]":
        """Who may be answered now, in the order in which they began to wait."""
        while self.deadline() <= now:
            self._due[heapq.heappop(self._times)[2]] = None
        chosen, self._due = self._due, {}
        return sorted(chosen, key=lambda session: self._arrivals[session])

    def writes(self, session: "Session") -> bool:
        """Whether the reply of one that waits is to wait for the disk."""
        return self._waiting[session].writes

    def ask(self, session: "Session", now: float) -> Reply:
        """The reply of one that waits, `NOT_YET` if there is none; raises what a handler raises."""
        blocked = self._waiting[session]
        if session in self._ended:
            refusal = self._ended[session]
            if refusal is not None:
                raise refusal
            return blocked.otherwise()
        reply = blocked.attempt()
        if reply is NOT_YET and blocked.until <= now:
            reply = blocked.otherwise()
        return reply
