"""What goes wrong in a run: crashes, partitions, pauses, resets, wrong clocks, bursts of loss.

Faults are drawn from the seed, begin and end by themselves, and are all over after `heal`. They
also keep the truth against which verdicts are judged: who is really up, and since when. Knows no
engine.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from gossipnet.sim.machine import Machine
from gossipnet.sim.network import Host, Network
from gossipnet.sim.world import World

PARTITIONS = ("halves", "one", "one-way", "bridge", "partial")
"""Shapes: two sides; one machine alone; nothing in one direction; two sides that share one machine;
some pairs only."""

EXCUSE = 5.0
"""Seconds after a disturbance for which a verdict about the disturbed is no mistake."""


@dataclass
class Plan:
    """How many faults of each kind, and how they are.

    Attributes:
      crashes: Machines that stop and come back.
      power: Share of the crashes that are power failures, which lose what was not synced.
      wipe: Share of the power failures after which the disk is empty.
      stay_down: Crashed machines stay down until the end of the faults.
      partitions: Partitions, one after another.
      shapes: Which of `PARTITIONS`.
      pauses: Processes that stand still for a while.
      resets: Links broken by something in between.
      loss_bursts: Short times in which a third of everything is lost.
      longest: The most seconds a crash, partition or pause may last.
    """

    crashes: int = 0
    power: float = 0.5
    wipe: float = 0.0
    stay_down: bool = False
    partitions: int = 0
    shapes: tuple[str, ...] = PARTITIONS
    pauses: int = 0
    resets: int = 0
    loss_bursts: int = 0
    longest: float = 8.0


@dataclass
class Crash:
    """One machine that stopped.

    Attributes:
      machine: Which.
      at: When.
      back_at: When it was started again, or None.
    """

    machine: Machine
    at: float
    back_at: float | None = None


class Faults:
    """Carries a plan out.

    Attributes:
      crashes: All so far.
      done: How many faults of each kind have happened.
      cut_until: Until when verdicts about anybody are excused; infinite during a partition.
    """

    def __init__(self, world: World, network: Network, machines: list[Machine], plan: Plan) -> None:
        self._world = world
        self._network = network
        self._machines = machines
        self._plan = plan
        self._rng = world.rng("faults")
        self._over = False
        self._base_loss = network.conditions.loss
        self._disturbed: dict[int, float] = {}
        self.crashes: list[Crash] = []
        self.done: dict[str, int] = {}
        self.cut_until = -1.0

    def schedule(self, start: float, end: float) -> None:
        """Spread the plan over this time."""
        plan, rng = self._plan, self._rng
        span = end - start
        for count, begin in (
            (plan.crashes, self._crash),
            (plan.pauses, self._pause),
            (plan.resets, self._reset),
            (plan.loss_bursts, self._burst),
        ):
            for _ in range(count):
                self._world.at(start + span * 0.9 * rng.random(), self._unless_over, begin)
        for number in range(plan.partitions):
            slot = span / plan.partitions
            self._world.at(
                start + slot * (number + 0.3 * rng.random()),
                self._unless_over,
                lambda limit=slot * 0.6: self._partition(limit),
            )

    def heal(self) -> None:
        """End every fault now, and begin no other."""
        self._over = True
        self._heal_network()
        self._network.set_loss(self._base_loss)
        for machine in self._machines:
            if machine.process is None:
                self.restart(machine)
            elif machine.process.paused:
                machine.process.resume()

    # -- the truth -----------------------------------------------------------------------------

    def excused(self, machine: Machine) -> bool:
        """Whether somebody may believe just now that a machine is gone."""
        now = self._world.now
        return (
            machine.process is None
            or machine.process.paused
            or now <= self.cut_until
            or now <= self._disturbed.get(machine.index, -1.0)
        )

    def crash(self, machine: Machine, *, power: bool) -> None:
        """Stop a machine now."""
        if machine.process is None:
            return
        if power:
            machine.lose_power()
        else:
            machine.kill()
        self._count("power failures" if power else "kills")
        self.crashes.append(Crash(machine, self._world.now))

    def restart(self, machine: Machine) -> None:
        """Start a machine that stopped; nothing if it runs."""
        if machine.process is not None:
            return
        machine.start()
        self._disturbed[machine.index] = self._world.now + EXCUSE
        for crash in self.crashes:
            if crash.machine is machine and crash.back_at is None:
                crash.back_at = self._world.now

    # -- kinds ---------------------------------------------------------------------------------

    def _unless_over(self, begin: Callable[[], None]) -> None:
        if not self._over:
            begin()

    def _count(self, kind: str) -> None:
        self.done[kind] = self.done.get(kind, 0) + 1

    def _duration(self) -> float:
        # Most are short, some are long: both find other faults.
        return 0.05 + self._plan.longest * self._rng.random() ** 2

    def _pick(self) -> Machine | None:
        up = [machine for machine in self._machines if machine.running]
        return self._rng.choice(up) if len(up) > 1 else None

    def _crash(self) -> None:
        machine = self._pick()
        if machine is None:
            return
        power = self._rng.random() < self._plan.power
        wipe = power and self._rng.random() < self._plan.wipe
        self.crash(machine, power=power)
        if wipe:
            machine.wipe()
            self._count("disks lost")
        if not self._plan.stay_down:
            self._world.after(self._duration(), self.restart, machine)

    def _pause(self) -> None:
        machine = self._pick()
        if machine is None or machine.process is None:
            return
        process = machine.process
        process.pause()
        self._count("pauses")

        def resume() -> None:
            if process.alive and process.paused:
                process.resume()
                self._disturbed[machine.index] = self._world.now + EXCUSE

        self._world.after(self._duration(), resume)

    def _reset(self) -> None:
        if self._network.links:
            self._network.break_link(self._rng.choice(list(self._network.links)))
            self._count("resets")

    def _burst(self) -> None:
        self._network.set_loss(max(self._base_loss, 0.33))
        self._count("loss bursts")
        seconds = self._duration() / 2
        # Nobody promises anything for a sudden loss of a third: calm has taught short patience.
        self.cut_until = max(self.cut_until, self._world.now + seconds + EXCUSE)
        self._world.after(
            seconds, self._unless_over, lambda: self._network.set_loss(self._base_loss)
        )

    # -- partitions ----------------------------------------------------------------------------

    def _partition(self, limit: float) -> None:
        self.partition(self._rng.choice(self._plan.shapes))
        seconds = min(self._duration(), max(limit, 0.1))
        self._world.after(seconds, self._unless_over, self._heal_network)

    def partition(self, shape: str) -> None:
        """Cut the network now; `PARTITIONS` names the shapes, ``even-halves`` is one more."""
        self._count(f"partitions ({shape})")
        self.cut_until = float("inf")
        for source, target in cut_pairs(self._rng, self._network.hosts, shape):
            self._network.cut(source, target)

    def _heal_network(self) -> None:
        if self._network.cuts:
            self.cut_until = self._world.now + EXCUSE
        self._network.heal()


def cut_pairs(rng: random.Random, hosts: list[Host], shape: str) -> list[tuple[Host, Host]]:
    """The ordered pairs between which nothing gets through in a partition of this shape."""
    mixed = list(hosts)
    rng.shuffle(mixed)
    if shape == "partial":
        return [
            (one, other)
            for one in hosts
            for other in hosts
            if one is not other and rng.random() < 0.4
        ]
    if shape == "even-halves":
        split = len(mixed) // 2
    else:
        split = 1 if shape == "one" else rng.randrange(1, max(2, len(mixed)))
    left, right = mixed[:split], mixed[split:]
    if shape == "bridge" and len(right) > 1:
        right = right[1:]
    pairs = [(one, other) for one in left for other in right]
    if shape != "one-way":
        pairs += [(other, one) for one, other in pairs]
    return pairs
