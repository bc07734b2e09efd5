"""Keys lost and keys stolen: the ways back, command by command as docs/trust.md has them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mesh_harness import Daemon, Mesh, eventually, running_mesh

pytestmark = pytest.mark.e2e


def root(daemon: Daemon) -> dict[str, Any]:
    return dict(json.loads(daemon.must("root", "show", "--json")))


def everybody_on(mesh: Mesh, version: int) -> None:
    for daemon in mesh:
        eventually(
            lambda d=daemon: root(d)["members"] == {str(version): len(mesh.daemons)},
            f"{daemon.name} knows that all are on version {version}",
        )
        status = json.loads(daemon.must("status", "--json"))
        assert status["trust"]["root"]["share"] == 1.0


def moved(home: Path, pattern: str, to: Path) -> list[str]:
    """Carry root keys off a machine; where they are now."""
    to.mkdir(exist_ok=True)
    found = sorted(home.glob(pattern))
    assert found, pattern
    return [shutil.move(path, to / path.name) for path in found]


def keys(paths: list[str]) -> list[str]:
    return [word for path in paths for word in ("--key", path)]


def test_root_keys_lost_then_stolen_then_the_only_issuer_lost() -> None:
    with running_mesh() as mesh:
        founder = mesh.new()
        founder.env = {"GOSSIPNET_PASSPHRASE": "correct horse"}
        rule = ("--authorities", "2-of-3")
        founded = json.loads(founder.must("init", "works", "--name", "node0", *rule, "--json"))
        recovery = founded["recovery_key"]
        founder.start()
        member = mesh.add()
        member.env = dict(founder.env)
        mesh.everyone_alive()
        safe = mesh.folder / "safe"

        # A next version goes from hand to hand, for no machine has all keys.
        one, two, _three = moved(founder.home, "root-*.key", safe)
        proposal = str(mesh.folder / "next.proposal")
        begun = founder.cli("root", "rotate", *rule, "--out", proposal, "--key", one)
        assert begun.returncode == 0, begun.stderr
        assert "1 more of the present authority keys" in begun.stderr
        assert member.cli("root", "import", proposal).returncode == 1, "not enough have signed"
        assert "2-of-3" in member.cli("root", "sign", proposal, "--key", two).stderr
        assert member.cli("root", "import", proposal).returncode == 0
        everybody_on(mesh, 2)

        # Too many authority keys are lost: the recovery key signs alone.
        (left, *_lost) = moved(founder.home, "root-v2-*.key", safe)
        short = founder.cli("root", "rotate", "--out", proposal, "--key", left)
        assert "or the recovery key" in short.stderr
        for path in founder.home.glob("root-v3-*.key"):
            path.unlink()
        founder.env["GOSSIPNET_RECOVERY"] = recovery
        done = founder.cli("root", "rotate", "--recovery", "--key", left)
        assert done.returncode == 0, done.stderr
        everybody_on(mesh, 3)

        # They are stolen: the thief makes a version of his own, on a machine of the mesh.
        stolen = moved(founder.home, "root-v3-*.key", safe)
        assert member.cli("root", "rotate", *keys(stolen)).returncode == 0
        everybody_on(mesh, 4)
        his = moved(member.home, "root-v4-*.key", mesh.folder / "thief")
        done = founder.cli("root", "rotate", "--recovery")
        assert done.returncode == 0, done.stderr
        everybody_on(mesh, 5)
        assert root(member)["versions"][-1]["signed_by"] == ["recovery key"]
        again = member.cli("root", "rotate", "--out", proposal, *keys(his))
        assert "2 more of the present authority keys" in again.stderr, "his keys are worth nothing"
        for path in member.home.glob("root-v6-*.key"):
            path.unlink()
        founder.do("SET", "k", "v")
        mesh.reads("k", b"v")

        # The only issuer is lost, and its root keys are safe elsewhere.
        ours = moved(founder.home, "root-v5-*.key", safe)
        founder.kill()
        refused = member.cli("invite")
        assert refused.returncode == 4
        assert member.stop() == 0
        done = member.cli("root", "issuer", *keys(ours))
        assert done.returncode == 0, done.stderr
        assert "gossipnet run" in done.stderr
        member.start()
        member.must("revoke", "node0", "--yes")
        token = member.must("invite").strip()
        newcomer = mesh.new("node2")
        newcomer.must("join", token, "--name", "node2", member.address)
        newcomer.start()
        eventually(lambda: newcomer.do("GET", "k") == b"v", "it has what the lost one wrote")
        eventually(lambda: newcomer.states().get("node0") == "revoked", "and knows who is out")
