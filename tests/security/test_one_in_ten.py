"""A mesh of ten, one of which is certified and hostile in every way at once."""

import random

from gossipnet.protocol.wire import (
    AskReceipts,
    Digest,
    Graft,
    IHave,
    MemberHeads,
    Prune,
    Push,
    PushAccusations,
    PushMembers,
    RelayOpen,
    Vector,
    Want,
)
from gossipnet.state import record
from tests.protocol.mesh import Machine
from tests.security.hostile import (
    Author,
    accusation,
    flipped,
    honest,
    member_record,
    question,
    settled,
)


def kept(machine: Machine) -> dict[str, int]:
    """How much there is of everything that peers can make a node keep."""
    engine = machine.engine
    return {
        "members": len(engine.membership.members),
        "suspicions": len(engine.judgement.suspicions),
        "ways": len(engine.receipts._ways),
        "owed": len(engine.receipts._owed),
        "gaps": len(engine.sync._gaps),
        "pulls": len(engine.sync.pulls),
        "held": engine.replica.held + engine.replica.quarantined,
        "guests": len(engine.relay.reception._guests),
        "links": len(engine.links),
        "timers": len(engine.context.timers._live),
    }


def test_one_hostile_member_of_ten_removes_nobody_forges_nothing_and_fills_nothing() -> None:
    net, (liar,) = settled(9, "liar")
    rng = random.Random(7)
    author = Author(liar.identity, net[0].wall - 1000)
    own = [author.write() for _ in range(20)]
    victims = honest(net)
    true: dict[bytes, bytes] = {}
    largest: list[int] = []
    for turn in range(60):
        writer = victims[turn % 9]
        key = b"honest%d" % turn
        true[key] = b"v%d" % turn
        writer.set(key, true[key])
        for machine in victims:
            link = liar.link_to(machine)
            if link is None:
                if turn % 10 == 0:  # it may come back when its penalty is over
                    net.join(liar, machine, 0, machine.address)
                continue
            other = rng.choice(victims)
            told = other.engine.membership.own
            log = other.engine.replica.logs.by_id.get(other.engine.replica.own_log)
            head = 0 if log is None else log.head
            lies = [
                Push(0, True, [rng.choice(own)]),
                Push(0, False, [author.write([], log=other.engine.replica.own_log, seq=head + 1)]),
                Push(0, False, [flipped(rng.choice(own), rng.randrange(160))]),
                PushMembers([liar.member(), liar.member()]),
                PushMembers([member_record(liar.identity, node=told.id, incarnation=50, status=2)]),
                PushAccusations([accusation(liar.identity, told.id, told.body.incarnation)]),
                PushAccusations([accusation(liar.identity, told.id, 1 << 62)]),
                MemberHeads([(rng.randbytes(16), 1 << 62, 1) for _ in range(200)], True),
                IHave([(rng.randbytes(16), 1 << 62) for _ in range(200)]),
                Vector([(rng.randbytes(16), 1 << 62, bytes(16)) for _ in range(200)], True),
                Want(turn, [(other.engine.replica.own_log, 1, 1 << 62)] * 100),
                Digest(rng.randbytes(32), rng.randbytes(32), 1 << 62),
                AskReceipts(rng.randbytes(16), turn, bytes(16), 1, 64),
                question(liar.identity, turn, rng.randbytes(16), 1 << 60, 64),
                RelayOpen(turn, "9.9.9.9:9"),
                Graft(),
                Prune(),
            ]
            for lie in rng.sample(lies, 4):
                if link in liar.links:
                    liar.say(link, lie)
        liar.heard.clear()
        net.run(1)
        for machine in net:
            machine.sent.clear()
        largest.append(max(sum(kept(machine).values()) for machine in victims))
        for machine in victims:
            states = machine.states()
            assert all(states[one.name] in ("alive", "suspect") for one in victims), turn
    net.run(30)
    for machine in victims:
        assert {machine.get(key) for key in true} == set(true.values())
        assert all(machine.get(key) == value for key, value in true.items())
        assert all(machine.states()[one.name] == "alive" for one in victims)
        for size in kept(machine).values():
            assert size < 600
    assert len({machine.engine.replica.state_digest() for machine in victims}) == 1
    assert max(largest[30:]) < 3 * max(largest[:30]) + 100, "it does not grow with time"
    assert record.parse_untrusted(own[0]).log == author.log
