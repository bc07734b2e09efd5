"""Revocation in a running mesh: everybody learns at once, links close, later writes are void."""

import pytest

from gossipnet.errors import Denied, NotFound, UserError
from gossipnet.identity.founding import admit, expand
from gossipnet.protocol.wire import Push, Records, decode_untrusted
from gossipnet.protocol.wire_trust import Notices
from gossipnet.state.errors import WritesRefused
from tests.protocol.identities import WALL, identity
from tests.protocol.mesh import Machine, Net


def settled(count: int) -> Net:
    net = Net(count)
    net.until(net.meshed, 20, "everybody knows everybody")
    return net


def revoke(by: Machine, named: str, reason: str = "lost") -> dict[str, object]:
    rows: list[dict[str, object]] = []
    by.write(lambda engine: rows.append(engine.revoke(named, reason)))
    return rows[0]


def sees_revoked(machine: Machine, name: str) -> bool:
    return machine.states().get(name) == "revoked"


def peers_of(machine: Machine) -> set[str]:
    return {str(row["name"]) for row in machine.engine.peers()}


def test_everybody_learns_and_every_link_closes() -> None:
    net = settled(6)
    net[3].set(b"before", b"kept")
    net.until(lambda: all(m.get(b"before") == b"kept" for m in net), 5)
    row = revoke(net[0], "node3")
    assert row["name"] == "node3"
    assert not row["already"]
    others = [machine for machine in net if machine.name != "node3"]
    took = net.until(
        lambda: all(sees_revoked(m, "node3") and "node3" not in peers_of(m) for m in others), 5
    )
    assert took < 1
    net.run(3)
    assert not net[3].engine.links
    assert all(m.get(b"before") == b"kept" for m in net)
    assert all(m.engine.membership.alive_count() == 5 for m in others)
    assert all(m.engine.status()["members"] == 5 for m in others)
    assert all(m.engine.why("node3")[0]["revocations"][0]["by"] == "node0" for m in others)
    assert "lost" in net[3].engine.status()["trust"]["own"]
    with pytest.raises(WritesRefused, match="revoked"):
        net[3].engine.keyspace.set(b"after", b"void")
    assert not any(m.states().get("node3") == "dead" for m in others)


def test_one_that_ignores_its_revocation_is_refused_everywhere() -> None:
    net = settled(5)
    rogue = net[2]
    revoke(net[0], "node2")
    net.until(lambda: not rogue.engine.links, 5)
    # It forgets what it heard, as a hostile program would, and knocks.
    for name in [name for name in rogue.disk.meta if name.startswith("notice/")]:
        del rogue.disk.meta[name]
    rogue.kill()
    rogue.start()
    rogue.engine.standing.board._take = lambda _notice: None
    rogue.set(b"k", b"void")
    net.run(20)
    others = [machine for machine in net if machine is not rogue]
    assert all(m.get(b"k") is None for m in others)
    assert all("node2" not in peers_of(m) for m in others)
    assert sum(m.engine.context.counters["revoked_refused"] for m in others) > 0
    refusals = [e for m in others for e in m.told if e.kind == "link-refused"]
    assert all("node2 was revoked by node0 (lost)" in e.text for e in refusals)
    assert 1 <= len(refusals) <= 4


def test_it_learns_why_when_it_knocks_and_stops() -> None:
    net = settled(4)
    net.part("node3")
    revoke(net[0], "node3", "stolen")
    net.run(60)
    net.heal()
    net.until(lambda: "stolen" in str(net[3].engine.status()["trust"]["own"]), 40)
    net.run(1)
    assert not net[3].engine.links
    dialled = net[3].engine.context.counters["dials"]
    net.run(30)
    assert net[3].engine.context.counters["dials"] == dialled


