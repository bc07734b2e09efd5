"""A write that every node would void is refused before it looks as if it had worked."""

import pytest

from gossipnet.identity.founding import found_mesh
from gossipnet.state.errors import WritesRefused
from gossipnet.state.replica import Replica

FOUNDED = 1_800_000_000.0
DAY = 86_400.0


def replica(wall: float) -> Replica:
    identity = found_mesh(1, wall=FOUNDED).identities[0]
    made = Replica(key=identity.key, chain=identity.chain, trust=identity.trust, epoch=1, wall=wall)
    made.advance(wall)
    return made


@pytest.mark.parametrize("wall", [FOUNDED - 3 * 3600, FOUNDED + 91 * DAY])
def test_nothing_is_written_outside_the_certificates_time(wall: float) -> None:
    made = replica(wall)
    with pytest.raises(WritesRefused, match="certificate") as caught:
        made.keyspace.set(b"key", b"value")
    assert caught.value.code == "CLOCKSKEW"
    assert made.keyspace.get(b"key") is None
    assert not made.seal(wall)


@pytest.mark.parametrize("wall", [FOUNDED - 200, FOUNDED, FOUNDED + 89 * DAY])
def test_what_is_written_within_it_counts_for_others_and_after_a_restart(wall: float) -> None:
    made = replica(wall)
    made.keyspace.set(b"key", b"value")
    records = [record.data for record in made.seal(wall)]
    again = replica(wall)
    for data in records:
        again.load(data)
    again.finish_loading(wall)
    assert again.keyspace.get(b"key") == b"value"


def test_writing_goes_on_when_the_clock_is_set_right() -> None:
    made = replica(FOUNDED - 3 * 3600)
    with pytest.raises(WritesRefused):
        made.keyspace.set(b"key", b"early")
    made.advance(FOUNDED + 60)
    made.keyspace.set(b"key", b"now")
    assert made.keyspace.get(b"key") == b"now"


def test_a_transaction_that_wrote_nothing_leaves_no_old_stamp_behind() -> None:
    made = replica(FOUNDED + 60)
    made.keyspace.set(b"first", b"1")
    made.seal(FOUNDED + 60)
    with made.keyspace.atomic():
        made.keyspace.get(b"first")
    made.advance(FOUNDED + 3600)
    made.keyspace.set(b"key", b"later")
    (record,) = made.seal(FOUNDED + 3600)
    stamp = int.from_bytes(record.data[58:66], "big") >> 16
    assert stamp == int((FOUNDED + 3600) * 1000)
