"""Links behave as TCP shows them; dials end in one answer; cuts, deaths and silence look real."""

import pytest

from gossipnet.protocol.effects import DialFailed, DialFailure, Lane, LinkDown, LinkUp, Received
from gossipnet.sim.stream import RECEIVE_BUFFER
from tests.sim.toy import act, linked, toy_world


def failures(machine):
    return [(e.failure, e.detail) for e in machine.process.engine.inputs(DialFailed)]


def test_dial_takes_three_round_trips_and_both_sides_learn_who_is_there():
    world, _network, (a, b) = toy_world(2)
    act(a, lambda engine: engine.dial(b, number=7, expected=b.peer.node_id))
    world.run(2.0)
    (up,) = a.process.engine.inputs(LinkUp)
    (answered,) = b.process.engine.inputs(LinkUp)
    assert (up.dialed, up.peer, up.address) == (7, b.peer, b.host.address)
    assert (answered.dialed, answered.peer) == (None, a.peer)
    assert a.process.engine.at(LinkUp) == pytest.approx([0.06])
    assert b.process.engine.at(LinkUp) == pytest.approx([0.05])
    assert failures(a) == []


def test_dial_to_nobody_is_refused_to_no_machine_unreachable_to_the_wrong_one_a_failed_handshake():
    world, _network, (a, b, c) = toy_world(3)
    b.kill()
    c.lose_power()
    act(a, lambda engine: engine.dial(b, number=1))
    act(a, lambda engine: engine.dial(c, number=2))
    act(a, lambda engine: engine.dial("nowhere:1", number=3))
    act(a, lambda engine: engine.dial(a, number=4))
    world.run(3.0)
    b.start()
    act(a, lambda engine: engine.dial(b, number=5, expected=c.peer.node_id))
    world.run(6.0)
    found = {e.dial: (e.failure, e.detail) for e in a.process.engine.inputs(DialFailed)}
    assert found == {
        1: (DialFailure.REFUSED, "connection refused"),
        2: (DialFailure.UNREACHABLE, "no answer within 2 s"),
        3: (DialFailure.UNREACHABLE, "no such host"),
        4: (DialFailure.HANDSHAKE, "self"),
        5: (DialFailure.HANDSHAKE, "wrong-peer"),
    }


@pytest.mark.parametrize("direction", ["there", "back"])
def test_cut_in_one_direction_fails_a_dial(direction):
    world, network, (a, b) = toy_world(2)
    network.cut(*((a.host, b.host) if direction == "there" else (b.host, a.host)))
    act(a, lambda engine: engine.dial(b))
    world.run(3.0)
    assert failures(a) == [(DialFailure.UNREACHABLE, "no answer within 2 s")]


def test_lost_syn_is_sent_again_after_a_second():
    world, network, (a, b) = toy_world(2)
    network.cut(a.host, b.host)
    act(a, lambda engine: engine.dial(b))
    world.run(0.5)
    network.heal()
    world.run(3.0)
    assert a.process.engine.at(LinkUp) == pytest.approx([1.06])


def test_stream_keeps_order_under_heavy_loss_and_a_loss_delays_what_follows():
    world, network, (a, b) = toy_world(2)
    out, _ = linked(world, a, b)
    network.set_loss(0.3)
    sent = [number.to_bytes(2, "big") for number in range(300)]
    for place, payload in enumerate(sent):
        world.at(1.0 + place * 0.05, act, a, lambda engine, p=payload: engine.send(out, p))
    world.run(200.0)
    engine = b.process.engine
    assert [event.payload for event in engine.inputs(Received)] == sent
    delays = [at - (1.0 + place * 0.05) for place, at in enumerate(engine.at(Received))]
    assert min(delays) == pytest.approx(0.01, abs=0.001)
    assert sum(delay > 0.2 for delay in delays) > 90, "more are held up than are lost"
    assert max(delays) > 0.6, "timeouts double"


def test_cut_holds_bytes_and_a_retransmission_after_the_heal_brings_them():
    world, network, (a, b) = toy_world(2)
    out, _ = linked(world, a, b)
    network.cut(a.host, b.host)
    for place in range(5):
        world.at(1.0 + place, act, a, lambda engine, p=bytes([place]): engine.send(out, p))
    world.at(4.0, network.heal)
    world.run(3.9)
    assert b.process.engine.inputs(Received) == []
    world.run(20.0)
    engine = b.process.engine
    assert [event.payload for event in engine.inputs(Received)] == [bytes([n]) for n in range(5)]
    # 0.22, 0.66, 1.54, 3.3 s after the first loss: the one at 4.3 is the first to get through.
    assert engine.at(Received)[0] == pytest.approx(4.32, abs=0.05)


