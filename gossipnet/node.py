"""A whole node: home, database, engine, links. Everything of a daemon but its socket and signals.

`open_node` embeds one in a trio program, and `daemon` is built on the same. What is opened first is
closed last: the lock on the home outermost, then the port, the store, the driver, and the listener
innermost, which takes nobody in before everything else stands.
"""

import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import trio

import gossipnet
from gossipnet.changes import Changes, Reader
from gossipnet.config import Settings, join_address, load, split_address
from gossipnet.errors import ConfigError
from gossipnet.identity.home import Home, NodeIdentity
from gossipnet.identity.meshsecret import read_mesh_secret
from gossipnet.ids import LogId
from gossipnet.io.accounts import Ledger
from gossipnet.io.admission import Admission
from gossipnet.io.blobkeeper import BlobKeeper
from gossipnet.io.chunks import ChunkStore
from gossipnet.io.driver import Driver
from gossipnet.io.keysource import key_source
from gossipnet.io.listener import Listener, bind
from gossipnet.io.lock import HomeLock, lock_home
from gossipnet.io.logs import log_event
from gossipnet.io.mending import Damage, knows_others, load_records
from gossipnet.io.recovery import MARKER_KEY, Recovered, open_home_database
from gossipnet.io.seeds import read_seeds
from gossipnet.io.sockets import own_hosts
from gossipnet.io.sole import alone
from gossipnet.io.store import Store
from gossipnet.protocol import kem
from gossipnet.protocol.engine import Engine, EngineSettings
from gossipnet.protocol.handshake import PostQuantum, Transport
from gossipnet.protocol.imaging import Fetch, load_image
from gossipnet.protocol.standing import known_statements
from gossipnet.state.errors import WritesRefused
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.replica import Replica

GRACE_SECONDS = 2.0
"""How long a node that stops waits for its disk and its peers."""

_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

T = TypeVar("T")


class Node:
    """A running node; `open_node` makes and ends it.

    Keys and values are bytes. Reads are dictionary reads; writes return once they are durable, and
    may raise what the keyspace raises: `NotPermitted`, `WrongType` and the like.

    Attributes:
      identity: Whose node it is.
      driver: Its engine's driver.
      epoch: Which log of this identity it writes, u32.
      listening: ``HOST:PORT`` of every socket that peers can dial.
      blobs: Chunks of large values; None before it runs.
      advertised: ``HOST:PORT`` that the others are told.
    """

    def __init__(
        self, identity: NodeIdentity, driver: Driver, epoch: int, listener: Listener
    ) -> None:
        self.identity = identity
        self.driver = driver
        self.epoch = epoch
        self.listening = listener.addresses
        self.advertised: tuple[str, ...] = ()
        self.blobs: BlobKeeper | None = None
        self._changes = Changes(driver.engine.keyspace)

    @property
    def engine(self) -> Engine:
        """The protocol engine."""
        return self.driver.engine

    @property
    def keyspace(self) -> Keyspace:
        """All state. Reading needs nothing more; write through `write`."""
        return self.driver.engine.keyspace

    async def write(self, change: Callable[[Keyspace], T]) -> T:
        """Make changes that become durable, and visible elsewhere, together.

        Args:
          change: Called at once with the keyspace; must not await.

        Returns:
          What ``change`` returned, once it is on disk.

        Raises:
          WritesRefused: The disk is full or the clock is wrong. Nothing was changed, unless the
            text says that it became full just now.
        """
        result = change(self.keyspace)
        await self.driver.wait_committed(self.engine.ticket())
        return result

    async def atomically(self, change: Callable[[Keyspace], T]) -> T:
        """As `write`, and everything in one record: seen as a whole, or not at all, everywhere.

        If ``change`` raises, what it wrote before that stays: look before you write.
        """

        def together(keyspace: Keyspace) -> T:
            with keyspace.atomic():
                return change(keyspace)

        return await self.write(together)

    @asynccontextmanager
    async def changes(self, prefix: bytes = b"") -> AsyncIterator[Reader]:
        """Iterates over changes of keys that begin so, by any node, for the length of the block."""
        reader = self._changes.open(prefix)
        try:
            yield reader
        finally:
            self._changes.close(reader)

    def get(self, key: bytes) -> bytes | None:
        """The string at ``key``, or None."""
        return self.keyspace.get(key)

    async def set(self, key: bytes, value: bytes) -> None:
        """Set the string at ``key``."""
        await self.write(lambda keyspace: keyspace.set(key, value))

    async def delete(self, key: bytes) -> bool:
        """Remove ``key``, of any type; False if there was none."""
        return await self.write(lambda keyspace: keyspace.delete(key))

    async def increment(self, key: bytes, by: int = 1) -> int:
        """Add to the counter at ``key``; increments on different nodes add up."""
        return await self.write(lambda keyspace: keyspace.increment(key, by))

    def members(self) -> list[dict[str, Any]]:
        """Who is in the mesh: rows as in ``gossipnet members --json``."""
        return self.engine.members_table()

    def status(self) -> dict[str, Any]:
        """This node's health, as in ``gossipnet status --json``."""
        return {**self.engine.status(), **self.driver.status_extra()}


