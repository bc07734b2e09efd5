"""Options drawn from the seed, fault rates included: every run is another world.

A fixed mixture of faults finds the bugs of that mixture. Here each kind is absent from some runs
and frequent in others, and one run in ten has no fault at all (swarm testing, Groce et al., ISSTA
2012).
"""

import random

from gossipnet.sim.faults import PARTITIONS, Plan
from gossipnet.sim.route import (
    Conditions,
)
from gossipnet.sim.scenario import HEALED_WITHIN, Options


def draw(seed: int, nodes: int, operations: int = 200, duration: float = 30.0) -> Options:
    """The options of one seed.

    Args:
      seed: Decides them, and the run.
      nodes: How many machines.
      operations: Free operations of each of them.
      duration: Virtual seconds.
    """
    rng = random.Random(seed)
    calm = rng.random() < 0.1

    def often(most: int) -> int:
        return 0 if calm or rng.random() < 0.4 else rng.randrange(1, most + 1)

    loss = 0.0 if calm else rng.choice((0.0, 0.0, 0.01, 0.05, 0.25))
    near, wide, far = (0.0001, 0.001), (0.005, 0.025), (0.02, 0.15)
    # A quarter lost over a long way is no network: a handshake rarely ends within its deadline.
    latency = rng.choice((near, wide) if loss > 0.1 else (near, wide, far))
    return Options(
        nodes=nodes,
        seed=seed,
        duration=duration,
        conditions=Conditions(
            latency=latency,
            jitter=latency[1] * rng.choice((0.0, 0.1, 1.0)),
            loss=loss,
            duplicate=0.0 if calm else rng.choice((0.0, 0.0, 0.1)),
            bandwidth=rng.choice((12_500_000.0, 12_500_000.0, 250_000.0)),
        ),
        plan=Plan(
            crashes=often(4),
            power=rng.choice((0.0, 0.5, 1.0)),
            wipe=rng.choice((0.0, 0.0, 0.5)),
            partitions=often(3),
            shapes=tuple(rng.sample(PARTITIONS, rng.randrange(1, len(PARTITIONS) + 1))),
            pauses=often(3),
            resets=often(6),
            loss_bursts=often(2),
            longest=rng.choice((1.0, 4.0, 8.0)),
        ),
        durability=rng.choice(("always", "always", "every-second")),
        skew=0.0 if calm else rng.choice((0.0, 0.05, 2.0, 20.0)),
        entries=rng.choice((0, 30, 60)),
        operations=operations,
        burst=rng.choice((1, 8, 30)) if operations <= 300 else rng.choice((8, 30, 100)),
        keys=rng.choice((1, 3, 10)),
        healed_within=HEALED_WITHIN * (6 if loss > 0.1 else 3 if latency is far else 1),
        hard=loss >= 0.1,
        early=True,
    )
