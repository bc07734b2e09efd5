"""What one hostile neighbour alone cannot bring about: a stop of repair, a stop of writing."""

import pytest

from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.sync import STALLED
from gossipnet.protocol.wire import Digest, Records, Vector, Want
from gossipnet.state import record
from tests.protocol.mesh import Net
from tests.security.hostile import Author, identity, settled


def test_a_neighbour_that_drips_records_does_not_hold_up_what_others_have() -> None:
    net, (liar,) = settled(2, "liar")
    victim, source = net[0], net[1]
    author = Author(identity("somebody"), victim.wall - 1000)
    drops = [author.write() for _ in range(100)]
    tip = record.parse_untrusted(drops[-1]).hash[:16]
    link = liar.connect(victim)
    net.part("node1")
    for number in range(300):  # more than what fills a gap from memory
        source.set(b"k%d" % number, b"v")
        net.run(0.003)
    liar.say(link, Vector([(author.log, 100, tip)], False))
    net.run(0.05)
    (want,) = liar.heard_of(Want)
    assert list(victim.engine.sync.pulls) == [want.session], "the liar holds the only pull"
    net.heal()
    began = net.now
    for data in drops:
        liar.say(link, Records(want.session, [data], False, False))
        net.run(STALLED - 0.1)
        if victim.get(b"k299") is not None:
            break
    assert victim.get(b"k299") == b"v"
    assert net.now - began < 5 * STALLED
    assert victim.engine.context.counters["pulls_slow"] == 1
    assert victim.engine.replica.head(author.log) > 1, "what it brings is taken all the same"


def test_the_next_pulls_from_a_slow_neighbour_keep_nobody_waiting() -> None:
    net, (liar,) = settled(2, "liar")
    victim = net[0]
    link = victim.engine.overlay.linked(liar.identity.node_id)
    other = victim.engine.overlay.linked(net[1].identity.node_id)
    assert link is not None
    assert other is not None
    sync = victim.engine.sync
    sync._slow[link.number] = net.now + 30
    sync._pull(link, [(Author(identity("a"), 1.0).log, 1, 100)])
    sync._pull(link, [(Author(identity("b"), 1.0).log, 1, 100)])
    assert [pull.slow for pull in sync.pulls.values()] == [True], "one a neighbour"
    sync._pull(other, [(Author(identity("c"), 1.0).log, 1, 100)])
    assert [pull.slow for pull in sync.pulls.values()] == [True, False]


def test_one_peer_s_clock_does_not_stop_this_node_s_writes() -> None:
    net, (liar,) = settled(3, "liar")
    victim = net[0]
    links: list[PeerLink] = list(victim.engine.links.values())
    mine = [link for link in links if link.node == liar.identity.node_id]
    honest = [link for link in links if link.node != liar.identity.node_id]
    for link in mine:
        link.clock_base += 7200
    victim.engine.clock.look()
    assert victim.engine.keyspace.refusal is None
    for link in honest:  # even while it is the only one that has greeted
        link.greeted = False
    victim.engine.clock.look()
    assert victim.engine.keyspace.refusal is None
    honest[0].greeted = True
    honest[0].clock_base += 7200
    victim.engine.clock.look()
    assert victim.engine.keyspace.refusal is not None, "two that agree are believed"


@pytest.mark.parametrize("members", [2, 4])
def test_a_clock_that_is_wrong_is_still_noticed(members: int) -> None:
    net = Net(members)
    net.until(net.meshed, 20, "a mesh")
    net[1].kill()
    net[1].wall_offset = -7200.0
    net.run(1)
    net[1].start()
    net.until(lambda: net[1].engine.keyspace.refusal is not None, 20, "it is told")


def test_the_harness_is_answered_as_any_neighbour_is() -> None:
    net, (liar,) = settled(2, "liar")
    link = liar.connect(net[0])
    liar.heard.clear()
    liar.say(link, Digest(bytes(32), bytes(32), 0))
    net.run(0.1)
    assert liar.heard_of(Vector)
