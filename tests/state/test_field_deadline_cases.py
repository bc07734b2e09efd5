"""Deadlines of fields in all orders of delivery: the latest wins, on every node at once."""

import pytest
from sites import Sites, every_order

pytestmark = pytest.mark.parametrize("order", list(every_order(4)))
Order = tuple[int, ...]


def begun(order: Order) -> tuple[Sites, int]:
    sites = Sites(order=order)
    sites.A.hash_set(b"h", [(b"f", b"1"), (b"g", b"2")])
    sites.sync()
    return sites, int(sites.wall * 1000)


def test_the_latest_of_concurrent_deadlines_wins(order: Order) -> None:
    sites, now = begun(order)
    sites.A.hash_expire(b"h", [b"f", b"g"], now + 10_000)
    sites.B.hash_expire(b"h", [b"f"], now + 50_000)
    sites.sync()
    assert sites.everywhere(lambda k: k.hash_deadline(b"h", b"f")) == now + 50_000
    assert sites.everywhere(lambda k: k.hash_deadline(b"h", b"g")) == now + 10_000
    sites.A.hash_expire(b"h", [b"f"], now + 20_000)
    sites.sync()
    assert sites.everywhere(lambda k: k.hash_deadline(b"h", b"f")) == now + 20_000
    sites.A.hash_expire(b"h", [b"f"], now + 90_000)
    sites.C.hash_expire(b"h", [b"f"], None)
    sites.sync()
    assert sites.everywhere(lambda k: k.hash_deadline(b"h", b"f")) is None


def test_fields_end_everywhere_and_leave_nothing_behind(order: Order) -> None:
    sites, now = begun(order)
    sites.A.hash_expire(b"h", [b"f"], now + 1000)
    sites.sync()
    sites.pass_time(1.1)
    assert sites.everywhere(lambda k: k.hash_names(b"h")) == [b"g"]
    assert sites.everywhere(lambda k: k.hash_has(b"h", b"f")) is False
    sites.pass_time(6)
    sites.sync()
    assert sites.everywhere(lambda k: k.entries[b"h"].ends) is None
    sites.B.hash_expire(b"h", [b"g"], int(sites.wall * 1000) + 1000)
    sites.sync()
    sites.pass_time(2)
    assert sites.everywhere(lambda k: k.exists(b"h")) is False
    sites.pass_time(700)
    sites.sync()
    assert sites.everywhere(lambda k: len(k.hidden)) == 0


def test_hset_takes_a_deadline_away_and_wins_over_one_it_has_not_seen(order: Order) -> None:
    sites, now = begun(order)
    sites.A.hash_expire(b"h", [b"f", b"g"], now + 1000)
    sites.sync()
    sites.B.hash_set(b"h", [(b"f", b"new")])
    sites.C.hash_expire(b"h", [b"f"], now + 2000)
    sites.sync()
    assert sites.everywhere(lambda k: k.hash_deadline(b"h", b"f")) is None
    sites.pass_time(5)
    assert sites.everywhere(lambda k: k.hash_items(b"h")) == [(b"f", b"new")]


def test_increments_keep_a_deadline_and_begin_anew_after_it(order: Order) -> None:
    sites, now = begun(order)
    sites.A.hash_expire(b"h", [b"f"], now + 1000)
    sites.sync()
    sites.B.hash_increment(b"h", b"f", 5)
    sites.sync()
    assert sites.everywhere(lambda k: k.hash_deadline(b"h", b"f")) == now + 1000
    sites.pass_time(2)
    assert sites.C.hash_increment(b"h", b"f", 3) == 3
    sites.sync()
    assert sites.everywhere(lambda k: k.hash_get(b"h", b"f")) == b"3"
    assert sites.everywhere(lambda k: k.hash_deadline(b"h", b"f")) is None


def test_del_and_hdel_take_what_they_saw(order: Order) -> None:
    sites, now = begun(order)
    sites.A.hash_expire(b"h", [b"f", b"g"], now + 50_000)
    sites.sync()
    sites.A.delete(b"h")
    sites.B.hash_delete(b"h", [b"f"])
    sites.C.hash_set(b"h", [(b"f", b"stays")])
    sites.sync()
    assert sites.everywhere(lambda k: k.hash_items(b"h")) == [(b"f", b"stays")]
    assert sites.everywhere(lambda k: k.hash_deadline(b"h", b"f")) is None
    sites.A.delete(b"h")
    sites.sync()
    assert sites.everywhere(lambda k: (len(k), len(k.hidden))) == (0, 0)


def test_a_clock_that_was_wrong_hides_nothing_for_good(order: Order) -> None:
    sites, now = begun(order)
    sites.A.hash_expire(b"h", [b"f", b"g"], now + 5000)
    sites.sync()
    sites.pass_time(6)
    assert sites.everywhere(lambda k: k.exists(b"h")) is False
    sites.pass_time(-4)
    assert sites.everywhere(lambda k: k.hash_names(b"h")) == [b"f", b"g"]
    sites.pass_time(4)
    assert sites.everywhere(lambda k: k.exists(b"h")) is False


def test_copies_and_renames_keep_deadlines(order: Order) -> None:
    sites, now = begun(order)
    sites.A.hash_expire(b"h", [b"f"], now + 9000)
    sites.A.copy(b"h", b"i")
    sites.A.rename(b"h", b"j")
    sites.sync()
    for key in (b"i", b"j"):
        assert sites.everywhere(lambda k, key=key: k.hash_deadline(key, b"f")) == now + 9000
        assert sites.everywhere(lambda k, key=key: k.hash_deadline(key, b"g")) is None
