"""Joining: the newcomer trusts only the token's mesh, the issuer only the token's secret."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_world import WALL, World, entropy

from gossipnet.errors import JoinError, RemoteProtocolError, TokenError, UserError
from gossipnet.identity.invitations import Invitations
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import Domain, SecretKey, sign
from gossipnet.ids import node_id
from gossipnet.protocol.joinanswer import JoinAnswer
from gossipnet.protocol.joining import Joiner
from gossipnet.protocol.joinwire import (
    ANSWER_BYTES,
    REQUEST_BYTES,
    JoinRequest,
    decode_answer,
    decode_offer,
    decode_request,
    request_body,
)
from gossipnet.protocol.preamble import FIRST_FLIGHT_BYTES, Kind, read_preamble

ADDRESSES = ("10.0.0.1:7117", "[fd00::1]:7117")


class Office:
    """An issuer and its book of invitations."""

    def __init__(self, seed=b"one"):
        self.world = World(seed)
        self.identity = self.world.founder
        self.invitations = Invitations()
        self._entropy = entropy(seed + b"tokens")

    def invite(self, role="member", uses=1, ttl=3600.0, hybrid=True):
        return self.invitations.create(
            self.identity.issuer,
            node=self.identity.node_id,
            role=role,
            uses=uses,
            ttl=ttl,
            capabilities=[],
            addresses=ADDRESSES,
            wall=WALL,
            entropy=self._entropy,
            hybrid=hybrid,
        )

    def answer(self, seed=b"answer", **more):
        return JoinAnswer(self.identity, self.invitations, entropy(seed), ADDRESSES, **more)

    def joiner(self, token, who=b"newcomer", name="newcomer", seed=b"joiner", **more):
        return Joiner(token, key_of(who), name, entropy=entropy(seed), **more)


def key_of(who):
    return SecretKey.from_seed(who.ljust(32, b"."))


def converse(joiner, answer, wall=WALL):
    """Carry bytes until nothing moves; returns all that went each way."""
    there = back = b""
    for _ in range(5):
        data = joiner.data_to_send()
        there += data
        try:
            answer.receive(data, wall)
        finally:
            reply = answer.data_to_send()
            back += reply
            joiner.receive(reply, wall)
        if answer.finished:
            break
    return there, back


@pytest.fixture
def office():
    return Office()


# ---------------------------------------------------------------- joining


def test_a_newcomer_gets_its_certificate(office):
    joiner, answer = office.joiner(office.invite()), office.answer()
    converse(joiner, answer)
    assert joiner.finished
    assert answer.finished
    joined = joiner.result
    assert joined.certificate.subject == key_of(b"newcomer").public_key
    assert joined.certificate.name == "newcomer"
    assert joined.certificate.roles == {"member"}
    assert joined.trust.mesh_id == office.world.mesh_id
    assert joined.trust.verify_chain(joined.chain, WALL) == joined.certificate
    assert joined.addresses == ADDRESSES
    assert joined.issuer == office.identity.node_id
    assert joined.issuer_chain == ()
    assert answer.result.node_id == node_id(key_of(b"newcomer").public_key)
    assert answer.result.name == "newcomer"
    assert answer.result.chain == joined.chain
    joiner.end_of_stream()


def test_a_new_issuer_gets_a_second_certificate(office):
    joiner = office.joiner(office.invite(role="issuer"), issuer_key=key_of(b"issuing"))
    converse(joiner, office.answer())
    joined = joiner.result
    assert "issuer" in joined.certificate.roles
    issuing = joined.trust.verify_issuer_chain(joined.issuer_chain, WALL)
    assert issuing.subject == key_of(b"issuing").public_key


def test_a_member_that_offers_an_issuer_key_does_not_become_one(office):
    joiner = office.joiner(office.invite(), issuer_key=key_of(b"issuing"))
    converse(joiner, office.answer())
    assert joiner.result.issuer_chain == ()
    assert "issuer" not in joiner.result.certificate.roles


def test_bytes_may_be_cut_anywhere(office):
    joiner, answer = office.joiner(office.invite()), office.answer()
    for _ in range(3):
        for byte in joiner.data_to_send():
            answer.receive(bytes((byte,)), WALL)
        for byte in answer.data_to_send():
            joiner.receive(bytes((byte,)), WALL)
    assert joiner.finished


def test_a_lost_answer_costs_nothing(office):
    token = office.invite()
    lost, answer = office.joiner(token), office.answer()
    answer.receive(lost.data_to_send(), WALL)
    lost.receive(answer.data_to_send(), WALL)
    answer.receive(lost.data_to_send(), WALL)
    assert answer.finished
    with pytest.raises(JoinError, match="try again"):
        lost.end_of_stream()
    again = office.joiner(token, seed=b"again")
    converse(again, office.answer(b"again"))
    assert again.result.chain == answer.result.chain


def test_both_clocks_may_be_hours_apart(office):
    token = office.invite(ttl=86_400.0)
    joiner, answer = office.joiner(token), office.answer()
    answer.receive(joiner.data_to_send(), WALL)
    joiner.receive(answer.data_to_send(), WALL + 3 * 3600)
    answer.receive(joiner.data_to_send(), WALL)
    joiner.receive(answer.data_to_send(), WALL + 3 * 3600)
    assert joiner.finished


def test_a_lost_answer_to_a_new_issuer(office):
    token = office.invite(role="issuer")
    for seed in (b"first", b"second"):
        joiner = office.joiner(token, seed=seed, issuer_key=key_of(b"issuing"))
        converse(joiner, office.answer(seed))
        assert joiner.result.issuer_chain


# ---------------------------------------------------------------- refusals


def refused(office, joiner, wall=WALL):
    """The one reason, as both sides give it."""
    answer = office.answer(b"refusing")

    def talk():
        for _ in range(2):
            answer.receive(joiner.data_to_send(), wall)
            joiner.receive(answer.data_to_send(), wall)

    with pytest.raises(UserError) as at_issuer:
        talk()
    with pytest.raises(UserError) as at_joiner:
        joiner.receive(answer.data_to_send(), wall)
    assert str(at_joiner.value) == str(at_issuer.value)
    assert type(at_joiner.value) is type(at_issuer.value) or not isinstance(
        at_issuer.value, TokenError
    )
    assert joiner.data_to_send() == b""
    assert joiner.result is None
    return at_joiner.value


def test_an_unknown_token(office):
    elsewhere = Office()
    elsewhere.invite()
    token = elsewhere.invite()
    assert isinstance(refused(office, office.joiner(token)), TokenError)


def test_an_expired_token(office):
    token = office.invite(ttl=60.0)
    error = refused(office, office.joiner(token), WALL + 3600)
    assert isinstance(error, TokenError)
    assert "expired" in str(error)


def test_a_used_token(office):
    token = office.invite()
    converse(office.joiner(token), office.answer())
    error = refused(office, office.joiner(token, who=b"somebody else", name="other"))
    assert isinstance(error, TokenError)
    assert "used" in str(error)


def test_a_name_that_does_not_do(office):
    assert "name" in str(refused(office, office.joiner(office.invite(), name="\x1b[31mred")))
    with pytest.raises(JoinError, match="longer"):
        office.joiner(office.invite(), name="x" * 64)


def test_an_issuer_that_may_not_make_issuers(office):
    first = office.joiner(office.invite(role="issuer"), issuer_key=key_of(b"issuing"))
    converse(first, office.answer())
    joined = first.result
    office.identity = NodeIdentity.assemble(
        key_of(b"newcomer"),
        joined.chain,
        joined.trust,
        issuer_key=key_of(b"issuing"),
        issuer_chain=joined.issuer_chain,
    )
    with pytest.raises(UserError, match="may not make issuers"):
        office.invite(role="issuer")
    member = office.joiner(office.invite(), who=b"third", name="third")
    converse(member, office.answer())
    assert member.result.trust.verify_chain(member.result.chain, WALL).name == "third"
    assert len(member.result.chain) == 3


def test_a_refused_name_does_not_use_up_the_token(office):
    token = office.invite()
    refused(office, office.joiner(token, name="not a name"))
    joiner = office.joiner(token)
    converse(joiner, office.answer(b"once more"))
    assert joiner.finished


# ---------------------------------------------------------------- who lies


def test_a_wrong_secret_gets_nothing(office):
    token = replace(office.invite(), secret=bytes(32))
    joiner, answer = office.joiner(token), office.answer()
    answer.receive(joiner.data_to_send(), WALL)
    joiner.receive(answer.data_to_send(), WALL)
    with pytest.raises(RemoteProtocolError) as caught:
        answer.receive(joiner.data_to_send(), WALL)
    assert caught.value.reason == "bad-tag"
    assert answer.data_to_send() == b""
    assert answer.result is None


class FakeBook:
    """Whatever a fake issuer claims to know."""

    def psk_of(self, token_id, wall):
        return bytes(32)

    def redeem(self, *args):
        raise AssertionError("it never gets this far")


def says_nothing_to(joiner, identity):
    """A fake issuer answers; returns what the newcomer thinks of it."""
    answer = JoinAnswer(identity, FakeBook(), entropy(b"fake"))
    answer.receive(joiner.data_to_send(), WALL)
    with pytest.raises(JoinError) as caught:
        joiner.receive(answer.data_to_send(), WALL)
    assert joiner.data_to_send() == b""
    return str(caught.value)


class Disguised:
    """An identity with some parts taken from others."""

    def __init__(self, identity, **parts):
        self.__dict__.update(
            node_id=identity.node_id,
            public_key=identity.public_key,
            key=identity.key,
            chain=identity.chain,
            trust=identity.trust,
            issuer=identity.issuer,
            name=identity.name,
        )
        self.__dict__.update(parts)


class OtherRoot:
    """Claims the token's mesh id and shows another mesh's root."""

    def __init__(self, mesh_id, real):
        self.mesh_id = mesh_id
        self.root_version = 1
        self.encode = real.encode


def test_an_issuer_of_another_mesh(office):
    token = office.invite()
    stranger = World(b"two").founder
    fake = Disguised(
        stranger,
        node_id=token.issuer,
        trust=OtherRoot(token.mesh_id, stranger.trust),
    )
    assert "another mesh" in says_nothing_to(office.joiner(token), fake)


def test_another_member_in_the_issuers_place(office):
    token = office.invite()
    fake = Disguised(office.world.identity("mallory"), node_id=token.issuer)
    assert "not the issuer" in says_nothing_to(office.joiner(token), fake)


def test_the_issuers_certificates_without_its_key(office):
    token = office.invite()
    mallory = office.world.identity("mallory")
    fake = Disguised(office.identity, key=mallory.key)
    assert "bad-signature" in says_nothing_to(office.joiner(token), fake)


def test_a_token_of_another_issuer_is_not_answered(office):
    joiner = office.joiner(office.invite())
    answer = JoinAnswer(office.world.identity("mallory"), FakeBook(), entropy(b"x"))
    with pytest.raises(RemoteProtocolError) as caught:
        answer.receive(joiner.data_to_send(), WALL)
    assert caught.value.reason == "wrong-issuer"


def test_a_clock_that_is_off_by_months_is_named(office):
    joiner, answer = office.joiner(office.invite()), office.answer()
    answer.receive(joiner.data_to_send(), WALL)
    with pytest.raises(JoinError, match="clock"):
        joiner.receive(answer.data_to_send(), WALL - 300 * 86_400)


def test_a_request_signed_for_another_conversation(office):
    joiner, answer = office.joiner(office.invite()), office.answer()
    genuine = joiner._request

    def stale():
        body = request_body(bytes(32), key_of(b"newcomer").public_key, b"", "newcomer", True)
        signature = sign(key_of(b"newcomer"), Domain.JOIN, office.world.mesh_id, body)
        return JoinRequest(genuine().public_key, b"", "newcomer", True, signature, b"")

    joiner._request = stale
    with pytest.raises(RemoteProtocolError) as caught:
        converse(joiner, answer)
    assert caught.value.reason == "bad-signature"
    assert answer.result is None


def test_a_request_for_somebody_elses_key(office):
    joiner, answer = office.joiner(office.invite()), office.answer()
    genuine = joiner._request

    def foreign():
        request = genuine()
        victim = key_of(b"victim").public_key
        return JoinRequest(victim, b"", "newcomer", True, request.signature, b"")

    joiner._request = foreign
    with pytest.raises(RemoteProtocolError):
        converse(joiner, answer)
    assert answer.result is None


def test_a_captured_conversation_cannot_be_replayed(office):
    joiner, answer = office.joiner(office.invite(uses=2)), office.answer()
    there, _ = converse(joiner, answer)
    again = office.answer(b"later")
    with pytest.raises(RemoteProtocolError) as caught:
        again.receive(there, WALL)
    assert caught.value.reason == "bad-tag"


# ---------------------------------------------------------------- what others see


def test_a_relay_learns_where_to_and_nothing_else(office):
    token = office.invite()
    joiner, answer = office.joiner(token), office.answer()
    there, back = converse(joiner, answer)
    preamble = read_preamble(there, office.world.mesh_id)
    assert preamble.kind is Kind.JOIN_HYBRID
    assert preamble.issuer == office.identity.node_id[:16]
    assert preamble.token_id == token.token_id
    assert preamble.size <= FIRST_FLIGHT_BYTES
    seen = there + back
    for secret in (
        b"newcomer",
        b"10.0.0.1",
        token.secret,
        key_of(b"newcomer").public_key,
        answer.result.chain[0][-40:],
        office.identity.public_key,
    ):
        assert secret not in seen
    assert len(there) < 2048
    assert len(back) < 8192


def test_the_preamble_is_checked_before_anything_costs(office):
    first = office.joiner(office.invite()).data_to_send()
    assert read_preamble(first[:-1], office.world.mesh_id) is None
    for position in range(len(first)):
        spoiled = bytearray(first)
        spoiled[position] ^= 1
        with pytest.raises(RemoteProtocolError):
            read_preamble(bytes(spoiled), office.world.mesh_id)
    with pytest.raises(RemoteProtocolError) as caught:
        read_preamble(first, World(b"two").mesh_id)
    assert caught.value.reason == "wrong-mesh"


# ---------------------------------------------------------------- hostile bytes


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_admits_nobody_wrongly(data):
    """Whatever a relay changes, the result is an error or the true certificate."""
    office = Office()
    joiner, answer = office.joiner(office.invite()), office.answer()
    target = data.draw(st.integers(0, 4))
    turn = 0
    with suppress(RemoteProtocolError, UserError):
        for _ in range(2):
            for sender, receiver in ((joiner, answer), (answer, joiner)):
                flight = bytearray(sender.data_to_send())
                if turn == target and flight:
                    flight[data.draw(st.integers(0, len(flight) - 1))] ^= 1 << data.draw(
                        st.integers(0, 7)
                    )
                turn += 1
                receiver.receive(bytes(flight), WALL)
    if joiner.finished:
        assert target == 4
        assert joiner.result.chain == answer.result.chain
    else:
        assert joiner.result is None


@settings(max_examples=150, deadline=None)
@given(chunks=st.lists(st.binary(max_size=300), max_size=6), good=st.integers(0, 200))
def test_arbitrary_bytes_end_in_the_right_kind_of_error(chunks, good):
    office = Office()
    joiner, answer = office.joiner(office.invite()), office.answer()
    first = joiner.data_to_send()
    with suppress(RemoteProtocolError):
        answer.receive(first[:good], WALL)
        for chunk in chunks:
            answer.receive(chunk, WALL)
    with suppress(JoinError):
        for chunk in chunks:
            joiner.receive(chunk, WALL)
    assert answer.result is None
    assert joiner.result is None


@given(st.binary(max_size=400))
def test_arbitrary_messages_are_decoded_or_refused(data):
    for decode in (decode_offer, decode_request, decode_answer):
        with suppress(RemoteProtocolError):
            decode(data)


def test_long_frames_are_refused_by_their_length(office):
    joiner, answer = office.joiner(office.invite()), office.answer()
    answer.receive(joiner.data_to_send(), WALL)
    with pytest.raises(RemoteProtocolError) as caught:
        answer.receive((REQUEST_BYTES + 1).to_bytes(2, "big"), WALL)
    assert caught.value.reason == "frame-too-large"
    with pytest.raises(JoinError):
        joiner.receive((ANSWER_BYTES + 1).to_bytes(2, "big"), WALL)
    for ended, error in ((answer, RemoteProtocolError), (joiner, JoinError)):
        with pytest.raises(error):
            ended.receive(b"", WALL)
