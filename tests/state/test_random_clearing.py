"""Random histories of all types in whose midst records are cleared, nodes restart, and others join.

Nodes with equal vectors hold equal state, whether they have seen every record, stand on an image
that they computed, or were given one.
"""

import os
import random
from dataclasses import dataclass, field

import pytest
from sites import WALL, mesh
from test_convergence import operate
from test_convergence_of_streams import actions

from gossipnet.ids import LogId, NodeId
from gossipnet.state.checkpoints import Proposal
from gossipnet.state.errors import KeyspaceError
from gossipnet.state.image import Image, Proof, believe
from gossipnet.state.image_rows import MARK
from gossipnet.state.operations import Checkpoint, Endorse
from gossipnet.state.record import parse_untrusted
from gossipnet.state.replica import AppliedRecord, Replica

SEEDS = range(2000 if os.environ.get("GOSSIPNET_SOAK") else 30)


def make(site: int, epoch: int, wall: float) -> Replica:
    identity = mesh().identities[site]
    return Replica(
        key=identity.key,
        chain=identity.chain,
        trust=identity.trust,
        epoch=epoch,
        wall=wall,
    )


@dataclass
class Site:
    """One node with its disk: chunks of the image it stands on, and records in order."""

    number: int
    replica: Replica
    chunks: list[bytes] = field(default_factory=list)
    disk: list[AppliedRecord] = field(default_factory=list)
    proof: Proof | None = None
    endorsed: dict[bytes, tuple[Image, object, list[bytes]]] = field(default_factory=dict)

    def fold(self, proposal: Proposal) -> None:
        """Compute the image of a proposal from the disk, and endorse it."""
        work = self.replica.fold(proposal.heads)
        while left := work.left():
            ranges = {log: (first, last) for log, first, last in left}
            fed = 0
            image = self.replica.image
            for data in self.chunks if image is not None and image.log in ranges else ():
                work.feed(data)
                fed += 1
            for record in self.disk:
                first, last = ranges.get(record.log, (1, 0))
                if first <= record.seq <= last:
                    work.feed(record.data)
                    fed += 1
            assert fed
        chunks = list(work.chunks())
        image, kept = work.image()
        self.endorsed[proposal.id] = (image, kept, chunks)
        self.replica.write_alone(Endorse(proposal.id, image.root))

    def look(self) -> None:
        """Fold what is proposed, and clear what all stand for."""
        for proposal in self.replica.checkpoints:
            passed = all(
                self.replica.head(log) >= head for log, (head, _hash) in proposal.heads.items()
            )
            if passed and proposal.id not in self.endorsed:
                self.fold(proposal)
            if proposal.id in self.endorsed:
                image, kept, chunks = self.endorsed[proposal.id]
                if not self.replica.checkpoints.waits_for(proposal, image.root):
                    self.proof = self.replica.checkpoints.proof(proposal, image.root)
                    self.replica.stand_on(image, kept)  # type: ignore[arg-type]
                    self.chunks = chunks
                    heads = image.heads()
                    self.disk = [
                        one for one in self.disk if one.seq > heads.get(one.log, (0, b""))[0]
                    ]
                    return

    def load(self, replica: Replica, wall: float) -> Replica:
        """What a process holds that finds this disk."""
        image = self.replica.image
        if image is not None:
            reader = replica.open_image(Image.of(image.data))
            for number, chunk in enumerate(self.chunks, 1):
                assert image.fits(number, chunk)
                assert chunk[0] == MARK
                reader.read(chunk)
            replica.stand_on(image, reader.kept())
        for record in self.disk:
            replica.load(record.data)
        replica.finish_loading(wall)
        return replica


