"""The root's keys change while daemons run: all follow, newcomers come in under the new one."""

import json

import pytest
from mesh_harness import Daemon, eventually, running_mesh

pytestmark = pytest.mark.e2e


def root(daemon: Daemon) -> dict:
    return json.loads(daemon.must("root", "show", "--json"))


def test_a_rotation_reaches_everybody_and_newcomers_too() -> None:
    with running_mesh(2) as mesh:
        founder, member = mesh.daemons
        rule = ("--authorities", "2-of-3", "--no-passphrase")
        assert founder.cli("root", "rotate", *rule).returncode == 0
        for daemon in (founder, member):
            eventually(lambda d=daemon: root(d)["version"] == 2, f"{daemon.name} follows")
        eventually(lambda: root(founder)["members"] == {"2": 2}, "everybody says so")
        assert json.loads(member.must("status", "--json"))["trust"]["root"]["share"] == 1.0
        newcomer = mesh.add(through=member)
        founder.do("SET", "k", "v")
        mesh.reads("k", b"v")
        assert root(newcomer)["version"] == 2
        # From the home alone, after the daemon has ended, and from the daemon that starts anew.
        assert member.stop() == 0
        eventually(lambda: root(member)["version"] == 2, "the home holds it")
        member.start()
        mesh.everyone_alive()
        assert root(member)["versions"][1]["signed_by"] == ["authorities"]
