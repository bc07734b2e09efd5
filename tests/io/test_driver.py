"""Drivers between scripted engines and real sockets and disks."""

import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
from scripted import Host, make_transports, running

from gossipnet.errors import StoreError
from gossipnet.ids import LogId
from gossipnet.io import dials, join_stream
from gossipnet.io import driver as driver_module
from gossipnet.io import link as link_module
from gossipnet.io import listener as listener_module
from gossipnet.io.accounts import Ledger, LinkLimits
from gossipnet.io.admission import AdmissionLimits
from gossipnet.io.disk_errors import WriteDeferred
from gossipnet.protocol.effects import (
    CloseLink,
    Commit,
    Committed,
    DialFailed,
    DialFailure,
    Heard,
    JoinClose,
    JoinClosed,
    JoinOpened,
    JoinReceived,
    JoinSend,
    Lane,
    LinkDown,
    LinkUp,
    LogRead,
    PauseLink,
    ReadLog,
    Received,
    StoredRecord,
)
from gossipnet.protocol.handshake import Transport
from gossipnet.state.errors import WritesRefused

JOIN = b"GSP1\x01\0\0\0"
LOG = LogId(b"L" * 16)

Transports = Callable[[int], list[Transport]]


@pytest.fixture
def transports() -> Transports:
    """Makes members of one mesh."""
    return make_transports


