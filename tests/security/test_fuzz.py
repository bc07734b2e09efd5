"""Fuzzing: every decoder, both handshakes, the engine's messages and the local socket's commands.

Good bytes of each kind are cut, flipped, doubled, moved and mixed; what may happen is one kind of
error. A run of a second or so each in `make test`, as long as one likes in `make fuzz`.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gossipnet.errors import RemoteProtocolError, UserError
from gossipnet.identity.certificate import decode_certificate
from gossipnet.identity.founding import expand
from gossipnet.identity.handover import read_answer, read_request
from gossipnet.identity.keyfile import read_seed, write_seed
from gossipnet.identity.revocation import decode_revocation
from gossipnet.identity.root import decode_root
from gossipnet.identity.token import decode_token
from gossipnet.identity.trust import Trust
from gossipnet.protocol.effects import Lane, Received
from gossipnet.protocol.handshake import decode_credentials
from gossipnet.protocol.joining import Joiner
from gossipnet.protocol.joinwire import decode_answer, decode_offer, decode_request
from gossipnet.protocol.preamble import read_kind, read_preamble
from gossipnet.protocol.session import Session
from gossipnet.protocol.wire import (
    decode_untrusted,
)
from gossipnet.protocol.wire_members import (
    decode_accusation_untrusted,
    decode_member_untrusted,
)
from gossipnet.protocol.wire_receipts import decode_receipt_untrusted
from gossipnet.protocol.wire_talk import decode_event_untrusted
from gossipnet.protocol.wire_trust import decode_renew_untrusted
from gossipnet.resp.parser import ProtocolError, RequestParser
from gossipnet.resp.reader import GuardedHiredis, RequestReader
from gossipnet.state import record
from gossipnet.state.body import (
    decode_body_untrusted,
)
from gossipnet.state.fork import decode_proof
from tests.protocol.mesh import Net
from tests.protocol.session_world import WALL, World, connect, pump
from tests.protocol.test_engine_join import invite, key_of
from tests.security.hostile import Author, Liar, accusation, identity, member_record, question

LONG = bool(os.environ.get("GOSSIPNET_FUZZ"))
EXAMPLES = int(os.environ.get("GOSSIPNET_FUZZ_EXAMPLES", "20000")) if LONG else 40
FEW = EXAMPLES // 10 if LONG else 10

ODD = [b"", b"\0", b"\xff" * 8, b"\xdd\xff\xff\xff\xff", b"\xc6\x7f\xff\xff\xff", b"\x91" * 300]
"""What decoders stumble over: lengths without end, nesting without end."""


@st.composite
def spoilt(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """A good sample with some damage, or something else altogether."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.integers(0, 5))
        if kind == 0 and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif kind == 1:
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == 2:
            data[at:at] = draw(st.sampled_from(ODD))
        elif kind == 3:
            data[at:at] = data[at : at + draw(st.integers(1, 60))]
        elif kind == 4:
            other = draw(st.sampled_from(samples))
            data[at:] = other[draw(st.integers(0, len(other))) :]
        else:
            data[at : at + 8] = draw(st.binary(max_size=12))
    return bytes(data)


