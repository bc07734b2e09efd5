"""A session's promises: who is let in, what comes out, and what a peer cannot do."""

import tracemalloc
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_world import WALL, World, carry, connect, entropy, pump

from gossipnet.errors import LocalProtocolError, RemoteProtocolError
from gossipnet.protocol import framing, session
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.handshake import BINDING_SECONDS, CLOCK_SECONDS, PostQuantum, Transport
from gossipnet.protocol.preamble import FIRST_FLIGHT_BYTES
from gossipnet.protocol.session import Established, Finished, Message, Session

BOTH = pytest.mark.parametrize("pq", [PostQuantum.OFF, PostQuantum.PREFER])


@pytest.fixture(scope="module")
def world():
    return World(b"one")


def payloads(events):
    return [event.payload for event in events if isinstance(event, Message)]


def reason_of(call, *args):
    with pytest.raises(RemoteProtocolError) as caught:
        list(call(*args) or ())
    return caught.value.reason


# ---------------------------------------------------------------- who is let in


def test_both_sides_learn_who_the_other_is(world):
    a, b, seen_by_a, seen_by_b = connect(world.transport("ann"), world.transport("bob"))
    (up_a,), (up_b,) = seen_by_a, seen_by_b
    assert isinstance(up_a, Established)
    assert up_a.peer.name == "bob"
    assert up_a.peer.node_id == world.identity("bob").node_id
    assert up_a.peer.public_key == world.identity("bob").public_key
    assert up_a.peer.chain == world.identity("bob").chain
    assert "member" in up_a.peer.roles
    assert up_a.peer.not_after == world.identity("bob").not_after
    assert up_b.peer.name == "ann"
    assert a.hash == b.hash


