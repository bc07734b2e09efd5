"""Rows 34 to 40 of the threat table: whoever shares the machine, its disk, its clock or its log."""

import itertools
import os
import random
import shutil
import stat
import tracemalloc
from pathlib import Path

import pytest
import trio

from gossipnet.config import load
from gossipnet.errors import ConfigError, HomeError, IdentityError, RemoteProtocolError
from gossipnet.identity import keyfile
from gossipnet.identity.founding import expand
from gossipnet.identity.home import Home
from gossipnet.identity.keyfile import read_root, write_root
from gossipnet.identity.signing import SecretKey
from gossipnet.io.local_socket import bind_local_socket
from gossipnet.node import open_node
from gossipnet.protocol import noise
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.handshake import PostQuantum, Transport
from gossipnet.protocol.session import Established, Session
from gossipnet.state.keyspace import Keyspace
from tests.protocol.mesh import Net
from tests.protocol.session_world import WALL, World, connect, pump
from tests.security.hostile import ANY, eventually, home_of_founder, joined

# ---------------------------------------------------------------- 34, 35: files


@pytest.mark.parametrize("name", ["", "identity.key", "root.key"])
async def test_row_34_a_home_that_others_may_read_is_not_used(tmp_path: Path, name: str) -> None:
    home = home_of_founder(tmp_path / "ada")
    (home / name).chmod(0o755 if not name else 0o644)

    async def use() -> None:
        if name == "root.key":
            Home(home).root_key(None)
        else:
            async with open_node(home, listen=ANY):
                raise AssertionError("it started")

    with pytest.raises(HomeError, match="others may"):
        await use()


def test_row_34_the_local_socket_is_its_owner_s_from_the_first_moment(tmp_path: Path) -> None:
    """What another user is answered is in `tests/e2e/test_local_users.py`: that takes two users."""
    path = tmp_path / "gossipnet.sock"
    before = os.umask(0)
    try:
        bound = bind_local_socket(path)
    finally:
        os.umask(before)
    with bound:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_row_35_a_stolen_root_key_opens_to_its_passphrase_only() -> None:
    key = SecretKey.generate(expand(b"root"))
    sealed = write_root(key, "correct horse", expand(b"salt"))
    assert key.seed() not in sealed
    assert key.seed().hex().encode() not in sealed
    told = set()
    for wrong in ("wrong", "correct horse ", "Correct horse"):
        with pytest.raises(IdentityError) as caught:
            read_root(sealed, wrong, "root.key")
        told.add(str(caught.value))
    assert len(told) == 1
    text = sealed.decode()
    lines = [line for line in text.splitlines() if not line.startswith("check")]
    bomb = "\n".join(f"memory: {1 << 31}" if line.startswith("memory") else line for line in lines)
    data = f"{bomb}\ncheck: {keyfile._check(bomb + chr(10))}\n".encode()
    tracemalloc.start()
    try:
        with pytest.raises(IdentityError, match="refuses"):
            read_root(data, "correct horse", "root.key")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- 36: settings


MARKER = b"plainly readable text " * 20


@pytest.mark.parametrize(
    ("here", "there", "secret_here", "secret_there"),
    list(
        itertools.product(PostQuantum, PostQuantum, (b"", b"s" * 16), (b"", b"s" * 16, b"t" * 16))
    ),
)
def test_row_36_whatever_is_set_a_link_is_sealed_or_there_is_none(
    here: PostQuantum, there: PostQuantum, secret_here: bytes, secret_there: bytes
) -> None:
    world = World(b"settings")
    one = Transport(world.identity("alice"), expand(b"1"), secret=secret_here, pq=here)
    two = Transport(world.identity("bob"), expand(b"2"), secret=secret_there, pq=there)
    a, b = Session.dial(one, expected=None), Session.answer(two)
    wire, up = b"", 0
    try:
        for _ in range(3):
            for sender, receiver in ((a, b), (b, a)):
                data = pump(sender)
                wire += data
                events = list(receiver.receive(data, WALL))
                up += sum(isinstance(event, Established) for event in events)
    except RemoteProtocolError:
        up = 0
    if up == 2:
        a.send(Lane.GOSSIP, MARKER)
        wire += pump(a)
        assert secret_here == secret_there
        assert {here, there} != {PostQuantum.OFF, PostQuantum.REQUIRE}
    else:
        assert pump(a) == pump(b) == b""
    assert MARKER[:20] not in wire
    assert b"alice" not in wire


