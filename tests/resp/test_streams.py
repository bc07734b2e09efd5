"""Streams on one node: what differs from Redis, waiting for entries, and bounds."""

from typing import Any

import pytest
from resp_world import Caller, LoneMesh, open_service, parse_replies

from gossipnet.identity.founding import found_mesh
from gossipnet.resp.service import Service
from gossipnet.resp.session import Session
from gossipnet.state.replica import Replica


def answered(service: Service) -> dict[Session, Any]:
    """Who of those that wait is answered now, and what."""
    answers = {session: session.resume() for session in service.blocking.due(0.0)}
    return {
        session: parse_replies(b"".join(answer[0]))[0]
        for session, answer in answers.items()
        if answer is not None
    }


def test_whole_ids_are_refused_and_ids_tell_nodes_apart() -> None:
    one = Caller(open_service())
    strict = "ERR full stream IDs are not allowed in strict mode, use * or <ms>"
    assert one.refusal("XADD", "s", "5-1", "f", "v") == strict
    assert one.refusal("XADD", "s", "0-0", "f", "v") == strict
    first, second = one.call("XADD", "s", "5", "f", "v"), one.call("XADD", "s", "5-*", "f", "v")
    assert first.startswith(b"5-")
    assert int(second.split(b"-")[1]) == int(first.split(b"-")[1]) + 1
    assert one.call("XADD", "s", "*", "f", "v").startswith(b"1800000000000-")
    assert one.refusal("XADD", "s", str(1 << 62), "f", "v").startswith("ERR The stream has exh")


