"""One link at a time: who may say what, duplicates, restarts, and a hostile peer."""

import pytest

from gossipnet.protocol import wire, wire_members
from gossipnet.protocol.effects import Heard, Lane, LinkDown, LinkUp, Received, Send
from gossipnet.protocol.linklife import HELLO_WITHIN, LINKS_MAX
from tests.protocol.mesh import Machine, Net, _peer


def settled(count: int) -> Net:
    net = Net(count)
    net.until(net.meshed, 10)
    net.run(12)
    return net


def send(machine: Machine, to: Machine, payload: bytes) -> None:
    """Say something on a machine's first link with another."""
    number = next(n for n, (other, _far, _life) in machine.links.items() if other is to)
    machine.carry_out(Send(number, Lane.CONTROL, payload))


def linked(machine: Machine, other: Machine) -> bool:
    return any(link.node == other.identity.node_id for link in machine.engine.links.values())


GARBAGE = [
    b"",
    b"\xc1",
    b"\x90",
    b"\x91\xcc\xff",
    b"\xff" * 100,
    wire.encode(wire.Verdict(True)),
    wire.encode(wire.Push(1, True, [b"not a record"])),
    wire.encode(wire.Push(1, False, [bytes(200)])),
    wire.encode(wire.Records(1, [bytes(5)], True, False)),
    wire.encode(wire.PushMembers([wire_members.MemberEntry(b"\x91\x01", bytes(64), [])])),
    wire.encode(wire.Members([wire_members.MemberEntry(b"", bytes(64), [b"no chain"])])),
    wire.encode(wire.PushAccusations([wire_members.Accusation(b"\x90", bytes(64))])),
]


