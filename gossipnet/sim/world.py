"""The discrete-event loop: one heap of things to come, one virtual clock, one trace.

Whatever happens at the same instant happens in the order in which it was asked for. The trace is a
running hash over everything that reached a machine; two runs of one seed must agree on it. Knows
nothing of networks, machines or engines.
"""

import hashlib
import heapq
import random
from collections.abc import Callable
from struct import Struct
from typing import Any

WALL_START = 1_800_000_000.0
"""Unix seconds at virtual time 0: a fixed day, so that certificates and stamps repeat."""

_HEAD = Struct("<dIBI").pack


class World:
    """Virtual time and what will happen in it.

    Args:
      seed: Everything random is derived from it.

    Attributes:
      now: Seconds since the start.
      events: How many things have happened.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0.0
        self.events = 0
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._serial = 0
        self._trace = hashlib.blake2b(digest_size=16)

    def rng(self, name: str) -> random.Random:
        """A generator of its own for one purpose: drawing more here changes nothing elsewhere."""
        material = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=16).digest()
        return random.Random(int.from_bytes(material, "big"))

    def derive(self, name: str, size: int) -> bytes:
        """``size`` (at most 64) bytes that depend on the seed and the name alone."""
        return hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=size).digest()

    def at(self, time: float, action: Callable[..., None], *arguments: Any) -> None:
        """Call ``action`` at ``time``, or at once (but later) if that has passed."""
        self._serial += 1
        heapq.heappush(self._heap, (max(time, self.now), self._serial, action, arguments))

    def after(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        """Call ``action`` ``delay`` seconds from now."""
        self.at(self.now + delay, action, *arguments)

    def run(self, until: float) -> None:
        """Let everything happen up to ``until``, which is then the time."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _serial, action, arguments = heapq.heappop(heap)
            self.events += 1
            action(*arguments)
        self.now = max(self.now, until)

    def note(self, machine: int, kind: int, data: bytes) -> None:
        """Put something that reached a machine into the trace."""
        self._trace.update(_HEAD(self.now, machine, kind, len(data)) + data)

    @property
    def trace_hash(self) -> str:
        """32 hexadecimal digits over everything noted so far."""
        return self._trace.hexdigest()
