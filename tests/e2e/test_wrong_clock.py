"""A machine whose clock is off by hours: it is told so, corrupts nothing, and recovers."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from mesh_harness import Daemon, eventually, running_mesh

from tests.needs import need

pytestmark = pytest.mark.e2e

PLACES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
)


def clock_off(daemon: Daemon, by: str) -> None:
    """Let this daemon's wall clock, and not its monotonic one, be off by ``+3h`` or the like."""
    libraries = [place for place in PLACES if Path(place).exists()]
    need(bool(libraries), "libfaketime is not installed")
    daemon.env = {
        "LD_PRELOAD": libraries[0],
        "FAKETIME": by,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def test_clock_three_hours_ahead() -> None:
    with running_mesh(2) as mesh:
        other = mesh[0]
        wrong = mesh.new("ahead")
        token = other.must("invite", "--ttl", "1d").strip()
        clock_off(wrong, "+3h")
        wrong.must("join", token, "--name", "ahead", other.address)
        wrong.start()
        mesh.everyone_alive()
        other.do("SET", "by", "the others")
        mesh.reads("by", b"the others")
        eventually(lambda: "clock-wrong" in wrong.tail(), "the daemon says that its clock is off")
        with pytest.raises(redis.ResponseError, match=r"3\.0 h ahead"):
            wrong.do("SET", "by", "the wrong one")
        assert "3.0 h ahead" in wrong.must("status")
        assert wrong.do("GET", "by") == b"the others", "reading goes on"

        wrong.stop()
        wrong.env = {}
        wrong.start()
        eventually(lambda: wrong.do("SET", "by", "the right one"), "it may write again")
        mesh.reads("by", b"the right one")


def test_clock_three_hours_behind() -> None:
    with running_mesh(2) as mesh:
        wrong, other = mesh[1], mesh[0]
        wrong.stop()
        other.do("SET", "meanwhile", "1")
        clock_off(wrong, "-3h")
        wrong.start()
        assert wrong.do("PING")
        eventually(lambda: "clock-wrong" in wrong.tail(), "the daemon says that its clock is off")
        # Its certificate begins in its future: a record of now would count for nobody.
        with pytest.raises(redis.ResponseError, match="clock"):
            wrong.do("SET", "early", "void")
        wrong.stop()
        wrong.env = {}
        wrong.start()
        mesh.everyone_alive()
        mesh.reads("meanwhile", b"1")
        assert wrong.do("GET", "early") is None
        wrong.do("SET", "back", "in time")
        mesh.reads("back", b"in time")


def test_a_clock_set_back_does_not_make_an_issuer_date_back() -> None:
    """Its certificate would be good by that clock, and so would one that has ended since."""
    with running_mesh() as mesh:
        issuer = mesh.new()
        clock_off(issuer, "-40d")
        issuer.must("init", "test", "--name", issuer.name, "--no-passphrase")
        issuer.env = {}
        issuer.start()
        mesh.add()
        mesh.everyone_alive()
        eventually(
            lambda: status(issuer)["clock"]["floor"] > time.time() - 3600,
            "the other one confirms the clock",
        )
        for daemon in mesh:
            assert daemon.stop() == 0
        clock_off(issuer, "-20d")
        issuer.start()
        refused = issuer.cli("invite")
        assert refused.returncode == 1
        assert "20 days behind the latest time" in refused.stderr
        assert "expired" not in refused.stderr
        assert "20 days behind" in status(issuer)["clock"]["complaint"]
        issuer.stop()
        issuer.env = {}
        issuer.start()
        assert issuer.must("invite").startswith("gn1")


def status(daemon: Daemon) -> dict[str, Any]:
    return dict(json.loads(daemon.must("status", "--json")))
