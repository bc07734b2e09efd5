"""A driver with everything real around it but the engine, which does as the test says."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import trio

from gossipnet.identity.founding import expand, found_mesh
from gossipnet.io.admission import Admission, AdmissionLimits
from gossipnet.io.database import open_database
from gossipnet.io.dialer import connect
from gossipnet.io.driver import Driver
from gossipnet.io.listener import Listener, bind
from gossipnet.io.store import Store
from gossipnet.protocol.effects import (
    Committed,
    Dial,
    Effect,
    Input,
    Lane,
    LinkUp,
    Received,
    Send,
)
from gossipnet.protocol.handshake import Transport
from gossipnet.state.batch import Batch
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.logs import Logs

T = TypeVar("T")
WALL = 1_800_000_000.0
"""The only time there is on these machines' clocks."""


def make_transports(count: int) -> list[Transport]:
    """The first ``count`` members of one mesh, always the same."""
    return [
        Transport(identity, expand(identity.node_id))
        for identity in found_mesh(count, wall=WALL).identities
    ]


class ScriptedEngine:
    """Remembers what it is fed, and hands out what the test puts into ``effects``."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.effects: list[Effect] = []
        self.react: Callable[[Input], None] = lambda _event: None
        self.due = inf
        self.ticks: list[float] = []
        self.committed = 0
        self.wanted = 0
        self.left = False
        self.outdated = False
        self.farewells = 0
        self.keyspace = Keyspace(Logs(), lambda _fresh: Batch({}, 0, 0))
        self._came = trio.Event()

    def handle(self, event: Input, now: float, wall: float) -> None:
        self.inputs.append(event)
        if isinstance(event, Committed):
            self.committed = event.number
        self.react(event)
        self._came.set()
        self._came = trio.Event()

    def tick(self, now: float, wall: float) -> None:
        self.ticks.append(now)
        self.due = inf

    def deadline(self) -> float:
        return self.due

    def take_effects(self, now: float, wall: float) -> list[Effect]:
        effects, self.effects = self.effects, []
        return effects

    def ticket(self) -> int:
        return self.wanted

    def goodbye(self) -> None:
        self.farewells += 1

    async def saw(self, kind: type[T], count: int = 1, **fields: Any) -> T:
        """Wait for the ``count``-th input of a kind with these fields."""
        with trio.fail_after(20):
            while True:
                found = [
                    event
                    for event in self.inputs
                    if isinstance(event, kind)
                    and all(getattr(event, name) == value for name, value in fields.items())
                ]
                if len(found) >= count:
                    return found[count - 1]
                await self._came.wait()


class Host:
    """One node's sockets and disk around a scripted engine."""

    def __init__(self, transport: Transport, listener: Listener, store: Store) -> None:
        self.engine = ScriptedEngine()
        self.transport = transport
        self.listener = listener
        self.store = store
        self.driver = Driver(self.engine, store, transport, wall=lambda: WALL)  # type: ignore[arg-type]
        self.address = listener.addresses[0]
        self._dials = 0

    def do(self, *effects: Effect) -> None:
        self.engine.effects += effects
        self.driver.flush()

    def dial(self, address: str, **options: Any) -> int:
        self._dials += 1
        self.do(Dial(self._dials, address, options.get("expected"), options.get("deadline", 10.0)))
        return self._dials

    async def link_to(self, other: "Host") -> tuple[int, int]:
        """Open a link; its numbers here and there."""
        dial = self.dial(other.address)
        mine = await self.engine.saw(LinkUp, dialed=dial)
        ups = [event for event in other.engine.inputs if isinstance(event, LinkUp)]
        if not any(up.peer.node_id == self.transport.identity.node_id for up in ups):
            await other.engine.saw(LinkUp, len(ups) + 1)
        ups = [event for event in other.engine.inputs if isinstance(event, LinkUp)]
        theirs = next(u for u in ups if u.peer.node_id == self.transport.identity.node_id)
        return mine.link, theirs.link

    def send(self, link: int, payload: bytes, lane: Lane = Lane.GOSSIP) -> None:
        self.do(Send(link, lane, payload))

    def received(self) -> list[bytes]:
        return [event.payload for event in self.engine.inputs if isinstance(event, Received)]

    async def knock(self) -> trio.SocketStream:
        return await connect(self.address, 10)


@asynccontextmanager
async def running(
    folder: Path, transport: Transport, limits: AdmissionLimits | None = None
) -> AsyncIterator[Host]:
    """A host that listens on loopback, until the block ends."""
    listener = Listener(await bind("127.0.0.1:0"), Admission(limits))
    os.makedirs(folder, exist_ok=True)
    store = Store(open_database(folder / "state.db"), "always")
    store.start()
    host = Host(transport, listener, store)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(host.driver.run)
            await nursery.start(listener.run, host.driver)
            yield host
            nursery.cancel_scope.cancel()
    finally:
        await store.stop()
