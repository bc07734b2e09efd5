"""Node keys that are not in the home: from a command, or from systemd."""

import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from gossipnet.errors import HomeError, IdentityError
from gossipnet.identity.home import NODE_KEY, Home
from gossipnet.io import keysource
from gossipnet.io.enrol import enrol
from gossipnet.io.keysource import CREDENTIAL, key_source
from gossipnet.node import open_node

ANY = "127.0.0.1:0"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A founder's home whose key lies elsewhere."""
    folder = tmp_path / "home"
    Home(folder).found(mesh="t", name="ada", passphrase=None, entropy=os.urandom, wall=time.time())
    (folder / NODE_KEY).rename(tmp_path / "elsewhere.key")
    return folder


def elsewhere(home: Path) -> Path:
    return home.parent / "elsewhere.key"


def python(code: str) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


async def test_a_daemon_starts_writes_and_renews_with_a_command(home: Path) -> None:
    runs, script = home.parent / "runs", home.parent / "script"
    script.write_text(f"echo run >> {runs}; cat {elsewhere(home)}\n")
    (home / "config.toml").write_text(f'key_command = "sh {script}"\n')
    async with open_node(home, listen=ANY) as node:
        await node.set(b"k", b"v")
        serial = node.identity.certificate.serial
        node.engine.renew()
        node.driver.flush()
        await node.set(b"k", b"w")
    source = key_source(f"cat {elsewhere(home)}", {})
    kept = Home(home, source).load()
    assert kept.certificate.serial != serial
    assert runs.read_text() == "run\n", "asked once"
    assert not (home / NODE_KEY).exists()


async def test_a_credential_of_systemd(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home.parent / "credentials"
    folder.mkdir()
    (folder / CREDENTIAL).write_bytes(elsewhere(home).read_bytes())
    (folder / CREDENTIAL).chmod(0o440)  # as systemd leaves it
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    async with open_node(home, listen=ANY) as node:
        await node.set(b"k", b"v")
    (folder / CREDENTIAL).unlink()
    with pytest.raises(HomeError, match=r"identity\.key is missing"):
        Home(home, key_source(None, os.environ)).load()


def test_the_command_comes_before_the_credential_and_the_home_last(home: Path) -> None:
    assert key_source(None, {}) is None
    assert key_source(None, {"CREDENTIALS_DIRECTORY": str(home)}) is None
    (home / CREDENTIAL).write_bytes(b"not a key")
    source = key_source(f"cat {elsewhere(home)}", {"CREDENTIALS_DIRECTORY": str(home)})
    assert Home(home, source).load().name == "ada"
    with pytest.raises(IdentityError, match="damaged"):
        Home(home, key_source(None, {"CREDENTIALS_DIRECTORY": str(home)})).load()


async def test_a_newcomers_key_is_never_written_when_it_comes_from_a_command(
    home: Path, tmp_path: Path
) -> None:
    other = Home(tmp_path / "other")
    other.found(mesh="o", name="x", passphrase=None, entropy=os.urandom, wall=time.time())
    command = f"cat {other.path / NODE_KEY}"
    async with open_node_with(home) as node:
        token = node.engine.invite("member", 1, 3600.0, [])
        guest = Home(tmp_path / "guest", key_source(command, {}))
        joined = await enrol(guest, token, "bob", [node.listening[0]], lambda _line: None)
    assert joined.public_key == other.load().public_key
    assert not (guest.path / NODE_KEY).exists()
    assert guest.load().name == "bob"


def open_node_with(home: Path):
    (home / "config.toml").write_text(f'key_command = "cat {elsewhere(home)}"\n')
    return open_node(home, listen=ANY)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/nowhere/at/all", "cannot be run"),
        ("'unclosed", "cannot be run"),
        (python("raise SystemExit(3)"), "ended with 3"),
        (python("print('x' * 10_000)"), "more than a key file"),
        (python("print('gossipnet root key, version 1')"), "another kind of key"),
        (python("pass"), "damaged"),
        (python("import time; time.sleep(60)"), "no key within"),
    ],
)
def test_every_way_to_fail_is_one_sentence(
    command: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keysource, "COMMAND_SECONDS", 2.0 if "60" in command else 30.0)
    source = key_source(command, {})
    assert source is not None
    with pytest.raises(IdentityError, match=told):
        source()


def test_no_shell_takes_part(tmp_path: Path) -> None:
    source = key_source(f"echo $(touch {tmp_path}/made) ; touch {tmp_path}/made", {})
    assert source is not None
    with pytest.raises(IdentityError):
        source()
    assert not (tmp_path / "made").exists()
