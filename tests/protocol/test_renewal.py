"""Certificates over virtual months: renewed in time over the mesh, ended where they were not."""

from dataclasses import replace

import pytest

from gossipnet.errors import Denied, IdentityError
from gossipnet.identity.founding import admit, expand, found
from gossipnet.identity.issuer import Issuer
from gossipnet.identity.signing import Domain, sign
from gossipnet.protocol.expiry import WARN_DAYS
from gossipnet.protocol.renewal import DUE, SPREAD
from gossipnet.protocol.wire import encode
from gossipnet.protocol.wire_trust import RenewAsk, RenewBody
from tests.protocol.identities import WALL
from tests.protocol.mesh import Net

DAY = 86_400.0


def days_later(net, days):
    """Let wall clocks be ``days`` on without simulating every heartbeat of them."""
    for machine in net.machines.values():
        machine.wall_offset += days * DAY
        for link in machine.engine.links.values():
            link.clock_base += days * DAY  # both ends' clocks went on alike
    net.run(0.01)


def kinds(machine):
    return [event.kind for event in machine.told]


def texts(machine, kind):
    return [event.text for event in machine.told if event.kind == kind]


def started(count):
    net = Net(count)
    net.until(net.meshed, 20)
    net.run(5)  # until everybody has its neighbours
    return net


def serial(machine):
    return machine.engine.identity.certificate.serial


def left(machine):
    return (machine.engine.identity.not_after - machine.wall) / DAY


def test_every_node_renews_in_time_without_a_restart_and_goes_on_writing():
    net = started(4)
    before = {m.name: serial(m) for m in net}
    days_later(net, 90 * (DUE + SPREAD) + 0.1)
    net.run(130)
    assert all(serial(m) != before[m.name] and left(m) > 89.9 for m in net)
    assert all(m.engine.status()["certificate_days"] > 89.9 for m in net)
    assert net[0].engine.context.counters["renewals_answered"] == 3
    days_later(net, 40)  # what they had at first has ended long ago
    net.run(70)
    for machine in net:
        machine.set(machine.name.encode(), b"1")
    net.until(net.equal, 10)
    assert all(net[0].get(m.name.encode()) == b"1" for m in net)
    assert all(len(m.links) == 3 for m in net), "a renewed peer's link is not closed"


def test_not_all_renew_at_one_moment_and_none_too_early():
    net = started(6)
    days_later(net, 90 * DUE - 0.1)
    net.run(130)
    assert all("certificate-renewed" not in kinds(m) for m in net)
    days_later(net, 90 * SPREAD / 2 + 0.1)
    net.run(130)
    done = sum("certificate-renewed" in kinds(m) for m in net)
    assert 0 < done < 6


def test_the_others_learn_of_the_new_certificate_from_the_member_record():
    net = started(3)
    net[2].write(lambda engine: engine.renew())
    net.until(lambda: "certificate-renewed" in kinds(net[2]), 5)
    chain = net[2].engine.identity.chain
    net.until(
        lambda: all(
            m.engine.membership.members[net[2].identity.node_id].chain == chain for m in net
        ),
        5,
    )


def test_an_issuer_nobody_can_dial_is_asked_through_its_neighbour():
    net = Net()
    hidden = net.add("node0", start=False)
    net.add("node1")
    net.add("node2", seeds=("node1:7117",))
    hidden.seeds = ("node1:7117",)
    hidden.start(addresses=())
    net.until(net.meshed, 20)
    asking = net[2]
    for link in list(asking.engine.links.values()):
        if link.node == hidden.identity.node_id:
            asking.engine.life.close(link, "test")
    hidden.engine.overlay.dial = lambda *_words: False
    hidden.engine.overlay._seek_neighbours = lambda: None
    asking.turn()
    net.run(1)
    assert hidden.identity.node_id not in {link.node for link in asking.engine.links.values()}
    asking.write(lambda engine: engine.renew())
    net.until(lambda: "certificate-renewed" in kinds(asking), 10)
    assert net[1].engine.context.counters["renewals_carried"] == 1


def test_a_renewal_survives_a_restart_even_if_nothing_was_written_in_between():
    net = started(3)
    writer = net[1]
    writer.set(b"k", b"old")
    net.until(net.equal, 5)
    days_later(net, 63.5)
    net.run(130)
    assert "certificate-renewed" in kinds(writer)
    writer.stop()
    days_later(net, 29)  # the certificate in its log has ended
    writer.start()
    net.until(net.meshed, 20)
    writer.set(b"k", b"new")
    net.until(lambda: net[2].get(b"k") == b"new", 5)


