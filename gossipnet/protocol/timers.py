"""A timer heap for the engine: named deadlines, cheap to move, cheap to cancel.

Knows no clock; the engine asks for the next deadline and fires what is due. Cancelled and moved
entries stay in the heap until they surface, and the heap is rebuilt when they outnumber the rest.
"""

import heapq
from collections.abc import Callable, Hashable
from math import inf

Action = Callable[[], None]

WALL_AGAIN = 30.0
"""The longest wait, in seconds, for a deadline on a clock that people may set."""


class Timers:
    """Deadlines in seconds of the engine's ``now``, each under a hashable name."""

    __slots__ = ("_heap", "_live", "_serial", "_walls")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Hashable]] = []
        self._live: dict[Hashable, tuple[int, Action]] = {}
        self._serial = 0
        self._walls: dict[Hashable, float] = {}

    def set(self, name: Hashable, at: float, action: Action) -> None:
        """Run ``action`` at ``at``; replaces an earlier timer of that name."""
        self._serial += 1
        self._live[name] = (self._serial, action)
        heapq.heappush(self._heap, (at, self._serial, name))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._live):
            self._rebuild()

    def set_wall(self, name: Hashable, due: float, now: float, wall: float, action: Action) -> None:
        """Run ``action`` when the wall clock shows ``due`` (unix seconds; infinity: never).

        Cheap to call again with the same ``due``. The clock may be set meanwhile, so the action
        also runs, too early, every `WALL_AGAIN` seconds.
        """
        if due == inf:
            self._walls.pop(name, None)
            self.cancel(name)
        elif name not in self._live or self._walls.get(name) != due:
            self._walls[name] = due
            self.set(name, now + min(max(0.0, due - wall), WALL_AGAIN), action)

    def cancel(self, name: Hashable) -> None:
        """Forget a timer; no error if there is none."""
        self._live.pop(name, None)

    def __contains__(self, name: Hashable) -> bool:
        return name in self._live

    def deadline(self) -> float:
        """When the next timer is due; infinity if there is none."""
        while self._heap:
            at, serial, name = self._heap[0]
            live = self._live.get(name)
            if live is not None and live[0] == serial:
                return at
            heapq.heappop(self._heap)
        return inf

    def fire(self, now: float) -> None:
        """Run everything that is due. An action may set timers; they run too if they are due."""
        while self.deadline() <= now:
            _at, _serial, name = heapq.heappop(self._heap)
            _serial, action = self._live.pop(name)
            action()

    def _rebuild(self) -> None:
        self._heap = [
            entry
            for entry in self._heap
            if (live := self._live.get(entry[2])) is not None and live[0] == entry[1]
        ]
        heapq.heapify(self._heap)