def test_messages_travel_both_ways_in_order(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    for number in range(1000):
        assert a.send(Lane.GOSSIP, b"a%d" % number)
        assert b.send(Lane.CONTROL, b"b%d" % number)
    assert payloads(carry(a, b)) == [b"a%d" % number for number in range(1000)]
    assert payloads(carry(b, a)) == [b"b%d" % number for number in range(1000)]


def test_the_dialling_side_says_nothing_before_ready(world):
    a = Session.dial(world.transport("ann"), expected=None)
    b = Session.answer(world.transport("bob"))
    assert a.send(Lane.CONTROL, b"early")
    assert not list(b.receive(a.data_to_send(1 << 16), WALL))
    assert not list(a.receive(b.data_to_send(1 << 16), WALL))
    message_3 = a.data_to_send(1 << 16)
    assert not a.data_to_send(1 << 16)
    assert [type(event) for event in b.receive(message_3, WALL)] == [Established]
    assert [type(event) for event in a.receive(b.data_to_send(1 << 16), WALL)] == [Established]
    assert payloads(carry(a, b)) == [b"early"]


def test_the_expected_peer(world):
    bob = world.identity("bob")
    _, _, seen, _ = connect(world.transport("ann"), world.transport("bob"), bob.node_id)
    assert seen[0].peer.node_id == bob.node_id


def test_another_than_the_expected_peer_learns_nothing(world):
    a = Session.dial(world.transport("ann"), expected=world.identity("carl").node_id)
    b = Session.answer(world.transport("bob"))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    assert reason_of(a.receive, b.data_to_send(1 << 16), WALL) == "wrong-peer"
    assert a.data_to_send(1 << 16) == b""


def test_myself(world):
    a = Session.dial(world.transport("ann"), expected=None)
    b = Session.answer(world.transport("ann"))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    assert reason_of(a.receive, b.data_to_send(1 << 16), WALL) == "self"


@settings(max_examples=200, deadline=None)
@given(payload=st.binary(max_size=300), cut=st.integers(0, 600))
def test_arbitrary_credentials_inside_a_good_handshake(payload, cut):
    """Anybody who knows the mesh id can get this far."""
    world = World(b"one")
    good = world.transport("ann").credentials(WALL)
    for shown in (payload, good[:cut], good[:cut] + payload):
        hostile = world.transport("ann")
        hostile.credentials = lambda wall, shown=shown: shown
        a = Session.dial(hostile, expected=None)
        b = Session.answer(world.transport("bob"))
        list(b.receive(a.data_to_send(1 << 16), WALL))
        list(a.receive(b.data_to_send(1 << 16), WALL))
        if shown != good:
            with pytest.raises(RemoteProtocolError):
                list(b.receive(a.data_to_send(1 << 16), WALL))


def test_another_mesh(world):
    a = Session.dial(World(b"two").transport("ann"), expected=None)
    b = Session.answer(world.transport("bob"))
    assert reason_of(b.receive, a.data_to_send(1 << 16), WALL) == "wrong-mesh"
    assert b.data_to_send(1 << 16) == b""


def test_the_same_mesh_id_with_a_foreign_certificate(world):
    """Mesh ids are no secret: an outsider gets as far as its certificate."""
    outsider = replace(World(b"two").identity("ann"), trust=world.identity("ann").trust)
    a = Session.dial(Transport(outsider, entropy(b"x")), expected=None)
    b = Session.answer(world.transport("bob"))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    list(a.receive(b.data_to_send(1 << 16), WALL))
    assert reason_of(b.receive, a.data_to_send(1 << 16), WALL) in {"wrong-mesh", "bad-signature"}


@pytest.mark.parametrize(
    ("wall", "reason"),
    [
        (WALL - 400 * 86_400, "not-yet-valid"),
        (WALL + 4000 * 86_400, "expired"),
    ],
)
def test_certificates_out_of_time(world, wall, reason):
    """Both sides judge by their own clock, the dialling side first."""
    a = Session.dial(world.transport("ann"), expected=None)
    b = Session.answer(world.transport("bob"))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    assert reason_of(a.receive, b.data_to_send(1 << 16), wall) == reason
    a = Session.dial(world.transport("ann"), expected=None)
    b = Session.answer(world.transport("bob"))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    list(a.receive(b.data_to_send(1 << 16), WALL))
    assert reason_of(b.receive, a.data_to_send(1 << 16), wall) == reason
    assert reason_of(a.end_of_stream) == "refused"


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (BINDING_SECONDS + CLOCK_SECONDS + 1, "binding-expired"),
        (-CLOCK_SECONDS - 1, "binding-not-yet-valid"),
    ],
)
def test_bindings_out_of_time(world, late, reason):
    a = Session.dial(world.transport("ann"), expected=None)
    b = Session.answer(world.transport("bob"))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    assert reason_of(a.receive, b.data_to_send(1 << 16), WALL + late) == reason


def test_clocks_that_differ_by_hours_still_link(world):
    for ahead in (3 * 3600.0, -3 * 3600.0):
        a = Session.dial(world.transport("ann"), expected=None)
        b = Session.answer(world.transport("bob"))
        list(b.receive(a.data_to_send(1 << 16), WALL + ahead))
        list(a.receive(b.data_to_send(1 << 16), WALL))
        assert list(b.receive(a.data_to_send(1 << 16), WALL + ahead))


def test_a_stolen_certificate_without_its_key(world):
    """The binding ties the Noise key to the certificate's key."""
    thief = world.identity("carl", key_of="dora")
    a = Session.dial(Transport(thief, entropy(b"thief")), expected=None)
    b = Session.answer(world.transport("bob"))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    list(a.receive(b.data_to_send(1 << 16), WALL))
    assert reason_of(b.receive, a.data_to_send(1 << 16), WALL) == "bad-signature"


def test_a_copied_binding_without_its_transport_key(world):
    """Ann's whole payload, shown by somebody with another Noise key."""
    ann, mallory = world.transport("ann"), world.transport("mallory")
    mallory.credentials = ann.credentials
    a = Session.dial(mallory, expected=None)
    b = Session.answer(world.transport("bob"))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    list(a.receive(b.data_to_send(1 << 16), WALL))
    assert reason_of(b.receive, a.data_to_send(1 << 16), WALL) == "bad-signature"


def test_credentials_are_signed_anew_when_they_age(world):
    ann = world.transport("ann")
    first = ann.credentials(WALL)
    assert ann.credentials(WALL + 3600) is first
    assert ann.credentials(WALL + 13 * 3600) != first
    assert len(first) % 64 == 0


