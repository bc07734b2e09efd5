"""Concurrent writes that had to be decided are counted by kind and told; others are not."""

from collections.abc import Callable

import pytest
from sites import Sites

from gossipnet.state.conflicts import KEPT, KINDS, Conflicts
from gossipnet.state.dots import log_of
from gossipnet.state.keyspace import Keyspace

K = b"k"


def later(keyspace: Keyspace, seconds: int) -> None:
    keyspace.expire(K, keyspace.wall_ms + seconds * 1000)


Write = Callable[[Keyspace], object]
CASES: dict[str, tuple[Write, Write, Write]] = {
    # kind: what everybody has seen, what A does, what B does meanwhile
    "string": (lambda k: None, lambda k: k.set(K, b"a"), lambda k: k.set(K, b"b")),
    "hash": (
        lambda k: None,
        lambda k: k.hash_set(K, [(b"f", b"a")]),
        lambda k: k.hash_set(K, [(b"f", b"b")]),
    ),
    "set": (lambda k: None, lambda k: k.add(K, [b"m"]), lambda k: k.add(K, [b"m"])),
    "zset": (
        lambda k: None,
        lambda k: k.score_set(K, [(b"m", 1.0)]),
        lambda k: k.score_set(K, [(b"m", 2.0)]),
    ),
    "list": (
        lambda k: k.list_push(K, [b"x"]),
        lambda k: k.list_set(K, 0, b"a"),
        lambda k: k.list_set(K, 0, b"b"),
    ),
    "type": (lambda k: None, lambda k: k.set(K, b"a"), lambda k: k.add(K, [b"m"])),
    "remove": (
        lambda k: k.add(K, [b"m", b"n"]),
        lambda k: k.remove(K, [b"m"]),
        lambda k: k.add(K, [b"m"]),
    ),
    "delete": (lambda k: k.set(K, b"o"), lambda k: k.delete(K), lambda k: k.set(K, b"n")),
    "expire": (lambda k: k.set(K, b"v"), lambda k: later(k, 100), lambda k: later(k, 200)),
    "group": (
        lambda k: (k.stream_add(K, None, [b"f", b"v"]), k.group_create(K, b"g", (0, 0))),
        lambda k: k.group_destroy(K, b"g"),
        lambda k: (k.group_destroy(K, b"g"), k.group_create(K, b"g", (0, 0))),
    ),
    "hyperloglog": (
        lambda k: k.sketch_add(K, [b"x"]),
        lambda k: k.delete(K),
        lambda k: k.sketch_add(K, [b"another"]),
    ),
}


def counted(sites: Sites) -> set[str]:
    return {kind for r in sites.replicas.values() for kind in r.keyspace.conflicts.counts}


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("kind", CASES)
def test_what_was_concurrent_is_counted_and_what_was_not_is_not(kind: str) -> None:
    common, one, other = CASES[kind]
    sites = Sites()
    common(sites.A)
    sites.sync()
    one(sites.A)
    assert counted(sites) == set()
    other(sites.B)
    sites.sync()
    assert kind in counted(sites)
    newest = [c for r in sites.replicas.values() for c in r.keyspace.conflicts.newest]
    assert all(conflict.key == K for conflict in newest)


def test_the_operation_that_shows_is_named_first() -> None:
    sites = Sites()
    sites.A.set(K, b"a")
    sites.B.set(K, b"b")
    sites.sync()
    keyspace = sites.replicas["C"].keyspace
    (conflict,) = keyspace.conflicts.newest
    authors = [keyspace.logs.by_number[log_of(dot)].id for dot in conflict.dots]
    assert authors == [sites.replicas["B"].own_log, sites.replicas["A"].own_log]


def test_a_type_clash_counts_once_while_it_lasts() -> None:
    sites = Sites()
    sites.A.set(K, b"a")
    sites.B.add(K, [b"m"])
    sites.sync()
    for _write in range(3):
        sites.A.set(K, b"again")
    assert sites.A.conflicts.counts["type"] == 1
    sites.A.delete(K)
    sites.sync()
    assert not sites.A.conflicts.clashing


def test_only_the_newest_are_listed() -> None:
    conflicts = Conflicts()
    conflicts.note(0, "set", K, ())  # as the own database is read back
    for number in range(1, KEPT + 11):
        conflicts.note(number, "set", K, ())
    assert conflicts.counts["set"] == KEPT + 10
    assert [conflicts.newest[0].wall_ms, len(conflicts.newest)] == [11, KEPT]
