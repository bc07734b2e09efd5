"""Authors that write too fast: slowed down at the source, never shed, and only they."""

from gossipnet.identity.founding import admit, expand
from gossipnet.identity.node import NodeIdentity
from gossipnet.protocol.effects import PauseLink
from gossipnet.protocol.quotas import BURST_SECONDS, PAUSE_MAX, RECORDS
from tests.protocol.identities import WALL
from tests.protocol.mesh import Machine, Net


class Paced(Machine):
    """Remembers for how long which link was to be left unread."""

    def carry_out(self, effect):
        if isinstance(effect, PauseLink):
            self.paused = getattr(self, "paused", [])
            self.paused.append((self.engine.links[effect.link].peer.name, effect.seconds))
        else:
            super().carry_out(effect)


def mesh(limits=(0, 0)):
    net = Net()
    founder = Paced(net, "node0", net.add("node0", start=False).identity, ())
    net.machines["node0"] = founder
    founder.paused = []
    founder.start()
    base = admit(founder.identity, "fast", expand(b"fast"), WALL)
    chain = founder.identity.issuer.issue(
        base.public_key, "fast", wall=WALL, entropy=expand(b"limited"), limits=limits
    )
    fast = net.add("fast", seeds=("node0:7117",), start=False)
    fast.identity = NodeIdentity.assemble(base.key, chain, base.trust)
    fast.start()
    net.add("node2", seeds=("node0:7117",))
    net.until(net.meshed, 20)
    net.run(5)
    return net, founder, fast


def write(net, machine, count, per_second, operations=1):
    for number in range(count):
        machine.write(
            lambda engine, number=number: [
                engine.keyspace.set(b"%d/%d" % (number, place), b"v") for place in range(operations)
            ]
        )
        net.run(1 / per_second)
    net.run(1)


def test_an_author_within_the_limits_of_its_certificate_is_never_held_back():
    net, founder, fast = mesh(limits=(100, 0))
    write(net, fast, 200, 20, operations=5)
    assert founder.paused == []
    assert net.equal()


def test_one_beyond_them_is_read_more_slowly_and_loses_nothing():
    net, founder, fast = mesh(limits=(100, 0))
    write(net, fast, 200, 50, operations=5)
    assert net.equal(), "every record was taken"
    assert len(net.machines["node2"].engine.keyspace) == 1000
    assert {name for name, _seconds in founder.paused} == {"fast"}
    assert all(0 < seconds <= PAUSE_MAX for _name, seconds in founder.paused)
    assert founder.engine.context.counters["records_over_quota"] > 0


def test_bytes_count_as_well():
    net, founder, fast = mesh(limits=(0, 10_000))
    for number in range(20):
        fast.set(b"%d" % number, bytes(5_000))
        net.run(0.1)
    net.run(1)
    assert founder.paused
    assert net.equal()


def test_without_limits_there_is_a_generous_budget_for_records():
    net, founder, fast = mesh()
    write(net, fast, 300, 100, operations=20)
    assert founder.paused == []
    assert RECORDS * BURST_SECONDS > 10_000
