"""A disk that is slow, or full, costs its node the news and nothing else."""

from gossipnet.protocol import commits as commits_module
from tests.protocol.mesh import Net


def settled(count: int) -> Net:
    net = Net(count)
    net.until(net.meshed, 30)
    return net


def test_a_stalled_disk_takes_no_more_records_and_buries_nobody(monkeypatch) -> None:
    """Its links are read on: who cannot write is not dead, and does not take others for dead."""
    monkeypatch.setattr(commits_module, "CONGESTED_BYTES", 300_000)
    net = settled(4)
    slow = net[2]
    slow.disk_stalled = True
    for number in range(40):
        net[0].set(b"bulk%d" % number, bytes(20_000))
        net.run(0.5)
    assert all(set(machine.states().values()) == {"alive"} for machine in net)
    kept = sum(slow.get(b"bulk%d" % number) is not None for number in range(40))
    assert 10 < kept < 25, "about as much as may wait for the disk"
    counters = slow.engine.context.counters
    assert counters["records_deferred"] > 0
    assert counters["accusations_made"] == 0

    slow.free_disk()
    net.until(net.equal, 10)
    assert slow.get(b"bulk39") == bytes(20_000)


def test_a_full_disk_is_freed_in_the_middle_of_a_large_catch_up(monkeypatch) -> None:
    monkeypatch.setattr(commits_module, "CONGESTED_BYTES", 300_000)
    net = settled(3)
    net[2].kill()
    for number in range(60):
        net[0].set(b"bulk%d" % number, bytes(20_000))
    net.run(1)
    net[2].start()
    net[2].disk_stalled = True
    net.run(40)
    assert net[2].engine.replica.total < 40
    assert net[2].engine.context.counters["pulls_stalled"] == 0
    assert set(net[0].states().values()) == {"alive"}
    net[2].free_disk()
    net.until(net.equal, 20)
