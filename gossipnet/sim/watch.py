"""What must hold in every run: invariants at any time, and what must be true in the end.

Looks into engines and replicas, and never changes them. Who may be taken for dead is decided by the
truth that `Faults` keeps.
"""

from math import inf

from gossipnet.protocol.engine import Engine
from gossipnet.sim.checks import Checks
from gossipnet.sim.faults import Crash, Faults
from gossipnet.sim.machine import Happening, Machine
from gossipnet.sim.mesh import Mesh
from gossipnet.sim.workload import Ledger, ledger_complaint, ledger_losses

KNOWN_WITHIN = 15.0
"""Seconds after which a crash must be known to all who can know; the figure itself is measured."""

COMPARED = 6
"""Replicas of one version vector whose states are compared at each sample."""


class Watch:
    """Watches one mesh.

    Args:
      blameless: Count verdicts about machines that live, and do not blame them.

    Attributes:
      false_deaths: Verdicts about machines that were up and reachable.
    """

    def __init__(
        self, mesh: Mesh, faults: Faults, checks: Checks, ledger: Ledger, *, blameless: bool
    ) -> None:
        self._mesh = mesh
        self._machines = mesh.machines
        self._world = mesh.world
        self._faults = faults
        self._ledger = ledger
        self._blameless = blameless
        self._rng = mesh.world.rng("watch")
        self._mistakes: list[str] = []
        self._misbehaved: list[str] = []
        self._spinning: list[str] = []
        self._learned: dict[tuple[int, int], float] = {}
        self._states: dict[int, tuple[Engine, bytes, bytes]] = {}
        self.false_deaths = 0
        checks.always("equal_vectors_have_equal_state", self._diverged)
        checks.always("ledger_is_consistent", self._inconsistent)
        checks.always("no_false_death", lambda: _first(self._mistakes))
        checks.always("honest_peers_keep_the_protocol", lambda: _first(self._misbehaved))
        checks.always("crashes_are_known", self._unaware)
        checks.always("timers_rest", lambda: _first(self._spinning))

    # -- what happens --------------------------------------------------------------------------

    def told(self, happening: Happening) -> None:
        """An engine told people something."""
        event, machine = happening.event, happening.machine
        if event.kind == "peer-misbehaved":
            self._misbehaved.append(f"{machine.name} at {happening.at:.3f} s: {event.text}")
        if event.kind != "member-dead" or event.node is None:
            return
        subject = self._mesh.by_id[event.node]
        self._learned[subject.index, machine.index] = happening.at
        if not self._faults.excused(subject) and not self._mesh.earlier_life(machine, subject):
            self.false_deaths += 1
            if not self._blameless:
                self._mistakes.append(
                    f"{machine.name} at {happening.at:.3f} s, which is wrong: {event.text}"
                )

    def spun(self, machine: Machine) -> None:
        """The timers of a process never rest."""
        self._spinning.append(f"{machine.name} woke without end at {self._world.now:.3f} s")

    # -- at any time ---------------------------------------------------------------------------

    def _diverged(self) -> str:
        groups: dict[bytes, list[Machine]] = {}
        for machine in self._machines:
            engine = self._mesh.engine(machine)
            if engine is not None and not engine.replica.dirty:
                groups.setdefault(engine.digest(), []).append(machine)
        for vector, group in groups.items():
            chosen = group
            if len(group) > COMPARED:
                chosen = self._rng.sample(group, COMPARED)
            if len(chosen) > 1:
                states = {self._state(machine, vector): machine.name for machine in chosen}
                if len(states) > 1:
                    names = " and ".join(states.values())
                    return f"{names} have the same version vector and different state"
        return ""

    def _state(self, machine: Machine, vector: bytes) -> bytes:
        engine = self._mesh.live(machine)
        known = self._states.get(machine.index)
        if known is None or known[0] is not engine or known[1] != vector:
            known = (engine, vector, engine.replica.state_digest())
            self._states[machine.index] = known
        return known[2]

    def _inconsistent(self) -> str:
        chosen = self._machines
        if len(chosen) > 4 * COMPARED:
            chosen = self._rng.sample(chosen, 4 * COMPARED)
        for machine in chosen:
            engine = self._mesh.engine(machine)
            if engine is not None:
                complaint = ledger_complaint(engine.keyspace)
                if complaint:
                    return f"on {machine.name}: {complaint}"
        return ""

    def _unaware(self) -> str:
        if self._faults.cut_until > self._world.now - KNOWN_WITHIN:
            return ""
        for crash in self._faults.crashes:
            if crash.back_at is not None or self._world.now - crash.at < KNOWN_WITHIN:
                continue
            for machine in self._machines:
                if not machine.running or self._faults.excused(machine):
                    continue
                member = self._mesh.member(machine, crash.machine)
                if member is not None and member.reachable:
                    return (
                        f"{machine.name} does not know that {crash.machine.name} is gone "
                        f"since {crash.at:.3f} s"
                    )
        return ""

    # -- in the end ----------------------------------------------------------------------------

    def unequal(self) -> str:
        """Whether state and views of all running machines differ, and how."""
        running = [machine for machine in self._machines if machine.running]
        engines = [self._mesh.live(machine) for machine in running]
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

    def different(self) -> str:
        """Whether any two states differ, all compared anew."""
        engines = [self._mesh.engine(machine) for machine in self._machines]
        states = {engine.replica.state_digest() for engine in engines if engine is not None}
        return "" if len(states) <= 1 else f"{len(states)} different states"

    def losses(self) -> str:
        """Whether anything acknowledged is lost anywhere, or anything came from nowhere."""
        for machine in self._machines:
            engine = self._mesh.engine(machine)
            if engine is not None:
                complaint = ledger_losses(engine.keyspace, self._ledger)
                if complaint:
                    return f"on {machine.name}: {complaint}"
        return ""

    # -- figures -------------------------------------------------------------------------------

    def detection(self) -> float | None:
        """The longest that a crash took to be known to all who are up; None without one."""
        times = [self._detection(crash) for crash in self._faults.crashes if crash.back_at is None]
        return max((seconds for seconds in times if seconds is not None), default=None)

    def _detection(self, crash: Crash) -> float | None:
        latest = 0.0
        for machine in self._machines:
            if machine is crash.machine or not machine.running:
                continue
            learned = self._learned.get((crash.machine.index, machine.index), inf)
            if learned < crash.at or learned == inf:
                return None
            latest = max(latest, learned)
        return latest - crash.at


def _first(complaints: list[str]) -> str:
    return complaints[0] if complaints else ""
