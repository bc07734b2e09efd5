"""The writer thread: order, group commit, both durabilities, a full disk, a broken disk."""

import itertools
import os
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from gossipnet.errors import StoreError
from gossipnet.ids import LogId
from gossipnet.io import store as store_module
from gossipnet.io.database import Database, open_database
from gossipnet.io.disk_errors import WriteDeferred
from gossipnet.io.store import Deferred, Store
from gossipnet.protocol.effects import Commit, Committed, LogRead, ReadLog, StoredRecord
from tests.needs import need

A, B = LogId(b"A" * 16), LogId(b"B" * 16)


def records(log: LogId, *seqs: int, size: int = 10) -> tuple[StoredRecord, ...]:
    return tuple(StoredRecord(log, seq, b"%c%d" % (log[0], seq) + b"." * size) for seq in seqs)


def name(data: bytes) -> str:
    return data.rstrip(b".").decode()


class Inbox:
    """Collects what a store delivers, and waits for it."""

    def __init__(self) -> None:
        self.all: list[Committed | LogRead | Deferred] = []
        self._came = trio.Event()

    def __call__(self, done: Committed | LogRead | Deferred) -> None:
        self.all.append(done)
        self._came.set()
        self._came = trio.Event()

    async def committed(self, number: int) -> None:
        while not any(isinstance(d, Committed) and d.number >= number for d in self.all):
            await self._came.wait()

    async def read(self, request: int) -> LogRead:
        while True:
            for done in self.all:
                if isinstance(done, LogRead) and done.request == request:
                    return done
            await self._came.wait()

    async def deferred(self, *, now: bool) -> str:
        while True:
            told = [d.reason for d in self.all if isinstance(d, Deferred)]
            if told and bool(told[-1]) == now:
                return told[-1]
            await self._came.wait()


@asynccontextmanager
async def running(path: Path, durability: str = "always") -> AsyncIterator[tuple[Store, Inbox]]:
    store, inbox = Store(open_database(path), durability), Inbox()
    store.start()
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run, inbox)
            yield store, inbox
            nursery.cancel_scope.cancel()
    finally:
        await store.stop([("stopped", b"yes")])


def stored(path: Path) -> list[str]:
    database = open_database(path)
    try:
        return [name(data) for data in database.read_records()]
    finally:
        database.close()


@pytest.mark.parametrize("durability", ["always", "every-second"])
async def test_commits_come_back_in_order_and_are_there_next_time(
    tmp_path: Path, durability: str
) -> None:
    path = tmp_path / "state.db"
    with trio.fail_after(10):
        async with running(path, durability) as (store, inbox):
            for number in range(1, 51):
                store.commit(Commit(number, records(A, number), (), urgent=True))
            await inbox.committed(50)
        numbers = [done.number for done in inbox.all if isinstance(done, Committed)]
    assert numbers == sorted(numbers)
    assert stored(path) == [f"A{number}" for number in range(1, 51)]


async def test_what_waits_together_shares_one_transaction(tmp_path: Path) -> None:
    async with running(tmp_path / "state.db") as (store, inbox):
        for number in range(1, 201):
            store.commit(Commit(number, records(A, number), (), urgent=True))
        with trio.fail_after(10):
            await inbox.committed(200)
        assert store.commits == 200
        assert store.transactions < 100
        assert store.backlog == 0


