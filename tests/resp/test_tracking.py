"""Client-side caching: invalidations as Redis sends them, for remote writes too; SLOWLOG."""

from typing import Any

import pytest
from resp_world import Caller, LoneMesh, open_service, parse_replies

from gossipnet.identity.founding import found_mesh
from gossipnet.resp import slowlog
from gossipnet.state.replica import Replica


def pair(*options: object) -> tuple[Caller, Caller]:
    """A RESP3 client that caches, and somebody who writes."""
    service = open_service()
    one, writer = Caller(service, 3), Caller(service)
    one.call("CLIENT", "TRACKING", "ON", *options)
    return one, writer


def told(caller: Caller) -> list[Any]:
    data = bytes(caller.pushed)
    caller.pushed.clear()
    return [reply[1] for reply in parse_replies(data)]


def test_a_key_that_was_read_is_told_of_once() -> None:
    one, writer = pair()
    one.call("GET", "k")
    writer.call("SET", "k", 1)
    assert bytes(one.pushed) == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
    one.pushed.clear()
    writer.call("SET", "k", 2)
    assert told(one) == []
    one.call("HGETALL", "h")
    one.call("MGET", "a", "b")
    writer.call("MSET", "b", 1, "a", 1, "c", 1)
    assert told(one) == [[b"b", b"a"]]
    writer.call("HSET", "h", "f", "v")
    assert told(one) == [[b"h"]]


def test_own_changes_are_told_after_the_reply_unless_not_wanted() -> None:
    one, _writer = pair()
    assert one.raw("GET", "k") == b"_\r\n"
    push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
    assert one.raw("SET", "k", 4) == b"+OK\r\n" + push
    one.call("GET", "k")
    one.send(b"MULTI\r\nGET k\r\nSET k 5\r\n")
    assert one.raw("EXEC") == b"*2\r\n$1\r\n4\r\n+OK\r\n" + push
    one, writer = pair("NOLOOP")
    one.call("GET", "k")
    assert one.raw("SET", "k", 1) == b"+OK\r\n"
    writer.call("SET", "k", 2)
    assert told(one) == []  # as in Redis: the key was noted for one change


def test_changes_of_other_nodes_and_of_the_clock_are_told() -> None:
    identities = found_mesh(2).identities
    mesh = LoneMesh(identity=identities[0])
    one = Caller(open_service(mesh), 3)
    other = identities[1]
    far = Replica(key=other.key, chain=other.chain, trust=other.trust, epoch=1, wall=mesh.wall)
    one.call("CLIENT", "TRACKING", "ON")
    one.call("SET", "ends", 1, "PX", 500)
    one.call("MGET", "k", "j", "ends")
    woken: list[bool] = []
    one.service.tracking.wake = lambda: woken.append(True)
    far.keyspace.set(b"k", b"1")
    far.keyspace.set(b"j", b"1")
    for record in far.seal(mesh.wall):
        mesh.replica.ingest(record.data, mesh.wall)
    assert woken
    one.service.tracking.flush()
    assert told(one) == [[b"k", b"j"]]
    mesh.touch(0.0, mesh.wall + 1)
    one.service.tracking.flush()
    assert told(one) == [[b"ends"]]


def test_optin_and_optout() -> None:
    one, writer = pair("OPTIN")
    assert "only valid when tracking is enabled in OPTOUT" in one.refusal("CLIENT", "CACHING", "no")
    one.call("GET", "k")
    one.call("CLIENT", "CACHING", "YES")
    one.call("GET", "j")
    one.call("GET", "i")
    writer.call("MSET", "i", 1, "j", 1, "k", 1)
    assert told(one) == [[b"j"]]
    one.call("CLIENT", "CACHING", "YES")
    one.send(b"MULTI\r\nGET a\r\nGET b\r\nEXEC\r\n")
    writer.call("MSET", "a", 1, "b", 1)
    assert told(one) == [[b"a", b"b"]]
    one, writer = pair("OPTOUT")
    one.call("CLIENT", "CACHING", "NO")
    one.call("GET", "k")
    one.call("GET", "j")
    writer.call("MSET", "j", 1, "k", 1)
    assert told(one) == [[b"j"]]


