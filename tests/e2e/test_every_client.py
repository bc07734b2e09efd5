"""Every type through the clients that people have: redis-py, hiredis, redis-cli and ioredis."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hiredis
import pytest
import redis
from mesh_harness import Daemon, running_mesh

from tests.needs import need

pytestmark = pytest.mark.e2e
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with running_mesh(1) as mesh:
        yield mesh[0]


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(daemon: Daemon, protocol: int) -> None:
    client = redis.Redis(
        unix_socket_path=str(daemon.socket), protocol=protocol, decode_responses=True
    )
    key = f"py{protocol}:{{}}".format
    assert client.set(key("s"), "héllo", ex=100)
    assert client.get(key("s")) == "héllo"
    assert client.incrby(key("n"), 5) == 5
    assert client.setbit(key("b"), 7, 1) == 0
    client.hset(key("h"), mapping={"a": "1", "b": "2"})
    assert client.hgetall(key("h")) == {"a": "1", "b": "2"}
    client.sadd(key("set"), "x", "y")
    assert client.smembers(key("set")) == {"x", "y"}
    client.zadd(key("z"), {"b": 2, "a": 1.5})
    pairs = client.zrange(key("z"), 0, -1, withscores=True)
    assert [tuple(pair) for pair in pairs] == [("a", 1.5), ("b", 2.0)]
    client.rpush(key("l"), "1", "2")
    assert client.lrange(key("l"), 0, -1) == ["1", "2"]
    client.geoadd(key("g"), (13.361389, 38.115556, "Palermo"))
    assert client.geosearch(key("g"), member="Palermo", radius=1) == ["Palermo"]
    entry = client.xadd(key("x"), {"f": "v"})
    assert client.xrange(key("x")) == [(entry, {"f": "v"})]
    client.xgroup_create(key("x"), "readers", id="0")
    assert client.xreadgroup("readers", "me", {key("x"): ">"})
    assert client.xack(key("x"), "readers", entry) == 1
    client.pfadd(key("p"), "a", "b")
    assert client.pfcount(key("p")) == 2
    with client.pipeline(transaction=True) as pipe:
        pipe.watch(key("n"))
        pipe.multi()
        pipe.incr(key("n")).incr(key("n"))
        assert pipe.execute() == [6, 7]
    assert sorted(client.scan_iter(key("*")))
    assert client.info("crdt")["crdt_conflicts"] == 0
    assert any(row["name"] == "" for row in client.client_list())
    hearer = client.pubsub(ignore_subscribe_messages=True)
    hearer.subscribe(key("c"))
    hearer.get_message(timeout=10)
    client.publish(key("c"), "hello")
    heard = None
    while heard is None:
        heard = hearer.get_message(timeout=10)
    assert heard["data"] == "hello"
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.lpush(key("s"), "x")
    hearer.close()
    client.close()


def test_hiredis(daemon: Daemon) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(daemon.socket))
        reader = hiredis.Reader()

        def call(*words: Any) -> Any:
            connection.sendall(hiredis.pack_command(words))
            while (reply := reader.gets()) is False:
                reader.feed(connection.recv(65536))
            return reply

        assert call("SET", "hi:s", b"\x00\r\n\xff") == b"OK"
        assert call("GET", "hi:s") == b"\x00\r\n\xff"
        assert call("HELLO", "3")[b"proto"] == 3
        assert call("HSET", "hi:h", "a", 1) == 1
        assert call("HGETALL", "hi:h") == {b"a": b"1"}
        assert call("RPUSH", "hi:l", *range(1000)) == 1000
        assert len(call("LRANGE", "hi:l", 0, -1)) == 1000
        assert call("ZADD", "hi:z", 1.5, "m") == 1
        assert call("ZSCORE", "hi:z", "m") == 1.5
        assert call("SADD", "hi:set", "m") == 1
        assert list(call("SMEMBERS", "hi:set")) == [b"m"]
        assert call("GET", "hi:none") is None
        assert isinstance(call("LPUSH", "hi:s", "x"), hiredis.ReplyError)
        assert call("CLIENT", "TRACKING", "ON") == b"OK"
        assert call("GET", "hi:cached") is None
        daemon.do("SET", "hi:cached", "1")
        while (pushed := reader.gets()) is False:
            reader.feed(connection.recv(65536))
        assert isinstance(pushed, hiredis.PushNotification)
        assert list(pushed) == [b"invalidate", [b"hi:cached"]]


@pytest.mark.parametrize("protocol", ["-2", "-3"])
def test_redis_cli(daemon: Daemon, protocol: str) -> None:
    need(shutil.which("redis-cli") is not None, "redis-cli is not installed")
    asked = """DEL c:s c:h c:set c:z c:l c:x c:p c:g
SET c:s v
HSET c:h a 1
SADD c:set m
ZADD c:z 1 m
RPUSH c:l 1 2
XADD c:x * f v
PFADD c:p a b
GEOADD c:g 13.361389 38.115556 Palermo
LRANGE c:l 0 -1
ZSCORE c:z m
XLEN c:x
PFCOUNT c:p
MULTI
INCR c:n
EXEC
COMMAND COUNT
"""
    done = subprocess.run(
        ["redis-cli", protocol, "-s", str(daemon.socket)],
        input=asked,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "ERR" not in done.stdout
    assert len(done.stdout.split("\n")) >= len(asked.split("\n"))


def test_ioredis(daemon: Daemon) -> None:
    if os.environ.get("GOSSIPNET_WITHOUT_IOREDIS"):
        pytest.skip("the package registry of Node.js could not be reached")
    folder = os.environ.get("GOSSIPNET_NODE_CLIENTS", "")
    there = shutil.which("node") is not None and Path(folder, "node_modules", "ioredis").is_dir()
    need(there, "GOSSIPNET_NODE_CLIENTS names no folder in which `npm install ioredis` was run")
    done = subprocess.run(
        ["node", str(HERE / "clients" / "every_type.mjs"), str(daemon.socket)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("geo") == "166.2742"
    assert told.pop("error").startswith("WRONGTYPE")
    assert told.pop("scan") >= 10
    assert told == {
        "string": ["OK", "héllo"],
        "counter": [5, "5.5"],
        "bits": [0, 1],
        "hash": {"a": "1", "b": "2"},
        "set": ["x", "y"],
        "zset": ["a", "1.5", "b", "2"],
        "list": [["1", "2", "3"], ["js:l", "1"]],
        "stream": [1, True, ["f", "v"]],
        "hyperloglog": 2,
        "transaction": [[None, "OK"], [None, 2]],
        "pipeline": [None, 100],
        "channel": ["js:channel", "hello"],
    }
