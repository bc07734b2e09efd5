"""A member signs two records with one number: proved to all, void for all, and its links end."""

import pytest

from gossipnet.protocol.effects import Received
from gossipnet.protocol.wire import Push, Records, encode
from gossipnet.state.replica import Replica
from tests.protocol.mesh import Machine, Net


def settled(count: int) -> Net:
    net = Net(count)
    net.until(net.meshed, 20, "everybody knows everybody")
    net.run(2)  # so that no Hello is on its way when links are cut
    return net


def branch(author: Machine, records: int, *, back: int = 0) -> list[bytes]:
    """What the same key signs elsewhere, from a state that is ``back`` records old."""
    replica = author.engine.replica
    twin = Replica(
        key=author.identity.key,
        chain=author.identity.chain,
        trust=author.identity.trust,
        epoch=replica.epoch,
        wall=author.wall,
    )
    own = [record.data for record in author.disk.records if record.log == replica.own_log]
    for data in own[: len(own) - back]:
        twin.load(data)
    found = []
    for number in range(records):
        twin.touch(author.wall + 0.01 * number)
        twin.keyspace.set(b"k", b"twin %d" % number)
        found += [record.data for record in twin.seal(author.wall)]
    return found


def feed(machine: Machine, author: Machine, records: list[bytes]) -> None:
    """Records come over the link with another member, who forged nothing."""
    link = next(n for n, (other, _far, _life) in machine.links.items() if other is not author)
    machine.feed(Received(link, encode(Records(999_999, records, True, False))))


def honest(net: Net, author: Machine) -> list[Machine]:
    return [machine for machine in net if machine is not author]


def agreed(machines: list[Machine]) -> bool:
    replicas = [machine.engine.replica for machine in machines]
    return (
        len({replica.digest() for replica in replicas}) == 1
        and len({replica.state_digest() for replica in replicas}) == 1
        and all(len(replica.forks) == 1 for replica in replicas)
    )


@pytest.mark.parametrize(("ours", "theirs"), [(1, 1), (1, 5), (5, 1), (90, 150), (150, 40)])
def test_the_branches_are_found_and_neither_counts(ours: int, theirs: int) -> None:
    net = settled(5)
    author = net[3]
    author.set(b"before", b"kept")
    net.until(lambda: all(m.get(b"before") == b"kept" for m in net), 5)
    net.part("node1")
    feed(net[1], author, branch(author, theirs))
    for number in range(ours):
        author.set(b"k", b"author %d" % number)
        net.run(0.01)
    net[2].set(b"honest", b"stays")
    net.run(1)
    assert net[1].get(b"k") == b"twin %d" % (theirs - 1)
    assert net[2].get(b"k") == b"author %d" % (ours - 1)
    net.heal()
    rest = honest(net, author)
    net.until(lambda: agreed(rest), 60, "the others agree")
    assert all(m.get(b"k") is None for m in rest)
    assert all(m.get(b"before") == b"kept" and m.get(b"honest") == b"stays" for m in rest)
    net.run(3)
    for machine in rest:
        assert machine.states()["node3"] == "suspect"
        assert "node3" not in {row["name"] for row in machine.engine.peers()}
        assert machine.engine.status()["trust"]["forks"] == 1
        (case,) = machine.engine.why("node3")
        assert case["forks"][0]["seq"] >= 2
        assert machine.engine.status()["members"] == 5
    assert "log-forked" in [event.kind for event in net[0].told]
    assert not any(link.greeted for link in author.engine.links.values())
    # Nobody is blamed for what a member passed on.
    assert all(m.engine.context.counters["protocol_errors"] == 0 for m in rest)


def test_writes_of_others_that_depend_on_a_branch_go_everywhere() -> None:
    net = settled(4)
    author = net[3]
    net.part("node1")
    feed(net[1], author, branch(author, 2))
    net[1].set(b"k", b"over the twin's")
    author.set(b"k", b"author's")
    net.run(1)
    net.heal()
    rest = honest(net, author)
    net.until(lambda: agreed(rest), 60)
    assert all(m.get(b"k") == b"over the twin's" for m in rest)
    assert all(m.engine.replica.held == 0 for m in rest)


def test_a_proof_outlives_restarts_and_a_revocation_settles_it() -> None:
    net = settled(4)
    author = net[3]
    author.set(b"k", b"author's")
    net.run(1)
    feed(net[1], author, branch(author, 1, back=1))
    rest = honest(net, author)
    net.until(lambda: agreed(rest), 10)
    for machine in rest:
        machine.kill()
    for machine in rest:
        machine.start()
    net.until(lambda: agreed(rest), 10)
    net.run(5)
    assert all(m.states()["node3"] == "suspect" for m in rest)
    net[0].write(lambda engine: engine.revoke("node3", "two of it"))
    net.until(lambda: all(m.states()["node3"] == "revoked" for m in rest), 5)
    assert agreed(rest)


def test_the_author_hears_of_it_and_writes_another_log() -> None:
    net = settled(3)
    author = net[2]
    author.set(b"k", b"author's")
    net.run(1)
    epoch = author.engine.replica.epoch
    feed(net[1], author, branch(author, 1, back=1))
    net.until(lambda: author.engine.replica.epoch != epoch, 10)
    author.set(b"k", b"in another log")
    net.run(5)
    assert net[0].get(b"k") is None


def test_a_home_that_was_put_back_forks_nothing() -> None:
    net = settled(3)
    net[2].set(b"a", b"1")
    net.run(1)
    records, meta = list(net[2].disk.records), dict(net[2].disk.meta)
    net[2].set(b"b", b"2")
    net.run(1)
    net[2].kill()
    net[2].disk.records, net[2].disk.meta = records, meta
    net[2].start()
    net.until(lambda: "epoch-opened" in [event.kind for event in net[2].told], 10)
    net[2].set(b"c", b"3")
    net.until(lambda: all(m.get(b"c") == b"3" and m.get(b"b") == b"2" for m in net), 10)
    assert all(len(m.engine.replica.forks) == 0 for m in net)
    assert net.meshed()


def test_what_is_only_sent_twice_is_no_fork() -> None:
    net = settled(3)
    net[2].set(b"k", b"v")
    net.run(1)
    log = net[2].engine.replica.own_log
    data = net[0].engine.replica.record(log, 1)
    feed(net[0], net[2], [data, data])
    link = next(iter(net[0].links))
    net[0].feed(Received(link, encode(Push(1, True, [data]))))
    assert net[0].engine.replica.counters["forks_seen"] == 0
