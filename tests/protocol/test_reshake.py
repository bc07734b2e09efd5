"""Fresh keys inside a session: nothing lost, nothing believed for longer than its certificate."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_world import WALL, World, carry, connect, entropy, pump

from gossipnet.errors import LocalProtocolError, RemoteProtocolError
from gossipnet.identity.founding import admit
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.framing import Inbox, shake_record
from gossipnet.protocol.handshake import Transport
from gossipnet.protocol.reshake import TOO_SOON, Step
from gossipnet.protocol.session import Message, Refreshed

DAY = 86_400.0


@pytest.fixture(scope="module")
def world():
    return World(b"reshake")


def linked(world, one="ann", two="bob"):
    return connect(world.transport(one), world.transport(two))[:2]


def exchange(a, b, wall=WALL):
    """Until nobody has anything to say: what each side saw."""
    seen = ([], [])
    while True:
        to_b, to_a = pump(a), pump(b)
        if not to_a and not to_b:
            return seen
        if to_b:
            seen[1].extend(b.receive(to_b, wall))
        if to_a:
            seen[0].extend(a.receive(to_a, wall))


def payloads(events):
    return [event.payload for event in events if isinstance(event, Message)]


def test_both_sides_get_new_keys_a_new_name_and_prove_themselves_anew(world):
    a, b = linked(world)
    before, sending = a.hash, a._sending
    assert a.refresh()
    assert not a.refresh(), "one at a time"
    seen_by_a, seen_by_b = exchange(a, b)
    for events, name in ((seen_by_a, "bob"), (seen_by_b, "ann")):
        (refreshed,) = [event for event in events if isinstance(event, Refreshed)]
        assert refreshed.peer.name == name
    assert a.hash == b.hash != before
    assert a._sending is not sending
    a.send(Lane.GOSSIP, b"after")
    assert payloads(carry(a, b)) == [b"after"]
    for _ in range(3):
        assert a.refresh()
        exchange(a, b, WALL + 900 * (_ + 1))
    b.send(Lane.GOSSIP, b"still")
    assert payloads(carry(b, a)) == [b"still"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_message_is_lost_repeated_or_reordered_whatever_the_interleaving(world, data):
    a, b = linked(world)
    wires = {(a, b): bytearray(), (b, a): bytearray()}
    sent = {a: [], b: []}
    got = {a: [], b: []}
    refreshed = {a: 0, b: 0}
    wall = WALL

    def deliver(one, other, count):
        wire = wires[one, other]
        wire += one.data_to_send(1 << 16)
        piece, rest = bytes(wire[:count]), wire[count:]
        wires[one, other] = bytearray(rest)
        for event in other.receive(piece, wall):
            if isinstance(event, Message):
                got[other].append(event.payload)
            refreshed[other] += isinstance(event, Refreshed)

    for number in range(data.draw(st.integers(5, 40))):
        action = data.draw(st.integers(0, 4))
        who, other = (a, b) if data.draw(st.booleans()) else (b, a)
        if action == 0:
            wall += TOO_SOON
            a.refresh()
        elif action == 1:
            payload = b"%d" % number + bytes(data.draw(st.sampled_from([0, 10, 20_000])))
            assert who.send(Lane.GOSSIP, payload)
            sent[who].append(payload)
        else:
            deliver(who, other, data.draw(st.sampled_from([1, 60, 1 << 16])))
    for _ in range(12):
        deliver(a, b, 1 << 22)
        deliver(b, a, 1 << 22)
    assert got[b] == sent[a]
    assert got[a] == sent[b]
    assert refreshed[a] == refreshed[b]


def test_a_certificate_that_has_ended_does_not_get_fresh_keys(world):
    short = admit(world.founder, "cal", entropy(b"cal"), WALL - DAY, ttl=2 * DAY)
    a, b = connect(world.transport("ann"), Transport(short, entropy(b"process")))[:2]
    a.refresh()
    carry(a, b, WALL + 3 * DAY)
    with pytest.raises(RemoteProtocolError) as caught:
        carry(b, a, WALL + 3 * DAY)
    assert caught.value.reason == "expired"


def test_a_renewed_certificate_is_shown(world):
    bob = world.transport("bob")
    a, b = connect(world.transport("ann"), bob)[:2]
    old = bob.identity
    chain = world.founder.issuer.issue(
        old.public_key, "bob", wall=WALL, entropy=entropy(b"new serial")
    )
    bob.identity = old.renewed(chain)
    a.refresh()
    (refreshed,) = [event for event in exchange(a, b)[0] if isinstance(event, Refreshed)]
    assert refreshed.peer.chain == chain
    assert refreshed.peer.not_after > old.not_after


def test_another_node_cannot_take_the_link_over(world):
    bob = world.transport("bob")
    a, b = connect(world.transport("ann"), bob)[:2]
    bob.identity = replace(world.identity("eve"))
    a.refresh()
    carry(a, b)
    with pytest.raises(RemoteProtocolError) as caught:
        carry(b, a)
    assert caught.value.reason == "wrong-peer"


def test_the_new_handshake_belongs_to_its_session(world):
    a, _b = linked(world)
    c, d = linked(world, "cal", "dan")
    a.refresh()
    # The same first message inside another session: the prologue differs, so the tags do.
    step = a._shakes.pop()
    c._reshake = a._reshake
    c._shakes.append(step)
    carry(c, d)
    with pytest.raises(RemoteProtocolError) as caught:
        carry(d, c)
    assert caught.value.reason == "bad-tag"


def test_handshakes_are_not_taken_unasked_nor_too_often(world):
    a, b = linked(world)
    with pytest.raises(LocalProtocolError):
        b.refresh()
    b._shakes.append(Step(b"x" * 32))
    with pytest.raises(RemoteProtocolError, match="unexpected-handshake"):
        carry(b, a)
    a, b = linked(world)
    a.refresh()
    exchange(a, b)
    a.refresh()
    with pytest.raises(RemoteProtocolError, match="handshake-too-soon"):
        exchange(a, b, WALL + 10)


@pytest.mark.parametrize("message", [b"", b"\0" * 32, b"\1" * 31, b"\xff" * 400])
def test_nonsense_in_a_handshake_ends_the_link(world, message):
    a, b = linked(world)
    a._shakes.append(Step(message))
    a._shakes.append(Step(message))
    with pytest.raises(RemoteProtocolError):
        carry(a, b)


def test_a_handshake_record_before_ready_is_refused(world):
    with pytest.raises(RemoteProtocolError, match="not-ready"):
        Inbox(expect_ready=True).take(shake_record(b"x"))


def test_closing_wins_over_a_handshake_under_way(world):
    a, b = linked(world)
    a.refresh()
    carry(a, b)
    a.close()
    assert not a.refresh()
    carry(a, b)
    b.end_of_stream()