def test_those_who_were_away_learn_before_any_data() -> None:
    net = settled(5)
    away, revoked = net[4], net[3]
    away.stop()
    revoked.set(b"late", b"beyond the cut")
    revoke_at = net[0].engine
    cut_before = revoke_at.replica.head(revoked.engine.replica.own_log)
    revoke(net[0], "node3")
    net.run(5)
    net[1].set(b"meanwhile", b"x")
    net.run(1)
    for machine in net:
        machine.sent.clear()
    away.start()
    net.until(lambda: away.get(b"meanwhile") == b"x", 10)
    assert sees_revoked(away, "node3")
    assert cut_before <= 1
    for machine in net:
        if machine is away:
            continue
        kinds = [
            type(decode_untrusted(send.payload))
            for send in machine.sent
            if machine.links.get(send.link, (None,))[0] is away
        ]
        if Push in kinds or Records in kinds:
            first = min(kinds.index(kind) for kind in (Push, Records) if kind in kinds)
            assert kinds.index(Notices) < first


def test_writes_beyond_the_cut_are_void_on_every_node() -> None:
    net = settled(6)
    net.part("node0", "node1")
    net[4].set(b"k", b"beyond")
    net[4].write(lambda engine: engine.keyspace.delete(b"kept"))
    net[5].set(b"other", b"honest")
    net.run(1)
    assert net[5].get(b"k") == b"beyond"
    revoke(net[0], "node4")
    net[0].set(b"k0", b"v")
    net.run(2)
    net.heal()
    honest = [machine for machine in net if machine is not net[4]]

    def agreed() -> bool:
        return (
            all(m.get(b"k") is None and m.get(b"other") == b"honest" for m in honest)
            and len({m.engine.replica.state_digest() for m in honest}) == 1
            and len({m.engine.replica.digest() for m in honest}) == 1
        )

    net.until(agreed, 40, "the others agree")
    assert net[5].engine.context.counters["keys_rebuilt"] >= 1


def test_a_revocation_outlives_restarts() -> None:
    net = settled(3)
    revoke(net[0], "node2")
    net.run(1)
    for machine in (net[0], net[1]):
        machine.kill()
        machine.start()
        assert sees_revoked(machine, "node2")
        assert machine.engine.context.counters["rebuilds"] == 0
    net.run(10)
    assert "node2" not in peers_of(net[0]) | peers_of(net[1])
    net[2].kill()
    net[2].start()
    with pytest.raises(WritesRefused):
        net[2].engine.keyspace.set(b"k", b"v")


def test_state_is_computed_anew_from_disk_while_the_node_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossipnet.state.rebuild.FROM_MEMORY", 8)
    monkeypatch.setattr("gossipnet.protocol.rebuilding.PIECE_BYTES", 2048)
    net = settled(3)
    for number in range(40):
        net[1].set(b"shared", b"honest %d" % number)
        net.run(0.05)
    net.run(1)
    net.part("node0")
    for number in range(40):
        net[2].set(b"shared", b"rogue %d" % number)
        net.run(0.05)
    net.run(0.5)
    assert net[1].get(b"shared") == b"rogue 39"
    revoke(net[0], "node2")
    net.heal()
    net.until(lambda: sees_revoked(net[1], "node2"), 20)
    assert net[1].engine.status()["trust"]["rebuilding"]
    net[1].set(b"meanwhile", b"written")
    net.until(lambda: net[1].get(b"shared") == b"honest 39", 5, "state is computed anew")
    assert net[1].get(b"meanwhile") == b"written"
    net.until(
        lambda: (
            net[0].engine.replica.state_digest() == net[1].engine.replica.state_digest()
            and net[0].engine.replica.digest() == net[1].engine.replica.digest()
        ),
        20,
    )


# -- who may, and whom -----------------------------------------------------------------------------


def test_only_those_with_the_right_may_revoke() -> None:
    net = settled(3)
    with pytest.raises(Denied, match="run it on node0"):
        net[1].engine.revoke("node2", "")
    with pytest.raises(NotFound):
        net[0].engine.revoke("nobody", "")
    with pytest.raises(UserError, match="itself"):
        net[0].engine.revoke("node0", "")
    assert revoke(net[0], "node2")["already"] is False
    known = len(net[0].engine.standing.board)
    assert revoke(net[0], "node2")["already"] is True
    assert len(net[0].engine.standing.board) == known


