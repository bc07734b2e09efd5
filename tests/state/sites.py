"""Replicas at several sites that exchange records when told to, in whatever order is asked for."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence

from gossipnet.identity.founding import Mesh, found_mesh
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.replica import AppliedRecord, Replica, Status

WALL = 1_800_000_000.0


@functools.cache
def mesh(count: int = 4) -> Mesh:
    """Identities of a small mesh, made once."""
    return found_mesh(count)


class Sites:
    """A, B, C, ...: one replica each, cut off from the others until `sync`."""

    def __init__(self, count: int = 3, order: Sequence[int] = ()) -> None:
        self.wall = WALL
        self.order = order
        self.replicas: dict[str, Replica] = {}
        self.sent: dict[str, list[AppliedRecord]] = {}
        for name, identity in zip("ABCDEFGH", mesh().identities[:count], strict=False):
            self.replicas[name] = Replica(
                key=identity.key, chain=identity.chain, trust=identity.trust, epoch=1, wall=WALL
            )
            self.sent[name] = []

    def __getattr__(self, name: str) -> Keyspace:
        """The keyspace of a site; time passes ten milliseconds at each use, everywhere."""
        if name not in self.replicas:
            raise AttributeError(name)
        self.pass_time(0.01)
        self._collect(name)
        return self.replicas[name].keyspace

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        for replica in self.replicas.values():
            replica.advance(self.wall)

    def _collect(self, name: str) -> None:
        # Each command becomes a record of its own, so that orders of delivery can differ most.
        self.sent[name] += self.replicas[name].seal(self.wall)

    def sync(self, *names: str) -> None:
        """Everybody (or these) gets all records of the others, in the order asked for."""
        for name in self.replicas:
            self._collect(name)
        group = names or tuple(self.replicas)
        records = [record for name in group for record in self.sent[name]]
        for name in group:
            deliver(self.replicas[name], _permuted(records, self.order), self.wall)
        if not names:
            self.sent = {name: [] for name in self.replicas}
        digests = {self.replicas[name].state_digest() for name in group}
        assert len(digests) == 1, "sites differ after a full exchange"
        assert all(self.replicas[name].held == 0 for name in group)

    def everywhere(self, read: Callable[[Keyspace], object]) -> object:
        """What all sites read alike."""
        answers = [read(replica.keyspace) for replica in self.replicas.values()]
        assert all(answer == answers[0] for answer in answers), answers
        return answers[0]


def deliver(replica: Replica, records: Sequence[AppliedRecord], wall: float) -> None:
    """Deliver in this order; what the replica did not keep is sent again, as repair would."""
    left = [record for record in records if record.log != replica.own_log]
    while left:
        for record in left:
            assert replica.ingest(record.data, wall).status is not Status.VOID
        again = [record for record in left if record.seq > replica.head(record.log)]
        assert len(again) < len(left)
        left = again


def _permuted(records: list[AppliedRecord], order: Sequence[int]) -> list[AppliedRecord]:
    places = [place for place in order if place < len(records)]
    return [records[place] for place in places] + records[len(order) :]


def every_order(count: int = 4) -> Iterator[tuple[int, ...]]:
    """All orders of delivery of up to ``count`` records."""
    return itertools.permutations(range(count))
