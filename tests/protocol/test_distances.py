"""How far members are, told by coordinates, and which member a key belongs to."""

import random
from math import dist, isfinite
from statistics import median

from hypothesis import given, settings
from hypothesis import strategies as st

from gossipnet.ids import NodeId
from gossipnet.protocol.distance import rank
from gossipnet.protocol.vivaldi import FARTHEST, Coordinate, Vivaldi, heard
from gossipnet.sim.mesh import Mesh
from gossipnet.sim.route import (
    Conditions,
)
from tests.protocol.mesh import Net

whole = st.integers(-(1 << 40), 1 << 40)


def converge(nodes: int, rounds: int, hostile: int) -> float:
    """The median relative error between honest nodes on a plane of 100 ms."""
    rng = random.Random(7)
    spots = [(rng.random() * 0.1, rng.random() * 0.1) for _ in range(nodes)]
    heights = [0.0005 + rng.random() * 0.002 for _ in range(nodes)]

    def rtt(one: int, other: int) -> float:
        return dist(spots[one], spots[other]) + heights[one] + heights[other]

    near: list[set[int]] = [set() for _ in range(nodes)]
    for one in range(nodes):
        for other in rng.sample([n for n in range(nodes) if n != one], 4):
            near[one].add(other)
            near[other].add(one)
    places = [Vivaldi(rng) for _ in range(nodes)]

    def word(node: int) -> Coordinate:
        lies = [rng.randrange(-(1 << 40), 1 << 40) for _ in range(4)] + [0]
        told = heard(lies if node < hostile else places[node].here.told())
        assert told is not None
        return told

    for _ in range(rounds):
        for one in range(hostile, nodes):
            for other in sorted(near[one]):
                places[one].measured(word(other), rtt(one, other) * (1 + 0.05 * rng.random()))
    honest = range(hostile, nodes)
    return median(
        abs(places[a].here.distance(places[b].here) - rtt(a, b)) / rtt(a, b)
        for a in honest
        for b in honest
        if a < b
    )


def test_coordinates_on_a_plane_foretell_what_was_never_measured() -> None:
    assert converge(40, 100, hostile=0) < 0.1


def test_liars_among_the_neighbours_blur_the_picture_and_do_not_break_it() -> None:
    assert converge(40, 100, hostile=4) < 0.4


@given(st.lists(st.tuples(st.lists(whole, max_size=5), st.floats()), max_size=30))
def test_no_word_of_a_peer_throws_a_place_out_of_bounds(
    said: list[tuple[list[int], float]],
) -> None:
    node = Vivaldi(random.Random(1))
    for place, rtt in said:
        there = heard(place)
        if there is None:
            continue
        before = node.here
        node.measured(there, rtt)
        here = node.here
        assert all(isfinite(value) for value in (*here.vector, here.height, here.error))
        assert all(abs(value) <= FARTHEST for value in here.told())
        if isfinite(rtt):
            assert dist(before.vector, here.vector) <= max(0.0005, rtt / 4) * 1.01 + 0.001


def test_simulated_members_tell_distances_they_never_measured() -> None:
    mesh = Mesh(3, 30, Conditions(jitter=0.001))
    rng = random.Random(5)
    spots = [(rng.random() * 0.05, rng.random() * 0.05) for _ in mesh.machines]
    hosts = mesh.network.hosts

    def one_way(one: int, other: int) -> float:
        return 0.0005 + dist(spots[one], spots[other])

    for source in hosts:
        for target in hosts:
            route = mesh.network.route(source, target)
            route._base = one_way(source.index, target.index)
            route.round_trip = 2 * route._base
    for machine in mesh.machines:
        machine.start()
    mesh.world.run(90)
    told, serials = [], []
    for one in mesh.machines:
        distance, members = mesh.live(one).distance, mesh.live(one).membership
        serials.append(members.own.body.serial)
        for other in mesh.machines:
            if other is one:
                continue
            rtt, measured = distance.rtt(members.members[other.peer.node_id])
            assert rtt is not None
            true = 2 * one_way(one.index, other.index) + 0.001
            if not measured:
                told.append(abs(rtt - true) / true)
        nearest = distance.nearest()
        assert len(nearest) == 29
        assert [distance.rtt(member)[0] for member in nearest] == sorted(
            distance.rtt(member)[0] or 0.0 for member in nearest
        )
    assert median(told) < 0.25
    assert max(serials) < 12  # records for places grow rare


def test_a_row_says_whether_its_round_trip_was_measured() -> None:
    net = Net(24)
    net.until(net.meshed, 10)
    net.run(30)
    rows = net[5].engine.members_table()
    others = [row for row in rows if row["name"] != "node5"]
    assert {row["rtt_measured"] for row in others} == {True, False}
    for row in others:
        assert isinstance(row["rtt_ms"], float)
        assert 1 < row["rtt_ms"] < 40  # every link here takes 5 ms one way
    assert [row["name"] for row in net[5].engine.nearest(3)]
    assert len(net[5].engine.nearest(3)) == 3


# -- owners ------------------------------------------------------------------------------------

nodes = st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=20).map(
    lambda found: [NodeId(one) for one in sorted(found)]
)


@given(nodes, st.binary(), st.randoms())
def test_the_order_in_which_members_became_known_does_not_matter(
    found: list[NodeId], key: bytes, rng: random.Random
) -> None:
    mixed = list(found)
    rng.shuffle(mixed)
    assert rank(key, found) == rank(key, mixed)


@given(nodes, st.lists(st.binary(), max_size=20), st.integers(0, 19))
def test_whoever_goes_moves_only_its_own_keys(
    found: list[NodeId], keys: list[bytes], place: int
) -> None:
    gone = found[place % len(found)]
    rest = [node for node in found if node != gone]
    for key in keys:
        before, after = rank(key, found), rank(key, rest)
        assert [node for node in before if node != gone] == after


@settings(max_examples=5)
@given(st.integers(0, 1 << 30))
def test_keys_spread_over_all(seed: int) -> None:
    rng = random.Random(seed)
    found = [NodeId(rng.randbytes(32)) for _ in range(8)]
    owned = [rank(b"job:%d" % number, found)[0] for number in range(800)]
    assert all(50 < owned.count(node) < 170 for node in found)


def test_all_nodes_name_one_owner_and_a_dead_one_is_replaced_by_the_next() -> None:
    net = Net(5)
    net.until(net.meshed, 10)
    answers = [machine.engine.owners(b"nightly", 3) for machine in net]
    names = [[row["name"] for row in rows] for rows in answers]
    assert all(name == names[0] for name in names)
    first, second, third = (str(name) for name in names[0])
    net.machines[first].kill()
    net.until(lambda: all(m.states()[first] == "dead" for m in net), 5)
    for machine in net:
        assert [row["name"] for row in machine.engine.owners(b"nightly", 2)] == [second, third]
