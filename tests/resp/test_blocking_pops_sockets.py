"""Pops that wait, on real sockets: the disk, clients that go, and who comes first."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from resp_world import request
from socket_world import HandDriver, connect, receive, serving, until

ELEMENT = b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n"


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gn-", dir="/tmp") as folder:
        yield Path(folder) / "s.sock"


async def test_an_element_is_handed_over_when_the_pop_is_on_disk(path: Path) -> None:
    driver = HandDriver(at_once=False)
    async with serving(path, driver) as server, await connect(path) as one:
        await one.send_all(request("BLPOP", "q", 0) + request("PING"))
        await until(lambda: len(server.service.blocking))
        async with await connect(path) as other:
            await other.send_all(request("RPUSH", "q", "x"))
            await until(lambda: server.service.sessions[1].backlog() > 0)
            assert not driver.engine.keyspace.exists(b"q")
            driver.commit(driver.engine.seal())
            assert await receive(one, len(ELEMENT) + 7) == ELEMENT + b"+PONG\r\n"
            assert await receive(other, 4) == b":1\r\n"


async def test_a_client_that_is_gone_takes_no_element_along(path: Path) -> None:
    driver = HandDriver()
    async with serving(path, driver) as server, await connect(path) as other:
        async with await connect(path) as one:
            await one.send_all(request("BLPOP", "q", 0))
            await until(lambda: len(server.service.blocking))
        await other.send_all(request("RPUSH", "q", "x") + request("LLEN", "q"))
        assert await receive(other, 8) == b":1\r\n:1\r\n"
        assert len(server.service.blocking) == 0


async def test_who_waits_comes_before_who_asks_later(path: Path) -> None:
    driver = HandDriver()
    async with serving(path, driver) as server, await connect(path) as one:
        await one.send_all(request("BLPOP", "q", 0))
        await until(lambda: len(server.service.blocking))
        async with await connect(path) as pusher, await connect(path) as late:
            await pusher.send_all(request("RPUSH", "q", "x"))
            await late.send_all(request("LPOP", "q"))
            assert await receive(late, 5) == b"$-1\r\n"
            assert await receive(one, len(ELEMENT)) == ELEMENT


async def test_hundreds_who_wait_leave_the_server_asleep(path: Path) -> None:
    driver = HandDriver()
    async with serving(path, driver, most=400) as server:
        streams = [await connect(path) for _ in range(300)]
        for stream in streams:
            await stream.send_all(request("BLPOP", "q", 0))
        await until(lambda: len(server.service.blocking) == 300)
        before = server.service.commands
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        assert server.service.commands == before
        async with await connect(path) as pusher:
            await pusher.send_all(request("RPUSH", "q", *["x"] * 300))
            for stream in streams:
                assert await receive(stream, len(ELEMENT)) == ELEMENT
        assert not driver.engine.keyspace.exists(b"q")
        for stream in streams:
            await stream.aclose()
