"""Random operations at several sites, records delivered in random order, twice, or late.

Replicas with equal version vectors must hold equal state at any time; and a replica that loads its
own records from disk must hold what it held before.
"""

import os
import random
from decimal import Decimal
from math import inf

import pytest
from sites import WALL, mesh

from gossipnet.state.errors import KeyspaceError
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.replica import AppliedRecord, Replica

SEEDS = range(2000 if os.environ.get("GOSSIPNET_SOAK") else 150)
KEYS = [b"a", b"b", b"c"]
NAMES = [b"x", b"y", b"z"]


def operate(keyspace: Keyspace, rng: random.Random, wall: float) -> None:
    key = rng.choice(KEYS)
    name = rng.choice(NAMES)
    value = b"%d" % rng.randrange(5) if rng.random() < 0.5 else b"text%d" % rng.randrange(99)
    deadline = int(wall * 1000) + rng.randrange(1, 20_000)
    actions = [
        lambda: keyspace.set(key, value),
        lambda: keyspace.set(key, value, keep_ttl=True),
        lambda: keyspace.set(key, value, deadline_ms=deadline),
        lambda: keyspace.increment(key, rng.randrange(-3, 9)),
        lambda: keyspace.increment(key, 1),
        lambda: keyspace.increment_float(key, Decimal("0.25")),
        lambda: keyspace.delete(key),
        lambda: keyspace.hash_set(key, [(name, value), (b"w", b"1")]),
        lambda: keyspace.hash_increment(key, name, 2),
        lambda: keyspace.hash_delete(key, [name]),
        lambda: keyspace.add(key, [name, value]),
        lambda: keyspace.remove(key, [name]),
        lambda: keyspace.score_set(key, [(name, rng.randrange(9) / 10), (b"w", 1.1)]),
        lambda: keyspace.score_increment(key, name, rng.choice([0.1, 0.7, 1e16, -1e16, 1e-9])),
        lambda: keyspace.score_increment(key, name, rng.choice([inf, -inf, 1e308, -0.3])),
        lambda: keyspace.score_remove(key, [name]),
        lambda: keyspace.ranking(key),
        lambda: keyspace.list_push(key, [name, value]),
        lambda: keyspace.list_push(key, [name, value], left=True),
        lambda: keyspace.list_insert(key, rng.randrange(keyspace.list_len(key) + 1), [value]),
        lambda: keyspace.list_insert(key, rng.randrange(keyspace.list_len(key) + 1), [name, name]),
        lambda: keyspace.list_pop(key, rng.randrange(1, 3), left=True),
        lambda: keyspace.list_pop(key),
        lambda: keyspace.list_set(key, rng.randrange(keyspace.list_len(key) or 1), value),
        lambda: keyspace.list_remove(key, some_ranks(rng, keyspace.list_len(key))),
        lambda: keyspace.expire(key, deadline),
        lambda: keyspace.expire(key, None),
        lambda: keyspace.rename(key, rng.choice(KEYS)),
        lambda: keyspace.copy(key, rng.choice(KEYS)),
    ]
    try:
        rng.choice(actions)()
    except KeyspaceError:
        return  # a wrong type for what is there now, or no such key: as good as no command


def some_ranks(rng: random.Random, count: int) -> list[tuple[int, int]]:
    ranks = sorted(rng.sample(range(count + 1), min(count + 1, 4)))
    return list(zip(ranks[::2], ranks[1::2], strict=False))


class Wires:
    """What each site still has to get from each other one."""

    def __init__(self, replicas: list[Replica], rng: random.Random) -> None:
        self.replicas = replicas
        self.rng = rng
        self.stored: list[list[AppliedRecord]] = [[] for _ in replicas]
        self.due: list[list[AppliedRecord]] = [[] for _ in replicas]

    def emit(self, site: int, records: list[AppliedRecord]) -> None:
        self.stored[site] += records
        for other, waiting in enumerate(self.due):
            if other != site:
                waiting += records

    def deliver(self, site: int, count: int, wall: float) -> None:
        waiting = self.due[site]
        for _ in range(min(count, len(waiting))):
            record = waiting[self.rng.randrange(len(waiting))]
            outcome = self.replicas[site].ingest(record.data, wall)
            self.stored[site] += outcome.applied
            if self.rng.random() < 0.9:
                done = self.replicas[site].head(record.log) >= record.seq
                if done:
                    waiting.remove(record)


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_vectors_mean_equal_state(seed: int) -> None:
    rng = random.Random(seed)
    identities = mesh().identities
    replicas = [
        Replica(key=i.key, chain=i.chain, trust=i.trust, epoch=seed, wall=WALL) for i in identities
    ]
    wires = Wires(replicas, rng)
    wall = WALL
    for _step in range(80):
        wall += rng.random()
        site = rng.randrange(len(replicas))
        replica = replicas[site]
        wires.stored[site] += replica.advance(wall)
        for _ in range(rng.randrange(4)):
            operate(replica.keyspace, rng, wall)
        if rng.random() < 0.7:
            wires.emit(site, replica.seal(wall))
        wires.deliver(rng.randrange(len(replicas)), rng.randrange(6), wall)
        states: dict[bytes, bytes] = {}
        for each in replicas:
            if not each.dirty:
                seen = states.setdefault(each.digest(), each.state_digest())
                assert seen == each.state_digest(), f"seed {seed}"
    for site, replica in enumerate(replicas):
        wires.emit(site, replica.seal(wall))
    while any(wires.due):
        for site in range(len(replicas)):
            wires.deliver(site, 50, wall)
    assert len({replica.digest() for replica in replicas}) == 1
    assert len({replica.state_digest() for replica in replicas}) == 1, f"seed {seed}"
    for site, replica in enumerate(replicas):
        reloaded(replica, wires.stored[site], identities[site], seed, wall)


def reloaded(
    replica: Replica, stored: list[AppliedRecord], identity: object, seed: int, wall: float
) -> None:
    fresh = Replica(
        key=identity.key,  # type: ignore[attr-defined]
        chain=identity.chain,  # type: ignore[attr-defined]
        trust=identity.trust,  # type: ignore[attr-defined]
        epoch=seed,
        wall=wall,
    )
    for record in stored:
        fresh.load(record.data)
    fresh.finish_loading(wall)
    assert fresh.vector() == replica.vector()
    assert fresh.state_digest() == replica.state_digest(), f"seed {seed}"
