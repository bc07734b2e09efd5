"""The local socket over TCP behind a password, and members and services over DNS."""

import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
import redis
import trio
from hypothesis import given
from hypothesis import strategies as st
from mesh_harness import Daemon, Mesh, eventually, running_mesh

from gossipnet.io.dns import Book, _answer_datagrams, answer


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(2) as mesh:
        mesh.everyone_alive()
        yield mesh


@contextmanager
def beside(daemon: Daemon, *words: str) -> Iterator[int]:
    """A command that says ``HOST:PORT`` on its first line and goes on until a signal; the port."""
    process = subprocess.Popen(
        daemon.command(*words, "--listen", "127.0.0.1:0"),
        env=daemon.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().rpartition(":")[2])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def key(daemon: Daemon) -> str:
    return (daemon.home / "proxy.key").read_text().strip()


def test_redis_clients_over_tcp_with_the_password(mesh: Mesh) -> None:
    with beside(mesh[0], "proxy") as port:
        assert (mesh[0].home / "proxy.key").stat().st_mode & 0o777 == 0o600
        for protocol in (2, 3):
            with redis.Redis(
                port=port, password=key(mesh[0]), protocol=protocol, socket_timeout=30
            ) as client:
                client.set("through", protocol)
                assert client.get("through") == b"%d" % protocol
                with client.pipeline() as many:
                    for number in range(500):
                        many.set(f"many:{number}", "x" * 1000)
                    assert all(many.execute())
    mesh.reads("through", b"3")


