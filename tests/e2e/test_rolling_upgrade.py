"""Two versions of the protocol in one mesh: old and new daemons, all there and back again."""

import json
from typing import Any

import pytest
from mesh_harness import Daemon, eventually, running_mesh

pytestmark = pytest.mark.e2e

NEXT = {"GOSSIPNET_REHEARSE_UPGRADE": "1"}


def status(daemon: Daemon) -> dict[str, Any]:
    read = json.loads(daemon.must("status", "--json"))
    assert isinstance(read, dict)
    return read


def test_upgrade_one_by_one_and_back() -> None:
    """Daemons of the next version say things that the others do not know; nobody is the worse."""
    with running_mesh(3) as mesh:
        number = 0

        def all_write_and_read() -> None:
            nonlocal number
            for daemon in mesh:
                number += 1
                daemon.do("SET", f"key:{number}", number)
                daemon.do("INCR", "count")
                mesh.reads(f"key:{number}", b"%d" % number)
            mesh.reads("count", b"%d" % number)
            mesh.everyone_alive()

        all_write_and_read()
        for daemon in mesh:
            daemon.stop()
            daemon.env = NEXT
            daemon.start()
            all_write_and_read()
            if daemon is mesh[0]:
                old = mesh[1]
                eventually(
                    lambda old=old: status(old)["counters"].get("messages_of_newer_kinds", 0) > 0,
                    "an old one hears what it does not know",
                )
        for daemon in mesh:  # and the way back
            daemon.kill()
            daemon.env = {}
            daemon.start()
            all_write_and_read()
        for daemon in mesh:
            counters = status(daemon)["counters"]
            assert not [name for name in counters if name.startswith("forks")], counters
