"""A bad record among good ones: its bringer loses the link, and nothing else is lost.

Records before the bad one in the same message are applied; if they did not reach the disk too, the
next record of their log would be stored after a hole, and the node could not start again.
"""

import pytest

from gossipnet.ids import NodeId
from gossipnet.protocol.effects import Received
from gossipnet.protocol.wire import AskMembers, IHave, Push, Records, Want, encode
from tests.protocol.mesh import Net


@pytest.mark.parametrize("streamed", [False, True])
def test_what_came_before_a_bad_record_is_stored_and_passed_on(streamed: bool) -> None:
    net = Net(3)
    net.until(net.meshed, 10, "a mesh of three")
    victim, liar, author = net[0], net[1], net[2]
    author.set(b"before", b"v")
    net.until(net.equal, 10, "all have the first record")

    # The author's next record reaches the victim by the liar only, with a bad one behind it.
    net.part("node2")
    author.set(b"good", b"v")
    net.run(0.1)
    replica = author.engine.replica
    good = replica.record(replica.own_log, replica.head(replica.own_log))
    assert good is not None
    bad = good[:-1] + bytes((good[-1] ^ 1,))
    number = next(
        link
        for link, up in victim.engine.links.items()
        if up.node == NodeId(liar.identity.node_id) and up.greeted
    )
    spoilt = Records(9, [good, bad], True, False) if streamed else Push(1, False, [good, bad])
    victim.feed(Received(number, encode(spoilt)))
    assert number not in victim.engine.links
    assert victim.get(b"good") == b"v"
    net.run(0.1)
    assert victim.engine.commits.idle
    assert good in [record.data for record in victim.disk.records]

    # The log goes on, and the victim starts again from its disk.
    net.heal()
    author.set(b"after", b"v")
    net.until(lambda: victim.get(b"after") == b"v", 60, "the next record")
    net.run(1)
    victim.kill()
    victim.start()
    assert victim.get(b"good") == victim.get(b"after") == b"v"


def test_asking_for_one_member_many_times_is_answered_once() -> None:
    net = Net(2)
    net.until(net.meshed, 10, "a mesh of two")
    victim, liar = net[0], net[1]
    number = next(iter(victim.engine.links))
    victim.sent.clear()
    asked = encode(AskMembers([liar.identity.node_id[:16]] * 1024, chains=True))
    victim.feed(Received(number, asked))
    assert sum(len(effect.payload) for effect in victim.sent) < len(asked)


def test_empty_pieces_do_not_hold_the_only_stream() -> None:
    net = Net(2)
    net.until(net.meshed, 10, "a mesh of two")
    victim, liar = net[0], net[1]
    liar.engine._handlers[Want] = lambda _link, _message: None
    number = next(iter(victim.engine.links))
    victim.feed(Received(number, encode(IHave([(bytes(16), 500)]))))
    net.run(0.5)
    sync = victim.engine.sync
    (session,) = sync.pulls
    for _ in range(12):
        if number in victim.engine.links and session in sync.pulls:
            victim.feed(Received(number, encode(Records(session, [], False, False))))
        net.run(0.5)
    assert session not in sync.pulls
