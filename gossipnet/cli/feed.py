"""Changes of keys and events of the mesh as one bounded stream, for commands that act on them.

A thread reads the local socket, so that a slow command never makes the daemon hang up; what does
not fit into the queue is counted and told. When the daemon goes away the feed waits for it, and
says that what happened meanwhile was not seen. Knows nothing of what is done with a happening.
"""

import fnmatch
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from gossipnet.cli.terminal import plain, say
from gossipnet.client import Client
from gossipnet.errors import DaemonNotRunning, TimedOut

Happening = dict[str, Any]
"""One change or event, ready for JSON; ``event`` tells its kind, ``key`` stands in changes."""

_POLL_SECONDS = 0.2
_RETRY_SECONDS = 1.0


class Feed:
    """Reads what happens in a thread of its own.

    Args:
      connect: Opens a connection to the daemon; raises `DaemonNotRunning`.
      size: Happenings that may wait.

    Attributes:
      dropped: Happenings that found the queue full.
    """

    def __init__(self, connect: Callable[[], Client], size: int) -> None:
        self._connect = connect
        self._queue: queue.Queue[Happening] = queue.Queue(size)
        self.dropped = 0

    def keys(self, patterns: list[bytes]) -> None:
        """Follow changes to keys that match any of the patterns; returns once that began."""
        with self._connect() as client:
            watches = [(pattern, client.watch(pattern)) for pattern in patterns]
        for pattern, watch in watches:
            self._start(self._follow_keys, pattern, watch)

    def events(self, kinds: str) -> None:
        """Follow the mesh's events whose kind matches a glob; returns once that began."""
        client = self._connect()
        self._start(self._follow_events, kinds, client, self._newest(client))

    def next(self, timeout: float | None = None) -> Happening | None:
        """Wait for the next happening; None when ``timeout`` seconds are over."""
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            return None

    def waiting(self) -> list[Happening]:
        """All that wait now, oldest first."""
        found = []
        while (happening := self.next(0)) is not None:
            found.append(happening)
        return found

    def _start(self, follow: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=follow, args=arguments, daemon=True).start()

    def _put(self, happening: Happening) -> None:
        try:
            self._queue.put_nowait(happening)
        except queue.Full:
            self.dropped += 1
            if self.dropped == 1 or self.dropped % 1000 == 0:
                say(f"{self.dropped} so far could not wait: the command is slower than they come")

    def _follow_keys(self, pattern: bytes, watch: Any) -> None:
        while True:
            try:
                for change in watch:
                    self._put(plain(change._asdict()))
            except (DaemonNotRunning, TimedOut):
                watch = self._again(lambda client: client.watch(pattern))

    def _follow_events(self, kinds: str, client: Client, seen: int) -> None:
        while True:
            try:
                rows: list[dict[str, Any]] = plain(client.call("GOSSIP", "EVENTS"))
            except (DaemonNotRunning, TimedOut):
                client = self._again(lambda client: client, keep=True)
                seen = 0  # a new process counts from one: what it saw since its start is news
                continue
            for row in rows:
                if row["seq"] > seen and fnmatch.fnmatchcase(row["kind"], kinds):
                    self._put({"event": row.pop("kind"), **row})
            seen = max([seen, *(row["seq"] for row in rows)])
            time.sleep(_POLL_SECONDS)

    @staticmethod
    def _newest(client: Client) -> int:
        rows: list[dict[str, Any]] = plain(client.call("GOSSIP", "EVENTS"))
        return max((row["seq"] for row in rows), default=0)

    def _again(self, use: Callable[[Client], Any], *, keep: bool = False) -> Any:
        say("the daemon went away: what happens until it is back is not seen")
        while True:
            try:
                client = self._connect()
                found = use(client)
            except (DaemonNotRunning, TimedOut):
                time.sleep(_RETRY_SECONDS)
                continue
            if not keep:
                client.close()
            say("the daemon is back")
            return found
