"""Sorted sets: the documentation's cases Z1 to Z5 and the pairs it is silent about, every order."""

from math import fsum, inf

import pytest
from sites import Sites, every_order

from gossipnet.state.errors import NotANumber, WrongType

pytestmark = pytest.mark.parametrize("order", list(every_order(4)))
Order = tuple[int, ...]


def ranked(sites: Sites, key: bytes) -> object:
    return sites.everywhere(lambda k: list(k.ranking(key)))


def score(sites: Sites, key: bytes, name: bytes) -> object:
    return sites.everywhere(lambda k: k.scores(key).get(name))


def test_z1_members_unite(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.score_set(b"Z", [(b"x", 1.1)])
    sites.sync()
    sites.B.score_set(b"Z", [(b"y", 1.2)])
    sites.sync()
    assert ranked(sites, b"Z") == [(1.1, b"x"), (1.2, b"y")]


def test_z2_latest_concurrent_score_shows(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.score_set(b"Z", [(b"x", 1.1)])
    sites.B.score_set(b"Z", [(b"x", 2.1)])
    sites.sync()
    assert score(sites, b"Z", b"x") == 2.1


def test_z3_a_tie_is_decided_alike(order: Order) -> None:
    sites = Sites(order=order)
    for name, value in (("A", 1.1), ("B", 2.1)):
        sites.replicas[name].keyspace.score_set(b"Z", [(b"x", value)])
    logs = {name: sites.replicas[name].own_log for name in "AB"}
    sites.sync()
    assert score(sites, b"Z", b"x") == (1.1 if logs["A"] < logs["B"] else 2.1)


def test_z4_increments_sum(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.score_set(b"Z", [(b"x", 1.1)])
    sites.sync()
    sites.A.score_increment(b"Z", b"x", 1.0)
    sites.B.score_increment(b"Z", b"x", 1.0)
    sites.sync()
    assert score(sites, b"Z", b"x") == 3.1


def test_z5_removal_leaves_the_increment_it_did_not_see(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.score_set(b"Z", [(b"x", 4.1)])
    sites.sync()
    sites.A.score_remove(b"Z", [b"x"])
    sites.B.score_increment(b"Z", b"x", 2.0)
    assert b"x" not in sites.A.scores(b"Z")
    assert sites.B.scores(b"Z")[b"x"] == 6.1
    sites.sync()
    assert score(sites, b"Z", b"x") == 2.0


def test_what_is_left_of_a_counter_is_exact(order: Order) -> None:
    sites = Sites(order=order)
    sites.B.score_increment(b"Z", b"x", 0.1)
    sites.sync()
    sites.A.score_remove(b"Z", [b"x"])
    sites.B.score_increment(b"Z", b"x", 0.2)
    sites.C.score_increment(b"Z", b"x", 0.3)
    sites.sync()
    assert score(sites, b"Z", b"x") == fsum([0.2, 0.3])


def test_r_score_survives_a_concurrent_removal(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.score_set(b"Z", [(b"x", 1.0), (b"y", 1.0)])
    sites.sync()
    sites.A.score_remove(b"Z", [b"x"])
    sites.B.score_set(b"Z", [(b"x", 1.0)])
    sites.C.delete(b"Z")
    sites.sync()
    assert ranked(sites, b"Z") == [(1.0, b"x")]


def test_r_score_and_unseen_increment_add_up(order: Order) -> None:
    sites = Sites(order=order)
    sites.B.score_increment(b"Z", b"x", 8.0)
    sites.sync()
    sites.A.score_set(b"Z", [(b"x", 5.0)])
    sites.B.score_increment(b"Z", b"x", 2.0)
    sites.sync()
    assert score(sites, b"Z", b"x") == 7.0


def test_opposite_infinities_cancel_and_meet_nowhere_knowingly(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.score_set(b"Z", [(b"x", 1.5)])
    sites.sync()
    sites.A.score_increment(b"Z", b"x", inf)
    sites.B.score_increment(b"Z", b"x", -inf)
    with pytest.raises(NotANumber):
        sites.A.score_increment(b"Z", b"x", -inf)
    sites.sync()
    assert score(sites, b"Z", b"x") == 1.5


def test_huge_contributions_lose_nothing_small(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.score_increment(b"Z", b"x", 1e308)
    sites.B.score_increment(b"Z", b"x", 1e308)
    sites.C.score_increment(b"Z", b"x", 1e-300)
    sites.sync()
    assert score(sites, b"Z", b"x") == inf
    sites.A.score_increment(b"Z", b"x", -1e308)
    sites.B.score_increment(b"Z", b"x", -1e308)
    sites.sync()
    assert score(sites, b"Z", b"x") == 1e-300


def test_type_clash_shows_the_set_before_the_sorted_set(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.score_set(b"k", [(b"m", 1.0)])
    sites.A.score_increment(b"k", b"n", 1.0)
    sites.B.add(b"k", [b"m"])
    sites.sync()
    assert sites.everywhere(lambda k: k.type_of(b"k")) == "set"
    with pytest.raises(WrongType):
        sites.C.scores(b"k")
    sites.C.delete(b"k")
    sites.A.score_increment(b"k2", b"n", 1.0)
    sites.sync()
    assert sites.everywhere(lambda k: k.type_of(b"k")) is None
    assert sites.everywhere(lambda k: k.type_of(b"k2")) == "zset"


def test_expiry_and_copies(order: Order) -> None:
    sites = Sites(order=order)
    sites.A.score_set(b"k", [(b"m", 1.0), (b"n", 0.5)])
    sites.sync()
    sites.A.copy(b"k", b"copy")
    sites.A.expire(b"k", int(sites.wall * 1000) + 1000)
    sites.B.score_increment(b"k", b"m", 1.0)
    sites.sync()
    sites.pass_time(2)
    assert sites.everywhere(lambda k: k.exists(b"k")) is False
    assert ranked(sites, b"copy") == [(0.5, b"n"), (1.0, b"m")]
    sites.B.score_increment(b"k", b"m", 3.0)
    sites.sync()
    assert ranked(sites, b"k") == [(3.0, b"m")]
