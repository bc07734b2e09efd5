"""Dialling and binding on real loopback sockets."""

import errno
import socket

import pytest
import trio

from gossipnet.errors import UserError
from gossipnet.io import dialer, listener
from gossipnet.io.dialer import DialError, connect
from gossipnet.io.listener import bind
from gossipnet.io.sockets import NOTSENT_LOWAT_BYTES, neighbourhood, own_hosts, plain_host
from gossipnet.protocol.effects import DialFailure


def address_of(bound: list[trio.SocketListener]) -> str:
    host, port = bound[0].socket.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def close(bound: list[trio.SocketListener]) -> None:
    for one in bound:
        one.socket.close()


async def refused_address() -> str:
    bound = await bind("127.0.0.1:0")
    address = address_of(bound)
    close(bound)
    return address


async def test_a_dialled_socket_is_tuned() -> None:
    bound = await bind("127.0.0.1:0")
    stream = await connect(address_of(bound), 5)
    option = stream.getsockopt
    assert option(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        assert option(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == NOTSENT_LOWAT_BYTES
    await stream.aclose()
    close(bound)


async def test_nobody_listening_is_a_refusal() -> None:
    with pytest.raises(DialError, match="nobody listens there") as caught:
        await connect(await refused_address(), 5)
    assert caught.value.failure is DialFailure.REFUSED


async def test_no_answer_in_time_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    async def silent(target: object) -> trio.SocketStream:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(dialer, "_connect_one", silent)
    began = trio.current_time()
    with pytest.raises(DialError, match="no answer in time") as caught:
        await connect("192.0.2.1:7117", 2)
    assert caught.value.failure is DialFailure.UNREACHABLE
    assert trio.current_time() - began == pytest.approx(2.0, abs=0.1)


async def test_families_take_turns_and_one_silent_address_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    names = [(six, "2001:db8::1"), (six, "2001:db8::2"), (four, "192.0.2.1"), (four, "192.0.2.2")]

    async def resolved(*_args: object, **_options: object) -> list[tuple[object, ...]]:
        return [(family, 1, 6, "", (host, 7117)) for family, host in names]

    tried: list[str] = []

    async def one(target: tuple[object, tuple[str, int]]) -> str:
        tried.append(target[1][0])
        if target[1][0] == "2001:db8::1":
            await trio.sleep_forever()
        if target[1][0] == "192.0.2.1":
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        return "connected"

    monkeypatch.setattr(trio.socket, "getaddrinfo", resolved)
    monkeypatch.setattr(dialer, "_connect_one", one)
    assert await connect("name:7117", 2) == "connected"
    assert tried == ["2001:db8::1", "192.0.2.1", "2001:db8::2"]


async def test_a_refusal_counts_only_if_no_address_is_silent() -> None:
    explained = dialer._explained
    refused, silent = ConnectionRefusedError(), TimeoutError("no answer in time")
    assert explained([refused, OSError(errno.EHOSTUNREACH, "x")]).failure is DialFailure.REFUSED
    assert explained([refused, silent]).failure is DialFailure.UNREACHABLE
    assert explained([]).failure is DialFailure.UNREACHABLE


@pytest.mark.parametrize("written", ["", "a b:1", "host:99999", "[::1", "..:1", "x" * 300 + ":1"])
async def test_an_address_that_is_none_is_a_failed_dial(written: str) -> None:
    with pytest.raises(DialError) as caught:
        await connect(written or "x" * 64 + ".invalid:1", 5)
    assert caught.value.failure is DialFailure.UNREACHABLE


async def test_out_of_descriptors_is_a_failed_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_args: object) -> object:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(trio.socket, "socket", none_left)
    with pytest.raises(DialError, match="Too many open files"):
        await connect("127.0.0.1:1", 5)


async def test_every_address_of_a_dual_stack_socket() -> None:
    try:
        bound = await bind("[::]:0")
    except UserError:
        pytest.skip("no IPv6 here")
    port = bound[0].socket.getsockname()[1]
    for host in ("127.0.0.1", "[::1]"):
        stream = await connect(f"{host}:{port}", 5)
        await stream.aclose()
    close(bound)


async def test_a_loopback_socket_is_not_dual_stack() -> None:
    bound = await bind("localhost:0")
    ports = {one.socket.getsockname()[1] for one in bound}
    assert len(ports) == 1
    close(bound)


async def test_a_busy_port_is_one_clear_sentence() -> None:
    bound = await bind("127.0.0.1:0")
    address = address_of(bound)
    port = address.rpartition(":")[2]
    with pytest.raises(UserError) as caught:
        await bind(address)
    assert str(caught.value) == (
        f"cannot listen on {address}: port {port} is taken by another program; stop it, or choose "
        "another port with --listen HOST:PORT"
    )
    close(bound)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("192.0.2.1:7117", "not one of this machine's"),
        ("no-such-host.invalid:7117", "finds no address for no-such-host.invalid"),
    ],
)
async def test_a_foreign_address_is_one_clear_sentence(address: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        await bind(address)


def test_rights_are_told() -> None:
    assert "above 1023" in listener._remedy(OSError(errno.EACCES, "x"), 80)


def test_texts_of_hosts() -> None:
    assert plain_host("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain_host("2001:db8::1") == "2001:db8::1"
    assert neighbourhood("192.0.2.1") == "192.0.2.1"
    assert neighbourhood("2001:db8:1:2:3::4") == "2001:db8:1:2::"
    assert neighbourhood("fe80::1%eth0") == "fe80::"
    assert neighbourhood("::1") == "::1"
    assert all(":" in host or host.count(".") == 3 for host in own_hosts())
