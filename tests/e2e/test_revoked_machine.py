"""A machine is lost and revoked: everybody knows within seconds, and it stays out."""

import json
import signal
import time

import pytest
import redis
from mesh_harness import Daemon, eventually, running_mesh

pytestmark = pytest.mark.e2e

WITHIN = 5.0


def peers(daemon: Daemon) -> set[str]:
    return {row["name"] for row in json.loads(daemon.must("peers", "--json"))["peers"]}


def test_a_revoked_machine_is_out_within_seconds_and_stays_out() -> None:
    with running_mesh(4) as mesh:
        founder, honest, lost, away = mesh.daemons
        lost.do("SET", "before", "kept")
        mesh.reads("before", b"kept")
        assert away.stop() == 0
        denied = honest.cli("revoke", "node2")
        assert denied.returncode == 4
        assert "run it on node0" in denied.stderr

        # It stands still while it is revoked, so what it writes afterwards is beyond the cut.
        lost.send(signal.SIGSTOP)
        began = time.monotonic()
        row = json.loads(founder.must("revoke", "node2", "--reason", "stolen", "--json"))
        assert row["name"] == "node2"
        for daemon in (founder, honest):
            eventually(
                lambda daemon=daemon: (
                    daemon.states()["node2"] == "revoked" and "node2" not in peers(daemon)
                ),
                f"{daemon.name} shuts node2 out",
                WITHIN,
            )
        assert time.monotonic() - began < WITHIN + 2  # two commands a round are part of it

        lost.send(signal.SIGCONT)

        def refused() -> bool:
            with pytest.raises(redis.ResponseError, match=r"REVOKED .*node0 \(stolen\)"):
                lost.do("SET", "after", "void")
            return True

        eventually(lambda: "stolen" in lost.must("status"), "node2 learns why")
        assert "FAIL  trust     this node was revoked by" in lost.cli("doctor").stdout
        eventually(refused, "node2 refuses writes")
        assert lost.do("GET", "before") == b"kept"
        assert lost.states()["node2"] == "revoked"

        # Started anew, from its disk and with another one's address, it stays out.
        lost.kill()
        lost.start("--join", honest.address)
        away.start()
        eventually(lambda: away.states().get("node2") == "revoked", "node3 learns on its return")
        refused()
        founder.do("SET", "after", "honest")
        for daemon in (founder, honest, away):
            eventually(lambda d=daemon: d.do("GET", "after") == b"honest", f"{daemon.name} reads")
            assert "node2" not in peers(daemon)
        assert lost.do("GET", "after") is None

        # The same key may not return; the same machine with a new one may.
        assert lost.stop() == 0
        token = founder.must("invite").strip()
        again = mesh.new("node4")
        again.must("join", token, "--name", "node2", honest.address)
        again.start()
        eventually(lambda: again.do("GET", "after") == b"honest", "the new node catches up")
        eventually(
            lambda: (
                sorted(
                    row["state"]
                    for row in json.loads(founder.must("members", "--json"))["members"]
                    if row["name"] == "node2"
                )
                == ["alive", "revoked"]
            ),
            "both are told apart",
        )
        ambiguous = founder.cli("revoke", "node2")
        assert ambiguous.returncode == 1
        assert "give an id" in ambiguous.stderr
