"""Links that live long: their keys are renewed in time, whoever does not is cut off."""

import itertools

import pytest
import trio
from test_link import Owner, Transports, make_transports
from trio.testing import MockClock, memory_stream_pair

from gossipnet.identity.peer import Peer
from gossipnet.io.freshkeys import ANSWER_SECONDS, EVERY, OLDEST, SPREAD, FreshKeys
from gossipnet.io.link import HANDSHAKE_SECONDS, Link
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.session import Session

_ = Transports


class Keeper(Owner):
    """An owner with `FreshKeys`, as the driver is."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.keys = FreshKeys(lambda: self.links)
        self.refreshed: list[tuple[float, Peer]] = []

    def wall(self) -> float:
        return super().wall() + trio.current_time()

    def link_down(self, link: Link, reason: str, clean: bool) -> None:
        super().link_down(link, reason, clean)
        self.links.remove(link)

    def link_refreshed(self, link: Link, peer: Peer) -> None:
        self.refreshed.append((trio.current_time(), peer))
        self.keys.refreshed(link)


def pair() -> tuple[Link, Keeper, Link, Keeper]:
    a, b = make_transports(2)
    left, right = memory_stream_pair()
    one, two = Keeper(), Keeper()
    deadline = trio.current_time() + HANDSHAKE_SECONDS
    dialing = Session.dial(a, expected=None)
    near = Link(one, left, dialing, address="a", dialed=1, deadline=deadline)
    far = Link(two, right, Session.answer(b), address="b", dialed=None, deadline=deadline)
    one.links.append(near)
    two.links.append(far)
    return near, one, far, two


async def test_keys_are_renewed_every_quarter_of_an_hour_and_messages_go_on(
    autojump_clock: MockClock,
) -> None:
    near, one, far, two = pair()
    async with trio.open_nursery() as nursery:
        for task in (near.run, far.run, one.keys.run, two.keys.run):
            nursery.start_soon(task)
        for number in range(240):
            await trio.sleep(30)
            near.send(Lane.GOSSIP, b"%d" % number)
            far.send(Lane.GOSSIP, b"%d" % number)
        await trio.sleep(1)
        assert one.messages == two.messages == [b"%d" % number for number in range(240)]
        times = [0.0, *(when for when, _peer in one.refreshed)]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert len(gaps) >= 6
        assert all(EVERY * (1 - SPREAD) <= gap <= EVERY * (1 + SPREAD) + 20 for gap in gaps)
        assert len(two.refreshed) == len(one.refreshed)
        assert not one.downs
        assert not two.downs
        nursery.cancel_scope.cancel()


async def test_a_peer_that_never_renews_its_keys_loses_the_link(autojump_clock: MockClock) -> None:
    near, one, far, two = pair()
    async with trio.open_nursery() as nursery:
        for task in (near.run, far.run, two.keys.run):  # the dialling side does nothing
            nursery.start_soon(task)
        await trio.sleep(OLDEST - 60)
        assert not two.downs
        await trio.sleep(120)
        assert two.downs == [("stale-keys", False)]
        nursery.cancel_scope.cancel()
    assert one.downs


async def test_a_peer_that_lets_the_handshake_hang_loses_the_link(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, one, far, _two = pair()
    async with trio.open_nursery() as nursery:
        for task in (near.run, far.run, one.keys.run):
            nursery.start_soon(task)
        await trio.sleep(1)
        monkeypatch.setattr(far._session, "_take_shake", lambda *_words: None)
        await trio.sleep(EVERY * (1 + SPREAD) + ANSWER_SECONDS + 60)
        assert one.downs == [("refresh-timeout", False)]
        assert len(one.keys._due) + len(one.keys._late) == 0
        nursery.cancel_scope.cancel()
