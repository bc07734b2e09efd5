"""Members that sign whatever they like: the state is a function of the set of their records."""

import itertools
import os
import random

import pytest
from liars import Log, shuffled, swarm
from sites import WALL, mesh

from gossipnet.state import hashes
from gossipnet.state.operations import (
    AnyOperation,
    Delete,
    HashDelete,
    HashExpire,
    HashIncrement,
    HashSet,
    Increment,
    ScoreIncrement,
    ScoreRemove,
    Set,
)
from gossipnet.state.replica import Replica, Status
from gossipnet.state.types import dotted, members, ordered, scores, stream

SEEDS = range(20_000 if os.environ.get("GOSSIPNET_FUZZ") else 60)
KEY = b"k"


def reader(epoch: int = 1) -> Replica:
    one = mesh().identities[3]
    return Replica(key=one.key, chain=one.chain, trust=one.trust, epoch=epoch, wall=WALL)


def shows(replica: Replica) -> object:
    keyspace = replica.keyspace
    found = []
    for key in sorted(keyspace.keys()):
        kind = keyspace.type_of(key)
        reads = {
            "string": lambda key: keyspace.text(key),
            "hash": lambda key: sorted(keyspace.hash_items(key)),
            "set": lambda key: sorted(keyspace.members(key)),
            "zset": lambda key: [repr(pair) for pair in keyspace.ranking(key)],
            "list": lambda key: keyspace.list_slice(key, 0, 1000),
            "stream": lambda key: [(e[:2], e[4]) for e in keyspace.stream(key).entries],
        }
        found.append((key, kind, reads[kind](key)))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_swarm_of_liars_converges_in_every_order(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    logs = swarm(rng, 30)
    found = []
    for number in range(4):
        if number == 2:  # from here on every container is kept as only large ones are
            for module in (members, scores, stream, hashes):
                monkeypatch.setattr(module, "in_vain", lambda _before, after: after > 0)
            monkeypatch.setattr(dotted, "_SHORT", 0)
            monkeypatch.setattr(dotted, "CHUNK", 2)
            monkeypatch.setattr(ordered, "CHUNK", 2)
        replica = reader()
        for data in shuffled(rng, logs):
            assert replica.ingest(data, WALL).status is Status.APPLIED
        found.append((replica.state_digest(), shows(replica)))
    late = reader()
    for data in itertools.chain.from_iterable(log.records for log in logs):
        late.ingest(data, WALL)
    found.append((late.state_digest(), shows(late)))
    assert all(one == found[0] for one in found)


# ---------------------------------------------------------------- counters, order by order


def every_order(*logs: list[bytes], after: dict[bytes, bytes]) -> list[tuple[bytes, ...]]:
    """Of several logs' records, each log in its own order, each record after what it names."""
    records = [data for log in logs for data in log]
    found = []
    for order in itertools.permutations(records):
        place = {data: at for at, data in enumerate(order)}
        in_logs = all(place[a] < place[b] for log in logs for a, b in itertools.pairwise(log))
        if in_logs and all(place[first] < place[then] for then, first in after.items()):
            found.append(order)
    return found


@pytest.mark.parametrize(
    ("step", "removal"),
    [
        (lambda: Increment(KEY, 2), lambda seen: Delete(KEY, seen)),
        (lambda: Increment(KEY, 2), lambda seen: Set(KEY, b"0", False, seen)),
        (lambda: HashIncrement(KEY, b"f", 2), lambda seen: HashDelete(KEY, [b"f"], seen)),
        (lambda: ScoreIncrement(KEY, b"f", 2.0), lambda seen: ScoreRemove(KEY, [b"f"], seen)),
        (lambda: ScoreIncrement(KEY, b"f", 2.0), lambda seen: Delete(KEY, seen)),
    ],
)
@pytest.mark.parametrize("bound", [1, 2, 3, 4])
def test_a_counter_is_what_no_removal_covers_whatever_the_removal_claims(
    step: object, removal: object, bound: int
) -> None:
    """Its owner counts on meanwhile; the removal names less than it saw, or all of it."""
    owner, liar = Log(mesh().identities[0]), Log(mesh().identities[1])
    counted = [owner.write([step(), step()]) for _ in range(4)]
    false = liar.write([removal([(1, bound)])], [(owner.id, bound)])
    again = liar.write([removal([(1, 1)])], [(owner.id, 1)])
    digests = set()
    needs = {false: counted[bound - 2]} if bound > 1 else {}
    orders = every_order(counted, [false, again], after=needs)
    assert len(orders) > 2
    for order in orders:
        replica = reader()
        for data in (owner.records[0], liar.records[0], *order):
            assert replica.ingest(data, WALL).status is Status.APPLIED
        digests.add((replica.state_digest(), repr(shows(replica))))
    assert len(digests) == 1
    left = b"%d" % (4 * (5 - bound))
    assert left in digests.pop()[1].encode()


def test_what_waits_for_the_increment_that_it_names_comes_to_the_same() -> None:
    owner, liar = Log(mesh().identities[0]), Log(mesh().identities[1])
    counted = [owner.write([Increment(KEY, n)]) for n in (1, 10, 100)]
    removal = liar.write([Delete(KEY, [(1, 3)])], [(owner.id, 3)])
    openings = [owner.records[0], liar.records[0]]
    found = set()
    for order in itertools.permutations([*counted, removal]):
        replica = reader()
        left = [*openings, *order]
        while left:
            for data in left:
                replica.ingest(data, WALL)
            left = [
                data for data in left if replica.ingest(data, WALL).status is not Status.DUPLICATE
            ]
        found.add((replica.state_digest(), replica.keyspace.get(KEY)))
    assert len(found) == 1
    assert found.pop()[1] == b"100"


def test_amounts_below_what_is_stable_are_added_up_and_count_as_before() -> None:
    owner, other = Log(mesh().identities[0]), Log(mesh().identities[1])
    operations: list[AnyOperation] = [Increment(KEY, 1), HashIncrement(b"h", b"f", 1)]
    counted = [owner.write(operations) for _ in range(100)]
    removal = other.write([Set(KEY, b"7", False, [(1, 91)])], [(owner.id, 91)])
    plain, folded = reader(), reader()
    for replica in (plain, folded):
        for data in (owner.records[0], other.records[0], *counted):
            replica.ingest(data, WALL)
    register = folded.keyspace.raw(KEY)
    (cell,) = register.cells
    assert len(cell) == 100
    cell.forget((81 << 16) | 0xFFFF, register.arithmetic.plus)
    assert len(cell) == 21
    for replica in (plain, folded):
        replica.ingest(removal, WALL)
        assert replica.keyspace.get(KEY) == b"17"
    assert plain.state_digest() == folded.state_digest()


def test_a_value_that_a_deadline_silenced_stays_so_when_that_deadline_is_gone() -> None:
    """A removal of the first deadline, before or after another one that has not seen the value."""
    one, two, three = (Log(mesh().identities[number]) for number in range(3))
    four = Log(mesh().identities[2], 8)
    value = one.write([HashSet(KEY, [(b"f", b"v")], [])])
    silencing = two.write([HashExpire(KEY, [b"f"], 1 << 48, [(1, 2)])], [(one.id, 2)])
    removal = three.write([HashDelete(KEY, [b"f"], [(1, 2)])], [(two.id, 2)])
    other = four.write([HashExpire(KEY, [b"f"], 1 << 47, [])])
    digests = set()
    for order in itertools.permutations([removal, other]):
        replica = reader()
        begin = [log.records[0] for log in (one, two, three, four)]
        for data in (*begin, value, silencing, *order):
            assert replica.ingest(data, WALL).status is Status.APPLIED
        digests.add(replica.state_digest())
        assert replica.keyspace.hash_deadline(KEY, b"f") == 1 << 47
    assert len(digests) == 1
