"""Rows 10 to 18 of the threat table: whoever reaches the port and is no member.

Rows 13 and 14 are about datagrams, of which there are none; 15 and 16 are proved for streams.
"""

import os
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.lowlevel

from gossipnet.errors import JoinError, RemoteProtocolError, TokenError
from gossipnet.identity.founding import admit, expand, found
from gossipnet.identity.home import Home
from gossipnet.io.enrol import enrol
from gossipnet.node import Node, open_node
from gossipnet.protocol.handshake import Transport
from gossipnet.protocol.joinanswer import JoinAnswer
from gossipnet.protocol.joining import Joiner
from gossipnet.protocol.session import Session
from gossipnet.protocol.wire import decode_untrusted
from tests.protocol.session_world import WALL, World, connect
from tests.protocol.test_engine_join import Newcomer, invite, key_of
from tests.security.hostile import (
    ANY,
    Tap,
    counting,
    dialled,
    eventually,
    home_of_founder,
    joined,
    resident,
    settled,
)

GARBAGE = 10_000


@pytest.fixture
async def ada(tmp_path: Path) -> AsyncIterator[Node]:
    """A founder that listens."""
    async with open_node(home_of_founder(tmp_path / "ada"), listen=ANY) as node:
        yield node


def knock(address: str, source: int, said: bytes) -> socket.socket:
    """Connect from one of many addresses of this machine, say something, and do not wait."""
    host, port = address.rsplit(":", 1)
    made = socket.socket()
    made.bind((f"127.0.{source % 200}.{2 + source // 200}", 0))
    made.setblocking(False)
    with suppress(BlockingIOError):
        made.connect((host, int(port)))
    if said:
        with suppress(OSError):
            made.send(said)
    return made


def needs_many_addresses() -> None:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.9.9", 0))
        except OSError:  # macOS gives loopback one address unless told otherwise
            pytest.skip("loopback has one address here")


async def test_row_10_silent_connections_in_numbers_keep_nobody_out(
    ada: Node, tmp_path: Path
) -> None:
    needs_many_addresses()
    before = resident()
    silent: list[socket.socket] = []
    for number in range(500):
        silent.append(knock(ada.listening[0], number % 25, b"GSP1" if number % 2 else b""))
        if number % 20 == 0:
            await trio.lowlevel.checkpoint()
    await trio.sleep(0.05)
    costs = ada.status()["costs"]
    assert costs["half_open"] <= 64
    with trio.fail_after(10):
        await joined(ada, tmp_path / "bob")
    assert ada.status()["costs"]["half_open"] <= 64
    assert resident() - before < 20 << 20
    for one in silent:
        one.close()


