"""GOSSIP, INFO and COMMAND: what people and programs learn about the node."""

from typing import Any

import pytest
from resp_world import WALL, Caller, LoneMesh, open_service, parse_replies

from gossipnet.resp.limits import PATTERNS


def test_tables_are_maps_in_resp3_and_flat_arrays_in_resp2() -> None:
    service = open_service()
    (row,) = Caller(service, protocol=3).call("GOSSIP", "MEMBERS")
    assert row[b"name"] == b"ada"
    assert row[b"rtt_ms"] is None
    assert row[b"roles"] == [b"member"]
    (flat,) = Caller(service).call("gossip", "members")
    assert flat[:4] == [b"name", b"ada", b"id", row[b"id"]]
    assert Caller(service).call("GOSSIP", "PEERS") == []


def test_text_of_events_may_hold_anything() -> None:
    (row,) = Caller(open_service(), protocol=3).call("GOSSIP", "EVENTS")
    assert row[b"text"] == b"a\r\nb"
    assert row[b"wall"] == 1.5


def test_status_has_what_the_clients_cost() -> None:
    service = open_service()
    service.extra_status = lambda: {"disk": "ok"}
    status = Caller(service, protocol=3).call("GOSSIP", "STATUS")
    assert status[b"disk"] == b"ok"
    assert status[b"ready"] is True
    assert status[b"clients"][b"connected"] == 1


def test_nearest_and_owner_take_a_number_of_members() -> None:
    caller = Caller(open_service(), protocol=3)
    assert caller.call("GOSSIP", "NEAREST")[0][b"name"] == b"ada"
    (row,) = caller.call("GOSSIP", "OWNER", "a key", "3")
    assert row[b"key"] == b"a key"
    for words in ("NEAREST 0", "NEAREST 16385", "NEAREST 1 2", "OWNER", "OWNER k x", "OWNER k 1 2"):
        assert caller.refusal("GOSSIP", *words.split()).startswith("ERR ")


def test_trace_waits_for_all_or_for_its_time() -> None:
    mesh = LoneMesh()
    caller = Caller(open_service(mesh), protocol=3)
    assert caller.refusal("GOSSIP", "TRACE", "k").startswith("NOTFOUND ")
    mesh.keyspace.set(b"k", b"v")
    assert caller.raw("GOSSIP", "TRACE", "k", "TIMEOUT", 100) == b""
    (partial,) = parse_replies(caller.later(0.2))
    assert partial[b"complete"] is False
    assert caller.raw("GOSSIP", "TRACE", "k") == b""
    mesh.traces[-1].complete = True
    mesh.receipts_came()
    (whole,) = parse_replies(caller.later())
    assert whole[b"complete"] is True
    assert all(trace.closed for trace in mesh.traces)
    for words in ("TRACE", "TRACE k 5", "TRACE k TIMEOUT 0", "TRACE k TIMEOUT 60001"):
        assert caller.refusal("GOSSIP", *words.split()).startswith("ERR ")


def test_why_about_nobody_is_an_error_in_one_sentence() -> None:
    text = Caller(open_service()).refusal("GOSSIP", "WHY", "eve")
    assert text == "NOTFOUND no member is called 'eve'"


def test_invite_passes_everything_on() -> None:
    mesh = LoneMesh()
    caller = Caller(open_service(mesh))
    words = ["ROLE", "issuer", "USES", 3, "TTL", 60, "ALLOW", "read:", "ALLOW", "write:a:b"]
    assert caller.call("GOSSIP", "INVITE", *words) == b"gn1token"
    assert mesh.invited == [("issuer", 3, 60.0, [("read", b""), ("write", b"a:b")])]
    assert caller.call("GOSSIP", "INVITE") == b"gn1token"
    assert mesh.invited[-1] == ("member", 1, 3600.0, [])


def test_revoke_passes_name_and_reason_on() -> None:
    mesh = LoneMesh()
    caller = Caller(open_service(mesh), protocol=3)
    row = caller.call("GOSSIP", "REVOKE", "eve", "REASON", "stolen on the train")
    assert row[b"name"] == b"eve"
    assert row[b"already"] is False
    caller.call("GOSSIP", "REVOKE", "eve")
    assert mesh.revoked == [("eve", "stolen on the train"), ("eve", "")]
    for words in (["eve", "WHY", "x"], ["eve", "REASON"], ["eve", "REASON", "a\nb"]):
        caller.refusal("GOSSIP", "REVOKE", *words)
    caller.refusal("GOSSIP", "REVOKE", "eve", "REASON", "x" * 201)
    assert len(mesh.revoked) == 2


def test_root_is_shown_and_brought() -> None:
    caller = Caller(open_service(), protocol=3)
    assert caller.call("GOSSIP", "ROOT")[b"rule"] == b"1-of-1"
    assert caller.call("GOSSIP", "ROOT", "IMPORT", b"good") == b"OK"
    assert "does not hold" in caller.refusal("GOSSIP", "ROOT", "IMPORT", b"\x00bad")
    for words in (["IMPORT"], ["EXPORT", "x"], ["IMPORT", "good", "x"]):
        caller.refusal("GOSSIP", "ROOT", *words)


@pytest.mark.parametrize(
    "words",
    [
        ["ROLE", "king"],
        ["USES", "0"],
        ["TTL", "x"],
        ["ALLOW", "read"],
        ["ALLOW", "eat:x"],
        ["NOPE"],
    ],
)
def test_invite_refuses_what_makes_no_sense(words: list[str]) -> None:
    mesh = LoneMesh()
    assert Caller(open_service(mesh)).refusal("GOSSIP", "INVITE", *words).startswith("ERR ")
    assert mesh.invited == []


