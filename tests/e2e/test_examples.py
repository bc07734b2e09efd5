"""The examples run, and print what they say they print."""

import subprocess
import sys

import pytest
from mesh_harness import ROOT, running_mesh

pytestmark = pytest.mark.e2e


def run(name: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_embed_node() -> None:
    with running_mesh(1) as mesh:
        token = mesh[0].must("invite").strip()
        embedded = mesh.new("embedded")
        embedded.must("join", token, "--name", "embedded", mesh[0].address)
        mesh.daemons.remove(embedded)
        assert "start number 1 of node embedded" in run("embed_node.py", str(embedded.home))
        told = run("embed_node.py", str(embedded.home))
        assert "start number 2" in told
        assert "hello from inside a program" in told
        assert "member embedded is alive" in told
        mesh.reads("starts", b"2")


def test_use_redis_py() -> None:
    with running_mesh(1) as mesh:
        assert "visits: 1\n" in run("use_redis_py.py", str(mesh[0].socket))
        told = run("use_redis_py.py", str(mesh[0].socket))
        assert "visits: 2\n" in told
        assert "crew: ['ada', 'bob']" in told
        assert "this node knows 4 keys" in told


@pytest.mark.parametrize("name", ["embed_node.py", "use_redis_py.py"])
def test_usage(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "usage" in done.stderr
