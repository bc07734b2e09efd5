"""Rows 1 to 9 of the threat table: whoever sits on the path between two nodes."""

import os
import time
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from nacl.bindings import crypto_sign_ed25519_sk_to_curve25519

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.founding import admit, expand, found
from gossipnet.node import open_node
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.handshake import PostQuantum, Transport
from gossipnet.protocol.noise import LINK, KeyPair, NoiseHandshake
from gossipnet.protocol.preamble import Kind, prologue, write_preamble
from gossipnet.protocol.session import Finished, Message, Session
from gossipnet.protocol.wire import Records, Vector, Want
from gossipnet.state import record
from gossipnet.state.replica import Replica
from tests.protocol.session_world import WALL, World, carry, connect, pump
from tests.security.hostile import (
    ANY,
    Author,
    Tap,
    accusation,
    dialled,
    eventually,
    flipped,
    home_of_founder,
    identity,
    joined,
    member_record,
    settled,
)

MARKER = b"MARKER-that-nobody-on-the-path-may-read"


@pytest.fixture
def world() -> World:
    return World(b"the path")


async def test_row_01_what_is_said_cannot_be_read(tmp_path: Path) -> None:
    tap = Tap()
    async with trio.open_nursery() as nursery:
        await nursery.start(tap.run)
        founder = home_of_founder(tmp_path / "ada")
        async with open_node(founder, listen=ANY, advertise=[tap.address]) as ada:
            tap.to = ada.listening[0]
            home = await joined(ada, tmp_path / "bob-the-secret-name", tap.address)
            tap.seen.clear()  # a join names the issuer in the clear, as its token does
            async with open_node(home, listen=ANY) as bob:
                await eventually(lambda: bob.engine.peers(), "a link")
                await ada.set(MARKER, MARKER)
                await eventually(lambda: bob.get(MARKER) == MARKER, "the write is there")
                seen = bytes(tap.seen)
                secretive = [MARKER, b"bob-the-secret-name", b"gossipnet"]
                for one in (ada.identity, bob.identity):
                    secretive += [one.public_key, one.node_id, one.node_id[:16]]
                    secretive += [certificate[:32] for certificate in one.chain]
        nursery.cancel_scope.cancel()
    assert len(seen) > 3000
    assert not [one for one in secretive if one in seen]


async def test_row_02_a_recording_stays_closed_to_who_steals_the_key_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that a home holds, as the X25519 secret of either side, opens nothing recorded."""
    spoken: list[bytes] = []

    def entropy(size: int) -> bytes:
        spoken.append(os.urandom(size))
        return spoken[-1]

    async with open_node(home_of_founder(tmp_path / "ada"), listen=ANY) as ada:
        raw = ada.driver._transport.static.private.private_bytes_raw()
        guest = transport_of_guest(ada).identity
        dialling = Session.dial(Transport(guest, entropy, pq=PostQuantum.OFF), expected=None)
        async with dialled(ada.listening[0], transport_of_guest(ada)) as stream:
            await stream.raw(dialling.data_to_send(1 << 16))
            answer = b""
            with trio.fail_after(10):
                while len(answer) < 2 or len(answer) < 2 + int.from_bytes(answer[:2], "big"):
                    answer += await stream.stream.receive_some(65_536)
        mesh_id, seed = ada.identity.trust.mesh_id, ada.identity.key.seed()
        home = b"".join(
            file.read_bytes() for file in sorted((tmp_path / "ada").iterdir()) if file.is_file()
        )
    assert raw not in home, "the transport key is never written"

    def steal(secret: bytes) -> bytes:
        """What a thief reads of message 2 who takes that for the dialler's ephemeral secret."""
        pair = KeyPair(X25519PrivateKey.from_private_bytes(secret), stream.sent[26:58])
        monkeypatch.setattr(KeyPair, "make", lambda _entropy: pair)
        thief = NoiseHandshake(
            LINK,
            initiator=True,
            prologue=prologue(Kind.LINK, mesh_id),
            entropy=os.urandom,
            static=pair,
        )
        thief.write()
        return thief.read(answer[2:])

    assert steal(spoken[-1]), "the right one would open it"
    candidates = {seed, crypto_sign_ed25519_sk_to_curve25519(seed + ada.identity.public_key)}
    candidates |= {home[at : at + 32] for at in range(0, len(home) - 32, 997)}
    for secret in candidates:
        with pytest.raises(RemoteProtocolError):
            steal(secret)
    monkeypatch.undo()
    async with open_node(tmp_path / "ada", listen=ANY) as again:
        fresh = again.driver._transport.static.private.private_bytes_raw()
        assert fresh != raw, "each process makes its own"


