"""What is under way, as a bar or a line on standard error, for people only."""

import shutil
import sys
import time

_BAR = 30
_EVERY_SECONDS = 0.1


class Bar:
    """Shows how far something is; nothing where nobody looks.

    Args:
      what: Short, in front of the bar.
      unit: ``bytes`` or what else is counted.
    """

    def __init__(self, what: str, unit: str = "bytes") -> None:
        self._what = what
        self._unit = unit
        self._began = time.monotonic()
        self._shown = 0.0
        self._open = False

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are done; a total of 0 is unknown."""
        now = time.monotonic()
        if not sys.stderr.isatty() or (now - self._shown < _EVERY_SECONDS and done < total):
            return
        self._shown, self._open = now, True
        rate = done / max(now - self._began, 0.001)
        share = min(1.0, done / total) if total else 0.0
        bar = "#" * round(_BAR * share)
        text = (
            f"{self._what}  [{bar:<{_BAR}}] {share:4.0%}  {self._told(done)}, {self._told(rate)}/s"
        )
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._open:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _told(self, count: float) -> str:
        if self._unit != "bytes":
            return f"{count:,.0f} {self._unit}"
        return told_bytes(count)


class Waiting:
    """Says after a second for what a command waits; nothing where nobody looks.

    Args:
      after: Seconds until it says so.
    """

    def __init__(self, after: float = 1.0) -> None:
        self._began = time.monotonic()
        self._after = after
        self._open = False

    def __call__(self, what: str) -> None:
        """Show ``what``, and for how long it has been so."""
        seconds = time.monotonic() - self._began
        if seconds < self._after or not sys.stderr.isatty():
            return
        self._open = True
        room = shutil.get_terminal_size().columns - 1  # a line that wraps could not be replaced
        text = f"{seconds:3.0f} s  {what}"[:room]
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._open:
            self._open = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def told_bytes(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError(count)
