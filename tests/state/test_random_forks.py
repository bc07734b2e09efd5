"""Random histories of wild operations in which a log is forked: the same on every node."""

import copy
import itertools
import os
import random

import pytest
from liars import Log, swarm, wild_record
from test_forked_logs import TRUST, Observer, look

from gossipnet.state.fork import ForkProof, decode_proof, make_proof
from gossipnet.state.record import parse_untrusted
from gossipnet.state.replica import AppliedRecord

SEEDS = range(2000 if os.environ.get("GOSSIPNET_SOAK") else 25)


def parted(rng: random.Random, log: Log, others: list[Log]) -> tuple[list[bytes], ForkProof]:
    """The other branch of a log, from some record on; others go on on top of the first branch."""
    twin = copy.copy(log)
    twin.records = list(log.records)
    ahead = [[], []]
    for branch, row in zip((log, twin), ahead, strict=True):
        while len(row) < 3:
            row.append(wild_record(rng, branch, others))
            if branch is log:
                wild_record(rng, rng.choice(others), [log])
    one, other = parse_untrusted(ahead[0][0]), parse_untrusted(ahead[1][0])
    assert one.seq == other.seq
    identity = log.identity
    proof = make_proof(identity.public_key, log.epoch, identity.chain, one, other)
    return ahead[1], decode_proof(proof, TRUST)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_forked_log_ends_alike_whatever_each_node_met_first(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr("gossipnet.state.rebuild.FROM_MEMORY", rng.choice([0, 5, 4096]))
    logs = swarm(rng, 16)
    forked = rng.choice(logs)
    others = [log for log in logs if log is not forked]
    branch, proof = parted(rng, forked, others)
    for _ in range(4):
        one = rng.choice(others)
        wild_record(rng, one, [log for log in others if log is not one])
    events = [*itertools.chain.from_iterable(log.records for log in logs), *branch]
    found = []
    for site in range(4):
        observer = Observer()
        order: list[bytes | ForkProof] = list(events)
        if site:  # one node hears of the fork when it has everything, the others in its midst
            rng.shuffle(order)
        order.insert(len(order) if not site else rng.randrange(len(order)), proof)
        for _again in range(len(logs) * 8):
            for event in order:
                if isinstance(event, bytes):
                    one = parse_untrusted(event)
                    observer.take(AppliedRecord(one.log, one.seq, event))
                else:
                    observer.take(event)
            if all(observer.replica.head(log.id) == log.seq for log in others):
                break
        assert observer.replica.head(forked.id) == proof.seq - 1
        assert observer.replica.held == 0
        found.append(look(observer))
        again = observer.restarted()
        assert (again.digest(), again.state_digest()) == found[-1][:2]
    assert all(one == found[0] for one in found)
