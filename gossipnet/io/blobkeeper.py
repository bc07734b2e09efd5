"""Keeps this node's chunks: serves them to peers, gets those it should have, lets others go.

Which chunks a node should have follows from the state: those of every value for which it is among
the first members by rendezvous hashing, so that a value survives its writer. What somebody here
asked for stays as well, until no key names it. Files are handled in threads; the loop never waits.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import trio

from gossipnet.errors import StoreError
from gossipnet.io.chunks import PREFIX, ChunkStore, Manifest, read_manifest
from gossipnet.io.driver import Driver
from gossipnet.io.logs import log_event
from gossipnet.protocol.blobs import HOLDERS, WANTED_MAX

EVERY_SECONDS = 2.0
SOON_SECONDS = 0.3
"""Between two looks at what should be here, when there is nothing to get and when there is."""
SERVED_AT_ONCE = 256
IN_HAND = 128
"""Chunks asked for or waiting for the disk at a time: no more come than it takes."""
WRITERS = 4
"""Chunks written at a time: their fsyncs share what the disk has to do for each."""

T = TypeVar("T")


class BlobKeeper:
    """The chunks of one running node.

    Args:
      driver: Its driver.
      store: Its chunks.
      linger: Seconds that chunks are kept which no key names.
    """

    def __init__(self, driver: Driver, store: ChunkStore, linger: float) -> None:
        self._driver = driver
        self._store = store
        self._linger = linger
        self._counters: Counter[str] = Counter()
        self._asked, self._to_serve = trio.open_memory_channel[tuple[int, bytes]](SERVED_AT_ONCE)
        self._got, self._to_keep = trio.open_memory_channel[tuple[bytes, bytes]](IN_HAND)
        self._arrived: set[bytes] = set()  # and not on disk yet
        self._unnamed: dict[bytes, float] = {}
        self._bytes = 0
        self._limiter = trio.CapacityLimiter(WRITERS + 2)
        blobs = driver.engine.blobs
        blobs.serve, blobs.keep = self._serve, self._keep
        driver.more_status["blobs"] = self.status

    def status(self) -> dict[str, object]:
        """For ``GOSSIP STATUS``."""
        return {"bytes": self._bytes, "budget": self._store.budget, **self._counters}

    def fetch(self, root_key: bytes, hashes: Iterable[bytes]) -> int:
        """Have chunks fetched; how many of these are not here yet.

        Raises:
          StoreError: There is no room for them.
        """
        missing = [name for name in hashes if not self._store.has(name)]
        if missing:
            self._check_room()
            self._want(root_key, [name for name in missing if name not in self._arrived])
        return len(missing)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve and keep until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._serve_all)
            for _each in range(WRITERS):
                nursery.start_soon(self._keep_all)
            task_status.started()
            while True:
                more = await self._look_after()
                await trio.sleep(SOON_SECONDS if more else EVERY_SECONDS)

    # -- serving -------------------------------------------------------------------------------

    def _serve(self, link: int, hashes: list[bytes]) -> None:
        for name in hashes:
            try:
                self._asked.send_nowait((link, name))
            except trio.WouldBlock:
                self._driver.engine.blobs.answer(link, name, b"")

    async def _serve_all(self) -> None:
        async for link, name in self._to_serve:
            try:
                data = await self._in_thread(self._store.read, name)
            except StoreError as error:
                self._failed(error)
                data = None
            self._driver.engine.blobs.answer(link, name, data or b"")
            self._driver.flush()

    # -- getting -------------------------------------------------------------------------------

    def _keep(self, name: bytes, data: bytes) -> None:
        self._got.send_nowait((name, data))  # there is room: see `_want`
        self._arrived.add(name)

    async def _keep_all(self) -> None:
        async for name, data in self._to_keep:
            try:
                self._check_room()
                await self._in_thread(self._store.write, name, data)
                self._bytes += len(data)
            except StoreError as error:
                self._failed(error)
            finally:
                self._arrived.discard(name)

    def _check_room(self) -> None:
        if self._bytes >= self._store.budget:
            raise StoreError(
                f"the chunks in {self._store.folder} take all of their budget "
                f"({self._store.budget} bytes): raise [blobs] budget, or remove some"
            )

    def _want(self, root: bytes, hashes: list[bytes]) -> None:
        engine = self._driver.engine
        holders = [m for m in engine.distance.owners(root, HOLDERS) if m.id != engine.membership.me]
        under_way = WANTED_MAX - engine.blobs.room + len(self._arrived)
        engine.blobs.want(hashes[: max(0, IN_HAND - under_way)], holders)
        self._driver.flush()

    def _failed(self, error: StoreError) -> None:
        self._counters["failures"] += 1
        if self._counters["failures"] == 1:
            log_event("blob-store", str(error), "error")

    # -- what should be here -------------------------------------------------------------------

    def _manifests(self) -> Iterator[Manifest]:
        keyspace = self._driver.engine.keyspace
        for key in [key for key in keyspace.entries if key.startswith(PREFIX)]:
            value = keyspace.get(key) if keyspace.type_of(key) == "string" else None
            manifest = None if value is None else read_manifest(value)
            if manifest is not None:
                yield manifest

    async def _look_after(self) -> bool:
        """Get what should be here, let go of what nothing names; whether there is more to get."""
        manifests = list(self._manifests())
        if not manifests and not self._store.folder.exists():
            return False
        try:
            here = await self._in_thread(self._store.list)
        except OSError as error:
            self._failed(StoreError(f"cannot list {self._store.folder}: {error.strerror}"))
            return False
        self._bytes = sum(here.values())
        engine = self._driver.engine
        lacking = False
        for manifest in manifests:
            owners = engine.distance.owners(manifest.root, HOLDERS)
            missing = [name for name in manifest.hashes if self._lacks(name, here)]
            mine = any(member.id == engine.membership.me for member in owners)
            if mine and missing and engine.blobs.room > 0 and self._bytes < self._store.budget:
                self._want(manifest.root, missing)
                lacking = True
        named = {name for manifest in manifests for name in manifest.hashes}
        await self._collect(here, named)
        return lacking

    def _lacks(self, name: bytes, here: dict[bytes, int]) -> bool:
        """It may have come since ``here`` was found."""
        return name not in here and name not in self._arrived and not self._store.has(name)

    async def _collect(self, here: dict[bytes, int], named: set[bytes]) -> None:
        now = trio.current_time()
        self._unnamed = {name: self._unnamed.get(name, now) for name in here if name not in named}
        due = [name for name, since in self._unnamed.items() if now - since >= self._linger]
        if due:
            removed = await self._in_thread(self._remove, due)
            self._counters["chunks_collected"] += removed

    def _remove(self, names: list[bytes]) -> int:
        with self._store.collecting() as alone:
            if not alone:
                return 0
            for name in names:
                self._store.remove(name)
            return len(names)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await trio.to_thread.run_sync(work, *arguments, limiter=self._limiter)