def transport_of_guest(node) -> Transport:
    guest = admit(node.identity, "guest", os.urandom, time.time())
    return Transport(guest, os.urandom)


@pytest.mark.parametrize("lie", ["own certificate", "stolen certificate", "stolen binding"])
def test_row_03_a_man_in_the_middle_is_not_who_was_dialled(world: World, lie: str) -> None:
    alice = world.transport("alice")
    eve = world.transport("eve")
    if lie == "stolen certificate":
        eve = Transport(world.identity("bob", key_of="eve"), expand(b"eve"))
    elif lie == "stolen binding":  # as recorded from bob, over bob's transport key
        bob = world.transport("bob")
        eve._credentials = bob.credentials(WALL)
        eve._credentials_until = WALL + 1e9
        eve.credentials = lambda _wall: bob.credentials(WALL)
    dialling = Session.dial(alice, expected=world.identity("bob").node_id)
    answering = Session.answer(eve)
    carry(dialling, answering)
    with pytest.raises(RemoteProtocolError) as caught:
        carry(answering, dialling)
    assert caught.value.reason in ("wrong-peer", "bad-signature", "wrong-key", "bad-binding")
    assert pump(dialling) == b"", "nothing about the dialling side was told"


def conversation(world: World) -> tuple[Session, bytes, list[bytes]]:
    """A session that is about to receive these bytes, which mean these messages."""
    a, b, _seen, _by = connect(world.transport("alice"), world.transport("bob"))
    said = [b"one", b"two" * 100, b"three" * 5000, b"four"]
    for number, payload in enumerate(said):
        a.send(Lane.GOSSIP if number % 2 else Lane.CONTROL, payload)
    return b, pump(a), said


def heard(session: Session, data: bytes) -> list[bytes]:
    found = []
    try:
        for event in session.receive(data, WALL):
            if isinstance(event, Message):
                found.append(event.payload)
    except RemoteProtocolError:
        found.append(b"error")
    return found


def test_row_04_every_changed_byte_is_noticed(world: World) -> None:
    _session, data, said = conversation(world)
    for place in (*range(0, 700, 3), *range(700, len(data), 97), len(data) - 1):
        session, data, _said = conversation(world)
        got = heard(session, flipped(data, place))
        true = got[:-1] if got and got[-1] == b"error" else got
        assert all(one in said for one in true)
        assert got != said


@pytest.mark.parametrize("fault", ["drop", "double", "swap", "reflect"])
def test_row_04_frames_are_good_once_and_in_their_place(world: World, fault: str) -> None:
    session, data, said = conversation(world)
    frames, at = [], 0
    while at < len(data):
        size = 2 + int.from_bytes(data[at : at + 2], "big")
        frames.append(data[at : at + size])
        at += size
    assert len(frames) >= 2
    if fault == "drop":
        del frames[0]
    elif fault == "double":
        frames.insert(1, frames[0])
    elif fault == "swap":
        frames[0], frames[1] = frames[1], frames[0]
    else:  # what this side sent itself
        session.send(Lane.CONTROL, b"mine")
        frames.insert(0, pump(session))
    got = heard(session, b"".join(frames))
    assert got[-1] == b"error"
    assert all(one in said for one in got[:-1])


def test_row_05_a_stream_that_is_cut_is_not_a_stream_that_ended(world: World) -> None:
    session, data, _said = conversation(world)
    for end in range(0, len(data), 501):
        session, data, _said = conversation(world)
        events = list(session.receive(data[:end], WALL))
        assert not any(isinstance(event, Finished) for event in events)
        with pytest.raises(RemoteProtocolError, match="truncated"):
            session.end_of_stream()


def test_row_05_a_link_cut_in_mid_sync_leaves_nothing_marked_as_done() -> None:
    net, (liar,) = settled(1, "liar")
    victim = net[0]
    author = Author(identity("somebody"), victim.wall - 1000)
    records = [author.write() for _ in range(20)]
    link = liar.connect(victim)
    tip = record.parse_untrusted(records[-1]).hash[:16]
    liar.say(link, Vector([(author.log, 20, tip)], False))
    net.run(0.5)
    want = liar.heard_of(Want)[-1]
    liar.say(link, Records(want.session, records[:7], False, False))
    net.run(0.05)
    liar.kill()
    net.run(0.5)
    assert not victim.engine.sync.pulls
    assert victim.engine.replica.head(author.log) == 7
    assert victim.engine.context.counters["links_lost"] == 1
    assert victim.engine.replica.wanted_from({author.log: 20}) == [(author.log, 8, 20)]


