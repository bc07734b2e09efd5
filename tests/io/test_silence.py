"""What a stranger learns from a port: nothing, at the price of no key agreement at all."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from gossipnet.errors import HomeError, IdentityError, JoinError
from gossipnet.identity.founding import found
from gossipnet.identity.home import Home
from gossipnet.identity.meshsecret import MESH_SECRET, keep_mesh_secret, read_mesh_secret
from gossipnet.io import listener as listener_module
from gossipnet.io.enrol import enrol
from gossipnet.node import Node, open_node
from gossipnet.protocol.handshake import Transport
from gossipnet.protocol.preamble import Kind, write_preamble
from gossipnet.protocol.session import Session

SECRET = b"a secret that all members of this mesh share"
ANY = "127.0.0.1:0"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A founder of a mesh with a secret."""
    home = tmp_path / "founder"
    Home(home).found(mesh="t", name="ada", passphrase=None, entropy=os.urandom, wall=time.time())
    keep_mesh_secret(home, SECRET)
    async with open_node(home, listen=ANY) as node:
        yield node


async def answer_to(node: Node, said: bytes) -> bytes:
    """Everything that is answered until the other end closes."""
    host, port = node.listening[0].split(":")
    got = b""
    with trio.fail_after(10):
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            try:
                if said:
                    await stream.send_all(said)
                async for data in stream:
                    got += data
            except trio.BrokenResourceError:
                pass
    return got


def handshakes(node: Node) -> object:
    costs = node.status()["costs"]
    assert isinstance(costs, dict)
    return costs["handshakes"]


def member_of(node: Node, secret: bytes) -> bytes:
    """The first flight of a certified member that holds this secret."""
    session = Session.dial(Transport(node.identity, os.urandom, secret=secret), expected=None)
    return session.data_to_send(1 << 16)


def stranger() -> Transport:
    return Transport(found("other", "eve", os.urandom, time.time()), os.urandom, secret=SECRET)


PROBES = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": bytes(4096),
    "our magic": b"GSP1\0\0\0\0" + bytes(100),
    "an unknown kind": b"GSP1\x77\0\0\0" + bytes(100),
    "a join": b"GSP1\x01\0\0\0" + bytes(200),
}


@pytest.mark.parametrize("probe", PROBES)
async def test_a_port_scan_gets_silence_and_causes_no_key_agreement(node: Node, probe: str) -> None:
    assert await answer_to(node, PROBES[probe]) == b""
    assert handshakes(node) == 0


async def test_who_says_nothing_is_closed_in_silence(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "HANDSHAKE_SECONDS", 0.2)
    assert await answer_to(node, b"") == b""
    assert await answer_to(node, b"GSP1") == b""
    assert handshakes(node) == 0


async def test_the_mesh_id_alone_or_another_secret_gets_silence(node: Node) -> None:
    for secret in (b"", b"another secret of good length"):
        assert await answer_to(node, member_of(node, secret)) == b""
        mesh_id = node.identity.trust.mesh_id
        clear = bytes(16) + node.identity.node_id[:16]
        join = write_preamble(Kind.JOIN, mesh_id, bytes(48), clear, secret=secret)
        assert await answer_to(node, join) == b""
    first = Session.dial(stranger(), expected=None).data_to_send(1 << 16)
    assert await answer_to(node, first) == b"", "the secret, and another mesh"
    assert handshakes(node) == 0


async def test_who_holds_the_secret_is_answered(node: Node) -> None:
    host, port = node.listening[0].split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(member_of(node, SECRET))
        with trio.fail_after(10):
            assert len(await stream.receive_some(1000)) > 96
    assert handshakes(node) == 1


async def test_one_flipped_bit_of_a_first_flight_gets_silence(node: Node) -> None:
    good = member_of(node, SECRET)
    for place in range(0, len(good), 3):
        spoiled = bytearray(good)
        spoiled[place] ^= 1 << place % 8
        assert await answer_to(node, bytes(spoiled)) == b""
    assert handshakes(node) == 0


