"""When did every process say it? Follows the logs that daemons write, Serf's and our own alike."""

import time
from collections.abc import Sequence
from pathlib import Path


class LogWatch:
    """What is added to some log files from now on."""

    def __init__(self, logs: Sequence[Path]) -> None:
        self._logs = list(logs)
        self._from = {log: log.stat().st_size for log in logs}

    def everywhere(self, text: bytes, seconds: float) -> float:
        """Monotonic seconds at which the last of them had added ``text``.

        Raises:
          OSError: Not all did within so many seconds.
        """
        missing = set(self._logs)
        end = time.perf_counter() + seconds
        while missing:
            missing = {log for log in missing if text not in self._added(log)}
            now = time.perf_counter()
            if missing and now > end:
                raise OSError(f"{len(missing)} of {len(self._logs)} never noticed: {text!r}")
            time.sleep(0.005)
        return time.perf_counter()

    def count(self, text: bytes) -> int:
        """How often ``text`` was added in all of them."""
        return sum(self._added(log).count(text) for log in self._logs)

    def _added(self, log: Path) -> bytes:
        with log.open("rb") as file:
            file.seek(self._from[log])
            return file.read()
