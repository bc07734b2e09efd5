"""While the disk takes no commits, local writers are told so instead of being kept waiting.

What was being committed when the disk became full is applied here already, and is committed when
there is room again; nobody is told that it was, nor kept until it is.
"""

from collections import Counter
from collections.abc import Callable

from gossipnet.io.logs import log_event
from gossipnet.state.errors import WritesRefused
from gossipnet.state.keyspace import Keyspace

CODE = "MISCONF"
"""The word with which Redis refuses writes that it cannot keep."""


class FullDisk:
    """Refuses writes while commits are deferred.

    Args:
      keyspace: Whose writes.
      counters: Where it is counted.

    Attributes:
      reason: Why commits wait, one sentence; "" when they do not.
      listeners: Called, with an error for clients, when commits begin to wait: they hold writes
        that were carried out and cannot be acknowledged.
    """

    def __init__(self, keyspace: Keyspace, counters: Counter[str]) -> None:
        self.reason = ""
        self.listeners: list[Callable[[str], None]] = []
        self._keyspace = keyspace
        self._counters = counters

    def tell(self, reason: str) -> None:
        """Begin to refuse writes for ``reason``, or end it, when that is empty."""
        self.reason = reason
        if reason:
            text = f"{reason}; nothing is written until then"
            self._counters["commits_deferred"] += 1
            log_event("disk-full", text, "error")
            self._keyspace.refuse(CODE, text)
            for listener in self.listeners:
                listener(self.of_waiting)
        else:
            log_event("disk-ok", "the disk takes writes again", "warning")
            self._keyspace.refuse(CODE, None)

    def check(self) -> None:
        """Raise `WritesRefused` for a write that was carried out and cannot be committed now."""
        if self.reason:
            raise WritesRefused(CODE, self.of_waiting.removeprefix(f"{CODE} "))

    @property
    def of_waiting(self) -> str:
        """The error for a write that was carried out and cannot be committed now."""
        return (
            f"{CODE} {self.reason}; this write is not on disk: it will be when there is room, "
            "unless the daemon ends before"
        )
