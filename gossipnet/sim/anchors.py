"""Named scenarios behind the figures in ``docs/performance.md``: what papers and peers measured.

``gossipnet sim --scenario NAME`` runs one and prints what it found, its seed with it. Each takes
the number of nodes and the seed, and gives a `Finding`. Up to 1,000 nodes run the whole production
engine with real certificates and signatures. Knows how to set scenes, not how engines work.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, log10
from statistics import mean

from gossipnet.sim.faults import Plan
from gossipnet.sim.machine import Machine
from gossipnet.sim.plot import Chart, Line
from gossipnet.sim.route import (
    Conditions,
)
from gossipnet.sim.scenario import Options, Simulation
from gossipnet.sim.vast import Cost, Vast, grows_like_log

SETTLED = 20.0
"""Virtual seconds after forming: every node has its neighbours, and everybody knows whose."""

Figures = dict[str, object]


@dataclass
class Finding:
    """What a scenario found.

    Attributes:
      name, seed, nodes: Which scenario, from what seed, how large at most.
      target: What was hoped for, in words.
      met: Whether that is so.
      figures: By name; stable keys.
      charts: What to plot, by the name of the file.
      notes: What a reader must know: what was not simulated, for instance.
    """

    name: str
    seed: int
    nodes: int
    target: str
    met: bool
    figures: Figures
    charts: dict[str, Chart] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Keys are added, never renamed."""
        return {
            "scenario": self.name,
            "seed": self.seed,
            "nodes": self.nodes,
            "target": self.target,
            "met": self.met,
            "figures": self.figures,
            "notes": self.notes,
        }

    def as_text(self) -> list[str]:
        """Lines for people."""
        return [
            f"{self.name}: seed {self.seed}, up to {self.nodes} nodes",
            *(f"  {name:32} {value}" for name, value in self.figures.items()),
            *(f"  ({note})" for note in self.notes),
            f"  {'met' if self.met else 'NOT MET'}: {self.target}",
        ]


def formed(nodes: int, seed: int, *, loss: float = 0.0, hard: bool = False) -> Simulation:
    """A mesh that has found together and settled, on a network of 5 to 25 ms one way."""
    options = Options(
        nodes=nodes,
        seed=seed,
        duration=1e9,
        conditions=Conditions(loss=loss),
        plan=Plan(),
        entries=0,
        operations=0,
        hard=hard,
        sampled=nodes <= 100,
    )
    simulation = Simulation(options)
    simulation.form()
    simulation.run_until(simulation.world.now + SETTLED)
    return simulation


def detect(nodes: int, seed: int) -> Finding:
    """Kill one with SIGKILL: how long until all know, for sizes from 10 up to ``nodes``."""
    return _detected(nodes, seed, {size: _kill_one(formed(size, seed)) for size in _sizes(nodes)})


def _sizes(nodes: int) -> list[int]:
    return [*(size for size in (10, 30, 100, 300, 1000) if size < nodes), nodes]


