"""Published messages across a mesh of engines: everybody hears once, and nobody is fooled."""

from collections import defaultdict

import pytest

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.signing import Domain, sign
from gossipnet.ids import NodeId
from gossipnet.protocol.talk import STALE_MS, WINDOW, Heard
from gossipnet.protocol.wire import decode_untrusted, encode
from gossipnet.protocol.wire_talk import EventBody, PushEvents, SignedEvent
from tests.protocol.identities import identity
from tests.protocol.mesh import Machine, Net

Log = dict[str, list[tuple[bytes, bytes]]]


def meshed(count: int) -> tuple[Net, Log]:
    net = Net(count)
    net.until(lambda: net.meshed() and net.equal(), 30, "meshed")
    net.run(12)
    return net, listened(net)


def listened(net: Net) -> Log:
    told: Log = defaultdict(list)
    for machine in net:

        def hear(channel: bytes, data: bytes, name: str = machine.name) -> None:
            told[name].append((channel, data))

        machine.engine.hear(hear)
    return told


def publish(machine: Machine, *said: bytes) -> None:
    for data in said:
        machine.engine.publish(b"news", data)
    machine.turn()


def sent(net: Net) -> int:
    """Copies of events that were sent so far."""
    return sum(
        len(message.events)
        for machine in net
        for send in machine.sent
        if isinstance(message := decode_untrusted(send.payload), PushEvents)
    )


@pytest.mark.parametrize("count", [2, 8, 25])
def test_everybody_hears_each_message_once(count: int) -> None:
    net, told = meshed(count)
    before = sent(net)
    publish(net[1], b"one", b"two")
    publish(net[0], b"three")
    net.run(0.5)
    for place in range(count):
        heard = {data for _channel, data in told[f"node{place}"]}
        mine = {1: {b"one", b"two"}, 0: {b"three"}}.get(place, set())
        assert heard == {b"one", b"two", b"three"} - mine
        assert len(told[f"node{place}"]) == len(heard)
    copies = sent(net) - before
    assert copies <= 2 * (count - 1) * 1.1 + 12, "what a tree and first hops take"


def test_a_turns_messages_share_a_signature_and_keep_their_order() -> None:
    net, told = meshed(3)
    before = sent(net)
    said = [b"%d" % number for number in range(500)]
    publish(net[0], *said)
    net.run(0.5)
    assert [data for _channel, data in told["node2"]] == said
    assert sent(net) - before <= 4
    assert net[0].engine.context.counters["events_published"] == 500


def test_large_messages_are_signed_one_by_one() -> None:
    net, told = meshed(2)
    said = [bytes([number]) * 40_000 for number in range(20)]
    publish(net[0], *said)
    net.run(0.5)
    assert [data for _channel, data in told["node1"]] == said


def test_what_the_tree_loses_is_asked_for() -> None:
    net, told = meshed(12)
    for machine in net:  # nobody passes anything on: only announcements are left
        machine.engine.talk.leads = lambda _author, _link: False
    publish(net[3], b"x")
    net.run(3)
    assert all(told[f"node{place}"] == [(b"news", b"x")] for place in range(12) if place != 3)
    assert sum(machine.engine.context.counters["events_asked"] for machine in net) > 0


def test_a_restarted_author_is_heard() -> None:
    net, told = meshed(3)
    publish(net[1], b"a", b"b")
    net.run(0.5)
    net[1].stop()
    net.run(1)
    net[1].start()
    net.until(lambda: net.meshed() and len(net[1].engine.overlay.neighbours) == 2, 20, "back")
    publish(net[1], b"c")
    net.run(1)
    assert [data for _channel, data in told["node2"]] == [b"a", b"b", b"c"]


def test_whoever_was_cut_off_has_missed_it() -> None:
    net, told = meshed(4)
    net.part("node3")
    publish(net[0], b"missed")
    net.run(30)
    net.heal()
    net.until(net.meshed, 30, "healed")
    publish(net[0], b"heard")
    net.run(2)
    assert [data for _channel, data in told["node3"]] == [b"heard"]


# ---------------------------------------------------------------- bad input


def event(author: str, number: int = 1, *, signer: str = "", wall_ms: int = -1) -> SignedEvent:
    who, by = identity(author), identity(signer or author)
    net_wall = 1_800_000_100_000 if wall_ms < 0 else wall_ms
    body = encode(EventBody(who.node_id, 5, number, net_wall, [(b"c", b"d")]))
    return SignedEvent(body, sign(by.key, Domain.EVENT, by.trust.mesh_id, body))


def given(machine: Machine, *events: SignedEvent) -> None:
    link = next(iter(machine.engine.links.values()))
    machine.engine.talk.on_push(link, PushEvents(1, list(events)))
    machine.turn()


def test_a_forged_message_costs_its_bearer_the_link() -> None:
    net, told = meshed(3)
    with pytest.raises(RemoteProtocolError):
        given(net[0], event("node1", signer="node2"))
    with pytest.raises(RemoteProtocolError):
        given(net[0], SignedEvent(b"\xc1", bytes(64)))
    assert told["node0"] == []


def test_repeated_old_and_foreign_messages_are_dropped_and_counted() -> None:
    net, told = meshed(3)
    counters = net[0].engine.context.counters
    given(net[0], event("node1", 7), event("node1", 7), event("node1", 3))
    assert told["node0"] == [(b"c", b"d")]
    assert counters["events_duplicate"] == 2
    stale = net[0].engine.context.wall_ms - STALE_MS - 1
    given(net[0], event("node1", 8, wall_ms=stale))
    assert counters["events_stale"] == 1
    given(net[0], event("stranger", 1))
    assert counters["events_unknown"] == 1
    assert told["node0"] == [(b"c", b"d")]


def test_an_author_has_a_budget() -> None:
    heard = Heard(1, 0, 10.0)
    assert heard.spend(16 << 20, 10.0)
    assert not heard.spend(1 << 20, 10.0)
    assert heard.spend(1 << 20, 10.5)


def test_the_window_of_numbers() -> None:
    heard = Heard(1, 4, 0.0)
    assert heard.has(4)
    assert not heard.has(5)
    heard.note(7)
    assert heard.lacking(8) == [5, 6, 8]
    heard.note(5)
    assert heard.lacking(8) == [6, 8]
    heard.note(7 + WINDOW * 3)
    assert heard.has(8)
    assert not heard.has(6 + WINDOW * 3)


def test_a_member_is_looked_up_by_its_id() -> None:
    net, _told = meshed(2)
    assert NodeId(identity("node1").node_id) in net[0].engine.membership.members