def test_broadcasting_needs_no_reading() -> None:
    one, writer = pair("BCAST", "PREFIX", "a", "PREFIX", "b")
    writer.call("MSET", "ax", 1, "bx", 1, "cx", 1, "ay", 1)
    assert told(one) == [[b"ax", b"ay"], [b"bx"]]
    writer.call("DEL", "ax")
    assert told(one) == [[b"ax"]]
    assert one.call("CLIENT", "TRACKINGINFO") == {
        b"flags": [b"on", b"bcast"],
        b"redirect": 0,
        b"prefixes": [b"a", b"b"],
    } or set(one.call("CLIENT", "TRACKINGINFO")[b"flags"]) == {b"on", b"bcast"}
    refusal = one.refusal("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "ab")
    assert refusal.startswith("ERR Prefix 'ab' overlaps with an existing prefix 'a'")
    one, writer = pair("BCAST", "NOLOOP")
    one.call("SET", "mine", 1)
    writer.call("SET", "theirs", 1)
    assert told(one) == [[b"theirs"]]


def test_resp2_clients_have_another_told() -> None:
    service = open_service()
    one, ear, writer = Caller(service), Caller(service), Caller(service)
    number = ear.call("CLIENT", "ID")
    ear.raw("SUBSCRIBE", "__redis__:invalidate")
    one.call("CLIENT", "TRACKING", "ON", "REDIRECT", number)
    assert one.call("CLIENT", "GETREDIR") == number
    one.call("GET", "k")
    writer.call("SET", "k", 1)
    assert bytes(ear.pushed) == (
        b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n"
    )
    assert f"redir={number}" in one.call("CLIENT", "INFO").decode()
    service.close_session(ear.session)
    assert "flags=tRU" in one.call("CLIENT", "INFO").decode()
    one.call("HELLO", 3)
    one.call("GET", "k")
    writer.call("SET", "k", 2)
    assert told(one) == []


def test_whoever_has_another_told_hears_that_it_is_gone() -> None:
    service = open_service()
    one, ear = Caller(service, 3), Caller(service)
    number = ear.call("CLIENT", "ID")
    one.call("CLIENT", "TRACKING", "ON", "REDIRECT", number)
    service.close_session(ear.session)
    assert bytes(one.pushed) == b">2\r\n$21\r\ntracking-redir-broken\r\n:2\r\n"


def test_the_table_is_bounded_and_what_falls_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipnet.resp.tracking.TRACKED_KEYS", 3)
    one, _writer = pair()
    out = one.send(b"GET a\r\nGET b\r\nGET c\r\nGET d\r\n")
    assert parse_replies(out)[-1] == [b"invalidate", [b"a"]]
    assert one.service.tracking.keys == 3


def test_it_costs_nothing_when_nobody_caches() -> None:
    one, writer = pair()
    one.call("GET", "k")
    one.call("CLIENT", "TRACKING", "OFF")
    assert one.service.keyspace.on_change is None
    writer.call("SET", "k", 1)
    assert told(one) == []
    one.call("CLIENT", "TRACKING", "ON")
    one.call("RESET")
    assert one.service.keyspace.on_change is None
    assert len(one.service.tracking) == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("foo",), "ERR syntax error"),
        (("on", "FOO"), "ERR syntax error"),
        (("on", "REDIRECT", "999"), "ERR The client ID you want redirect to does not exist"),
        (("on", "OPTIN", "OPTOUT"), "ERR You can't specify both OPTIN mode and OPTOUT mode"),
        (("on", "PREFIX", "a"), "ERR PREFIX option requires BCAST mode to be enabled"),
        (("on", "BCAST", "OPTIN"), "ERR OPTIN and OPTOUT are not compatible with BCAST"),
    ],
)
def test_what_is_refused(words: tuple[str, ...], text: str) -> None:
    assert Caller(open_service()).refusal("CLIENT", "TRACKING", *words) == text


def test_modes_are_not_switched_on_the_way() -> None:
    one, _writer = pair()
    refusal = one.refusal("CLIENT", "TRACKING", "ON", "BCAST")
    assert refusal.startswith("ERR You can't switch BCAST mode on/off before disabling")
    assert one.refusal("CLIENT", "CACHING", "maybe") == "ERR syntax error"
    assert Caller(one.service).call("CLIENT", "GETREDIR") == -1


# ---------------------------------------------------------------- SLOWLOG


def test_slow_commands_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Caller(open_service())
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    one.service.clock = clock
    step = 0.0
    one.call("KEYS", "*")
    assert one.call("SLOWLOG", "LEN") == 0
    step = 0.05
    one.call("CLIENT", "SETNAME", "me")
    one.call("SET", "k", "v" * 300)
    one.call("KEYS", "x*", *[])
    step = 0.0
    rows = one.call("SLOWLOG", "GET")
    assert [row[3][0] for row in rows] == [b"KEYS", b"SET", b"CLIENT"]
    assert rows[1][3][2] == b"v" * 128 + b"... (172 more bytes)"
    assert 49_000 < rows[0][2] < 51_000
    assert rows[0][4:] == [b"/test.sock:0", b"me"]
    assert one.call("SLOWLOG", "GET", 1) == rows[:1]
    assert len(one.call("SLOWLOG", "GET", -1)) == 3
    step = 0.05
    one.call("SADD", "s", *range(50))
    step = 0.0
    assert one.call("SLOWLOG", "GET", 1)[0][3][-1] == b"... (21 more arguments)"
    assert one.call("SLOWLOG", "RESET") == b"OK"
    assert one.call("SLOWLOG", "LEN") == 0
    assert "greater than or equal to -1" in one.refusal("SLOWLOG", "GET", -2)
    assert "greater than or equal to -1" in one.refusal("SLOWLOG", "GET", "x")
    monkeypatch.setattr("gossipnet.resp.session.SLOWER_THAN", -1.0)
    monkeypatch.setattr(slowlog, "SLOWER_THAN", 0.0)
    for _each in range(slowlog.KEPT + 5):
        one.call("PING")
    assert one.call("SLOWLOG", "LEN") == slowlog.KEPT
