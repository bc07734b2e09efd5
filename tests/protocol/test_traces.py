"""Where a write has arrived, over which hops; what members may ask; how long records take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipnet.errors import NotFound
from gossipnet.protocol.lag import LONGEST_MS, Lag
from gossipnet.protocol.tracing import QUESTIONS_KEPT, REMEMBERED
from gossipnet.protocol.wire import decode_untrusted
from gossipnet.protocol.wire_trace import AskTraces, SignedTrace, Traces
from gossipnet.sim.mesh import Mesh
from gossipnet.sim.route import (
    Conditions,
)
from tests.protocol.mesh import LATENCY, Net


def settled(count: int) -> Net:
    net = Net(count)
    net.until(net.meshed, 10)
    net.run(15)
    return net


def test_a_trace_shows_every_node_the_hop_and_the_time() -> None:
    net = settled(25)
    net[3].set(b"colour", b"red")
    net.until(lambda: all(m.get(b"colour") == b"red" for m in net), 2)
    trace = net[7].engine.trace(b"colour")
    net[7].turn()
    net.until(lambda: trace.complete, 2)
    document = trace.document()
    rows = {row["name"]: row for row in document["nodes"]}
    assert document["author"] == "node3"
    assert document["silent"] == []
    assert len(rows) == 25
    assert rows["node3"]["how"] == "written"
    assert rows["node3"]["hops"] == 0
    for name, row in rows.items():
        if name != "node3":
            assert row["how"] == "pushed"
            before = rows[row["from"]]
            assert row["hops"] == before["hops"] + 1
            assert row["at_ms"] == pytest.approx(before["at_ms"] + 1000 * LATENCY, abs=2)
    trace.close()
    net[7].set(b"fresh", b"1")  # also of a write whose commit is still under way
    assert net[7].engine.trace(b"fresh").seq >= 1
    with pytest.raises(NotFound):
        net[7].engine.trace(b"nothing")


def test_who_is_cut_off_is_named_and_what_came_by_repair_is_told() -> None:
    net = settled(5)
    net.part("node4")
    net[0].set(b"k", b"v")
    net.run(0.3)
    trace = net[0].engine.trace(b"k")
    net[0].turn()
    net.run(0.5)
    assert not trace.complete
    assert trace.document()["silent"] == ["node4"]
    trace.close()
    net.run(10)
    net.heal()
    net.until(lambda: net[4].get(b"k") == b"v", 10)
    net.until(net.meshed, 10)
    trace = net[0].engine.trace(b"k")
    net[0].turn()
    net.until(lambda: trace.complete, 2)
    [row] = [row for row in trace.document()["nodes"] if row["name"] == "node4"]
    assert (row["how"], row["hops"]) == ("fetched", None)


def test_questions_are_bounded_and_forged_answers_do_not_count() -> None:
    net = settled(5)
    net[0].set(b"k", b"v")
    net.run(1)
    one, other = net[0].engine, net[1].engine
    link = next(iter(other.links.values()))
    asker, log = link.node[:16], one.replica.own_log
    for number in range(200):
        other.tracing.on_ask(link, AskTraces(asker, number, log, 1, 64))
    assert other.context.counters["traces_over_budget"] >= 180
    other.tracing.on_ask(link, AskTraces(bytes(16), 1, log, 1, 64))  # of no member
    assert len(other.tracing._ways) <= 11 < QUESTIONS_KEPT
    trace = one.trace(b"k")
    number = next(iter(one.tracing._open))
    signed = other.tracing._signed((one.membership.prefix, number), log, 1)
    stale = other.tracing._signed((one.membership.prefix, number + 1), log, 1)
    forged = SignedTrace(signed.body[:-1] + b"\0", signed.signature)
    back = next(iter(one.links.values()))
    one.tracing.on_traces(back, Traces(one.membership.prefix, number, [forged, stale]))
    assert trace.answers == {}
    one.tracing.on_traces(back, Traces(one.membership.prefix, number, [signed]))
    assert list(trace.answers) == [other.membership.me]


def test_what_is_remembered_is_bounded() -> None:
    net = settled(2)
    for number in range(REMEMBERED + 200):
        net[0].set(b"k%d" % (number % 7), b"%d" % number)
        if number % 50 == 0:
            net.run(0.01)
    net.run(3)
    assert len(net[1].engine.tracing._arrivals) <= REMEMBERED
    net[1].engine.tracing.arrived([], None, 0)


def test_simulated_traces_are_complete_and_lag_is_counted() -> None:
    mesh = Mesh(4, 20, Conditions(latency=(0.005, 0.025), jitter=0.001))
    for machine in mesh.machines:
        machine.start()
    mesh.world.run(15)
    author = mesh.machines[2]
    author.process.act(lambda engine: engine.keyspace.set(b"k", b"v"), lambda: None)
    mesh.world.run(17)
    viewer = mesh.machines[9]
    traces = []
    viewer.process.act(lambda engine: traces.append(engine.trace(b"k")), lambda: None)
    mesh.world.run(18)
    assert traces[0].complete
    assert max(row["hops"] for row in traces[0].document()["nodes"]) <= 4
    engine = mesh.live(viewer)
    assert engine.status()["arrivals"]["count"] >= 1
    brought = [row["lag"]["count"] for row in engine.peers()]
    assert sum(brought) == engine.status()["arrivals"]["count"]
    assert 5 <= engine.status()["arrivals"]["max_ms"] < 250


@given(st.lists(st.integers(-5, 1 << 22), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_quantiles_are_right_to_a_quarter(values: list[int], share: float) -> None:
    lag = Lag()
    for value in values:
        lag.add(value)
    bounded = sorted(min(max(value, 0), LONGEST_MS) for value in values)
    rank = next(n for n in range(1, len(bounded) + 1) if n >= share * len(bounded))
    true = bounded[rank - 1]
    assert true <= lag.quantile(share) <= true + max(1, true // 4 + 1)
    assert lag.longest == bounded[-1]


def test_every_trace_message_survives_the_wire() -> None:
    net = settled(2)
    net[0].set(b"k", b"v")
    net.run(1)
    net[0].sent.clear()
    net[1].sent.clear()
    net[0].engine.trace(b"k")
    net[0].turn()
    net.run(0.1)
    kinds = {type(decode_untrusted(sent.payload)) for m in net for sent in m.sent}
    assert {AskTraces, Traces} <= kinds
