"""One client's session: modes, transactions, refusals, limits."""

import pytest
from resp_world import Caller, LoneMesh, Refused, open_service, request

from gossipnet.resp.limits import COMMAND_BYTES, QUEUED_BYTES, SLICE_COST, WATCHED_KEYS
from gossipnet.resp.refusals import REFUSED


def test_hello_3_tells_who_answers_and_changes_the_protocol() -> None:
    caller = Caller(open_service())
    told = caller.call("HELLO", 3)
    assert told[b"server"] == b"redis"
    assert told[b"proto"] == 3
    assert told[b"modules"] == []
    assert caller.raw("GET", "none") == b"_\r\n"
    caller.call("HELLO", 2)
    assert caller.raw("GET", "none") == b"$-1\r\n"


def test_hello_refuses_what_it_does_not_speak() -> None:
    caller = Caller(open_service())
    assert caller.refusal("HELLO", 4) == "NOPROTO unsupported protocol version"
    assert caller.refusal("HELLO", "x") == "ERR Protocol version is not an integer or out of range"
    assert caller.refusal("HELLO", 3, "NOPE") == "ERR Syntax error in HELLO option 'NOPE'"
    assert caller.refusal("HELLO", 3, "AUTH", "eve", "x").startswith("WRONGPASS")
    caller.call("HELLO", 3, "AUTH", "default", "anything", "SETNAME", "worker")
    assert caller.call("CLIENT", "GETNAME") == b"worker"


def test_a_lone_password_gets_the_text_of_a_redis_without_one() -> None:
    assert Caller(open_service()).refusal("AUTH", "secret") == (
        "ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?"
    )


def test_reset_makes_a_connection_as_new() -> None:
    caller = Caller(open_service(), protocol=3)
    caller.call("CLIENT", "SETNAME", "worker")
    caller.call("MULTI")
    assert caller.call("RESET") == b"RESET"
    assert caller.raw("GET", "none") == b"$-1\r\n"
    assert caller.call("CLIENT", "GETNAME") is None
    assert caller.refusal("EXEC") == "ERR EXEC without MULTI"


def test_quit_answers_and_nothing_behind_it_is_run() -> None:
    caller = Caller(open_service())
    assert caller.send(request("QUIT") + request("SET", "k", "v")) == b"+OK\r\n"
    assert caller.session.closing
    assert not caller.service.keyspace.exists(b"k")


def test_client_reply_off_skip_and_on() -> None:
    caller = Caller(open_service())
    assert caller.raw("CLIENT", "REPLY", "SKIP") == b""
    assert caller.raw("PING") == b""
    assert caller.raw("PING") == b"+PONG\r\n"
    assert caller.raw("CLIENT", "REPLY", "OFF") == b""
    assert caller.raw("SET", "k", "v") == b""
    assert caller.raw("CLIENT", "REPLY", "ON") == b"+OK\r\n"
    assert caller.raw("GET", "k") == b"$1\r\nv\r\n"


def test_client_list_tells_everybody_and_kill_ends_one() -> None:
    service = open_service()
    one, other = Caller(service), Caller(service)
    ended: list[str] = []
    other.session.hang_up = lambda: ended.append("other")
    one.call("CLIENT", "SETNAME", "one")
    one.call("CLIENT", "SETINFO", "LIB-NAME", "redis-py")
    lines = one.call("CLIENT", "LIST").decode().splitlines()
    assert [line.split()[0] for line in lines] == ["id=1", "id=2"]
    assert "name=one" in lines[0]
    assert "lib-name=redis-py" in lines[0]
    assert one.call("CLIENT", "KILL", "ID", 2) == 1
    assert ended == ["other"]
    assert one.call("CLIENT", "KILL", "ID", 1) == 0  # SKIPME is the default


def test_what_is_refused_says_why() -> None:
    caller = Caller(open_service())
    for words in (["FLUSHALL"], ["EVAL", "x", "0"], ["config", "REWRITE"], ["VADD", "k"]):
        text = caller.refusal(*words)
        name = words[0].lower()
        assert text.startswith(f"ERR '{name}")
        assert "is not supported by gossipnet: " in text


def test_nothing_is_both_refused_and_there() -> None:
    table = open_service().table
    there = set(table) | {
        b"%b|%b" % (name, inner) for name, row in table.items() for inner in row.subcommands
    }
    assert not there & set(REFUSED)


def test_speaking_http_ends_the_connection() -> None:
    caller = Caller(open_service())
    caller.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET k v\r\n")
    assert caller.session.closing
    assert not caller.service.keyspace.exists(b"k")
    assert caller.service.counters["clients_spoke_http"] == 1


def test_a_protocol_error_is_told_after_the_replies_before_it() -> None:
    caller = Caller(open_service())
    assert caller.send(request("PING") + b"*1\r\n:1\r\n" + request("PING")) == (
        b"+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n"
    )
    assert caller.session.closing


