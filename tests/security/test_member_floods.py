"""What one certified member may have the others do: nothing that grows with its appetite."""

from gossipnet.ids import NodeId
from gossipnet.protocol.effects import PauseLink
from gossipnet.protocol.pacing import BURST
from gossipnet.protocol.relay import CIRCUITS_PER_NEIGHBOUR
from gossipnet.protocol.wire import PushMembers, RelayClose, RelayOpen, decode_untrusted
from gossipnet.protocol.wire_receipts import AskReceipts, Receipts
from tests.protocol.identities import identity
from tests.protocol.mesh import Machine, Net
from tests.protocol.test_engine_join import Newcomer, invite, key_of
from tests.security.hostile import Liar, honest, question, settled


def counted(net: Net, name: str) -> int:
    return sum(machine.engine.context.counters[name] for machine in honest(net))


def sent(net: Net, kind: type) -> int:
    return sum(
        isinstance(decode_untrusted(send.payload), kind)
        for machine in honest(net)
        for send in machine.sent
    )


def quiet(net: Net) -> None:
    for machine in honest(net):
        machine.sent.clear()


# ---------------------------------------------------------------- questions after receipts


def test_made_up_questions_are_answered_by_nobody() -> None:
    net, (liar,) = settled(5, "liar")
    own = honest(net)[2].engine.replica.own_log
    honest(net)[2].set(b"k", b"v")
    net.run(0.5)
    quiet(net)
    link = next(iter(liar.links))
    # In nobody's name: no member has these ids.
    for number in range(50):
        liar.say(link, AskReceipts(bytes(15) + bytes((number,)), 1, own, 1, 64))
    net.run(1)
    assert sent(net, AskReceipts) == sent(net, Receipts) == 0
    assert counted(net, "questions_foreign") == 50
    # In another's: that costs the link.
    victim = honest(net)[2].identity
    liar.say(link, AskReceipts(victim.node_id[:16], 1, own, 1, 64, bytes(64)))
    net.run(1)
    assert link not in liar.links
    # About somebody else's log.
    link = next(iter(liar.links))
    liar.say(link, question(liar.identity, 1, own, 1, 64))
    net.run(1)
    assert sent(net, AskReceipts) == sent(net, Receipts) == 0


def test_a_member_s_own_questions_have_a_budget_at_every_node() -> None:
    net, (liar,) = settled(5, "liar")
    link = next(iter(liar.links))
    quiet(net)
    for number in range(2000):
        liar.say(link, question(liar.identity, number, b"l" * 16, 1, 64))
    net.run(1)
    assert counted(net, "questions_over_budget") >= 1500
    assert sent(net, AskReceipts) < 300 * 4 * 4


def test_who_asks_far_and_often_still_gets_its_receipts() -> None:
    net, _none = settled(4)
    asker = honest(net)[0]
    waits = []
    for number in range(100):
        asker.set(b"k%d" % number, b"v")
        waits.append(asker.engine.await_receipts(3))
        asker.engine.links[next(iter(asker.engine.links))].neighbour = number % 2 == 0
        asker.turn()
        net.run(0.003)
    net.until(lambda: all(wait.count() == 3 for wait in waits), 10, "all receipts")


# ---------------------------------------------------------------- member records


def test_one_member_s_records_are_passed_on_at_a_pace_and_the_newest_arrives() -> None:
    net, (liar,) = settled(6, "liar")
    quiet(net)
    link = next(iter(liar.links))
    for number in range(400):
        liar.say(link, PushMembers([liar.member(zone=f"z{number}")]))
        net.run(0.01)
    assert counted(net, "member_records_paced") > 100
    assert sent(net, PushMembers) < (BURST + 10) * 5 * 6
    node = NodeId(liar.identity.node_id)
    net.until(
        lambda: all(
            machine.engine.membership.members[node].body.zone == "z399" for machine in honest(net)
        ),
        10,
        "the newest record of all",
    )


def test_of_many_records_in_one_message_one_is_verified() -> None:
    net, (liar,) = settled(2, "liar")
    victim = honest(net)[0]
    flood = [liar.member() for _ in range(500)]
    flood.reverse()
    before = victim.engine.membership.version(NodeId(liar.identity.node_id))
    for link in list(liar.links):
        for entry in flood[1:]:
            liar.say(link, PushMembers([flood[0], entry]))
    net.run(0.1)
    assert victim.engine.membership.version(NodeId(liar.identity.node_id)) > before
    assert victim.engine.context.counters["member_records_paced"] <= 1


def test_a_member_that_overdoes_it_is_read_more_slowly() -> None:
    net, (liar,) = settled(2, "liar")
    told = honest(net)[0].told
    told.clear()
    for _ in range(int(BURST) + 20):
        liar.everywhere(PushMembers([liar.member()]))
    net.run(0.1)
    assert any(isinstance(effect, PauseLink) for effect in told)


# ---------------------------------------------------------------- newcomers


def test_one_neighbour_does_not_fill_the_reception_however_many_links_it_has() -> None:
    net, (liar,) = settled(2, "liar")
    issuer = net[0]
    link = liar.connect(issuer)
    for circuit in range(70):
        liar.say(link, RelayOpen(circuit, "9.9.9.9:1"))
    net.run(0.1)
    assert len(issuer.engine.relay.reception._guests) == CIRCUITS_PER_NEIGHBOUR
    assert len(liar.heard_of(RelayClose)) == 70 - CIRCUITS_PER_NEIGHBOUR
    assert issuer.engine.context.counters["joins_over_share"] == 70 - CIRCUITS_PER_NEIGHBOUR


def test_colluding_neighbours_make_room_for_whoever_brings_fewer() -> None:
    net, liars = settled(2, "liar1", "liar2", "liar3", "liar4")
    issuer: Machine = net[0]
    for liar in liars:
        link = liar.connect(issuer)
        for circuit in range(20):
            liar.say(link, RelayOpen(circuit, "9.9.9.9:1"))
    net.run(0.1)
    reception = issuer.engine.relay.reception
    assert len(reception._guests) == 64
    for door in (issuer, net[1]):
        name = f"guest-at-{door.name}"
        guest = Newcomer(door, invite(issuer), name, key_of(name))
        net.until(guest.listen, 10, "an honest newcomer is let in")
        assert guest.joiner.finished
    assert issuer.engine.context.counters["joins_displaced"] == 1


def test_a_liar_in_the_harness_is_a_neighbour_like_any_other() -> None:
    """Else nothing above would prove a thing."""
    net, (liar,) = settled(3, "liar")
    for machine in honest(net):
        assert machine.states()["liar"] == "alive"
        link = machine.engine.overlay.linked(NodeId(identity("liar").node_id))
        assert link is not None
        assert link.neighbour
    assert isinstance(liar, Liar)
