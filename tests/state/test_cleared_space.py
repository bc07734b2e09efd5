"""What a log takes after clearing: a few times what is left, whatever was written before."""

import os
import tracemalloc

import pytest
from sites import WALL
from test_random_clearing import Site, make, propose

from gossipnet.state.keyspace import Keyspace

FULL = bool(os.environ.get("GOSSIPNET_SOAK"))
KEYS = 1000 if FULL else 50
OVERWRITES = 1000 if FULL else 200
CYCLES = 100_000 if FULL else 2000
BATCH = 32
"""Operations of one record, as a busy node makes them."""


def clear(site: Site) -> None:
    site.disk += site.replica.seal(WALL)
    propose(site.replica)
    site.disk += site.replica.seal(WALL)
    before = site.replica.image
    site.look()  # it endorses, and is the only author
    site.disk += site.replica.seal(WALL)
    assert site.replica.image is not before


def size(site: Site) -> int:
    return sum(map(len, site.chunks)) + sum(len(record.data) for record in site.disk)


def arrays(site: Site) -> int:
    log = site.replica.logs.by_id[site.replica.own_log]
    kept = log.kept
    return 8 * len(log.stamps) + len(log.hashes) + 16 * len(kept[0])


def write(keyspace: Keyspace, key: int, turn: int) -> None:
    keyspace.set(b"key:%d" % key, b"%08d" % turn + b"v" * 24)


def fill(rounds: int) -> tuple[Site, int]:
    """Overwrite all keys so often, clearing now and then; what stays in memory behind it."""
    tracemalloc.start()
    site = Site(0, make(0, 1, WALL))
    count = 0
    for turn in range(rounds):
        for key in range(KEYS):
            write(site.replica.keyspace, key, turn)
            count += 1
            if count % BATCH == 0:
                site.disk += site.replica.seal(WALL)
        if sum(len(record.data) for record in site.disk) > max(1 << 20, 2 * KEYS * 64):
            clear(site)
    clear(site)
    site.replica.recent._records.clear()  # bounded by itself, and the same however much is written
    site.endorsed.clear()
    held, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return site, held


@pytest.mark.timeout(1800 if FULL else 120)
def test_overwriting_leaves_no_more_than_writing_once() -> None:
    fresh, fresh_memory = fill(1)
    worn, worn_memory = fill(OVERWRITES)
    assert size(worn) < 3 * size(fresh)
    assert arrays(worn) < 3 * arrays(fresh) + 1000
    assert worn_memory < 3 * fresh_memory + 200_000
    assert len(worn.replica.keyspace) == KEYS
    assert worn.replica.total >= KEYS * OVERWRITES // BATCH


def test_adding_and_removing_leaves_no_trace() -> None:
    site = Site(0, make(0, 1, WALL))
    keyspace = site.replica.keyspace
    for turn in range(CYCLES):
        member = b"member %d" % turn
        keyspace.add(b"set", [member])
        keyspace.list_push(b"list", [member])
        keyspace.score_set(b"scores", [(member, 1.0)])
        keyspace.remove(b"set", [member])
        keyspace.list_pop(b"list")
        keyspace.score_remove(b"scores", [member])
        if turn % 50 == 0:
            site.disk += site.replica.seal(WALL)
    clear(site)
    clear(site)  # also the records about the first time
    assert len(keyspace) == 0
    assert site.chunks == []
    assert size(site) < 1500  # one checkpoint and its endorsement
    assert arrays(site) < 200
