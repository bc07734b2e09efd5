"""Random histories of all types: somebody is revoked in their midst, and learned of at random."""

import os
import random

import pytest
from sites import WALL, mesh
from test_convergence import Wires, operate
from test_convergence_of_streams import actions

from gossipnet.identity.revocation import Revocation, make_revocation
from gossipnet.identity.revocations import Revocations
from gossipnet.ids import LogId
from gossipnet.state.errors import KeyspaceError
from gossipnet.state.replica import Replica

SEEDS = range(1000 if os.environ.get("GOSSIPNET_SOAK") else 60)
REVOKED = 2


def revoke(by: Replica, wall: float, rng: random.Random) -> Revocation:
    """By the founder, as it has applied the logs of the revoked; sometimes with a lower cut."""
    identity, subject = mesh().identities[0], mesh().identities[REVOKED]
    logs = by.logs.of_author(subject.node_id)
    lower = [(log, rng.randrange(head + 1), last) for log, head, last in logs]
    return make_revocation(
        identity.key,
        identity.chain,
        identity.trust,
        node=subject.node_id,
        name=subject.name,
        reason="",
        wall=wall,
        seen=logs if rng.random() < 0.5 else (),
        cut=lower,
    )


def learn(wires: Wires, site: int, revocation: Revocation) -> None:
    replica = wires.replicas[site]
    replica.revocations.add(revocation)
    if site == REVOKED:
        replica.bar("revoked")
    wires.stored[site] += replica.seal(0)  # the disk has everything before it is read
    if not replica.revocations_changed():
        return
    work = replica.begin_rebuild()
    while wanted := work.wanted():
        ranges = {log: (first, last) for log, first, last in wanted}
        for record in wires.stored[site]:
            first, last = ranges.get(LogId(record.log), (1, 0))
            if first <= record.seq <= last:
                work.feed(record.data)
    work.finish()


@pytest.mark.parametrize("seed", SEEDS)
def test_equal_vectors_and_revocations_mean_equal_state(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr("gossipnet.state.rebuild.FROM_MEMORY", rng.choice([0, 5, 4096]))
    identities = mesh().identities
    replicas = [
        Replica(key=i.key, chain=i.chain, trust=i.trust, epoch=seed, wall=WALL) for i in identities
    ]
    wires = Wires(replicas, rng)
    wall = WALL
    steps = 60
    at = rng.randrange(steps)
    known: dict[int, int] = {}
    revocation: Revocation | None = None
    for step in range(steps):
        wall += rng.random()
        if step == at:
            for site, replica in enumerate(replicas):
                wires.emit(site, replica.seal(wall))
            revocation = revoke(replicas[0], wall, rng)
            known = {site: rng.randrange(step, steps + 5) for site in range(len(replicas))}
        for site, when in known.items():
            if when == step and revocation is not None:
                wires.emit(site, replicas[site].seal(wall))
                learn(wires, site, revocation)
        site = rng.randrange(len(replicas))
        replica = replicas[site]
        wires.stored[site] += replica.advance(wall)
        for _ in range(rng.randrange(4)):
            try:
                if seed % 2:
                    rng.choice(actions(replica.keyspace, rng, wall))()
                else:
                    operate(replica.keyspace, rng, wall)
            except KeyspaceError:
                continue
        if rng.random() < 0.7:
            wires.emit(site, replica.seal(wall))
        wires.deliver(rng.randrange(len(replicas)), rng.randrange(6), wall)
    assert revocation is not None
    for site, replica in enumerate(replicas):
        wires.emit(site, replica.seal(wall))
    while any(wires.due):
        for site in range(len(replicas)):
            wires.deliver(site, 50, wall)
    for site, when in known.items():
        if when >= steps:
            learn(wires, site, revocation)
    assert len({replica.digest() for replica in replicas}) == 1
    assert len({replica.state_digest() for replica in replicas}) == 1, f"seed {seed}"
    for site, replica in enumerate(replicas):
        first = Revocations(replica.revocations.trust)
        first.add(revocation)
        fresh = Replica(
            key=identities[site].key,
            chain=identities[site].chain,
            trust=identities[site].trust,
            epoch=seed,
            wall=wall,
            revocations=first,
        )
        for record in wires.stored[site]:
            fresh.load(record.data)
        fresh.finish_loading(wall)
        assert fresh.state_digest() == replica.state_digest(), f"seed {seed}"