def test_a_stream_that_was_made_for_a_group_goes_with_its_last_group() -> None:
    one = Caller(open_service())
    one.call("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    assert one.call("EXISTS", "s") == 1
    assert one.call("XGROUP", "DESTROY", "s", "g") == 1
    assert one.call("EXISTS", "s") == 0
    one.call("XADD", "s", "*", "f", "v")
    one.call("XTRIM", "s", "MAXLEN", 0)
    assert (one.call("EXISTS", "s"), one.call("XLEN", "s")) == (1, 0)


def test_roughly_trims_whole_hundreds() -> None:
    one = Caller(open_service())
    for number in range(250):
        one.call("XADD", "s", "MAXLEN", "~", "100", "*", "n", number)
    assert 100 <= one.call("XLEN", "s") < 200
    for number in range(500):
        one.call("XADD", "s", "*", "n", number)
    assert one.call("XTRIM", "s", "MAXLEN", "~", 10, "LIMIT", 200) == 200
    assert one.call("XTRIM", "s", "MAXLEN", 10) > 300
    assert one.call("XLEN", "s") == 10


def test_xread_waits_for_entries_of_this_node() -> None:
    service = open_service()
    one, other, writer = Caller(service), Caller(service), Caller(service)
    writer.call("XADD", "s", 1, "f", "old")
    assert one.raw("XREAD", "BLOCK", 0, "STREAMS", "s", "t", "$", "$") == b""
    assert other.raw("XREAD", "COUNT", 1, "BLOCK", 2000, "STREAMS", "t", "0") == b""
    writer.call("XADD", "unread", "*", "f", "v")
    assert one.later() == b""
    writer.call("XADD", "t", 5, "f", "1")
    writer.call("XADD", "t", 6, "f", "2")
    answers = answered(service)
    ((name, entries),) = answers[one.session]
    assert name == b"t"
    assert [entry[1] for entry in entries] == [[b"f", b"1"], [b"f", b"2"]]
    ((_name, entries),) = answers[other.session]
    assert len(entries) == 1
    assert service.keyspace.on_change is None


def test_xread_waits_for_entries_of_other_nodes() -> None:
    identities = found_mesh(2).identities
    mesh = LoneMesh(identity=identities[0])
    one = Caller(open_service(mesh), 3)
    far = Replica(
        key=identities[1].key,
        chain=identities[1].chain,
        trust=identities[1].trust,
        epoch=1,
        wall=mesh.wall,
    )
    assert one.raw("XREAD", "BLOCK", 1000, "STREAMS", "s", "$") == b""
    far.keyspace.stream_add(b"s", 7, [b"f", b"v"])
    woken: list[bool] = []
    one.service.blocking.wake = lambda: woken.append(True)
    for record in far.seal(mesh.wall):
        mesh.replica.ingest(record.data, mesh.wall)
    assert woken
    (answer,) = parse_replies(one.later())
    assert answer[b"s"][0][0].startswith(b"7-")


def test_a_wait_that_ends_with_nothing() -> None:
    one, three = Caller(open_service()), Caller(open_service(), 3)
    one.raw("XREAD", "BLOCK", 10, "STREAMS", "s", "$")
    assert one.later(1.0) == b"*-1\r\n"
    three.raw("XREAD", "BLOCK", 10, "STREAMS", "s", "$")
    assert three.later(1.0) == b"_\r\n"
    one.call("MULTI")
    one.call("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    assert one.call("EXEC") == [None]


def test_readers_of_a_group_wait_and_each_entry_goes_to_one() -> None:
    service = open_service()
    one, other, writer = Caller(service), Caller(service), Caller(service)
    writer.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    words = ("XREADGROUP", "GROUP", "g", "ann", "BLOCK", 0, "STREAMS", "s", ">")
    assert one.raw(*words) == b""
    assert other.raw(*words[:3], "bob", *words[4:]) == b""
    writer.call("XADD", "s", 1, "f", "v")
    answers = answered(service)
    assert list(answers) == [one.session], "who waited longest has it"
    assert answers[one.session][0][1][0][1] == [b"f", b"v"]
    writer.call("XGROUP", "DESTROY", "s", "g")
    (error,) = parse_replies(other.later())
    assert str(error).startswith("NOGROUP No such key 's' or consumer group 'g'")


def test_a_group_that_ends_while_its_stream_is_deleted_wakes_its_readers() -> None:
    service = open_service()
    one, writer = Caller(service), Caller(service)
    writer.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    one.raw("XREADGROUP", "GROUP", "g", "ann", "BLOCK", 0, "STREAMS", "s", ">")
    writer.call("DEL", "s")
    assert b"NOGROUP" in one.later()


def test_readers_elsewhere_move_a_group_on_unless_it_was_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = Caller(open_service())
    ids = [one.call("XADD", "s", ms, "f", "v") for ms in (1, 2, 3)]
    one.call("XGROUP", "CREATE", "s", "g", 0)
    one.call("XREADGROUP", "GROUP", "g", "ann", "COUNT", 1, "STREAMS", "s", ">")
    second = tuple(map(int, ids[1].split(b"-")))
    one.service.keyspace.group_ack(b"s", b"g", second)  # as if it came from afar
    (row,) = one.call("XINFO", "GROUPS", "s")
    assert row[row.index(b"last-delivered-id") + 1] == ids[1]
    assert row[row.index(b"lag") + 1] == 1
    one.call("XGROUP", "SETID", "s", "g", 0)
    ((_name, entries),) = one.call("XREADGROUP", "GROUP", "g", "ann", "STREAMS", "s", ">")
    assert [entry[0] for entry in entries] == ids
    monkeypatch.setattr("gossipnet.resp.commands.stream_groups.CONSUMERS", 1)
    assert "1 consumers" in one.refusal("XGROUP", "CREATECONSUMER", "s", "g", "bob")


def test_keys_of_streams_are_checked_and_told() -> None:
    one = Caller(open_service(may_read=lambda key: key.startswith(b"ours")))
    refused = "NOPERM this node's certificate does not let it read 'theirs'"
    assert one.refusal("XREAD", "STREAMS", "ours", "theirs", 0, 0) == refused
    assert one.call("XREAD", "STREAMS", "ours", 0) is None
    two = Caller(open_service())
    words = ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "a", "b", ">", ">")
    assert two.call("COMMAND", "GETKEYS", *words) == [b"a", b"b"]


def test_copy_rename_and_usage() -> None:
    one = Caller(open_service())
    ids = [one.call("XADD", "s", "*", "f", number) for number in range(5)]
    one.call("XGROUP", "CREATE", "s", "g", 0)
    assert one.call("COPY", "s", "t") == 1
    assert [entry[0] for entry in one.call("XRANGE", "t", "-", "+")] == ids
    assert one.call("XINFO", "GROUPS", "t") == []
    one.call("RENAME", "t", "u")
    assert one.call("XLEN", "u") == 5
    assert one.call("MEMORY", "USAGE", "u") > 5 * 20
    assert one.call("TYPE", "u") == b"stream"
    assert one.call("SCAN", 0, "TYPE", "stream")[1] == [b"s", b"u"]
