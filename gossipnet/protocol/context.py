"""What every part of the engine shares during one turn: time, randomness, timers, effects.

Parts never call a driver; they append effects here, and the engine hands them out. Parts find each
other through the engine that composes them, not through this object.
"""

import random
from collections import Counter
from collections.abc import Callable

from gossipnet.ids import NodeId
from gossipnet.protocol.effects import CloseLink, Effect, Event, Lane, Send
from gossipnet.protocol.timers import Timers
from gossipnet.protocol.wire import encode
from gossipnet.protocol.wire_types import Message


class Context:
    """Shared by the parts of one engine.

    Attributes:
      now: Monotonic seconds of this turn.
      wall: Unix seconds of this turn.
      floor: Unix seconds; it is later than this for sure (`TimeFloor`).
      rng: For choices that need no secrecy.
      entropy: ``entropy(n)`` gives n unpredictable bytes.
      timers: Deadlines on ``now``.
      effects: What the driver must do, in order.
      meta: Named values to store with the next commit; None deletes.
      counters: Everything that happened, by name; `status` shows them.
      others: How many other members live, as far as is known; set by the engine.
    """

    __slots__ = (
        "counters",
        "effects",
        "entropy",
        "floor",
        "meta",
        "now",
        "others",
        "rng",
        "timers",
        "wall",
    )

    def __init__(
        self, rng: random.Random, entropy: Callable[[int], bytes], now: float, wall: float
    ) -> None:
        self.now = now
        self.wall = wall
        self.floor = 0.0
        self.rng = rng
        self.entropy = entropy
        self.timers = Timers()
        self.effects: list[Effect] = []
        self.meta: dict[str, bytes | None] = {}
        self.counters: Counter[str] = Counter()
        self.others: Callable[[], int] = lambda: 0

    @property
    def trusted(self) -> float:
        """Unix seconds to judge certificates by: the clock's, but never before the floor."""
        return max(self.wall, self.floor)

    @property
    def wall_ms(self) -> int:
        """Unix milliseconds of this turn."""
        return int(self.wall * 1000)

    def send(self, link: int, lane: Lane, message: Message) -> None:
        """Queue a message on a link."""
        self.effects.append(Send(link, lane, encode(message)))

    def send_bytes(self, link: int, lane: Lane, payload: bytes) -> None:
        """Queue an already encoded message: one encoding for many links."""
        self.effects.append(Send(link, lane, payload))

    def send_droppable(self, link: int, lane: Lane, payload: bytes) -> None:
        """The same for what had better be lost than make a slow link slower."""
        self.effects.append(Send(link, lane, payload, True))

    def close(self, link: int, reason: str) -> None:
        """End a link; the caller has already forgotten it."""
        self.counters[f"closed_{reason.replace('-', '_')}"] += 1
        self.effects.append(CloseLink(link, reason))

    def event(self, kind: str, text: str, level: str = "info", node: NodeId | None = None) -> None:
        """Tell people."""
        self.effects.append(Event(kind, text, level, node))

    def after(self, seconds: float, spread: float = 0.0) -> float:
        """A deadline ``seconds`` from now, moved by up to ± ``spread`` of it."""
        if spread:
            seconds *= 1.0 + spread * (2.0 * self.rng.random() - 1.0)
        return self.now + seconds
