"""Tokens that must not let anyone in: each is one clear sentence, and the mesh does not notice."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from mesh_harness import Daemon, Mesh, eventually, running_mesh

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(2) as mesh:
        yield mesh


def refused(daemon: Daemon, *words: str) -> str:
    """The one sentence with which joining fails."""
    done = daemon.cli("join", *words, "--name", daemon.name)
    assert done.returncode != 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert not daemon.socket.exists()
    return done.stderr


def test_used_token_lets_nobody_else_in(mesh: Mesh) -> None:
    token = mesh[0].must("invite").strip()
    first, second = Daemon(mesh.folder / "used1", "used1"), Daemon(mesh.folder / "used2", "used2")
    first.must("join", token, "--name", "used1", mesh[0].address)
    assert "used" in refused(second, token, mesh[0].address)
    # The machine that used it may ask again, as after a lost reply, and nothing changes.
    again = first.cli("join", token, "--name", "used1", mesh[1].address)
    assert "Traceback" not in again.stderr
    assert "used2" not in mesh[0].members()


def test_one_token_raced_by_ten_machines_admits_one(mesh: Mesh) -> None:
    token = mesh[0].must("invite").strip()
    racers = [Daemon(mesh.folder / f"race{n}", f"race{n}") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        codes = list(
            pool.map(
                lambda d: d.cli("join", token, "--name", d.name, mesh[0].address).returncode, racers
            )
        )
    assert codes.count(0) == 1, codes


def test_token_of_several_uses_admits_as_many(mesh: Mesh) -> None:
    token = mesh[0].must("invite", "--uses", "2").strip()
    homes = [Daemon(mesh.folder / f"uses{n}", f"uses{n}") for n in range(3)]
    for daemon in homes[:2]:
        daemon.must("join", token, "--name", daemon.name, mesh[1].address)
    assert "used" in refused(homes[2], token, mesh[1].address)


def test_expired_token(mesh: Mesh) -> None:
    token = mesh[0].must("invite", "--ttl", "1s").strip()
    made = time.time()
    eventually(lambda: time.time() > made + 1.5, "the token's second has passed")
    assert "expired" in refused(Daemon(mesh.folder / "late", "late"), token, mesh[0].address)


def test_truncated_and_mistyped_token(mesh: Mesh) -> None:
    token = mesh[0].must("invite").strip()
    late = Daemon(mesh.folder / "typo", "typo")
    for wrong in (token[:-7], token[: len(token) // 2], token + "aa"):
        assert "token" in refused(late, wrong, mesh[0].address)
    middle = len(token) // 2
    swapped = "b" if token[middle].lower() != "b" else "c"
    assert "token" in refused(late, token[:middle] + swapped + token[middle + 1 :])
    assert "token" in refused(late, "hello")
    # And none of this used it up.
    late.must("join", token, "--name", "typo", mesh[0].address)


def test_foreign_token(mesh: Mesh) -> None:
    with running_mesh() as other:
        stranger = other.new("stranger")
        stranger.must("init", "elsewhere", "--name", "stranger", "--no-passphrase")
        stranger.start()
        token = stranger.must("invite").strip()
        newcomer = Daemon(mesh.folder / "lost", "lost")
        # The other mesh is not reachable from here: only a member of ours is asked.
        stranger.kill()
        assert refused(newcomer, token, mesh[0].address)


def test_token_is_all_that_invite_prints(mesh: Mesh) -> None:
    done = mesh[0].cli("invite")
    assert done.stdout.strip().startswith("gn1")
    assert len(done.stdout.splitlines()) == 1
    assert "Next:" in done.stderr
    shown = json.loads(mesh[0].must("invite", "--json"))
    assert shown["v"] == 1
    assert shown["token"].startswith("gn1")


def test_join_goes_through_any_member(mesh: Mesh) -> None:
    """Node1 is no issuer: it relays, and sees nothing of what it relays."""
    token = mesh[0].must("invite").strip()
    newcomer = mesh.new("relayed")
    newcomer.must("join", token, "--name", "relayed", mesh[1].address)
    newcomer.start()
    mesh[1].do("SET", "hello", "relayed")
    mesh.reads("hello", b"relayed")
