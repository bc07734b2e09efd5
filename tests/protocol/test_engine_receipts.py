"""WAIT in a mesh of engines: receipts of distinct nodes, asked for only while somebody waits."""

import pytest

from gossipnet.identity.signing import Domain, sign
from gossipnet.protocol.receipts import OWED_MAX, QUESTIONS_KEPT, Wait
from gossipnet.protocol.wire import decode_untrusted, encode
from gossipnet.protocol.wire_receipts import AskReceipts, Receipt, ReceiptBody, Receipts
from tests.protocol.identities import identity
from tests.protocol.mesh import Machine, Net


def meshed(count: int) -> Net:
    net = Net(count)
    net.until(lambda: net.meshed() and net.equal(), 30, "meshed")
    net.run(12)
    return net


def waiting(machine: Machine, wanted: int) -> Wait:
    wait = machine.engine.await_receipts(wanted)
    machine.turn()
    return wait


def talk_of_receipts(net: Net) -> int:
    return sum(
        isinstance(decode_untrusted(send.payload), AskReceipts | Receipts)
        for machine in net
        for send in machine.sent
    )


@pytest.mark.parametrize("count", [2, 7, 20])
def test_everybody_else_is_counted_once(count: int) -> None:
    net = meshed(count)
    assert talk_of_receipts(net) == 0
    net[1].set(b"k", b"v")
    wait = waiting(net[1], count - 1)
    assert wait.count() == 0
    net.until(lambda: wait.count() == count - 1, 1.0, "all have it")
    net.run(1)
    assert wait.count() == wait.count(synced=True) == count - 1
    wait.close()
    before = talk_of_receipts(net)
    net[1].set(b"k", b"w")
    net.run(3)
    assert talk_of_receipts(net) == before, "nobody waits"


def test_a_few_are_asked_of_the_neighbours_only() -> None:
    net = meshed(20)
    net[1].set(b"k", b"v")
    wait = waiting(net[1], 1)
    net.until(lambda: wait.count() >= 1, 1.0, "one has it")
    net.run(3)
    neighbours = sum(link.neighbour for link in net[1].engine.links.values())
    assert 1 <= wait.count() <= neighbours < 19


def test_a_receipt_for_a_later_write_is_good_for_an_earlier_one() -> None:
    net = meshed(3)
    net[0].set(b"k", b"1")
    first = waiting(net[0], 2)
    for number in range(5):
        net[0].set(b"k", b"%d" % number)
    second = waiting(net[0], 2)
    net.until(lambda: second.count() == 2, 1.0, "both")
    assert first.count() == 2


def test_whoever_is_cut_off_is_counted_after_the_heal() -> None:
    net = meshed(4)
    net.part("node3")
    net[0].set(b"k", b"v")
    wait = waiting(net[0], 3)
    net.run(5)
    assert wait.count() == 2
    net.heal()
    net.until(lambda: wait.count() == 3, 40, "the last one")


def test_a_receipt_comes_only_after_the_disk() -> None:
    net = meshed(2)
    stuck = net[1]
    stuck.carry_out = lambda effect, real=stuck.carry_out: (  # type: ignore[method-assign]
        None if type(effect).__name__ == "Commit" else real(effect)
    )
    net[0].set(b"k", b"v")
    wait = waiting(net[0], 1)
    net.run(3)
    assert stuck.get(b"k") == b"v"
    assert wait.count() == 0


def test_durability_is_told() -> None:
    net = meshed(2)
    net[1].engine.receipts._synced = False
    net[0].set(b"k", b"v")
    wait = waiting(net[0], 1)
    net.until(lambda: wait.count() == 1, 1.0, "it has it")
    assert wait.count(synced=True) == 0


# ---------------------------------------------------------------- bad input


def receipt(machine: Machine, signer: str, *, seq: int = 0, wrong: bytes = b"") -> Receipt:
    replica = machine.engine.replica
    own = replica.logs.by_id[replica.own_log]
    who = identity(signer)
    body = encode(ReceiptBody(who.node_id, own.id, seq or own.head, wrong or own.head_hash, True))
    return Receipt(body, sign(who.key, Domain.RECEIPT, who.trust.mesh_id, body))


def given(machine: Machine, *receipts: Receipt) -> None:
    link = next(iter(machine.engine.links.values()))
    prefix = machine.engine.membership.prefix
    machine.engine.receipts.on_receipts(link, Receipts(prefix, 1, list(receipts)))


def test_only_true_receipts_of_members_count() -> None:
    net = meshed(3)
    net.part("node1", "node2")
    net[0].set(b"k", b"v")
    wait = waiting(net[0], 2)
    net.run(1)
    counters = net[0].engine.context.counters
    good = receipt(net[0], "node1")
    given(net[0], Receipt(good.body, bytes(64)), Receipt(b"\xc1", bytes(64)))
    assert counters["receipts_bad"] == 2
    given(net[0], receipt(net[0], "stranger"), receipt(net[0], "node0"))
    given(net[0], receipt(net[0], "node1", wrong=bytes(32)), receipt(net[0], "node1", seq=1 << 40))
    assert counters["receipts_foreign"] == 4
    assert wait.count() == 0
    given(net[0], good, good, good)
    assert wait.count() == 1


def test_questions_are_bounded_and_answers_find_only_ways_that_exist() -> None:
    net = meshed(2)
    net[0].set(b"k", b"v")
    book, counters = net[0].engine.receipts, net[0].engine.context.counters
    link = next(iter(net[0].engine.links.values()))
    peer = link.node[:16]
    for number in range(QUESTIONS_KEPT + OWED_MAX):
        net[0].engine.context.now += 0.001
        book.on_ask(link, AskReceipts(peer, number, b"l" * 16, 9, 1))
    assert len(book._ways) == QUESTIONS_KEPT
    assert len(book._owed) <= OWED_MAX
    book.on_receipts(link, Receipts(b"nobody asked me!", 5, []))
    book.on_receipts(link, Receipts(b"nobody asked me!", 5, [receipt(net[0], "node1")]))
    assert counters["receipts_dropped"] == 1