@pytest.mark.parametrize("pq", [PostQuantum.PREFER, PostQuantum.REQUIRE])
def test_row_06_the_offer_of_post_quantum_keys_cannot_be_cut_out(
    world: World, pq: PostQuantum
) -> None:
    """The mesh id is no secret: whoever cuts writes a good preamble around what is left."""
    dialling = Session.dial(world.transport("alice", pq), expected=None)
    answering = Session.answer(world.transport("bob", PostQuantum.PREFER))
    flight = pump(dialling)
    assert flight[4] == Kind.HYBRID
    cut = write_preamble(Kind.LINK, world.mesh_id, flight[26:58])
    list(answering.receive(cut, WALL))
    with pytest.raises(RemoteProtocolError):
        carry(answering, dialling)
    assert pump(dialling) == b"", "nothing about the dialling side was told"


def test_row_07_a_handshake_said_again_fails_at_message_3(world: World) -> None:
    dialling = Session.dial(world.transport("alice"), expected=None)
    answering = Session.answer(world.transport("bob"))
    first = pump(dialling)
    list(answering.receive(first, WALL))
    carry(answering, dialling)
    third = pump(dialling)
    assert list(answering.receive(third, WALL))
    dialling.send(Lane.CONTROL, b"once")
    again = Session.answer(Transport(world.identity("bob"), os.urandom))
    list(again.receive(first, WALL))
    with pytest.raises(RemoteProtocolError, match="bad-tag"):
        list(again.receive(third, WALL))


async def test_row_07_a_recorded_connection_brings_a_real_node_nothing(tmp_path: Path) -> None:
    async with open_node(home_of_founder(tmp_path / "ada"), listen=ANY) as ada:
        async with dialled(ada.listening[0], transport_of_guest(ada)) as stream:
            with trio.fail_after(10):
                await stream.shake(wall=time.time())
        said = stream.sent
        await eventually(lambda: not ada.engine.links, "it is gone")
        ups = ada.driver.counters["link_ended_bad_tag"]
        async with dialled(ada.listening[0], stream.transport) as again:
            await again.raw(said)
            with trio.fail_after(10):
                await again.rest()
        assert not ada.engine.links
        assert ada.driver.counters["link_ended_bad_tag"] == ups + 1


def test_row_08_nothing_of_one_mesh_counts_in_another() -> None:
    here, there = found("a", "f", expand(b"a"), WALL), found("b", "f", expand(b"b"), WALL)
    me, same = (admit(by, "n", expand(b"the same key"), WALL) for by in (here, there))
    assert me.node_id == same.node_id
    flight = pump(Session.dial(Transport(same, expand(b"1")), expected=None))
    with pytest.raises(RemoteProtocolError, match="wrong-mesh"):
        list(Session.answer(Transport(here, expand(b"2"))).receive(flight, WALL))
    # A preamble of this mesh around a handshake of the other one.
    forged = write_preamble(Kind.HYBRID, here.trust.mesh_id, flight[26:])
    answering = Session.answer(Transport(here, expand(b"2")))
    fresh = Session.dial(Transport(same, expand(b"1")), expected=None)
    assert pump(fresh) == flight
    list(answering.receive(forged, WALL))
    with pytest.raises(RemoteProtocolError):
        carry(answering, fresh)
    # Signed things, by the very same key.
    reader = Replica(key=here.key, chain=here.chain, trust=here.trust, epoch=1, wall=WALL)
    with pytest.raises(RemoteProtocolError):
        reader.ingest(Author(same, WALL).write(), WALL)
    net, _liars = settled(1)
    membership = net[0].engine.membership
    with pytest.raises(RemoteProtocolError):
        membership.admit(member_record(same))
    assert accusation(me, me.node_id, 1).signature != accusation(same, me.node_id, 1).signature


LOW_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]
"""All points of small order and their other encodings (RFC 7748, section 6.1)."""


@pytest.mark.parametrize("number", range(len(LOW_ORDER)))
async def test_row_09_low_order_keys_end_the_connection_and_nothing_else(
    tmp_path: Path, world: World, number: int
) -> None:
    session = Session.answer(world.transport("bob", PostQuantum.OFF))
    first = write_preamble(Kind.LINK, world.mesh_id, LOW_ORDER[number])
    with pytest.raises(RemoteProtocolError, match="low-order-key"):
        list(session.receive(first, WALL))
    if number == 0:
        async with open_node(home_of_founder(tmp_path / "ada"), listen=ANY) as ada:
            for key in LOW_ORDER:
                async with dialled(ada.listening[0], transport_of_guest(ada)) as stream:
                    await stream.raw(write_preamble(Kind.LINK, ada.identity.trust.mesh_id, key))
                    with trio.fail_after(10):
                        assert await stream.rest() == b""
            assert ada.status()["ready"]
