"""``gossipnet status``: how this node is, in about ten lines; ``--all`` shows every number.

The short view is for a person who asks whether all is well: what is not ends up under ``warnings``
as a sentence each. Knows the document that ``GOSSIP STATUS`` answers with, and takes none of its
fields for granted: the daemon may be of another version.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import Any

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.durations import told
from gossipnet.cli.mesh import STATES, clean
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.terminal import colour, next_step, plain, put, put_json

_LATE_SECONDS = 10.0
"""As ``gossipnet check``: from when on being behind is worth a warning."""


def _configure(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)
    parser.add_argument("--all", action="store_true", help="every number there is, one a line")


def _execute(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        document = plain(ask(client, "GOSSIP", "STATUS"))
        members = [] if arguments.json or arguments.all else plain(ask(client, "GOSSIP", "MEMBERS"))
    if arguments.json:
        put_json(document)
        return 0
    if arguments.all:
        rows = _flat(document)
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            put(f"{name:<{width}}  {value}")
    else:
        _put_short(document, members)
    next_step(suggestion(arguments, "members" if arguments.all else "status --all"))
    return 0


def _put_short(document: dict[str, Any], members: list[dict[str, Any]]) -> None:
    for name, text in _lines(document, members):
        put(f"{name:<12} {text}")
    warnings = list(_warnings(document, members))
    for number, warning in enumerate(warnings):
        put(f"{'' if number else 'warnings':<12} {colour(warning, 'yellow')}")
    if not warnings:
        put(f"{'warnings':<12} none")


def _lines(document: dict[str, Any], members: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    clock, root = _part(document, "clock"), _part(_part(document, "trust"), "root")
    short = str(document.get("node_id"))[:10]
    yield (
        "node",
        f"{clean(document.get('name'))} {short}, {_listed(document.get('roles'))}, "
        f"at {_listed(document.get('addresses'))}, {_since(document.get('uptime_s'))}",
    )
    yield "mesh", f"{clean(document.get('mesh'))} {str(document.get('mesh_id'))[:10]}"
    yield "members", told_states(members)
    yield "links", f"{document.get('peers', 0)}, {document.get('neighbours', 0)} of them neighbours"
    lag = float(document.get("lag_s") or 0)
    met = "converged" if document.get("converged") else "not yet as its neighbours are"
    behind = f", behind for {told(lag)}" if lag else ""
    yield "state", f"{document.get('keys', 0)} keys, {met}{behind}"
    waiting = int(document.get("uncommitted") or 0)
    yield (
        "disk",
        f"{clean(document.get('disk'))}" + (f", {waiting} records on their way" if waiting else ""),
    )
    offset = clock.get("offset_s")
    yield (
        "clock",
        "nobody to compare it with"
        if offset is None
        else f"within {abs(float(offset)):.3f} s of the neighbours'",
    )
    yield "certificate", f"valid for {float(document.get('certificate_days') or 0):g} days"
    share = root.get("share")
    known = "-" if share is None else f"{float(share):.0%}"
    yield "root", f"version {clean(root.get('version'))}, known to {known} of the members"
    yield "drops", clean(document.get("drops"))


def told_states(members: list[dict[str, Any]]) -> str:
    """How many are alive, and how many are not."""
    states = Counter(str(row.get("state")) for row in members)
    return ", ".join(f"{states[state]} {state}" for state in STATES if states[state]) or "-"


def _warnings(document: dict[str, Any], members: list[dict[str, Any]]) -> Iterator[str]:
    """What is not as it should be, a sentence each."""
    if not document.get("ready"):
        yield "not ready yet"
    failing = [clean(row.get("name")) for row in members if row.get("state") in ("suspect", "dead")]
    if failing:
        more = f" and {len(failing) - 5} more" if len(failing) > 5 else ""
        yield f"not answering: {', '.join(failing[:5])}{more} (gossipnet why NODE)"
    elif len(members) > 1 and not document.get("peers"):
        yield "no link to any other member (gossipnet doctor)"
    if float(document.get("lag_s") or 0) > _LATE_SECONDS:
        yield f"behind its neighbours for {told(float(document['lag_s']))}"
    if document.get("disk") not in ("ok", None):
        yield f"disk: {clean(document['disk'])}"
    if document.get("disk_damage"):
        yield "the database was damaged (gossipnet status --all: disk_damage)"
    for part, name in (
        ("clock", "complaint"),
        ("certificate", "warning"),
        ("certificate", "failure"),
    ):
        if _part(document, part).get(name):
            yield f"{part}: {clean(_part(document, part)[name])}"
    trust = _part(document, "trust")
    if trust.get("forks"):
        yield f"{trust['forks']} logs with two histories (gossipnet members: suspect)"
    if trust.get("own"):
        yield f"this node was revoked by {clean(trust['own'])}"
    if _part(document, "counters").get("records_newer"):
        yield "others write what this version cannot read: upgrade this node"
    if document.get("poisoned"):
        count = len(document["poisoned"])
        yield f"{count} operations failed and are set aside (gossipnet status --json)"
    if document.get("quarantined"):
        yield f"{document['quarantined']} records stamped too far in the future wait"


def _part(document: dict[str, Any], name: str) -> dict[str, Any]:
    part = document.get(name)
    return part if isinstance(part, dict) else {}


def _listed(value: Any) -> str:
    return ", ".join(clean(item) for item in value) if isinstance(value, list) else clean(value)


def _since(seconds: Any) -> str:
    return f"up {told(float(seconds))}" if isinstance(seconds, int | float) else "up"


def _flat(document: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in document.items():
        if isinstance(value, dict):
            nested = _flat(value, f"{prefix}{name}.")
            rows += nested or [(prefix + name, "-")]
        elif name.endswith("_s") and isinstance(value, int | float):
            rows.append((prefix + name.removesuffix("_s"), told(value) if value > 0 else "0s"))
        else:
            rows.append((prefix + name, clean(value)))
    return rows


COMMANDS = {
    "status": Command(
        _configure, _execute, "gossipnet status\ngossipnet status --all\ngossipnet status --json"
    ),
}