def test_leave_tells_the_mesh_and_whoever_runs_it() -> None:
    mesh = LoneMesh()
    service = open_service(mesh)
    told: list[bool] = []
    service.left = lambda: told.append(True)
    assert Caller(service).call("GOSSIP", "LEAVE") == b"OK"
    assert mesh.left
    assert told


# ---------------------------------------------------------------- WATCH


def pushes(caller: Caller) -> list[Any]:
    data = bytes(caller.pushed)
    caller.pushed.clear()
    return parse_replies(data)


def test_watch_streams_changes_that_match() -> None:
    service = open_service()
    watcher, writer = Caller(service, protocol=3), Caller(service)
    assert watcher.call("GOSSIP", "WATCH", "a:*", "b") == b"OK"
    writer.call("SET", "a:1", "x")
    writer.call("SET", "c", "x")
    writer.call("SADD", "b", "m")
    writer.call("DEL", "a:1")
    first, second, third = pushes(watcher)
    assert first[:6] == [b"change", b"a:1", b"set", b"string", b"x", b"ada"]
    assert abs(first[6] - WALL * 1000) < 1000
    assert second[1:5] == [b"b", b"sadd", b"set", None]
    assert third[1:5] == [b"a:1", b"del", b"none", None]


def test_an_expiry_is_a_change_without_an_author() -> None:
    service = open_service()
    watcher = Caller(service, protocol=3)
    watcher.call("SET", "k", "v", "PX", 50)
    watcher.call("GOSSIP", "WATCH", "*")
    service.mesh.touch(0.0, WALL + 1)
    # Stamped when it ended, and not when a client was last served.
    ended = int(WALL * 1000) + 1000
    assert pushes(watcher) == [[b"change", b"k", b"expired", b"none", None, b"", ended]]


def test_watchers_in_resp2_get_arrays_and_unwatch_ends_it() -> None:
    service = open_service()
    watcher, writer = Caller(service), Caller(service)
    watcher.call("GOSSIP", "WATCH", "*")
    writer.call("SET", "k", "v")
    assert watcher.pushed.startswith(b"*7\r\n$6\r\nchange\r\n")
    watcher.pushed.clear()
    watcher.call("GOSSIP", "UNWATCH")
    writer.call("SET", "k", "w")
    assert not watcher.pushed
    assert service.keyspace.on_change is None


def test_patterns_are_bounded() -> None:
    caller = Caller(open_service())
    assert "patterns at most" in caller.refusal("GOSSIP", "WATCH", *range(PATTERNS + 1))
    caller.call("GOSSIP", "WATCH", *range(PATTERNS))
    assert "patterns at most" in caller.refusal("GOSSIP", "WATCH", "more")


# ---------------------------------------------------------------- INFO and COMMAND


def test_info_has_the_sections_that_clients_look_for_and_ours() -> None:
    caller = Caller(open_service())
    caller.call("SET", "k", "v")
    text = caller.call("INFO").decode()
    for line in ("# Server", "redis_version:7.", "role:master", "loading:0", "# Mesh", "# Crdt"):
        assert line in text
    assert "db0:keys=1,expires=0,avg_ttl=0" in text
    assert "crdt_lag_s:0.5" in text
    assert "crdt_records:7" in text
    only = caller.call("INFO", "mesh").decode()
    assert only.startswith("# Mesh\r\nmesh:test\r\n")
    assert "# Server" not in only


def test_info_is_a_verbatim_text_in_resp3() -> None:
    assert Caller(open_service(), protocol=3).raw("INFO", "keyspace").startswith(b"=")


def test_every_command_documents_itself() -> None:
    caller = Caller(open_service(), protocol=3)
    rows = caller.call("COMMAND")
    assert caller.call("COMMAND", "COUNT") == len(rows)
    docs = caller.call("COMMAND", "DOCS")
    assert set(docs) == {row[0] for row in rows} == set(caller.call("COMMAND", "LIST"))
    for name, told in docs.items():
        assert told[b"summary"].endswith(b"."), name
        assert told[b"group"]
    (get,) = caller.call("COMMAND", "INFO", "get")
    assert get[:2] == [b"get", 2]
    assert get[3:6] == [1, 1, 1]
    assert caller.call("COMMAND", "INFO", "nope") == [None]


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["GET", "a"], [b"a"]),
        (["MSET", "a", 1, "b", 2], [b"a", b"b"]),
        (["SINTERCARD", 2, "a", "b", "LIMIT", 1], [b"a", b"b"]),
        (["SUNIONSTORE", "d", "a"], [b"d", b"a"]),
        (["OBJECT", "REFCOUNT", "a"], [b"a"]),
    ],
)
def test_command_getkeys(words: list[object], keys: list[bytes]) -> None:
    assert Caller(open_service()).call("COMMAND", "GETKEYS", *words) == keys


def test_help_comes_from_the_table() -> None:
    lines = Caller(open_service()).call("GOSSIP", "HELP")
    assert (
        b"INVITE [ROLE member|observer|relay|issuer|revoker] [TTL seconds] "
        b"[ALLOW verb:prefix ...] [USES n]" in lines
    )
    assert lines[-2:] == [b"HELP", b"    Print this help."]


def test_what_benchmarks_and_dashboards_ask_for() -> None:
    caller = Caller(open_service())
    assert caller.call("CONFIG", "GET", "save") == [b"save", b""]
    assert caller.call("CONFIG", "GET", "append*") == [
        *(b"appendfsync", b"always", b"appendonly", b"yes")
    ]
    seconds, micros = caller.call("TIME")
    assert (int(seconds), int(micros)) == (int(WALL), 0)
    assert caller.call("MEMORY", "USAGE", "none") is None
    caller.call("SET", "k", "v" * 1000)
    assert caller.call("MEMORY", "USAGE", "k") > 1000
