"""Two records with one number: the log ends before them, on every replica, in every order."""

import itertools
import random
from collections.abc import Sequence

import pytest
from sites import WALL, mesh

from gossipnet import ids
from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.founding import found_mesh
from gossipnet.ids import LogId
from gossipnet.state.fork import ForkProof, Forks, decode_proof, make_proof
from gossipnet.state.record import parse_untrusted
from gossipnet.state.replica import AppliedRecord, Replica, Status

AUTHOR, HONEST, READER, LAST = mesh().identities
TRUST = AUTHOR.trust


def replica(forks: Forks | None = None) -> Replica:
    return Replica(
        key=READER.key, chain=READER.chain, trust=TRUST, epoch=9, wall=WALL + 100, forks=forks
    )


def twins(common: int, ahead: int) -> tuple[list[AppliedRecord], list[AppliedRecord]]:
    """Two rows of records of one log that share their first ``common`` ones."""
    rows = []
    for side in (b"left", b"right"):
        author = Replica(key=AUTHOR.key, chain=AUTHOR.chain, trust=TRUST, epoch=1, wall=WALL)
        row = []
        for number in range(common + ahead):
            author.touch(WALL + number)
            if number < common:
                author.keyspace.set(b"shared%d" % number, b"v")
            else:
                author.keyspace.set(b"key", side + b"%d" % number)
                author.keyspace.add(b"set", [side])
            row += author.seal(WALL + number)
        rows.append(row)
    return rows[0], rows[1]


def proof_of(left: Sequence[AppliedRecord], right: Sequence[AppliedRecord]) -> ForkProof:
    place = next(n for n in range(len(left)) if left[n].data != right[n].data)
    one, other = parse_untrusted(left[place].data), parse_untrusted(right[place].data)
    return decode_proof(make_proof(AUTHOR.public_key, 1, AUTHOR.chain, one, other), TRUST)


class Observer:
    """A replica with a disk that takes records and proofs as they come."""

    def __init__(self) -> None:
        self.replica = replica()
        self.disk: list[bytes] = []

    def take(self, event: AppliedRecord | ForkProof) -> None:
        if isinstance(event, AppliedRecord):
            applied = self.replica.ingest(event.data, WALL + 100).applied
        else:
            if not self.replica.forks.add(event)[0]:
                return
            stale = self.replica.revocations_changed()
            applied = self.replica.freeze(event, WALL + 100).applied
            if stale:
                self.rebuild()
        self.disk += [record.data for record in applied]

    def rebuild(self) -> None:
        work = self.replica.begin_rebuild()
        while wanted := work.wanted():
            ranges = {log: (first, last) for log, first, last in wanted}
            for data in self.disk:
                log, seq = LogId(data[2:18]), int.from_bytes(data[18:26], "big")
                first, last = ranges.get(log, (1, 0))
                if first <= seq <= last:
                    work.feed(data)
        work.finish()

    def restarted(self) -> Replica:
        forks = Forks(TRUST)
        for proof in self.replica.forks:
            forks.add(proof)
        other = replica(forks)
        for data in self.disk:
            other.load(data)
        other.finish_loading(WALL + 100)
        return other


def deliver(events: Sequence[AppliedRecord | ForkProof], again: int = 3) -> Observer:
    observer = Observer()
    for _ in range(again):
        for event in events:
            observer.take(event)
    return observer


def look(observer: Observer) -> tuple[bytes, bytes, int]:
    found = observer.replica
    return found.digest(), found.state_digest(), found.total


@pytest.mark.parametrize("common", [0, 1, 3])
def test_every_replica_ends_the_log_before_the_fork(common: int) -> None:
    left, right = twins(common, 2)
    proof = proof_of(left, right)
    assert proof.seq == common + 1
    author = Replica(key=HONEST.key, chain=HONEST.chain, trust=TRUST, epoch=1, wall=WALL)
    for record in left:
        author.ingest(record.data, WALL + 50)
    author.keyspace.set(b"key", b"honest, over the left branch")
    author.keyspace.remove(b"set", [b"left"])
    honest = author.seal(WALL + 51)
    expected = None
    rng = random.Random(common)
    for _ in range(40):
        events = [*left, *right, *honest, proof]
        rng.shuffle(events)
        observer = deliver(events)
        assert observer.replica.head(proof.log) == common
        assert observer.replica.keyspace.get(b"key") == b"honest, over the left branch"
        assert not observer.replica.keyspace.exists(b"set")
        assert observer.replica.held == 0
        expected = expected or look(observer)
        assert look(observer) == expected
        assert observer.restarted().state_digest() == expected[1]
        assert observer.restarted().digest() == expected[0]


