"""The daemon's log: one line per event on standard error, for people or for machines.

A terminal that was stopped with Ctrl-S, or a pipe that nobody reads, blocks whoever writes to it.
So lines enter a bounded queue and one thread writes them; what does not fit is counted, and the
count is told when there is room again. Each kind of event has a rate: the log of a mesh in trouble
must stay readable, and a peer must not be able to fill a disk.

Embedded nodes log to the same logger, ``gossipnet``, and leave handlers to their program.
"""

import json
import logging
import sys
import threading
import time
from collections import deque
from typing import TextIO

LOGGER = logging.getLogger("gossipnet")
QUEUE_LINES = 1024
BURST_LINES = 20.0
"""Lines of one kind at once; after that `LINES_PER_SECOND`."""
LINES_PER_SECOND = 1.0
MAX_KINDS = 256
MAX_TEXT = 1000
FLUSH_SECONDS = 0.5
"""How long the end of the process waits for a blocked standard error."""

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def log_event(kind: str, text: str, level: str = "info", node: str = "") -> None:
    """Log one event.

    Args:
      kind: Its stable name.
      text: One line; may hold what a peer chose.
      level: ``debug``, ``info``, ``warning`` or ``error``.
      node: Short id of the node it is about, or empty.
    """
    number = _LEVELS[level]
    if LOGGER.isEnabledFor(number):
        LOGGER.log(number, "%s", text, extra={"kind": kind, "node": node})


class LogWriter(logging.Handler):
    """Writes what is logged, without ever making the caller wait.

    Args:
      stream: Standard error.
      as_json: JSON objects instead of text.

    Attributes:
      dropped: Lines that the stream did not take in time.
      suppressed: Lines of kinds that came too often.
    """

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json
        self.dropped = 0
        self.suppressed = 0
        self._stream = stream
        self._lines: deque[str] = deque()
        self._wake = threading.Semaphore(0)
        self._idle = threading.Event()
        self._idle.set()
        self._stopping = False
        self._untold = 0
        self._rates: dict[str, tuple[float, float, int]] = {}
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one record; called by `logging`."""
        kind = str(getattr(record, "kind", record.name))
        more = self._admit(kind, record.created)
        if more < 0:
            self.suppressed += 1
            return
        text = record.getMessage()[:MAX_TEXT]
        if not self.as_json:
            text = _printable(text)  # a line end that a peer chose must not begin another line
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        if more:
            text += f" ({more} more like this were not shown)"
        self.line(self._formatted(record, kind, text))

    def line(self, line: str) -> None:
        """Queue one finished line."""
        if len(self._lines) >= QUEUE_LINES:
            self.dropped += 1
            self._untold += 1
            return
        if self._untold:
            self._lines.append(f"gossipnet: {self._untold} log lines were lost here")
            self._untold = 0
        self._idle.clear()
        self._lines.append(line)
        self._wake.release()

    def flush(self) -> None:
        """Wait until everything is written, but not for long."""
        self._idle.wait(FLUSH_SECONDS)

    def close(self) -> None:
        """Write what waits, then end the thread, but do not wait long for either."""
        self._stopping = True
        self._wake.release()
        self._thread.join(FLUSH_SECONDS)
        super().close()

    def _admit(self, kind: str, now: float) -> int:
        """How many were held back before this one; -1 to hold it back too."""
        left, since, held = self._rates.pop(kind, (BURST_LINES, now, 0))
        left = min(BURST_LINES, left + max(0.0, now - since) * LINES_PER_SECOND)
        admitted = left >= 1.0
        self._rates[kind] = (left - 1.0, now, 0) if admitted else (left, now, held + 1)
        if len(self._rates) > MAX_KINDS:
            del self._rates[next(iter(self._rates))]
        return held if admitted else -1

    def _formatted(self, record: logging.LogRecord, kind: str, text: str) -> str:
        node = str(getattr(record, "node", ""))
        level = record.levelname.lower()
        if self.as_json:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            row = {
                "time": f"{stamp}.{int(record.msecs):03d}Z",
                "level": level,
                "event": kind,
                "text": text,
            }
            return json.dumps(row | ({"node": node} if node else {}), ensure_ascii=True)
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        mark = "" if level == "info" else f"{level}: "
        tail = f"  [{node}]" if node else ""
        body = "\n".join(_printable(line) for line in text.splitlines())
        return f"{stamp}.{int(record.msecs):03d} {kind:<14} {mark}{body}{tail}"

    def _work(self) -> None:
        while True:
            self._wake.acquire()
            try:
                while self._lines:
                    self._stream.write(self._lines.popleft() + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # closed by whoever read it: nobody listens any more
                self._lines.clear()
            if not self._lines:
                self._idle.set()
                if self._stopping:
                    return


def start_logging(level: str, log_format: str, stream: TextIO | None = None) -> LogWriter:
    """Send the daemon's log to ``stream`` (standard error)."""
    writer = LogWriter(stream or sys.stderr, as_json=log_format == "json")
    LOGGER.setLevel(_LEVELS[level])
    LOGGER.addHandler(writer)
    LOGGER.propagate = False
    return writer


def set_level(level: str) -> None:
    """Say from now on what is at least this important."""
    LOGGER.setLevel(_LEVELS[level])


def stop_logging(writer: LogWriter) -> None:
    """Undo `start_logging`, after the last line is out or `FLUSH_SECONDS` have passed."""
    LOGGER.removeHandler(writer)
    LOGGER.propagate = True
    writer.close()


def _printable(line: str) -> str:
    """A line that cannot move the cursor of the terminal it is shown on."""
    if line.isprintable():
        return line
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
