"""An engine of a few lines, to test the world around engines."""

from math import inf

from gossipnet.identity.peer import Peer
from gossipnet.ids import node_id
from gossipnet.protocol.effects import CloseLink, Commit, Dial, Send, StoredRecord
from gossipnet.sim.machine import Machine
from gossipnet.sim.network import (
    Network,
)
from gossipnet.sim.route import (
    Conditions,
)
from gossipnet.sim.world import World


class ToyEngine:
    """Notes every input with its time, and does what the test tells it."""

    def __init__(self, now):
        self.committed = 0
        self.seen = []
        self.effects = []
        self.number = 0
        self.next_tick = inf

    def handle(self, event, now, wall):
        self.seen.append((now, event))
        number = getattr(event, "number", None)
        if type(event).__name__ == "Committed":
            self.committed = number

    def tick(self, now, wall):
        if now >= self.next_tick:
            self.next_tick = inf
            self.seen.append((now, "tick"))

    def deadline(self):
        return self.next_tick

    def take_effects(self, now, wall):
        effects, self.effects = self.effects, []
        return effects

    def ticket(self):
        return self.number

    # -- what tests use

    def commit(self, *payloads, log=b"L" * 16, urgent=True, meta=()):
        self.number += 1
        base = getattr(self, "_seq", 0)
        self._seq = base + len(payloads)
        records = tuple(
            StoredRecord(log, base + place + 1, data) for place, data in enumerate(payloads)
        )
        self.effects.append(Commit(self.number, records, tuple(meta), urgent))

    def dial(self, machine, number=1, expected=None, deadline=2.0):
        address = machine if isinstance(machine, str) else machine.host.address
        self.effects.append(Dial(number, address, expected, deadline))

    def send(self, link, payload, lane=1):
        self.effects.append(Send(link, lane, payload))

    def close(self, link, reason="done"):
        self.effects.append(CloseLink(link, reason))

    def inputs(self, kind):
        return [event for _at, event in self.seen if type(event) is kind]

    def at(self, kind):
        return [at for at, event in self.seen if type(event) is kind]


def toy_peer(name):
    key = name.encode().ljust(32, b"k")
    return Peer(node_id(key), key, name, frozenset({"member"}), (), 4e9, 1)


def toy_world(count, seed=1, durability="always", **conditions):
    """A world of machines that run toy engines, already started."""
    world = World(seed)
    network = Network(world, Conditions(**{"latency": (0.01, 0.01), "jitter": 0.0} | conditions))
    machines = [
        Machine(
            world,
            network,
            f"m{number}",
            toy_peer(f"m{number}"),
            lambda _machine, _epoch, now, _wall: ToyEngine(now),
            durability=durability,
        )
        for number in range(count)
    ]
    for machine in machines:
        machine.start()
    return world, network, machines


def act(machine, action):
    """Let the toy engine of a machine do something now."""
    action(machine.process.engine)
    machine.process.turn()


def linked(world, a, b):
    """Open a link from a to b; returns the link's number on each side."""
    act(a, lambda engine: engine.dial(b, number=len(engine.seen) + 1))
    world.run(world.now + 1.0)
    return max(a.process.links), max(b.process.links)
