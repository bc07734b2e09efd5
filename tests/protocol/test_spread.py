"""How member records travel: each node gets each record about once, whatever is lost on the way."""

from collections import Counter

from gossipnet.protocol.effects import Lane, Send
from gossipnet.protocol.wire import (
    AskMembers,
    MemberNews,
    Members,
    PushMembers,
    decode_untrusted,
    encode,
)
from gossipnet.protocol.wire_members import (
    decode_member_untrusted,
)
from tests.protocol.mesh import Machine, Net


def settled(count: int) -> Net:
    net = Net(count)
    net.until(net.meshed, 10)
    net.run(60)
    for machine in net:
        machine.sent.clear()
    return net


def sent(net: Net, subject: Machine) -> Counter[str]:
    """How often a member's record and its name went over links."""
    told: Counter[str] = Counter()
    node = subject.identity.node_id
    for machine in net:
        for effect in machine.sent:
            message = decode_untrusted(effect.payload)
            if isinstance(message, PushMembers | Members):
                bodies = [decode_member_untrusted(entry.body) for entry in message.entries]
                told["whole"] += sum(body.node == node for body in bodies)
            elif isinstance(message, MemberNews):
                told["named"] += sum(head[0] == node[:16] for head in message.heads)
    return told


def resign(machine: Machine) -> tuple[int, int]:
    """Have a machine sign its record anew; the version."""
    machine.write(lambda engine: engine.presence.say())
    return machine.engine.membership.version(machine.identity.node_id)


def known(net: Net, subject: Machine, version: tuple[int, int]) -> bool:
    return all(m.engine.membership.version(subject.identity.node_id) >= version for m in net)


def test_a_changed_record_goes_to_each_node_about_once_and_its_name_over_each_link() -> None:
    net = settled(12)
    version = resign(net[3])
    net.until(lambda: known(net, net[3], version), 2)
    net.run(3)
    links = sum(len(m.engine.overlay.neighbours) for m in net)
    told = sent(net, net[3])
    assert told["whole"] <= 12 + 2
    assert told["named"] <= links


def test_a_refutation_goes_whole_over_every_link_at_once() -> None:
    net = settled(12)
    accuser = net[5]
    subject = next(m for m in net if m is not accuser)
    accuser.write(lambda engine: engine.detection.accuse(subject.identity.node_id, 1))
    net.run(1)
    for machine in net:
        assert machine.states()[subject.name] == "alive"
        assert not machine.engine.context.counters["members_died"]
    assert sent(net, subject)["whole"] > 2 * 12


def test_who_named_a_record_and_does_not_answer_is_passed_over() -> None:
    net = settled(12)
    subject = net[3]
    asked: list[Machine] = []
    for machine in net:
        take = machine.carry_out

        def deaf(effect: object, machine: Machine = machine, take=take) -> None:
            message = decode_untrusted(effect.payload) if isinstance(effect, Send) else None
            if isinstance(message, AskMembers) and machine not in asked:
                asked.append(machine)  # the first question of each machine gets lost
                return
            take(effect)

        machine.carry_out = deaf  # type: ignore[method-assign]
    version = resign(subject)
    net.until(lambda: known(net, subject, version), 3)
    assert asked
    assert any(m.engine.context.counters["members_asked_again"] for m in asked)


def test_names_of_members_that_do_not_exist_are_bounded_and_harm_nobody() -> None:
    net = settled(3)
    link = next(iter(net[1].links))
    for number in range(40):
        heads = [(number.to_bytes(8, "big") + n.to_bytes(8, "big"), 1, 1) for n in range(1024)]
        net[1].carry_out(Send(link, Lane.CONTROL, encode(MemberNews(heads))))
    net.run(1)
    assert sum(m.engine.context.counters["members_news_dropped"] for m in net) > 0
    assert net.meshed()
    version = resign(net[2])
    net.until(lambda: known(net, net[2], version), 10)


def test_neighbours_to_spare_are_parted_with_and_nobody_is_accused() -> None:
    net = Net(20)
    net.until(net.meshed, 10)
    net.run(60)
    target = net[0].engine.overlay.target()
    held = [len(m.engine.overlay.neighbours) for m in net]
    assert min(held) >= target - 1
    assert sum(held) / 20 < target + 1
    assert not any(m.engine.context.counters["accusations_made"] for m in net)
    dials = sum(m.engine.context.counters["dials"] for m in net)
    net.run(60)
    assert sum(m.engine.context.counters["dials"] for m in net) - dials < 20