def test_a_command_over_the_limit_is_refused_and_the_client_goes_on() -> None:
    caller = Caller(open_service())
    text = caller.refusal("SET", "k", b"v" * COMMAND_BYTES)
    assert text.startswith("ERR 'SET' is refused: with all its arguments it is larger than 1048576")
    assert caller.call("EXISTS", "k") == 0
    assert caller.refusal("PING", b"v" * COMMAND_BYTES).startswith("ERR 'PING' is refused")


def test_one_slice_is_bounded_and_the_rest_waits() -> None:
    session = Caller(open_service()).session
    session.receive(request("PING") * (SLICE_COST + 5))
    assert len(session.run()[0]) == SLICE_COST
    assert session.waiting == 5
    assert len(session.run()[0]) == 5


def test_heavy_commands_fill_a_slice_sooner() -> None:
    session = Caller(open_service()).session
    session.receive(request("KEYS", "*") * 10)
    assert len(session.run()[0]) < 10


def test_the_first_write_of_a_slice_is_told() -> None:
    session = Caller(open_service()).session
    session.receive(request("PING") + request("SET", "k", "v") + request("GET", "k"))
    out, first_write = session.run()
    assert first_write == 1
    assert out == [b"+PONG\r\n", b"+OK\r\n", b"$1\r\nv\r\n"]
    session.receive(request("GET", "k"))
    assert session.run()[1] == -1


# ---------------------------------------------------------------- MULTI


def test_exec_runs_what_was_queued_as_one_record() -> None:
    caller = Caller(open_service())
    assert caller.call("MULTI") == b"OK"
    assert caller.call("SET", "a", 1) == b"QUEUED"
    assert caller.call("INCR", "a") == b"QUEUED"
    assert caller.call("EXEC") == [b"OK", 2]
    assert len(caller.service.mesh.replica.seal(1_800_000_000.0)) == 1


def test_a_refused_command_breaks_the_transaction() -> None:
    caller = Caller(open_service())
    caller.call("MULTI")
    assert caller.refusal("NOPE").startswith("ERR unknown command")
    caller.call("SET", "a", 1)
    assert caller.refusal("EXEC") == ("EXECABORT Transaction discarded because of previous errors.")
    assert caller.call("EXISTS", "a") == 0


def test_an_error_while_it_runs_does_not_stop_the_others() -> None:
    caller = Caller(open_service())
    caller.call("SADD", "s", "x")
    caller.call("MULTI")
    caller.call("INCR", "s")
    caller.call("SET", "a", 1)
    first, second = caller.call("EXEC")
    assert isinstance(first, Refused)
    assert second == b"OK"


def test_watch_stops_exec_when_the_key_changed() -> None:
    service = open_service()
    one, other = Caller(service), Caller(service, protocol=3)
    other.call("WATCH", "k")
    one.call("SET", "k", "theirs")
    other.call("MULTI")
    other.call("SET", "k", "mine")
    assert other.call("EXEC") is None
    assert one.call("GET", "k") == b"theirs"


def test_watch_and_queue_are_bounded() -> None:
    caller = Caller(open_service())
    caller.call("WATCH", *range(WATCHED_KEYS))
    assert "10000 keys at most" in caller.refusal("WATCH", "one more")
    caller.call("MULTI")
    value = b"v" * (QUEUED_BYTES // 3)
    caller.call("SET", "a", value)
    caller.call("SET", "b", value)
    assert "the transaction is larger than" in caller.refusal("SET", "c", value)
    assert caller.refusal("EXEC").startswith("EXECABORT")


def test_a_gone_client_watches_nothing() -> None:
    service = open_service()
    caller = Caller(service)
    caller.call("WATCH", "k")
    service.close_session(caller.session)
    assert caller.session.watched == {}
    assert service.sessions == {}


# ---------------------------------------------------------------- who may read what


def test_a_certificate_bounds_what_clients_read() -> None:
    service = open_service(may_read=lambda key: key.startswith(b"open:"))
    caller = Caller(service)
    caller.call("SET", "open:a", 1)
    for key in (b"shut:a", b"shut:b"):
        service.keyspace.set(key, b"secret")
    assert caller.call("GET", "open:a") == b"1"
    assert caller.refusal("GET", "shut:a").startswith("NOPERM")
    assert caller.refusal("MGET", "open:a", "shut:a").startswith("NOPERM")
    assert caller.refusal("SUNION", "open:s", "shut:a").startswith("NOPERM")
    assert caller.call("KEYS", "*") == [b"open:a"]
    assert caller.call("SCAN", 0)[1] == [b"open:a"]
    assert caller.call("RANDOMKEY") in (b"open:a", None)
    caller.call("MULTI")
    caller.call("GET", "shut:a")
    assert isinstance(caller.call("EXEC")[0], Refused)


@pytest.mark.parametrize("name", ["get", "GET", "Get"])
def test_names_of_commands_have_no_case(name: str) -> None:
    caller = Caller(open_service(LoneMesh()))
    assert caller.call(name, "k") is None
