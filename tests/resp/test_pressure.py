"""Limits of one node's socket: each refuses with its reason, and nothing of the command is done."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from resp_world import Caller, open_service, request
from socket_world import HandDriver, connect, receive, serving

from gossipnet.io.backlog import REFUSE_BYTES, SLOW_BYTES, Backlog
from gossipnet.protocol.commits import CONGESTED_BYTES
from gossipnet.resp.pressure import OUT_OF_MEMORY, Caps
from gossipnet.resp.service import Service


def bounded(**caps: int) -> Caller:
    service = open_service()
    service.pressure.allow(Caps(**caps))
    return Caller(service)


def short_of_memory() -> tuple[Service, Caller]:
    service = open_service()
    caller = Caller(service)
    caller.call("SET", "old", "1")
    caller.call("RPUSH", "list", "a", "b")
    service.pressure.allow(Caps(memory=100))
    service.pressure.remember(101, full=True)
    return service, caller


def test_a_key_above_the_limit_is_refused_and_may_still_be_deleted() -> None:
    caller = bounded(key=4)
    assert caller.call("SET", "four", "a longer value") == b"OK"
    text = "ERR the key has 5 bytes and limits.key allows 4"
    for words in (
        ("SET", "fives", "v"),
        ("INCR", "fives"),
        ("MSET", "four", "changed", "fives", "v"),
        ("BLMOVE", "four", "fives", "LEFT", "LEFT", "1"),
    ):
        assert caller.refusal(*words) == text
    assert caller.call("GET", "four") == b"a longer value"
    caller.service.keyspace.set(b"foreign", b"v")  # as if another member had written it
    assert caller.call("GET", "foreign") == b"v"
    assert caller.call("DEL", "foreign") == 1
    assert caller.service.counters["writes_refused_size"] == 4


def test_a_value_above_the_limit_is_refused_however_it_comes_about() -> None:
    caller = bounded(value=8)
    assert caller.call("SET", "k", "12345678") == b"OK"
    text = "ERR the value has 9 bytes and limits.value allows 8"
    for words in (
        ("SET", "k", "123456789"),
        ("HSET", "h", "field", "123456789"),
        ("SADD", "s", "123456789"),
        ("APPEND", "k", "9"),
        ("SETRANGE", "k", "8", "9"),
        ("SETBIT", "k", "64", "1"),
    ):
        assert caller.refusal(*words) == text
    assert caller.call("SETBIT", "k", "0", "1") == 0  # within what is there
    assert not caller.call("EXISTS", "h", "s")


def test_a_batch_above_the_limit_is_refused_as_a_command_and_as_a_transaction() -> None:
    caller = bounded(batch=1024)
    assert caller.refusal("SET", "k", b"v" * 1024) == (
        "ERR the command has 1028 bytes and limits.batch allows 1024: write less at once"
    )
    caller.call("MULTI")
    caller.call("SET", "k", b"v" * 600)
    assert "the transaction is larger than 1024 bytes" in caller.refusal("SET", "l", b"v" * 600)
    assert caller.refusal("EXEC").startswith("EXECABORT")
    assert not caller.call("EXISTS", "k", "l")


def test_a_command_above_the_query_buffer_is_read_past() -> None:
    caller = bounded(query_buffer=65_536)
    assert "larger than 65536 bytes" in caller.refusal("SET", "k", b"v" * 65_536)
    assert caller.call("SET", "k", b"v" * 60_000) == b"OK"


def test_without_memory_additions_are_refused_and_all_else_goes_on() -> None:
    service, caller = short_of_memory()
    for words in (("SET", "k", "v"), ("INCR", "old"), ("LMOVE", "list", "l", "LEFT", "LEFT")):
        assert caller.refusal(*words) == OUT_OF_MEMORY
    assert caller.call("GET", "old") == b"1"
    assert caller.call("LPOP", "list") == b"a"
    assert caller.call("EXPIRE", "list", "100") == 1
    assert caller.call("DEL", "old") == 1
    assert service.counters["writes_refused_memory"] == 3
    assert service.pressure.status()["short_of"] == "memory"
    assert b"maxmemory:100\r\n" in caller.call("INFO", "memory")
    assert caller.call("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"100"]
    service.pressure.remember(99, full=False)
    assert caller.call("SET", "k", "v") == b"OK"


def test_without_memory_a_transaction_runs_as_a_whole_or_not_at_all() -> None:
    service, caller = short_of_memory()
    service.pressure.remember(99, full=False)
    caller.call("MULTI")
    caller.call("DEL", "old")
    caller.call("SET", "k", "v")
    service.pressure.remember(101, full=True)
    assert OUT_OF_MEMORY in caller.refusal("EXEC")
    assert caller.call("EXISTS", "old") == 1
    caller.call("MULTI")
    assert caller.refusal("SET", "k", "v") == OUT_OF_MEMORY
    assert caller.refusal("EXEC").startswith("EXECABORT")


def test_writers_are_refused_before_peers_are_no_longer_read() -> None:
    service = open_service()
    caller = Caller(service)
    commits = SimpleNamespace(backlog=0)
    backlog = Backlog(SimpleNamespace(commits=commits), service.pressure)
    assert SLOW_BYTES < REFUSE_BYTES < CONGESTED_BYTES
    assert not backlog.look()
    commits.backlog = SLOW_BYTES + 1
    assert backlog.look()
    assert caller.call("SET", "k", "v") == b"OK"
    commits.backlog = REFUSE_BYTES + 1
    backlog.look()
    for words in (("SET", "k", "w"), ("DEL", "k")):
        assert caller.refusal(*words).startswith("TRYAGAIN 12 MiB of writes wait for this node's")
    assert caller.call("GET", "k") == b"v"
    assert service.pressure.status()["short_of"] == "disk"
    assert service.counters["writes_refused_behind"] == 2
    commits.backlog = 0
    backlog.look()
    assert caller.call("SET", "k", "w") == b"OK"


async def test_a_client_that_waits_for_a_slow_disk_is_not_read_meanwhile() -> None:
    driver = HandDriver(at_once=False)
    with tempfile.TemporaryDirectory(prefix="gn-", dir="/tmp") as folder:
        path = Path(folder) / "s.sock"
        async with serving(path, driver) as server, await connect(path) as writer:
            server.look = lambda: driver.engine.committed < 1
            await writer.send_all(request("SET", "first", "v"))
            while not driver.engine.issued:
                await driver.flushed.wait()
            await writer.send_all(request("SET", "second", "v"))
            async with await connect(path) as reader:  # served, and behind the writer's bytes
                await reader.send_all(request("EXISTS", "first", "second"))
                assert await receive(reader, 4) == b":1\r\n"
            driver.at_once = True
            driver.commit(1)
            assert await receive(writer, 10) == b"+OK\r\n+OK\r\n"


@pytest.mark.parametrize("name", ["key", "value", "batch"])
def test_what_is_not_set_costs_writes_no_look(name: str) -> None:
    service = open_service()
    assert service.pressure.guard is None
    service.pressure.allow(Caps(**{name: 1000}))
    assert service.pressure.guard is not None