@pytest.mark.parametrize(
    "line",
    [
        'pq = "of"',
        'pq = "OFF"',
        "pq = false",
        'encryption = "off"',
        "plaintext = true",
        'mesh_secert = "x"',
        'durability = "never"',
    ],
)
def test_row_36_a_slip_in_a_setting_starts_nothing_and_changes_nothing(
    tmp_path: Path, line: str
) -> None:
    home = home_of_founder(tmp_path / "ada")
    file = home / "config.toml"
    file.write_text(line + "\n")
    with pytest.raises(ConfigError, match=r"config\.toml|line 1"):
        load({"home": str(home)}, {})
    assert file.read_text() == line + "\n"


# ---------------------------------------------------------------- 37, 38: copies and clocks


async def test_row_37_a_copied_home_never_signs_one_number_twice(tmp_path: Path) -> None:
    async with open_node(home_of_founder(tmp_path / "ada"), listen=ANY) as ada:
        home = await joined(ada, tmp_path / "bob")
        async with open_node(home, listen=ANY, join=ada.listening) as bob:
            await bob.increment(b"n", 1)
            await eventually(lambda: ada.get(b"n") == b"1", "it arrives")
        copy = tmp_path / "copy"
        shutil.copytree(home, copy)
        async with open_node(home, listen=ANY, join=ada.listening) as bob:
            await bob.increment(b"n", 10)
            async with open_node(copy, listen=ANY, join=ada.listening) as twin:
                await twin.increment(b"n", 100)
                await eventually(lambda: ada.get(b"n") == b"111", "both count")
                await eventually(lambda: bob.get(b"n") == twin.get(b"n") == b"111", "all agree")
        assert ada.engine.replica.counters["forks_seen"] == 0
        assert not list(ada.engine.replica.forks)


@pytest.mark.parametrize("years", [-10, 10])
def test_row_38_a_clock_that_is_set_wrong_breaks_no_link_and_is_told_apart(years: int) -> None:
    net = Net(4)
    net.until(net.meshed, 20, "a mesh")
    net.run(2)
    machine = net[2]
    links = set(machine.engine.links)
    machine.wall_offset = years * 365.25 * 86_400
    net.run(10)
    assert set(machine.engine.links) == links, "sessions live"
    refusal = machine.engine.keyspace.refusal
    assert refusal is not None
    assert refusal[0] == "CLOCKSKEW"
    assert "clock" in refusal[1]
    net[0].set(b"k", b"meanwhile")
    net.run(1)
    if years > 0:
        assert machine.get(b"k") == b"meanwhile", "it still hears"
    else:  # by this clock that is years ahead
        assert machine.engine.replica.quarantined == 1
    machine.wall_offset = 0.0
    net.until(lambda: machine.engine.keyspace.refusal is None, 20, "the fix is noticed")
    net.until(lambda: machine.get(b"k") == b"meanwhile", 5, "nothing was lost")
    machine.set(b"k", b"after")
    net.until(lambda: net[0].get(b"k") == b"after", 5, "and its writes count")


# ---------------------------------------------------------------- 39, 40: nonces and logs


class _Counting:
    """ChaCha20-Poly1305 that remembers under which key and nonce it sealed."""

    sealed: list[tuple[bytes, bytes]] = []

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._real = noise_cipher(key)

    def encrypt(self, nonce: bytes, data: bytes, associated: bytes | None) -> bytes:
        _Counting.sealed.append((self._key, nonce))
        return self._real.encrypt(nonce, data, associated)

    def decrypt(self, nonce: bytes, data: bytes, associated: bytes | None) -> bytes:
        return self._real.decrypt(nonce, data, associated)


