"""A clock that is set back revives nothing that has ended, and dates nothing back."""

import pytest
from test_engine_join import Newcomer, invite, key_of

from gossipnet.errors import CertificateError, RemoteProtocolError, UserError
from gossipnet.identity.handover import write_request
from gossipnet.protocol.handshake import PostQuantum, Transport
from gossipnet.protocol.session import Session
from gossipnet.protocol.timefloor import META
from tests.protocol.identities import identity
from tests.protocol.mesh import Net

DAY = 86_400.0


def confirmed(count: int = 3) -> Net:
    net = Net(count)
    net.until(net.meshed, 20)
    net.run(80)  # everybody has compared clocks
    return net


def a_day_later(net: Net) -> None:
    """All clocks go on by a day, and everybody has compared them again."""
    for machine in net:
        machine.wall_offset += DAY
        for link in machine.engine.links.values():
            link.clock_base += DAY
    net.run(130)


def test_what_peers_confirmed_is_remembered_and_stored() -> None:
    net = confirmed()
    node = net[0]
    assert node.engine.context.floor > node.wall - 70
    stored = int.from_bytes(node.disk.meta[META], "big")
    assert abs(stored - node.wall) < 400
    assert node.engine.status()["clock"]["floor"] == pytest.approx(node.wall, abs=70)


def test_a_clock_that_nobody_confirms_raises_nothing() -> None:
    net = Net(1)
    net.run(200)
    assert net[0].engine.context.floor == 0
    net = confirmed()
    before = net[0].engine.context.floor
    net[0].wall_offset = 400 * DAY
    net.run(200)
    assert net[0].engine.context.floor < before + 300


def test_an_issuer_whose_clock_was_set_back_certifies_nobody() -> None:
    net = confirmed()
    a_day_later(net)
    token = invite(net[0], ttl_s=2 * DAY)
    net[0].wall_offset = DAY - 3 * 3600.0
    net[0].engine.touch(net.now, net[0].wall)
    with pytest.raises(UserError, match=r"clock is 3\.0 h behind the latest time"):
        net[0].engine.invite("member", 1, 60.0, [])
    request = write_request(
        key_of("a"), key_of("b"), "late", exact=True, mesh_id=None, wall=net[0].wall
    )
    with pytest.raises(UserError, match="certifies nobody"):
        net[0].engine.sign(request, "member", 3600.0, [])
    newcomer = Newcomer(net[0], token, "late", key_of("late"))
    with pytest.raises(UserError, match="issuer's own clock is wrong"):
        net.until(newcomer.listen, 5)
    net[0].wall_offset = DAY
    newcomer = Newcomer(net[0], token, "late", key_of("late"))
    net.until(newcomer.listen, 5)
    assert newcomer.joiner.result is not None, "the token is still good"


def test_an_ended_token_stays_ended() -> None:
    net = confirmed()
    token = invite(net[0], ttl_s=600.0)
    for machine in net:
        machine.wall_offset = 700.0  # the mesh's clocks go on
        for link in machine.engine.links.values():
            link.clock_base += 700.0
    net.run(130)
    net[0].wall_offset = 450.0  # back by less than what is called wrong
    with pytest.raises(UserError, match="expired"):
        net.until(Newcomer(net[0], token, "late", key_of("late")).listen, 5)


def test_it_is_kept_over_a_restart_with_a_clock_set_back() -> None:
    net = confirmed()
    node = net[0]
    floor = node.engine.context.floor
    node.wall_offset = -30 * DAY
    node.kill()
    node.start()
    assert node.engine.context.floor > floor - 400
    with pytest.raises(UserError, match="certifies nobody"):
        node.engine.invite("member", 1, 60.0, [])


def test_what_was_remembered_wrongly_is_lowered_when_peers_say_so() -> None:
    net = confirmed()
    net[0].engine.context.floor += 10 * DAY
    net.run(130)
    assert net[0].engine.context.floor == pytest.approx(net[0].wall, abs=70)
    assert "time-floor-lowered" in [event.kind for event in net[0].told]


def test_an_ended_certificate_opens_no_link_to_a_clock_set_back() -> None:
    """And a right clock calls it expired, a wrong one without a floor would have let it in."""
    old, judge = identity("n1"), identity("n2")
    during = old.certificate.not_before + DAY
    after = old.not_after + DAY

    def link(wall: float, floor: float) -> None:
        near = Transport(old, bytes, pq=PostQuantum.OFF)
        far = Transport(judge, bytes, pq=PostQuantum.OFF)
        far.floor = lambda: floor
        dialler, answerer = Session.dial(near, expected=judge.node_id), Session.answer(far)
        for _flight in range(2):
            list(answerer.receive(dialler.data_to_send(1 << 16), wall))
            list(dialler.receive(answerer.data_to_send(1 << 16), wall))

    link(during, during)
    with pytest.raises((CertificateError, RemoteProtocolError)) as caught:
        link(during, after)
    assert caught.value.reason == "expired"
    with pytest.raises((CertificateError, RemoteProtocolError)) as caught:
        link(old.certificate.not_before - DAY, 0.0)
    assert caught.value.reason == "not-yet-valid"
