"""HyperLogLogs, streams and deadlines of fields under random operations and deliveries."""

import os
import random
from collections.abc import Callable

import pytest
from sites import WALL, mesh
from test_convergence import KEYS, Wires, reloaded

from gossipnet.state.errors import KeyspaceError
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.replica import Replica

SEEDS = range(1000 if os.environ.get("GOSSIPNET_SOAK") else 60)


def ids(keyspace: Keyspace, key: bytes) -> list[tuple[int, int]]:
    stream = keyspace.stream(key)
    return [] if stream is None else [entry[:2] for entry in stream.entries][::2]


def actions(keyspace: Keyspace, rng: random.Random, wall: float) -> list[Callable[[], object]]:
    key, other = rng.choice(KEYS), rng.choice(KEYS)
    elements = [b"%d" % rng.randrange(40) for _each in range(rng.randrange(4))]
    group = rng.choice([b"g", b"h"])
    ms = rng.choice([None, rng.randrange(1, 40)])
    below = (rng.randrange(40), 0)
    deadline = int(wall * 1000) + rng.randrange(1, 20_000)
    return [
        lambda: keyspace.sketch_add(key, elements),
        lambda: keyspace.sketch_add(key, elements),
        lambda: keyspace.sketch_merge(key, [key, other]),
        lambda: keyspace.stream_add(key, ms, [b"f", b"v"]),
        lambda: keyspace.stream_add(key, ms, [b"f", b"v"]),
        lambda: keyspace.stream_add(key, None, [b"f", b"v"]),
        lambda: keyspace.stream_delete(key, ids(keyspace, key)),
        lambda: keyspace.stream_trim(key, below),
        lambda: keyspace.group_create(key, group, below),
        lambda: keyspace.group_create(key, group, below),
        lambda: keyspace.group_destroy(key, group),
        lambda: keyspace.group_ack(key, group, (rng.randrange(40), 0)),
        lambda: keyspace.hash_set(key, [(group, b"1"), (b"f", b"2")]),
        lambda: keyspace.hash_increment(key, group, 3),
        lambda: keyspace.hash_delete(key, [group]),
        lambda: keyspace.hash_expire(key, [group, b"f"], deadline),
        lambda: keyspace.hash_expire(key, [b"f"], None),
        lambda: keyspace.set(key, keyspace.text(other) or b"text"),
        lambda: keyspace.delete(key),
        lambda: keyspace.expire(key, deadline),
        lambda: keyspace.copy(key, other),
        lambda: keyspace.rename(key, other),
        lambda: keyspace.add(key, [b"member"]),
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_vectors_mean_equal_state(seed: int) -> None:
    rng = random.Random(seed)
    identities = mesh().identities
    replicas = [
        Replica(key=i.key, chain=i.chain, trust=i.trust, epoch=seed, wall=WALL) for i in identities
    ]
    wires = Wires(replicas, rng)
    wall = WALL
    for _step in range(60):
        wall += rng.random()
        site = rng.randrange(len(replicas))
        replica = replicas[site]
        wires.stored[site] += replica.advance(wall)
        for _each in range(rng.randrange(4)):
            try:
                rng.choice(actions(replica.keyspace, rng, wall))()
            except KeyspaceError:
                continue
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
    for replica in replicas:
        replica.touch(wall)
    for key in KEYS:
        assert len({replica.keyspace.type_of(key) for replica in replicas}) == 1
    for site, replica in enumerate(replicas):
        reloaded(replica, wires.stored[site], identities[site], seed, wall)
