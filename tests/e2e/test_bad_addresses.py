"""Addresses behind which there is no member: joining says so, a running daemon keeps trying."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from mesh_harness import Daemon, Mesh, eventually, free_port, running_mesh

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(1) as mesh:
        yield mesh


@contextlib.contextmanager
def listening(answer: Callable[[socket.socket], None] | None) -> Iterator[str]:
    """A machine that is no member; None accepts and stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    taken.append(client)
                    if answer is not None:
                        with client, contextlib.suppress(OSError):
                            answer(client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for client in taken:
                client.close()


def garbage(client: socket.socket) -> None:
    client.recv(64)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" + bytes(range(256)) * 8)


def failed_join(mesh: Mesh, name: str, address: str) -> str:
    # A token whose own addresses lead nowhere: only the address under test is left.
    token = mesh[0].must("invite").strip()
    newcomer = Daemon(mesh.folder / name, name)
    mesh[0].stop()
    try:
        done = newcomer.cli("join", token, "--name", name, address, timeout=60)
    finally:
        mesh[0].start()
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def test_joining_where_nobody_listens(mesh: Mesh) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert address in failed_join(mesh, "nobody", address)


def test_joining_where_someone_stays_silent(mesh: Mesh) -> None:
    with listening(None) as address:
        assert address in failed_join(mesh, "silent", address)


def test_joining_where_something_else_answers(mesh: Mesh) -> None:
    with listening(garbage) as address:
        assert address in failed_join(mesh, "garbage", address)


def test_joining_at_a_member_of_another_mesh(mesh: Mesh) -> None:
    with running_mesh() as other:
        stranger = other.found("elsewhere")
        assert stranger.address in failed_join(mesh, "wrongmesh", stranger.address)
        assert sorted(stranger.members()) == ["node0"]


def test_an_address_that_is_none(mesh: Mesh) -> None:
    token = mesh[0].must("invite").strip()
    newcomer = Daemon(mesh.folder / "nowhere", "nowhere")
    done = newcomer.cli("join", token, "127.0.0.1:seventy")
    assert done.returncode == 2
    assert "seventy" in done.stderr
    done = newcomer.cli("join", token, "no-such-host.invalid:7117")
    # The token's own address works, so this may only be a remark on the way.
    assert "Traceback" not in done.stderr


def test_daemon_shrugs_at_bad_seeds_and_joins_the_good_one(mesh: Mesh) -> None:
    """Started with five addresses of which one is right: it serves at once and finds it."""
    with listening(None) as silent, listening(garbage) as noisy, running_mesh() as other:
        stranger = other.found("elsewhere")
        token = mesh[0].must("invite").strip()
        newcomer = mesh.new("seeded")
        newcomer.must("join", token, "--name", "seeded", mesh[0].address)
        newcomer.start(
            *("--join", f"127.0.0.1:{free_port()}"),
            *("--join", silent),
            *("--join", noisy),
            *("--join", stranger.address),
            *("--join", mesh[0].address),
        )
        mesh.everyone_alive()
        newcomer.do("SET", "seeds", "mixed")
        mesh.reads("seeds", b"mixed")
        assert stranger.do("DBSIZE") == 0
        assert sorted(stranger.members()) == ["node0"]


def test_garbage_and_silence_on_the_listening_port_cost_members_nothing(mesh: Mesh) -> None:
    host, port = mesh[0].host, mesh[0].port
    with contextlib.ExitStack() as stack:
        for number in range(300):
            client = stack.enter_context(socket.socket())
            client.settimeout(5)
            with contextlib.suppress(OSError):
                client.connect((host, port))
                if number % 3 == 0:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                elif number % 3 == 1:
                    client.sendall(b"GSP1" + bytes(60))
        assert mesh[0].do("PING") in (b"PONG", "PONG", True)
        newcomer = mesh.add()
        newcomer.do("SET", "crowd", "passed")
        mesh.reads("crowd", b"passed")
    eventually(lambda: mesh[0].do("PING"), "node0 answers")