@pytest.mark.parametrize("payload", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_costs_its_sender_that_link_and_nobody_anything_else(payload: bytes) -> None:
    net = settled(3)
    send(net[2], net[0], payload)
    net.run(0.02)
    assert not linked(net[0], net[2])
    assert linked(net[0], net[1])
    assert linked(net[1], net[2])
    assert net[0].engine.context.counters["protocol_errors"] == 1
    assert "peer-misbehaved" in [event.kind for event in net[0].told]
    net.run(60)
    assert net.meshed()
    net[0].set(b"k", b"v")
    net.until(lambda: all(m.get(b"k") == b"v" for m in net), 2)


def test_a_forged_accusation_costs_the_link() -> None:
    net = settled(3)
    victim = net[1].identity.node_id
    body = wire.encode(
        wire_members.AccusationBody(
            accuser=net[0].identity.node_id,
            subject=victim,
            incarnation=net[1].engine.membership.incarnation,
            evidence=1,
            wall_ms=0,
        )
    )
    # Signed by nobody: node2 pretends that node0 said it, to node1's friend node0 itself.
    send(
        net[2],
        net[1],
        wire.encode(wire.PushAccusations([wire_members.Accusation(body, bytes(64))])),
    )
    net.run(0.02)
    assert not linked(net[1], net[2])
    assert net[0].states()["node1"] == "alive"


def test_a_forged_member_record_changes_nothing() -> None:
    net = settled(3)
    own = net[1].engine.membership.own
    body = wire_members.decode_member_untrusted(own.entry.body)
    raised = wire.encode(
        wire_members.MemberBody(
            version=1,
            node=body.node,
            incarnation=1 << 62,
            serial=1,
            status=2,
            addresses=["evil:1"],
            neighbours=[],
            dialable=True,
            zone="",
            software="",
        )
    )
    entry = wire_members.MemberEntry(raised, own.entry.signature, list(own.chain))
    send(net[2], net[0], wire.encode(wire.PushMembers([entry])))
    net.run(0.02)
    assert not linked(net[0], net[2])
    assert net[0].states()["node1"] == "alive"
    send(net[2], net[1], wire.encode(wire.PushMembers([entry])))
    net.run(0.02)
    assert net[1].engine.membership.incarnation < 1 << 61


def test_a_second_hello_and_a_strangers_hello_are_refused() -> None:
    net = settled(2)
    hello = next(
        sent.payload
        for sent in net[1].sent
        if isinstance(wire.decode_untrusted(sent.payload), wire.Hello)
    )
    send(net[1], net[0], hello)
    net.run(0.02)
    assert net[0].engine.context.counters["closed_out_of_order"] == 1
    third = net.add("third")
    net[0].feed(LinkUp(9001, _peer(third), None, "x:1"))
    net[0].feed(Received(9001, hello))  # signed by node1, on a link of third
    assert net[0].engine.context.counters["closed_hello_of_another"] == 1


def test_nothing_is_heard_before_hello() -> None:
    net = settled(2)
    stranger = net.add("stranger")
    net[0].feed(LinkUp(9001, _peer(stranger), None, "x:1"))
    net[0].feed(Received(9001, wire.encode(wire.Ping(1, 0, bytes(8), 0))))
    assert 9001 not in net[0].engine.links


def test_a_peer_that_never_greets_loses_its_link_even_if_it_shows_life() -> None:
    net = settled(2)
    stranger = net.add("stranger")
    net[0].feed(LinkUp(9001, _peer(stranger), None, "x:1"))
    for _ in range(int(HELLO_WITHIN) + 1):
        net[0].feed(Heard(9001))
        net.run(1.0)
    assert 9001 not in net[0].engine.links


def test_links_are_bounded() -> None:
    net = Net(1)
    stranger = net.add("stranger", start=False)
    for number in range(LINKS_MAX + 10):
        net[0].feed(LinkUp(10_000 + number, _peer(stranger), None, "x:1"))
    assert len(net[0].engine.links) == LINKS_MAX
    assert net[0].engine.context.counters["closed_too_many_links"] == 10


@pytest.mark.parametrize("lower_first", [True, False])
def test_of_two_simultaneous_dials_the_lower_ids_stays(lower_first: bool) -> None:
    net = Net()
    one, two = net.add("one"), net.add("two")
    low, high = sorted((one, two), key=lambda machine: machine.identity.node_id)
    order = (low, high) if lower_first else (high, low)
    for dialer in order:
        other = two if dialer is one else one
        net.join(dialer, other, 77, other.address)
    net.run(1)
    for machine in (low, high):
        (link,) = machine.engine.links.values()
        assert link.dialed == (machine is low)
        assert link.neighbour
    assert not low.engine.context.counters["accusations_made"]


def test_a_restarted_peer_replaces_its_half_open_link_at_once() -> None:
    net = settled(2)
    net[1].links.clear()  # the machine lost power: nothing reaches node0
    net[1].up = False
    net[1].life += 1
    net.run(0.3)
    net[1].start()
    net.until(net.meshed, 1)
    net.until(lambda: len(net[0].engine.links) == 1, 1)
    (link,) = net[0].engine.links.values()
    assert link.neighbour
    net[0].set(b"k", b"v")
    net.until(lambda: net[1].get(b"k") == b"v", 1)


def test_a_link_that_broke_on_one_side_only_does_not_block_the_next() -> None:
    net = settled(2)
    (number,) = net[1].links
    net[1].links.pop(number)
    net[1].feed(LinkDown(number, False, "broken"))  # node0 hears nothing of it
    net.until(lambda: len(net[1].engine.links) == 1 and len(net[0].engine.links) == 1, 3)
    net.run(5)
    assert net.meshed()
    assert all(link.neighbour for m in net for link in m.engine.links.values())


def test_a_lost_link_between_living_peers_is_made_anew_without_a_death() -> None:
    net = settled(3)
    net.run(1)
    for machine in (net[0], net[1]):
        for number, (other, _far, _life) in list(machine.links.items()):
            if other in (net[0], net[1]):
                machine.links.pop(number)
                machine.feed(LinkDown(number, False, "broken"))
    net.until(lambda: linked(net[0], net[1]) and linked(net[1], net[0]), 1)
    net.run(5)
    assert net.meshed()
    assert not any(m.engine.context.counters["members_died"] for m in net)


def test_a_full_mesh_finds_room_and_no_node_has_too_many() -> None:
    net = Net(30)
    net.until(net.meshed, 10)
    net.run(30)
    for machine in net:
        neighbours = [link for link in machine.engine.links.values() if link.neighbour]
        target = machine.engine.overlay.target()
        assert target - 1 <= len(neighbours) <= target + 4
        assert len(machine.engine.links) == len(neighbours)


def test_a_shrunken_mesh_parts_with_surplus_neighbours() -> None:
    net = Net(12)
    net.until(net.meshed, 10)
    net.run(15)
    for machine in net:
        machine.engine.overlay.target = lambda: 3  # type: ignore[method-assign]
    net.run(30)
    for machine in net:
        neighbours = [link for link in machine.engine.links.values() if link.neighbour]
        assert 2 <= len(neighbours) <= 7
    assert net.meshed()
    assert not any(m.engine.context.counters["accusations_made"] for m in net)


def test_one_hostile_member_that_accuses_everybody_removes_nobody_and_is_cut_short() -> None:
    net = settled(8)
    hostile = net[7].engine
    for _ in range(300):
        for member in hostile.membership.others():
            if not member.suspected:
                net[7].write(lambda engine, who=member.id: engine.detection.accuse(who, 1))
        net.run(0.05)
    # What the hostile one makes itself believe is its own affair.
    assert not any(m.engine.context.counters["members_died"] for m in net if m is not net[7])
    assert all(m.engine.membership.incarnation < 120 for m in net)
    assert net[0].engine.status()["drops"]
