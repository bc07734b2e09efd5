"""The composed engine on a few machines: views, writes, deaths, partings and returns."""

import pytest

from gossipnet.errors import NotFound, UserError
from gossipnet.protocol.wire import Digest, Ping, Pong, Push, decode_untrusted
from gossipnet.state.errors import WritesRefused
from tests.protocol.mesh import FSYNC, LATENCY, Net


def settled(count: int, seconds: float = 12.0) -> Net:
    """A mesh in which everybody knows everybody and records of neighbours are up to date."""
    net = Net(count)
    net.until(net.meshed, 10)
    net.run(seconds)
    return net


@pytest.mark.parametrize("count", [2, 3, 5, 12])
def test_everybody_learns_of_everybody_from_one_seed(count: int) -> None:
    net = Net(count)
    assert net.until(net.meshed, 10) < 2
    net.run(5)
    if count <= 6:
        for machine in net:
            neighbours = [link.node for link in machine.engine.links.values() if link.neighbour]
            assert len(neighbours) == len(set(neighbours)) == count - 1


def test_a_write_is_seen_everywhere_after_its_commit_and_not_before() -> None:
    net = settled(5)
    net[0].sent.clear()
    net[0].set(b"k", b"v")
    assert not any(isinstance(decode_untrusted(sent.payload), Push) for sent in net[0].sent)
    took = net.until(lambda: all(machine.get(b"k") == b"v" for machine in net), 1)
    assert took <= FSYNC + 2 * LATENCY + 1e-9


def test_a_ticket_is_committed_after_the_writes_it_covers() -> None:
    net = settled(2, 1)
    tickets = [net[0].set(b"k%d" % n, b"v") for n in range(5)]
    assert tickets == sorted(tickets)
    # Two commits under way at most: what is written meanwhile shares the next one.
    assert tickets[2] == tickets[3] == tickets[4]
    net.until(lambda: net[0].engine.committed >= tickets[-1], 1)
    assert sum(len(r.data) > 0 for r in net[0].disk.records) == 3
    assert net[0].engine.ticket() == tickets[-1]  # a reader waits for nothing more


def test_what_a_partition_kept_apart_is_equal_soon_after_it_heals() -> None:
    net = settled(6)
    net.part("node0", "node1", "node2")
    net.run(30)
    for place, machine in enumerate(net):
        for number in range(50):
            machine.set(b"%d:%d" % (place, number), b"x" * 100)
            net.run(0.001)
    net.run(1)
    assert len({machine.engine.replica.digest() for machine in net}) == 2
    assert set(net[0].states().values()) == {"alive", "dead"}
    net.heal()
    net.until(lambda: net.equal() and net.meshed(), 5, "views and states equal")


def test_a_newcomer_gets_all_state() -> None:
    net = settled(2, 1)
    for number in range(3000):
        net[number % 2].set(b"key%d" % number, b"x" * 200)
        net.run(0.0005)
    late = net.add("late", seeds=("node1:7117",))
    net.until(net.equal, 5)
    assert len(late.engine.keyspace) == 3000
    status = late.engine.status()
    assert status["keys"] == 3000
    net.until(lambda: all(machine.engine.status()["converged"] for machine in net), 5)
    assert all(machine.engine.status()["lag_s"] == 0 for machine in net)


@pytest.mark.parametrize("count", [2, 3, 5, 12])
def test_a_killed_member_is_dead_for_all_within_a_second_and_a_half(count: int) -> None:
    net = settled(count)
    net[1].kill()
    took = net.until(lambda: all(machine.states()["node1"] == "dead" for machine in net), 5)
    assert took < 1.5
    why = net[0].engine.why("node1")[0]
    assert why["state"] == "dead"
    assert why["accusations"]


def test_a_member_killed_in_its_first_second_is_found_dead_too() -> None:
    net = settled(3)
    net.add("brief", seeds=("node0:7117",))
    net.run(0.3)
    net.machines["brief"].kill()
    net.until(lambda: all(m.states().get("brief", "dead") == "dead" for m in net), 10)


