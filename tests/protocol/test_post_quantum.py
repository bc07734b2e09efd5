"""Hybrid or plain: every pair of settings, and nobody in between can choose for them."""

import hashlib

import pytest
from session_world import WALL, World, carry, connect, pump

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol import kem
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.handshake import PostQuantum
from gossipnet.protocol.noise import KEY_BYTES
from gossipnet.protocol.preamble import Kind, write_preamble
from gossipnet.protocol.session import Established, Message, Refreshed, Session

OFF, PREFER, REQUIRE = PostQuantum


@pytest.fixture(scope="module")
def world():
    return World(b"quantum")


def ends(world, dialling, answering):
    return connect(world.transport("ann", dialling), world.transport("bob", answering))


@pytest.mark.parametrize("dialling", PostQuantum)
@pytest.mark.parametrize("answering", PostQuantum)
def test_every_pair_of_settings(world, dialling, answering):
    if REQUIRE in (dialling, answering) and OFF in (dialling, answering):
        with pytest.raises(RemoteProtocolError) as caught:
            ends(world, dialling, answering)
        assert caught.value.reason == "pq-required"
        return
    a, b, (up_a,), (up_b,) = ends(world, dialling, answering)
    wanted = OFF not in (dialling, answering)
    assert up_a.peer.hybrid == up_b.peer.hybrid == wanted
    assert a.hash == b.hash
    a.send(Lane.GOSSIP, b"x")
    assert [event.payload for event in carry(a, b)] == [b"x"]


@pytest.mark.parametrize("answering", [OFF, PREFER])
def test_fresh_keys_are_of_the_same_sort(world, answering):
    a, b, (up,), _ = ends(world, PREFER, answering)
    a.refresh()
    seen = []
    for _ in range(3):
        seen += carry(a, b)
        seen += carry(b, a)
    refreshed = [event for event in seen if isinstance(event, Refreshed)]
    assert [event.peer.hybrid for event in refreshed] == [up.peer.hybrid] * 2
    b.send(Lane.GOSSIP, b"x")
    assert [event for event in carry(b, a) if isinstance(event, Message)]


def flight(world, pq):
    session = Session.dial(world.transport("ann", pq), expected=None)
    return session, pump(session)


def test_an_offer_that_is_cut_out_on_the_way_fails_the_handshake(world):
    """The mesh id is no secret, so whoever sits between can make a plain preamble of a hybrid."""
    a, first = flight(world, PREFER)
    message = first[-(KEY_BYTES + kem.PUBLIC_BYTES) :][:KEY_BYTES]
    plain = write_preamble(Kind.LINK, world.mesh_id, message)
    b = Session.answer(world.transport("bob"))
    list(b.receive(plain, WALL))
    answer = pump(b)
    with pytest.raises(RemoteProtocolError):
        list(a.receive(answer, WALL))
    # Nor does it help to claim that the answering side chose the plain one.
    a, first = flight(world, PREFER)
    size = int.from_bytes(answer[:2], "big") + 1
    with pytest.raises(RemoteProtocolError) as caught:
        list(a.receive(size.to_bytes(2, "big") + b"\0" + answer[2:], WALL))
    assert caught.value.reason == "bad-tag"


@pytest.mark.parametrize("choice", [b"\0", b"\2", b"\xff"])
def test_another_choice_than_the_answering_sides_fails(world, choice):
    a, first = flight(world, PREFER)
    b = Session.answer(world.transport("bob"))
    list(b.receive(first, WALL))
    answer = pump(b)
    assert answer[2:3] == b"\1"
    with pytest.raises(RemoteProtocolError):
        list(a.receive(answer[:2] + choice + answer[3:], WALL))


def test_who_could_have_run_the_hybrid_one_and_did_not_is_refused(world):
    """A build that says in its credentials that it can, and answers or dials plainly."""
    for liar, honest in ((OFF, PREFER), (PREFER, OFF)):
        ann, bob = world.transport("ann", liar), world.transport("bob", honest)
        lying = ann if liar is OFF else bob
        lying.hybrid = True
        real = lying.credentials(WALL)
        lying.hybrid = False
        lying.credentials = lambda _wall, real=real: real
        with pytest.raises(RemoteProtocolError) as caught:
            connect(ann, bob)
        assert caught.value.reason == "downgraded"


def test_require_refuses_before_any_key_agreement(world):
    _a, first = flight(world, OFF)
    transport = world.transport("bob", REQUIRE)
    with pytest.raises(RemoteProtocolError, match="pq-required"):
        list(Session.answer(transport).receive(first, WALL))
    assert transport.answered == 0


def test_without_the_algorithm_prefer_means_off(world, monkeypatch):
    monkeypatch.setattr(kem, "available", lambda: False)
    lacking = world.transport("ann")
    monkeypatch.undo()
    assert not lacking.hybrid
    _a, _b, (up,), _ = connect(lacking, world.transport("bob"))
    assert isinstance(up, Established)
    assert not up.peer.hybrid


def test_one_secret_more_goes_into_the_keys_of_a_hybrid_link(world, monkeypatch):
    from gossipnet.protocol.noise import HYBRID, LINK, SymmetricState

    keys = {}
    for pq, name in ((OFF, LINK), (PREFER, HYBRID)):
        mixed = []
        real = SymmetricState.mix_key

        def watch(self, material, mixed=mixed, real=real):
            mixed.append(hashlib.sha256(material).digest())
            real(self, material)

        monkeypatch.setattr(SymmetricState, "mix_key", watch)
        ends(world, pq, pq)
        monkeypatch.undo()
        keys[name] = len(mixed)
    assert keys[HYBRID] == keys[LINK] + 2, "one secret more on each side"
