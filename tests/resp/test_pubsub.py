"""Channels and keyspace notifications on one node, in the words of RESP2 and RESP3."""

import functools

import pytest
from resp_world import Caller, LoneMesh, open_service, parse_replies

from gossipnet.resp import limits

DENIED = (
    "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
    "allowed in this context"
)


def pushed(caller: Caller) -> list[object]:
    data = bytes(caller.pushed)
    caller.pushed.clear()
    return parse_replies(data)


def test_subscribe_and_leave() -> None:
    one = Caller(open_service())
    assert one.send(b"SUBSCRIBE a b a\r\n") == (
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:2\r\n"
    )
    assert parse_replies(one.raw("PSUBSCRIBE", "c*")) == [[b"psubscribe", b"c*", 3]]
    assert parse_replies(one.raw("UNSUBSCRIBE")) == [
        [b"unsubscribe", b"a", 2],
        [b"unsubscribe", b"b", 1],
    ]
    assert parse_replies(one.raw("UNSUBSCRIBE")) == [[b"unsubscribe", None, 1]]
    assert parse_replies(one.raw("PUNSUBSCRIBE", "x", "c*")) == [
        [b"punsubscribe", b"x", 1],
        [b"punsubscribe", b"c*", 0],
    ]


def test_messages_reach_channels_and_patterns() -> None:
    service = open_service()
    one, two, three = Caller(service), Caller(service, 3), Caller(service)
    one.raw("SUBSCRIBE", "news")
    two.raw("PSUBSCRIBE", "n*", "*s")
    assert three.call("PUBLISH", "news", "x") == 3
    assert three.call("PUBLISH", "none", "x") == 1
    assert three.call("PUBLISH", "other", "x") == 0
    assert pushed(one) == [[b"message", b"news", b"x"]]
    assert bytes(two.pushed).startswith(b">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n")
    assert pushed(two) == [
        [b"pmessage", b"n*", b"news", b"x"],
        [b"pmessage", b"*s", b"news", b"x"],
        [b"pmessage", b"n*", b"none", b"x"],
    ]


def test_what_others_publish_is_heard_and_own_messages_are_sent() -> None:
    mesh = LoneMesh()
    one = Caller(open_service(mesh))
    one.raw("SUBSCRIBE", "news")
    mesh.tell(b"news", b"from afar")
    mesh.tell(b"old", b"for nobody")
    assert pushed(one) == [[b"message", b"news", b"from afar"]]
    assert mesh.published == []
    Caller(one.service).call("PUBLISH", "news", "mine")
    assert mesh.published == [(b"news", b"mine")]


def test_a_subscriber_of_resp2_may_say_little() -> None:
    one = Caller(open_service())
    one.raw("SUBSCRIBE", "a")
    assert one.refusal("GET", "x") == DENIED % "get"
    assert one.refusal("PUBSUB", "NUMPAT") == DENIED % "pubsub|numpat"
    assert one.refusal("HELLO", 3) == DENIED % "hello"
    assert one.refusal("MULTI") == DENIED % "multi"
    assert one.call("PING") == [b"pong", b""]
    assert one.call("PING", "hi") == [b"pong", b"hi"]
    one.raw("UNSUBSCRIBE", "a")
    assert one.call("GET", "x") is None
    one.raw("SUBSCRIBE", "a")
    assert one.call("RESET") == b"RESET"
    assert one.call("PING") == b"PONG"
    assert one.service.channels.count(b"a") == 0


def test_a_subscriber_of_resp3_goes_on_as_before() -> None:
    one = Caller(open_service(), 3)
    one.raw("SUBSCRIBE", "a")
    assert one.call("SET", "x", "1") == b"OK"
    assert one.call("PING") == b"PONG"
    out = one.send(b"PUBLISH a hi\r\nGET x\r\n")
    assert out == b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n:1\r\n$1\r\n1\r\n"
    one.call("HELLO", 2)
    assert one.refusal("GET", "x") == DENIED % "get"


def test_pubsub_tells_of_this_node() -> None:
    service = open_service()
    one, two, three = Caller(service), Caller(service), Caller(service)
    one.raw("SUBSCRIBE", "a", "b")
    two.raw("SUBSCRIBE", "a")
    two.raw("PSUBSCRIBE", "x*")
    assert sorted(three.call("PUBSUB", "CHANNELS")) == [b"a", b"b"]
    assert three.call("PUBSUB", "CHANNELS", "b*") == [b"b"]
    assert three.call("PUBSUB", "NUMSUB", "a", "c") == [b"a", 2, b"c", 0]
    assert three.call("PUBSUB", "NUMSUB") == []
    assert three.call("PUBSUB", "NUMPAT") == 1
    assert "sub=2 psub=0" in three.call("CLIENT", "LIST", "TYPE", "pubsub").decode()
    service.close_session(one.session)
    service.close_session(two.session)
    assert three.call("PUBSUB", "CHANNELS") == []
    assert three.call("PUBSUB", "NUMPAT") == 0


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Caller(open_service())
    most = limits.EVENT_BYTES
    assert one.call("PUBLISH", "c", b"x" * (most - 1)) == 0
    assert f"may have {most} bytes" in one.refusal("PUBLISH", "c", b"x" * most)
    monkeypatch.setattr("gossipnet.resp.channels.SUBSCRIPTIONS", 3)
    one.raw("SUBSCRIBE", "a", "b")
    one.raw("PSUBSCRIBE", "c")
    assert "3 channels and patterns at most" in one.refusal("SUBSCRIBE", "d")
    one.raw("SUBSCRIBE", "a")


