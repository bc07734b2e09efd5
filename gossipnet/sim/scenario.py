"""One run from one seed: form a mesh, work on it while things fail, heal, and judge the outcome.

A run has three phases. The mesh *forms*; then clients *work* while the plan's faults happen; then
everything is *healed* and must become equal. Checks run throughout. What is measured on the way is
in the `Report`.
"""

from dataclasses import dataclass, field
from functools import partial
from math import inf

from gossipnet.protocol.effects import Event
from gossipnet.sim.checks import Check, Checks
from gossipnet.sim.faults import Crash, Faults, Plan
from gossipnet.sim.machine import Clock, Happening, Machine
from gossipnet.sim.mesh import Mesh
from gossipnet.sim.network import Conditions
from gossipnet.sim.report import Report
from gossipnet.sim.workload import Entry, Workload, ledger_complaint, ledger_losses

FORMED_WITHIN = 30.0
"""Seconds in which a mesh without faults must be complete."""

HEALED_WITHIN = 5.0
"""Seconds after the last fault in which state and views must be equal."""

KNOWN_WITHIN = 15.0
"""Seconds after which a crash must be known to all who can know; the figure itself is measured."""

SAMPLE = 0.25
"""Seconds between two times at which checks are asked."""

COMPARED = 8
"""Replicas of one version vector whose states are compared at each sample."""


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
      operations: Free operations of each node, in bursts of ``burst``.
      keys: Shared keys of each type.
      healed_within: Seconds after the last fault in which everything must be equal.
      hard: The network is so bad that a verdict about somebody who lives is counted, not blamed.
      early: End as soon as everything that must become true has.
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


