"""The simulated database keeps what the real one promises, and loses the rest."""

import pytest

from gossipnet.protocol.effects import Committed, LogRead, ReadLog
from tests.sim.toy import act, toy_world

LOG = b"L" * 16


def test_commit_is_acknowledged_after_its_fsync():
    world, _network, (a,) = toy_world(1)
    acknowledged = []
    a.process.act(lambda engine: engine.commit(b"one"), lambda: acknowledged.append(world.now))
    assert acknowledged == []
    world.run(1.0)
    assert 0.0005 <= acknowledged[0] <= 0.004
    assert [record.data for record in a.disk.records] == [b"one"]


def test_commits_that_nothing_waits_for_share_a_transaction():
    world, _network, (a,) = toy_world(1)
    for _ in range(10):
        act(a, lambda engine: engine.commit(b"x", urgent=False))
    world.run(0.04)
    assert a.disk.records == []
    world.run(1.0)
    assert (len(a.disk.records), a.disk.transactions) == (10, 1)
    assert a.process.engine.inputs(Committed) == [Committed(10)]


def test_power_failure_keeps_whole_transactions_in_order_and_loses_no_acknowledged_one():
    kept_some = lost_some = 0
    for seed in range(60):
        world, _network, (a,) = toy_world(1, seed=seed)
        acknowledged = []
        for place in range(40):
            world.at(
                place * 0.001,
                a.process.act,
                lambda engine, p=place: engine.commit(
                    bytes([p]), bytes([p]), meta=[("n", bytes([p]))]
                ),
                lambda p=place, to=acknowledged: to.append(p),
            )
        world.run(0.0205)
        a.lose_power()
        data = [record.data for record in a.disk.records]
        written = data[::2]
        assert data == [bytes([p]) for p in range(len(written)) for _ in range(2)]
        assert written[: len(acknowledged)] == [bytes([p]) for p in acknowledged]
        assert a.disk.meta["n"] == written[-1]
        kept_some += len(written) > len(acknowledged)
        lost_some += len(written) < 21
    assert kept_some
    assert lost_some


def test_every_second_loses_at_most_the_last_second_and_opens_a_new_epoch():
    lost = []
    for seed in range(40):
        world, _network, (a,) = toy_world(1, seed=seed, durability="every-second")
        epoch = a.disk.meta["epoch"]
        for place in range(50):
            world.at(place * 0.1, a.process.act, lambda engine: engine.commit(b"x"), lambda: None)
        world.run(4.95)
        a.lose_power()
        lost.append(50 - len(a.disk.records))
        a.start()
        assert a.disk.meta["epoch"] != epoch
    assert max(lost) >= 5
    assert all(count <= 11 for count in lost)


def test_killing_the_process_loses_nothing_that_was_written():
    world, _network, (a,) = toy_world(1, durability="every-second")
    epoch = a.disk.meta["epoch"]
    act(a, lambda engine: engine.commit(b"x"))
    world.run(0.01)
    a.kill()
    a.start()
    assert len(a.disk.records) == 1
    assert a.disk.meta["epoch"] == epoch


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_reading_goes_on_where_it_stopped_and_sees_earlier_commits(limit):
    world, _network, (a,) = toy_world(1)
    act(a, lambda engine: engine.commit(*(bytes([n]) for n in range(10)), urgent=False))
    wanted = ((LOG, 3, 5), (LOG, 8, 99), (b"?" * 16, 1, 9))
    found, position = [], 0
    while position is not None:
        act(a, lambda engine, p=position: engine.effects.append(ReadLog(1, wanted, p, limit)))
        world.run(world.now + 0.1)
        answer = a.process.engine.inputs(LogRead)[-1]
        assert limit > 9 or len(answer.records) == limit or answer.position is None
        found += answer.records
        position = answer.position
    assert found == [bytes([n]) for n in (2, 3, 4, 7, 8, 9)]
