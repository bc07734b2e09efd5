"""The site/time cases of Redis Active-Active's documentation, in every order of delivery.

Names of the cases are those of the specification: S strings, C counters, H hashes, SE sets, T
expiry; R marks pairs the documentation is silent about, with the rule chosen here.
"""

from decimal import Decimal

import pytest
from sites import Sites, every_order

from gossipnet.state.errors import NotAnInteger, WrongType

pytestmark = pytest.mark.parametrize("order", list(every_order(4)))
Order = tuple[int, ...]


def test_s1_latest_concurrent_set_shows(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.set(b"text", b"a")
    sites.B.set(b"text", b"b")
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"text")) == b"b"
    sites.A.set(b"text", b"c")
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"text")) == b"c"
    sites.B.set(b"text", b"d")
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"text")) == b"d"


def test_causally_later_set_wins_whatever_the_clocks_say(order: Order) -> None:
    sites = Sites(order=order)
    sites.pass_time(30)
    sites.A.set(b"k", b"from the fast clock")
    sites.sync()
    sites.wall -= 30
    sites.B.set(b"k", b"later")
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"later"


def test_r_set_survives_a_concurrent_delete(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.set(b"k", b"old")
    sites.sync()
    sites.A.delete(b"k")
    sites.B.set(b"k", b"new")
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"new"


def test_c1_increments_add_up(order: Order) -> None:
    sites = Sites(order=order)
    assert sites.A.increment(b"k", 7) == 7
    assert sites.B.increment(b"k", 3) == 3
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"10"
    sites.A.increment(b"k", -3)
    sites.B.increment(b"k", 6)
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"13"


def test_r_set_erases_only_the_increments_it_saw(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.increment(b"k", 5)
    sites.sync()
    sites.A.set(b"k", b"2")
    sites.B.increment(b"k", 1)
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"3"


def test_r_delete_leaves_the_increments_it_did_not_see(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.increment(b"k", 5)
    sites.B.increment(b"k", 10)
    sites.sync()
    sites.C.delete(b"k")
    sites.B.increment(b"k", 4)
    sites.A.increment(b"k", 1)
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"5"


def test_r_two_deletes_of_different_views(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.increment(b"k", 5)
    sites.sync()
    sites.C.delete(b"k")
    sites.A.increment(b"k", 2)
    sites.sync("A", "B")
    sites.B.delete(b"k")
    sites.A.increment(b"k", 1)
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"1"


def test_r_a_counter_that_restarts_after_a_delete(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.increment(b"k", 5)
    sites.sync()
    sites.A.delete(b"k")
    sites.A.increment(b"k", 1)
    sites.B.increment(b"k", 10)
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"11"
    sites.A.increment(b"k", 1)
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"12"


def test_r_increments_sleep_under_a_text(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.set(b"k", b"abc")
    sites.B.increment(b"k", 1)
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"abc"
    with pytest.raises(NotAnInteger):
        sites.C.increment(b"k", 1)


def test_float_and_integer_increments_add_exactly(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.increment_float(b"k", Decimal("1.1"))
    sites.B.increment_float(b"k", Decimal("1.9"))
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"3"
    sites.C.increment_float(b"k", Decimal(2))
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"k")) == b"5"


def test_h1_fields_unite(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.hash_set(b"key1", [(b"field1", b"a")])
    sites.B.hash_set(b"key1", [(b"field2", b"b")])
    sites.sync()
    read = sites.everywhere(lambda k: dict(k.hash_items(b"key1")))
    assert read == {b"field1": b"a", b"field2": b"b"}


def test_one_field_is_a_string(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.hash_set(b"k", [(b"f", b"v")])
    sites.B.hash_set(b"k", [(b"f", b"w")])
    sites.C.hash_increment(b"k", b"n", 2)
    sites.A.hash_increment(b"k", b"n", 3)
    sites.sync()
    assert sites.everywhere(lambda k: k.hash_get(b"k", b"f")) == b"w"
    assert sites.everywhere(lambda k: k.hash_get(b"k", b"n")) == b"5"


def test_r_field_survives_a_concurrent_delete(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.hash_set(b"k", [(b"f", b"1"), (b"g", b"2")])
    sites.A.hash_increment(b"k", b"n", 5)
    sites.sync()
    sites.A.hash_delete(b"k", [b"f", b"n"])
    sites.B.hash_set(b"k", [(b"f", b"new")])
    sites.B.hash_increment(b"k", b"n", 2)
    sites.C.delete(b"k")
    sites.C.hash_increment(b"k", b"n", 1)
    sites.sync()
    read = sites.everywhere(lambda k: dict(k.hash_items(b"k")))
    assert read == {b"f": b"new", b"n": b"3"}


def test_se1_members_unite(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.add(b"key1", [b"a"])
    sites.B.add(b"key1", [b"b"])
    sites.sync()
    assert sites.everywhere(lambda k: set(k.members(b"key1"))) == {b"a", b"b"}


def test_se2_remove_takes_what_it_saw(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.add(b"k", [b"a", b"b"])
    sites.sync()
    sites.A.remove(b"k", [b"a"])
    sites.B.add(b"k", [b"c"])
    assert sites.A.remove(b"k", [b"c"]) == 0
    sites.sync()
    assert sites.everywhere(lambda k: set(k.members(b"k"))) == {b"b", b"c"}


def test_add_wins_over_a_concurrent_remove_of_the_same_member(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.add(b"k", [b"a"])
    sites.sync()
    sites.A.add(b"k", [b"a"])
    sites.B.remove(b"k", [b"a"])
    sites.C.delete(b"k")
    sites.sync()
    assert sites.everywhere(lambda k: set(k.members(b"k"))) == {b"a"}


def test_unseen_adds_survive_a_delete(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.add(b"h", [b"e1"])
    sites.sync()
    sites.A.add(b"h", [b"e2"])
    sites.B.delete(b"h")
    sites.sync()
    assert sites.everywhere(lambda k: set(k.members(b"h"))) == {b"e2"}


def test_type_clash_follows_the_total_order(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.set(b"k", b"text")
    sites.B.add(b"k", [b"m"])
    sites.C.hash_set(b"k", [(b"f", b"v")])
    sites.sync()
    assert sites.everywhere(lambda k: k.type_of(b"k")) == "string"
    assert sites.everywhere(len) == 1
    with pytest.raises(WrongType):
        sites.A.members(b"k")
    sites.A.delete(b"k")
    sites.sync()
    assert sites.everywhere(len) == 0


def test_t1_longest_expiry_wins_and_persist_is_longest(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.add(b"k", [b"x"])
    sites.sync()
    now = int(sites.wall * 1000)
    sites.A.expire(b"k", now + 10_000)
    sites.B.expire(b"k", now + 50_000)
    sites.sync()
    assert sites.everywhere(lambda k: k.deadline_of(b"k")) == now + 50_000
    sites.A.expire(b"k", now + 90_000)
    sites.C.expire(b"k", None)
    sites.sync()
    assert sites.everywhere(lambda k: k.deadline_of(b"k")) is None


def test_causally_later_expire_replaces_a_longer_one(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.set(b"k", b"v", deadline_ms=int(sites.wall * 1000) + 50_000)
    sites.sync()
    soon = int(sites.wall * 1000) + 10_000
    sites.B.expire(b"k", soon)
    sites.sync()
    assert sites.everywhere(lambda k: k.deadline_of(b"k")) == soon


def test_r_plain_set_beside_expire_keeps_the_key(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.set(b"k", b"v")
    sites.A.set(b"kept", b"v")
    sites.sync()
    later = int(sites.wall * 1000) + 10_000
    sites.A.expire(b"k", later)
    sites.B.set(b"k", b"w")
    sites.A.expire(b"kept", later)
    sites.B.set(b"kept", b"w", keep_ttl=True)
    sites.sync()
    assert sites.everywhere(lambda k: k.deadline_of(b"k")) is None
    assert sites.everywhere(lambda k: k.deadline_of(b"kept")) == later


def test_expiry_hides_a_key_everywhere_and_leaves_nothing(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.set(b"k", b"v", deadline_ms=int(sites.wall * 1000) + 1000)
    sites.B.add(b"s", [b"m"])
    sites.sync()
    sites.pass_time(2)
    assert sites.everywhere(lambda k: k.get(b"k")) is None
    assert sites.everywhere(len) == 1
    sites.pass_time(10)
    sites.sync()
    for replica in sites.replicas.values():
        assert not replica.keyspace.hidden


def test_write_after_expiry_starts_fresh(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.increment(b"n", 5)
    sites.A.expire(b"n", int(sites.wall * 1000) + 1000)
    sites.sync()
    sites.pass_time(2)
    assert sites.B.increment(b"n", 1) == 1
    sites.sync()
    assert sites.everywhere(lambda k: k.get(b"n")) == b"1"
    assert sites.everywhere(lambda k: k.deadline_of(b"n")) is None


def test_member_added_after_the_deadline_elsewhere_survives_the_removal(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.add(b"s", [b"old"])
    sites.sync()
    sites.A.expire(b"s", int(sites.wall * 1000) + 1000)
    sites.pass_time(2)
    sites.B.add(b"s", [b"new"])
    sites.sync()
    sites.pass_time(20)
    sites.sync()
    assert sites.everywhere(lambda k: set(k.members(b"s"))) == {b"new"}


def test_rename_moves_what_was_seen(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.hash_set(b"a", [(b"f", b"1")])
    sites.A.expire(b"a", int(sites.wall * 1000) + 60_000)
    sites.sync()
    sites.A.rename(b"a", b"b")
    sites.B.hash_set(b"a", [(b"g", b"2")])
    sites.sync()
    assert sites.everywhere(lambda k: dict(k.hash_items(b"a"))) == {b"g": b"2"}
    assert sites.everywhere(lambda k: dict(k.hash_items(b"b"))) == {b"f": b"1"}
    assert sites.everywhere(lambda k: k.deadline_of(b"b")) is not None