async def test_two_crowds_become_one_on_a_slow_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was answered comes again at once, and joins those who waited meanwhile."""
    write = Database.write
    begun = threading.Event()

    def slowly(database: Database, commits: list[Commit]) -> None:
        begun.set()
        time.sleep(0.3)
        write(database, commits)

    async with running(tmp_path / "state.db") as (store, inbox):
        monkeypatch.setattr(Database, "write", slowly)
        numbers = itertools.count(1)

        async def crowd(rounds: int) -> None:
            for _ in range(rounds):
                number = next(numbers)
                store.commit(Commit(number, records(A, number), (), urgent=True))
                await inbox.committed(number)

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(crowd, 6)
                await trio.to_thread.run_sync(begun.wait)
                nursery.start_soon(crowd, 5)
        monkeypatch.undo()
        assert store.commits == 11
        assert store.transactions <= 8, "they take turns"


async def test_an_urgent_commit_takes_the_waiting_ones_along(tmp_path: Path) -> None:
    async with running(tmp_path / "state.db") as (store, inbox):
        store.commit(Commit(1, records(A, 1), (), urgent=False))
        store.commit(Commit(2, records(A, 2), (), urgent=True))
        with trio.fail_after(10):
            await inbox.committed(2)
        assert [d.number for d in inbox.all if isinstance(d, Committed)][-1] == 2


async def test_a_commit_nobody_waits_for_still_happens(tmp_path: Path) -> None:
    async with running(tmp_path / "state.db") as (store, inbox):
        store.commit(Commit(1, records(A, 1), (), urgent=False))
        with trio.fail_after(10):
            await inbox.committed(1)


async def test_a_read_sees_every_commit_asked_for_before_it(tmp_path: Path) -> None:
    async with running(tmp_path / "state.db") as (store, inbox):
        store.commit(Commit(1, records(A, 1, 2), (), urgent=False))
        store.read(ReadLog(7, ((A, 1, 9),), 0, 1 << 20))
        with trio.fail_after(10):
            answer = await inbox.read(7)
        assert [name(data) for data in answer.records] == ["A1", "A2"]
        assert answer.position is None


async def test_reads_keep_the_order_of_application_and_go_on_where_they_stopped(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "state.db") as (store, inbox):
        for n in range(1, 301):
            store.commit(Commit(2 * n - 1, records(A, n), (), urgent=False))
            store.commit(Commit(2 * n, records(B, n), (), urgent=True))
        seen: list[str] = []
        position: int | None = 0
        request = 0
        wanted = ((A, 10, 12), (B, 290, 295), (A, 299, 400))
        with trio.fail_after(10):
            while position is not None:
                request += 1
                store.read(ReadLog(request, wanted, position, 30))
                answer = await inbox.read(request)
                assert answer.records
                seen += [name(data) for data in answer.records]
                position = answer.position
    assert seen == [
        *("A10", "A11", "A12"),
        *("B290", "B291", "B292", "B293", "B294", "B295"),
        *("A299", "A300"),
    ]
    assert request > 3


async def test_nothing_wanted_is_answered(tmp_path: Path) -> None:
    async with running(tmp_path / "state.db") as (store, inbox):
        store.read(ReadLog(1, ((A, 5, 9),), 0, 1000))
        with trio.fail_after(10):
            assert await inbox.read(1) == LogRead(1, (), None)


async def test_every_second_syncs_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "SYNC_SECONDS", 0.01)
    synced = trio.Event()
    token = trio.lowlevel.current_trio_token()
    real = os.fsync

    def fsync(fd: int) -> None:
        real(fd)
        if os.readlink(f"/proc/self/fd/{fd}").endswith("-wal"):
            token.run_sync_soon(synced.set)

    need(sys.platform == "linux", "what a descriptor is can be read in /proc")
    monkeypatch.setattr(store_module.os, "fsync", fsync)
    async with running(tmp_path / "state.db", "every-second") as (store, inbox):
        store.commit(Commit(1, records(A, 1), (), urgent=True))
        with trio.fail_after(10):
            await inbox.committed(1)
            await synced.wait()


async def test_a_failed_fsync_ends_it_and_acknowledges_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "SYNC_SECONDS", 0.01)

    def fsync(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    store, inbox = Store(open_database(tmp_path / "state.db"), "every-second"), Inbox()
    monkeypatch.setattr(store_module.os, "fsync", fsync)
    store.start()
    store.commit(Commit(1, records(A, 1), (), urgent=True))
    with trio.fail_after(10), pytest.raises(StoreError, match=r"failed \(Input/output error\)"):
        await store.run(inbox)
    store.commit(Commit(2, records(A, 2), (), urgent=True))
    await store.stop()
    assert Committed(2) not in inbox.all


async def test_a_bug_in_the_thread_is_raised_and_not_hung_on(tmp_path: Path) -> None:
    store, inbox = Store(open_database(tmp_path / "state.db"), "always"), Inbox()
    store.start()
    store.commit(Commit(1, (), (("a", b"1", "too many"),), urgent=True))  # type: ignore[arg-type]
    with trio.fail_after(10), pytest.raises(ValueError, match="too many values to unpack"):
        await store.run(inbox)
    await store.stop()


async def test_the_same_record_twice_is_an_error(tmp_path: Path) -> None:
    store, inbox = Store(open_database(tmp_path / "state.db"), "always"), Inbox()
    store.start()
    store.commit(Commit(1, records(A, 1, 1), (), urgent=True))
    with trio.fail_after(10), pytest.raises(StoreError, match="UNIQUE"):
        await store.run(inbox)
    await store.stop()


async def test_stopping_commits_what_waits_and_the_final_word(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with running(path) as (store, _inbox):
        store.commit(Commit(1, records(A, 1), (), urgent=False))
    assert stored(path) == ["A1"]
    database = open_database(path)
    assert database.read_meta() == {"stopped": b"yes"}
    database.close()


async def test_stopping_when_cancelled_still_commits(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with trio.CancelScope() as scope:
        async with running(path) as (store, _inbox):
            store.commit(Commit(1, records(A, 1), (), urgent=False))
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert stored(path) == ["A1"]


async def test_a_store_that_never_started_closes_its_file(tmp_path: Path) -> None:
    store = Store(open_database(tmp_path / "state.db"), "always")
    await store.stop()
    with pytest.raises((StoreError, sqlite3.ProgrammingError)):
        store._database.read_meta()


async def test_a_full_disk_keeps_what_waits_and_goes_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "RETRY_SECONDS", 0.02)
    path = tmp_path / "state.db"
    database = open_database(path)
    full = True
    real = type(database).write

    def write(self: object, commits: list[Commit]) -> None:
        if full:
            raise WriteDeferred(f"the disk of {path} is full: free some space")
        real(database, commits)

    monkeypatch.setattr(type(database), "write", write)
    store, inbox = Store(database, "always"), Inbox()
    store.start()
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run, inbox)
        with trio.fail_after(10):
            store.commit(Commit(1, records(A, 1), (), urgent=True))
            assert "is full: free some space" in await inbox.deferred(now=True)
            store.commit(Commit(2, records(A, 2), (), urgent=True))
            assert "is full" in store.deferred
            assert store.backlog > 0
            assert Committed(1) not in inbox.all
            full = False
            await inbox.committed(2)
            await inbox.deferred(now=False)
        assert store.deferred == ""
        nursery.cancel_scope.cancel()
    await store.stop()
    monkeypatch.undo()
    assert stored(path) == ["A1", "A2"]


def test_a_really_full_disk(tmp_path: Path) -> None:
    """The same on a file system of 1 MiB: what was acknowledged is all there afterwards."""
    need(os.geteuid() == 0 and sys.platform == "linux", "mounting needs root")
    import subprocess

    room = tmp_path / "small"
    room.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(room)], check=False
    )
    need(mounted.returncode == 0, "mounting is not allowed here")
    path = room / "state.db"
    try:
        trio.run(_fill, path)
        (room / "ballast").unlink()
        database = open_database(path)
        kept = [name(data) for data in database.read_records()]
        database.close()
        assert kept == [f"A{seq}" for seq in range(1, len(kept) + 1)]
        assert len(kept) >= 3
    finally:
        subprocess.run(["umount", str(room)], check=True)


async def _fill(path: Path) -> None:
    (path.parent / "ballast").write_bytes(bytes(300_000))
    store, inbox = Store(open_database(path), "always"), Inbox()
    store.start()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run, inbox)
            number = 0
            while not store.deferred:
                number += 1
                store.commit(Commit(number, records(A, number, size=20_000), (), urgent=True))
                with trio.move_on_after(0.2):
                    await inbox.committed(number)
            assert Committed(number) not in inbox.all
            (path.parent / "ballast").unlink()
            await inbox.committed(number)  # goes on by itself
            (path.parent / "ballast").touch()
            nursery.cancel_scope.cancel()
        await store.stop()


async def test_a_backlog_stops_the_reading_of_links_until_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "CONGESTED_BYTES", 1000)
    async with running(tmp_path / "state.db") as (store, inbox):
        assert store.room() is None
        store.commit(Commit(1, records(A, 1, size=5000), (), urgent=True))
        room = store.room()
        assert room is not None
        with trio.fail_after(10):
            await room.wait()
            await inbox.committed(1)
        assert store.room() is None