def _kill_one(simulation: Simulation) -> float:
    """Seconds until all know."""
    victim = simulation.machines[len(simulation.machines) // 2]
    simulation.faults.crash(victim, power=False)
    simulation.run_until(simulation.world.now + 5.0)
    took = simulation.watch.detection()
    assert not simulation.watch.false_deaths
    return inf if took is None else took


def _detected(nodes: int, seed: int, found: dict[int, float]) -> Finding:
    points = [(float(size), seconds) for size, seconds in found.items()]
    return Finding(
        "detect",
        seed,
        nodes,
        "a killed node is dead to all within 2 s, whatever the size",
        all(seconds <= 2.0 for seconds in found.values()),
        {f"known to all of {size}, s": round(seconds, 3) for size, seconds in found.items()},
        {
            "sim-detect": Chart(
                "One node killed: until all others know",
                "nodes",
                "seconds",
                [Line("until the last one knows", points)],
                log_x=True,
            )
        },
    )


def massacre(nodes: int, seed: int) -> Finding:
    """Kill four of five at once: when has each survivor the next write (HyParView, section 5.3)."""
    return _kill_most(formed(nodes, seed))


def _kill_most(simulation: Simulation) -> Finding:
    world, nodes = simulation.world, len(simulation.machines)
    rng = world.rng("massacre")
    victims = rng.sample([m for m in simulation.machines if m.running], nodes * 4 // 5)
    for victim in victims:
        simulation.faults.crash(victim, power=False)
    survivors = [machine for machine in simulation.machines if machine.running]
    began = world.now
    write(rng.choice(survivors), b"after", b"all")
    points = [(0.0, 0.0)]
    while points[-1][1] < 100.0 and world.now < began + 30.0:
        simulation.run_until(world.now + 0.25)
        heard = sum(1 for machine in survivors if read(machine, b"after") == b"all")
        points.append((world.now - began, 100.0 * heard / len(survivors)))
    complete = round(points[-1][0], 2) if points[-1][1] == 100.0 else None
    at = {f"after {second} s, %": _at(points, float(second)) for second in (1, 2, 5, 10)}
    return Finding(
        "massacre",
        world.seed,
        nodes,
        "every survivor has the next write within 10 s",
        complete is not None and complete <= 10.0,
        {"survivors": len(survivors), "all have it after, s": complete, **at},
        {
            "sim-massacre": Chart(
                f"{len(victims)} of {nodes} nodes killed at once: who has the next write",
                "seconds",
                "% of survivors",
                [Line("survivors", points)],
            )
        },
    )


def kills(nodes: int, seed: int) -> Finding:
    """`detect`, and then `massacre` in the largest of its meshes: forming that takes longest."""
    found = {size: _kill_one(formed(size, seed)) for size in _sizes(nodes)[:-1]}
    simulation = formed(nodes, seed)
    found[nodes] = _kill_one(simulation)
    one, most = _detected(nodes, seed, found), _kill_most(simulation)
    return Finding(
        "kills",
        seed,
        nodes,
        f"{one.target}; {most.target}",
        one.met and most.met,
        {**one.figures, **most.figures},
        {**one.charts, **most.charts},
    )


def loss(nodes: int, seed: int) -> Finding:
    """A quarter of all segments lost, for ten minutes: who is called dead that is not."""
    simulation = formed(nodes, seed, loss=0.25, hard=True)
    simulation.options.operations, simulation.options.entries = 20, 20
    simulation.work(simulation.world.now + 600.0)
    simulation.run_until(simulation.world.now + 600.0)
    return Finding(
        "loss",
        seed,
        nodes,
        "no false death in 10 minutes at 25 % loss",
        simulation.watch.false_deaths == 0 and not simulation.broken,
        {"false deaths": simulation.watch.false_deaths, **_counted(simulation)},
    )


def starve(nodes: int, seed: int) -> Finding:
    """Lifeguard's experiment: eight nodes get no processor for up to 2 s, again and again."""
    simulation = formed(nodes, seed, hard=True)
    world, rng = simulation.world, simulation.world.rng("starvation")
    starved = simulation.machines[:8]
    end = world.now + 600.0

    def stall(machine: Machine) -> None:
        if world.now < end and machine.process is not None:
            machine.process.pause()
            world.after(rng.choice((0.128, 0.512, 2.0)), go_on, machine)

    def go_on(machine: Machine) -> None:
        if machine.process is not None:
            machine.process.resume()
            world.after(rng.random(), stall, machine)

    for machine in starved:
        stall(machine)
    simulation.run_until(end + 5.0)
    wrong = sum(
        1
        for machine in simulation.machines
        for event in _deaths(simulation, machine)
        if event not in starved
    )
    return Finding(
        "starve",
        seed,
        nodes,
        "no healthy node is called dead while 8 are starved for 10 minutes",
        wrong == 0 and simulation.watch.false_deaths == 0,
        {
            "false deaths of healthy nodes": wrong,
            "false deaths in all": simulation.watch.false_deaths,
            **_counted(simulation),
        },
    )


def broadcast(nodes: int, seed: int) -> Finding:
    """The bounds of iroh-gossip's tests: one sender, then random ones, 100 messages each."""
    simulation = formed(nodes, seed)
    rng = simulation.world.rng("senders")
    figures: Figures = {}
    met = True
    for name, missable in (("single sender", 0.0), ("random senders", 0.5)):
        sender = rng.choice(simulation.machines)
        simulation.measure()
        missed: list[int] = []
        for number in range(100):
            key = f"{name} {number}".encode()
            machine = sender if name == "single sender" else rng.choice(simulation.machines)
            write(machine, key, b"1")
            simulation.run_until(simulation.world.now + 1.0)
            missed.append(sum(1 for other in simulation.machines if read(other, key) is None))
        simulation.sum_up()
        report = simulation.report
        figures |= {
            f"{name}: redundancy": round(report.rmr, 4),
            f"{name}: last hop": report.last_hop,
            f"{name}: missed after 1 s": round(mean(missed), 3),
        }
        met &= report.rmr <= 0.1 and report.last_hop <= 8 and mean(missed) <= missable
    return Finding(
        "broadcast",
        seed,
        nodes,
        "redundancy <= 0.1, last hop <= 8, missed 0 (single sender) and <= 0.5 (random senders)",
        met,
        figures,
    )


def heal(nodes: int, seed: int, seconds: float) -> Finding:
    """Two halves apart for so many seconds, both writing: until all is equal again."""
    simulation = formed(nodes, seed)
    world = simulation.world
    simulation.faults.partition("even-halves")
    for number in range(20):
        for machine in (simulation.machines[0], simulation.machines[-1]):
            write(machine, b"%d of %d" % (number, machine.index), b"1")
        simulation.run_until(world.now + 1.0)
    simulation.run_until(world.now + max(0.0, seconds - 20.0))
    apart = simulation.watch.unequal()
    simulation.faults.heal()
    began = world.now
    while simulation.watch.unequal() and world.now < began + 60.0:
        simulation.run_until(world.now + 0.05)
    took = round(world.now - began, 2) if not simulation.watch.unequal() else None
    return Finding(
        f"heal-{seconds:g}s",
        seed,
        nodes,
        "state and views equal within 5 s of the end of a partition",
        bool(apart) and took is not None and took <= 5.0,
        {"apart, s": seconds, "before healing": apart, "equal after, s": took},
    )


def zones(nodes: int, seed: int) -> Finding:
    """Overlay and broadcast alone, in 20 zones: does everybody hear, and what does it cost each."""
    sizes = [*(size for size in (200, 1000, 4000) if size < nodes), nodes]
    costs: list[Cost] = []
    for size in sizes:
        vast = Vast(seed, size, min(20, size // 3))
        vast.form()
        costs.append(vast.measure(10))
    first = costs[0].per_write / log10(costs[0].nodes)
    figures: Figures = {
        f"{cost.nodes} nodes": {
            "links a node": round(cost.links, 2),
            "links between zones": cost.crossing,
            "missed": cost.missed,
            "redundancy": round(cost.redundancy, 4),
            "last hop": cost.last_hop,
            "slowest, s": round(cost.slowest, 2),
            "B a write and node": round(cost.per_write),
            "B between zones a write": round(cost.crossing_per_write),
            "B/s a node for heartbeats": round(cost.idle),
        }
        for cost in costs
    }
    chart = Chart(
        "One write: bytes sent by each node",
        "nodes",
        "bytes",
        [
            Line("simulated", [(float(c.nodes), c.per_write) for c in costs]),
            Line("log N", [(float(c.nodes), first * log10(c.nodes)) for c in costs], dashed=True),
        ],
        log_x=True,
    )
    return Finding(
        "zones",
        seed,
        nodes,
        "broadcast reaches all; traffic of each node grows no faster than log N",
        not any(cost.missed for cost in costs) and grows_like_log(costs),
        figures,
        {"sim-zones": chart},
        ["production overlay, trees and broadcast; nothing is signed, heartbeats are only counted"],
    )


def write(machine: Machine, key: bytes, value: bytes) -> None:
    """A client of this machine sets a key."""
    assert machine.process is not None
    machine.process.act(lambda engine: engine.keyspace.set(key, value), lambda: None)


def read(machine: Machine, key: bytes) -> bytes | None:
    """What a client of this machine would read."""
    if machine.process is None:
        return None
    value: bytes | None = machine.process.engine.keyspace.get(key)  # type: ignore[attr-defined]
    return value


def _at(points: list[tuple[float, float]], seconds: float) -> float:
    return round(max((y for x, y in points if x <= seconds + 1e-6), default=0.0), 1)


def _counted(simulation: Simulation) -> Figures:
    names = ("accusations_made", "refutations", "links_lost", "links_silent")
    counters = simulation.mesh.counters()
    return {name.replace("_", " "): counters[name] for name in names}


def _deaths(simulation: Simulation, machine: Machine) -> list[Machine]:
    """Whom a machine holds dead just now."""
    engine = simulation.mesh.engine(machine)
    members = [] if engine is None else engine.membership.others()
    return [simulation.mesh.by_id[member.id] for member in members if member.dead]


Scenario = Callable[[int, int], Finding]

SCENARIOS: dict[str, tuple[Scenario, int]] = {
    "detect": (detect, 1000),
    "massacre": (massacre, 1000),
    "kills": (kills, 1000),
    "loss": (loss, 100),
    "starve": (starve, 100),
    "broadcast": (broadcast, 100),
    "zones": (zones, 10_000),
    "heal-30s": (lambda nodes, seed: heal(nodes, seed, 30.0), 100),
    "heal-10m": (lambda nodes, seed: heal(nodes, seed, 600.0), 100),
    "heal-48h": (lambda nodes, seed: heal(nodes, seed, 172_800.0), 20),
}
"""By name: what to run, and with how many nodes unless somebody says otherwise."""
