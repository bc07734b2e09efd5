"""What issuers have signed that there is: a node sees that it is shown less."""

import msgspec
import pytest

from gossipnet.errors import BadSignature, CertificateError, RemoteProtocolError
from gossipnet.identity.frontier import decode_frontier, make_frontier
from gossipnet.protocol import frontiers
from gossipnet.protocol.frontiers import ANYWAY, EVERY, FIRST, LOOK, PATIENCE
from tests.protocol.identities import WALL, identity
from tests.protocol.mesh import Net

ISSUER, MEMBER = identity("node0"), identity("node1")
HEADS = [(b"l" * 16, 7, b"h" * 32)]


def frontier(machine):
    return machine.engine.status()["trust"]["frontier"]


def withheld(machine):
    return [event for event in machine.told if event.kind == "records-withheld"]


def written(count=3):
    net = Net(count)
    net.until(net.meshed, 20)
    net[0].set(b"a", b"1")
    net.run(FIRST + 61)
    assert all(frontier(machine)["signers"] == 1 for machine in net)
    return net


def test_everybody_holds_the_newest_one_and_nothing_is_missing(monkeypatch):
    monkeypatch.setattr(frontiers, "EVERY", 120)
    net = written()
    for number in range(4):
        net[number % 3].set(b"k%d" % number, b"v")
        net.run(120)
    for machine in net:
        assert frontier(machine)["age_s"] <= 120
        assert frontier(machine)["withheld"] == frontier(machine)["contradicted"] == 0
        assert not withheld(machine)
        assert sum(name.startswith("notice/") for name in machine.disk.meta) == 1
    assert net[0].engine.context.counters["frontiers_signed"] == 5


def test_only_issuers_sign():
    net = written()
    assert [m.engine.context.counters["frontiers_signed"] for m in net] == [1, 0, 0]
    forged = make_frontier(MEMBER.key, MEMBER.chain, MEMBER.trust, wall=WALL, heads=HEADS)
    with pytest.raises(CertificateError, match="may not sign"):
        decode_frontier(forged, ISSUER.trust)


def shown_as_it_was(relay, newcomer, net, log):
    """The relay loses a log's newest record and all else that knew it is down."""
    relay.kill()
    relay.disk.records = [r for r in relay.disk.records if (r.log, r.seq) != log]
    for machine in list(net):
        if machine is not newcomer:
            machine.kill()
    relay.start()


def test_a_newcomer_sees_that_its_only_peer_keeps_a_log_s_tail_back():
    net = written()
    net[0].set(b"a", b"2")
    net.run(EVERY + 61)
    own = net[0].engine.replica.own_log
    head = net[0].engine.replica.head(own)
    assert head >= 2
    net.add("node3", seeds=("node1:7117",), start=False)
    shown_as_it_was(net[1], None, net, (own, head))
    newcomer = net.machines["node3"].start()
    net.until(lambda: newcomer.get(b"a") == b"1", 60)
    net.run(PATIENCE + 3 * LOOK)
    assert newcomer.get(b"a") == b"1"
    assert frontier(newcomer)["withheld"] == 1
    (event,) = withheld(newcomer)
    assert f"goes to {head}" in event.text
    net[0].start()
    net.until(lambda: newcomer.get(b"a") == b"2", 60)
    net.until(lambda: frontier(newcomer)["withheld"] == 0, 2 * LOOK)


def test_one_that_returns_sees_that_the_mesh_is_older_than_when_it_left():
    """Nobody has signed anything since: the age of the newest statement says so."""
    net = written()
    returning = net[2]
    returning.stop()
    net[0].kill()
    net.run(3 * ANYWAY / 24)
    returning.start()
    net.run(5)
    assert frontier(returning)["age_s"] > 2.9 * ANYWAY / 24


def test_what_a_revoked_issuer_signed_counts_no_more():
    net = written()
    lie = make_frontier(
        net[0].identity.key, net[0].identity.chain, ISSUER.trust, wall=net[0].wall, heads=HEADS
    )
    net[1].engine.standing.board.publish(4, lie)
    net[1].turn()
    net.run(PATIENCE + 3 * LOOK)
    assert frontier(net[2])["withheld"] == 1
    engine = net[2].engine
    engine.standing.frontiers._revocations.strikes = lambda node, _chain: node == ISSUER.node_id
    net.run(2 * LOOK)
    assert frontier(net[2]) == {"signers": 0, "age_s": None, "withheld": 0, "contradicted": 0}


def test_another_row_of_records_under_the_same_number_shows():
    net = written(2)
    own = net[0].engine.replica.own_log
    head = net[0].engine.replica.head(own)
    lie = make_frontier(
        ISSUER.key, ISSUER.chain, ISSUER.trust, wall=net[0].wall, heads=[(own, head, b"x" * 32)]
    )
    net[0].engine.standing.board.publish(4, lie)
    net[0].turn()
    net.run(2 * LOOK)
    assert frontier(net[1])["contradicted"] == 1


def test_every_changed_byte_is_refused():
    good = make_frontier(ISSUER.key, ISSUER.chain, ISSUER.trust, wall=WALL, heads=HEADS)
    found = decode_frontier(good, ISSUER.trust)
    assert found.heads == {b"l" * 16: (7, b"h" * 16)}
    assert found.signer == ISSUER.node_id
    for place in range(len(good)):
        broken = bytearray(good)
        broken[place] ^= 1
        with pytest.raises((RemoteProtocolError, BadSignature)):
            decode_frontier(bytes(broken), ISSUER.trust)
    for junk in (b"", b"\xc0", msgspec.msgpack.encode([b"", bytes(64), []]), bytes(500_000)):
        with pytest.raises(CertificateError):
            decode_frontier(junk, ISSUER.trust)