def test_a_frozen_member_is_dead_within_three_seconds_and_alive_again_when_it_thaws() -> None:
    net = settled(5)
    net[2].freeze()
    others = [machine for machine in net if machine is not net[2]]
    took = net.until(lambda: all(m.states()["node2"] == "dead" for m in others), 10)
    assert took <= 3.0
    before = net[2].engine.membership.incarnation
    net[2].thaw()
    net.until(net.meshed, 10)
    assert net[2].engine.membership.incarnation > before


def test_members_that_die_together_are_all_found_dead() -> None:
    net = settled(10)
    for place in range(2, 10):
        net[place].kill()
    net.until(lambda: all([*m.states().values()].count("dead") == 8 for m in (net[0], net[1])), 10)


def test_a_newcomer_judges_as_the_others_did() -> None:
    net = settled(4)
    net[1].kill()
    net.run(15)  # long enough for its observers to have signed new records
    late = net.add("late", seeds=("node0:7117",))
    net.until(lambda: late.states().get("node1") == "dead", 5)


def test_a_false_accusation_is_refuted() -> None:
    net = settled(3)
    before = net[2].engine.membership.incarnation
    net[0].write(lambda engine: engine.detection.accuse(net[2].identity.node_id, 2))
    assert net[0].states()["node2"] == "suspect"
    net.until(net.meshed, 1)
    assert net[2].engine.membership.incarnation == before + 1
    [case] = net[1].engine.why("node2")
    [past] = case["past"]  # who accused, on what evidence, and what refuted it
    assert "refuted" in past["text"]
    assert "node0: silent" in past["text"]
    net.run(40)
    assert net.meshed()


def test_sigterm_shows_away_and_nobody_accuses() -> None:
    net = settled(4)
    net[3].stop()
    net.until(lambda: all(m.states()["node3"] == "away" for m in net), 1)
    net.run(60)
    assert all(m.states()["node3"] == "away" for m in net)
    assert not any(m.engine.context.counters["accusations_made"] for m in net)
    before = net[0].row("node3")["incarnation"]
    net[3].start()
    net.until(net.meshed, 5)
    assert net[0].row("node3")["incarnation"] > before


def test_away_for_too_long_is_dead() -> None:
    net = settled(3)
    net[2].stop()
    net.run(599)
    assert net[0].states()["node2"] == "away"
    net.run(5)
    assert net[0].states()["node2"] == "dead"


def test_leaving_is_final_until_a_new_start() -> None:
    net = settled(4)
    net[2].engine.leave()
    net[2].turn()
    assert net[2].engine.left
    net.until(lambda: all(m.states()["node2"] == "left" for m in net if m is not net[2]), 1)
    net[2].kill()
    dials = sum(m.engine.context.counters["dials"] for m in net)
    net.run(120)
    assert sum(m.engine.context.counters["dials"] for m in net) == dials
    net[2].start()
    net.until(net.meshed, 5)


def test_a_member_that_moves_is_found_at_its_new_address() -> None:
    net = settled(3)
    net[1].kill()
    net.run(5)
    net[1].address = "node1:9999"
    net[1].start()
    net.until(lambda: all(m.row("node1")["address"] == "node1:9999" for m in net), 5)
    net.until(net.meshed, 5)


def test_a_node_finds_the_mesh_again_by_its_address_book() -> None:
    net = settled(4)
    for machine in list(net):
        machine.stop()
    net.run(60)
    for machine in net.machines.values():
        machine.seeds = ()
        machine.start()
    net.until(net.meshed, 10)


def test_a_seed_that_is_down_is_tried_until_it_is_there() -> None:
    net = Net()
    first = net.add("first", seeds=("second:7117",))
    net.run(120)
    second = net.add("second")
    net.until(net.meshed, 35)
    assert first.states() == second.states()