@asynccontextmanager
async def open_node(
    home: str | os.PathLike[str],
    *,
    listen: str | None = None,
    join: Sequence[str] = (),
    advertise: Sequence[str] = (),
    durability: str | None = None,
) -> AsyncIterator[Node]:
    """Embed a node in a trio program, for the length of the block.

    It runs in tasks of its own, and says goodbye to the others when the block ends. It has no local
    socket, takes no signals, and logs to the `logging` logger ``gossipnet``.

    Args:
      home: A home that ``gossipnet init`` or ``join`` has made; no daemon may run on it.
      listen: ``HOST:PORT`` for links; port 0 takes a free one. Default: as for the daemon.
      join: ``HOST:PORT`` of members to dial.
      advertise: ``HOST:PORT`` that the others should dial; empty finds it out.
      durability: ``always`` or ``every-second``.

    Raises:
      UserError: One sentence about what is wrong with the home, the port or a setting.
    """
    flags = {
        "home": os.fspath(home),
        "listen": listen,
        "join": list(join) or None,
        "advertise": list(advertise) or None,
        "durability": durability,
        "socket": Path(os.devnull),
    }
    with alone():
        async with run_node(load(flags, {})) as node:
            yield node


@asynccontextmanager
async def run_node(settings: Settings) -> AsyncIterator[Node]:
    """Everything that `open_node` does, under settled settings.

    Raises an ExceptionGroup when one of its tasks fails.
    """
    with lock_home(settings.home) as lock:
        home = Home(settings.home, key_source(settings.key_command, os.environ))
        # In a thread: what gives the key may ask a person, and signals must be heard meanwhile.
        identity = await trio.to_thread.run_sync(home.load, abandon_on_cancel=True)
        secret = read_mesh_secret(settings.home, settings.mesh_secret)
        admission = Admission()
        listener = Listener(await bind(settings.listen), admission)
        try:
            recovered = open_home_database(
                settings.home, lock, settings.durability, os.urandom, identity.node_id
            )
            store = Store(recovered.database, settings.durability)
            try:
                engine = await _build(settings, identity, listener, recovered, secret)
                _go_on_with_log(engine, lock, recovered.damage)
                store.start()
                transport = _transport(settings, identity, secret)
                transport.floor = lambda: engine.context.floor
                driver = Driver(
                    engine,
                    store,
                    transport,
                    keep=home.renew,
                    ledger=Ledger(admission=admission),
                )
                engine.outbox = driver.outbox
                node = Node(identity, driver, recovered.epoch, listener)
                driver.more_status["disk_damage"] = lambda: recovered.damage.status(
                    lambda log: engine.replica.head(LogId(log))
                )
                node.advertised = advertised(settings, listener)
                driver.on_committed.append(lambda _number: _note_head(engine, lock))
                _tell_recovery(recovered)
                store_of_chunks = ChunkStore(settings.home, settings.blob_budget)
                node.blobs = BlobKeeper(driver, store_of_chunks, settings.blob_linger)
                async with trio.open_nursery() as nursery:
                    await nursery.start(driver.run)
                    await nursery.start(node.blobs.run)
                    await nursery.start(listener.run, driver)
                    with _parting(engine, driver):
                        yield node
                        await stop(node, trio.current_time() + GRACE_SECONDS)
                    nursery.cancel_scope.cancel()
            finally:
                await store.stop([(MARKER_KEY, recovered.marker.stopped().encode())])
        finally:
            listener.close()


async def stop(node: Node, deadline: float) -> None:
    """Make what was written durable and say goodbye, both by ``deadline`` (trio time).

    The second call does nothing.
    """
    engine, driver = node.engine, node.driver
    if driver.stopping:
        return
    with trio.CancelScope(deadline=deadline), suppress(WritesRefused):
        await driver.wait_committed(engine.ticket())
    with trio.CancelScope(deadline=deadline):
        if not engine.left:
            engine.goodbye()
        await driver.shut("goodbye")


def _transport(settings: Settings, identity: NodeIdentity, secret: bytes) -> Transport:
    pq = PostQuantum(settings.pq)
    if pq is PostQuantum.REQUIRE and not kem.available():
        raise ConfigError(
            'pq = "require" needs ML-KEM-768, which this build of the package cryptography lacks: '
            'install its wheel from the package index, or set pq to "prefer"'
        )
    return Transport(identity, os.urandom, secret=secret, pq=pq)


