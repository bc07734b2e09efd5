"""What ``gossipnet top`` knows: the newest answers of the daemon, rates, and what is looked at.

Pure: samples come in with their time, keys come in as names, and `top_frame` draws the result.
Knows no terminal and no socket.
"""

from collections import deque
from typing import Any, NamedTuple

HISTORY = 120
"""Samples kept for sparklines; two minutes at one a second."""

VIEWS = ("members", "links", "events")

_SORTS = {
    "members": ("name", "state", "rtt_ms", "behind", "address"),
    "links": ("name", "rtt_ms", "queued_bytes", "behind", "since_s"),
    "events": ("seq",),
}


class Sample(NamedTuple):
    """One round of answers.

    Attributes:
      at: Monotonic seconds.
      status: ``GOSSIP STATUS``.
      members: ``GOSSIP MEMBERS``.
      peers: ``GOSSIP PEERS``.
      events: ``GOSSIP EVENTS``, oldest first.
      info: ``INFO everything`` as a mapping.
    """

    at: float
    status: dict[str, Any]
    members: list[dict[str, Any]]
    peers: list[dict[str, Any]]
    events: list[dict[str, Any]]
    info: dict[str, str]


class Model:
    """The state of the view.

    Attributes:
      sample: The newest; None before the first.
      trouble: Why there is no newer one; empty when all is well.
      rates: History by name, per second: ``commands``, ``commits``, ``bytes``, ``conflicts``.
      lags: History of the lag, seconds.
      view: One of `VIEWS`.
      chosen: Row under the cursor.
      filter: Text that shown rows contain.
      typing: Whether the filter is being typed.
      detail: The row that is looked at alone, or None.
      help: Whether the keys are shown.
      paused: Whether new samples are left out.
      copied: What was put on the clipboard last, for the bottom line.
    """

    def __init__(self) -> None:
        self.sample: Sample | None = None
        self.trouble = ""
        self.rates = {
            name: deque[float](maxlen=HISTORY)
            for name in ("commands", "commits", "bytes", "conflicts")
        }
        self.lags: deque[float] = deque(maxlen=HISTORY)
        self.view = "members"
        self.chosen = 0
        self.filter = ""
        self.typing = False
        self.detail: dict[str, Any] | None = None
        self.help = False
        self.paused = False
        self.copied = ""
        self._sort = dict.fromkeys(VIEWS, 0)
        self._counts: tuple[float, dict[str, float]] | None = None

    @property
    def sort(self) -> str:
        """The column that orders the rows."""
        return _SORTS[self.view][self._sort[self.view]]

    def take(self, sample: Sample) -> None:
        """A new round of answers."""
        if self.paused:
            return
        self.trouble = ""
        self.sample = sample
        self.lags.append(float(sample.status.get("lag_s") or 0))
        counts = _counts(sample)
        if self._counts is not None:
            then, before = self._counts
            seconds = sample.at - then
            for name, history in self.rates.items():
                # A daemon that was restarted counts from zero again.
                history.append(max(0.0, counts[name] - before[name]) / seconds if seconds else 0.0)
        self._counts = sample.at, counts
        self._keep_cursor()

    def rows(self) -> list[dict[str, Any]]:
        """What the view shows, filtered and sorted."""
        if self.sample is None:
            return []
        rows = {
            "members": self.sample.members,
            "links": self.sample.peers,
            "events": self.sample.events[::-1],
        }[self.view]
        if self.filter:
            wanted = self.filter.lower()
            rows = [row for row in rows if wanted in " ".join(map(str, row.values())).lower()]
        if self.view == "events":
            return rows
        return sorted(rows, key=lambda row: _order(row.get(self.sort)))

    def press(self, key: str) -> bool:
        """One key, by name or as a letter; False when it says to end."""
        self.copied = ""
        if self.typing:
            self._type(key)
        elif key in ("q", "ctrl-c", "ctrl-d"):
            return False
        elif key == "escape":
            if not self.help and self.detail is None:
                self.filter = ""
            self.help, self.detail = False, None
        elif key in ("?", "h"):
            self.help = not self.help
        elif key in ("m", "l", "e"):
            self._show(next(view for view in VIEWS if view[0] == key))
        elif key == "tab":
            self._show(VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)])
        elif key == "/":
            self.typing, self.detail = True, None
        elif key == "s":
            self._sort[self.view] = (self._sort[self.view] + 1) % len(_SORTS[self.view])
        elif key in ("p", " "):
            self.paused = not self.paused
        elif key in _STEPS:
            self.chosen += _STEPS[key]
            self._keep_cursor()
        elif key == "enter":
            rows = self.rows()
            self.detail = None if self.detail or not rows else rows[self.chosen]
        return True

    def clipboard(self) -> str:
        """What ``c`` copies: the id, address or text of the row under the cursor."""
        rows = [self.detail] if self.detail else self.rows()[self.chosen : self.chosen + 1]
        if not rows or rows[0] is None:
            return ""
        row = rows[0]
        self.copied = str(row.get("text") if self.view == "events" else row.get("id") or "")
        return self.copied

    def _show(self, view: str) -> None:
        self.view, self.chosen, self.detail = view, 0, None

    def _type(self, key: str) -> None:
        if key in ("enter", "escape", "ctrl-c"):
            self.typing = False
            if key != "enter":
                self.filter = ""
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif len(key) == 1 and key.isprintable() and len(self.filter) < 60:
            self.filter += key
        self._keep_cursor()

    def _keep_cursor(self) -> None:
        self.chosen = max(0, min(self.chosen, len(self.rows()) - 1))


_STEPS = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -10, "pagedown": 10}


def _order(value: Any) -> tuple[bool, Any]:
    """Numbers and texts in order, what is unknown last."""
    return value is None, value if isinstance(value, int | float) else str(value)


def _counts(sample: Sample) -> dict[str, float]:
    costs = sample.status.get("costs") or {}
    return {
        "commands": float(sample.info.get("total_commands_processed") or 0),
        "commits": float(sample.status.get("commits") or 0),
        "bytes": float(costs.get("bytes") or 0),
        "conflicts": float(sample.info.get("crdt_conflicts") or 0),
    }
