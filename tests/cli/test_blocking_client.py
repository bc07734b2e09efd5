"""The blocking client: every RESP3 type, every way in which a daemon can fail to answer."""

import errno
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fake_socket import fake_socket, push, resp3
from hypothesis import given
from hypothesis import strategies as st

import gossipnet
from gossipnet.client import ReplyError, connect
from gossipnet.client_connection import Connection, encode
from gossipnet.errors import (
    ConfigError,
    DaemonNotRunning,
    Denied,
    LocalProtocolError,
    RemoteProtocolError,
    TimedOut,
    UsageError,
)


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        (b"+OK\r\n", "OK"),
        (b":-7\r\n", -7),
        (b"(170141183460469231731687303715884105727\r\n", 2**127 - 1),
        (b"$5\r\na\r\nbc\r\n", b"a\r\nbc"),
        (b"$0\r\n\r\n", b""),
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b"_\r\n", None),
        (b"#t\r\n", True),
        (b"#f\r\n", False),
        (b",1.5\r\n", 1.5),
        (b",inf\r\n", float("inf")),
        (b"=7\r\ntxt:abc\r\n", b"abc"),
        (b"*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", [1, [b"x"]]),
        (b"~2\r\n:1\r\n*1\r\n:2\r\n", {1, (2,)}),
        (b"%2\r\n$1\r\na\r\n:1\r\n*1\r\n:3\r\n%0\r\n", {b"a": 1, (3,): {}}),
        (b"|1\r\n+ttl\r\n:1\r\n$1\r\nv\r\n", b"v"),
        (push("other", 1) + b":1\r\n", 1),
    ],
)
def test_every_type(wire: bytes, value: object) -> None:
    with fake_socket(ASK=wire) as fake, connect(fake.home) as client:
        assert client.call("ASK") == value
        assert client.call("ASK") == value


def test_errors_are_raised_unless_they_stand_in_a_list() -> None:
    with (
        fake_socket(
            BAD=b"-WRONGTYPE no\r\n",
            LONG=b"!9\r\nNOPERM no\r\n",
            ODD=b"-oh no\r\n",
            EXEC=b"*2\r\n:1\r\n-ERR no\r\n",
        ) as fake,
        connect(fake.home) as client,
    ):
        with pytest.raises(ReplyError, match="WRONGTYPE no") as caught:
            client.call("BAD")
        assert (caught.value.code, caught.value.exit_code) == ("WRONGTYPE", 1)
        with pytest.raises(ReplyError) as caught:
            client.call("LONG")
        assert (caught.value.code, caught.value.exit_code) == ("NOPERM", 4)
        with pytest.raises(ReplyError) as caught:
            client.call("ODD")
        assert caught.value.code == "ERR"
        one, error = client.call("EXEC")
        assert one == 1
        assert isinstance(error, ReplyError)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 400\r\n",
        b"\r\n",
        b"$x\r\n",
        b"$-2\r\n",
        b"$600000000\r\n",
        b"*99999999999\r\n",
        b":1.5\r\n",
        b":" + b"9" * 500 + b"\r\n",
        b",one\r\n",
        b"$3\r\nabcde\r\n",
        b"*1\r\n" * 100,
        b"+" + b"x" * 200_000,
    ],
)
def test_what_is_not_resp_is_refused_at_once(wire: bytes) -> None:
    with fake_socket(ASK=wire) as fake, connect(fake.home) as client:
        with pytest.raises(RemoteProtocolError):
            client.call("ASK")
        with pytest.raises(LocalProtocolError, match="connect again"):
            client.call("ASK")  # closed: what comes next would answer something else


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_surprise(wire: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(ours, "here", None)
        theirs.sendall(wire)
        theirs.shutdown(socket.SHUT_WR)
        try:
            while True:
                connection.frame(None)
        except (RemoteProtocolError, DaemonNotRunning):
            pass


nested = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=5), inner),
    max_leaves=20,
)


@given(nested, st.integers(1, 20))
def test_replies_survive_being_cut_anywhere(value: object, step: int) -> None:
    ours, theirs = socket.socketpair()
    wire = resp3(value)
    with ours, theirs:

        def send() -> None:
            for at in range(0, len(wire), step):
                theirs.sendall(wire[at : at + step])

        sender = threading.Thread(target=send)
        sender.start()
        assert Connection(ours, "here", None).frame(None) == value
        sender.join()


def test_words_are_bytes_text_and_numbers() -> None:
    wire = encode((b"SET", "kéy", 7, 1.5, "\udcff"))
    assert wire == b"*5\r\n$3\r\nSET\r\n$4\r\nk\xc3\xa9y\r\n$1\r\n7\r\n$3\r\n1.5\r\n$1\r\n\xff\r\n"
    for wrong in (None, True, ["a"]):
        with pytest.raises(TypeError, match="not"):
            encode(("SET", wrong))  # type: ignore[arg-type]


