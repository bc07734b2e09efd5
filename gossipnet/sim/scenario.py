"""One run from one seed: form a mesh, work on it while things fail, heal, and judge the outcome.

A run has three phases. The mesh *forms*; then clients *work* while the plan's faults happen; then
everything is *healed* and must become equal. Checks run throughout. What is measured on the way is
in the `Report`. Tests that want to meddle call the phases one by one.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from gossipnet.sim.checks import Checks
from gossipnet.sim.faults import Faults, Plan
from gossipnet.sim.machine import Clock, Machine
from gossipnet.sim.mesh import Mesh
from gossipnet.sim.report import Report
from gossipnet.sim.route import (
    Conditions,
)
from gossipnet.sim.watch import Watch
from gossipnet.sim.workload import Entry, Workload

FORMED_WITHIN = 30.0
"""Seconds in which a mesh without faults must be complete."""

HEALED_WITHIN = 5.0
"""Seconds after the last fault in which state and views must be equal."""

SAMPLE = 0.25
"""Seconds between two times at which checks are asked."""

WORK_SHARE = 0.6
"""Of a run: then faults and clients end, and what is left is for healing."""


@dataclass
class Options:
    """Everything that decides a run, besides the code.

    Attributes:
      nodes, seed: How many, and from what everything random comes.
      duration: Virtual seconds in all; the last 40 % are for healing.
      conditions: The network.
      plan: The faults.
      durability: Of every machine's disk.
      skew: Wall clocks are off by up to this many seconds, either way.
      entries: Ledger entries in all.
      operations: Free operations of each node, in bursts of about ``burst``.
      keys: Shared keys of each type.
      healed_within: Seconds after the last fault in which everything must be equal.
      hard: The network is so bad that a verdict about somebody who lives is counted, not blamed.
      early: End as soon as everything that must become true has.
      sampled: Ask the checks four times a second; else they are not asked while time passes.
    """

    nodes: int = 20
    seed: int = 1
    duration: float = 60.0
    conditions: Conditions = field(default_factory=Conditions)
    plan: Plan = field(default_factory=Plan)
    durability: str = "always"
    skew: float = 0.0
    entries: int = 100
    operations: int = 50
    burst: int = 10
    keys: int = 6
    healed_within: float = HEALED_WITHIN
    hard: bool = False
    early: bool = False
    sampled: bool = True


class Simulation:
    """Carries out one run.

    Attributes:
      mesh, world, network, machines, faults, checks, watch, workload: For tests that want to look,
        or to meddle.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.mesh = Mesh(
            options.seed, options.nodes, options.conditions, durability=options.durability
        )
        self.world, self.network = self.mesh.world, self.mesh.network
        self.machines = self.mesh.machines
        self.checks = Checks()
        self.faults = Faults(self.world, self.network, self.machines, options.plan)
        self.workload = Workload(self.world.rng("workload"), options.keys)
        self.watch = Watch(
            self.mesh,
            self.faults,
            self.checks,
            self.workload.ledger,
            blameless=options.hard,
        )
        self.report = Report(options.seed, options.nodes)
        self._bytes_before, self._measured_from = 0, 0.0
        self._counters_before: Counter[str] = Counter()
        rng = self.world.rng("clocks")
        for machine in self.machines:
            machine.clock = Clock(
                options.skew * (2 * rng.random() - 1), 1e-4 * (2 * rng.random() - 1)
            )
            machine.on_event = self.watch.told
            machine.on_spin = partial(self.watch.spun, machine)
            machine.on_disk_lost = partial(self._on_disk_lost, machine)

    # -- the phases ----------------------------------------------------------------------------

    def run(self) -> Report:
        """All phases; the report says whether all checks held."""
        self.form()
        end = max(self.world.now + 1.0, WORK_SHARE * self.options.duration)
        self.work(end)
        self.faults.schedule(self.world.now, end)
        self.world.at((self.world.now + end) / 2, self.measure)
        self.run_until(end)
        self.heal()
        return self.judge()

    def form(self) -> None:
        """Start all machines and let the mesh form."""
        options, world = self.options, self.world
        spread, rng = (
            max(min(2.0, 0.02 * options.nodes), 0.01 * options.nodes),
            self.world.rng("starts"),
        )
        for machine in self.machines:
            world.at(0.0 if machine.index == 0 else spread * rng.random(), machine.start)
        formed = self.checks.eventually("formed", self.watch.unequal, spread, FORMED_WITHIN)
        sampled, options.sampled = options.sampled, True
        limit = max(spread, min(FORMED_WITHIN, 0.4 * options.duration))
        while formed.held_at is None and formed.failed_at is None and world.now < limit:
            self.run_until(min(world.now + SAMPLE, limit))
        self.report.formed_at, options.sampled = formed.held_at, sampled
        self.measure()

    def work(self, end: float) -> None:
        """Spread what clients do over the time from now to ``end``."""
        options, rng, world = self.options, self.world.rng("clients"), self.world
        start, span = world.now, 0.98 * (end - world.now)
        for machine in self.machines:
            left = options.operations
            while left > 0:
                count = min(left, rng.randrange(1, 2 * options.burst))
                world.at(start + span * rng.random(), self.burst, machine, count)
                left -= count
        for _ in range(options.entries):
            machine = rng.choice(self.machines)
            world.at(start + span * rng.random(), self.entry, machine)

    def run_until(self, end: float) -> None:
        """Let time pass, and ask the checks; stops when an invariant is broken."""
        while self.world.now < end and not self.broken:
            self.world.run(min(self.world.now + SAMPLE, end))
            if self.options.sampled:
                self.checks.sample(self.world.now)

    def heal(self) -> None:
        """End all faults; from now on everything must become equal."""
        world, options, healed_at = self.world, self.options, self.world.now
        self.report.detection = self.watch.detection()
        self.sum_up()
        self.faults.heal()
        self.report.healed_at = healed_at
        equal = self.checks.eventually(
            "equal_after_healing", self.watch.unequal, healed_at, options.healed_within
        )
        until = max(options.duration, healed_at + options.healed_within + 2 * SAMPLE)
        while world.now < until and not self.broken:
            if options.early and equal.held_at is not None:
                break
            self.run_until(min(world.now + SAMPLE, until))
        self.report.converged_at = equal.held_at

    def judge(self) -> Report:
        """Ask what must be true in the end, and sum up."""
        report = self.report
        # Keys that ended are reaped by writes of their own, even now.
        limit = self.world.now + self.options.healed_within
        while self.world.now < limit and not self.broken and self.watch.unequal():
            self.run_until(min(self.world.now + SAMPLE, limit))
        now = self.world.now
        self.checks.give_up(now)
        if not self.broken:
            self.checks.finally_("states_are_equal", self.watch.different, now)
            self.checks.finally_("no_acknowledged_write_is_lost", self.watch.losses, now)
        totals = [self.mesh.live(m).replica.total for m in self.machines if m.running]
        report.missed = sum(max(totals, default=0) - total for total in totals)
        report.counters = self.mesh.counters()
        report.checks = list(self.checks.all.values())
        report.trace_hash = self.world.trace_hash
        report.events = self.world.events
        report.ended_at = now
        report.false_deaths = self.watch.false_deaths
        report.faults = dict(self.faults.done)
        report.operations = dict(self.workload.ledger.operations)
        report.acknowledged = len(self.workload.ledger.acknowledged)
        return report

    @property
    def broken(self) -> bool:
        """Something does not hold: what follows means nothing."""
        return any(check.failed_at is not None for check in self.checks.all.values())

    # -- clients -------------------------------------------------------------------------------

    def burst(self, machine: Machine, count: int) -> None:
        """A client of this machine does so many operations at once."""
        if machine.running and machine.process is not None:
            machine.process.act(
                lambda engine: self.workload.free(engine.keyspace, count), lambda: None
            )

    def entry(self, machine: Machine) -> None:
        """A client of this machine makes an entry in the ledger."""
        process = machine.process
        if process is None or process.paused:
            return
        entries: list[Entry] = []

        def acknowledged() -> None:
            if not entries[0].refused:
                entries[0].acknowledged_at = self.world.now

        process.act(
            lambda engine: entries.append(self.workload.entry(engine.keyspace, machine.index)),
            acknowledged,
        )

    def _on_disk_lost(self, machine: Machine, entirely: bool) -> None:
        engines = [self.mesh.engine(other) for other in self.machines]
        others = [engine.keyspace for engine in engines if engine is not None]
        self.workload.ledger.disk_lost(machine.index, self.world.now, others, entirely=entirely)

    # -- figures -------------------------------------------------------------------------------

    def _bytes(self) -> int:
        return sum(self.network.bytes_sent(machine.host) for machine in self.machines)

    def measure(self) -> None:
        """What was sent until now was for finding together, and does not count."""
        self._bytes_before, self._measured_from = self._bytes(), self.world.now
        for machine in self.machines:
            engine = self.mesh.engine(machine)
            if engine is not None:
                engine.context.counters["hops_max"] = 0
        self._counters_before = self.mesh.counters()

    def sum_up(self) -> None:
        """What was sent and received since `measure`, into the report."""
        report = self.report
        counters = self.mesh.counters()
        counters.subtract(self._counters_before)
        received, duplicates = counters["records_received"], counters["records_duplicate"]
        if received > duplicates:
            report.rmr = duplicates / (received - duplicates)
        up = [self.mesh.live(machine) for machine in self.machines if machine.running]
        report.last_hop = max((engine.context.counters["hops_max"] for engine in up), default=0)
        seconds = max(self.world.now - self._measured_from, 1e-9)
        sent = self._bytes() - self._bytes_before
        report.bytes_per_node = sent / self.options.nodes / seconds