async def _build(
    settings: Settings,
    identity: NodeIdentity,
    listener: Listener,
    recovered: Recovered,
    secret: bytes,
) -> Engine:
    wall = time.time()
    revocations, forks = known_statements(recovered.meta, identity.trust)
    replica = Replica(
        key=identity.key,
        chain=identity.chain,
        trust=identity.trust,
        epoch=recovered.epoch,
        wall=wall,
        revocations=revocations,
        forks=forks,
    )

    fetch: list[Fetch | None] = []

    def read_back() -> None:
        fetch.append(load_image(replica, recovered.meta, recovered.database.chunks))
        may_ask = knows_others(recovered.meta, identity.node_id)
        load_records(recovered.database, replica.load, recovered.damage, may_ask=may_ask)
        replica.finish_loading(wall)

    # In a thread, so that a signal, or the program around, need not wait for a large home.
    await trio.to_thread.run_sync(read_back)
    now = trio.current_time()
    engine = Engine(
        identity,
        replica,
        EngineSettings(
            addresses=_told_addresses(settings, listener),
            seeds=tuple(dict.fromkeys([*settings.join, *read_seeds(settings.home)])),
            synced=settings.durability == "always",
            zone=settings.zone,
            software=f"gossipnet/{gossipnet.__version__}",
            secret=secret,
            rehearse=os.environ.get("GOSSIPNET_REHEARSE_UPGRADE") == "1",
            pq=PostQuantum(settings.pq),
        ),
        rng=random.Random(os.urandom(32)),
        entropy=os.urandom,
        now=now,
        wall=wall,
    )
    engine.start(_engine_meta(recovered.meta), now, wall, fetch[0])
    return engine


def _go_on_with_log(engine: Engine, lock: HomeLock, damage: Damage) -> None:
    """Begin a new log if more of the present one was committed than the database has.

    A write-ahead log that was cut or removed leaves no other trace, and whoever signed the missing
    numbers again would have two histories, between which no two members could agree.
    """
    replica = engine.replica
    if damage.records:
        engine.intake.open_epoch("the database was damaged")
    elif lock.lacks(replica.own_log, replica.head(replica.own_log)):
        engine.intake.open_epoch("the database lacks writes of this node that were committed")


def _note_head(engine: Engine, lock: HomeLock) -> None:
    replica, log = engine.replica, engine.replica.own_log
    lock.note(log, engine.commits.sendable(log, replica.head(log)))


def _engine_meta(meta: Mapping[str, bytes]) -> dict[str, bytes]:
    return {key: value for key, value in meta.items() if not key.startswith("io.")}


def advertised(settings: Settings, listener: Listener) -> tuple[str, ...]:
    """What others should dial: as set, else the address listened on, else those of the routes."""
    if settings.advertise:
        return settings.advertise
    host, port = split_address(listener.addresses[0])
    if host not in _EVERY_ADDRESS:
        return listener.addresses
    hosts = [own for own in own_hosts() if host == "::" or ":" not in own]
    return tuple(join_address(own, port) for own in hosts or ["127.0.0.1"])


def _told_addresses(settings: Settings, listener: Listener) -> tuple[str, ...]:
    """For the engine: `advertised`, and a wildcard, under which it learns how peers see us."""
    known = advertised(settings, listener)
    if settings.advertise or split_address(listener.addresses[0])[0] not in _EVERY_ADDRESS:
        return known
    return (*known, listener.addresses[0])


def _tell_recovery(recovered: Recovered) -> None:
    why = {
        "power-loss": "the machine stopped before the last writes were on disk",
        "moved": "the home was moved",
        "copied": "the home is a copy",
        "other-machine": "the home comes from another machine",
        "restored": "the database was put back from an older copy",
        "damaged": "the database was damaged",
    }.get(recovered.new_epoch)
    if why is not None:
        log_event("new-epoch", f"{why}: this node goes on in a new log", "warning")
    damage = recovered.damage
    if damage.kept_as:
        log_event("disk-damaged", f"the damaged database is kept as {damage.kept_as}", "error")
    if damage.records or damage.names:
        log_event(
            "disk-damaged",
            f"{damage.records} records and {damage.names} other rows did not fit their sums; "
            f"with {damage.followers} records that need those they are set aside, and the other "
            "members are asked for them",
            "error",
        )


@contextmanager
def _parting(engine: Engine, driver: Driver) -> Iterator[None]:
    """When the block fails or is cancelled, still say goodbye as far as that takes no waiting."""
    try:
        yield
    except BaseException:
        driver.part()
        raise
