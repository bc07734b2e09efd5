"""What clients of one daemon hear of what happens at another: through redis-py as it comes."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from mesh_harness import Daemon, eventually, running_mesh

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh() -> Iterator[list[Daemon]]:
    with running_mesh(3) as daemons:
        yield daemons


def heard(channel: Any, count: int) -> list[tuple[Any, Any]]:
    """The next messages of a subscriber, whatever else it is told."""
    found: list[tuple[Any, Any]] = []
    while len(found) < count:
        message = channel.get_message(timeout=10)
        assert message, f"{len(found)} of {count} came: {found[-3:]}"
        if message["type"].endswith("message"):
            found.append((message["channel"], message["data"]))
    return found


@pytest.mark.parametrize("protocol", [2, 3])
def test_published_at_one_daemon_heard_at_all(mesh: list[Daemon], protocol: int) -> None:
    clients = [daemon.redis(protocol=protocol, decode_responses=True) for daemon in mesh]
    channels = [client.pubsub() for client in clients]
    for channel in channels:
        channel.subscribe("news")
        channel.psubscribe("spo*")
        assert channel.get_message(timeout=10)["type"] == "subscribe"
        assert channel.get_message(timeout=10)["type"] == "psubscribe"
    assert clients[0].publish("news", "one") == 1
    assert clients[1].publish("sport", "two") == 1
    for channel in channels:
        assert sorted(heard(channel, 2)) == [("news", "one"), ("sport", "two")]
    many = [f"{number}" for number in range(300)]
    with clients[2].pipeline(transaction=False) as pipe:
        for text in many:
            pipe.publish("news", text)
        pipe.execute()
    for channel in channels:
        assert [data for _channel, data in heard(channel, 300)] == many
        channel.close()
    for client in clients:
        client.close()


def test_changes_at_one_daemon_are_notified_at_another(mesh: list[Daemon]) -> None:
    near, far = mesh[0], mesh[1]
    assert near.do("CONFIG", "SET", "notify-keyspace-events", "KEA")
    with closing(near.redis(decode_responses=True)) as client:
        channel = client.pubsub()
        channel.psubscribe("__key*__:*")
        assert channel.get_message(timeout=10)["type"] == "psubscribe"
        far.do("SET", "told:key", "1", "PX", "150")
        wanted = [
            ("__keyspace@0__:told:key", "set"),
            ("__keyevent@0__:set", "told:key"),
            ("__keyspace@0__:told:key", "expire"),
            ("__keyevent@0__:expire", "told:key"),
            ("__keyspace@0__:told:key", "expired"),
            ("__keyevent@0__:expired", "told:key"),
        ]
        assert heard(channel, 6) == wanted
        channel.close()
    near.do("CONFIG", "SET", "notify-keyspace-events", "")


def test_wait_counts_other_daemons_and_set_waits(mesh: list[Daemon]) -> None:
    with closing(mesh[0].redis()) as client:
        client.set("waited", "1")
        assert client.wait(2, 10_000) == 2
        client.incr("waited")
        assert client.execute_command("WAITAOF", 1, 2, 10_000) == [1, 2]
        client.set("waited", "3")
        assert client.wait(3, 100) == 2
    assert mesh[1].do("GET", "waited") == b"3"
    mesh[1].must("set", "waited", "4", "--wait", "2")
    done = mesh[1].cli("set", "waited", "5", "--wait", "9")
    assert done.returncode == 6
    assert "2 of 9 other nodes" in done.stderr


def test_a_stream_written_at_one_daemon_is_read_by_who_waits_at_another(
    mesh: list[Daemon],
) -> None:
    near, far = mesh[0], mesh[2]
    with closing(far.redis()) as writer, closing(near.redis()) as reader:
        reader.xgroup_create("jobs", "workers", "$", mkstream=True)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(reader.xread, {"events": "$"}, block=10_000)
            eventually(lambda: "flags=bU" in near.do("CLIENT", "LIST").decode(), "it waits")
            one = writer.xadd("events", {"kind": "started"})
            assert entries_of(waiting.result()) == [(one, {b"kind": b"started"})]
        job = writer.xadd("jobs", {"n": "1"})
        read = reader.xreadgroup("workers", "ann", {"jobs": ">"}, block=10_000)
        assert entries_of(read) == [(job, {b"n": b"1"})]
        assert reader.xack("jobs", "workers", job) == 1
        eventually(
            lambda: writer.xinfo_groups("jobs")[0]["last-delivered-id"] == job, "the others know"
        )
        writer.xadd("events", {"kind": "stopped"}, id="*")
        assert writer.xlen("events") == 2


def entries_of(reply: Any) -> list[Any]:
    """The entries of the one stream in a reply, whatever the version of redis-py makes of it."""
    ((_name, entries),) = reply.items() if isinstance(reply, dict) else reply
    return [tuple(entry) for entry in (entries[0] if isinstance(entries[0], list) else entries)]


def test_a_hyperloglog_counts_what_all_daemons_saw(mesh: list[Daemon]) -> None:
    for number, daemon in enumerate(mesh):
        daemon.do("PFADD", "visitors", *range(number * 100, number * 100 + 150))

    def agreed() -> bool:
        counts = {daemon.do("PFCOUNT", "visitors") for daemon in mesh}
        return len(counts) == 1 and 340 <= counts.pop() <= 360

    eventually(agreed, "350, give or take")


def test_a_caching_client_hears_of_writes_at_another_daemon(mesh: list[Daemon]) -> None:
    # redis-py caches over TCP only: so by hand.
    near, far = mesh[1], mesh[0]
    far.do("SET", "cached", "old")
    eventually(lambda: near.do("GET", "cached") == b"old", "it arrived")
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rb") as replies:
        client.settimeout(10)
        client.connect(str(near.socket))
        client.sendall(b"HELLO 3\r\nCLIENT TRACKING ON\r\nGET cached\r\n")
        while replies.readline() != b"old\r\n":
            pass
        far.do("SET", "cached", "new")
        push = [replies.readline() for _line in range(6)]
        assert push == [
            b">2\r\n",
            b"$10\r\n",
            b"invalidate\r\n",
            b"*1\r\n",
            b"$6\r\n",
            b"cached\r\n",
        ]
        client.sendall(b"GET cached\r\n")
        assert replies.readline() + replies.readline() == b"$3\r\nnew\r\n"
