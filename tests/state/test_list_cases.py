"""Lists: the documentation's cases L1 to L4 and the pairs it is silent about, in every order."""

import pytest
from sites import Sites, every_order

from gossipnet.state.errors import WrongType
from gossipnet.state.keyspace import Keyspace

pytestmark = pytest.mark.parametrize("order", list(every_order(4)))
Order = tuple[int, ...]


def elements(keyspace: Keyspace, key: bytes) -> list[bytes]:
    return keyspace.list_slice(key, 0, keyspace.list_len(key))


def shown(sites: Sites, key: bytes) -> object:
    return sites.everywhere(lambda k: elements(k, key))


def insert_after(keyspace: Keyspace, key: bytes, pivot: bytes, value: bytes) -> None:
    keyspace.list_insert(key, elements(keyspace, key).index(pivot) + 1, [value])


def by_log(sites: Sites, **values: bytes) -> list[bytes]:
    """Values of sites in the order of their logs' ids."""
    return [values[name] for name in sorted(values, key=lambda n: sites.replicas[n].own_log)]


def test_l1_pushes_unite(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.list_push(b"m", [b"hello"], left=True)
    sites.sync()
    sites.B.list_push(b"m", [b"world"], left=True)
    sites.sync()
    assert shown(sites, b"m") == [b"world", b"hello"]


def test_l2_insertions_at_one_pivot_are_all_kept(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.list_push(b"L", [b"x"], left=True)
    sites.sync()
    insert_after(sites.A, b"L", b"x", b"y1")
    insert_after(sites.B, b"L", b"x", b"y2")
    sites.sync()
    assert shown(sites, b"L") == [b"x", b"y1", b"y2"]


def test_l2_of_strangers_the_lower_log_comes_first(order: Order) -> None:
    sites = Sites(order=order)
    sites.C.list_push(b"L", [b"x", b"z"])
    sites.sync()
    insert_after(sites.A, b"L", b"x", b"y1")
    insert_after(sites.B, b"L", b"x", b"y2")
    sites.sync()
    assert shown(sites, b"L") == [b"x", *by_log(sites, A=b"y1", B=b"y2"), b"z"]


def test_l3_an_unseen_push_survives_a_delete(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.list_push(b"L", [b"x"], left=True)
    sites.sync()
    sites.A.list_push(b"L", [b"y"], left=True)
    sites.B.delete(b"L")
    sites.sync()
    assert shown(sites, b"L") == [b"y"]


def test_l4_pops(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.list_push(b"L", [b"z", b"y", b"x"], left=True)
    sites.sync()
    assert sites.B.list_pop(b"L") == [b"x"]
    sites.sync()
    assert sites.A.list_pop(b"L") == [b"y"]
    sites.sync()
    assert sites.A.list_pop(b"L") == [b"z"]
    assert sites.B.list_pop(b"L") == [b"z"]
    sites.sync()
    assert shown(sites, b"L") == []
    assert sites.everywhere(lambda k: k.raw(b"L")) is None, "nothing is kept of what was popped"


def test_what_one_site_pushes_stays_together(order: Order) -> None:
    sites = Sites(order=order)
    sites.C.list_push(b"L", [b"0"])
    sites.sync()
    for name in "AB":
        for number in (b"1", b"2"):
            getattr(sites, name).list_push(b"L", [name.encode() + number])
    sites.sync()
    first, second = by_log(sites, A=b"A", B=b"B")
    expected = [b"0", first + b"1", first + b"2", second + b"1", second + b"2"]
    assert shown(sites, b"L") == expected


def test_r_latest_concurrent_assignment_shows(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.list_push(b"L", [b"a", b"b", b"c"])
    sites.sync()
    sites.A.list_set(b"L", 1, b"by A")
    sites.B.list_set(b"L", 1, b"by B")
    sites.sync()
    assert shown(sites, b"L") == [b"a", b"by B", b"c"]
    sites.C.list_set(b"L", 1, b"by C")
    sites.sync()
    assert shown(sites, b"L") == [b"a", b"by C", b"c"]
    sites.A.list_remove(b"L", [(1, 2)])
    sites.sync()
    assert shown(sites, b"L") == [b"a", b"c"]


def test_r_an_assignment_wins_over_a_removal(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.list_push(b"L", [b"a", b"b", b"c"])
    sites.sync()
    sites.A.list_set(b"L", 1, b"new")
    sites.B.list_remove(b"L", [(0, 3)])
    sites.C.delete(b"L")
    sites.sync()
    assert shown(sites, b"L") == [b"new"]


def test_r_removals_take_what_they_saw(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.list_push(b"L", [b"a", b"x", b"b", b"x"])
    sites.sync()
    sites.A.list_remove(b"L", [(1, 2), (3, 4)])
    insert_after(sites.B, b"L", b"b", b"x")
    sites.B.list_push(b"L", [b"x"], left=True)
    sites.sync()
    assert shown(sites, b"L") == [b"x", b"a", b"b", b"x"]


def test_an_insertion_needs_no_neighbour(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.list_push(b"L", [b"a", b"b", b"c", b"d"])
    sites.sync()
    insert_after(sites.B, b"L", b"b", b"new")
    sites.A.list_remove(b"L", [(1, 3)])
    sites.sync()
    assert shown(sites, b"L") == [b"a", b"new", b"d"]


def test_both_ends_and_the_middle_at_once(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.list_push(b"L", [b"m"])
    sites.sync()
    sites.A.list_push(b"L", [b"l2", b"l1"], left=True)
    sites.B.list_push(b"L", [b"r1", b"r2"])
    sites.sync()
    assert shown(sites, b"L") == [b"l2", b"l1", b"m", b"r1", b"r2"]
    sites.C.list_insert(b"L", 2, [b"before"])
    sites.A.list_insert(b"L", 3, [b"after"])
    sites.sync()
    assert shown(sites, b"L") == [b"l2", b"l1", b"before", b"m", b"after", b"r1", b"r2"]


def test_type_clash_expiry_and_copies(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.list_push(b"k", [b"a", b"b"])
    sites.B.score_set(b"k", [(b"m", 1.0)])
    sites.sync()
    assert sites.everywhere(lambda k: k.type_of(b"k")) == "zset"
    with pytest.raises(WrongType):
        sites.C.list_len(b"k")
    sites.A.score_remove(b"k", [b"m"])
    sites.sync()
    sites.B.copy(b"k", b"copy")
    sites.A.expire(b"k", int(sites.wall * 1000) + 1000)
    sites.sync()
    sites.pass_time(2)
    assert sites.everywhere(lambda k: k.exists(b"k")) is False
    assert shown(sites, b"copy") == [b"a", b"b"]
    sites.B.list_push(b"k", [b"new"])
    sites.sync()
    assert shown(sites, b"k") == [b"new"]
