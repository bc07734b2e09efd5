"""The clients that people already have, unchanged: redis-cli, redis-benchmark, redis-py."""

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import redis
from mesh_harness import Daemon, running_mesh

from tests.needs import need

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with running_mesh(1) as mesh:
        yield mesh[0]


def redis_cli(daemon: Daemon, *words: str, stdin: str | None = None) -> str:
    need(shutil.which("redis-cli") is not None, "redis-cli is not installed")
    done = subprocess.run(
        ["redis-cli", "-s", str(daemon.socket), *words],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_redis_cli(daemon: Daemon) -> None:
    assert redis_cli(daemon, "PING") == "PONG\n"
    assert redis_cli(daemon, "SET", "greeting", "hello") == "OK\n"
    assert redis_cli(daemon, "GET", "greeting") == "hello\n"
    assert redis_cli(daemon, "INCR", "cli:count") == "1\n"
    assert redis_cli(daemon, "HSET", "cli:hash", "a", "1", "b", "2") == "2\n"
    assert redis_cli(daemon, "--json", "HGETALL", "cli:hash") == '{"a":"1","b":"2"}\n'
    assert "greeting" in redis_cli(daemon, "--scan", "--pattern", "gree*")
    assert "WRONGTYPE" in redis_cli(daemon, "SADD", "greeting", "x")
    assert "unknown command" in redis_cli(daemon, "NOSUCHCOMMAND")
    assert "# Mesh" in redis_cli(daemon, "INFO")
    assert redis_cli(daemon, stdin="SET typed 1\nINCR typed\nGET typed\n") == "OK\n2\n2\n"
    names = redis_cli(daemon, "-3", "GOSSIP", "MEMBERS")
    assert "node0" in names
    assert "alive" in names


def test_redis_cli_big_keys_and_stat(daemon: Daemon) -> None:
    daemon.do("SADD", "cli:set", *range(50))
    assert "Biggest" in redis_cli(daemon, "--bigkeys")


@pytest.mark.parametrize("pipeline", ["1", "32"])
def test_redis_benchmark_s_whole_default_set(daemon: Daemon, pipeline: str) -> None:
    need(shutil.which("redis-benchmark") is not None, "redis-benchmark is not installed")
    done = subprocess.run(
        [
            *("redis-benchmark", "-s", str(daemon.socket), "-n", "2000", "-c", "20", "-q"),
            *("-P", pipeline, "--csv"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "error" not in (done.stdout + done.stderr).lower()
    tests = [line.split(",")[0].strip('"') for line in done.stdout.splitlines()[1:]]
    assert {"GET", "SET", "INCR", "SADD", "HSET", "ZADD", "LPUSH", "RPOP"} <= set(tests)
    assert any(test.startswith("LRANGE_600") for test in tests)


def test_redis_py_as_it_comes(daemon: Daemon) -> None:
    with redis.Redis(unix_socket_path=str(daemon.socket), decode_responses=True) as client:
        assert client.ping()
        assert client.set("py", "1", ex=100)
        assert client.get("py") == "1"
        assert client.incrby("py:n", 5) == 5
        assert client.incrbyfloat("py:f", 0.5) == 0.5
        assert client.hset("py:h", mapping={"a": "1", "b": "2"}) == 2
        assert client.hgetall("py:h") == {"a": "1", "b": "2"}
        assert client.sadd("py:s", "x", "y") == 2
        assert client.smembers("py:s") == {"x", "y"}
        assert 0 < client.ttl("py") <= 100
        assert sorted(client.scan_iter("py*")) == ["py", "py:f", "py:h", "py:n", "py:s"]
        assert client.type("py:h") == "hash"
        with pytest.raises(redis.ResponseError, match="not an integer"):
            client.incr("py:h2") if client.set("py:h2", "text") else None
        assert client.info("server")
        assert client.client_id() > 0


def test_redis_py_pipelines_and_transactions(daemon: Daemon) -> None:
    with redis.Redis(unix_socket_path=str(daemon.socket), decode_responses=True) as client:
        with client.pipeline() as pipe:  # MULTI ... EXEC
            pipe.set("tx:a", 1).incr("tx:a").get("tx:a")
            assert pipe.execute() == [True, 2, "2"]
        with client.pipeline(transaction=False) as pipe:
            for number in range(500):
                pipe.set(f"pipe:{number}", number)
            assert pipe.execute() == [True] * 500
        assert client.mget("pipe:0", "pipe:499") == ["0", "499"]

        def add(pipe: "redis.client.Pipeline") -> None:
            value = int(pipe.get("tx:a") or 0)
            pipe.multi()
            pipe.set("tx:a", value + 10)

        client.transaction(add, "tx:a")
        assert client.get("tx:a") == "12"


@pytest.mark.parametrize("protocol", [2, 3])
def test_mesh_commands_in_both_protocols(daemon: Daemon, protocol: int) -> None:
    options = {"unix_socket_path": str(daemon.socket), "protocol": protocol}
    with redis.Redis(decode_responses=True, **options) as client:
        (row,) = client.execute_command("GOSSIP", "MEMBERS")
        if protocol == 2:
            row = dict(zip(row[::2], row[1::2], strict=True))
        assert row["name"] == "node0"
        assert row["state"] == "alive"


def test_command_line_agrees_with_the_socket(daemon: Daemon) -> None:
    daemon.must("set", "line", "a b")
    assert daemon.do("GET", "line") == b"a b"
    assert daemon.must("get", "line") == "a b"
    assert daemon.must("incr", "line:n", "4").strip() == "4"
    assert json.loads(daemon.must("keys", "line*", "--json"))["keys"] == ["line", "line:n"]
    assert daemon.must("del", "line").strip() in ("1", "")
    assert daemon.cli("get", "line").returncode == 5
    assert daemon.must("call", "ECHO", "hi").strip() == "hi"
