"""A member that signs whatever it likes is revoked, and each node learns of it at another time."""

import itertools
import os
import random

import pytest
from liars import Log, shuffled, swarm
from sites import WALL, mesh
from test_revoked_records import Observer

from gossipnet import ids
from gossipnet.identity.revocation import Revocation, make_revocation
from gossipnet.state.record import parse_untrusted
from gossipnet.state.replica import AppliedRecord

SEEDS = range(3000 if os.environ.get("GOSSIPNET_SOAK") else 25)


def revoke(rng: random.Random, logs: list[Log]) -> Revocation:
    """By the founder, of whoever writes the last two logs, with a cut at random."""
    signer, subject = mesh().identities[0], mesh().identities[2]
    cut = []
    for log in logs[2:]:
        seq = rng.randrange(log.seq + 1)
        last = parse_untrusted(log.records[seq - 1]).hash if seq else bytes(32)
        cut.append((log.id, seq, last))
    return make_revocation(
        signer.key,
        signer.chain,
        signer.trust,
        node=ids.node_id(subject.public_key),
        name=subject.name,
        reason="",
        wall=WALL,
        seen=(),
        cut=cut,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_revoked_liar_wrote_counts_alike_everywhere(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr("gossipnet.state.rebuild.FROM_MEMORY", rng.choice([0, 5, 4096]))
    logs = swarm(rng, 24)
    statement = revoke(rng, logs)
    found = []
    for site in range(4):
        records = list(shuffled(rng, logs))
        at = (0, len(records), rng.randrange(len(records)), rng.randrange(len(records)))[site]
        observer = Observer()
        for data in itertools.chain(records[:at], [b""], records[at:]):
            if data:
                one = parse_untrusted(data)
                observer.take(AppliedRecord(one.log, one.seq, data))
            else:
                observer.take(statement)
        digest = observer.replica.state_digest()
        assert observer.restarted().state_digest() == digest
        found.append(digest)
    assert all(one == found[0] for one in found)