def test_an_own_seed_is_not_dialled_for_ever() -> None:
    net = Net()
    only = net.add("only", start=False)
    only.address = "only:7117"
    only.seeds = ("only:7117",)
    only.start(addresses=("10.0.0.1:7117",))  # so that it cannot tell by the text
    net.run(250)
    assert only.engine.context.counters["dials"] == 1


def test_a_wildcard_address_is_learned_from_peers() -> None:
    net = Net(2)
    hidden = net.add("hidden", seeds=("node0:7117",), start=False).start(
        addresses=("0.0.0.0:7117",)
    )
    net.until(lambda: all(m.row("hidden").get("address") == "hidden:7117" for m in net), 5)
    assert hidden.engine.membership.own.body.dialable


def test_who_listens_on_ipv4_alone_learns_no_other_address() -> None:
    """A link that went out over IPv6 says nothing about where others reach this node."""
    for wildcard, learned in (("0.0.0.0:7117", ()), ("[::]:7117", ("[2001:db8::7]:7117",))):
        net = Net(1)
        hidden = net.add("hidden", seeds=("node0:7117",), start=False).start(addresses=(wildcard,))
        net.until(lambda hidden=hidden: bool(hidden.engine.peers()), 5)
        for link in hidden.engine.links.values():
            link.observed = "[2001:db8::7]:50000"
        hidden.engine.presence.observed()
        assert tuple(a for a in hidden.engine.membership.addresses if a[0] == "[") == learned


def test_an_idle_mesh_says_little() -> None:
    net = settled(3, 90)  # until nobody's coordinate moves any more
    for machine in net:
        machine.sent.clear()
    net.run(20)
    for machine in net:
        kinds = {type(decode_untrusted(sent.payload)) for sent in machine.sent}
        assert kinds <= {Ping, Pong, Digest}


def test_a_lost_disk_opens_a_new_epoch_and_keeps_both_logs() -> None:
    net = settled(2)
    net[1].set(b"before", b"1")
    net.run(1)
    old = net[1].engine.replica.own_log
    net[1].kill()
    net[1].disk.records.clear()  # put back from before the write, with the same epoch
    net[1].start()
    net.until(lambda: net[1].engine.replica.own_log != old and net.equal(), 5)
    net[1].set(b"after", b"2")
    net.until(lambda: net[0].get(b"after") == b"2", 2)
    assert net[1].get(b"before") == b"1"
    assert "epoch-opened" in [event.kind for event in net[1].told]
    assert int.from_bytes(net[1].disk.meta["epoch"], "big") == net[1].engine.replica.epoch


def test_a_forgotten_incarnation_is_overtaken() -> None:
    net = settled(2)
    for _ in range(3):
        net[1].kill()
        net.run(1)
        net[1].start()
        net.run(1)
    net[1].kill()
    net.run(1)
    held = net[0].row("node1")["incarnation"]
    net[1].disk.meta.clear()
    net[1].start()
    net.until(lambda: net.meshed() and net[0].row("node1")["incarnation"] > held, 5)


def test_a_home_that_runs_twice_is_told_what_to_do_and_raises_ever_more_slowly() -> None:
    net = settled(2)
    engine = net[1].engine
    before = engine.membership.incarnation
    end = net.now + 60
    while net.now < end:  # the twin answers each incarnation with a higher one, at once
        engine.roster.overtaken(engine.membership.incarnation + 1)
        net.run(0.1)
    raised = (engine.membership.incarnation - before) // 2
    assert raised < 12, "a tug of war"
    told = [event.text for event in net[1].told if event.kind == "record-overtaken"]
    assert "stop one of them" in told[-1]
    assert len(told) < 12


