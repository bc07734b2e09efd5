"""Disks that acknowledge fsyncs and lose them: what is lost comes back, or is proved a fork."""

from tests.sim.test_scenarios import formed, pass_time


def write(simulation, machine, key, count):
    for number in range(count):
        machine.process.act(
            lambda engine, n=number: engine.keyspace.set(b"%s:%d" % (key, n), b"%d" % n),
            lambda: None,
        )
        pass_time(simulation, 0.02)


def agreed(simulation):
    """Every machine that is up shows the same."""
    return len({simulation.mesh.live(m).replica.state_digest() for m in simulation.machines}) == 1


def counted(simulation, name):
    return sum(simulation.mesh.live(m).replica.counters[name] for m in simulation.machines)


def test_what_a_lying_disk_lost_comes_back_and_its_numbers_are_not_used_twice():
    simulation = formed(5)
    victim = simulation.machines[2]
    epoch = simulation.mesh.live(victim).replica.epoch
    victim.disk.begin_to_lie()
    write(simulation, victim, b"key", 40)
    before = len(victim.disk.records)
    victim.lose_power()
    assert len(victim.disk.records) < before, "it has lost what it had acknowledged"
    victim.start()
    pass_time(simulation, 10)
    write(simulation, victim, b"later", 10)
    pass_time(simulation, 10)
    assert agreed(simulation)
    for machine in simulation.machines:
        keyspace = simulation.mesh.live(machine).keyspace
        assert all(keyspace.get(b"key:%d" % n) == b"%d" % n for n in range(40))
        assert all(keyspace.get(b"later:%d" % n) == b"%d" % n for n in range(10))
    assert simulation.mesh.live(victim).replica.epoch != epoch, "it goes on in a new log"
    assert counted(simulation, "forks_seen") == 0


def test_numbers_used_twice_before_anybody_could_tell_are_a_proved_fork_and_all_agree():
    simulation = formed(5)
    victim, others = simulation.machines[2], [m for m in simulation.machines if m.index != 2]
    victim.disk.begin_to_lie()
    write(simulation, victim, b"key", 40)
    victim.lose_power()
    for machine in others:
        machine.kill()
    victim.start()
    write(simulation, victim, b"other", 10)
    for machine in others:
        machine.start()
    pass_time(simulation, 40)
    assert counted(simulation, "forks_seen") > 0
    assert agreed(simulation)
