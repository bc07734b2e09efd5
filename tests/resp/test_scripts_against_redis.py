"""Whole conversations, byte for byte as a real Redis answers them: order and pushes included."""

import shutil
import socket
from collections.abc import Iterator

import pytest
from conftest import need
from resp_world import Caller, LoneMesh, open_service, parse_replies
from stock_redis import running_redis

SCRIPTS = {
    "subscriptions": (
        "UNSUBSCRIBE|PUNSUBSCRIBE|SUBSCRIBE|SUBSCRIBE a b a|PING|PING x|GET k|PSUBSCRIBE a* b*|"
        "PUBSUB CHANNELS|UNSUBSCRIBE b q|PUNSUBSCRIBE|UNSUBSCRIBE|PING|PUBSUB CHANNELS *|PUBSUB|"
        "PUBSUB NUMSUB a b|PUBSUB NUMPAT|SUBSCRIBE a|RESET|PUBSUB NUMSUB a|PUBSUB NUMSUB|"
        "PUBLISH a hi|PUBLISH a|PUBSUB NUMPAT x|SUBSCRIBE a|MULTI|UNSUBSCRIBE|GET k"
    ),
    "messages": (
        "HELLO 3|SUBSCRIBE a|PUBLISH a hi|PSUBSCRIBE *|PUBLISH a again|GET k|SET k v|"
        "PUBLISH b x|UNSUBSCRIBE|PUBLISH a x|PUNSUBSCRIBE *|PUBLISH a x|PUNSUBSCRIBE a|"
        "PUBLISH a x|SUBSCRIBE a|HELLO 2|GET k|UNSUBSCRIBE"
    ),
    "notifications": (
        "CONFIG SET notify-keyspace-events KEA|HELLO 3|PSUBSCRIBE __key*|SET k 1|INCR k|"
        "EXPIRE k 100|PERSIST k|DEL k|HSET h f v g w|HDEL h f|HDEL h g|SADD s m n|SREM s m n|"
        "SET k v EX 100|GETDEL k|MSET x 1 y 2|CONFIG SET notify-keyspace-events Eg|SET k 1|"
        "DEL k|CONFIG GET notify-keyspace-events|CONFIG SET notify-keyspace-events q|"
        "CONFIG SET nothing 1|CONFIG SET notify-keyspace-events|"
        'CONFIG SET notify-keyspace-events ""|SET k 1|PUNSUBSCRIBE'
    ),
}


@pytest.fixture(scope="module")
def stock() -> Iterator[str]:
    need(shutil.which("redis-server") is not None, "redis-server is not installed")
    with running_redis() as path:
        yield path


class Theirs:
    """A conversation with the real one."""

    def __init__(self, path: str) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(10)
        self.connection.connect(path)
        self.exchange(b"FLUSHALL")

    def exchange(self, line: bytes) -> bytes:
        """What comes back for one line: until the answer to a mark that follows it."""
        self.connection.sendall(line + b"\r\nECHO-MARK\r\n")
        answer = b""
        while b"ECHO-MARK" not in answer:
            piece = self.connection.recv(65536)
            assert piece
            answer += piece
        return answer[: answer.rindex(b"-ERR unknown command 'ECHO-MARK'")]


def _sorted(answer: bytes) -> bytes:
    return b"".join(sorted(repr(reply).encode() for reply in parse_replies(answer)))


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_same_bytes_come_back(stock: str, name: str) -> None:
    theirs, mine = Theirs(stock), Caller(open_service(LoneMesh()))
    try:
        for line in SCRIPTS[name].split("|"):
            answer = mine.send(line.encode() + b"\r\n")
            expected = theirs.exchange(line.encode())
            if not line.startswith("HELLO"):
                if name == "notifications":  # Redis tells before or after its reply, by command
                    answer, expected = _sorted(answer), _sorted(expected)
                assert answer == expected, line
    finally:
        theirs.connection.close()
