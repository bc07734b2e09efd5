"""Zones: few links between them, whatever their size; bridges fail over; everybody hears all."""

from tests.protocol.mesh import Machine, Net

ZONES = ("east", "west", "south")


def zoned(each: int, zones: tuple[str, ...] = ZONES, settle: float = 45.0) -> Net:
    net = Net()
    for place in range(each * len(zones)):
        seeds = ("node0:7117",) if place else ()
        net.add(f"node{place}", seeds=seeds, zone=zones[place % len(zones)])
    net.until(net.meshed, 20)
    net.run(settle)
    return net


def crossing(net: Net) -> list[tuple[Machine, Machine]]:
    """Links between zones, from either end."""
    return [
        (machine, net.machines[link.peer.name])
        for machine in net
        for link in machine.engine.overlay.neighbours
        if net.machines[link.peer.name].zone != machine.zone
    ]


def bridges(net: Net, zone: str) -> set[str]:
    viewer = next(iter(net)).engine.membership
    return {viewer.members[node].name for node in viewer.zones.bridges(zone)}


def heard(net: Net, key: bytes) -> bool:
    return all(machine.get(key) == b"v" for machine in net)


def test_only_bridges_hold_links_to_other_zones_and_each_zone_has_three() -> None:
    net = zoned(8)
    for zone in ZONES:
        assert len(bridges(net, zone)) == 3
    ends = crossing(net)
    assert ends
    for machine, _other in ends:
        assert machine.name in bridges(net, machine.zone)
    for machine in net:
        inside = [m for m in net if m.zone == machine.zone and m is not machine]
        within = {link.peer.name for link in machine.engine.overlay.neighbours}
        assert len(within & {m.name for m in inside}) >= min(5, len(inside))


def test_links_between_zones_do_not_grow_with_the_nodes() -> None:
    small, large = len(crossing(zoned(4))), len(crossing(zoned(9)))
    assert large <= small + 4


def test_a_write_reaches_every_zone_at_once() -> None:
    net = zoned(6)
    for machine in list(net)[:4]:
        key = machine.name.encode()
        machine.set(key, b"v")
        net.until(lambda key=key: heard(net, key), 1)
    assert net.equal()


def test_next_in_rank_takes_over_when_every_bridge_of_a_zone_dies_at_once() -> None:
    net = zoned(8, ("east", "west"))
    gone = bridges(net, "west")
    for name in gone:
        net.machines[name].kill()
    net.until(lambda: all(m.states()[name] == "dead" for m in net for name in gone), 15, "all know")
    now = bridges(net, "west")
    assert not now & gone
    writer = next(m for m in net if m.zone == "west")
    writer.set(b"after", b"v")
    net.until(lambda: heard(net, b"after"), 5)
    net.run(30)
    assert {machine.name for machine, _other in crossing(net)} <= now | bridges(net, "east")


def test_a_zone_that_was_cut_off_is_found_again() -> None:
    net = zoned(4, ("east", "west"))
    west = [machine.name for machine in net if machine.zone == "west"]
    net.part(*west)
    net.run(30)
    net[0].set(b"k", b"v")
    net.heal()
    net.until(lambda: net.meshed() and heard(net, b"k"), 10)
    assert net.equal()


def test_a_newcomer_is_let_in_by_another_zone_and_finds_its_own() -> None:
    net = zoned(5, ("east", "west"))
    seed = next(m for m in net if m.zone == "west" and m.name not in bridges(net, "west"))
    newcomer = net.add("late", seeds=(seed.address,), zone="east")
    net.until(net.meshed, 5)
    net.run(40)
    zones = {net.machines[link.peer.name].zone for link in newcomer.engine.overlay.neighbours}
    assert "east" in zones
    assert zones == {"east"} or newcomer.name in bridges(net, "east")


def test_a_lone_member_of_a_zone_is_its_bridge() -> None:
    net = zoned(5, ("east",))
    lone = net.add("lone", seeds=("node0:7117",), zone="moon")
    net.until(net.meshed, 5)
    net.run(40)
    assert lone.engine.overlay.neighbours
    lone.set(b"far", b"v")
    net.until(lambda: heard(net, b"far"), 2)
