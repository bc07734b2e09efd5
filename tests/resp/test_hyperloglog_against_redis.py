"""PFADD, PFCOUNT and PFMERGE give what a real Redis gives on the same elements."""

import random
import shutil
from collections.abc import Iterator

import pytest
import redis
from resp_world import Caller, open_service
from stock_redis import running_redis

from gossipnet.state.types import loglog
from tests.needs import need


@pytest.fixture(scope="module")
def stock() -> Iterator["redis.Redis"]:
    need(shutil.which("redis-server") is not None, "redis-server is not installed")
    with running_redis() as path, redis.Redis(unix_socket_path=path) as client:
        yield client


@pytest.fixture
def pair(stock: "redis.Redis") -> tuple["redis.Redis", Caller]:
    stock.flushall()
    return stock, Caller(open_service())


def both(pair: tuple["redis.Redis", Caller], *words: object) -> object:
    """One command to both; the reply, which is the same."""
    theirs: object
    mine: object
    try:
        theirs = pair[0].execute_command(*words)
    except redis.ResponseError as error:
        theirs = str(error)
    try:
        mine = pair[1].call(*words)
    except Exception as error:
        mine = str(error).removeprefix("ERR ").removeprefix("WRONGTYPE ")
        theirs = str(theirs).removeprefix("WRONGTYPE ")
    if mine == b"OK":
        mine = True
    assert mine == theirs, words[:3]
    return mine


@pytest.mark.parametrize("size", [1, 2, 7, 50, 200])
def test_the_same_count_at_every_size(pair: tuple["redis.Redis", Caller], size: int) -> None:
    rng = random.Random(size)
    for _step in range(40):
        key = rng.choice(["a", "b", "c"])
        elements = [rng.randbytes(rng.randrange(30)) for _each in range(rng.randrange(size + 1))]
        both(pair, "PFADD", key, *elements)
        both(pair, "PFCOUNT", key)
        if rng.random() < 0.2:
            both(pair, "PFMERGE", "d", *rng.sample(["a", "b", "c", "none"], 2))
            both(pair, "PFCOUNT", "d")
            both(pair, "PFCOUNT", "a", "b", "c")
    both(pair, "EXISTS", "a", "b", "c", "d")


def test_strings_go_over_either_way(pair: tuple["redis.Redis", Caller]) -> None:
    stock, mine = pair
    for count in (0, 3, 500, 20_000):
        for start in range(0, max(count, 1), 2000):
            elements = [b"%d" % n for n in range(start, min(start + 2000, count))]
            both(pair, "PFADD", "k", *elements)
        text = stock.get("k")
        assert isinstance(text, bytes)
        assert mine.call("SET", "theirs", text) == b"OK"
        assert mine.call("PFCOUNT", "theirs") == stock.pfcount("k")
        stock.set("mine", mine.call("GET", "k"))
        assert stock.pfcount("mine") == mine.call("PFCOUNT", "k") == stock.pfcount("k")
    stock.execute_command("PFDEBUG", "TODENSE", "k")
    dense = stock.get("k")
    assert isinstance(dense, bytes)
    assert mine.call("GET", "k")[16:] == dense[16:]
    assert loglog.read(dense) == dict(loglog.read(mine.call("GET", "k")) or {})


def test_errors_are_those_of_redis(pair: tuple["redis.Redis", Caller]) -> None:
    both(pair, "SET", "text", "x")
    both(pair, "SADD", "set", "x")
    for words in (
        ("PFADD", "text", "x"),
        ("PFADD", "text"),
        ("PFCOUNT", "text"),
        ("PFMERGE", "none", "text"),
        ("PFADD", "set", "x"),
        ("PFCOUNT", "none", "set"),
        ("PFMERGE", "set", "none"),
        ("PFADD",),
        ("PFCOUNT",),
        ("PFMERGE",),
        ("PFMERGE", "new"),
        ("EXISTS", "new", "none"),
        ("PFCOUNT", "new"),
        ("PFADD", "new"),
        ("PFADD", "other"),
        ("PFADD", "other"),
        ("TYPE", "other"),
        ("GET", "none"),
    ):
        both(pair, *words)
    both(pair, "DEL", "other")
    both(pair, "PFCOUNT", "other")