@cache
def corpus() -> dict[str, list[bytes]]:
    """Good bytes of every kind, from one small mesh that has lived a little."""
    net = Net(3)
    net.until(net.meshed, 20, "a mesh")
    liar = Liar(net, "liar")
    for machine in (net[0], net[1], net[2]):
        liar.connect(machine)
    net[0].write(lambda engine: engine.publish(b"channel", b"said"))
    for number, machine in enumerate((net[0], net[1], net[2])):
        machine.set(b"k%d" % number, b"v")
        machine.write(lambda engine: engine.keyspace.add(b"s", [b"a", b"b"]))
        machine.engine.await_receipts(3)
        machine.turn()
    net.part("node2")
    for number in range(80):
        net[0].set(b"far%d" % number, b"v")
        net.run(0.02)
    net.heal()
    net.run(6)
    net[0].write(lambda engine: engine.revoke("node2", "gone"))
    net.run(1)
    messages = {send.payload[:2]: send.payload for m in (net[0], net[1], net[2]) for send in m.sent}
    who = identity("node1")
    author = Author(who, net[0].wall)
    records = [author.write()] + [one.data for one in net[0].disk.records[-5:]]
    founder = identity("node0")
    found: dict[str, list[bytes]] = {
        "message": list(messages.values()),
        "record": records,
        "body": [record.parse_untrusted(one).body for one in records],
        "member": [member_record(who).body],
        "accusation": [accusation(who, founder.node_id, 1).body],
        "question": [b"\x94" + question(who, 1, b"l" * 16, 1, 3).asker],
        "certificate": [*who.chain, *founder.chain],
        "trust": [founder.trust.encode()],
        "token": [invite(net[0]).encode().encode()],
        "seed": [write_seed("node", who.key)],
        "notice": [value for name, value in net[0].disk.meta.items() if name.startswith("notice/")],
    }
    return {name: [one[:4096] for one in samples] or [b""] for name, samples in found.items()}