@pytest.fixture
async def hosts(tmp_path: Path, transports: Transports) -> AsyncIterator[list[Host]]:
    """Three machines of one mesh."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(running(tmp_path / f"host{n}", transport))
            for n, transport in enumerate(transports(3))
        ]


# ---------------------------------------------------------------- links


async def test_a_dial_makes_a_link_at_both_ends(hosts: list[Host]) -> None:
    a, b, _ = hosts
    dial = a.dial(b.address, expected=b.transport.identity.node_id)
    mine = await a.engine.saw(LinkUp)
    theirs = await b.engine.saw(LinkUp)
    assert (mine.dialed, mine.address) == (dial, b.address)
    assert mine.peer.node_id == b.transport.identity.node_id
    assert theirs.dialed is None
    assert theirs.address.startswith("127.0.0.1:")
    assert theirs.peer.node_id == a.transport.identity.node_id


async def test_messages_arrive_whole_and_in_order_within_a_lane(hosts: list[Host]) -> None:
    a, b, _ = hosts
    mine, theirs = await a.link_to(b)
    sent = [b"%d" % n * (1 + n * 37 % 1000) for n in range(300)]
    for payload in sent:
        a.send(mine, payload)
    b.send(theirs, b"and back")
    await b.engine.saw(Received, len(sent))
    assert b.received() == sent
    assert (await a.engine.saw(Received)).payload == b"and back"


async def test_a_heartbeat_overtakes_a_bulk_transfer(hosts: list[Host]) -> None:
    a, b, _ = hosts
    mine, _theirs = await a.link_to(b)
    for _ in range(15):
        a.send(mine, bytes(60_000), Lane.BULK)
    a.send(mine, b"beat", Lane.CONTROL)
    await b.engine.saw(Received, 16)
    assert b.received().index(b"beat") <= 1


async def test_closing_is_clean_at_the_other_end_and_silent_at_this_one(hosts: list[Host]) -> None:
    a, b, _ = hosts
    mine, theirs = await a.link_to(b)
    a.send(mine, b"last words")
    a.do(CloseLink(mine, "done"))
    down = await b.engine.saw(LinkDown)
    assert down == LinkDown(theirs, clean=True, reason="closed")
    assert b.received() == [b"last words"]
    assert not any(isinstance(event, LinkDown) for event in a.engine.inputs)
    while a.driver.status_extra()["half_open"]:
        await trio.testing.wait_all_tasks_blocked()


async def test_sending_on_an_ended_link_is_counted_and_harmless(hosts: list[Host]) -> None:
    a, b, _ = hosts
    mine, _theirs = await a.link_to(b)
    a.do(CloseLink(mine, "done"))
    a.send(mine, b"too late")
    await b.engine.saw(LinkDown)
    assert a.driver.counters["sends_to_ended_links"] == 1


async def test_a_stream_that_breaks_is_not_clean(hosts: list[Host]) -> None:
    a, b, _ = hosts
    mine, _theirs = await a.link_to(b)
    (link,) = b.driver._running
    link.fail("tripped")
    down = await a.engine.saw(LinkDown)
    assert (down.link, down.clean) == (mine, False)
    assert (await b.engine.saw(LinkDown)).reason == "tripped"


async def test_a_reader_that_stops_is_cut_and_nobody_else_waits(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, stuck, c = hosts
    to_stuck, _ = await a.link_to(stuck)
    to_c, from_c = await a.link_to(c)
    monkeypatch.setattr(stuck.driver, "room", trio.Event)  # never set: it reads no more
    rounds = 0
    while not any(isinstance(event, LinkDown) for event in a.engine.inputs):
        rounds += 1
        assert rounds < 2000
        for _ in range(4):
            a.send(to_stuck, bytes(60_000), Lane.BULK)
        a.send(to_c, b"ping %d" % rounds)
        await c.engine.saw(Received, payload=b"ping %d" % rounds)
        c.send(from_c, b"pong %d" % rounds)
        await a.engine.saw(Received, payload=b"pong %d" % rounds)
    down = await a.engine.saw(LinkDown)
    assert down == LinkDown(to_stuck, clean=False, reason="slow")
    assert a.driver.counters["links_too_slow"] == 1


async def test_gossip_for_a_reader_that_stops_is_dropped_counted_and_costs_no_link(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, stuck, c = hosts
    to_stuck, _ = await a.link_to(stuck)
    to_c, _ = await a.link_to(c)
    waiting = trio.Event()
    monkeypatch.setattr(stuck.driver, "room", lambda: None if waiting.is_set() else waiting)
    for number in range(200):
        a.send(to_stuck, bytes(60_000), Lane.GOSSIP)
        a.send(to_c, b"news %d" % number, Lane.GOSSIP)
        await c.engine.saw(Received, payload=b"news %d" % number)
    queued, shed = a.driver.outbox(to_stuck)
    assert queued < 3 << 20
    assert 100 < shed == a.driver.counters["messages_dropped_slow_link"]
    assert a.driver.outbox(to_c)[1] == 0
    assert not [event for event in a.engine.inputs if isinstance(event, LinkDown)]
    waiting.set()  # it reads again, and the link carries on
    await stuck.engine.saw(Received, 200 - shed)
    a.send(to_stuck, b"after all", Lane.GOSSIP)
    await stuck.engine.saw(Received, payload=b"after all")


async def test_a_write_has_a_deadline(hosts: list[Host], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "WRITE_SECONDS", 0.2)
    a, stuck, _ = hosts
    mine, _theirs = await a.link_to(stuck)
    (link,) = a.driver._running
    monkeypatch.setattr(stuck.driver, "room", trio.Event)
    while not link._blocked:
        a.send(mine, bytes(60_000))
        await trio.testing.wait_all_tasks_blocked()
    assert await a.engine.saw(LinkDown) == LinkDown(mine, clean=False, reason="write-timeout")


async def test_the_last_word_of_a_peer_counts_although_writing_fails(hosts: list[Host]) -> None:
    """A reset that follows a CLOSE must not look like the death of a process."""
    a, b, _ = hosts
    mine, _theirs = await a.link_to(b)
    for n in range(20):
        b.do(CloseLink((await b.engine.saw(LinkUp, n + 1)).link, "done"))
        for _ in range(5):
            a.send(mine, bytes(30_000))
        assert (await a.engine.saw(LinkDown, n + 1)).clean
        dial = a.dial(b.address)
        mine = (await a.engine.saw(LinkUp, dialed=dial)).link
        await b.engine.saw(LinkUp, n + 2)


async def test_a_full_disk_stops_reading_and_not_for_ever(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, _ = hosts
    mine, _theirs = await a.link_to(b)
    full: trio.Event | None = trio.Event()
    monkeypatch.setattr(b.driver, "room", lambda: full)
    a.send(mine, b"one")  # the read that is under way still takes it
    await b.engine.saw(Received)
    a.send(mine, b"two")
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert b.received() == [b"one"]
    assert full is not None
    full.set()
    full = None
    await b.engine.saw(Received, 2)


async def test_stopping_says_close_on_every_link(hosts: list[Host]) -> None:
    a, b, c = hosts
    await a.link_to(b)
    await c.link_to(a)
    with trio.fail_after(5):
        await a.driver.shut("goodbye")
    assert (await b.engine.saw(LinkDown)).clean
    assert (await c.engine.saw(LinkDown)).clean
    a.dial(b.address)
    assert (await a.engine.saw(DialFailed)).failure is DialFailure.UNREACHABLE


async def test_a_driver_that_is_cancelled_still_says_close(
    tmp_path: Path, hosts: list[Host], transports: Transports
) -> None:
    a = hosts[0]
    async with running(tmp_path / "short", transports(4)[3]) as short:
        await short.link_to(a)
    assert (await a.engine.saw(LinkDown)).clean


# ---------------------------------------------------------------- dials


async def test_a_refused_dial_says_so(hosts: list[Host]) -> None:
    a = hosts[0]
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    dial = a.dial(f"127.0.0.1:{port}")
    assert await a.engine.saw(DialFailed) == DialFailed(
        dial, DialFailure.REFUSED, "nobody listens there"
    )


async def test_somebody_else_than_expected_fails_the_handshake(hosts: list[Host]) -> None:
    a, b, c = hosts
    a.dial(b.address, expected=c.transport.identity.node_id)
    failed = await a.engine.saw(DialFailed)
    assert (failed.failure, failed.detail) == (DialFailure.HANDSHAKE, "wrong-peer")


async def test_dialling_oneself_fails_as_self(hosts: list[Host]) -> None:
    a = hosts[0]
    a.dial(a.address)
    failed = await a.engine.saw(DialFailed)
    assert (failed.failure, failed.detail) == (DialFailure.HANDSHAKE, "self")


async def test_one_who_accepts_and_says_nothing_is_unreachable(hosts: list[Host]) -> None:
    a = hosts[0]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        a.dial(f"127.0.0.1:{silent.getsockname()[1]}", deadline=0.3)
        failed = await a.engine.saw(DialFailed)
    assert failed.failure == DialFailure.UNREACHABLE
    assert "(handshake-timeout)" in failed.detail
    assert "likely" in failed.detail
    assert a.driver.status_extra()["dials"] == 0


async def test_one_who_talks_garbage_fails_the_handshake(hosts: list[Host]) -> None:
    a = hosts[0]
    bound = await listener_module.bind("127.0.0.1:0")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_talk_garbage, bound[0])
        a.dial(f"127.0.0.1:{bound[0].socket.getsockname()[1]}")
        failed = await a.engine.saw(DialFailed)
        nursery.cancel_scope.cancel()
    bound[0].socket.close()
    assert failed.failure is DialFailure.HANDSHAKE


async def _talk_garbage(listening: trio.SocketListener) -> None:
    async with await listening.accept() as stream:
        await stream.send_all(b"SSH-2.0-OpenSSH_9.2 and then some more\r\n" * 30)
        await trio.sleep_forever()


async def test_dials_at_once_are_bounded(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dials, "MAX_DIALS", 2)
    a = hosts[0]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for _ in range(3):
            a.dial(f"127.0.0.1:{silent.getsockname()[1]}", deadline=0.3)
        assert (await a.engine.saw(DialFailed, dial=3)).detail == "too many links or dials"
        await a.engine.saw(DialFailed, 3)
    assert a.driver.counters["dials_refused"] == 1


# ---------------------------------------------------------------- strangers


async def reply_to(host: Host, said: bytes) -> bytes:
    """Everything a host answers until it closes."""
    with trio.fail_after(20):
        async with await host.knock() as stream:
            got = b""
            try:
                if said:
                    await stream.send_all(said)
                async for data in stream:
                    got += data
            except trio.BrokenResourceError:
                pass
            return got


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"GSP2" + bytes(60),
        b"GSP1\x07" + bytes(60),
        b"GSP1" + bytes(200),
        b"\x16\x03\x01" + bytes(100),
        bytes(5000),
    ],
)
async def test_garbage_is_closed_without_a_word(hosts: list[Host], said: bytes) -> None:
    assert await reply_to(hosts[0], said) == b""
    assert hosts[0].engine.inputs == []


async def test_silence_is_closed_without_a_word(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "HANDSHAKE_SECONDS", 0.1)
    a = hosts[0]
    assert await reply_to(a, b"") == b""
    assert await reply_to(a, b"GSP1\0") == b""
    assert await reply_to(a, b"GSP1\0\0\0\0") == b""
    assert a.engine.inputs == []
    await trio.testing.wait_all_tasks_blocked()
    assert a.listener.admission.half_open == 0


async def test_a_flood_of_silent_strangers_keeps_no_member_out(
    tmp_path: Path, transports: Transports
) -> None:
    limits = AdmissionLimits(half_open=8, loopback_per_address=100, loopback_rate=1e6)
    first, second = transports(2)
    async with (
        running(tmp_path / "a", first, limits) as a,
        running(tmp_path / "b", second) as b,
    ):
        strangers = [await a.knock() for _ in range(60)]
        await b.link_to(a)
        assert a.listener.admission.half_open <= 8
        assert a.listener.admission.refused["evicted"] >= 52
        for stranger in strangers:
            await trio.aclose_forcefully(stranger)


async def test_a_flood_from_one_address_leaves_room_for_others(
    tmp_path: Path, transports: Transports
) -> None:
    limits = AdmissionLimits(loopback_per_address=4, loopback_rate=1e6)
    async with running(tmp_path / "a", transports(1)[0], limits) as a:
        strangers = [await a.knock() for _ in range(30)]
        while sum(a.listener.admission.refused.values()) < 26:
            await trio.testing.wait_all_tasks_blocked(0.001)
        assert a.listener.admission.half_open == 4
        assert a.listener.admission.refused["address-full"] == 26
        for stranger in strangers:
            await trio.aclose_forcefully(stranger)


async def test_links_at_once_are_bounded(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = hosts
    await b.link_to(a)
    monkeypatch.setattr(driver_module, "MAX_LINKS", 1)
    monkeypatch.setattr(c.driver, "_running", {})
    c.dial(a.address)
    assert (await c.engine.saw(DialFailed)).failure is DialFailure.UNREACHABLE
    assert a.driver.counters["links_refused_full"] == 1


async def test_running_out_of_descriptors_ends_nothing(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "_PAUSE_SECONDS", 0.01)
    a, b, c = hosts
    real, failures = trio.SocketListener.accept, [errno.EMFILE, errno.ENFILE, errno.ENOBUFS]

    async def accept(self: trio.SocketListener) -> trio.SocketStream:
        if failures:
            raise OSError(failures.pop(), "short of something")
        return await real(self)

    monkeypatch.setattr(trio.SocketListener, "accept", accept)
    await b.link_to(a)  # the accept under way was the last good one
    await c.link_to(a)
    assert a.driver.counters["accept_short_of_descriptors"] == 3


# ---------------------------------------------------------------- joins


async def test_a_join_carries_bytes_both_ways(hosts: list[Host]) -> None:
    a = hosts[0]
    with trio.fail_after(20):
        async with await a.knock() as stream:
            await stream.send_all(JOIN + b"please")
            opened = await a.engine.saw(JoinOpened)
            assert opened.address.startswith("127.0.0.1:")
            first = await a.engine.saw(JoinReceived)
            assert first == JoinReceived(opened.join, JOIN + b"please")
            a.do(JoinSend(opened.join, b"who "), JoinSend(opened.join, b"are you"))
            assert await receive_exactly(stream, 11) == b"who are you"
            await stream.send_all(b"me")
            await a.engine.saw(JoinReceived, data=b"me")
            a.do(JoinSend(opened.join, b"x" * 50_000), JoinClose(opened.join))
            assert await receive_exactly(stream, 50_000) == b"x" * 50_000
            assert await stream.receive_some() == b""
    assert not any(isinstance(event, JoinClosed) for event in a.engine.inputs)


async def receive_exactly(stream: trio.SocketStream, size: int) -> bytes:
    got = b""
    while len(got) < size:
        data = await stream.receive_some(size - len(got))
        assert data
        got += data
    return got


async def test_a_join_that_ends_is_told(hosts: list[Host]) -> None:
    a = hosts[0]
    async with await a.knock() as stream:
        await stream.send_all(JOIN)
        opened = await a.engine.saw(JoinOpened)
    assert await a.engine.saw(JoinClosed) == JoinClosed(opened.join)


async def test_a_join_is_bounded_in_bytes_time_and_number(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    a = hosts[0]
    monkeypatch.setattr(join_stream, "MAX_IN_BYTES", 1000)
    assert await reply_to(a, JOIN + bytes(5000)) == b""
    await a.engine.saw(JoinClosed, 1)

    monkeypatch.setattr(join_stream, "JOIN_SECONDS", 0.1)
    assert await reply_to(a, JOIN) == b""
    await a.engine.saw(JoinClosed, 2)

    monkeypatch.setattr(join_stream, "MAX_JOINS", 0)
    assert await reply_to(a, JOIN) == b""
    assert a.driver.counters["joins_refused_full"] == 1


async def test_a_join_that_reads_nothing_keeps_no_memory(hosts: list[Host]) -> None:
    a = hosts[0]
    async with await a.knock() as stream:
        await stream.send_all(JOIN)
        opened = await a.engine.saw(JoinOpened)
        a.do(*[JoinSend(opened.join, bytes(100_000)) for _ in range(200)])
        await a.engine.saw(JoinClosed)
    assert a.driver.counters["joins_too_slow"] == 1


# ---------------------------------------------------------------- disk and time


def commit(number: int) -> Commit:
    return Commit(number, (StoredRecord(LOG, number, b"%d" % number),), (), urgent=True)


async def test_commits_and_reads_come_back_as_inputs(hosts: list[Host]) -> None:
    a = hosts[0]
    told: list[int] = []
    a.driver.on_committed.append(told.append)
    a.do(commit(1), ReadLog(5, ((LOG, 1, 1),), 0, 1000))
    assert await a.engine.saw(LogRead) == LogRead(5, (b"1",), None)
    await a.engine.saw(Committed)
    assert told == [1]


async def test_waiting_for_a_commit(hosts: list[Host]) -> None:
    a = hosts[0]
    woken: list[int] = []

    async def wait(number: int) -> None:
        await a.driver.wait_committed(number)
        woken.append(number)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for number in (3, 1, 2, 2):
                nursery.start_soon(wait, number)
            await trio.testing.wait_all_tasks_blocked()
            for number in (1, 2, 3):
                a.do(commit(number))
        await a.driver.wait_committed(2)
    assert sorted(woken) == [1, 2, 2, 3]
    assert a.driver._waiting == {}


async def test_a_full_disk_is_told_and_reads_go_on(
    hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    a = hosts[0]
    monkeypatch.setattr("gossipnet.io.store.RETRY_SECONDS", 0.02)
    database = a.store._database
    real = database.write
    full = True

    def write(commits: list[Commit]) -> None:
        if full:
            raise WriteDeferred("the disk is full: free some space")
        real(commits)

    monkeypatch.setattr(database, "write", write)
    a.do(commit(1))
    with trio.fail_after(20):
        while not a.store.deferred:
            await trio.testing.wait_all_tasks_blocked(0.001)
        assert a.driver.status_extra()["disk"] == "the disk is full: free some space"
        assert a.engine.keyspace.refusal[0] == "MISCONF"
        with pytest.raises(WritesRefused, match="not on disk"):
            await a.driver.wait_committed(1)
        full = False
        while a.store.deferred:
            await trio.testing.wait_all_tasks_blocked(0.001)
        await a.driver.wait_committed(1)
        while a.store.deferred:
            await trio.testing.wait_all_tasks_blocked(0.001)
    assert a.engine.keyspace.refusal is None


async def test_a_broken_disk_ends_the_driver(tmp_path: Path, transports: Transports) -> None:
    def write(_commits: list[Commit]) -> None:
        raise StoreError("the disk failed")

    async def live() -> None:
        async with running(tmp_path / "a", transports(1)[0]) as a:
            a.store._database.write = write  # type: ignore[method-assign]
            a.do(commit(1))
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await live()
    assert caught.group_contains(StoreError, match="the disk failed")


async def test_a_bug_in_the_engine_ends_the_driver(tmp_path: Path, transports: Transports) -> None:
    def react(event: object) -> None:
        if isinstance(event, LinkUp):
            raise ZeroDivisionError

    async def live() -> None:
        async with running(tmp_path / "a", first) as a:
            a.engine.react = react
            b.dial(a.address)
            with trio.fail_after(20):
                await trio.sleep_forever()

    first, second = transports(2)
    async with running(tmp_path / "b", second) as b:
        with pytest.raises(ExceptionGroup) as caught:
            await live()
        assert caught.group_contains(ZeroDivisionError)


async def test_timers_fire_on_time_and_cost_nothing_meanwhile(
    tmp_path: Path, transports: Transports, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(tmp_path / "a", transports(1)[0]) as a:
        now = trio.current_time()
        turns = 0
        real = a.engine.take_effects

        def take_effects(now: float, wall: float) -> list[object]:
            nonlocal turns
            turns += 1
            return real(now, wall)

        a.engine.take_effects = take_effects  # type: ignore[method-assign, assignment]
        a.engine.due = now + 100
        a.driver.flush()
        await trio.sleep(50)
        assert (a.engine.ticks, turns) == ([], 1)
        await trio.sleep(60)
        assert a.engine.ticks == [now + 100]
        assert turns == 2


async def test_many_flushes_make_one_turn(hosts: list[Host]) -> None:
    a = hosts[0]
    await trio.testing.wait_all_tasks_blocked()
    calls = 0
    real = a.engine.take_effects

    def take_effects(now: float, wall: float) -> list[object]:
        nonlocal calls
        calls += 1
        return real(now, wall)

    a.engine.take_effects = take_effects  # type: ignore[method-assign, assignment]
    for _ in range(1000):
        a.driver.flush()
    await trio.testing.wait_all_tasks_blocked()
    assert calls == 1


async def test_part_of_a_message_is_a_sign_of_life(hosts: list[Host]) -> None:
    a, b, _ = hosts
    mine, _theirs = await a.link_to(b)
    for _ in range(2):
        a.send(mine, bytes(400_000), Lane.BULK)
    await b.engine.saw(Received, 2)
    assert any(isinstance(event, Heard) for event in b.engine.inputs)


# ---------------------------------------------------------------- what peers cost


async def test_one_member_holds_a_few_links_at_most(hosts: list[Host]) -> None:
    a, b, _ = hosts
    most = b.driver.ledger.limits.sessions
    a.driver.ledger = Ledger(LinkLimits(sessions=100))
    for _ in range(most + 3):
        a.dial(b.address)
    await a.engine.saw(LinkUp, most + 3)
    await a.engine.saw(LinkDown, 3)
    assert sum(isinstance(event, LinkUp) for event in b.engine.inputs) == most
    costs = b.driver.status_extra()["costs"]
    assert isinstance(costs, dict)
    assert costs["refused"]["sessions_of_one_member"] == 3
    assert costs["members_linked"] == 1


async def test_a_pause_that_the_engine_wants_holds_up_that_link_only(hosts: list[Host]) -> None:
    a, b, c = hosts
    mine, theirs = await a.link_to(b)
    other, _ = await c.link_to(b)
    b.do(PauseLink(theirs, 0.3))
    await trio.testing.wait_all_tasks_blocked()
    began = trio.current_time()
    a.send(mine, b"slow")
    a.send(mine, b"slow")
    c.send(other, b"quick")
    await b.engine.saw(Received, payload=b"quick")
    quick = trio.current_time() - began
    await b.engine.saw(Received, 2, payload=b"slow")
    a.send(mine, b"slow again")
    await b.engine.saw(Received, payload=b"slow again")
    assert trio.current_time() - began > 0.25 > quick