def test_rows_have_the_promised_keys() -> None:
    net = settled(2)
    engine = net[0].engine
    row = net[0].row("node1")
    assert " ".join(row) == (
        "name id state address rtt_ms behind roles zone version incarnation rtt_measured"
    )
    assert row["rtt_ms"] == pytest.approx(2000 * LATENCY, abs=0.01)
    assert row["behind"] == 0
    peer = engine.peers()[0]
    assert " ".join(peer) == (
        "name id address direction neighbour eager rtt_ms behind queued_bytes since_s hybrid lag"
        " shed"
    )
    status = engine.status()
    for key in [
        "mesh_id",
        "node_id",
        "name",
        "ready",
        "members",
        "keys",
        "converged",
        "lag_s",
        "drops",
    ]:
        assert key in status
    assert status["members"] == 2
    assert [event["kind"] for event in engine.events()].count("member-join") == 1
    with pytest.raises(NotFound, match="nobody"):
        engine.why("nobody")


def test_only_issuers_invite() -> None:
    net = settled(2)
    with pytest.raises(UserError, match="only issuers may"):
        net[1].engine.invite("member", 1, 3600, [])


def test_a_wrong_clock_stops_writing_and_a_right_one_allows_it() -> None:
    net = settled(3)
    net[1].kill()
    net[1].wall_offset = 3600.0
    net[1].start()
    net.until(lambda: net[1].engine.keyspace.refusal is not None, 0.5)
    net.run(15)
    assert "ahead" in net[1].engine.status()["clock"]["complaint"]
    assert net[1].engine.keyspace.refusal is not None
    assert net[0].engine.keyspace.refusal is None


def test_a_clock_that_jumps_stamps_nothing() -> None:
    """For an hour the others would have hidden what was acknowledged in those seconds."""
    net = settled(3)
    net[1].set(b"before", b"1")
    net.until(net.equal, 5)
    net[1].wall_offset = 3600.0
    with pytest.raises(WritesRefused, match=r"60 min ahead of 2 of 2"):
        net[1].set(b"meanwhile", b"1")
    net.run(1)
    net[1].wall_offset = 0.0
    net[1].set(b"after", b"1")
    net.until(lambda: net.equal() and net[0].engine.keyspace.get(b"after") == b"1", 5)
    assert net[0].engine.replica.quarantined == 0


def test_what_waited_for_a_clock_that_was_behind_shows_once_it_is_right() -> None:
    net = settled(3)
    net[1].wall_offset = -3600.0
    net[0].set(b"meanwhile", b"1")
    net.run(2)
    assert net[1].engine.replica.quarantined == 1
    net[1].wall_offset = 0.0
    net.until(lambda: net[1].get(b"meanwhile") == b"1", 2)


def test_what_a_clock_that_was_ahead_has_stamped_is_told() -> None:
    """Alone nobody tells it; once it is linked and right it says that its stamps are not."""
    net = settled(3)
    net.part("node1")
    net.run(60)
    net[1].wall_offset = 600.0
    net.run(60)
    net[1].set(b"alone", b"1")
    net.run(1)
    net[1].wall_offset = 0.0
    net.heal()
    net.until(lambda: net[1].engine.keyspace.refusal is not None, 30)
    with pytest.raises(WritesRefused, match=r"wait \d+ min at every other member"):
        net[1].set(b"after", b"1")
    net.run(600)
    net[1].set(b"after", b"1")
    net.until(lambda: net[0].engine.keyspace.get(b"after") == b"1", 10)


def test_who_does_not_return_from_a_power_cut_of_all_is_found_dead() -> None:
    net = settled(12)
    for machine in list(net):
        machine.kill()
    net.run(30)
    for place in range(11):
        net[place].start()
    net.until(lambda: all(m.states()["node11"] == "dead" for m in net), 60)
    assert all(list(m.states().values()).count("alive") == 11 for m in net)


def test_two_halves_of_twenty_are_one_mesh_soon_after() -> None:
    net = settled(20)
    net.part(*(f"node{place}" for place in range(10)))
    net.run(120)
    net[0].set(b"a", b"1")
    net[19].set(b"b", b"2")
    net.heal()
    net.until(lambda: net.equal() and net.meshed(), 5)


def test_equal_seeds_do_equal_things() -> None:
    def trace() -> list[bytes]:
        net = settled(5, 5)
        net[4].kill()
        net.run(5)
        return [sent.payload for machine in net for sent in machine.sent]

    assert trace() == trace()
