"""HyperLogLog in all orders of delivery: Active-Active's cases P1 to P3 and T5, and DEL wins."""

import itertools
import random

import pytest
from sites import Sites, every_order
from test_revoked_records import deliver, revoke

from gossipnet.errors import RemoteProtocolError
from gossipnet.state.body import (
    Body,
)
from gossipnet.state.check import check_operations
from gossipnet.state.errors import NotASketch, WrongType
from gossipnet.state.operations import (
    SketchAdd,
)
from gossipnet.state.record import Record
from gossipnet.state.types import loglog
from gossipnet.state.types.entry import HYPERLOGLOG
from gossipnet.state.types.sketch import DENSE_ABOVE, Generation

ALL = pytest.mark.parametrize("order", list(every_order(4)))
Order = tuple[int, ...]


@ALL
def test_p1_later_additions_count_too(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.sketch_add(b"hll", [b"x"])
    sites.sync()
    sites.B.sketch_add(b"hll", [b"y"])
    sites.sync()
    assert sites.everywhere(lambda k: k.sketch_count([b"hll"])) == 2


@ALL
def test_p2_concurrent_additions_unite(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.sketch_add(b"hll", [b"x", b"z"])
    sites.B.sketch_add(b"hll", [b"y", b"z"])
    sites.sync()
    assert sites.everywhere(lambda k: k.sketch_count([b"hll"])) == 3
    sites.C.sketch_add(b"hll", [b"w"])
    sites.sync()
    assert sites.everywhere(lambda k: k.sketch_count([b"hll"])) == 4
    sites.A.delete(b"hll")
    sites.sync()
    assert sites.everywhere(lambda k: k.exists(b"hll")) is False


@ALL
def test_p3_del_wins(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.sketch_add(b"h", [b"e1"])
    sites.sync()
    sites.A.sketch_add(b"h", [b"e2"])
    sites.C.sketch_merge(b"h", [b"h", b"none"])
    sites.B.delete(b"h")
    sites.sync()
    assert sites.everywhere(lambda k: (k.sketch_count([b"h"]), k.exists(b"h"))) == (0, False)
    sites.A.sketch_add(b"h", [b"e3"])
    sites.sync()
    assert sites.everywhere(lambda k: k.sketch_count([b"h"])) == 1


@ALL
def test_t5_del_wins_over_expire(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.sketch_add(b"h", [b"e1"])
    sites.sync()
    sites.A.expire(b"h", int(sites.wall * 1000) + 50_000)
    sites.B.delete(b"h")
    sites.sync()
    assert sites.everywhere(lambda k: k.exists(b"h")) is False
    assert sites.everywhere(len) == 0


@ALL
def test_what_is_begun_after_a_delete_elsewhere_is_no_part_of_what_was_deleted(
    order: Order,
) -> None:
    sites = Sites(order=order)
    sites.A.sketch_add(b"h", [b"old"])
    sites.sync()
    sites.A.delete(b"h")
    sites.A.sketch_add(b"h", [b"new"])
    sites.B.sketch_add(b"h", [b"lost"])
    sites.C.delete(b"h")
    sites.sync()
    assert sites.everywhere(lambda k: k.sketch_count([b"h"])) == 1


@ALL
def test_set_and_pfadd_clash_by_the_total_order(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.set(b"k", b"text")
    sites.B.sketch_add(b"k", [b"x"])
    sites.sync()
    assert sites.everywhere(lambda k: k.text(b"k")) == b"text"
    with pytest.raises(NotASketch):
        sites.C.sketch_add(b"k", [b"y"])
    sites.C.delete(b"k")
    sites.sync()
    assert sites.everywhere(len) == 0


@ALL
def test_a_string_in_redis_layout_becomes_one_when_it_is_added_to(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.sketch_add(b"a", [b"x", b"y"])
    text = sites.A.text(b"a")
    assert text is not None
    sites.A.set(b"b", text)
    sites.sync()
    assert sites.everywhere(lambda k: k.sketch_count([b"b"])) == 2
    assert sites.B.sketch_add(b"b", [b"x"]) is False
    sites.B.sketch_add(b"b", [b"z"])
    sites.C.sketch_add(b"b", [b"w"])
    sites.sync()
    assert sites.everywhere(lambda k: k.sketch_count([b"b"])) == 4


@pytest.mark.parametrize("first", [True, False])
def test_what_others_added_outlives_the_revocation_of_whoever_began_it(first: bool) -> None:
    sites = Sites()
    sites.C.sketch_add(b"h", [b"unwanted"])
    sites.sync("A", "B", "C")
    sites.A.sketch_add(b"h", [b"a"])
    sites.B.sketch_add(b"h", [b"b"])
    records = [record for name in "ABC" for record in (sites._collect(name), sites.sent[name])[1]]
    revocation = revoke(sites.replicas["C"], 0, seen=False)
    observer = deliver([revocation, *records] if first else [*records, revocation])
    assert observer.replica.keyspace.sketch_count([b"h"]) == 2
    assert observer.restarted().state_digest() == observer.replica.state_digest()


def test_del_beside_a_revocation_ends_the_same_everywhere() -> None:
    sites = Sites()
    sites.C.sketch_add(b"h", [b"unwanted"])
    sites.B.sketch_add(b"h", [b"b"])
    sites.sync("A", "B", "C")
    sites.A.sketch_add(b"h", [b"a"])
    sites.B.delete(b"h")
    records = [record for name in "ABC" for record in (sites._collect(name), sites.sent[name])[1]]
    revocation = revoke(sites.replicas["C"], 0, seen=False)
    digests = {
        deliver(list(events)).replica.state_digest()
        for events in itertools.permutations([revocation, *records])
    }
    assert len(digests) == 1


def test_copy_set_and_the_type_that_shows() -> None:
    sites = Sites(1)
    sites.A.sketch_add(b"a", [b"x"])
    assert sites.A.type_of(b"a") == "string"
    assert sites.A.sketch_add(b"a", [b"x"]) is False
    assert sites.A.sketch_add(b"empty", []) is True
    assert sites.A.sketch_add(b"empty", []) is False
    sites.A.copy(b"a", b"b")
    sites.A.rename(b"a", b"c")
    assert sites.A.sketch_count([b"b", b"c"]) == 1
    for read in (sites.A.get, lambda key: sites.A.increment(key, 1), sites.A.members):
        with pytest.raises(WrongType):
            read(b"b")
    sites.A.set(b"b", b"1")
    assert sites.A.get(b"b") == b"1"
    assert sites.A.sketch_count([b"none"]) == 0


def test_registers_hold_the_earliest_of_equals_however_they_come() -> None:
    hits = [(register, 1 + register % 9) for register in range(DENSE_ABOVE + 300)]
    rng = random.Random(5)
    for _each in range(20):
        writes = [(dot, rng.sample(hits, 40)) for dot in range(1, 60)]
        dots: list[list[int]] = []
        for _order in range(3):
            rng.shuffle(writes)
            generation = Generation()
            for dot, some in writes:
                generation.raise_to(some, dot, lambda dot: (dot, b""))
            dots.append(sorted(generation.dots()))
            expected: dict[int, int] = {}
            for _dot, some in writes:
                for register, rank in some:
                    expected[register] = max(rank, expected.get(register, 0))
            assert dict(generation.ranks()) == expected
        assert dots[0] == dots[1] == dots[2]


def test_dots_that_raised_nothing_that_lasts_are_forgotten() -> None:
    generation = Generation()
    for dot in range(1, 5000):
        generation.raise_to([(7, 1 + dot // 200), (9, 1)], dot, lambda dot: (dot, b""))
    assert len(list(generation.dots())) == 2
    assert len(generation._dots) < 100
    assert dict(generation.ranks()) == {7: 25, 9: 1}


def test_many_elements_are_counted_within_two_percent_in_constant_memory() -> None:
    sites = Sites(1)
    for start in range(0, 60_000, 3000):
        sites.A.sketch_add(b"h", [b"element:%d" % n for n in range(start, start + 3000)])
    assert abs(sites.A.sketch_count([b"h"]) - 60_000) < 1200
    entry = sites.A.entries[b"h"]
    assert entry.parts is not None  # type: ignore[union-attr]
    assert len(list(entry.parts[HYPERLOGLOG].dots())) < 100  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "hits", [b"\0", b"\0\0\0", loglog.packed({0: 52}), loglog.packed({1 << 14: 1})[-3:]]
)
def test_registers_that_do_not_exist_are_refused(hits: bytes) -> None:
    record = Record(b"l" * 16, 5, bytes(32), 1, b"")  # type: ignore[arg-type]
    with pytest.raises(RemoteProtocolError):
        check_operations(Body([], [SketchAdd(b"k", hits, [])]), record)
    with pytest.raises(RemoteProtocolError):
        check_operations(Body([], [SketchAdd(b"k", b"", [(0, 6, 0)])]), record)
    check_operations(Body([], [SketchAdd(b"k", loglog.packed({5: 51}), [(0, 5, 0)])]), record)


def test_strings_that_are_no_hyperloglog() -> None:
    good = loglog.written({0: 1, 16_383: 51})
    assert loglog.read(good) == {0: 1, 16_383: 51}
    sparse = b"HYLL\1\0\0\0" + bytes(8)
    assert loglog.read(sparse + b"\x7f\xff") == {}
    assert loglog.read(sparse + b"\x84\x7f\xfe") == {0: 2}
    for bad in (
        b"",
        b"HYLL",
        good[:-1],
        good[:4] + b"\2" + good[5:],
        b"X" + good[1:],
        sparse,
        sparse + b"\x7f",
        sparse + b"\x7f\xff\x00",
        sparse + b"\x7f\xfe",
        good[:16] + b"\xff" * (len(good) - 16),
    ):
        assert loglog.read(bad) is None