def test_without_an_issuer_it_warns_once_for_each_threshold_and_then_ends():
    net = started(3)
    net[0].kill()
    net.run(15)
    days_later(net, 59.9)
    net.run(130)
    told = net[1].told
    assert not [e for e in told if e.kind == "certificate-ends"]
    for expected, days in ((1, 3.6), (2, 13), (3, 7), (4, 6)):
        days_later(net, days)
        net.run(200)
        assert len([e for e in told if e.kind == "certificate-ends"]) == expected
    assert [e.level for e in told if e.kind == "certificate-ends"] == [*["warning"] * 3, "error"]
    assert "node0" in net[1].engine.status()["certificate"]["warning"]
    assert kinds(net[1]).count("renewal-failed") < 60, "the log is not flooded"
    assert WARN_DAYS == (30, 14, 7, 1)


def test_links_of_expired_peers_are_closed_within_a_minute_and_reasons_differ():
    net = Net()
    founder = net.add("node0", start=False)
    guest = net.add("node1", seeds=("node0:7117",), start=False)
    guest.identity = admit(founder.identity, "node1", expand(b"short"), WALL, ttl=10 * DAY)
    third = net.add("node2", seeds=("node0:7117",), start=False)
    for machine in (founder, third, guest):
        machine.start()
    net.until(net.meshed, 20)
    guest.engine.certificates.renewal._look = lambda: None  # a member that does not care
    guest.engine.context.timers.cancel("renewal")
    days_later(net, 9.9)
    net.run(70)
    assert guest.identity.node_id in {link.node for link in third.engine.links.values()}
    days_later(net, 0.2)
    for machine in (founder, third):
        machine.engine.overlay.avoid(guest.identity.node_id, 1e6)
    guest.engine.overlay.stopped = True
    net.run(70)
    for machine in (founder, third):
        assert guest.identity.node_id not in {link.node for link in machine.engine.links.values()}
        assert texts(machine, "peer-expired")
    assert "certificate ended" in guest.engine.keyspace.refusal[1]


@pytest.mark.parametrize("years", [-3, 3])
def test_a_clock_that_jumps_takes_no_link_down_and_is_called_a_wrong_clock(years):
    net = started(4)
    links = len(net[2].links)
    net[2].wall_offset += years * 365 * DAY
    net.run(130)
    assert len(net[2].links) == links
    assert not any("peer-expired" in kinds(m) for m in net)
    told = net[2].engine.keyspace.refusal[1]
    assert "clock" in told
    net[2].wall_offset = 0.0
    net.run(20)
    assert net[2].engine.keyspace.refusal is None
    net[2].set(b"k", b"v")
    net.until(net.equal, 5)


def test_an_issuer_whose_clock_is_ahead_does_not_certify_itself_from_the_future():
    net = started(3)
    before = serial(net[0])
    net[0].wall_offset += 70 * DAY  # past two thirds, by this clock only
    net.run(200)
    assert serial(net[0]) == before
    assert "70 days ahead of 2 of 2 linked peers" in net[0].engine.keyspace.refusal[1]
    net[0].wall_offset = 0.0
    net.run(30)
    assert net[0].engine.keyspace.refusal is None


def test_one_that_did_so_alone_can_be_put_right_by_hand():
    net = Net(1)
    net[0].wall_offset += 70 * DAY
    net.run(130)
    ahead = net[0].engine.identity.certificate
    assert ahead.not_before > WALL + 69 * DAY
    net[0].wall_offset = 0.0
    net.run(30)
    assert "clock" in net[0].engine.keyspace.refusal[1]
    net[0].write(lambda engine: engine.renew())
    assert net[0].engine.identity.certificate.not_before < WALL + DAY
    net.run(30)
    net[0].set(b"k", b"v")


# -- what an issuer refuses ------------------------------------------------------------------------


def asked(net, who, chain, key, issuer=None, to=None):
    """``who`` sends a request of its own making to node0; the answer's refusal."""
    target = net[0]
    number, _link = next(
        (n, e) for n, e in who.engine.links.items() if e.node == target.identity.node_id
    )
    body = encode(RenewBody(to or target.identity.node_id, int(who.wall * 1000), bytes(16)))
    mesh = who.identity.trust.mesh_id
    got = []
    who.engine.certificates.renewal.on_answer = lambda _link, answer: got.append(answer)
    ask = RenewAsk(
        1,
        target.identity.node_id[:16],
        list(chain),
        [],
        body,
        sign(key, Domain.RENEW, mesh, body),
        b"",
    )
    who.engine.context.send(number, 0, ask)
    who.turn()
    net.run(0.1)
    return got[0].refusal if got else None