class Net:
    def __init__(self, sites: list[Site], rng: random.Random) -> None:
        self.sites = sites
        self.rng = rng
        self.due: list[list[AppliedRecord]] = [[] for _ in sites]

    def emit(self, site: Site, wall: float) -> None:
        records = site.replica.seal(wall)
        site.disk += records
        for other, waiting in enumerate(self.due):
            if other != site.number:
                waiting += records

    def deliver(self, site: Site, count: int, wall: float) -> None:
        waiting = self.due[site.number]
        for _ in range(min(count, len(waiting))):
            record = waiting[self.rng.randrange(len(waiting))]
            outcome = site.replica.ingest(record.data, wall)
            site.disk += outcome.applied
            if site.replica.head(record.log) >= record.seq and self.rng.random() < 0.9:
                waiting.remove(record)


@pytest.mark.parametrize("seed", SEEDS)
def test_cleared_histories_come_to_the_same(seed: int) -> None:
    rng = random.Random(seed)
    sites = [Site(number, make(number, seed, WALL)) for number in range(4)]
    net = Net(sites, rng)
    wall = WALL
    stood = 0
    for _step in range(90):
        wall += rng.random()
        site = sites[rng.randrange(4)]
        site.disk += site.replica.advance(wall)
        for _ in range(rng.randrange(4)):
            try:
                if seed % 3 == 0:
                    rng.choice(actions(site.replica.keyspace, rng, wall))()
                else:
                    operate(site.replica.keyspace, rng, wall)
            except KeyspaceError:
                continue
        if rng.random() < 0.7:
            net.emit(site, wall)
        net.deliver(sites[rng.randrange(4)], rng.randrange(9), wall)
        if rng.random() < 0.15:
            net.emit(sites[0], wall)
            propose(sites[0].replica)
        if rng.random() < 0.5:
            site = sites[rng.randrange(4)]
            net.emit(site, wall)
            before = site.replica.image
            site.look()
            stood += site.replica.image is not before
        if rng.random() < 0.1:
            site = sites[rng.randrange(4)]
            net.emit(site, wall)
            site.replica = restarted(site, seed, wall)
            site.endorsed.clear()
        agree(sites, seed)
    for site in sites:
        net.emit(site, wall)
    while any(net.due):
        for site in sites:
            net.deliver(site, 50, wall)
    agree(sites, seed)
    assert len({site.replica.digest() for site in sites}) == 1
    for site in sites:
        joined = join(site, seed, wall)
        assert joined.vector() == site.replica.vector()
        assert joined.state_digest() == site.replica.state_digest(), f"seed {seed}"
    if seed == 1:
        assert stood  # it does happen


def agree(sites: list[Site], seed: int) -> None:
    states: dict[bytes, bytes] = {}
    for site in sites:
        if not site.replica.dirty:
            state = states.setdefault(site.replica.digest(), site.replica.state_digest())
            assert state == site.replica.state_digest(), f"seed {seed}"


def propose(replica: Replica) -> None:
    heads = sorted((log.id, log.head, log.head_hash) for log in replica.logs.by_number if log.head)
    if any(log == replica.own_log for log, _head, _hash in heads):
        replica.write_alone(Checkpoint([(bytes(a), b, c) for a, b, c in heads], []))


def restarted(site: Site, seed: int, wall: float) -> Replica:
    fresh = site.load(make(site.number, seed, wall), wall)
    assert fresh.vector() == site.replica.vector()
    assert fresh.state_digest() == site.replica.state_digest(), f"seed {seed}"
    fresh.advance(wall)
    return fresh


def join(site: Site, seed: int, wall: float) -> Replica:
    """A new node: it believes the image by its proof, and takes the records behind it."""
    image = site.replica.image
    fresh = make(3, seed + 1_000_000, wall)
    if image is not None:
        assert site.proof is not None
        believe(Image.of(image.data), site.proof, mesh().identities[3].trust)
    return site.load(fresh, wall)


def test_records_are_told_from_chunks() -> None:
    replica = make(0, 1, WALL)
    replica.keyspace.set(b"k", b"v")
    data = replica.seal(WALL)[0].data
    assert data[0] != MARK
    assert parse_untrusted(data).log == LogId(replica.own_log)
    assert replica.author_of(replica.own_log) == NodeId(mesh().identities[0].node_id)
