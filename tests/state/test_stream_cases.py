"""Streams and consumer groups in all orders of delivery: Active-Active's cases X1 to X9."""

import pytest
from resp_caller import Console
from sites import Sites, every_order
from test_revoked_records import deliver, revoke

from gossipnet.errors import RemoteProtocolError
from gossipnet.state.body import (
    Body,
    decode_body_untrusted,
    encode_body,
)
from gossipnet.state.check import check_operations
from gossipnet.state.errors import StreamFull, TooSmallId, WrongType
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.operations import (
    GroupAck,
    GroupCreate,
    StreamAdd,
    StreamTop,
)
from gossipnet.state.record import Record

ALL = pytest.mark.parametrize("order", list(every_order(4)))
Order = tuple[int, ...]
TOP = 2**64 - 1


def times(keyspace: Keyspace, key: bytes = b"x") -> list[int]:
    """The milliseconds of all ids, in their order."""
    stream = keyspace.stream(key)
    return [] if stream is None else [entry[0] for entry in stream.entries]


def names(keyspace: Keyspace, key: bytes = b"x") -> list[bytes]:
    stream = keyspace.stream(key)
    return [] if stream is None else [entry[4][0] for entry in stream.entries]


def groups(keyspace: Keyspace, key: bytes = b"x") -> list[bytes]:
    stream = keyspace.stream(key)
    return [] if stream is None else list(stream.living())


def add(keyspace: Keyspace, ms: int | None = None, name: bytes = b"f") -> tuple[int, int]:
    return keyspace.stream_add(b"x", ms, [name, b"v"])


@ALL
def test_x1_entries_unite_in_the_order_of_their_ids(order: Order) -> None:
    sites = Sites(order=order)
    one, two = add(sites.A), add(sites.B)
    sites.wall -= 0.01
    three = add(sites.C)
    sites.sync()
    ids = [entry[:2] for entry in sites.A.stream(b"x").entries]  # type: ignore[union-attr]
    assert ids == sorted({one, two, three})
    assert sites.everywhere(lambda k: [e[:2] for e in k.stream(b"x").entries]) == ids


@ALL
def test_x2_del_takes_what_it_saw(order: Order) -> None:
    sites = Sites(order=order)
    add(sites.A, name=b"hello")
    sites.sync()
    sites.A.delete(b"x")
    add(sites.B, name=b"goodbye")
    sites.sync()
    assert sites.everywhere(names) == [b"goodbye"]


@ALL
def test_x3_the_same_milliseconds_at_two_sites_are_two_ids(order: Order) -> None:
    sites = Sites(order=order)
    one, two = add(sites.A, 100), add(sites.B, 100)
    sites.sync()
    assert one[0] == two[0] == 100
    assert one != two
    assert sites.everywhere(times) == [100, 100]


@ALL
def test_x4_what_comes_late_sorts_below_what_was_read(order: Order) -> None:
    sites = Sites(order=order)
    for ms in (110, 120, 130):
        add(sites.A, ms)
    add(sites.B, 115)
    console = Console(sites.A)
    read = console.call("XREAD", "COUNT", 2, "STREAMS", "x", 0)[0][1]
    assert [entry[0].split(b"-")[0] for entry in read] == [b"110", b"120"]
    sites.sync()
    after = console.call("XREAD", "STREAMS", "x", read[-1][0])[0][1]
    assert [entry[0].split(b"-")[0] for entry in after] == [b"130"]
    assert len(console.call("XREAD", "STREAMS", "x", 0)[0][1]) == 4


