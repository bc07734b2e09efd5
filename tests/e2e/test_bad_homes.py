"""Homes, ports and settings with which no daemon may start: one sentence each, nothing changed."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from mesh_harness import Daemon, Mesh, running_mesh

from tests.needs import need

pytestmark = pytest.mark.e2e


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with running_mesh() as mesh:
        yield mesh


def founded(mesh: Mesh) -> Daemon:
    daemon = mesh.new()
    daemon.must("init", "test", "--name", daemon.name, "--no-passphrase")
    return daemon


def refused(daemon: Daemon, *words: str, code: int = 1) -> str:
    done = daemon.cli("run", "--listen", daemon.address, *words, timeout=20)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    return done.stderr


def test_busy_port(mesh: Mesh) -> None:
    daemon = founded(mesh)
    with socket.create_server((daemon.host, daemon.port)):
        told = refused(daemon)
    assert str(daemon.port) in told
    daemon.start()


def test_two_daemons_on_one_home(mesh: Mesh) -> None:
    daemon = founded(mesh).start()
    second = Daemon(daemon.home, "second")
    assert "already runs" in refused(second)
    assert daemon.do("PING")


def test_no_home(mesh: Mesh) -> None:
    told = refused(mesh.new())
    assert "gossipnet init" in told
    assert "gossipnet join" in told


def test_home_that_is_a_file(mesh: Mesh) -> None:
    daemon = mesh.new()
    daemon.home.write_text("not a folder")
    assert str(daemon.home) in refused(daemon)


def test_home_of_somebody_else(mesh: Mesh) -> None:
    need(os.geteuid() == 0, "giving a folder away needs root")
    daemon = founded(mesh)
    os.chown(daemon.home, 65534, 65534)
    told = refused(daemon)
    assert "65534" in told or "owner" in told or "belongs" in told


@pytest.mark.parametrize(("name", "mode"), [("", 0o755), ("identity.key", 0o644)])
def test_home_that_others_can_read(mesh: Mesh, name: str, mode: int) -> None:
    daemon = founded(mesh)
    path = daemon.home / name if name else daemon.home
    path.chmod(mode)
    assert "chmod" in refused(daemon)
    path.chmod(0o600 if name else 0o700)
    daemon.start()


def test_damaged_key(mesh: Mesh) -> None:
    daemon = founded(mesh)
    key = daemon.home / "identity.key"
    key.write_bytes(key.read_bytes()[:-9])
    assert "identity.key" in refused(daemon)


def test_damaged_database(mesh: Mesh) -> None:
    daemon = founded(mesh).start()
    daemon.do("SET", "a", "1")
    daemon.stop()
    path = daemon.home / "state.db"
    data = bytearray(path.read_bytes())
    data[:100] = bytes(100)
    path.write_bytes(data)
    assert "state.db" in refused(daemon)
    assert path.read_bytes() == data, "a damaged database is left as it is"


def test_socket_path_too_long(mesh: Mesh) -> None:
    daemon = founded(mesh)
    long = mesh.folder / ("s" * 100) / "gossipnet.sock"
    assert "--socket" in refused(daemon, "--socket", str(long), code=2)


def test_unknown_setting(mesh: Mesh) -> None:
    daemon = founded(mesh)
    config = daemon.home / "config.toml"
    config.write_text('zone = "attic"\ndurabilty = "always"\n')
    told = refused(daemon, code=2)
    assert "line 2" in told
    assert "did you mean durability" in told
    config.unlink()
    daemon.start()


def test_wrong_value_and_wrong_flag(mesh: Mesh) -> None:
    daemon = founded(mesh)
    assert "every-second" in refused(daemon, "--durability", "every-secnd", code=2)
    assert "--listen" in refused(daemon, "--lisen", "127.0.0.1:1", code=2)


def test_second_init_keeps_the_first(mesh: Mesh) -> None:
    daemon = founded(mesh)
    before = {path.name: path.read_bytes() for path in daemon.home.iterdir() if path.is_file()}
    done = daemon.cli("init", "other", "--no-passphrase")
    assert done.returncode == 1
    assert "already" in done.stderr
    assert before == {p.name: p.read_bytes() for p in daemon.home.iterdir() if p.is_file()}


def test_commands_without_a_daemon(mesh: Mesh) -> None:
    daemon = founded(mesh)
    for words in (("members",), ("get", "a"), ("status", "--json"), ("call", "PING")):
        done = daemon.cli(*words)
        assert done.returncode == 3, done.stderr
        assert "gossipnet run" in done.stderr


def test_secrets_are_closed_to_others(mesh: Mesh) -> None:
    daemon = founded(mesh).start()
    assert daemon.home.stat().st_mode & 0o777 == 0o700
    for path in (daemon.socket, *sorted(daemon.home.glob("*.key")), daemon.home / "state.db"):
        assert path.stat().st_mode & 0o077 == 0, path
    log = daemon.log.read_bytes()
    for key in daemon.home.glob("*.key"):
        assert key.read_bytes() not in log


def test_unwritable_home(mesh: Mesh, tmp_path: Path) -> None:
    need(os.geteuid() == 0 and shutil.which("mount") is not None, "mounting needs root")
    import subprocess

    daemon = founded(mesh)
    bind = ["mount", "--bind", str(daemon.home), str(daemon.home)]
    if subprocess.run(bind, check=False, capture_output=True).returncode != 0:
        need(False, "this machine does not let us mount")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(daemon.home)], check=True)
        assert str(daemon.home) in refused(daemon)
    finally:
        subprocess.run(["umount", str(daemon.home)], check=True)
    daemon.start()