def test_all_permutations_with_one_branch_each() -> None:
    left, right = twins(1, 1)
    proof = proof_of(left, right)
    seen = set()
    for branch in (left, right, [*left, right[1]], left[:1]):
        for events in itertools.permutations([*branch, proof]):
            seen.add(look(deliver(events)))
    assert len(seen) == 1


def test_of_two_forks_the_lower_one_counts() -> None:
    left, right = twins(1, 3)
    low = proof_of(left, right)
    author = Replica(key=AUTHOR.key, chain=AUTHOR.chain, trust=TRUST, epoch=1, wall=WALL)
    for record in left[:2]:
        author.load(record.data)
    author.touch(WALL + 77)
    author.keyspace.set(b"key", b"third branch")
    third = [*left[:2], *author.seal(WALL + 77)]
    high = proof_of(left[:3], third)
    assert (low.seq, high.seq) == (2, 3)
    seen = set()
    for events in itertools.permutations([*left[:3], third[2], low, high]):
        observer = deliver(events)
        seen.add(look(observer))
    assert len(seen) == 1


def test_a_fork_is_noticed_whatever_comes_of_it() -> None:
    left, right = twins(2, 3)
    observer = deliver(left)
    for record in right[2:]:
        status = observer.replica.ingest(record.data, WALL + 100).status
        assert status is Status.FORKED
    assert observer.replica.ingest(right[0].data, WALL + 100).status is Status.DUPLICATE
    behind = deliver(left[:3])
    assert behind.replica.ingest(right[3].data, WALL + 100).status is Status.FORKED
    assert deliver(left).replica.digest() != deliver(right).replica.digest()


def test_the_author_itself_goes_on_in_another_log() -> None:
    left, right = twins(1, 2)
    own = Replica(key=AUTHOR.key, chain=AUTHOR.chain, trust=TRUST, epoch=1, wall=WALL)
    for record in left:
        own.load(record.data)
    assert own.ingest(right[1].data, WALL).status is Status.OWN_AHEAD
    own.open_epoch(2, WALL)
    assert own.ingest(right[1].data, WALL).status is Status.FORKED


# -- proofs ----------------------------------------------------------------------------------------


def test_a_proof_is_the_same_whichever_record_came_first() -> None:
    left, right = twins(1, 1)
    assert proof_of(left, right).data == proof_of(right, left).data
    assert proof_of(left, right).author == AUTHOR.node_id


def test_every_changed_byte_is_noticed() -> None:
    good = proof_of(*twins(1, 1)).data
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1
        with pytest.raises(RemoteProtocolError):
            decode_proof(bytes(bad), TRUST)
    for end in range(0, len(good), 11):
        with pytest.raises(RemoteProtocolError):
            decode_proof(good[:end], TRUST)


def test_what_proves_nothing_is_refused() -> None:
    left, right = twins(1, 2)
    one, other = (parse_untrusted(row[2].data) for row in (left, right))
    with pytest.raises(RemoteProtocolError, match="may both be there"):
        decode_proof(make_proof(AUTHOR.public_key, 1, AUTHOR.chain, one, other), TRUST)
    first, second = (parse_untrusted(record.data) for record in left[:2])
    with pytest.raises(RemoteProtocolError, match="may both be there"):
        decode_proof(make_proof(AUTHOR.public_key, 1, AUTHOR.chain, first, second), TRUST)
    with pytest.raises(RemoteProtocolError, match="one record twice"):
        decode_proof(make_proof(AUTHOR.public_key, 1, AUTHOR.chain, first, first), TRUST)
    good = [parse_untrusted(row[1].data) for row in (left, right)]
    with pytest.raises(RemoteProtocolError):
        decode_proof(make_proof(AUTHOR.public_key, 2, AUTHOR.chain, *good), TRUST)
    with pytest.raises(RemoteProtocolError):
        decode_proof(make_proof(HONEST.public_key, 1, HONEST.chain, *good), TRUST)
    with pytest.raises(RemoteProtocolError):
        decode_proof(make_proof(AUTHOR.public_key, 1, HONEST.chain, *good), TRUST)
    stranger = found_mesh(1, seed=b"other").identities[0]
    with pytest.raises(RemoteProtocolError):
        decode_proof(make_proof(stranger.public_key, 1, stranger.chain, *good), TRUST)
    assert ids.log_id(AUTHOR.public_key, 1) == good[0].log
