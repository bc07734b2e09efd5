"""How long a frozen machine passes for alive, and what a slow neighbour costs the others."""

from gossipnet.protocol.links import SILENCE_MIN
from gossipnet.sim.mesh import Mesh
from gossipnet.sim.route import (
    Conditions,
)


def formed(seed: int, nodes: int, seconds: float) -> Mesh:
    mesh = Mesh(seed, nodes, Conditions(latency=(0.0001, 0.001), jitter=0.0005))
    for machine in mesh.machines:
        machine.start()
    mesh.world.run(seconds)
    return mesh


def test_a_frozen_machine_is_dead_for_all_within_three_seconds():
    mesh = formed(1, 20, 20.0)
    rng = mesh.world.rng("frozen")
    for _ in range(2):
        victim = mesh.machines[rng.randrange(3, 20)]
        mesh.world.run(mesh.world.now + rng.random())
        began = mesh.world.now
        victim.process.pause()
        mesh.world.run(began + 3.0)
        for machine in mesh.machines:
            assert machine is victim or mesh.member(machine, victim).state == "dead"
        victim.process.resume()
        mesh.world.run(mesh.world.now + 20.0)
        assert {mesh.member(machine, victim).state for machine in mesh.machines} == {"alive"}


def test_calm_links_are_believed_the_least_silence_that_there_is():
    mesh = formed(2, 10, 60.0)
    for machine in mesh.machines:
        engine = mesh.live(machine)
        for link in engine.links.values():
            assert engine.detection._patience(link) <= SILENCE_MIN + 0.1


WRITES = 150


def delivery(slow: bool) -> tuple[list[float], Mesh]:
    """In what times writes reached everybody but the slow machine, in order of length."""
    mesh = formed(3, 10, 20.0)
    author, victim = mesh.machines[1], mesh.machines[7]
    if slow:
        for host in mesh.network.hosts:
            if host is not victim.host:
                mesh.network.route(host, victim.host).bandwidth = 1000.0
    took = []
    others = [m for m in mesh.machines if m is not victim]
    for number in range(WRITES):
        key = b"k%d" % number
        author.process.act(
            lambda engine, key=key: engine.keyspace.set(key, bytes(4000)), lambda: None
        )
        began = mesh.world.now
        while not all(key in mesh.live(m).keyspace for m in others):
            mesh.world.run(mesh.world.now + 0.002)
            assert mesh.world.now < began + 5
        took.append(mesh.world.now - began)
        mesh.world.run(mesh.world.now + 0.02)
    return sorted(took), mesh


def test_a_peer_that_takes_a_kilobyte_a_second_slows_nobody_and_catches_up():
    usual, _mesh = delivery(slow=False)
    took, mesh = delivery(slow=True)
    # Whoever stood below it in the author's tree notices once, and is supplied by another since.
    assert took[-4] <= usual[-1] + 0.05
    assert took[-1] <= 0.5
    victim = mesh.machines[7]
    assert len(mesh.live(victim).keyspace) < WRITES
    for machine in mesh.machines:
        for end in machine.process.links.values():
            assert end.out.waiting <= 4 << 20
    for host in mesh.network.hosts:
        mesh.network.route(host, victim.host).bandwidth = 12_500_000.0
    mesh.world.run(mesh.world.now + 40.0)
    assert len(mesh.live(victim).keyspace) == WRITES
    states = {row["state"] for m in mesh.machines for row in mesh.live(m).members_table()}
    assert states == {"alive"}