@ALL
def test_x5_groups_created_at_once_are_both_there(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.group_create(b"x", b"group1", (0, 0))
    sites.B.group_create(b"x", b"group2", (0, 0))
    sites.sync()
    assert sites.everywhere(groups) == [b"group1", b"group2"]


@ALL
def test_x6_del_wins_over_the_creation_of_a_group(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.group_create(b"x", b"group1", (0, 0))
    sites.sync()
    sites.A.delete(b"x")
    sites.B.group_create(b"x", b"group2", (0, 0))
    sites.sync()
    assert sites.everywhere(lambda k: k.exists(b"x")) is False
    assert sites.everywhere(len) == 0


@ALL
def test_x6_with_entries_del_wins_over_groups_only(order: Order) -> None:
    sites = Sites(order=order)
    add(sites.A, name=b"old")
    sites.sync()
    sites.A.delete(b"x")
    sites.B.group_create(b"x", b"g", (0, 0))
    add(sites.C, name=b"new")
    sites.sync()
    assert sites.everywhere(names) == [b"new"]
    assert sites.everywhere(groups) == []
    sites.A.group_create(b"x", b"g", (0, 0))
    sites.sync()
    assert sites.everywhere(groups) == [b"g"]


@ALL
def test_x7_destroy_wins_over_a_creation_it_has_not_seen(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.group_create(b"x", b"group1", (0, 0))
    sites.sync("A", "B")
    sites.B.group_destroy(b"x", b"group1")
    sites.C.group_create(b"x", b"group1", (0, 0))
    sites.sync()
    assert sites.everywhere(lambda k: k.exists(b"x")) is False
    assert sites.everywhere(lambda k: k.type_of(b"x")) is None
    sites.A.group_create(b"x", b"group1", (0, 0))
    sites.sync()
    assert sites.everywhere(groups) == [b"group1"]
    sites.C.delete(b"x")
    sites.sync()
    assert sites.everywhere(lambda k: len(k.hidden)) == 0


@ALL
def test_destroy_and_create_again_elsewhere(order: Order) -> None:
    sites = Sites(order=order)
    add(sites.A, 5)
    sites.A.group_create(b"x", b"g", (0, 0))
    sites.sync()
    sites.A.group_destroy(b"x", b"g")
    sites.B.group_destroy(b"x", b"g")
    sites.B.group_create(b"x", b"g", (7, 0))
    sites.sync()
    assert sites.everywhere(groups) == [], "A's DESTROY had not seen the new one"
    sites.B.group_create(b"x", b"g", (7, 0))
    sites.sync()
    assert sites.everywhere(lambda k: k.group(b"x", b"g").start()) == (7, 0)


@ALL
def test_created_twice_a_group_begins_at_the_earlier_place(order: Order) -> None:
    sites = Sites(order=order)
    add(sites.A, 5)
    sites.sync()
    sites.A.group_create(b"x", b"g", (5, 9))
    sites.B.group_create(b"x", b"g", (0, 0))
    sites.sync()
    assert sites.everywhere(lambda k: k.group(b"x", b"g").start()) == (0, 0)


@ALL
def test_x8_readers_and_what_they_hold_are_their_nodes_own(order: Order) -> None:
    sites = Sites(order=order)
    add(sites.A, 110)
    sites.A.group_create(b"x", b"group1", (0, 0))
    near, far = Console(sites.A), Console(sites.B)
    near.call("XREADGROUP", "GROUP", "group1", "Alice", "STREAMS", "x", ">")
    sites.sync()
    assert [row[b"name"] for row in far.maps("XINFO", "GROUPS", "x")] == [b"group1"]
    assert far.call("XINFO", "CONSUMERS", "x", "group1") == []
    assert far.call("XPENDING", "x", "group1") == [0, None, None, None]
    assert near.call("XPENDING", "x", "group1")[0] == 1


@ALL
def test_x9_acknowledged_is_what_has_no_hole(order: Order) -> None:
    sites = Sites(order=order)
    ids = {ms: b"%d-%d" % add(sites.A, ms) for ms in (110, 120, 130)}
    sites.A.group_create(b"x", b"g", (0, 0))
    sites.sync()
    console = Console(sites.A)
    console.call("XREADGROUP", "GROUP", "g", "Alice", "STREAMS", "x", ">")

    def acked() -> object:
        sites.sync()
        return sites.everywhere(lambda k: k.group(b"x", b"g").start()[0])

    assert acked() == 0
    assert console.call("XACK", "x", "g", ids[110]) == 1
    assert acked() == 110
    assert console.call("XACK", "x", "g", ids[130]) == 1
    assert acked() == 110
    assert console.call("XACK", "x", "g", ids[120]) == 1
    assert acked() == 130
    assert Console(sites.B).call("XREADGROUP", "GROUP", "g", "Bob", "STREAMS", "x", ">") is None


@ALL
def test_removals_take_what_they_saw(order: Order) -> None:
    sites = Sites(order=order)
    first, second = add(sites.A, 10), add(sites.A, 20)
    sites.sync()
    sites.A.stream_delete(b"x", [first])
    sites.B.stream_trim(b"x", (30, 0))
    add(sites.C, 25)
    sites.sync()
    assert sites.everywhere(times) == [25]
    assert sites.everywhere(lambda k: k.stream_delete(b"x", [second])) == 0
    assert sites.everywhere(lambda k: k.stream(b"x").last[0]) == 25


@ALL
def test_ids_rise_above_what_was_removed(order: Order) -> None:
    sites = Sites(order=order)
    one = add(sites.A, 10)
    sites.sync()
    sites.B.stream_delete(b"x", [one])
    sites.C.stream_set_id(b"x", (50, 3))
    sites.sync()
    assert sites.everywhere(lambda k: (k.exists(b"x"), k.stream(b"x").last)) == (True, (50, 3))
    with pytest.raises(TooSmallId):
        add(sites.A, 49)
    assert add(sites.A, 51)[0] == 51


def test_ids_of_one_site() -> None:
    sites = Sites(1)
    first = add(sites.A, 10)
    assert add(sites.A, 10) == (10, first[1] + 1)
    now = add(sites.A)
    assert now[0] == int(sites.wall * 1000)
    sites.replicas["A"].keyspace.stream_set_id(b"x", (now[0] + 5000, TOP))
    ahead = add(sites.A)
    assert ahead[0] == now[0] + 5001
    sites.A.stream_set_id(b"x", (1 << 62, 0))
    with pytest.raises(StreamFull):
        add(sites.A)
    sites.A.add(b"set", [b"m"])
    with pytest.raises(WrongType):
        sites.A.stream(b"set")


@ALL
def test_copies_keep_ids_and_leave_groups_behind(order: Order) -> None:
    sites = Sites(order=order)
    for ms in (1, 2, 3):
        add(sites.A, ms)
    sites.A.group_create(b"x", b"g", (0, 0))
    sites.B.add(b"y", [b"other"])
    sites.sync()
    ids = sites.everywhere(lambda k: [entry[:2] for entry in k.stream(b"x").entries])
    sites.C.rename(b"x", b"y")
    sites.sync()
    assert sites.everywhere(lambda k: [e[:2] for e in k.stream(b"y").entries]) == ids
    assert sites.everywhere(lambda k: groups(k, b"y")) == []
    assert sites.everywhere(lambda k: k.exists(b"x")) is False


def test_a_large_stream_is_copied_in_pieces() -> None:
    sites = Sites(1)
    for _each in range(40):
        sites.A.stream_add(b"x", None, [b"f", b"v" * 20_000])
    sites.A.copy(b"x", b"y")
    assert names(sites.A, b"y") == [b"f"] * 40


@ALL
def test_a_stream_that_ends_takes_its_groups_along(order: Order) -> None:
    sites = Sites(order=order)
    add(sites.A, 5)
    sites.A.group_create(b"x", b"g", (0, 0))
    sites.sync()
    sites.A.expire(b"x", int(sites.wall * 1000) + 100)
    sites.sync()
    sites.pass_time(1)
    assert sites.everywhere(lambda k: k.exists(b"x")) is False
    add(sites.B, 9)
    sites.sync()
    assert sites.everywhere(times) == [9]
    assert sites.everywhere(groups) == []


@ALL
def test_types_clash_by_the_total_order(order: Order) -> None:
    sites = Sites(order=order)
    add(sites.A, 5)
    sites.B.sketch_add(b"x", [b"e"])
    sites.sync()
    assert sites.everywhere(lambda k: k.type_of(b"x")) == "stream"
    sites.C.set(b"x", b"text")
    sites.sync()
    assert sites.everywhere(lambda k: (k.type_of(b"x"), k.get(b"x"))) == ("string", b"text")


@pytest.mark.parametrize("first", [True, False])
def test_a_group_outlives_the_revocation_of_whoever_began_the_stream(first: bool) -> None:
    sites = Sites()
    add(sites.C, 5, b"unwanted")
    sites.sync("A", "B", "C")
    sites.A.group_create(b"x", b"g", (0, 0))
    add(sites.B, 6, b"wanted")
    records = [record for name in "ABC" for record in (sites._collect(name), sites.sent[name])[1]]
    revocation = revoke(sites.replicas["C"], 0, seen=False)
    observer = deliver([revocation, *records] if first else [*records, revocation])
    assert names(observer.replica.keyspace) == [b"wanted"]
    assert groups(observer.replica.keyspace) == [b"g"]
    assert observer.restarted().state_digest() == observer.replica.state_digest()


@pytest.mark.parametrize(
    "operation",
    [
        StreamAdd(b"k", [(1, 1, [b"odd"])], True),
        StreamAdd(b"k", [(1, 1, []), (1, 1, [])], True),
        GroupCreate(b"k", b"g", (0, 0), [(1, 6)], []),
        GroupCreate(b"k", b"g", (0, 0), [], [(1, 1, 0)]),
        GroupAck(b"k", b"g", (0, 0), [(0, 9, 0)]),
    ],
)
def test_operations_that_no_honest_author_writes_are_refused(operation: StreamAdd) -> None:
    record = Record(b"l" * 16, 5, bytes(32), 1, b"")  # type: ignore[arg-type]
    with pytest.raises(RemoteProtocolError):
        check_operations(Body([], [operation]), record)


def test_the_highest_ids_there_are_go_over_the_wire() -> None:
    body = Body([], [StreamTop(b"k", (TOP, TOP)), StreamAdd(b"k", [(TOP, TOP, [])], False)])
    assert decode_body_untrusted(encode_body(body)) == body