def test_cut_of_acknowledgements_lets_an_initial_window_through():
    world, network, (a, b) = toy_world(2)
    out, _ = linked(world, a, b)
    network.cut(b.host, a.host)
    for place in range(60):
        world.at(1.0 + place / 10, act, a, lambda engine: engine.send(out, bytes(1000)))
    world.run(10.0)
    assert 10 <= len(b.process.engine.inputs(Received)) <= 20
    network.heal()
    world.run(60.0)
    assert len(b.process.engine.inputs(Received)) == 60


def test_lower_lane_overtakes_what_waits():
    world, _network, (a, b) = toy_world(2, bandwidth=100_000.0)
    out, _ = linked(world, a, b)
    for _ in range(20):
        act(a, lambda engine: engine.send(out, bytes(30_000), lane=2))
    act(a, lambda engine: engine.send(out, b"beat", lane=0))
    world.run(30.0)
    payloads = [event.payload for event in b.process.engine.inputs(Received)]
    assert payloads.index(b"beat") == 1
    assert len(payloads) == 21


def test_close_is_clean_after_what_was_queued():
    world, network, (a, b) = toy_world(2)
    out, into = linked(world, a, b)
    act(a, lambda engine: (engine.send(out, b"bye"), engine.close(out)))
    world.run(3.0)
    assert [e.payload for e in b.process.engine.inputs(Received)] == [b"bye"]
    assert b.process.engine.inputs(LinkDown) == [LinkDown(into, True, "closed")]
    assert a.process.engine.inputs(LinkDown) == []
    assert network.links == {}


def test_killed_process_ends_its_links_at_once_and_a_dead_machine_says_nothing():
    world, network, (a, b, c) = toy_world(3)
    linked(world, a, b)
    linked(world, a, c)
    b.kill()
    c.lose_power()
    world.run(30.0)
    (down,) = a.process.engine.inputs(LinkDown)
    assert (down.link, down.clean) == (1, False)
    c.start()
    act(a, lambda engine: engine.send(2, b"anybody?"))
    world.run(40.0)
    assert a.process.engine.inputs(LinkDown)[1:] == [LinkDown(2, False, "broken")]
    assert c.process.engine.inputs(Received) == []
    assert network.links == {}


def test_paused_process_gets_everything_when_it_goes_on_and_holds_up_its_senders():
    world, _network, (a, b) = toy_world(2)
    out, _ = linked(world, a, b)
    b.process.pause()
    for _ in range(100):
        act(a, lambda engine: engine.send(out, bytes(10_000)))
    world.run(20.0)
    assert b.process.engine.inputs(Received) == []
    held = next(iter(a.process.links.values())).out
    assert held.waiting > 1_000_000 - 2 * RECEIVE_BUFFER
    b.process.resume()
    world.run(40.0)
    assert len(b.process.engine.inputs(Received)) == 100


def test_peer_that_never_reads_loses_its_link_instead_of_filling_memory():
    world, _network, (a, b) = toy_world(2)
    out, _ = linked(world, a, b)
    b.process.pause()
    for _ in range(60):  # gossip is dropped
        act(a, lambda engine: engine.send(out, bytes(100_000)))
    world.run(10.0)
    assert a.process.refused_sends > 10
    assert a.process.engine.inputs(LinkDown) == []
    for _ in range(60):
        act(a, lambda engine: engine.send(out, bytes(100_000), Lane.BULK))
    world.run(20.0)
    assert a.process.engine.inputs(LinkDown) == [LinkDown(out, False, "too-slow")]


def test_broken_link_is_broken_for_both():
    world, network, (a, b) = toy_world(2)
    linked(world, a, b)
    network.break_link(next(iter(network.links)))
    world.run(3.0)
    assert [e.reason for e in a.process.engine.inputs(LinkDown)] == ["broken"]
    assert [e.reason for e in b.process.engine.inputs(LinkDown)] == ["broken"]
    assert network.links == {}


def test_same_seed_same_trace():
    def run(seed):
        world, network, machines = toy_world(3, seed=seed, jitter=0.01)
        for other in machines[1:]:
            linked(world, machines[0], other)
        network.set_loss(0.2)
        for place in range(200):
            act(machines[0], lambda engine, p=place: engine.send(1 + p % 2, bytes([p])))
            world.run(world.now + 0.05)
        return world.trace_hash

    assert run(1) == run(1)
    assert run(1) != run(2)
