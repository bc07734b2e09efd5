"""The local socket with real connections: order, holding back, hostile and careless clients."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
import trio
from resp_world import parse_replies, request
from socket_world import HandDriver, asked, connect, everything, receive, serving, until

from gossipnet.errors import HomeError
from gossipnet.io import client, client_server, doors
from gossipnet.io.client_server import ClientServer
from gossipnet.io.local_socket import Peer, peer_of
from gossipnet.resp.pressure import Caps

SMALL = Caps(output_buffer=500_000)


@pytest.fixture
def path() -> Iterator[Path]:
    # Not pytest's folder: a socket path has to fit into 107 bytes (103 on macOS).
    with tempfile.TemporaryDirectory(prefix="gn-", dir="/tmp") as folder:
        yield Path(folder) / "s.sock"


async def test_the_file_is_for_its_owner_and_goes_away(path: Path) -> None:
    async with serving(path, HandDriver()):
        mode = os.lstat(path).st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert await asked(path, "PING", size=7) == b"+PONG\r\n"
    assert not os.path.lexists(path)  # noqa: ASYNC240


def test_a_path_that_is_taken_is_refused(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(HomeError, match="is in the way"):
        trio.run(ClientServer(HandDriver(), path, 10).run)
    assert path.read_text() == "mine"


async def test_replies_come_in_order_however_the_bytes_come(path: Path) -> None:
    data = b"".join(request("ECHO", number) for number in range(50))
    async with serving(path, HandDriver()), await connect(path) as stream:
        for start in range(0, len(data), 7):
            await stream.send_all(data[start : start + 7])
        expected = b"".join(b"$%d\r\n%d\r\n" % (len(str(n)), n) for n in range(50))
        assert await receive(stream, len(expected)) == expected


async def test_a_hundred_thousand_pipelined_commands_hold_nobody_up(path: Path) -> None:
    count = 100_000
    async with serving(path, HandDriver()), await connect(path) as greedy:
        received = 0

        async def read_all() -> None:
            nonlocal received
            while received < 7 * count:
                received += len(await greedy.receive_some(65536))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_all)
            nursery.start_soon(greedy.send_all, request("PING") * count)
            while received == 0:
                await trio.lowlevel.checkpoint()
            async with await connect(path) as patient:
                await patient.send_all(request("PING"))
                assert await receive(patient, 7) == b"+PONG\r\n"
            assert received < 7 * count
        assert received == 7 * count


async def test_a_write_is_answered_when_the_disk_has_it(path: Path) -> None:
    driver = HandDriver(at_once=False)
    async with serving(path, driver) as server, await connect(path) as writer:
        await writer.send_all(request("PING") + request("SET", "k", "v") + request("GET", "k"))
        assert await receive(writer, 7) == b"+PONG\r\n"
        # Somebody else sees the write at once and waits for nothing.
        assert await asked(path, "GET", "k", size=7) == b"$1\r\nv\r\n"
        held = server.service.sessions[1].backlog
        assert held() == len(b"+OK\r\n$1\r\nv\r\n")
        await writer.send_all(request("ECHO", "behind"))
        rest = b"+OK\r\n$1\r\nv\r\n$6\r\nbehind\r\n"
        await until(lambda: held() == len(rest))
        driver.commit(1)
        assert await receive(writer, len(rest)) == rest


async def test_each_write_waits_for_its_own_commit(path: Path) -> None:
    driver = HandDriver(at_once=False)
    async with (
        serving(path, driver) as server,
        await connect(path) as one,
        await connect(path) as other,
    ):
        await one.send_all(request("INCR", "k"))
        await until(lambda: driver.engine.issued == 1)
        await other.send_all(request("INCR", "k"))
        await until(lambda: driver.engine.issued == 2)
        await one.send_all(request("INCR", "k"))
        await until(lambda: driver.engine.issued == 3)
        driver.commit(1)
        assert await receive(one, 4) == b":1\r\n"
        assert [s.backlog() for s in server.service.sessions.values()] == [4, 4]
        driver.commit(2)
        assert await receive(other, 4) == b":2\r\n"
        driver.commit(3)
        assert await receive(one, 4) == b":3\r\n"


async def test_quit_waits_for_the_writes_before_it(path: Path) -> None:
    driver = HandDriver(at_once=False)
    async with serving(path, driver), await connect(path) as stream:
        await stream.send_all(request("SET", "k", "v") + request("QUIT") + request("PING"))
        await until(lambda: driver.engine.issued == 1)
        driver.commit(1)
        assert await everything(stream) == b"+OK\r\n+OK\r\n"


async def test_a_key_ends_without_anybody_turning_the_engine(path: Path) -> None:
    driver = HandDriver()
    async with serving(path, driver), await connect(path) as stream:
        await stream.send_all(request("SET", "k", "v", "PX", 100))
        assert await receive(stream, 5) == b"+OK\r\n"
        driver.engine.wall += 1
        await stream.send_all(request("GET", "k"))
        assert await receive(stream, 5) == b"$-1\r\n"


async def test_an_exec_is_held_like_any_write(path: Path) -> None:
    driver = HandDriver(at_once=False)
    async with serving(path, driver), await connect(path) as stream:
        await stream.send_all(request("MULTI") + request("SET", "k", "v") + request("EXEC"))
        queued = b"+OK\r\n+QUEUED\r\n"
        assert await receive(stream, len(queued)) == queued
        await until(lambda: driver.engine.issued == 1)
        driver.commit(1)
        assert await receive(stream, 9) == b"*1\r\n+OK\r\n"


async def test_a_client_that_said_all_still_gets_what_was_held(path: Path) -> None:
    driver = HandDriver(at_once=False)
    async with serving(path, driver) as server, await connect(path) as stream:
        await stream.send_all(request("SET", "k", "v"))
        await stream.send_eof()
        await until(lambda: driver.engine.issued == 1)
        driver.commit(1)
        assert await everything(stream) == b"+OK\r\n"
        assert not server.service.sessions


async def test_a_client_that_is_gone_when_the_disk_is_done_harms_nobody(path: Path) -> None:
    driver = HandDriver(at_once=False)
    async with serving(path, driver) as server:
        async with await connect(path) as gone:
            await gone.send_all(request("SET", "k", "v"))
            await until(lambda: driver.engine.issued == 1)
        driver.commit(1)
        assert await asked(path, "GET", "k", size=7) == b"$1\r\nv\r\n"
        await until(lambda: not server.service.sessions)


async def test_held_replies_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "HELD_BYTES", 10_000)
    driver = HandDriver(at_once=False)
    async with (
        serving(path, driver) as server,
        await connect(path) as stream,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream.send_all, request("SET", "k", "v") * 50_000)
        await until(
            lambda: server.service.sessions and server.service.sessions[1].backlog() > 10_000
        )
        for _turn in range(100):
            await trio.lowlevel.checkpoint()
        assert server.service.sessions[1].backlog() < 20_000
        driver.at_once = True
        driver.commit(driver.engine.issued)
        driver.flush()
        assert await receive(stream, 5 * 50_000) == b"+OK\r\n" * 50_000


# ---------------------------------------------------------------- limits


async def test_one_client_too_many_is_told_so(path: Path) -> None:
    async with serving(path, HandDriver(), most=1) as server, await connect(path) as first:
        await first.send_all(request("PING"))
        await receive(first, 7)
        async with await connect(path) as second:
            assert await everything(second) == b"-ERR max number of clients reached\r\n"
        assert server.service.counters["clients_refused"] == 1
        await first.send_all(request("PING"))
        assert await receive(first, 7) == b"+PONG\r\n"


async def test_somebody_else_is_sent_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "peer_of", lambda _connection: Peer(os.geteuid() + 4321))
    async with serving(path, HandDriver()) as server, await connect(path) as stream:
        assert (await everything(stream)).startswith(b"-NOPERM ")
        assert server.service.counters["clients_foreign"] == 1


def test_the_user_at_the_other_end_is_known() -> None:
    one, other = socket.socketpair()
    with one, other:
        peer = peer_of(one)
        assert (peer.uid, peer.pid) == (os.geteuid(), os.getpid()) or not peer.known


async def test_half_a_command_costs_only_its_client(path: Path) -> None:
    async with serving(path, HandDriver()) as server:
        streams = [await connect(path) for _each in range(50)]
        for stream in streams:
            await stream.send_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\nhalf")
        assert await asked(path, "PING", size=7) == b"+PONG\r\n"
        assert len(server.service.sessions) >= 50
        for stream in streams:
            await stream.aclose()
        await until(lambda: not server.service.sessions)


async def test_a_gigabyte_is_refused_when_it_is_announced(path: Path) -> None:
    async with serving(path, HandDriver()), await connect(path) as stream:
        await stream.send_all(b"*2\r\n$3\r\nGET\r\n$1073741824\r\n")
        assert await everything(stream) == b"-ERR Protocol error: invalid bulk length\r\n"


async def test_garbage_ends_its_client_alone(path: Path) -> None:
    async with serving(path, HandDriver()) as server, await connect(path) as stream:
        await stream.send_all(b"\x16\x03\x01\xff\n\r\r\n'\x80\n" * 20)
        await everything(stream)
        assert await asked(path, "PING", size=7) == b"+PONG\r\n"
        await until(lambda: not server.service.sessions)


async def test_a_client_that_never_reads_is_cut_off(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_server, "STALLED_SECONDS", 0.05)
    driver = HandDriver()
    driver.engine.keyspace.set(b"k", b"v" * 100_000)
    async with serving(path, driver, caps=SMALL) as server, await connect(path) as deaf:
        with suppress(trio.BrokenResourceError):
            while True:
                await deaf.send_all(request("GET", "k") * 100)
        assert server.service.counters["clients_too_slow"] == 1
        assert await asked(path, "PING", size=7) == b"+PONG\r\n"


async def test_a_client_that_reads_slowly_gets_everything(path: Path) -> None:
    driver = HandDriver()
    driver.engine.keyspace.set(b"k", b"v" * 100_000)
    one = b"$100000\r\n" + b"v" * 100_000 + b"\r\n"
    async with serving(path, driver, caps=SMALL), await connect(path) as stream:
        await stream.send_all(request("GET", "k") * 100)
        for _each in range(100):
            assert await receive(stream, len(one)) == one


async def test_a_watcher_that_never_reads_is_cut_off(path: Path) -> None:
    async with serving(path, HandDriver(), caps=SMALL) as server:
        deaf = await connect(path)
        await deaf.send_all(request("GOSSIP", "WATCH", "*"))
        assert await receive(deaf, 5) == b"+OK\r\n"
        async with await connect(path) as writer:
            for _each in range(60):
                await writer.send_all(request("SET", "k", b"v" * 50_000))
                await receive(writer, 5)
        assert server.service.counters["clients_too_slow"] == 1
        await deaf.aclose()


# ---------------------------------------------------------------- pushes, ends


async def test_changes_are_pushed_without_being_asked_for(path: Path) -> None:
    driver = HandDriver()
    async with serving(path, driver), await connect(path) as watcher:
        await watcher.send_all(request("HELLO", 3) + request("GOSSIP", "WATCH", "a*"))
        while not (await watcher.receive_some()).endswith(b"+OK\r\n"):
            pass
        driver.engine.keyspace.set(b"abc", b"v")  # as if it had come over a link
        assert parse_replies(await watcher.receive_some())[0][:3] == [b"change", b"abc", b"set"]


async def test_kill_ends_another_connection(path: Path) -> None:
    async with serving(path, HandDriver()) as server, await connect(path) as victim:
        await victim.send_all(request("CLIENT", "ID"))
        number = int((await victim.receive_some())[1:-2])
        assert await asked(path, "CLIENT", "KILL", "ID", number, size=4) == b":1\r\n"
        assert await everything(victim) == b""
        assert server.service.counters["clients_killed"] == 1


async def test_quit_answers_and_closes(path: Path) -> None:
    async with serving(path, HandDriver()), await connect(path) as stream:
        await stream.send_all(request("QUIT"))
        assert await everything(stream) == b"+OK\r\n"


async def test_leave_is_answered_before_anything_stops(path: Path) -> None:
    driver = HandDriver()
    async with serving(path, driver):
        assert await asked(path, "GOSSIP", "LEAVE", size=5) == b"+OK\r\n"
        assert driver.engine.left


@pytest.mark.parametrize("protocol", [2, 3])
async def test_redis_py_works_unchanged(path: Path, protocol: int) -> None:
    def use() -> None:
        with redis.Redis(unix_socket_path=str(path), protocol=protocol) as user:
            assert user.ping()
            assert user.set("k", "v", ex=100)
            assert 90 < user.ttl("k") <= 100
            assert user.hset("h", mapping={"a": 1, "b": 2}) == 2
            assert user.hgetall("h") == {b"a": b"1", b"b": b"2"}
            user.sadd("s", "x", "y")
            assert user.smembers("s") == {b"x", b"y"}
            assert user.incrbyfloat("f", 1.5) == 1.5
            with user.pipeline() as pipe:  # MULTI and EXEC by default
                pipe.incr("n").incr("n").get("k")
                assert pipe.execute() == [1, 2, b"v"]
            assert sorted(user.scan_iter()) == [b"f", b"h", b"k", b"n", b"s"]
            assert user.info()["role"] == "master"
            assert user.info("mesh")["mesh"] == "test"
            assert user.client_list()[0]["name"] == ""
            assert "get" in user.command()
            assert user.config_get("save") == {"save": ""}
            with pytest.raises(redis.ResponseError, match="is not supported by gossipnet"):
                user.flushall()

    async with serving(path, HandDriver()):
        await trio.to_thread.run_sync(use)
