"""A network of its own per daemon: namespaces on one bridge, cut by an nft rule on the bridge.

Needs root, iproute2 and nftables. Packets are dropped in silence, as a cable that was pulled or a
router that died does it: nobody gets a reset.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator

NET = "10.80.0"


def available() -> tuple[bool, str]:
    """Whether this machine can do it, and what it lacks."""
    missing = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    if os.geteuid() != 0:
        return False, "cutting networks needs root"
    if missing:
        return False, f"cutting networks needs {' and '.join(missing)}"
    probe = subprocess.run(
        ["ip", "netns", "add", f"gn{os.getpid()}probe"], capture_output=True, text=True, check=False
    )
    if probe.returncode != 0:
        return False, f"network namespaces are not available: {probe.stderr.strip()}"
    _run("ip", "netns", "del", f"gn{os.getpid()}probe")
    return True, ""


def _run(*words: str, stdin: str | None = None) -> None:
    subprocess.run(words, input=stdin, text=True, check=True, capture_output=True)


class Network:
    """Hosts 0..n-1, each in a namespace, on one bridge in a further namespace."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._prefix = f"gn{os.getpid()}"
        self._hub = f"{self._prefix}hub"

    @classmethod
    @contextlib.contextmanager
    def built(cls, count: int) -> Iterator["Network"]:
        """The network, for the length of the block."""
        network = cls(count)
        try:
            network._build()
            yield network
        finally:
            network._remove()

    def namespace(self, number: int) -> str:
        return f"{self._prefix}n{number}"

    def host(self, number: int) -> str:
        return f"{NET}.{number + 1}"

    def inside(self, number: int) -> list[str]:
        """What to put before a command to run it on that host."""
        return ["ip", "netns", "exec", self.namespace(number)]

    def cut(self, *groups: list[int]) -> None:
        """Only hosts that share a group reach each other from now on."""
        everyone = range(self.count)
        self._drop(
            (a, b)
            for a in everyone
            for b in everyone
            if a != b and not any(a in group and b in group for group in groups)
        )

    def cut_one_way(self, source: int, targets: list[int]) -> None:
        """What ``source`` sends to these is lost from now on."""
        self._drop((source, target) for target in targets)

    def heal(self) -> None:
        """Everyone reaches everyone."""
        self._drop(())

    def _drop(self, pairs: Iterable[tuple[int, int]]) -> None:
        elements = ", ".join(f"{self.host(a)} . {self.host(b)}" for a, b in pairs)
        rules = "table bridge cut {}\ndelete table bridge cut\n"
        if elements:
            rules += (
                "table bridge cut { set pairs { type ipv4_addr . ipv4_addr; elements = { "
                f"{elements} }}; }}; chain f {{ type filter hook forward priority 0; "
                "ip saddr . ip daddr @pairs drop; }; }\n"
            )
        _run("ip", "netns", "exec", self._hub, "nft", "-f", "-", stdin=rules)

    def _build(self) -> None:
        _run("ip", "netns", "add", self._hub)
        _run("ip", "-n", self._hub, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", self._hub, "link", "set", "br0", "up")
        for number in range(self.count):
            name, port = self.namespace(number), f"p{number}"
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
            _run(
                *("ip", "-n", name, "link", "add", "eth0", "type", "veth"),
                *("peer", "name", port, "netns", self._hub),
            )
            _run("ip", "-n", self._hub, "link", "set", port, "master", "br0", "up")
            _run("ip", "-n", name, "addr", "add", f"{self.host(number)}/24", "dev", "eth0")
            _run("ip", "-n", name, "link", "set", "eth0", "up")

    def _remove(self) -> None:
        for name in (self._hub, *(self.namespace(number) for number in range(self.count))):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
