"""Whole nodes embedded in this process: homes on disk, real links, nothing scripted."""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

import gossipnet
from gossipnet import ids
from gossipnet.errors import (
    ConfigError,
    HomeError,
    JoinError,
    NotFound,
    StoreError,
    TokenError,
    UserError,
)
from gossipnet.identity.home import Home
from gossipnet.io.enrol import enrol
from gossipnet.io.seeds import read_seeds
from gossipnet.node import Node, open_node

ANY = "127.0.0.1:0"


async def eventually(check: Callable[[], object], what: str) -> None:
    with trio.move_on_after(20):
        while not check():  # noqa: ASYNC110 - agreement is no event of any node
            await trio.sleep(0.01)
        return
    raise AssertionError(f"not in time: {what}")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a founder."""
    folder = tmp_path / "founder"
    Home(folder).found(
        mesh="test", name="founder", passphrase=None, entropy=os.urandom, wall=time.time()
    )
    return folder


def invite(node: Node, uses: int = 1, ttl: float = 3600.0) -> str:
    return node.engine.invite("member", uses, ttl, [])


def said(_line: str) -> None:
    """Nobody listens."""


async def newcomer(through: Node, folder: Path, token: str | None = None) -> Path:
    token = invite(through) if token is None else token
    await enrol(Home(folder), token, folder.name, [through.listening[0]], said)
    return folder


# ---------------------------------------------------------------- one node


async def test_what_a_node_wrote_is_there_next_time(home: Path) -> None:
    async with gossipnet.open_node(home, listen=ANY) as node:
        await node.set(b"a", b"1")
        assert await node.increment(b"n", 5) == 5
        assert await node.delete(b"a")
        await node.write(lambda keyspace: keyspace.add(b"s", [b"x", b"y"]))
    async with open_node(home, listen=ANY) as node:
        assert node.get(b"a") is None
        assert node.get(b"n") == b"5"
        assert sorted(node.keyspace.members(b"s")) == [b"x", b"y"]
        assert not await node.delete(b"a")
        assert [row["name"] for row in node.members()] == ["founder"]
        assert node.status()["disk"] == "ok"


async def test_a_write_is_on_disk_when_it_returns(home: Path) -> None:
    async with open_node(home, listen=ANY) as node:
        await node.set(b"a", b"1")
        raw = sqlite3.connect(f"file:{home}/state.db?mode=ro", uri=True)
        (records,) = raw.execute("SELECT count(*) FROM records").fetchone()
        raw.close()
        assert records >= 1


async def test_one_home_one_node(home: Path) -> None:
    async with open_node(home, listen=ANY):
        with pytest.raises(HomeError, match="already runs on"):
            async with open_node(home, listen=ANY):
                pass


async def test_no_home(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="gossipnet init"):
        async with open_node(tmp_path / "nowhere", listen=ANY):
            pass


async def test_a_bad_setting_and_a_busy_port(home: Path) -> None:
    with pytest.raises(ConfigError, match="durability"):
        async with open_node(home, listen=ANY, durability="never"):
            pass
    async with open_node(home, listen=ANY) as node:
        other = home.with_name("other")
        Home(other).found(mesh="x", name="x", passphrase=None, entropy=os.urandom, wall=time.time())
        with pytest.raises(UserError, match="is taken by another program"):
            async with open_node(other, listen=node.listening[0]):
                pass
    async with open_node(other, listen=ANY):
        pass


async def test_an_error_of_the_program_around_is_its_own(home: Path) -> None:
    async def program() -> None:
        async with open_node(home, listen=ANY) as node:
            await node.set(b"a", b"1")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await program()
    async with open_node(home, listen=ANY) as node:
        assert node.get(b"a") == b"1"


async def test_cancelling_leaves_a_sound_home(home: Path) -> None:
    with trio.move_on_after(20) as scope:
        async with open_node(home, listen=ANY) as node:
            await node.set(b"a", b"1")
            scope.cancel()
            await trio.sleep_forever()
    async with open_node(home, listen=ANY) as node:
        assert node.get(b"a") == b"1"


async def test_a_damaged_record_is_told_and_left_as_it_is(home: Path) -> None:
    async with open_node(home, listen=ANY) as node:
        for n in range(3):
            await node.set(b"a", b"%d" % n)
    raw = sqlite3.connect(home / "state.db")
    raw.execute("UPDATE records SET data=zeroblob(length(data)) WHERE ordinal=2")
    raw.commit()
    raw.close()
    for _ in range(2):
        with pytest.raises(StoreError):
            async with open_node(home, listen=ANY):
                pass


async def test_a_moved_home_goes_on_in_a_new_log_with_all_it_had(home: Path) -> None:
    async with open_node(home, listen=ANY) as node:
        await node.increment(b"n", 2)
        before = node.epoch
    moved = home.with_name("moved")
    os.rename(home, moved)
    async with open_node(moved, listen=ANY) as node:
        assert node.epoch != before
        assert await node.increment(b"n", 3) == 5


# ---------------------------------------------------------------- a mesh


async def test_two_nodes_agree(home: Path, tmp_path: Path) -> None:
    async with open_node(home, listen=ANY) as first:
        second_home = await newcomer(first, tmp_path / "second")
        await first.set(b"before", b"1")
        async with open_node(second_home, listen=ANY, join=first.listening) as second:
            await eventually(lambda: second.get(b"before") == b"1", "what was there arrives")
            await second.set(b"after", b"2")
            await eventually(lambda: first.get(b"after") == b"2", "what is new arrives")
            await first.increment(b"n", 1)
            await second.increment(b"n", 10)
            await eventually(
                lambda: first.get(b"n") == second.get(b"n") == b"11", "increments add up"
            )
            for node in (first, second):
                await eventually(
                    lambda node=node: (
                        sorted((row["name"], row["state"]) for row in node.members())
                        == [("founder", "alive"), ("second", "alive")]
                    ),
                    "both know both",
                )
        await eventually(
            lambda: "away" in {row["state"] for row in first.members()}, "the goodbye is heard"
        )


async def test_the_addresses_learnt_on_joining_are_enough(home: Path, tmp_path: Path) -> None:
    async with open_node(home, listen=ANY) as first:
        second_home = await newcomer(first, tmp_path / "second")
        async with open_node(second_home, listen=ANY) as second:
            await first.set(b"a", b"1")
            await eventually(lambda: second.get(b"a") == b"1", "it finds the mesh by itself")


async def test_a_join_through_a_member_that_is_no_issuer(home: Path, tmp_path: Path) -> None:
    async with open_node(home, listen=ANY) as first:
        second_home = await newcomer(first, tmp_path / "second")
        async with open_node(second_home, listen=ANY) as second:
            await eventually(lambda: len(second.engine.peers()) == 1, "the link is up")
            third = await newcomer(second, tmp_path / "third", invite(first))
            assert Home(third).load().name == "third"


async def test_a_token_is_used_once_and_again_by_the_same_machine(
    home: Path, tmp_path: Path
) -> None:
    async with open_node(home, listen=ANY) as first:
        token = invite(first)
        folder = await newcomer(first, tmp_path / "second", token)
        with pytest.raises(TokenError, match="used"):
            await newcomer(first, tmp_path / "third", token)
        node_id = Home(folder).load().node_id
        (folder / "identity.cert").unlink()  # the answer got lost
        await newcomer(first, folder, token)
        assert Home(folder).load().node_id == node_id


async def test_a_place_that_answers_nothing_is_passed_over(home: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    async with open_node(home, listen=ANY) as first:
        with trio.fail_after(20):
            await enrol(
                Home(tmp_path / "second"),
                invite(first),
                "second",
                ["127.0.0.1:1", first.listening[0]],
                lines.append,
            )
    assert lines[0] == "127.0.0.1:1: nobody listens there"


@pytest.mark.parametrize("whole_id", [False, True])
async def test_a_newcomer_that_never_showed_itself_can_be_revoked(
    home: Path, tmp_path: Path, whole_id: bool
) -> None:
    """A machine may be stolen between joining and its first start: it is no member then."""
    async with open_node(home, listen=ANY) as first:
        with trio.fail_after(20):
            folder = await newcomer(first, tmp_path / "second")
            node_id = Home(folder).load().node_id
            assert [row["name"] for row in first.members()] == ["founder"]
            if whole_id:  # as another issuer would, which did not let it in
                first.engine.standing.revoking.admitted = lambda: ()
                with pytest.raises(NotFound):
                    first.engine.revoke("second", "stolen")
            row = first.engine.revoke(ids.text(node_id) if whole_id else "second", "stolen")
            assert row["id"] == ids.text(node_id)
            async with open_node(folder, listen=ANY) as second:
                while not second.engine.status()["trust"]["own"]:  # noqa: ASYNC110
                    await trio.sleep(0.01)
                assert not second.engine.peers()


async def test_the_address_that_answered_is_kept(home: Path, tmp_path: Path) -> None:
    """What members advertise may lead nowhere from where the newcomer stands."""
    async with open_node(home, listen=ANY, advertise=["203.0.113.9:7117"]) as first:
        with trio.fail_after(20):
            folder = await newcomer(first, tmp_path / "second")
            assert read_seeds(folder) == (first.listening[0], "203.0.113.9:7117")
            async with open_node(folder, listen=ANY) as second:
                while not second.engine.peers():  # noqa: ASYNC110 - a link is no event for us
                    await trio.sleep(0.01)


async def test_nobody_to_ask_is_one_sentence(home: Path, tmp_path: Path) -> None:
    async with open_node(home, listen=ANY) as first:
        token = invite(first)
    with pytest.raises(JoinError, match="no member could be asked"):
        await enrol(Home(tmp_path / "second"), token, "second", [], said)


async def test_another_mesh_lets_nobody_in(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    Home(other).found(mesh="x", name="x", passphrase=None, entropy=os.urandom, wall=time.time())
    async with open_node(other, listen=ANY) as stranger, open_node(home, listen=ANY) as first:
        token = invite(first)
        at = first.listening[0]
    async with open_node(other, listen=at) as stranger:
        with pytest.raises(JoinError):
            await newcomer(stranger, tmp_path / "second", token)


# ---------------------------------------------------------------- renewal


async def test_a_certificate_of_seconds_is_renewed_over_the_mesh_and_kept(
    home: Path, tmp_path: Path
) -> None:
    async with open_node(home, listen=ANY) as founder:
        folder = await newcomer(founder, tmp_path / "guest")
        old = Home(folder).load()
        issuer = founder.identity.issuer
        assert issuer is not None
        short = issuer.issue(old.public_key, old.name, wall=time.time(), entropy=os.urandom, ttl=6)
        Home(folder).renew(old.renewed(short))
        async with open_node(folder, listen=ANY, join=founder.listening) as guest:

            def renewed() -> bool:
                return guest.status()["certificate_days"] > 89

            await eventually(renewed, "a new certificate")
            await eventually(
                lambda: Home(folder).load().not_after > time.time() + 86_400, "it is kept"
            )
            serial = guest.status()["certificate"]["serial"]
            assert guest.driver._transport.identity.certificate.serial.hex() == serial
            await guest.set(b"k", b"v")
            await eventually(lambda: founder.get(b"k") == b"v", "its writes count")
    assert Home(folder).load().certificate.serial.hex() == serial
