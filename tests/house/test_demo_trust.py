"""The published trust anchor is what its published seed gives, and `keys/` holds no secret."""

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from gossipnet import ids
from gossipnet.identity.trust import Trust

ROOT = Path(__file__).resolve().parent.parent.parent
KEYS = ROOT / "keys"


def test_demo_root_is_what_its_seed_gives() -> None:
    published = (KEYS / "demo.root").read_bytes()
    assert runpy.run_path(str(KEYS / "make_demo.py"))["demo_trust"]().encode() == published


def test_mesh_id_is_the_published_one() -> None:
    trust = Trust.decode((KEYS / "demo.root").read_bytes())
    assert trust.mesh_name == "demo"
    assert f"\n    {ids.text(trust.mesh_id)}\n" in (KEYS / "README.md").read_text()


def test_only_public_things_are_kept() -> None:
    for path in KEYS.rglob("*.*"):
        assert not re.search(rb"^seed: |^box: ", path.read_bytes(), re.M), path


@pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout"
)
def test_secrets_are_ignored_here() -> None:
    for name in ("identity.key", "root.key", "state.db", "identity.cert", "anything.pem"):
        done = subprocess.run(["git", "check-ignore", "-q", f"keys/{name}"], cwd=ROOT, check=False)
        assert done.returncode == 0, name
