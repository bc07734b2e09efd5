"""Budgets of links: whoever goes too fast is held back, loses nothing, and costs nobody else."""

import pytest
import trio
from scripted import make_transports
from test_link import Owner
from trio.testing import MockClock, memory_stream_pair

from gossipnet.ids import NodeId
from gossipnet.io.accounts import Account, Ledger, LinkLimits
from gossipnet.io.admission import Admission
from gossipnet.io.link import HANDSHAKE_SECONDS, Link
from gossipnet.protocol.bucket import Bucket
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.session import Session

SLOW = LinkLimits(messages=100, message_burst=100, size=1e9, size_burst=1e9)


def test_a_bucket_saves_up_a_burst_and_tells_when_a_debt_is_paid() -> None:
    bucket = Bucket(10.0, 20.0, now=0.0)
    assert bucket.spend(20, 0.0) == 0.0
    assert bucket.spend(5, 0.0) == pytest.approx(0.5)
    assert bucket.spend(5, 0.5) == pytest.approx(0.5)
    assert bucket.spend(0, 100.0) == 0.0
    assert bucket.spend(21, 100.0) == pytest.approx(0.1), "no more than the burst is saved"
    assert bucket.spend(0, 99.0) == pytest.approx(0.1), "a clock that goes back gives nothing"


def test_the_ledger_bounds_sessions_and_adds_up() -> None:
    ledger = Ledger(LinkLimits(sessions=2), Admission())
    node, other = NodeId(bytes(32)), NodeId(bytes([1]) * 32)
    accounts = [ledger.open(0.0) for _ in range(4)]
    assert [ledger.proved(account, node) for account in accounts[:3]] == [True, True, False]
    assert ledger.proved(accounts[3], other)
    accounts[0].charge(3, 100, 0.0)
    ledger.close(accounts[0])
    ledger.close(accounts[0])
    ledger.close(accounts[2])  # was never counted
    late = ledger.open(0.0)
    assert ledger.proved(late, node)
    late.charge(1, 11, 0.0)
    status = ledger.status()
    assert (status["messages"], status["bytes"]) == (4, 111)
    assert status["members_linked"] == 2
    assert status["refused"] == {"sessions_of_one_member": 1}
    for account in [*accounts, late]:
        ledger.close(account)
    assert not ledger._open
    assert not ledger._sessions


def linked(limits: LinkLimits) -> tuple[Link, Owner, Link, Owner]:
    a, b = make_transports(2)
    left, right = memory_stream_pair()
    one, two = Owner(), Owner()
    now = trio.current_time()
    deadline = now + HANDSHAKE_SECONDS
    near = Link(one, left, Session.dial(a, expected=None), address="a", dialed=1, deadline=deadline)
    far = Link(
        two,
        right,
        Session.answer(b),
        address="b",
        dialed=None,
        deadline=deadline,
        account=Account(limits, now),
    )
    return near, one, far, two


async def test_who_sends_too_much_is_read_more_slowly_and_nothing_is_lost(
    autojump_clock: MockClock,
) -> None:
    near, one, far, two = linked(SLOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.run)
        nursery.start_soon(far.run)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        for number in range(1000):
            near.send(Lane.GOSSIP, b"%04d" % number + bytes(1000))
            far.send(Lane.GOSSIP, b"back")
            await trio.sleep(0.001)
        while len(two.messages) < 1000:  # noqa: ASYNC110 - virtual time
            await trio.sleep(0.05)
        took = trio.current_time() - began
        assert [message[:4] for message in two.messages] == [b"%04d" % n for n in range(1000)]
        assert took == pytest.approx(9.0, abs=1.5), "a burst of 100, then 100 a second"
        assert len(one.messages) == 1000, "the other direction has a budget of its own"
        assert far.account.pauses > 0
        assert far.account.paused_s == pytest.approx(took - 1, abs=1.5)
        assert not one.downs
        assert not two.downs
        nursery.cancel_scope.cancel()


async def test_a_link_within_its_budget_is_never_held_up(autojump_clock: MockClock) -> None:
    near, _one, far, two = linked(SLOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.run)
        nursery.start_soon(far.run)
        for _ in range(500):
            await trio.sleep(0.0101)
            near.send(Lane.GOSSIP, b"x")
        await trio.testing.wait_all_tasks_blocked()
        assert len(two.messages) == 500
        assert far.account.pauses == 0
        nursery.cancel_scope.cancel()


async def test_a_pause_does_not_hold_up_the_end_of_a_link(autojump_clock: MockClock) -> None:
    near, _one, far, two = linked(SLOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.run)
        nursery.start_soon(far.run)
        await trio.testing.wait_all_tasks_blocked()
        far.account.hold(1000.0, trio.current_time())
        near.send(Lane.GOSSIP, b"x")
        await trio.sleep(1)
        far.close("done")
        await trio.sleep(5)
        assert two.downs
        nursery.cancel_scope.cancel()
