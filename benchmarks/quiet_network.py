"""A network namespace of its own, so that nothing else is counted, lost or in the way."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_network() -> Iterator[tuple[str, ...]]:
    """What to put before a command to run it alone on a loopback; empty without root."""
    name = f"gnb{os.getpid()}"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        yield ()
        return
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode != 0:
        yield ()
        return
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield ("ip", "netns", "exec", name)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def lose(prefix: tuple[str, ...], percent: int) -> None:
    """From now on so many of a hundred packets are lost in that namespace, of all protocols."""
    rules = (
        "table inet loss { chain in { type filter hook input priority 0; "
        f"numgen random mod 100 < {percent} drop; }}; }}"
    )
    subprocess.run([*prefix, "nft", "-f", "-"], input=rules, text=True, check=True)


def sent(prefix: tuple[str, ...]) -> int:
    """Bytes that left over the loopback so far."""
    told = subprocess.run(
        [*prefix, "cat", "/proc/net/dev"], check=True, capture_output=True, text=True
    ).stdout
    (line,) = (line for line in told.splitlines() if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[8])