class Simulation:
    """Carries out one run.

    Attributes:
      world, network, machines: For tests that want to look, or to meddle.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.mesh = Mesh(
            options.seed, options.nodes, options.conditions, durability=options.durability
        )
        self.world, self.network = self.mesh.world, self.mesh.network
        self.machines = self.mesh.machines
        rng = self.world.rng("clocks")
        for machine in self.machines:
            machine.clock = Clock(
                options.skew * (2 * rng.random() - 1), 1e-4 * (2 * rng.random() - 1)
            )
            machine.on_event = self._on_event
            machine.on_disk_lost = partial(self._on_disk_lost, machine)
            machine.on_spin = partial(self._on_spin, machine)
        self.checks = Checks()
        self.faults = Faults(self.world, self.network, self.machines, options.plan)
        self.workload = Workload(self.world.rng("workload"), options.keys)
        self.report = Report(options.seed, options.nodes)
        self._rng = self.world.rng("samples")
        self._mistakes: list[str] = []
        self._misbehaved: list[str] = []
        self._spinning: list[str] = []
        self._learned: dict[tuple[int, int], float] = {}

    # -- the phases ----------------------------------------------------------------------------

    def run(self) -> Report:
        """All phases; the report says whether all checks held."""
        options, world = self.options, self.world
        self._watch()
        spread = min(2.0, 0.02 * options.nodes)
        for machine in self.machines:
            at = 0.0 if machine.index == 0 else spread * self._rng.random()
            world.at(at, machine.start)
        formed = self.checks.eventually("formed", self.unequal, spread, FORMED_WITHIN)
        limit = max(spread, min(FORMED_WITHIN, 0.4 * options.duration))
        while formed.held_at is None and formed.failed_at is None and world.now < limit:
            self._step(min(world.now + SAMPLE, limit))
        self.report.formed_at = formed.held_at
        bytes_before, idle_from = self._bytes(), world.now

        end = max(world.now + 1.0, 0.6 * options.duration)
        self._work(world.now, end)
        self.faults.schedule(world.now, end)
        while world.now < end and not self._broken:
            self._step(min(world.now + SAMPLE, end))
        self._heal(end)
        seconds = world.now - idle_from
        self.report.bytes_per_node = (self._bytes() - bytes_before) / options.nodes / seconds
        return self._judge()

    def _heal(self, end: float) -> None:
        world, options = self.world, self.options
        healed_at = world.now
        self._note_detection()
        self.faults.heal()
        self.report.healed_at = healed_at
        equal = self.checks.eventually(
            "equal_after_healing", self.unequal, healed_at, options.healed_within
        )
        until = max(options.duration, healed_at + options.healed_within + SAMPLE)
        while world.now < until and not self._broken:
            if options.early and equal.held_at is not None and not self.checks.waiting:
                break
            self._step(min(world.now + SAMPLE, until))
        self.report.converged_at = equal.held_at

    def _step(self, until: float) -> None:
        self.world.run(until)
        self.checks.sample(self.world.now)

    @property
    def _broken(self) -> bool:
        """An invariant does not hold: what follows means nothing."""
        return any(check.failed_at is not None for check in self.checks.all.values())

    # -- work ----------------------------------------------------------------------------------

    def _work(self, start: float, end: float) -> None:
        options, rng, world = self.options, self.world.rng("clients"), self.world
        span = 0.98 * (end - start)
        for machine in self.machines:
            left = options.operations
            while left > 0:
                count = min(left, rng.randrange(1, 2 * options.burst))
                world.at(start + span * rng.random(), self._burst, machine, count)
                left -= count
        for _ in range(options.entries):
            machine = rng.choice(self.machines)
            world.at(start + span * rng.random(), self._entry, machine)

    def _burst(self, machine: Machine, count: int) -> None:
        if machine.running and machine.process is not None:
            machine.process.act(
                lambda engine: self.workload.free(engine.keyspace, count), lambda: None
            )

    def _entry(self, machine: Machine) -> None:
        process = machine.process
        if process is None or process.paused:
            return
        entries: list[Entry] = []

        def acknowledged() -> None:
            entries[0].acknowledged_at = self.world.now

        process.act(
            lambda engine: entries.append(self.workload.entry(engine.keyspace, machine.index)),
            acknowledged,
        )

    def _on_disk_lost(self, machine: Machine) -> None:
        others = [
            self.mesh.live(other).keyspace for other in self.machines if other.process is not None
        ]
        self.workload.ledger.disk_lost(machine.index, self.world.now, others)

    # -- what is watched -----------------------------------------------------------------------

    def _watch(self) -> None:
        checks = self.checks
        checks.always("equal_vectors_have_equal_state", self._diverged)
        checks.always("ledger_is_consistent", self._inconsistent)
        checks.always("no_false_death", lambda: self._mistakes[0] if self._mistakes else "")
        checks.always(
            "honest_peers_keep_the_protocol",
            lambda: self._misbehaved[0] if self._misbehaved else "",
        )
        checks.always("crashes_are_known", self._unaware)
        checks.always("timers_rest", lambda: self._spinning[0] if self._spinning else "")

    def _on_event(self, happening: Happening) -> None:
        event: Event = happening.event
        if event.kind == "peer-misbehaved":
            self._misbehaved.append(f"{happening.machine.name} at {happening.at:.3f}: {event.text}")
        if event.kind != "member-dead" or event.node is None:
            return
        subject = self.mesh.by_id[event.node]
        self._learned.setdefault((subject.index, happening.machine.index), happening.at)
        if not self.faults.excused(subject):
            self.report.false_deaths += 1
            if self.options.hard:
                return
            self._mistakes.append(
                f"{happening.machine.name} at {happening.at:.3f} s, which lives: {event.text}"
            )

    def _on_spin(self, machine: Machine) -> None:
        self._spinning.append(f"{machine.name} woke without end at {self.world.now:.3f} s")

    def _diverged(self) -> str:
        groups: dict[bytes, list[Machine]] = {}
        for machine in self.machines:
            engine = self.mesh.engine(machine)
            if engine is not None and not engine.replica.dirty:
                groups.setdefault(engine.digest(), []).append(machine)
        for group in groups.values():
            chosen = group
            if len(group) > COMPARED:
                chosen = self._rng.sample(group, COMPARED)
            states = {self.mesh.live(machine).replica.state_digest(): machine for machine in chosen}
            if len(states) > 1:
                names = " and ".join(machine.name for machine in states.values())
                return f"{names} have the same version vector and different state"
        return ""

    def _inconsistent(self) -> str:
        for machine in self.machines:
            engine = self.mesh.engine(machine)
            if engine is not None:
                complaint = ledger_complaint(engine.keyspace)
                if complaint:
                    return f"on {machine.name}: {complaint}"
        return ""

    def _unaware(self) -> str:
        if self.faults.cut_until > self.world.now - KNOWN_WITHIN:
            return ""
        for crash in self.faults.crashes:
            if crash.back_at is None and self.world.now - crash.at > KNOWN_WITHIN:
                for machine in self.machines:
                    if machine.running and not self.faults.excused(machine):
                        member = self.mesh.member(machine, crash.machine)
                        if member is not None and member.reachable:
                            return (
                                f"{machine.name} does not know that {crash.machine.name} is gone "
                                f"since {crash.at:.3f} s"
                            )
        return ""

    def unequal(self) -> str:
        """Whether state and views of all running machines differ, and how."""
        running = [machine for machine in self.machines if machine.running]
        engines = [self.mesh.live(machine) for machine in running]
        if any(engine.replica.dirty for engine in engines):
            return "writes wait for a disk"
        heads = {engine.digest() for engine in engines}
        if len(heads) > 1:
            return f"{len(heads)} different version vectors on {len(engines)} nodes"
        for machine, engine in zip(running, engines, strict=True):
            alive = engine.membership.alive_count()
            if alive != len(running):
                return f"{machine.name} sees {alive} of {len(running)} members alive"
        return ""

    # -- the outcome ---------------------------------------------------------------------------

    def _note_detection(self) -> None:
        times = [self._detection(crash) for crash in self.faults.crashes]
        known = [seconds for seconds in times if seconds is not None]
        self.report.detection = max(known) if known else None

    def _detection(self, crash: Crash) -> float | None:
        """Seconds until the last of those who were up knew; None if it came back before."""
        latest = 0.0
        for machine in self.machines:
            if machine is crash.machine or not machine.running:
                continue
            learned = self._learned.get((crash.machine.index, machine.index), inf)
            if learned < crash.at or learned == inf:
                return None
            latest = max(latest, learned)
        return latest - crash.at

    def _bytes(self) -> int:
        return sum(self.network.bytes_sent(machine.host) for machine in self.machines)

    def _judge(self) -> Report:
        report, now = self.report, self.world.now
        self.checks.give_up(now)
        if not self._broken:
            self.checks.finally_("states_are_equal", self._states_differ, now)
            self.checks.finally_("no_acknowledged_write_is_lost", self._losses, now)
        self._count()
        report.trace_hash = self.world.trace_hash
        report.events = self.world.events
        report.ended_at = now
        report.checks = list(self.checks.all.values())
        report.faults = dict(self.faults.done)
        report.operations = dict(self.workload.ledger.operations)
        report.acknowledged = len(self.workload.ledger.acknowledged)
        return report

    def _states_differ(self) -> str:
        states = {self.mesh.live(m).replica.state_digest() for m in self.machines}
        return "" if len(states) == 1 else f"{len(states)} different states"

    def _losses(self) -> str:
        for machine in self.machines:
            complaint = ledger_losses(self.mesh.live(machine).keyspace, self.workload.ledger)
            if complaint:
                return f"on {machine.name}: {complaint}"
        return ""

    def _count(self) -> None:
        report, counters = self.report, self.mesh.counters()
        received = counters["records_received"]
        duplicates = counters["records_duplicate"]
        if received > duplicates:
            report.rmr = duplicates / (received - duplicates)
        report.last_hop = max(
            (self.mesh.live(m).context.counters["hops_max"] for m in self.machines if m.running),
            default=0,
        )
        totals = [self.mesh.live(m).replica.total for m in self.machines if m.running]
        report.missed = sum(max(totals, default=0) - total for total in totals)
        report.counters = counters


def failed(checks: list[Check]) -> list[Check]:
    """Those that did not hold."""
    return [check for check in checks if not check.ok]
