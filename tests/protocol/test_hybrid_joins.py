"""Joins hold against quantum computers wherever both sides can, and nobody talks them out of it."""

from dataclasses import replace

import pytest
from session_world import WALL
from test_joining import Office, converse

from gossipnet.errors import JoinError, RemoteProtocolError, TokenError
from gossipnet.protocol import kem
from gossipnet.protocol.handshake import PostQuantum
from gossipnet.protocol.joinwire import ANSWER_BYTES, Offer, decode_offer, encode
from gossipnet.protocol.preamble import Kind, read_preamble, write_preamble

OFF, PREFER, REQUIRE = PostQuantum.OFF, PostQuantum.PREFER, PostQuantum.REQUIRE


@pytest.fixture
def office():
    return Office()


@pytest.mark.parametrize("joining", [PREFER, REQUIRE])
@pytest.mark.parametrize("answering", [OFF, PREFER, REQUIRE])
def test_both_can(office, joining, answering):
    joiner = office.joiner(office.invite(), pq=joining)
    there, _back = converse(joiner, office.answer(pq=answering))
    assert joiner.finished
    assert joiner.hybrid
    assert read_preamble(there, office.world.mesh_id).kind is Kind.JOIN_HYBRID


def test_without_it_prefer_still_lets_in(office):
    joiner = office.joiner(office.invite(), pq=OFF)
    converse(joiner, office.answer(pq=PREFER))
    assert joiner.finished
    assert not joiner.hybrid
    joiner = office.joiner(office.invite(hybrid=False), pq=PREFER, who=b"two", name="two")
    converse(joiner, office.answer(b"two", pq=OFF))
    assert joiner.finished
    assert not joiner.hybrid


def test_require_at_the_issuer_refuses_a_plain_join_and_says_why(office):
    token = office.invite()
    joiner, answer = office.joiner(token, pq=OFF), office.answer(pq=REQUIRE)
    with pytest.raises(JoinError, match='pq = "require" at its issuer'):
        answer.receive(joiner.data_to_send(), WALL)
    with pytest.raises(TokenError, match='set pq to "prefer" on the new machine'):
        joiner.receive(answer.data_to_send(), WALL)
    assert joiner.data_to_send() == b"", "the newcomer has said nothing of itself"
    again = office.joiner(token)
    converse(again, office.answer(b"again", pq=REQUIRE))
    assert again.finished, "the token is still good"


def test_require_at_the_newcomer_says_nothing_to_an_issuer_that_cannot(office):
    with pytest.raises(JoinError, match="runs no post-quantum handshake"):
        office.joiner(office.invite(hybrid=False), pq=REQUIRE)


def test_require_without_the_algorithm(office, monkeypatch):
    monkeypatch.setattr(kem, "available", lambda: False)
    with pytest.raises(JoinError, match="ML-KEM-768"):
        office.joiner(office.invite(), pq=REQUIRE)
    joiner = office.joiner(office.invite(), pq=PREFER)
    assert not joiner.hybrid


def test_a_token_that_was_made_to_say_less_is_noticed(office):
    """Or one that is older than the issuer's ability: either way, nothing is said to it."""
    joiner = office.joiner(replace(office.invite(), hybrid=False))
    answer = office.answer()
    answer.receive(joiner.data_to_send(), WALL)
    with pytest.raises(JoinError, match="ask for a new token"):
        joiner.receive(answer.data_to_send(), WALL)
    assert joiner.data_to_send() == b""


def test_an_offer_that_is_cut_out_on_the_way_fails(office):
    """Whoever knows the mesh id can rewrite the preamble, and gains nothing."""
    joiner, answer = office.joiner(office.invite()), office.answer()
    first = joiner.data_to_send()
    mesh_id = office.world.mesh_id
    said = read_preamble(first, mesh_id)
    plain = said.first_message[:48]
    forged = write_preamble(Kind.JOIN, mesh_id, plain, said.token_id + said.issuer)
    with pytest.raises(RemoteProtocolError) as caught:
        answer.receive(forged, WALL)
    assert caught.value.reason == "bad-tag"


def test_one_secret_more_goes_into_the_keys(office, monkeypatch):
    """With another ML-KEM secret than the one that was sent, the conversation fails."""
    joiner, answer = office.joiner(office.invite()), office.answer()
    real = kem.KemKey.decapsulate
    monkeypatch.setattr(
        kem.KemKey, "decapsulate", lambda key, text: bytes(32) if real(key, text) else b""
    )
    with pytest.raises(JoinError, match="does not fit the token"):
        converse(joiner, answer)


def test_the_longest_root_fits_into_the_offer():
    """What `gossipnet root rotate` lets a root grow to must still let newcomers in."""
    offer = Offer(bytes(49_152), bytes(12_500), "")
    assert decode_offer(encode(offer)) == offer
    assert len(encode(offer)) + 200 < ANSWER_BYTES