def test_a_revoker_that_is_no_issuer_may() -> None:
    net = settled(2)
    machine = net.add("guard", start=False)
    machine.identity = admit(
        identity("node0"),
        "guard",
        expand(b"guard"),
        WALL,
        roles=frozenset({"member", "revoker"}),
    )
    machine.seeds = ("node0:7117",)
    machine.start()
    net.until(lambda: machine.states().get("node1") == "alive", 20)
    revoke(machine, "node1")
    net.until(lambda: sees_revoked(net[0], "node1"), 5)


def test_a_name_that_two_bear_is_not_enough() -> None:
    net = settled(2)
    for label in (b"one", b"two"):
        machine = net.add(label.decode(), start=False)
        machine.identity = admit(identity("node0"), "twin", expand(label), WALL)
        machine.seeds = ("node0:7117",)
        machine.start()
    net.until(lambda: list(_names(net[0])).count("twin") == 2, 20)
    with pytest.raises(UserError, match="2 members are called 'twin'"):
        net[0].engine.revoke("twin", "")
    rows = [row for row in net[0].engine.members_table() if row["name"] == "twin"]
    revoke(net[0], str(rows[0]["id"])[:16])
    states = [row["state"] for row in net[0].engine.members_table() if row["name"] == "twin"]
    assert sorted(map(str, states)) == ["alive", "revoked"]


def _names(machine: Machine) -> list[object]:
    return [row["name"] for row in machine.engine.members_table()]


def test_a_revoked_issuer_lets_nobody_in_any_more_and_its_guests_stay() -> None:
    net = settled(2)
    entropy = expand(b"second issuer")
    second = admit(
        identity("node0"), "second", entropy, WALL, roles=frozenset({"member", "issuer"})
    )
    guest, late = admit(second, "guest", entropy, WALL), admit(second, "late", entropy, WALL)
    for who in (second, guest, late):
        machine = net.add(who.name, start=False)
        machine.identity, machine.seeds = who, ("node0:7117",)
        if who is not late:
            machine.start()
    net.until(lambda: net.meshed(), 20)
    net.machines["second"].set(b"by the issuer", b"1")
    net.machines["guest"].set(b"by its guest", b"1")
    net.until(net.equal, 10)
    assert revoke(net[0], "second")["issuers"] == 1
    net.run(2)
    assert net[1].states()["guest"] == "alive"
    late_one = net.machines["late"].start()
    net.run(10)
    assert "late" not in peers_of(net[0]) | peers_of(net[1])
    assert not late_one.engine.links
    late_one.engine.keyspace  # noqa: B018 - it still answers its own clients
    for machine in net[0], net[1], net.machines["guest"]:
        assert machine.engine.keyspace.get(b"by the issuer") == b"1", "written before the cut"
        assert machine.engine.keyspace.get(b"by its guest") == b"1"
    assert net[1].states()["guest"] == "alive"


def test_a_revoked_key_may_not_join_again() -> None:
    net = settled(3)
    revoke(net[0], "node2")
    refusal = net[0].engine.relay.reception.refusal
    assert "revoked by node0" in refusal(identity("node2").node_id)
    assert not refusal(identity("another").node_id)


def test_forged_notices_cost_the_peer_its_link() -> None:
    net = settled(3)
    revoke(net[0], "node2")
    net.run(1)
    notice = bytearray(next(iter(net[0].engine.standing.board._held.values())))
    notice[-1] ^= 1
    link = next(n for n, (other, _far, _life) in net[1].links.items() if other is net[0])
    far = net[1].links[link][1]
    net[0].engine.context.counters.clear()
    from gossipnet.protocol.effects import Received
    from gossipnet.protocol.wire import encode

    net[0].feed(Received(far, encode(Notices([bytes(notice)]))))
    assert net[0].engine.context.counters["protocol_errors"] == 1
