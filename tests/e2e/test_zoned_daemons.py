"""Two zones of three daemons: one mesh, and each zone goes on while the other's bridges die."""

import json

import pytest
from mesh_harness import Daemon, eventually, running_mesh

pytestmark = pytest.mark.e2e


def peers(daemon: Daemon) -> set[str]:
    rows = json.loads(daemon.must("peers", "--json"))["peers"]
    return {row["name"] for row in rows if row["neighbour"]}


def test_two_zones_are_one_mesh_whoever_of_a_zone_is_left() -> None:
    with running_mesh() as mesh:
        for place in range(6):
            daemon = mesh.new()
            daemon.env["GOSSIPNET_ZONE"] = "west" if place % 2 else "east"
            if place:
                token = mesh[0].must("invite").strip()
                daemon.must("join", token, "--name", daemon.name, mesh[0].address)
            else:
                daemon.must("init", "test", "--name", daemon.name, "--no-passphrase")
            daemon.start()
        mesh.everyone_alive()
        for daemon in mesh:
            rows = daemon.members()
            assert {rows[name]["zone"] for name in ("node0", "node2", "node4")} == {"east"}
            assert {rows[name]["zone"] for name in ("node1", "node3", "node5")} == {"west"}
        east, west = {"node0", "node2", "node4"}, {"node1", "node3", "node5"}
        for daemon in mesh:
            own = east if daemon.name in east else west
            eventually(lambda d=daemon, o=own: peers(d) >= o - {d.name}, "links within the zone")
        mesh[1].do("SET", "from west", "1")
        mesh.reads("from west", b"1")
        mesh[2].kill()
        mesh[4].kill()
        left = [mesh[0], mesh[1], mesh[3], mesh[5]]
        for daemon in left:
            eventually(
                lambda d=daemon: d.states()["node2"] == d.states()["node4"] == "dead",
                f"{daemon.name} knows who is gone",
            )
        mesh[0].do("SET", "from the last of the east", "1")
        mesh.reads("from the last of the east", b"1", left)
        mesh[2].start()
        mesh.reads("from the last of the east", b"1", [mesh[2]])