def test_shards_and_transactions_are_refused() -> None:
    one = Caller(open_service())
    assert "not sharded" in one.refusal("SSUBSCRIBE", "a")
    assert "not sharded" in one.refusal("PUBSUB", "SHARDCHANNELS")
    one.call("MULTI")
    assert one.refusal("SUBSCRIBE", "a") == "ERR Command not allowed inside a transaction"


def test_read_rights_bound_what_is_heard() -> None:
    mesh = LoneMesh()
    service = open_service(mesh, may_read=lambda key: key.startswith(b"ours:"))
    one = Caller(service)
    assert "does not let it read 'theirs'" in one.refusal("SUBSCRIBE", "theirs")
    assert "does not let it" in one.refusal("SUBSCRIBE", "__keyspace@0__:theirs")
    one.raw("SUBSCRIBE", "ours:a", "__keyspace@0__:ours:k")
    one.raw("PSUBSCRIBE", "*")
    mesh.tell(b"theirs", b"x")
    mesh.tell(b"ours:a", b"y")
    assert pushed(one) == [
        [b"message", b"ours:a", b"y"],
        [b"pmessage", b"*", b"ours:a", b"y"],
    ]
    service.notify("KEA")
    mesh.keyspace.set(b"theirs:k", b"1")
    mesh.keyspace.set(b"ours:k", b"1")
    assert [push[2:] for push in pushed(one) if push[0] == b"pmessage"] == [
        [b"__keyspace@0__:ours:k", b"set"],
        [b"__keyevent@0__:set", b"ours:k"],
    ]


# ---------------------------------------------------------------- keyspace notifications


def listening(flags: str) -> tuple[Caller, Caller]:
    service = open_service()
    one, two = Caller(service), Caller(service)
    assert two.call("CONFIG", "SET", "notify-keyspace-events", flags) == b"OK"
    one.raw("PSUBSCRIBE", "__key*__:*")
    return one, two


def events(caller: Caller) -> list[tuple[bytes, bytes]]:
    return [(channel.split(b"@0__:")[1], data) for _p, _pattern, channel, data in pushed(caller)]


def test_keyspace_events_of_commands() -> None:
    one, two = listening("EA")
    told = functools.partial(events, one)
    two.call("SET", "k", "1", "EX", "100")
    assert told() == [(b"set", b"k"), (b"expire", b"k")]
    two.call("INCR", "k")
    two.call("PERSIST", "k")
    two.call("DEL", "k")
    assert told() == [(b"incrby", b"k"), (b"persist", b"k"), (b"del", b"k")]
    two.call("HSET", "h", "f", "1")
    two.call("HDEL", "h", "f")
    assert told() == [(b"hset", b"h"), (b"hdel", b"h"), (b"del", b"h")]
    two.call("SADD", "s", "m", "n")
    two.call("SREM", "s", "m")
    two.call("SREM", "s", "n")
    assert told() == [(b"sadd", b"s"), (b"srem", b"s"), (b"srem", b"s"), (b"del", b"s")]


def test_flags_choose_kinds_and_channels() -> None:
    one, two = listening("Ks")
    two.call("SET", "k", "1")
    two.call("SADD", "s", "m")
    two.call("SREM", "s", "m")
    assert events(one) == [(b"s", b"sadd"), (b"s", b"srem")]
    two.call("CONFIG", "SET", "notify-keyspace-events", "")
    two.call("SADD", "s", "m")
    assert one.service.keyspace.on_change is None
    assert events(one) == []


def test_expiry_is_told_where_the_clock_shows_it() -> None:
    one, two = listening("Ex")
    two.call("SET", "k", "1", "PX", "100")
    mesh = one.service.mesh
    assert isinstance(mesh, LoneMesh)
    mesh.touch(0.0, mesh.wall + 1)
    assert events(one) == [(b"expired", b"k")]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("KEA", "AKE"),
        ("AKEmn", "AKEm"),
        ("g$lshzxetdnKE", "AKE"),
        ("Elgm", "glEm"),
        ("", ""),
        ("n", "n"),
    ],
)
def test_config_shows_flags_as_redis_does(written: str, shown: str) -> None:
    one = Caller(open_service())
    one.call("CONFIG", "SET", "notify-keyspace-events", written)
    assert one.call("CONFIG", "GET", "notify*") == [b"notify-keyspace-events", shown.encode()]


def test_config_set_refuses_everything_else() -> None:
    one = Caller(open_service())
    assert one.refusal("CONFIG", "SET", "notify-keyspace-events", "Kq") == (
        "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - "
        "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."
    )
    assert one.refusal("CONFIG", "SET", "foo", "bar") == (
        "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"
    )
    assert "config.toml" in one.refusal("CONFIG", "SET", "maxclients", "7")
    assert one.refusal("CONFIG", "SET", "maxclients", "7", "save") == "ERR syntax error"
