"""How records travel: once to everybody along shortest paths, and around whatever fails."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipnet.protocol.effects import Send
from gossipnet.protocol.tree import graph_of, shortest_paths
from gossipnet.protocol.wire import Push, decode_untrusted
from tests.protocol.mesh import LATENCY, Machine, Net


def settled(count: int, seconds: float = 45.0) -> Net:
    net = Net(count)
    net.until(net.meshed, 10)
    net.run(seconds)
    return net


def total(net: Net, name: str) -> int:
    return sum(machine.engine.context.counters[name] for machine in net)


names = st.integers(0, 11).map(lambda n: bytes([n]) * 16)


@given(st.sets(st.tuples(names, names), max_size=40), names)
def test_a_tree_reaches_whoever_can_be_reached_once_and_by_a_shortest_path(
    edges: set[tuple[bytes, bytes]], root: bytes
) -> None:
    near: dict[bytes, set[bytes]] = {bytes([n]) * 16: set() for n in range(12)}
    for one, other in edges:
        if one != other:
            near[one].add(other)
            near[other].add(one)
    parents = shortest_paths({node: tuple(sorted(others)) for node, others in near.items()}, root)
    distance = {root: 0}
    queue = [root]
    for node in queue:
        for other in sorted(near[node]):
            if other not in distance:
                distance[other] = distance[node] + 1
                queue.append(other)
    assert parents.keys() == distance.keys() - {root}
    for node, parent in parents.items():
        assert parent in near[node]
        assert distance[parent] == distance[node] - 1


@pytest.mark.parametrize("count", [3, 8, 25])
def test_in_a_settled_mesh_everybody_gets_every_record_once(count: int) -> None:
    net = settled(count)
    before = total(net, "records_duplicate")
    received = total(net, "records_received")
    for number in range(60):  # several authors at a time
        net[number % count].set(b"k%d" % number, b"v")
        net[(number * 7 + 1) % count].set(b"other%d" % number, b"v")
        net.run(LATENCY / 2)
    net.run(1)
    assert net.equal()
    # Neighbours get an author's records from itself, all others from one parent.
    assert total(net, "records_duplicate") == before
    written = sum(machine.engine.replica.head(machine.engine.replica.own_log) for machine in net)
    assert total(net, "records_received") - received == written * (count - 1)
    assert total(net, "grafts") == 0


def test_all_nodes_agree_on_the_graph() -> None:
    net = settled(12)
    graphs = [graph_of(machine.engine.membership) for machine in net]
    assert all(graph == graphs[0] for graph in graphs)
    assert all(graphs[0].values())
    assert len({machine.engine.membership.topology for machine in net}) == 1


def deaf(machine: Machine, to: Machine) -> None:
    """From now on no push gets from one machine to another; all else does."""
    carry_out = machine.carry_out

    def swallow(effect: object) -> None:
        if isinstance(effect, Send) and machine.links.get(effect.link, (None,))[0] is to:
            message = decode_untrusted(effect.payload)
            if isinstance(message, Push):
                return
        carry_out(effect)  # type: ignore[arg-type]

    machine.carry_out = swallow  # type: ignore[method-assign,assignment]


def test_whom_the_tree_fails_is_supplied_by_another_and_stays_so() -> None:
    net = settled(5)
    deaf(net[0], net[4])
    net[0].set(b"first", b"1")
    took = net.until(lambda: net[4].get(b"first") == b"1", 1)
    assert took > 10 * LATENCY
    assert net[4].engine.context.counters["grafts"] >= 1
    net.run(1)
    net[0].set(b"second", b"2")
    assert net.until(lambda: net[4].get(b"second") == b"2", 1) < 4 * LATENCY


def test_a_graft_that_is_not_needed_any_more_is_pruned() -> None:
    net = settled(5)
    net[4].write(lambda engine: engine.broadcast.graft(next(iter(engine.links.values()))))
    net.run(0.1)
    assert sum(link.grafted for m in net for link in m.engine.links.values()) == 1
    for number in range(5):
        net[number % 4].set(b"k%d" % number, b"v")
        net.run(0.1)
    assert not any(link.grafted for m in net for link in m.engine.links.values())
    before = total(net, "records_duplicate")
    net[0].set(b"again", b"v")
    net.run(1)
    assert total(net, "records_duplicate") == before


def test_a_burst_of_writes_loses_nothing() -> None:
    net = settled(12)
    for number in range(2000):
        net[number % 3].set(b"k%d" % number, b"x" * 50)
        if number % 20 == 0:
            net.run(0.001)
    net.until(net.equal, 5)
    assert len(net[11].engine.keyspace) == 2000
