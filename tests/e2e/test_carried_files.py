"""Machines that never meet an issuer: request, sign and install by files, as docs/trust.md says."""

import json

import pytest
import redis
from mesh_harness import eventually, running_mesh

pytestmark = pytest.mark.e2e


def test_machines_enter_by_files_with_and_without_a_daemon_at_the_issuer() -> None:
    with running_mesh(1) as mesh:
        founder = mesh[0]
        files = mesh.folder
        mesh_id = json.loads(founder.must("status", "--json"))["mesh_id"]
        founder.do("SET", "k", "v")

        # Signed by the running daemon, for one mesh only, as one that only reads.
        reader = mesh.new("reader")
        asked, given = str(files / "reader.request"), str(files / "reader.certificate")
        done = reader.cli("request", "--name", "reader", "--mesh", mesh_id, "--out", asked)
        assert done.returncode == 0, done.stderr
        assert "gossipnet sign FILE" in done.stderr
        done = founder.cli("sign", asked, "--role", "observer", "--ttl", "30d")
        assert done.returncode == 0, done.stderr
        assert "gossipnet install FILE" in done.stderr
        done = reader.cli("install", given)
        assert done.returncode == 0, done.stderr
        assert "gossipnet run" in done.stderr
        reader.start()
        mesh.everyone_alive()
        mesh.reads("k", b"v")
        with pytest.raises(redis.exceptions.NoPermissionError, match="allows read:"):
            reader.do("SET", "k", "mine")

        # A request of the name that another bears is refused, one without a wish gets a number.
        twin = mesh.new("twin")
        asked = str(files / "twin.request")
        twin.must("request", "--name", "reader", "--out", asked)
        refused = founder.cli("sign", asked)
        assert refused.returncode == 1
        assert "a member is called reader already" in refused.stderr

        # Signed from the issuer's home while its daemon is down.
        twin.must("request", "--name", "twin", "--out", asked)
        assert founder.stop() == 0
        refused = founder.cli("sign", str(files / "reader.request"), "--role", "nobody")
        assert refused.returncode == 2
        signed = json.loads(founder.must("sign", asked, "--allow", "write:twin:", "--json"))
        assert signed["name"] == "twin"
        twin.must("install", signed["file"])
        founder.start()
        twin.start()
        mesh.everyone_alive()
        twin.do("SET", "twin:1", "here")
        mesh.reads("twin:1", b"here")
        told = json.loads(founder.must("invites", "--json"))
        assert [(row["name"], row["token"]) for row in told["admitted"]] == [
            ("reader", ""),
            ("twin", ""),
        ]

        # What was revoked is not certified again, by the daemon or without it.
        founder.must("revoke", "twin")
        eventually(lambda: founder.states()["twin"] == "revoked", "the revocation is known")
        for running in (True, False):
            if not running:
                assert founder.stop() == 0
            refused = founder.cli("sign", asked)
            assert refused.returncode == 1
            assert "was revoked" in refused.stderr
