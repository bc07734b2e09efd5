"""A real redis-server beside a service of ours, and words to ask both the same."""

import functools
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hiredis
import pytest
from hypothesis import strategies as st
from resp_world import Caller, LoneMesh, open_service, request

from gossipnet.identity.founding import found_mesh
from gossipnet.identity.home import NodeIdentity
from tests.needs import need


def words(name: str, *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[list[bytes]]:
    """A command of a name and parts; a part that is a list is spliced in."""
    return st.tuples(*parts).map(lambda made: [name.encode(), *_spliced(made)])


def _spliced(parts: tuple[Any, ...]) -> list[bytes]:
    return [word for part in parts for word in (part if isinstance(part, list) else [part])]


def some(part: st.SearchStrategy[bytes], least: int = 0, most: int = 3) -> Any:
    return st.lists(part, min_size=least, max_size=most)


UNORDERED = frozenset(
    {b"KEYS", b"SMEMBERS", b"SUNION", b"SINTER", b"SDIFF", b"SPOP", b"SRANDMEMBER", b"HKEYS"}
    | {b"HVALS", b"HRANDFIELD", b"HGETALL", b"SCAN", b"SSCAN", b"HSCAN", b"EXEC"}
    | {b"ZRANDMEMBER", b"ZSCAN"}
)


def _reader() -> hiredis.Reader:
    return hiredis.Reader(replyError=lambda text: ("error", text), notEnoughData=StopIteration)


class Stock:
    """A connection to the real one, emptied."""

    def __init__(self, path: str) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(10)
        self.connection.connect(path)
        self.reader = _reader()
        self.call([b"FLUSHALL"])

    def call(self, command: list[bytes]) -> Any:
        self.connection.sendall(request(*command))
        while (reply := self.reader.gets()) is StopIteration:
            self.reader.feed(self.connection.recv(65536))
        return reply


def ours(caller: Caller, command: list[bytes]) -> Any:
    reader = _reader()
    reader.feed(caller.raw(*command))
    return reader.gets()


@functools.cache
def identity_of_now() -> NodeIdentity:
    return found_mesh(1, wall=time.time()).identities[0]


def settled(reply: Any, name: bytes) -> Any:
    """A reply with what has no order put into one."""
    if isinstance(reply, dict):
        return sorted((repr(key), repr(settled(value, name))) for key, value in reply.items())
    if isinstance(reply, list | set):
        items = [settled(item, name) for item in reply]
        return sorted(items, key=repr) if name in UNORDERED or isinstance(reply, set) else items
    return reply


_FRACTION = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")


def numerically(reply: Any, name: bytes) -> Any:
    """As `settled`; doubles count by value: Redis before 7.2 writes 1.1 as 1.1000000000000001."""
    if isinstance(reply, bytes) and _FRACTION.fullmatch(reply):
        return float(reply)
    if isinstance(reply, list):
        items = [numerically(item, name) for item in reply]
        return sorted(items, key=repr) if name in UNORDERED else items
    return settled(reply, name)


CLOCKED = {b"TTL": 1, b"EXPIRETIME": 1, b"PTTL": 1000, b"PEXPIRETIME": 1000}
"""Replies that follow the clock, which moves on between two answers: one second of slack."""


def clocked(name: bytes, mine: Any, theirs: Any) -> bool:
    """Whether both told a moment, and the same one but for the time that passed between them."""
    slack = CLOCKED.get(name.upper())
    if slack is None or not (isinstance(mine, int) and isinstance(theirs, int)):
        return False
    return mine >= 0 and theirs >= 0 and abs(mine - theirs) <= slack


def compare(
    path: str,
    protocol: bytes,
    commands: list[list[bytes]],
    alike: Callable[[Any, bytes], Any] = settled,
) -> None:
    """Both are asked the same, one command after the other, and must answer the same.

    Args:
      path: Socket of the real one.
      protocol: ``2`` or ``3``.
      commands: Their words.
      alike: What of a reply to a command of this name must be equal.
    """
    wall = time.time()
    service = open_service(LoneMesh(wall, identity_of_now()))
    service.wall_ms = int(wall * 1000)
    redis, caller = Stock(path), Caller(service)
    try:
        if protocol == b"3":
            redis.call([b"HELLO", protocol])
            caller.call(b"HELLO", protocol)
        for command in commands:
            theirs, mine = redis.call(command), ours(caller, command)
            if clocked(command[0], mine, theirs):
                continue
            assert alike(mine, command[0]) == alike(theirs, command[0]), command
    finally:
        redis.connection.close()


@pytest.fixture(scope="module")
def stock() -> Iterator[str]:
    need(shutil.which("redis-server") is not None, "redis-server is not installed")
    with tempfile.TemporaryDirectory(prefix="gn-", dir="/tmp") as folder:
        path = str(Path(folder) / "redis.sock")
        process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            end = time.monotonic() + 10
            while not Path(path).exists() and time.monotonic() < end:
                time.sleep(0.01)
            yield path
        finally:
            process.terminate()
            process.wait()
