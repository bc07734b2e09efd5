"""Where the demo runs: its folder, ports and environment, and what signals do meanwhile."""

import contextlib
import os
import random
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from gossipnet.config import SOCKET_FILE, SOCKET_PATH_LIMIT
from gossipnet.errors import UserError

_PREFIX = "gossipnet-demo-"
_PORTS = range(20_000, 30_000)  # below the ports that systems hand out for outgoing connections
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def child_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of every command: no settings of gossipnet or redis-cli, no colours."""
    import gossipnet

    kept = {
        name: value
        for name, value in env.items()
        if not name.startswith(("GOSSIPNET_", "REDISCLI_"))
    }
    kept |= {"NO_COLOR": "1", "REDISCLI_RCFILE": os.devnull}
    if gossipnet.__version__ == "0+source":  # never installed: only this process knows where it is
        source = str(Path(gossipnet.__file__).parent.parent)
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [source, env.get("PYTHONPATH")]))
    return kept


def short_folder(longest: str) -> Path:
    """A new temporary folder in which a socket's path fits into the system's limit.

    Raises:
      UserError: There is none.
    """
    for base in (_temporary_base(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp below
        if base is None:
            continue
        base = os.path.realpath(base)  # the path that the daemons will see; longer on macOS
        whole = os.path.join(base, f"{_PREFIX}12345678", longest, SOCKET_FILE)
        if len(os.fsencode(whole)) > SOCKET_PATH_LIMIT:
            continue
        with contextlib.suppress(OSError):
            return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    raise UserError(
        "there is no writable folder for temporary files with a short enough path: "
        "set TMPDIR to one, for example TMPDIR=$HOME/t"
    )


def _temporary_base() -> str | None:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return None


def free_ports(count: int) -> list[int]:
    """Neighbouring loopback ports that nobody listens on now."""
    for _ in range(100):
        first = random.SystemRandom().randrange(_PORTS.start, _PORTS.stop - count)
        ports = list(range(first, first + count))
        if all(_is_free(port) for port in ports):
            return ports
    raise UserError(f"no {count} free ports were found on 127.0.0.1 between 20000 and 30000")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Ignore the signals that end a process."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP (a closed terminal) do what Ctrl-C does, so that all is cleaned up."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    # What is ignored already, as SIGHUP is under nohup, stays so.
    before = {n: h for n in numbers if (h := signal.getsignal(n)) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