noise_cipher = noise.ChaCha20Poly1305


async def test_row_39_no_nonce_is_used_twice_whoever_writes_at_one_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise, "ChaCha20Poly1305", _Counting)
    _Counting.sealed = []
    async with open_node(home_of_founder(tmp_path / "ada"), listen=ANY) as ada:
        home = await joined(ada, tmp_path / "bob")
        async with open_node(home, listen=ANY, join=ada.listening) as bob:
            await eventually(lambda: bob.engine.peers(), "a link")

            async def write(number: int) -> None:
                for turn in range(5):
                    node = (ada, bob)[(number + turn) % 2]
                    await node.set(b"k%d" % number, b"v" * random.Random(number).randrange(9000))
                    for link in list(node.driver._links.values()):
                        link.refresh() if link.dialed is not None and turn == 2 else None

            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(write, number)
    assert len(_Counting.sealed) > 50
    assert len(set(_Counting.sealed)) == len(_Counting.sealed)


def test_row_39_a_failed_forgery_moves_no_counter() -> None:
    world = World(b"counters")
    a, b, _seen, _by = connect(world.transport("alice"), world.transport("bob"))
    a.send(Lane.GOSSIP, b"true")
    data = pump(a)
    assert b._receiving is not None
    before = b._receiving._cipher.nonce
    with pytest.raises(RemoteProtocolError):
        b._receiving.open(memoryview(data[2:-1] + bytes((data[-1] ^ 1,))))
    assert b._receiving._cipher.nonce == before
    assert b._receiving.open(memoryview(data[2:]))


def test_row_40_no_text_form_shows_a_secret() -> None:
    world = World(b"secrets")
    transport = world.transport("alice")
    identity = world.identity("alice")
    a, _b, _seen, _by = connect(transport, world.transport("bob"))
    text = " ".join(
        f"{thing!r} {thing}"
        for thing in (identity, identity.key, transport, transport.static, a, a._sending, a._peer)
    )
    secrets = [identity.key.seed(), transport.static.private.private_bytes_raw()]
    for secret in secrets:
        for form in (secret.hex(), repr(secret)[2:40]):
            assert form not in text


# ---------------------------------------------------------------- a value that crashes a handler


def test_a_poison_value_is_set_aside_and_every_node_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Row 40 of the reliability table: planted in all nodes but the one that writes it."""
    net = Net(5)
    net.until(net.meshed, 20, "a mesh")
    writer = net[4]
    real = Keyspace.apply

    def planted(self: Keyspace, operation, *place) -> object:
        poison = getattr(operation, "value", b"") == b"poison"
        if poison and self is not writer.engine.keyspace:
            raise ZeroDivisionError("a planted bug")
        return real(self, operation, *place)

    monkeypatch.setattr(Keyspace, "apply", planted)
    writer.set(b"k", b"poison")
    writer.set(b"other", b"v")
    others = [machine for machine in net if machine is not writer]
    net.until(lambda: all(m.get(b"other") == b"v" for m in net), 5, "all go on")
    for machine in others:
        (row,) = machine.engine.status()["poisoned"]
        assert (row["key"], row["operation"]) == ("k", "Set")
        assert "ZeroDivisionError" in row["error"]
        assert machine.engine.status()["counters"]["operations_poisoned"] == 1
        assert any(getattr(e, "kind", "") == "operation-poisoned" for e in machine.told)
    machine = others[2]
    machine.kill()
    machine.start()  # what is on its disk is applied again
    net.until(lambda: net.meshed() and machine.get(b"other") == b"v", 20, "it starts with it")
    writer.write(lambda engine: engine.keyspace.delete(b"k"))
    net[0].set(b"k", b"clean")
    net.until(lambda: all(m.get(b"k") == b"clean" for m in net), 10, "DEL clears it")
    net.until(net.equal, 10, "one state")