def test_a_replayed_handshake_fails_at_message_3(world):
    a = Session.dial(world.transport("ann"), expected=None)
    b = Session.answer(world.transport("bob"))
    flight_1 = a.data_to_send(1 << 16)
    list(b.receive(flight_1, WALL))
    list(a.receive(b.data_to_send(1 << 16), WALL))
    flight_3 = a.data_to_send(1 << 16)
    assert list(b.receive(flight_3, WALL))
    again = Session.answer(Transport(world.identity("bob"), entropy(b"later")))
    list(again.receive(flight_1, WALL))
    assert reason_of(again.receive, flight_3, WALL) == "bad-tag"


# ---------------------------------------------------------------- lanes


def test_a_control_message_overtakes_a_long_bulk_message(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    bulk = bytes(range(256)) * 4096
    assert a.send(Lane.BULK, bulk)
    events = list(b.receive(a.data_to_send(32_768), WALL))
    assert not payloads(events)
    assert a.send(Lane.GOSSIP, b"news")
    assert a.send(Lane.CONTROL, b"now")
    assert payloads(b.receive(a.data_to_send(16_384), WALL)) == [b"now", b"news"]
    assert payloads(carry(a, b)) == [bulk]


def test_one_turn_never_gives_much_more_than_asked(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    assert a.send(Lane.BULK, bytes(1 << 20))
    while data := a.data_to_send(32_768):
        assert len(data) <= 32_768
        list(b.receive(data, WALL))


def test_small_messages_share_records(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    for _ in range(150):
        a.send(Lane.GOSSIP, bytes(100))
    before = b.received_frames
    assert len(payloads(carry(a, b))) == 150
    assert b.received_frames == before + 1


@pytest.mark.parametrize("size", [0, 1, 16_362, 16_363, 16_364, 16_365, 40_000])
def test_sizes_around_the_edges(world, size):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    message = bytes(size)
    for lane in Lane:
        assert a.send(lane, b"before")
        assert a.send(lane, message)
    assert a.send(Lane.BULK, b"after")
    assert payloads(carry(a, b)) == [b"before", message] * 3 + [b"after"]


def test_the_largest_message_on_every_lane_at_once(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    message = bytes(framing.MESSAGE_BYTES)
    for lane in Lane:
        assert a.send(lane, message)
        assert not a.send(lane, b"more")
    assert payloads(carry(a, b)) == [message] * 3


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_mixture_arrives_in_order_per_lane_whatever_the_cuts(data):
    world = World(b"one")
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    sizes = st.integers(0, 300) | st.integers(16_000, 70_000)
    sent = data.draw(st.lists(st.tuples(st.sampled_from(Lane), sizes), max_size=30))
    for number, (lane, size) in enumerate(sent):
        assert a.send(lane, bytes((lane, number)) + bytes(size))
    got = []
    while stream := a.data_to_send(data.draw(st.integers(1, 70_000))):
        at = 0
        while at < len(stream):
            step = data.draw(st.integers(1, 40_000))
            got += payloads(b.receive(stream[at : at + step], WALL))
            at += step
    for lane in Lane:
        assert [m[1] for m in got if m[0] == lane] == [
            number for number, (other, _) in enumerate(sent) if other == lane
        ]
    assert sorted(len(m) - 2 for m in got) == sorted(size for _, size in sent)


# ---------------------------------------------------------------- the end


def test_close_comes_after_everything_queued(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    a.send(Lane.BULK, bytes(100_000))
    a.send(Lane.GOSSIP, b"last")
    a.close()
    with pytest.raises(LocalProtocolError):
        a.send(Lane.CONTROL, b"too late")
    events = carry(a, b)
    assert payloads(events) == [b"last", bytes(100_000)]
    assert isinstance(events[-1], Finished)
    assert not a.data_to_send(1 << 16)
    b.end_of_stream()


def test_an_end_without_close_is_an_error(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    a.send(Lane.GOSSIP, b"x")
    carry(a, b)
    assert reason_of(b.end_of_stream) == "truncated"
    assert reason_of(Session.answer(world.transport("bob")).end_of_stream) == "truncated"


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(0, 40_000))
def test_truncation_anywhere_is_noticed(cut):
    world = World(b"one")
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    a.send(Lane.BULK, bytes(30_000))
    a.close()
    stream = pump(a)
    events = list(b.receive(stream[: min(cut, len(stream) - 1)], WALL))
    assert Finished() not in events
    assert reason_of(b.end_of_stream) == "truncated"


def test_closing_before_the_handshake_is_over_says_nothing(world):
    a = Session.dial(world.transport("ann"), expected=None)
    a.data_to_send(1 << 16)
    a.close()
    assert a.data_to_send(1 << 16) == b""


# ---------------------------------------------------------------- bounds


def test_a_full_lane_says_no_and_the_others_do_not(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    taken = 0
    while a.send(Lane.GOSSIP, bytes(1000)):
        taken += 1
    assert taken * 1000 <= framing.OUTBOX_BYTES
    assert taken * 1100 > framing.OUTBOX_BYTES
    assert a.send(Lane.CONTROL, b"still")
    assert len(payloads(carry(a, b))) == taken + 1
    assert a.queued == 0
    assert a.send(Lane.GOSSIP, bytes(1000))


def test_tiny_messages_are_bounded_too(world):
    a, *_ = connect(world.transport("ann"), world.transport("bob"))
    taken = 0
    while a.send(Lane.GOSSIP, b""):
        taken += 1
    assert taken < 40_000


def test_a_message_over_the_limit_is_our_own_bug(world):
    a, *_ = connect(world.transport("ann"), world.transport("bob"))
    with pytest.raises(LocalProtocolError):
        a.send(Lane.BULK, bytes(framing.MESSAGE_BYTES + 1))


def sealed(sender, plaintext):
    """A record that this end would never write."""
    data = sender._sending.seal(plaintext)
    return len(data).to_bytes(2, "big") + data


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"\x00", "bad-record"),
        (b"\x10", "bad-record"),
        (b"\x10\x00\x05abcd", "bad-record"),
        (b"\x13\x00\x01a", "bad-record"),
        (b"\x1f\x00\x01a", "bad-record"),
        (b"\x20\x00\x20\x00\x01\x00\x01a", "message-too-large"),
        (b"\x20\x80\x00\x00\x00\x00\x01a", "message-too-large"),
        (b"\x20\x00\x00\x00\x00\x00\x00", "bad-record"),
        (b"\x20\x00\x00\x00\x02\x00\x03abc", "bad-record"),
        (b"\x20\x00\x00\x00\x05\x00\x00", "bad-record"),
        (b"\x20\x00\x00", "bad-record"),
        (b"\x30\x00\x01a", "bad-record"),
        (b"\x20\x00\x00\x00\x05\x00\x01a\x30\x00\x05abcde", "bad-record"),
        (b"\x20\x00\x00\x00\x05\x00\x01a\x20\x00\x00\x00\x05\x00\x01a", "bad-record"),
        (b"\x20\x00\x00\x00\x05\x00\x01a\x10\x00\x01b", "bad-record"),
        (b"\x20\x00\x00\x00\x05\x00\x01a\x50", "bad-record"),
        (b"\x40", "bad-record"),
        (b"\x50\x10\x00\x01a", "bad-record"),
        (b"\x51", "bad-record"),
        (b"\xff" * 100, "bad-record"),
    ],
)
def test_records_that_make_no_sense(world, record, reason):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    assert reason_of(b.receive, sealed(a, record), WALL) == reason
    assert reason_of(b.receive, b"", WALL) == reason


def test_nothing_counts_after_close(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    assert list(b.receive(sealed(a, b"\x50"), WALL)) == [Finished()]
    assert reason_of(b.receive, sealed(a, b"\x10\x00\x01a"), WALL) == "after-close"


def test_acceptance_must_come_first(world):
    a = Session.dial(world.transport("ann"), expected=None)
    b = Session.answer(world.transport("bob"))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    list(a.receive(b.data_to_send(1 << 16), WALL))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    assert reason_of(a.receive, sealed(b, b"\x10\x00\x01a"), WALL) == "not-ready"


@pytest.mark.parametrize("head", [b"\xff\xff", b"\x40\x00", b"\x3f\xff"])
def test_a_long_frame_is_refused_by_its_length(world, head):
    for established in (False, True):
        if established:
            _, b, *_ = connect(world.transport("ann"), world.transport("bob"))
        else:
            b = Session.dial(world.transport("bob"), expected=None)
        assert reason_of(b.receive, head, WALL) == "frame-too-large"


def test_a_short_frame_is_refused_by_its_length(world):
    _, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    assert reason_of(b.receive, b"\x00\x10", WALL) == "bad-frame"
    b = Session.dial(world.transport("bob"), expected=None)
    assert reason_of(b.receive, b"\x00\x5f", WALL) == "bad-frame"


def test_an_announced_length_reserves_no_memory(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    total = framing.MESSAGE_BYTES.to_bytes(4, "big")
    stream = sealed(a, b"".join(bytes((0x20 | lane,)) + total + b"\x00\x01a" for lane in Lane))
    tracemalloc.start()
    try:
        assert not list(b.receive(stream, WALL))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_trickle_of_bytes_is_kept_once(world):
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    a.send(Lane.BULK, bytes(16_000))
    stream = pump(a)
    got = []
    for at in range(len(stream)):
        got += payloads(b.receive(stream[at : at + 1], WALL))
    assert got == [bytes(16_000)]


def test_keys_are_replaced_in_step(world, monkeypatch):
    monkeypatch.setattr(session, "REKEY_RECORDS", 3)
    a, b, *_ = connect(world.transport("ann"), world.transport("bob"))
    before = a._sending._cipher._cipher
    for number in range(20):
        a.send(Lane.GOSSIP, b"%d" % number)
        b.send(Lane.GOSSIP, b"%d" % number)
        assert payloads(carry(a, b)) == payloads(carry(b, a)) == [b"%d" % number]
    assert a._sending._cipher._cipher is not before
    monkeypatch.setattr(session, "REKEY_BYTES", 10_000)
    for _ in range(20):
        a.send(Lane.BULK, bytes(9000))
        assert payloads(carry(a, b)) == [bytes(9000)]


# ---------------------------------------------------------------- hostile bytes


@settings(max_examples=300, deadline=None)
@given(chunks=st.lists(st.binary(max_size=200), max_size=8), start=st.integers(0, 200))
def test_arbitrary_bytes_end_in_one_kind_of_error(chunks, start):
    """Garbage from the first byte, and garbage after a good beginning."""
    world = World(b"one")
    dialling = Session.dial(world.transport("ann"), expected=None)
    good = dialling.data_to_send(1 << 16)
    answering = Session.answer(world.transport("bob"))
    for end, stream in (
        (answering, [good[: start % (len(good) + 1)], *chunks]),
        (dialling, chunks),
    ):
        with suppress(RemoteProtocolError):
            for chunk in stream:
                assert not list(end.receive(chunk, WALL))
        assert len(end._rest) <= framing.FRAME_BYTES


def test_a_preamble_is_judged_before_more_is_kept(world):
    stream = b"GSP1" + bytes(FIRST_FLIGHT_BYTES)
    with pytest.raises(RemoteProtocolError):
        list(Session.answer(world.transport("bob")).receive(stream, WALL))


def conversation(pq):
    """A whole session, byte for byte the same each time: flights by direction, and plaintext."""
    world = World(b"one")
    a = Session.dial(world.transport("ann", pq), expected=None)
    b = Session.answer(world.transport("bob", pq))
    flights = [a.data_to_send(1 << 16)]
    list(b.receive(flights[0], WALL))
    answer = b.data_to_send(1 << 16)
    list(a.receive(answer, WALL))
    flights.append(a.data_to_send(1 << 16))
    list(b.receive(flights[1], WALL))
    list(a.receive(b.data_to_send(1 << 16), WALL))
    messages = [b"one", b"two" * 100, bytes(20_000), b"four"]
    for message in messages:
        a.send(Lane.GOSSIP, message)
        flights.append(pump(a))
    a.close()
    flights.append(pump(a))
    return flights, messages


def receive_tampered(flights, pq):
    """Feed flights to a fresh answering side; returns the plaintext and whether it ended well."""
    b = Session.answer(World(b"one").transport("bob", pq))
    got = []
    clean = False
    try:
        for flight in flights:
            for event in b.receive(flight, WALL):
                clean = clean or isinstance(event, Finished)
                if isinstance(event, Message):
                    got.append(event.payload)
            b.data_to_send(1 << 16)
        b.end_of_stream()
    except RemoteProtocolError:
        clean = False
    return got, clean


@BOTH
def test_the_untampered_conversation(pq):
    flights, messages = conversation(pq)
    assert receive_tampered(flights, pq) == (messages, True)


@BOTH
@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, 27_000), bit=st.integers(0, 7))
def test_any_flipped_bit_gives_an_error_and_a_true_prefix(pq, position, bit):
    flights, messages = conversation(pq)
    stream = bytearray(b"".join(flights))
    stream[position % len(stream)] ^= 1 << bit
    got, clean = receive_tampered([bytes(stream)], pq)
    assert not clean
    assert got == messages[: len(got)]


def frames_of(flights):
    """The conversation as the preamble with message 1, then frame by frame."""
    stream = b"".join(flights[1:])
    frames = [flights[0]]
    while stream:
        size = 2 + int.from_bytes(stream[:2], "big")
        frames.append(stream[:size])
        stream = stream[size:]
    return frames


@BOTH
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_frames_dropped_doubled_or_swapped_give_an_error_and_a_true_prefix(pq, data):
    flights, messages = conversation(pq)
    frames = frames_of(flights)
    at = data.draw(st.integers(0, len(frames) - 1))
    other = data.draw(st.integers(0, len(frames) - 1))
    match data.draw(st.sampled_from(["drop", "double", "swap"])):
        case "drop":
            changed = frames[:at] + frames[at + 1 :]
        case "double":
            changed = [*frames[: at + 1], frames[at], *frames[at + 1 :]]
        case _:
            changed = list(frames)
            changed[at], changed[other] = changed[other], changed[at]
    got, clean = receive_tampered(changed, pq)
    assert got == messages[: len(got)]
    assert clean == (changed == frames)


@BOTH
@settings(max_examples=100, deadline=None)
@given(position=st.integers(0, 2500), value=st.integers(0, 255))
def test_a_changed_answer_never_convinces_the_dialling_side(pq, position, value):
    world = World(b"one")
    a = Session.dial(world.transport("ann", pq), expected=None)
    b = Session.answer(world.transport("bob", pq))
    list(b.receive(a.data_to_send(1 << 16), WALL))
    answer = bytearray(b.data_to_send(1 << 16))
    position %= len(answer)
    if answer[position] == value:
        return
    answer[position] = value
    try:
        assert not list(a.receive(bytes(answer), WALL))
        a.end_of_stream()
    except RemoteProtocolError:
        pass
    assert a.data_to_send(1 << 16) == b""


@BOTH
def test_nothing_readable_is_on_the_wire(world, pq):
    flights, messages = conversation(pq)
    stream = b"".join(flights)
    assert b"ann" not in stream
    assert messages[1][:30] not in stream
    for certificate in world.identity("ann").chain:
        assert certificate[:32] not in stream


def test_low_order_keys(world, vectors):
    """Every public key of Wycheproof that makes the shared secret zero, as the ephemeral key."""
    from gossipnet.protocol.preamble import Kind, write_preamble

    keys = {
        bytes.fromhex(test["public"])
        for group in vectors("wycheproof-x25519_test.json")["testGroups"]
        for test in group["tests"]
        if "ZeroSharedSecret" in test["flags"]
    }
    assert keys
    for key in keys:
        b = Session.answer(world.transport("bob"))
        first = write_preamble(Kind.LINK, world.identity("bob").trust.mesh_id, key)
        assert reason_of(b.receive, first, WALL) == "low-order-key"
