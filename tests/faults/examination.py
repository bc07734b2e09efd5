"""After a fault: everybody agrees, nothing acknowledged is lost, nobody was buried alive."""

import json
from collections.abc import Iterable
from typing import Any

import history as checks
from laboratory import HEAL_SECONDS
from load import Load, agree
from mesh_harness import Daemon


def examine(
    load: Load,
    daemons: list[Daemon],
    *,
    may_die: Iterable[str] = (),
    within: float = HEAL_SECONDS,
) -> dict[str, Any]:
    """Wait until all agree, then run every checker; what all show.

    Args:
      load: Stopped.
      daemons: Running, and able to reach each other again.
      may_die: Names of members that the fault made unreachable, so that they may be called dead.
      within: Seconds in which all must agree.
    """
    history = load.history
    shown = agree(daemons, within)
    sets = {node: set(dump.get(load.adds, ())) for node, dump in shown.items()}
    sums = {node: int(dump.get(load.sum, 0)) for node, dump in shown.items()}
    wrong = [
        *checks.lost(history, sets),
        *checks.phantoms(history, sets),
        *checks.vanished(history),
        *checks.counter(history, sums),
        *checks.torn(history),
        *checks.gaps(history),
        *checks.false_deaths(events(daemons, load.since), may_die),
    ]
    assert not wrong, "\n".join(wrong[:20])
    assert history.acknowledged(), "no write was acknowledged: this run tested nothing"
    return shown[daemons[0].name]


def events(daemons: list[Daemon], since: float = 0.0) -> dict[str, list[dict[str, Any]]]:
    """What each daemon has noted since then (unix seconds), oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for daemon in daemons:
        with daemon.redis(protocol=3, decode_responses=True) as client:
            rows = client.execute_command("GOSSIP", "EVENTS")
        found[daemon.name] = [row for row in rows if row["wall"] >= since]
    return found


def status(daemon: Daemon) -> dict[str, Any]:
    """`gossipnet status --json`, without starting a process for it."""
    with daemon.redis(protocol=3, decode_responses=True) as client:
        found = client.execute_command("GOSSIP", "STATUS")
    return found if isinstance(found, dict) else json.loads(found)


def states(daemon: Daemon) -> dict[str, str]:
    """The member table: name to state."""
    with daemon.redis(protocol=3, decode_responses=True) as client:
        return {row["name"]: row["state"] for row in client.execute_command("GOSSIP", "MEMBERS")}
