"""Machines that nobody types on: a token from environment or file, and any number of starts."""

import pytest
from mesh_harness import eventually, running_mesh

pytestmark = pytest.mark.e2e


def test_a_service_joins_once_and_starts_again_and_again() -> None:
    with running_mesh(1) as mesh:
        founder = mesh[0]
        pod = mesh.new("pod")
        pod.env = {"GOSSIPNET_TOKEN": founder.must("invite").strip()}
        words = ("--name", "pod", "--join", founder.address)
        pod.start(*words)
        mesh.everyone_alive()
        founder.do("SET", "k", "v")
        mesh.reads("k", b"v")

        # The same words and environment again: the token is used up, and nobody needs it.
        pod.kill()
        pod.start(*words)
        mesh.everyone_alive()
        assert "the token was not used" in pod.tail()
        assert pod.stop() == 0

        # A file that is gone by now, as a secret that is mounted once.
        pod.env = {}
        pod.start("--token-file", str(mesh.folder / "gone"), *words)
        eventually(lambda: pod.do("GET", "k") == b"v", "it goes on with its home")
        assert "it is not needed" in pod.tail()
        assert pod.stop() == 0

        # A home of one mesh and a token of another: somebody mixed up two volumes.
        other = mesh.new("other")
        other.must("init", "elsewhere", "--name", "other", "--no-passphrase")
        other.env = {"GOSSIPNET_TOKEN": founder.must("invite").strip()}
        refused = other.cli("run", "--listen", other.address)
        assert refused.returncode == 1
        assert "already holds a node of another mesh, elsewhere" in refused.stderr

        # An empty home and a token that was used: one sentence, and nothing is left half made.
        late = mesh.new("late")
        token = mesh.folder / "token"
        token.write_text(f"{founder.must('invite').strip()}\n")
        first = mesh.new("first")
        done = first.cli("join", "--token-file", str(token), "--name", "first", founder.address)
        assert done.returncode == 0, done.stderr
        refused = late.cli(
            "run", "--token-file", str(token), "--name", "late", "--join", founder.address
        )
        assert refused.returncode == 1
        assert refused.stderr.count("has been used") == 1
        assert not (late.home / "identity.cert").exists()
