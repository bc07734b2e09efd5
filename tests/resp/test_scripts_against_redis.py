"""Whole conversations, byte for byte as a real Redis answers them: order and pushes included."""

import re
import shutil
import socket
from collections.abc import Iterator

import pytest
from resp_world import Caller, LoneMesh, open_service, parse_replies
from stock_redis import running_redis

from gossipnet.state.streams import Streams
from tests.needs import need

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
    "streams": (
        "XADD s 5-* a 1|XADD s 5-* b 2 c 3|XADD s 4-* a 1|XADD s x a 1|XADD s 6-* a|"
        "XADD s|XADD s NOMKSTREAM 6-* a 1|XADD nk NOMKSTREAM 6-* a 1|XADD s MAXLEN 2 7-* d 4|"
        "XADD s MAXLEN = 3 8-* d 4|XADD s MAXLEN -1 9-* d 4|XADD s MAXLEN 2 LIMIT 5 9-* d 4|"
        "XADD s MAXLEN ~ 2 LIMIT -5 9-* d 4|XADD s MAXLEN 2 MINID 3 9-* d 4|"
        "XADD s MINID x 9-* d 4|XADD s MAXLEN|XADD s MAXLEN 3 a b|XLEN s|XLEN nk|XRANGE s - +|"
        "XRANGE s 5 7 COUNT 1|XRANGE s (5-0 + COUNT 0|XRANGE s (5-0 + COUNT -1|XRANGE s (- +|"
        "XRANGE s x +|XRANGE s + -|XRANGE s -|XRANGE s - + COUNT|XRANGE s - + COUNT x|"
        "XREVRANGE s + -|XREVRANGE s + - COUNT 1|XREVRANGE s (8-0 (6-0|XRANGE nk - +|"
        "XRANGE s (18446744073709551615-18446744073709551615 +|XREVRANGE s (0-0 -|"
        "XRANGE s 18446744073709551616 +|XDEL s 5-0 5-0 99-1|XDEL s x|XDEL s 6-0|XLEN s|"
        "XTRIM s MAXLEN 1|XTRIM s MINID 8|XTRIM s FOO 1|XTRIM s MAXLEN|XTRIM s MAXLEN ~ 1|"
        "XINFO STREAM s|XINFO STREAM nokey|XINFO STREAM s FULL|XINFO STREAM s FULL COUNT|"
        "XINFO FOO s|XSETID s 1-1|XSETID s 20-1|XSETID nokey 1-1|XSETID s x|XINFO STREAM s|"
        "XADD s 20-* a 1|XADD s 21 a 1|XREAD COUNT 2 STREAMS s nk 0 0|XREAD STREAMS s $|"
        "XREAD STREAMS s nk 0|XREAD COUNT x STREAMS s 0|XREAD COUNT -1 STREAMS s 0|XREAD FOO|"
        "XREAD STREAMS s >|XREAD GROUP a b STREAMS s >|XREAD COUNT 1 BLOCK x STREAMS s 0|"
        "XREAD BLOCK -1 STREAMS s 0|XREAD COUNT 1 BLOCK 5 STREAMS s x|XREAD NOACK STREAMS s 0|"
        "XREAD FOO BAR BAZ|XREAD COUNT 5 BLOCK|HELLO 3|XREAD STREAMS s 0|XREAD STREAMS nk 0|"
        "XRANGE s - +|XINFO STREAM s|XDEL s 8-0 20-2 21-0|EXISTS s|XLEN s|XINFO STREAM s|TYPE s|"
        "DEL s|EXISTS s|XADD s 1-* a 1|SET str x|XADD str * a b|XINFO STREAM str|XLEN str|"
        "XREAD STREAMS str 0|XGROUP CREATE str g 0|XDEL str 1-1|XTRIM str MAXLEN 0|XSETID str 1-1"
    ),
    "groups": (
        "XGROUP CREATE nk g 0|XGROUP CREATE nk g 0 MKSTREAM|XGROUP CREATE nk g 0 MKSTREAM|"
        "XGROUP CREATE nk g3 x|XGROUP FOO nk g|XGROUP CREATE nk|XGROUP DESTROY nk zz|"
        "XGROUP DESTROY nokey g|XGROUP SETID nk zz 5-5|XGROUP CREATECONSUMER nk g c|"
        "XGROUP CREATECONSUMER nk g c|XGROUP CREATECONSUMER nk zz c|XGROUP DELCONSUMER nk g c|"
        "XGROUP DELCONSUMER nk g c|XINFO GROUPS nokey|XINFO CONSUMERS nk g|XINFO CONSUMERS nk zz|"
        "XINFO CONSUMERS nokey zz|XGROUP CREATE nk g4 0 ENTRIESREAD -2|"
        "XADD s 5-* a 1|XADD s 6-* b 2|XADD s 7-* c 3|XGROUP CREATE s g 0|XGROUP CREATE s h $|"
        "XREADGROUP GROUP g c1 COUNT 1 STREAMS s >|XREADGROUP GROUP g c1 STREAMS s 0|"
        "XREADGROUP GROUP g c2 STREAMS s >|XREADGROUP GROUP g c2 STREAMS s >|"
        "XREADGROUP GROUP g c3 STREAMS s 0|XREADGROUP GROUP zz c STREAMS s >|"
        "XREADGROUP GROUP g c STREAMS nokey >|XREADGROUP GROUP g c STREAMS s $|"
        "XREADGROUP STREAMS s >|XREADGROUP GROUP g c STREAMS s s >|"
        "XREADGROUP COUNT 1 COUNT 1 STREAMS s >|XREADGROUP GROUP g c1 NOACK STREAMS s >|"
        "XPENDING s g|XPENDING s h|XPENDING s zz|XPENDING nokey g|XPENDING s g - + 10|"
        "XPENDING s g - + 10 c2|XPENDING s g IDLE 100000 - + 10|XPENDING s g IDLE x - + 10|"
        "XPENDING s g - +|XPENDING s g - + x|XPENDING s g (5-0 + 10|XPENDING s g - + 0|"
        "XINFO GROUPS s|XINFO CONSUMERS s g|XINFO STREAM s FULL|XINFO STREAM s FULL COUNT 1|"
        "XACK s g 5-0 99-0|XACK s g x|XACK s zz 5-0|XACK nokey g 5-0|XDEL s 6-0|"
        "XREADGROUP GROUP g c2 STREAMS s 0|XCLAIM s g c3 0 6-0 7-0|XCLAIM s g c3 0 7-0 JUSTID|"
        "XCLAIM s g c4 100000 7-0|XCLAIM s g c4 0 7-0 IDLE 5 RETRYCOUNT 9|XCLAIM s g c4 0 5-0|"
        "XCLAIM s g c4 0 5-0 FORCE|XCLAIM s zz c4 0 5-0|XCLAIM s g c4 x 5-0|XCLAIM s g c4 0 x|"
        "XCLAIM s g c4 0 5-0 FOO|XCLAIM nokey g c4 0 5-0|XPENDING s g - + 10 c4|"
        "XAUTOCLAIM s g c5 0 0|XAUTOCLAIM s g c5 0 0 COUNT 1 JUSTID|XAUTOCLAIM s g c5 100000 0|"
        "XAUTOCLAIM s g c5 x 0|XAUTOCLAIM s g c5 0 x|XAUTOCLAIM s g c5 0 0 COUNT 0|"
        "XAUTOCLAIM s zz c5 0 0|XAUTOCLAIM s g c5 0 0 FOO|XGROUP DELCONSUMER s g c5|XPENDING s g|"
        "XGROUP SETID s g 0|XREADGROUP GROUP g c1 STREAMS s >|XADD s 8-* z 1|XDEL s 5-0|"
        "XREADGROUP GROUP g c1 COUNT 1 STREAMS s >|XREADGROUP GROUP g c1 STREAMS s 0-0|HELLO 3|"
        "XREADGROUP GROUP g c1 STREAMS s 0|XPENDING s g|XINFO CONSUMERS s g|"
        "XCLAIM s g c1 0 8-0|XAUTOCLAIM s g c5 0 0|XGROUP DESTROY s g|XINFO STREAM s|"
        "XREADGROUP GROUP g c1 STREAMS s >|DEL s|XINFO GROUPS s"
    ),
}
_TIMES = re.compile(rb":[0-9]+")
"""In replies that tell how long ago something was."""


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
def test_the_same_bytes_come_back(monkeypatch: pytest.MonkeyPatch, stock: str, name: str) -> None:
    # Ids then are those that Redis makes, whose authors are all the same.
    monkeypatch.setattr(Streams, "_author_part", lambda _self, _batch: 0)
    theirs, mine = Theirs(stock), Caller(open_service(LoneMesh()))
    try:
        for line in SCRIPTS[name].split("|"):
            answer = mine.send(line.encode() + b"\r\n")
            expected = theirs.exchange(line.encode())
            if not line.startswith("HELLO"):
                if name == "notifications":  # Redis tells before or after its reply, by command
                    answer, expected = _sorted(answer), _sorted(expected)
                if line.startswith(("XPENDING", "XINFO CONSUMERS")) or " FULL" in line:
                    answer, expected = (_TIMES.sub(b":", one) for one in (answer, expected))
                assert answer == expected, line
    finally:
        theirs.connection.close()
