"""Tells the service manager how the daemon is: systemd's notification protocol, sd_notify(3).

Datagrams of ``NAME=value`` lines to the socket that ``$NOTIFY_SOCKET`` names; without it nothing
is said. The watchdog is fed by a trio task, so it is the event loop itself that proves to be
alive. Knows nothing of what the daemon does.
"""

import socket
import time
from collections.abc import Mapping

import trio

from gossipnet.io.logs import log_event


class Supervisor:
    """The service manager of this process, if there is one.

    Args:
      environment: Where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` stand.
      pid: This process.
    """

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        self._path = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog(environment, pid)
        self.asked = False

    def __bool__(self) -> bool:
        return bool(self._path)

    def say(self, **lines: str | int) -> None:
        """Send ``NAME=value`` lines; a manager that cannot be reached is logged, not fatal."""
        if not self._path:
            return
        message = "\n".join(f"{name}={value}" for name, value in lines.items())
        where = "\0" + self._path[1:] if self._path[0] == "@" else self._path
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(), where)
        except OSError as error:
            log_event("supervisor", f"the service manager is not reached: {error}", "warning")

    def ready(self, status: str) -> None:
        """The daemon serves."""
        self.say(READY=1, STATUS=status)

    def reloading(self) -> None:
        """Settings are being read again; `ready` ends it (Type=notify-reload)."""
        self.say(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def stopping(self) -> None:
        """The daemon was asked to stop, and says goodbye."""
        self.asked = True
        self.say(STOPPING=1)

    async def feed(self) -> None:
        """Feed the watchdog at half its time, for ever; return at once if there is none."""
        if not self._path or self.watchdog_s is None:
            return
        while True:
            self.say(WATCHDOG=1)
            await trio.sleep(self.watchdog_s / 2)


def _watchdog(environment: Mapping[str, str], pid: int) -> float | None:
    """Seconds of the watchdog, or None; it may be meant for another process."""
    written = environment.get("WATCHDOG_USEC", "")
    meant = environment.get("WATCHDOG_PID", str(pid))
    if not written.isdecimal() or int(written) == 0 or meant != str(pid):
        return None
    return int(written) / 1_000_000
