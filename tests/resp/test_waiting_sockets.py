"""Clients that wait, on real sockets: timeouts while nothing else happens, and clients that go."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from resp_world import request
from socket_world import HandDriver, connect, everything, receive, serving, until


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gn-", dir="/tmp") as folder:
        yield Path(folder) / "s.sock"


async def test_a_time_that_is_over_wakes_the_server(path: Path) -> None:
    async with serving(path, HandDriver()), await connect(path) as stream:
        await stream.send_all(request("SET", "k", "v") + request("WAIT", 1, 150))
        began = trio.current_time()
        assert await receive(stream, 9) == b"+OK\r\n:0\r\n"
        assert trio.current_time() - began > 0.1
        await stream.send_all(request("PING"))
        assert await receive(stream, 7) == b"+PONG\r\n"


async def test_receipts_wake_the_server_and_the_pipeline_goes_on(path: Path) -> None:
    driver = HandDriver()
    async with serving(path, driver), await connect(path) as stream:
        await stream.send_all(
            request("SET", "k", "v") + request("WAIT", 1, 0) + request("INCR", "n")
        )
        assert await receive(stream, 5) == b"+OK\r\n"
        await stream.send_all(request("GET", "k"))
        await until(lambda: driver.engine.waits)
        driver.engine.waits[0].came = 1
        driver.engine.receipts_came()
        assert await receive(stream, 15) == b":1\r\n:1\r\n$1\r\nv\r\n"


async def test_a_client_that_goes_while_it_waits_is_let_go(path: Path) -> None:
    driver = HandDriver()
    async with serving(path, driver) as server:
        async with await connect(path) as stream:
            await stream.send_all(request("SET", "k", "v") + request("WAIT", 1, 0))
            await until(lambda: driver.engine.waits)
        await until(lambda: driver.engine.waits[0].closed)
        assert len(server.service.blocking) == 0
        await until(lambda: not server.service.sessions)


async def test_a_client_that_waits_is_killed(path: Path) -> None:
    driver = HandDriver()
    async with serving(path, driver), await connect(path) as one, await connect(path) as other:
        await one.send_all(request("CLIENT", "ID") + request("SET", "k", "v"))
        number = (await receive(one, 9))[1:2]
        await one.send_all(request("WAIT", 1, 0))
        await until(lambda: driver.engine.waits)
        await other.send_all(request("CLIENT", "KILL", "ID", number))
        assert await receive(other, 4) == b":1\r\n"
        assert await everything(one) == b""
        assert driver.engine.waits[0].closed


async def test_what_is_sent_behind_a_wait_is_bounded(path: Path) -> None:
    driver = HandDriver()
    async with serving(path, driver) as server, await connect(path) as stream:
        await stream.send_all(request("SET", "k", "v") + request("WAIT", 1, 0))
        assert await receive(stream, 5) == b"+OK\r\n"
        flood = request("PING") * 10_000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, flood)
            await until(lambda: next(iter(server.service.sessions.values())).waiting > 1024)
            for _each in range(50):
                await trio.lowlevel.checkpoint()
            waiting = next(iter(server.service.sessions.values())).waiting
            assert waiting < 1024 + 65536 // len(request("PING")) + 2
            driver.engine.waits[0].came = 1
            driver.engine.receipts_came()
            assert await receive(stream, 4 + 7 * 10_000) == b":1\r\n" + b"+PONG\r\n" * 10_000
