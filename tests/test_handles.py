"""Typed handles, atomic changes and the iterator of changes of an embedded node."""

import os
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import trio

import gossipnet
from gossipnet import changes as changes_module
from gossipnet.changes import Change, ChangesLost
from gossipnet.identity.home import Home
from gossipnet.node import Node, open_node
from gossipnet.state.errors import WrongType


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    folder = tmp_path / "founder"
    Home(folder).found(
        mesh="test", name="founder", passphrase=None, entropy=os.urandom, wall=time.time()
    )
    async with open_node(folder, listen="127.0.0.1:0") as node:
        yield node


async def test_registers_and_counters(node: Node) -> None:
    greeting = gossipnet.Register(node, "greeting")
    assert (greeting.get(), greeting.exists()) == (None, False)
    await greeting.set("hello")
    assert greeting.get() == b"hello"
    hits = gossipnet.Counter(node, b"hits")
    assert hits.value() == 0
    assert await hits.add() == 1
    assert await hits.add(-3) == -2
    assert await hits.add(Decimal("0.5")) == Decimal("-1.5")
    assert hits.exact() == Decimal("-1.5")
    assert await hits.clear()
    assert not await hits.clear()
    await greeting.expire(node.keyspace.wall_ms + 60_000)
    assert node.keyspace.deadline_of(b"greeting") is not None
    assert repr(greeting) == "Register(b'greeting')"


async def test_sets_maps_and_sorted_sets(node: Node) -> None:
    tags = gossipnet.Set(node, "tags")
    assert await tags.add("a", b"b", "a") == 2
    assert await tags.remove("a", "z") == 1
    assert list(tags) == [b"b"]
    assert ("b" in tags, "a" in tags, len(tags)) == (True, False, 1)
    profile = gossipnet.Map(node, "profile")
    assert await profile.update({"name": "ada", b"age": "36"}) == 2
    await profile.set("name", "eve")
    assert await profile.add("age", 1) == 37
    assert profile.items() == {b"name": b"eve", b"age": b"37"}
    assert (profile.get("name"), profile.get("none")) == (b"eve", None)
    assert ("age" in profile, len(profile), sorted(profile)) == (True, 2, [b"age", b"name"])
    assert await profile.remove("age", "none") == 1
    board = gossipnet.SortedSet(node, "board")
    assert await board.set({"x": 2, "y": 1.5}) == 2
    assert await board.add("y", 1.0) == 2.5
    assert board.ranked() == [(b"x", 2.0), (b"y", 2.5)]
    assert board.ranked(-1) == [(b"y", 2.5)]
    assert (board.score("x"), board.score("none")) == (2.0, None)
    assert await board.remove("x") == 1
    assert ("x" in board, len(board)) == (False, 1)
    with pytest.raises(WrongType):
        len(gossipnet.Set(node, "board"))


async def test_lists_and_streams(node: Node) -> None:
    jobs = gossipnet.List(node, "jobs")
    assert await jobs.pop() is None
    assert await jobs.append("b", "c") == 2
    assert await jobs.insert(0, "a") == 3
    assert await jobs.insert(-1, "b2") == 4
    assert list(jobs) == [b"a", b"b", b"b2", b"c"]
    assert (jobs[0], jobs[-1], jobs[1:3], jobs[::2]) == (b"a", b"c", [b"b", b"b2"], [b"a", b"b2"])
    with pytest.raises(IndexError):
        jobs[4]
    assert await jobs.pop(left=True) == b"a"
    assert await jobs.pop() == b"c"
    log = gossipnet.Stream(node, "log")
    assert log.entries() == []
    first = await log.add({"event": "start"})
    second = await log.add({"event": "stop", "code": "0"})
    assert [entry.id for entry in log.entries()] == [first, second]
    assert log.entries(after=first)[0].fields == {b"event": b"stop", b"code": b"0"}
    assert await log.remove([first]) == 1
    assert len(log) == 1


async def test_what_is_done_atomically_is_one_record(node: Node) -> None:
    replica = node.engine.replica
    before = replica.head(replica.own_log)
    held = await node.atomically(
        lambda k: (k.set(b"a", b"x" * 100_000), k.add(b"b", [b"y"]), k.increment(b"n", 2))
    )
    assert held[2] == 2
    assert replica.head(replica.own_log) == before + 1


async def test_changes_are_told_in_their_order_to_whoever_asked(node: Node) -> None:
    async with node.changes(b"jobs:") as reader, node.changes() as everything:
        await node.set(b"jobs:1", b"x")
        await node.set(b"other", b"x")
        await node.delete(b"jobs:1")
        with trio.fail_after(10):
            first, second = await anext(reader), await anext(reader)
            keys = [(await anext(everything)).key for _each in range(3)]
    assert isinstance(first, Change)
    assert [(one.key, one.event) for one in (first, second)] == [
        (b"jobs:1", "set"),
        (b"jobs:1", "del"),
    ]
    assert first.author == gossipnet.ids.text(node.identity.node_id)
    assert abs(first.wall_ms - time.time() * 1000) < 60_000
    assert keys == [b"jobs:1", b"other", b"jobs:1"]
    assert node.keyspace.on_change is None


async def test_a_reader_waits_and_one_that_is_too_slow_is_told(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_module, "WAITING", 3)
    async with node.changes() as reader, trio.open_nursery() as nursery:
        with trio.fail_after(10):
            nursery.start_soon(node.set, b"a", b"x")
            assert (await anext(reader)).key == b"a"
            for number in range(5):
                await node.set(b"%d" % number, b"x")
            with pytest.raises(ChangesLost):
                await anext(reader)
