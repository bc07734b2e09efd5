"""A served local socket whose commits happen when a test says so, and streams to talk to it."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from resp_world import LoneMesh, request

from gossipnet.io.client_server import ClientServer
from gossipnet.io.fulldisk import FullDisk
from gossipnet.resp.pressure import Caps


class HandDriver:
    """A driver whose commits reach the disk when a test says so, or at once."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.engine = LoneMesh()
        self.on_committed: list[Callable[[int], None]] = []
        self.full_disk = FullDisk(self.engine.keyspace, Counter())
        self.at_once = at_once
        self.flushed = trio.Event()

    def wall(self) -> float:
        return self.engine.wall

    def status_extra(self) -> dict[str, object]:
        return {"disk": "ok"}

    def flush(self) -> None:
        self.flushed.set()

    async def run(self) -> None:
        while True:
            await self.flushed.wait()
            self.flushed = trio.Event()
            self.engine.seal()
            if self.at_once:
                self.commit(self.engine.issued)

    def commit(self, number: int) -> None:
        self.engine.committed = number
        for callback in self.on_committed:
            callback(number)


@asynccontextmanager
async def serving(
    path: Path, driver: HandDriver, most: int = 100, *, caps: Caps | None = None
) -> AsyncIterator[ClientServer]:
    async with trio.open_nursery() as nursery:
        server = ClientServer(driver, path, most)
        server.service.pressure.allow(caps or Caps())
        await nursery.start(server.run)
        nursery.start_soon(driver.run)
        yield server
        nursery.cancel_scope.cancel()


async def connect(path: Path) -> trio.SocketStream:
    return await trio.open_unix_socket(str(path))


async def receive(stream: trio.SocketStream, size: int) -> bytes:
    """Exactly so many bytes."""
    data = b""
    while len(data) < size:
        piece = await stream.receive_some(size - len(data))
        assert piece, f"ended after {data!r}"
        data += piece
    return data


async def everything(stream: trio.SocketStream) -> bytes:
    """All that comes until the end."""
    data = b""
    try:
        async for piece in stream:
            data += piece
    except trio.BrokenResourceError:
        pass
    return data


async def asked(path: Path, *words: object, size: int) -> bytes:
    """One command on a connection of its own, and the first bytes of its reply."""
    async with await connect(path) as stream:
        await stream.send_all(request(*words))
        return await receive(stream, size)


async def until(check: Callable[[], object]) -> None:
    """Let everybody run until something is so; the test's own timeout is the deadline."""
    while not check():
        await trio.lowlevel.checkpoint()