def test_without_the_password_nothing_reaches_the_daemon(mesh: Mesh) -> None:
    with beside(mesh[0], "proxy") as port:
        before = mesh[0].do("INFO", "stats")["total_connections_received"]
        with (
            redis.Redis(port=port, password="wrong" * 8, socket_timeout=30) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()
        with socket.create_connection(("127.0.0.1", port), 30) as raw:
            raw.sendall(b"GET through\r\n*1\r\n$4\r\nPING\r\n")
            told = b""
            while told.count(b"\n") < 2:
                told += raw.recv(100)
            assert told == b"-NOAUTH Authentication required.\r\n" * 2
            raw.sendall(b"AUTH x\r\n")
            while piece := raw.recv(100):
                told += piece
            assert b"WRONGPASS" in told  # one guess a connection
        with socket.create_connection(("127.0.0.1", port), 30) as raw:
            raw.sendall(b"*2\r\n$4\r\nAUTH\r\n$900000\r\n" + b"x" * 100_000)
            with suppress(ConnectionResetError):
                assert raw.recv(1) == b""
        after = mesh[0].do("INFO", "stats")["total_connections_received"]
        assert after - before == 1  # the question itself


def test_a_client_that_breaks_its_connection_costs_nobody_else_theirs(mesh: Mesh) -> None:
    with beside(mesh[0], "proxy") as port:
        password = key(mesh[0])
        with redis.Redis(port=port, password=password, socket_timeout=30) as other:
            before = len(other.client_list())
            with socket.create_connection(("127.0.0.1", port), timeout=30) as rude:
                rude.sendall(b"AUTH %s\r\nPING\r\n" % password.encode())
                assert rude.makefile("rb").readline() == b"+OK\r\n"
                # What is closed so is not ended but reset.
                rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            eventually(lambda: len(other.client_list()) == before, "only the other is served", 10)


def test_the_proxy_stays_on_loopback_and_keeps_its_key_private(mesh: Mesh) -> None:
    refused = mesh[0].cli("proxy", "--listen", "0.0.0.0:0")
    assert (refused.returncode, "not loopback" in refused.stderr) == (2, True)
    assert mesh[0].cli("proxy", "--listen", "127.0.0.1:x").returncode == 2
    path = mesh[0].home / "open.key"
    path.write_text("k" * 32)
    path.chmod(0o644)
    refused = mesh[0].cli("proxy", "--key-file", str(path))
    assert (refused.returncode, "chmod 600" in refused.stderr) == (1, True)


def ask(port: int, name: str, kind: str = "A", *, tcp: bool = False) -> dns.message.Message:
    how = dns.query.tcp if tcp else dns.query.udp
    return how(dns.message.make_query(name, kind), "127.0.0.1", timeout=30, port=port)


def texts(message: dns.message.Message) -> set[str]:
    return {item.to_text() for record in message.answer for item in record}


def test_members_and_services_by_name(mesh: Mesh) -> None:
    mesh[0].do(
        "SADD", "service:web", "192.0.2.7:80", "[2001:db8::7]:81", "a b:1", "x..y:2", "w.example:3"
    )
    with beside(mesh[1], "dns") as port:
        for tcp in (False, True):
            assert texts(ask(port, "NODE0.mesh.gossipnet", tcp=tcp)) == {"127.0.0.1"}
        eventually(
            lambda: texts(ask(port, "web.service.gossipnet")) == {"192.0.2.7"},
            "the service has come to the other node",
        )
        assert texts(ask(port, "web.service.gossipnet", "AAAA")) == {"2001:db8::7"}
        found = ask(port, "web.service.gossipnet", "SRV")
        ports = {item.port for record in found.answer for item in record}
        assert ports == {80, 81, 3}
        target = next(
            item.target.to_text() for record in found.answer for item in record if item.port == 80
        )
        assert texts(ask(port, target)) == {"192.0.2.7"}
        mesh[1].do("SADD", "service:alias", "other.example:80")
        assert texts(ask(port, "alias.service.gossipnet")) == {"other.example."}
        assert ask(port, "nobody.mesh.gossipnet").rcode() == dns.rcode.NXDOMAIN
        assert ask(port, "example.com").rcode() == dns.rcode.REFUSED
        assert texts(ask(port, "node0.mesh.gossipnet", "TXT")) == set()
        for number in range(100):
            mesh[1].do("SADD", "service:many", f"192.0.2.{number}:80")
        many = texts(ask(port, "many.service.gossipnet"))
        assert len(many) == 16  # and others the next time


def test_a_dead_member_has_no_address_and_no_daemon_is_a_failure(mesh: Mesh) -> None:
    with beside(mesh[1], "dns") as port:
        mesh[0].kill()
        eventually(
            lambda: ask(port, "node0.mesh.gossipnet").rcode() == dns.rcode.NXDOMAIN,
            "the dead member's name is gone",
        )
        mesh[0].start()
        eventually(lambda: texts(ask(port, "node0.mesh.gossipnet")), "it is back")
        mesh[1].stop()
        eventually(
            lambda: ask(port, "node0.mesh.gossipnet").rcode() == dns.rcode.SERVFAIL,
            "the daemon is away",
        )
        mesh[1].start()


def nobody() -> None:
    raise AssertionError("nobody is asked")


@given(st.binary(max_size=600))
def test_rubbish_gets_no_answer_longer_than_itself(data: bytes) -> None:
    book = Book(nobody)  # type: ignore[arg-type]
    try:
        reply = answer(data, book, limit=1232)
    except AssertionError:
        return  # a well-formed question after all
    assert reply is None or len(reply) <= len(data) + 12


async def test_an_answer_that_cannot_be_sent_ends_nothing() -> None:
    class Wire:
        """Two questions from port 0, which nothing can be sent to, and one from elsewhere."""

        def __init__(self) -> None:
            self.left = [0, 0, 4]
            self.sent = trio.Event()

        async def recvfrom(self, _size: int) -> tuple[bytes, tuple[str, int]]:
            if not self.left:
                await trio.sleep_forever()
            return dns.message.make_query("x.invalid.", "A").to_wire(), ("::1", self.left.pop(0))

        async def sendto(self, _data: bytes, where: tuple[str, int]) -> None:
            if where[1] == 0:
                raise OSError(22, "Invalid argument")
            self.sent.set()

    wire, book = Wire(), Book(nobody)  # type: ignore[arg-type]
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_answer_datagrams, wire, book)
            await wire.sent.wait()
            nursery.cancel_scope.cancel()
    assert book.unsent == 2


class OddMesh:
    """A daemon in whose mesh somebody tells an address that is none."""

    def __enter__(self) -> "OddMesh":
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing is open."""

    def members(self) -> list[dict[str, str]]:
        return [{"name": "odd", "state": "alive", "address": "192.0.2.1:99999"}]


def test_a_member_with_an_odd_address_ends_nothing() -> None:
    query = dns.message.make_query("odd.mesh.gossipnet", "A").to_wire()
    reply = answer(query, Book(OddMesh), limit=1232)  # type: ignore[arg-type]
    assert reply is not None
    assert dns.message.from_wire(reply).rcode() == dns.rcode.NXDOMAIN