def test_an_issuer_renews_only_for_the_key_and_only_what_still_holds():
    net = started(3)
    mine, other = net[1].identity, net[2].identity
    assert "bad-signature" in asked(net, net[1], other.chain, mine.key)
    days_later(net, 1)
    assert "another issuer" in asked(net, net[1], mine.chain, mine.key, to=other.node_id)
    days_later(net, 90)
    assert "expired" in asked(net, net[1], mine.chain, mine.key)
    assert net[0].engine.context.counters["renewals_answered"] == 0
    assert net[0].engine.context.counters["protocol_errors"] == 0


def test_asking_twice_gives_the_same_certificate():
    net = started(2)
    mine = net[1].identity
    answers = [asked(net, net[1], mine.chain, mine.key) for _ in range(3)]
    assert answers == ["", "", ""]
    assert net[0].engine.context.counters["renewals_answered"] == 1


def test_what_comes_back_must_say_the_same_of_this_node():
    net = started(2)
    engine = net[1].engine
    issuer = net[0].identity.issuer
    mine = net[1].identity
    lesser = issuer.issue(
        mine.public_key,
        "node1",
        wall=net[1].wall,
        entropy=expand(b"x"),
        roles=frozenset({"observer"}),
        capabilities=(("read", b""),),
    )
    foreign = issuer.issue(
        net[0].identity.public_key, "node1", wall=net[1].wall, entropy=expand(b"y")
    )
    for chain in (lesser, foreign, ()):
        with pytest.raises(IdentityError):
            engine.certificates.renewal._take(chain, (), forced=True)
    assert engine.identity.chain == mine.chain


def test_a_new_issuer_gets_its_issuer_key_certified_anew_too():
    net = Net()
    founder = net.add("node0", start=False)
    second = net.add("node1", seeds=("node0:7117",), start=False)
    joined = admit(
        founder.identity,
        "node1",
        expand(b"second issuer"),
        WALL,
        roles=frozenset({"member", "issuer"}),
    )
    short = founder.identity.issuer.issue_issuer(
        joined.issuer.key.public_key, "node1", wall=WALL, entropy=expand(b"z"), ttl=30 * DAY
    )
    second.identity = replace(joined, issuer=Issuer(joined.issuer.key, short, joined.trust))
    founder.start()
    second.start()
    net.until(net.meshed, 20)
    days_later(net, 21.5)
    net.run(130)
    assert second.engine.identity.issuer.certificate.not_after > WALL + 300 * DAY
    assert "issuer" in second.engine.identity.roles


def test_a_node_without_an_issuer_says_so():
    net = Net(1)
    net.add("node5", seeds=())
    with pytest.raises(Denied, match="no issuer"):
        net.machines["node5"].engine.renew()
    before = serial(net[0])
    net[0].write(lambda engine: engine.renew())
    assert serial(net[0]) != before, "an issuer renews itself at once"


def test_when_the_issuers_own_certificate_ends_the_founder_is_warned():
    founder = found("m", "node0", expand(b"old"), WALL - 340 * DAY)
    net = Net()
    machine = net.add("node0", start=False)
    machine.identity = founder.renewed(
        founder.issuer.issue(
            founder.public_key,
            "node0",
            wall=WALL,
            entropy=expand(b"q"),
            roles=founder.roles,
            capabilities=founder.certificate.capabilities,
        )
    )
    machine.start()
    net.run(70)
    assert "root key" in texts(machine, "certificate-ends")[0]
    assert "root key" in machine.engine.status()["certificate"]["warning"]


def test_a_log_that_is_full_of_certificates_ends_in_time_and_another_begins(monkeypatch):
    monkeypatch.setattr("gossipnet.state.voids.STEPS_MAX", 5)
    net = started(3)
    for number in range(4):
        days_later(net, 90 * (DUE + SPREAD) + 0.1)
        net.run(130)
        for machine in net:
            machine.engine.keyspace.set(b"%s%d" % (machine.name.encode(), number), b"v")
        net.run(5)
    assert all("epoch-opened" in kinds(m) for m in net)
    assert all(len(m.engine.keyspace) == 12 for m in net)
    assert not any(m.engine.replica.counters["records_revoked"] for m in net)
    assert len({m.engine.replica.state_digest() for m in net}) == 1