async def test_a_newcomer_needs_the_secret_and_keeps_it(node: Node, tmp_path: Path) -> None:
    token = node.engine.invite("member", 1, 3600.0, [])
    told: list[str] = []
    home = Home(tmp_path / "guest")
    with pytest.raises(JoinError):
        await enrol(home, token, "bob", [node.listening[0]], told.append)
    assert "--mesh-secret" in told[0]
    await enrol(home, token, "bob", [node.listening[0]], told.append, SECRET)
    assert read_mesh_secret(home.path) == SECRET
    assert (home.path / MESH_SECRET).stat().st_mode & 0o777 == 0o600
    async with open_node(home.path, listen=ANY, join=node.listening) as guest:
        with trio.fail_after(20):
            await guest.set(b"k", b"v")
            while node.get(b"k") != b"v":  # noqa: ASYNC110 - agreement is no event of any node
                await trio.sleep(0.01)


def test_a_secret_is_read_strictly(tmp_path: Path) -> None:
    assert read_mesh_secret(tmp_path) == b""
    with pytest.raises(HomeError, match="no mesh secret"):
        read_mesh_secret(tmp_path, tmp_path / "nowhere")
    file = tmp_path / MESH_SECRET
    file.write_bytes(b"\n" + SECRET + b" \n")
    file.chmod(0o644)
    with pytest.raises(HomeError, match="others may read"):
        read_mesh_secret(tmp_path)
    file.chmod(0o600)
    assert read_mesh_secret(tmp_path) == SECRET
    file.write_bytes(b"short\n")
    with pytest.raises(IdentityError, match="at least 16"):
        read_mesh_secret(tmp_path)


async def test_garbage_in_numbers_costs_neither_handshakes_nor_memory_nor_a_members_time(
    node: Node, tmp_path: Path
) -> None:
    host, port = node.listening[0].split(":")

    async def knock(count: int) -> None:
        for number in range(count):
            with suppress(OSError, trio.BrokenResourceError):
                async with await trio.open_tcp_stream(host, int(port)) as stream:
                    await stream.send_all(PROBES["our magic"] if number % 2 else b"GET /\r\n\r\n")
                    await stream.receive_some(10)

    token = node.engine.invite("member", 1, 3600.0, [])
    async with trio.open_nursery() as nursery:
        before = _resident()
        for _ in range(10):
            nursery.start_soon(knock, 100)
        began = trio.current_time()
        home = Home(tmp_path / "guest")
        for _ in range(40):  # the rate of one address is shared by all of this machine
            try:
                await enrol(home, token, "bob", [node.listening[0]], lambda _line: None, SECRET)
                break
            except JoinError:
                await trio.sleep(0.1)
        assert home.exists()
        assert trio.current_time() - began < 10
    assert handshakes(node) == 0
    assert _resident() - before < 20 << 20
    costs = node.status()["costs"]
    assert isinstance(costs, dict)
    assert costs["half_open"] == 0


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    return 0


async def test_require_is_kept_and_shown(tmp_path: Path) -> None:
    """Whole nodes under ``pq``: the setting reaches the handshake, and `peers` says so."""
    first = tmp_path / "first"
    Home(first).found(mesh="t", name="ada", passphrase=None, entropy=os.urandom, wall=time.time())
    (first / "config.toml").write_text('pq = "require"\n')
    async with open_node(first, listen=ANY) as ada:
        token = ada.engine.invite("member", 2, 3600.0, [])
        for name, pq in (("bob", "prefer"), ("cal", "off")):
            home = Home(tmp_path / name)
            await enrol(home, token, name, [ada.listening[0]], lambda _line: None)
            (home.path / "config.toml").write_text(f'pq = "{pq}"\n')
        async with open_node(tmp_path / "bob", listen=ANY, join=ada.listening):
            with trio.fail_after(20):
                while not ada.engine.peers():  # noqa: ASYNC110 - a link is no event for us
                    await trio.sleep(0.01)
            assert [peer["hybrid"] for peer in ada.engine.peers()] == [True]
        async with open_node(tmp_path / "cal", listen=ANY, join=ada.listening) as cal:
            with trio.fail_after(20):
                while not ada.driver.counters["link_ended_pq_required"]:  # noqa: ASYNC110
                    await trio.sleep(0.01)
            assert not cal.engine.peers()
