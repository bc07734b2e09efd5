"""Machines that run the production engine, with real identities of one mesh.

Certificates and signatures are real. Each distinct signature is verified once per process and then
remembered (`remember_verified`): two hundred simulated nodes that check the same record do in one
process what two hundred machines do each for itself, and the answer is the same. In the same way
they hold one copy of each member record (`share_records`). Sessions are not simulated: who is at
the other end of a link is taken from the identity.
"""

import functools
from collections import Counter

from gossipnet.identity.founding import found_mesh
from gossipnet.identity.home import NodeIdentity
from gossipnet.identity.peer import Peer
from gossipnet.identity.signing import remember_verified
from gossipnet.ids import NodeId
from gossipnet.protocol.engine import Engine, EngineSettings
from gossipnet.protocol.imaging import load_image
from gossipnet.protocol.memberentry import share_records
from gossipnet.protocol.membership import Member
from gossipnet.sim.machine import Core, Machine
from gossipnet.sim.network import (
    Network,
)
from gossipnet.sim.route import (
    Conditions,
)
from gossipnet.sim.world import WALL_START, World
from gossipnet.state.replica import Replica

SEEDS = 3
"""Machines whose addresses all others are told."""

MESHES = 16
"""So many different sets of keys: runs share them, because making them takes as long as a run."""

REMEMBERED = 1 << 18
"""Verified signatures that are remembered."""


class Mesh:
    """All machines of one mesh in one world.

    Attributes:
      machines: In the order of their numbers.
      by_id: The same by node id.
    """

    def __init__(
        self, seed: int, nodes: int, conditions: Conditions, *, durability: str = "always"
    ) -> None:
        remember_once()
        self.world = World(seed)
        self.network = Network(self.world, conditions)
        self._identities = _identities(nodes, seed % MESHES)
        self._counters: Counter[str] = Counter()
        self._began: dict[int, int] = {}
        self.machines = [
            Machine(
                self.world,
                self.network,
                identity.name,
                _peer_of(identity),
                self._boot,
                durability=durability,
            )
            for identity in self._identities
        ]
        for machine in self.machines:
            machine.on_end = self._remember_counters
        self.by_id: dict[NodeId, Machine] = {
            machine.peer.node_id: machine for machine in self.machines
        }

    def engine(self, machine: Machine) -> Engine | None:
        """The engine that runs on a machine, if one does."""
        if machine.process is None:
            return None
        engine = machine.process.engine
        assert isinstance(engine, Engine)
        return engine

    def live(self, machine: Machine) -> Engine:
        """The engine of a machine that is up."""
        engine = self.engine(machine)
        assert engine is not None, f"{machine.name} is down"
        return engine

    def member(self, viewer: Machine, subject: Machine) -> Member | None:
        """What one machine makes of another."""
        return self.live(viewer).membership.members.get(subject.peer.node_id)

    def earlier_life(self, viewer: Machine, subject: Machine) -> bool:
        """Whether what one machine knows of another is of a process that has ended since."""
        member = self.member(viewer, subject)
        return member is not None and member.body.incarnation < self._began[subject.index]

    def counters(self) -> Counter[str]:
        """Everything that engines counted, those that have ended included."""
        total = self._counters.copy()
        for machine in self.machines:
            engine = self.engine(machine)
            if engine is not None:
                total.update(engine.context.counters)
        return total

    def _remember_counters(self, core: Core) -> None:
        assert isinstance(core, Engine)
        self._counters.update(core.context.counters)

    def _boot(self, machine: Machine, epoch: int, now: float, wall: float) -> Core:
        identity = self._identities[machine.index]
        replica = Replica(
            key=identity.key, chain=identity.chain, trust=identity.trust, epoch=epoch, wall=wall
        )
        fetch = load_image(replica, machine.disk.meta, machine.disk.chunks)
        for record in machine.disk.records:
            replica.load(record.data)
        replica.finish_loading(wall)
        seeds = [other.host.address for other in self.machines[:SEEDS] if other is not machine]
        engine = Engine(
            identity,
            replica,
            EngineSettings(addresses=(machine.host.address,), seeds=tuple(seeds), software="sim"),
            rng=machine.rng,
            entropy=machine.rng.randbytes,
            now=now,
            wall=wall,
        )
        engine.start(dict(machine.disk.meta), now, wall, fetch)
        self._began[machine.index] = engine.membership.incarnation
        return engine


@functools.cache
def remember_once() -> None:
    """Switch the memory for signatures and member records on; kept from run to run."""
    remember_verified(REMEMBERED)
    share_records(REMEMBERED)


@functools.cache
def _identities(nodes: int, variant: int) -> tuple[NodeIdentity, ...]:
    return found_mesh(nodes, seed=variant.to_bytes(1, "big"), wall=WALL_START - 3600).identities


def _peer_of(identity: NodeIdentity) -> Peer:
    return Peer(
        node_id=identity.node_id,
        public_key=identity.public_key,
        name=identity.name,
        roles=identity.roles,
        chain=identity.chain,
        not_after=identity.not_after,
        root_version=identity.trust.root_version,
    )
