"""One link over memory streams, where time is virtual and the peer does as it is told."""

from collections import Counter
from collections.abc import Callable

import pytest
import trio
from scripted import WALL, make_transports
from trio.testing import MockClock, memory_stream_pair

from gossipnet.identity.peer import Peer
from gossipnet.io import link as link_module
from gossipnet.io.link import Link
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.handshake import Transport
from gossipnet.protocol.session import Session

Transports = Callable[[int], list[Transport]]


@pytest.fixture
def transports() -> Transports:
    """Makes members of one mesh."""
    return make_transports


class Owner:
    """Pumps at once, as a driver does once per turn, and notes what it hears."""

    def __init__(self) -> None:
        self.ups: list[Peer] = []
        self.messages: list[bytes] = []
        self.heard = 0
        self.downs: list[tuple[str, bool]] = []
        self.full: trio.Event | None = None
        self.counters: Counter[str] = Counter()

    def wall(self) -> float:
        return WALL

    def link_up(self, link: Link, peer: Peer) -> None:
        self.ups.append(peer)

    def link_message(self, link: Link, payload: bytes) -> None:
        self.messages.append(payload)

    def link_heard(self, link: Link) -> None:
        self.heard += 1

    def link_down(self, link: Link, reason: str, clean: bool) -> None:
        self.downs.append((reason, clean))

    def link_dirty(self, link: Link) -> None:
        link.pump()

    def room(self) -> trio.Event | None:
        return self.full


def pair(transports: Transports) -> tuple[Link, Owner, Link, Owner]:
    a, b = transports(2)
    left, right = memory_stream_pair()
    one, two = Owner(), Owner()
    deadline = trio.current_time() + link_module.HANDSHAKE_SECONDS
    return (
        Link(one, left, Session.dial(a, expected=None), address="a", dialed=1, deadline=deadline),
        one,
        Link(two, right, Session.answer(b), address="b", dialed=None, deadline=deadline),
        two,
    )


async def test_messages_go_both_ways_and_close_is_clean(
    transports: Transports, autojump_clock: MockClock
) -> None:
    one, first, two, second = pair(transports)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        nursery.start_soon(two.run)
        await trio.testing.wait_all_tasks_blocked()
        assert len(first.ups) == len(second.ups) == 1
        one.send(Lane.GOSSIP, b"ping")
        two.send(Lane.CONTROL, b"pong")
        await trio.testing.wait_all_tasks_blocked()
        one.send(Lane.GOSSIP, b"bye")
        one.close("enough")
    assert (first.messages, second.messages) == ([b"pong"], [b"ping", b"bye"])
    assert second.downs == [("closed", True)]
    assert first.downs == [("enough", True)]


async def test_a_handshake_has_a_deadline(
    transports: Transports, autojump_clock: MockClock
) -> None:
    one, owner, _two, _ = pair(transports)
    await one.run()
    assert owner.downs == [("handshake-timeout", False)]
    assert one.timed_out
    assert trio.current_time() == pytest.approx(link_module.HANDSHAKE_SECONDS, abs=0.1)


async def test_an_open_link_may_be_silent_for_long(
    transports: Transports, autojump_clock: MockClock
) -> None:
    one, owner, two, _ = pair(transports)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        nursery.start_soon(two.run)
        await trio.sleep(10_000)
        assert owner.downs == []
        nursery.cancel_scope.cancel()
    assert owner.downs == [("shutdown", False)]


async def test_a_peer_that_does_not_answer_a_close_is_left(
    transports: Transports, autojump_clock: MockClock
) -> None:
    one, owner, two, other = pair(transports)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        nursery.start_soon(two.run)
        await trio.testing.wait_all_tasks_blocked()
        other.full = trio.Event()  # it reads no more
        two.send(Lane.GOSSIP, b"so that its next read ends")
        one.send(Lane.GOSSIP, b"the same")
        await trio.testing.wait_all_tasks_blocked()
        one.close("enough")
        await trio.sleep(link_module.CLOSE_SECONDS + 0.1)
        assert len(owner.downs) == 1
        nursery.cancel_scope.cancel()


async def test_a_message_after_close_goes_nowhere(
    transports: Transports, autojump_clock: MockClock
) -> None:
    one, _first, two, second = pair(transports)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        nursery.start_soon(two.run)
        await trio.testing.wait_all_tasks_blocked()
        one.close("enough")
        assert one.send(Lane.GOSSIP, b"too late")
        one.close("again")
    assert second.messages == []


async def test_the_outbox_refuses_instead_of_growing(
    transports: Transports, autojump_clock: MockClock
) -> None:
    one, first, two, _second = pair(transports)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        nursery.start_soon(two.run)
        await trio.testing.wait_all_tasks_blocked()
        sent = 0
        while one.send(Lane.BULK, bytes(60_000)):  # nothing is written before this task waits
            sent += 1
            assert sent < 1000
        one.fail("slow")
        nursery.cancel_scope.cancel()
    assert first.downs == [("slow", False)]


async def test_a_link_that_failed_before_it_ran_ends_at_once(
    transports: Transports, autojump_clock: MockClock
) -> None:
    one, owner, _two, _ = pair(transports)
    one.fail("early")
    await one.run()
    assert owner.downs == [("early", False)]


async def test_bytes_read_before_belong_to_the_session(
    transports: Transports, autojump_clock: MockClock
) -> None:
    a, b = transports(2)
    left, right = memory_stream_pair()
    one, two = Owner(), Owner()
    dialing = Link(one, left, Session.dial(a, expected=None), address="", dialed=1, deadline=9)
    answering = Link(two, right, Session.answer(b), address="", dialed=None, deadline=9)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(dialing.run)
        first = await right.receive_some(10)
        nursery.start_soon(answering.run, first)
        await trio.testing.wait_all_tasks_blocked()
        assert len(one.ups) == len(two.ups) == 1
        nursery.cancel_scope.cancel()


async def test_a_broken_stream_is_not_clean(
    transports: Transports, autojump_clock: MockClock
) -> None:
    one, first, two, second = pair(transports)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        nursery.start_soon(two.run)
        await trio.testing.wait_all_tasks_blocked()
        two.fail("tripped")
    assert second.downs == [("tripped", False)]
    assert first.downs == [("truncated", False)]