def test_conveniences_speak_redis() -> None:
    pages = [resp3([b"7", [b"b", b"a"]]), resp3([b"0", [b"c", b"a"]])]
    with (
        fake_socket(
            GET=resp3(b"v"),
            SET=resp3("OK"),
            DEL=resp3(2),
            INCRBY=resp3(5),
            SCAN=lambda client: client.sendall(pages.pop(0)),
            GOSSIP_MEMBERS=resp3([{b"name": b"atlas", b"rtt_ms": None}]),
            GOSSIP_STATUS=resp3({b"ready": True, b"drops": {b"late": 1}}),
        ) as fake,
        gossipnet.connect(home=fake.home) as client,
    ):
        assert client.get("k") == b"v"
        client.set("k", "v", ttl=1.5)
        client.set("k", 3)
        assert client.delete("a", b"b") == 2
        assert client.delete() == 0
        assert client.incr("n", 5) == 5
        assert client.keys("*") == [b"a", b"b", b"c"]
        assert client.members() == [{"name": "atlas", "rtt_ms": None}]
        assert client.status() == {"ready": True, "drops": {"late": 1}}
    assert fake.asked[1] == [b"SET", b"k", b"v", b"PX", b"1500"]
    assert fake.asked[2] == [b"SET", b"k", b"3"]
    assert [words[0] for words in fake.asked].count(b"SCAN") == 2


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(DaemonNotRunning, match="start it: gossipnet run"):
        connect(tmp_path)
    dead = socket.socket(socket.AF_UNIX)
    with fake_socket() as fake:
        other = fake.home / "dead.sock"
        dead.bind(str(other))
        dead.close()
        with pytest.raises(DaemonNotRunning):
            connect(socket=other)
    with pytest.raises(UsageError):
        connect(socket="/tmp/" + "x" * 200)
    with pytest.raises(ConfigError):
        connect(tmp_path / ("x" * 200))


@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [
        (errno.EACCES, Denied, "not yours"),
        (errno.EAGAIN, TimedOut, "stuck or overrun"),
        (errno.ENOTDIR, DaemonNotRunning, "start it"),
        (errno.EMFILE, UsageError, "Too many open files"),
    ],
)
def test_what_the_system_says_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception], told: str
) -> None:
    def refuse(_self: socket.socket, _path: str) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "connect", refuse)  # root may open everything
    with pytest.raises(kind, match=told):
        connect(socket="/tmp/any.sock")


def test_an_explicit_socket_needs_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIPNET_DURABILITY", "nonsense")
    with fake_socket(PING=b"+PONG\r\n") as fake:
        with pytest.raises(ConfigError):
            connect(fake.home)
        with connect(socket=fake.path) as client:
            assert client.call("PING") == "PONG"


def test_the_home_says_where_its_socket_is() -> None:
    with fake_socket(PING=b"+PONG\r\n") as fake:
        fake.path.rename(fake.home / "other")
        (fake.home / "config.toml").write_text('socket = "other"\n')
        with connect(fake.home) as client:
            assert client.call("PING") == "PONG"


def test_a_late_answer_never_answers_the_next_question() -> None:
    with (
        fake_socket(SLOW=b"", HALF=b"$10\r\nabc") as fake,
        connect(fake.home, timeout=0.05) as client,
    ):
        with pytest.raises(TimedOut, match=r"within 0\.05 s; whether .* unknown"):
            client.call("SLOW")
        with pytest.raises(LocalProtocolError):
            client.call("PING")
        with connect(fake.home, timeout=0.05) as other, pytest.raises(TimedOut):
            other.call("HALF")


def test_a_daemon_that_ends_meanwhile() -> None:
    with (
        fake_socket(GET=None) as fake,
        connect(fake.home) as client,
        pytest.raises(DaemonNotRunning, match="its log says why"),
    ):
        client.call("GET", "k")


def test_a_refusal_before_hanging_up_is_told() -> None:
    def refuse(client: socket.socket) -> None:
        client.sendall(b"-ERR max number of clients reached\r\n")
        client.shutdown(socket.SHUT_RDWR)

    with fake_socket(HELLO=refuse) as fake, pytest.raises(ReplyError, match="max number"):
        connect(fake.home)


def change(key: bytes, value: bytes | None, wall_ms: int = 1) -> bytes:
    return push(b"change", key, b"set", b"string", value, b"atlas", wall_ms)


def test_watch_yields_changes_and_ends_with_the_daemon() -> None:
    def stream(client: socket.socket) -> None:
        client.sendall(change(b"early", b"0") + b"+OK\r\n" + change(b"a", b"1"))
        client.sendall(push(b"later-kind", 1) + change(b"b", None, 1_700_000_000_123))
        client.shutdown(socket.SHUT_RDWR)

    with (
        fake_socket(GOSSIP_WATCH=stream) as fake,
        connect(fake.home) as client,
        client.watch("flags:*") as changes,
    ):
        seen = [next(changes), next(changes), next(changes)]
        with pytest.raises(DaemonNotRunning):
            next(changes)
    assert [c.key for c in seen] == [b"early", b"a", b"b"]
    assert seen[2] == (b"b", "set", "string", None, "atlas", 1_700_000_000_123)
    assert fake.asked == [[b"GOSSIP", b"WATCH", b"flags:*"]]


def test_watch_can_wait_for_a_while() -> None:
    with (
        fake_socket(GOSSIP_WATCH=b"+OK\r\n") as fake,
        connect(fake.home) as client,
        client.watch() as changes,
    ):
        assert changes.next(0.01) is None
        assert changes.next(0) is None


def test_watch_that_is_refused() -> None:
    with (
        fake_socket(GOSSIP_WATCH=b"-NOPERM no\r\n") as fake,
        connect(fake.home) as client,
        pytest.raises(ReplyError, match="NOPERM"),
    ):
        client.watch("x")


def test_importing_the_client_brings_in_little() -> None:
    code = (
        "import sys, gossipnet.client, gossipnet.cli.main;"
        "heavy = {'trio', 'cryptography', 'nacl', 'msgspec', 'hiredis', 'dataclasses', 'inspect',"
        " 'json', 'asyncio', 'logging', 'subprocess', 'tempfile'} & set(sys.modules);"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
