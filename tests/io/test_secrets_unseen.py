"""No secret shows in any text form of anything, in the log, in a status, or in a traceback."""

import base64
import gc
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from gossipnet.errors import IdentityError
from gossipnet.identity.home import Home
from gossipnet.identity.keyfile import read_seed
from gossipnet.identity.meshsecret import keep_mesh_secret
from gossipnet.identity.token import decode_token
from gossipnet.io.enrol import enrol
from gossipnet.node import Node, open_node
from gossipnet.protocol.joining import Joiner

SECRET = b"the-mesh-secret-of-this-test-0123456789"
ANY = "127.0.0.1:0"


def forms(secret: bytes) -> list[str]:
    """How a secret might show: raw in a repr, hex, base32, base64, the beginning of each."""
    texts = [
        repr(secret)[2:-1],
        secret.hex(),
        base64.b32encode(secret).decode().rstrip("="),
        base64.b32encode(secret).decode().rstrip("=").lower(),
        base64.b64encode(secret).decode().rstrip("="),
        str(list(secret))[1:-1],
    ]
    return [text[: max(20, len(text) // 2)] for text in texts]


def shown(text: str, secrets: dict[str, bytes]) -> list[str]:
    return [name for name, secret in secrets.items() if any(f in text for f in forms(secret))]


def private(key: object) -> bytes:
    return key.private_bytes_raw()  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
async def mesh(tmp_path: Path) -> Iterator[tuple[Node, Node, dict[str, bytes]]]:
    """Two linked nodes in this process, one of them just enrolled, and all secrets there are."""
    home = tmp_path / "founder"
    Home(home).found(mesh="t", name="ada", passphrase="pass", entropy=os.urandom, wall=time.time())
    keep_mesh_secret(home, SECRET)
    async with open_node(home, listen=ANY) as ada:
        token = ada.engine.invite("member", 2, 3600.0, [])
        guest = Home(tmp_path / "guest")
        await enrol(guest, token, "bob", [ada.listening[0]], lambda _line: None, SECRET)
        async with open_node(guest.path, listen=ANY, join=ada.listening) as bob:
            with trio.fail_after(20):
                while not bob.engine.peers():  # noqa: ASYNC110 - a link is no event for us
                    await trio.sleep(0.01)
            await bob.set(b"k", b"v")
            decoded = decode_token(token)
            issuer = ada.identity.issuer
            assert issuer is not None
            yield (
                ada,
                bob,
                {
                    "token secret": decoded.secret,
                    "token psk": decoded.psk(),
                    "mesh secret": SECRET,
                    "founder's node seed": ada.identity.key.seed(),
                    "guest's node seed": bob.identity.key.seed(),
                    "issuer seed": issuer.key.seed(),
                    "root seed": Home(home).root_key("pass").seed(),
                    "transport key": private(ada.driver._transport.static.private),
                    "transport key of the guest": private(bob.driver._transport.static.private),
                },
            )


async def test_no_text_form_of_any_object_shows_a_secret(
    mesh: tuple[Node, Node, dict[str, bytes]],
) -> None:
    ada, _bob, secrets = mesh
    token = decode_token(ada.engine.invite("member", 1, 3600.0, []))
    secrets["another token's secret"] = token.secret
    joiner = Joiner(token, ada.identity.key, "x", secret=SECRET, entropy=os.urandom)
    looked_at: set[str] = set()
    for thing in gc.get_objects():
        kind = type(thing)
        if not str(kind.__module__).startswith("gossipnet"):
            continue
        looked_at.add(kind.__name__)
        for text in (repr(thing), str(thing)):
            assert not shown(text, secrets), f"{kind.__qualname__} shows a secret"
    assert {"NodeIdentity", "Transport", "Session", "CipherState", "Joiner"} <= looked_at
    assert {"JoinToken", "SecretKey", "Engine", "EngineSettings"} <= looked_at
    assert not shown(f"{joiner!r} {token!r} {ada.identity!r}", secrets)


async def test_no_status_row_or_event_shows_a_secret(
    mesh: tuple[Node, Node, dict[str, bytes]],
) -> None:
    ada, bob, secrets = mesh
    for node in (ada, bob):
        told = [node.status(), node.members(), node.engine.peers(), node.engine.events()]
        assert not shown(json.dumps(told, default=str), secrets)


def test_no_error_about_a_damaged_key_shows_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.found(mesh="t", name="ada", passphrase=None, entropy=os.urandom, wall=time.time())
    seed = home.load().key.seed()
    file = home.path / "identity.key"
    text = file.read_bytes()
    for spoiled in (text.replace(b"seed: ", b"seed: x"), text[:-3], b"x" + text, text + text):
        file.write_bytes(spoiled)
        with pytest.raises(IdentityError) as caught:
            home.load()
        told = "".join(traceback.format_exception(caught.value))
        assert not shown(told, {"seed": seed})
    with pytest.raises(IdentityError) as caught:
        read_seed("root", text, "a file")
    assert not shown("".join(traceback.format_exception(caught.value)), {"seed": seed})


def test_the_log_of_a_daemon_shows_none_even_when_it_crashes(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.found(mesh="t", name="ada", passphrase=None, entropy=os.urandom, wall=time.time())
    keep_mesh_secret(home.path, SECRET)
    identity = home.load()
    assert identity.issuer is not None
    secrets = {"seed": identity.key.seed(), "issuer": identity.issuer.key.seed(), "mesh": SECRET}
    code = f"""
from gossipnet.config import load
from gossipnet.daemon import run_daemon
from gossipnet.protocol.engine import Engine
real = Engine.take_effects
def broken(self, now, wall):
    effects = real(self, now, wall)
    if self.context.counters["turns"] > 3:
        raise RuntimeError("a bug with", self.identity, self)
    self.context.counters["turns"] += 1
    return effects
Engine.take_effects = broken
flags = {{"home": {str(home.path)!r}, "listen": "127.0.0.1:0", "log_level": "debug"}}
run_daemon(load(flags, {{}}))
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert "a bug with" in done.stderr
    assert done.returncode != 0
    assert not shown(done.stdout + done.stderr, secrets)
    assert SECRET.decode() not in done.stderr
