"""Records that wait: nobody can fill the room so that others' records find none."""

import pytest

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.founding import expand, found
from gossipnet.identity.node import NodeIdentity
from gossipnet.state import waiting
from gossipnet.state.replica import Replica, Status
from tests.security.hostile import Author
from tests.state.sites import WALL, mesh

LIAR, HONEST, WITNESS = (mesh().identities[number] for number in range(3))


def replica(identity: NodeIdentity) -> Replica:
    return Replica(key=identity.key, chain=identity.chain, trust=identity.trust, epoch=1, wall=WALL)


def ahead(author: Author, by: float) -> bytes:
    """The next record, stamped that many seconds ahead."""
    return author.write([], stamp=(int((WALL + by) * 1000) << 16) + 1, seq=author.seq + 1)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "HELD_RECORDS", 40)
    monkeypatch.setattr(waiting, "QUARANTINED_RECORDS", 40)


def test_an_author_that_fills_the_room_makes_room_for_another() -> None:
    reader = replica(WITNESS)
    liar, honest = Author(LIAR, WALL), Author(HONEST, WALL)
    reader.ingest(liar.write(), WALL)
    reader.ingest(honest.write(), WALL)
    liar.write()
    for _ in range(100):
        reader.ingest(liar.write(), WALL)  # each waits for the one that is never sent
    assert reader.held == 40
    missing = honest.write()
    records = [honest.write() for _ in range(15)]
    for data in reversed(records):
        assert reader.ingest(data, WALL).status is Status.HELD
    assert reader.held == 40
    assert reader.counters["held_evicted"] == 15
    assert len(reader.ingest(missing, WALL).applied) == 16
    assert reader.held == 25


def test_many_logs_of_one_author_are_one_share() -> None:
    reader = replica(WITNESS)
    for epoch in range(60):
        first = Author(LIAR, WALL, epoch)
        reader.ingest(first.write([], seq=1, logs=[(b"n" * 16, 1)]), WALL)
    assert reader.held == 40
    honest = Author(HONEST, WALL)
    reader.ingest(honest.write(), WALL)
    missing, late = honest.write(), honest.write()
    reader.ingest(late, WALL)
    assert len(reader.ingest(missing, WALL).applied) == 2


def test_the_quarantine_is_shared_too_and_what_was_evicted_is_asked_for_again() -> None:
    reader = replica(WITNESS)
    for epoch in range(60):
        liar = Author(LIAR, WALL + 10 * 365 * 86_400, epoch)
        reader.ingest(liar.write(), WALL)
    assert reader.quarantined == 40
    honest = Replica(
        key=HONEST.key, chain=HONEST.chain, trust=HONEST.trust, epoch=1, wall=WALL + 90
    )
    honest.keyspace.set(b"k", b"v")
    (early,) = [one.data for one in honest.seal(WALL + 90)]
    assert reader.ingest(early, WALL).status is Status.QUARANTINED
    assert reader.counters["held_evicted"] == 1
    assert reader.wanted_from({liar.log: 1}) == [(liar.log, 1, 1)]
    assert len(reader.advance(WALL + 60)) == 1
    assert reader.keyspace.get(b"k") == b"v"


def test_first_records_of_strangers_are_not_kept() -> None:
    reader = replica(WITNESS)
    stranger = found("other", "eve", expand(b"eve"), WALL)
    records = [
        Author(stranger, WALL).write([], seq=1, logs=[(b"n" * 16, 1)]),
        Author(stranger, WALL + 3600).write(),
    ]
    for data in records:
        with pytest.raises(RemoteProtocolError):
            reader.ingest(data, WALL)
    assert reader.held == reader.quarantined == 0


def test_evictions_leave_nothing_behind() -> None:
    reader = replica(WITNESS)
    authors = [Author(one, WALL) for one in (LIAR, HONEST)]
    for author in authors:
        reader.ingest(author.write(), WALL)
        author.write()
    for turn in range(3000):
        author = authors[turn // 60 % 2]
        reader.ingest(author.write([], logs=[(turn.to_bytes(16, "big"), 1)], seq=3 + turn), WALL)
    room = reader.waiting
    assert room._entries <= 2 * len(room._why) + waiting._SLACK
    assert len(room._needed) <= room._entries
    assert len(room._why) == room.held + room.quarantined == 40
