"""Programs on the same machine that misbehave on the local socket: the others notice nothing."""

import contextlib
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from mesh_harness import Daemon, Mesh, eventually, running_mesh

pytestmark = pytest.mark.e2e

MIB = 1 << 20


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(1) as mesh:
        yield mesh


@pytest.fixture
def daemon(mesh: Mesh) -> Daemon:
    return mesh[0]


@contextlib.contextmanager
def connected(daemon: Daemon) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(daemon.socket))
        yield client


def read_until(client: socket.socket, end: bytes, limit: int = 64 * MIB) -> bytes:
    data = bytearray()
    while not data.endswith(end) and len(data) < limit:
        piece = client.recv(65536)
        if not piece:
            break
        data += piece
    return bytes(data)


def memory(daemon: Daemon) -> int:
    """Resident bytes of the daemon; 0 where the system has no /proc."""
    assert daemon.process is not None
    try:
        pages = Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * 4096


def test_half_a_command_waits_and_bothers_nobody(daemon: Daemon) -> None:
    with contextlib.ExitStack() as stack:
        halves = [stack.enter_context(connected(daemon)) for _ in range(200)]
        for client in halves:
            client.sendall(b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$100\r\nonly")
        started = time.perf_counter()
        assert daemon.do("PING")
        assert time.perf_counter() - started < 2.0
        halves[0].sendall(b"-" * 96 + b"\r\n")
        assert read_until(halves[0], b"\r\n") == b"+OK\r\n"
    assert daemon.do("STRLEN", "half") == 100


@pytest.mark.parametrize(
    "opening",
    [
        b"*2\r\n$3\r\nGET\r\n$1073741824\r\n",
        b"*2\r\n$3\r\nGET\r\n$99999999999999999999\r\n",
        b"*2\r\n$3\r\nGET\r\n$-5\r\n",
        b"*2147483647\r\n",
        b"*99999999999999999999\r\n",
        b"*1\r\n:5\r\n",
        b"x" * 70_000,
        b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b'SET key "unbalanced\r\n',
    ],
)
def test_broken_protocol_ends_that_connection_only(daemon: Daemon, opening: bytes) -> None:
    before = memory(daemon)
    with connected(daemon) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(opening)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            answer = read_until(client, b"never")  # until the daemon closes
    assert answer == b"" or answer.startswith(b"-ERR"), answer
    assert daemon.do("PING")
    assert memory(daemon) - before < 16 * MIB


def test_hundred_thousand_pipelined_commands(daemon: Daemon) -> None:
    count = 100_000
    burst = b"".join(
        b"*2\r\n$4\r\nECHO\r\n$%d\r\n%d\r\n" % (len(b"%d" % n), n) for n in range(count)
    )
    with connected(daemon) as client:
        client.setblocking(False)
        sent, got = 0, bytearray()
        expected = b"".join(b"$%d\r\n%d\r\n" % (len(b"%d" % n), n) for n in range(count))

        def move() -> bool:
            nonlocal sent
            with contextlib.suppress(BlockingIOError):
                while sent < len(burst):
                    sent += client.send(burst[sent : sent + 65536])
            with contextlib.suppress(BlockingIOError):
                while piece := client.recv(1 << 20):
                    got.extend(piece)
            return len(got) >= len(expected)

        eventually(move, "all replies have come")
    assert bytes(got) == expected


def test_client_that_never_reads_is_bounded(daemon: Daemon) -> None:
    daemon.do("SET", "large", "x" * 500_000)
    before = memory(daemon)
    with connected(daemon) as client:
        client.settimeout(2)
        with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            for _ in range(2000):
                client.sendall(b"*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n" * 100)
        started = time.perf_counter()
        assert daemon.do("PING")
        assert time.perf_counter() - started < 2.0
        assert memory(daemon) - before < 160 * MIB
    daemon.do("DEL", "large")


def test_noise_of_every_kind(daemon: Daemon) -> None:
    rng = random.Random(7)
    daemon.do("SET", "witness", "untouched")
    for _ in range(150):
        with connected(daemon) as client:
            client.settimeout(1)
            noise = rng.randbytes(rng.randrange(1, 600))
            if rng.random() < 0.5:
                noise = b"*%d\r\n" % rng.randrange(-3, 9) + noise
            with contextlib.suppress(OSError):
                client.sendall(noise + b"\r\n")
                client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass
    assert daemon.do("GET", "witness") == b"untouched"


def test_mistakes_get_the_texts_that_redis_gives(daemon: Daemon) -> None:
    daemon.do("SET", "text", "abc")
    wrong = {
        ("GET",): "wrong number of arguments for 'get' command",
        ("SET", "a"): "wrong number of arguments for 'set' command",
        ("INCR", "text"): "value is not an integer or out of range",
        ("HGET", "text", "f"): "WRONGTYPE Operation against a key holding the wrong kind of value",
        ("SET", "a", "1", "EX", "0"): "invalid expire time in 'set' command",
        ("SET", "a", "1", "NX", "XX"): "syntax error",
        ("EXPIRE", "text", "soon"): "value is not an integer or out of range",
        ("SELECT", "5"): "DB index is out of range",
        ("EXEC",): "EXEC without MULTI",
    }
    for words, text in wrong.items():
        with contextlib.closing(daemon.redis()) as client:
            with pytest.raises(redis.ResponseError) as caught:
                client.execute_command(*words)
            code = "" if text.startswith("WRONGTYPE") else "ERR "
            assert str(caught.value) in (text, code + text, text.removeprefix("WRONGTYPE ")), words
    assert daemon.do("GET", "text") == b"abc"


def test_more_clients_than_allowed(mesh: Mesh) -> None:
    with running_mesh() as other:
        daemon = other.new()
        daemon.must("init", "test", "--name", daemon.name, "--no-passphrase")
        (daemon.home / "config.toml").write_text("[limits]\nclients = 8\n")
        daemon.start()
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(connected(daemon)) for _ in range(20)]
            answers = []
            for client in clients:
                with contextlib.suppress(OSError):
                    client.sendall(b"PING\r\n")
                try:
                    answers.append(client.recv(100))
                except OSError:
                    answers.append(b"")
            served = [answer for answer in answers if answer == b"+PONG\r\n"]
            assert 6 <= len(served) <= 8
            assert any(b"max number of clients" in answer for answer in answers)
        eventually(lambda: daemon.do("PING"), "there is room again")