async def test_row_11_garbage_in_numbers_costs_no_key_agreement(
    ada: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_many_addresses()
    said = [
        b"GSP1\0\0\0\0" + bytes(100),
        b"GSP1\2\0\0\0" + os.urandom(16) + (1216).to_bytes(2, "big") + os.urandom(1216),
        b"GET / HTTP/1.1\r\n\r\n",
        b"",
        os.urandom(1300),
    ]
    before = resident()
    with counting(monkeypatch) as count:
        for start in range(0, GARBAGE, 100):
            made = [
                knock(ada.listening[0], number, said[number % len(said)])
                for number in range(start, start + 100)
            ]
            for _ in range(250):  # turns of the loop, in each of which one is accepted
                await trio.lowlevel.checkpoint()
            for one in made:
                one.close()
        await eventually(lambda: ada.status()["costs"]["half_open"] == 0, "all are gone")
        assert count.agreements == count.verified == 0
    counters = ada.driver.counters
    dealt_with = sum(ada.status()["costs"]["refused"].values())
    dealt_with += sum(n for name, n in counters.items() if name.startswith(("greeting", "link_")))
    assert dealt_with > GARBAGE / 2, "most of it was really there"
    assert ada.status()["costs"]["handshakes"] == 0
    with trio.fail_after(10):
        await joined(ada, tmp_path / "bob")
    assert resident() - before < 20 << 20


def test_row_12_an_announced_length_is_judged_before_anything_is_kept() -> None:
    world = World(b"lengths")
    records = [
        b"\x20" + (1 << 31).to_bytes(4, "big") + b"\0\4more",
        b"\x20" + (0xFFFFFFFF).to_bytes(4, "big") + b"\0\0",
        b"\x10\xff\xffshort",
    ]
    for plain in records:
        a, b, _seen, _by = connect(world.transport("alice"), world.transport("bob"))
        sealed = a._sending.seal(plain)
        tracemalloc.start()
        try:
            with pytest.raises(RemoteProtocolError):
                list(b.receive(len(sealed).to_bytes(2, "big") + sealed, WALL))
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()
    _a, b, _seen, _by = connect(world.transport("alice"), world.transport("bob"))
    with pytest.raises(RemoteProtocolError, match="frame-too-large"):
        list(b.receive(b"\xff\xff", WALL))
    tracemalloc.start()
    try:
        for head in (b"\xdd\xff\xff\xff\xff", b"\x92\x10\xc6\xff\xff\xff\xff", b"\xdf\x7f\0\0\0"):
            with pytest.raises(RemoteProtocolError):
                decode_untrusted(head + b"x")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


async def test_row_15_a_stranger_gets_no_byte_for_whatever_it_says(ada: Node) -> None:
    """A stream's other end is proved by TCP; beyond that, who does not know the mesh gets none."""
    eve = found("other", "eve", os.urandom, time.time())
    strangers = Session.dial(Transport(eve, os.urandom), expected=None).data_to_send(1 << 16)
    guest = admit(ada.identity, "guest", os.urandom, time.time())
    good = Session.dial(Transport(guest, os.urandom), expected=None).data_to_send(1 << 16)
    said = [strangers, good[:-1], good[:8] + bytes(16) + good[24:], b"GSP1\1\0\0\0" + bytes(200)]
    for data in said:
        async with dialled(ada.listening[0], Transport(guest, os.urandom)) as stream:
            await stream.raw(data)
            await stream.stream.send_eof()
            with trio.fail_after(10):
                assert await stream.rest() == b""


async def test_row_16_nobody_on_the_path_ends_a_session_in_another_s_name(tmp_path: Path) -> None:
    """A forged end breaks the stream, as cutting it would; it is never taken for a goodbye."""
    tap = Tap()
    async with trio.open_nursery() as nursery:
        await nursery.start(tap.run)
        founder = home_of_founder(tmp_path / "ada")
        async with open_node(founder, listen=ANY, advertise=[tap.address]) as ada:
            tap.to = ada.listening[0]
            home = await joined(ada, tmp_path / "bob", tap.address)
            async with open_node(home, listen=ANY) as bob:
                await eventually(lambda: bob.engine.peers(), "a link")
                clean = ada.engine.context.counters["links_closed"]
                forged = (17).to_bytes(2, "big") + b"\x50" + bytes(16)
                tap.change = lambda data: forged + data
                await ada.set(b"k", b"v")
                await eventually(
                    lambda: (
                        ada.driver.counters["link_ended_bad_tag"]
                        + bob.driver.counters["link_ended_bad_tag"]
                    ),
                    "the forgery is noticed",
                )
                tap.change = bytes
                await eventually(lambda: bob.get(b"k") == b"v", "they find each other again")
                states = {str(row["name"]): row["state"] for row in ada.members()}
                assert states["bob"] == "alive"
                assert ada.engine.context.counters["links_closed"] == clean
        nursery.cancel_scope.cancel()


async def test_row_17_no_token_an_old_one_and_a_used_one_let_nobody_in(
    ada: Node, tmp_path: Path
) -> None:
    def said(_line: str) -> None:
        """Nobody listens."""

    token = ada.engine.invite("member", 1, 3600.0, [])
    await enrol(Home(tmp_path / "first"), token, "first", [ada.listening[0]], said)
    with pytest.raises((TokenError, JoinError)):
        await enrol(Home(tmp_path / "second"), token, "second", [ada.listening[0]], said)
    # A certificate of one's own making instead of a token.
    eve = found("t", "eve", os.urandom, time.time())
    forged = Transport(eve, os.urandom)
    forged.identity = eve
    async with dialled(ada.listening[0], forged) as stream:
        with pytest.raises(RemoteProtocolError), trio.fail_after(10):
            await stream.shake(wall=time.time())
    assert not ada.engine.links


def test_row_17_of_fifty_redemptions_at_one_time_one_gets_a_certificate() -> None:
    net, _none = settled(5)
    token = invite(net[0])
    guests = [
        Newcomer(net[number % 5], token, f"guest{number}", key_of(f"guest{number}"))
        for number in range(50)
    ]

    def over() -> bool:
        done = 0
        for guest in guests:
            try:
                done += guest.listen()
            except (TokenError, JoinError):
                guest.taken = len(guest.machine.joins[guest.join][0])
                done += 1
        return done == len(guests)

    net.until(over, 30, "everybody has an answer")
    admitted = [guest for guest in guests if guest.joiner.finished]
    assert len(admitted) == 1
    assert net[0].engine.context.counters["joins_answered"] == 1


@pytest.mark.parametrize("lie", ["another mesh", "a member that is no issuer", "own root"])
def test_row_18_a_fake_issuer_learns_nothing_of_the_newcomer(lie: str) -> None:
    net, _none = settled(2)
    token = invite(net[0])
    joiner = Joiner(token, key_of("newcomer"), "newcomer", entropy=expand(b"newcomer"))
    flight = joiner.data_to_send()
    true = net[0].identity
    eve = found("testmesh", "eve", expand(b"eve"), net[0].wall)
    fake = {
        "another mesh": lambda: eve,
        "a member that is no issuer": lambda: net[1].identity,
        "own root": lambda: _with_root_of(eve, true),
    }[lie]()
    answer = JoinAnswer(
        fake,
        net[0].engine.relay.reception.invitations,
        entropy=expand(b"fake"),
        addresses=(),
        refusal=lambda _node: "",
    )
    with suppress(RemoteProtocolError, TokenError, JoinError):
        answer.receive(flight, net[0].wall)
    said = answer.data_to_send()
    if said:
        with pytest.raises((JoinError, TokenError)):
            joiner.receive(said, net[0].wall)
    assert joiner.data_to_send() == b"", "message 3 was never sent"
    assert not joiner.finished


def _with_root_of(eve, true):
    """It shows the true root and certificates of its own making."""
    from dataclasses import replace

    return replace(eve, trust=true.trust)