TRUST = identity("node0").trust
DECODERS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "message": ("message", decode_untrusted),
    "member record": ("member", decode_member_untrusted),
    "accusation": ("accusation", decode_accusation_untrusted),
    "receipt": ("question", decode_receipt_untrusted),
    "event": ("member", decode_event_untrusted),
    "renewal": ("question", decode_renew_untrusted),
    "record": ("record", record.parse_untrusted),
    "header": ("record", record.read_header),
    "body": ("body", decode_body_untrusted),
    "certificate": ("certificate", decode_certificate),
    "trust": ("trust", Trust.decode),
    "root": ("trust", decode_root),
    "revocation": ("notice", lambda data: decode_revocation(data, TRUST)),
    "fork proof": ("record", lambda data: decode_proof(data, TRUST)),
    "credentials": ("certificate", decode_credentials),
    "offer": ("trust", decode_offer),
    "join request": ("certificate", decode_request),
    "join answer": ("certificate", decode_answer),
    "token": ("token", lambda data: decode_token(data.decode("latin-1"))),
    "key file": ("seed", lambda data: read_seed("node", data, "here")),
    "request file": ("seed", lambda data: read_request(data.decode("latin-1"))),
    "answer file": ("seed", lambda data: read_answer(data.decode("latin-1"))),
    "kind": ("record", read_kind),
}
FUZZED = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
SLOWLY = settings(
    max_examples=FEW, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.mark.parametrize("name", DECODERS)
def test_fuzz_decoder(name: str) -> None:
    kind, decode = DECODERS[name]

    @FUZZED
    @given(spoilt(corpus()[kind]))
    def run(data: bytes) -> None:
        try:
            decode(data)
        except (RemoteProtocolError, UserError):
            return

    run()


def test_fuzz_link_handshakes() -> None:
    world = World(b"fuzz")

    @cache
    def flights() -> list[bytes]:
        a = Session.dial(world.transport("alice"), expected=None)
        b = Session.answer(world.transport("bob"))
        first = pump(a)
        list(b.receive(first, WALL))
        second = pump(b)
        list(a.receive(second, WALL))
        return [first, second, pump(a)]

    @SLOWLY
    @given(st.data())
    def run(data: st.DataObject) -> None:
        first, second, third = flights()
        a = Session.dial(world.transport("alice"), expected=None)
        b = Session.answer(world.transport("bob"))
        assert pump(a) == first
        at = data.draw(st.integers(0, 2))
        given_ = data.draw(spoilt([(first, second, third)[at]]))
        try:
            if at == 0:
                list(b.receive(given_, WALL))
                read_preamble(given_, world.mesh_id)
            elif at == 1:
                list(a.receive(given_, WALL))
            else:
                list(b.receive(first, WALL))
                list(b.receive(given_, WALL))
        except RemoteProtocolError:
            return

    run()


def test_fuzz_join_handshakes() -> None:
    net = Net(1)
    token = invite(net[0])

    @SLOWLY
    @given(st.data())
    def run(data: st.DataObject) -> None:
        joiner = Joiner(token, key_of("guest"), "guest", entropy=expand(b"guest"))
        out: list[bytes] = []
        reception = net[0].engine.relay.reception
        reception.forget("fuzz")
        assert reception.admit("fuzz", "here", out.append, lambda: None)
        first = joiner.data_to_send()
        at = data.draw(st.integers(0, 1))
        reception.received("fuzz", data.draw(spoilt([first])) if at == 0 else first)
        if at and out:
            try:
                joiner.receive(data.draw(spoilt([b"".join(out)])), net[0].wall)
            except UserError:
                return

    run()


def test_fuzz_sealed_records() -> None:
    world = World(b"fuzz")
    good = [b"\x11\0\4ping", b"\x20\0\0\2\0\0\4more", b"\x60shake", b"\x40", b"\x50"]

    @SLOWLY
    @given(st.lists(spoilt(good), min_size=1, max_size=5))
    def run(plains: list[bytes]) -> None:
        a, b, _seen, _by = connect(world.transport("alice"), world.transport("bob"))
        a.send(Lane.CONTROL, b"first")
        try:
            list(b.receive(pump(a), WALL))
            for plain in plains:
                sealed = a._sending.seal(plain[:16_000])
                list(b.receive(len(sealed).to_bytes(2, "big") + sealed, WALL))
        except RemoteProtocolError:
            return

    run()


def test_fuzz_messages_to_an_engine() -> None:
    """Whatever a member says, the engine goes on, and only that link may end."""
    net = Net(2)
    net.until(net.meshed, 20, "a mesh")
    liar = Liar(net, "liar")
    messages = corpus()["message"]
    before = set(net[0].states())

    @FUZZED
    @given(st.lists(spoilt(messages), min_size=1, max_size=4))
    def run(said: list[bytes]) -> None:
        link = liar.link_to(net[0])
        if link is None:
            net[0].engine.life._penalties.clear()
            link = liar.connect(net[0])
        far = liar.links[link][1]
        for payload in said:
            net[0].feed(Received(far, payload))
        net.run(0.05)
        net[0].sent.clear()
        liar.heard.clear()

    run()
    net.run(30)
    net[1].set(b"after", b"v")
    net.until(lambda: net[0].get(b"after") == b"v", 20, "it still works")
    assert set(net[0].states()) >= before


COMMANDS = [
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n",
    b"PING\r\nSET k 'a b'\r\n",
    b"*1000000\r\n$536870912\r\n",
    b'SET "\\x00\\n" v\n',
]


def test_fuzz_local_socket() -> None:
    """Two readers, one of them in C behind a guard; that they agree is in `tests/resp`."""

    @FUZZED
    @given(spoilt(COMMANDS), st.integers(1, 64))
    def run(data: bytes, cut: int) -> None:
        parser, reader = RequestParser(), RequestReader(GuardedHiredis())
        pieces = [data[start : start + cut] for start in range(0, len(data), cut)]
        try:
            for piece in pieces:
                parser.feed(piece)
                while parser.next_command() is not None:
                    pass
        except ProtocolError:
            parser.take_rest()
        try:
            for piece in pieces:
                list(reader.feed(piece))
        except ProtocolError:
            return

    run()


def test_the_corpus_is_good_before_it_is_spoilt() -> None:
    samples = corpus()
    kinds = {type(decode_untrusted(one)) for one in samples["message"] if len(one) < 4096}
    assert len(kinds) >= 12, kinds
    for name in ("member record", "accusation", "record", "certificate", "trust", "token"):
        kind, decode = DECODERS[name]
        assert decode(samples[kind][0]) is not None
