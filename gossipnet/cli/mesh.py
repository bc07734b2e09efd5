"""Who is in the mesh, to whom it has links, and who owns what: ``members peers owner``."""

import argparse
from collections import Counter
from typing import Any

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.durations import told
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.terminal import next_step, plain, put, put_json, put_table, say

STATE_TINTS = {
    "alive": "green",
    "suspect": "yellow",
    "dead": "red",
    "revoked": "red",
    "away": "dim",
    "left": "dim",
}
STATES = tuple(STATE_TINTS)
"""Of members, the healthy ones first."""


def _configure(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)


def _configure_members(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)
    parser.add_argument(
        "--sort", choices=("name", "rtt", "state"), default="name", help="order (default name)"
    )


def _configure_owner(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)
    parser.add_argument("key", metavar="KEY", help="any text: a key, a job, a shard")
    parser.add_argument(
        "count", metavar="N", nargs="?", type=int, default=1, help="so many (default 1)"
    )


def clean(value: Any) -> str:
    """One cell: no control characters, ``-`` for nothing, lists joined."""
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, list):
        return ",".join(clean(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return text if text.isprintable() else repr(text)[1:-1]


def _members(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        rows = _sorted(plain(ask(client, "GOSSIP", "MEMBERS")), arguments.sort)
        if arguments.json:
            put_json({"members": rows})
            return 0
        own = plain(ask(client, "GOSSIP", "STATUS")).get("node_id")
    put_table(
        ("NAME", "STATE", "ADDRESS", "RTT", "BEHIND", "ROLES", "ZONE", "VERSION"),
        [_member_cells(row, own) for row in rows],
        STATE_TINTS,
    )
    say(_count(rows))
    next_step(suggestion(arguments, "invite") if len(rows) < 2 else suggestion(arguments, "status"))
    return 0


def _sorted(rows: list[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    states = list(STATE_TINTS)
    if by == "rtt":  # those at an unknown distance, this node among them, come last
        return sorted(rows, key=lambda row: (row.get("rtt_ms") is None, row.get("rtt_ms") or 0.0))
    if by == "state":
        return sorted(rows, key=lambda row: states.index(row["state"]))
    return rows


def _member_cells(row: dict[str, Any], own: object) -> list[str]:
    mine = row.get("id") == own
    return [
        clean(row.get("name")) + ("*" if mine else ""),
        clean(row.get("state")),
        clean(row.get("address")),
        "-" if mine else _distance(row),
        "-" if mine else _operations(row.get("behind")),
        clean(row.get("roles")),
        clean(row.get("zone")),
        clean(row.get("version")),
    ]


def _count(rows: list[dict[str, Any]]) -> str:
    states = Counter(str(row.get("state")) for row in rows)
    parts = [f"{states[state]} {state}" for state in STATE_TINTS if states[state]]
    noun = "member" if len(rows) == 1 else "members"
    return f"{len(rows)} {noun}: {', '.join(parts)}.  * is this node."


def _peer_cells(row: dict[str, Any]) -> list[str]:
    queued, since = row.get("queued_bytes"), row.get("since_s")
    return [
        *(clean(row.get(name)) for name in ("name", "address", "direction", "neighbour", "eager")),
        _milliseconds(row.get("rtt_ms")),
        _operations(row.get("behind")),
        "-" if queued is None else f"{queued} B",
        "-" if since is None else told(float(since)),
    ]


def _distance(row: dict[str, Any]) -> str:
    """A round trip; one that was not measured but follows from coordinates has a ``~``."""
    estimated = row.get("rtt_ms") is not None and not row.get("rtt_measured", True)
    return ("~" if estimated else "") + _milliseconds(row.get("rtt_ms"))


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{float(value):.1f} ms"


def _operations(count: int | None) -> str:
    return "-" if count is None else f"{count} op{'' if count == 1 else 's'}"


def _peers(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        rows = plain(ask(client, "GOSSIP", "PEERS"))
    if arguments.json:
        put_json({"peers": rows})
        return 0
    if rows:
        put_table(
            ("NAME", "ADDRESS", "DIRECTION", "NEIGHBOUR", "EAGER", "RTT", "BEHIND", "QUEUED", "UP"),
            [_peer_cells(row) for row in rows],
        )
    say(f"{len(rows)} link{'' if len(rows) == 1 else 's'}")
    next_step(suggestion(arguments, "members" if rows else "invite"))
    return 0


def _owner(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        rows = plain(ask(client, "GOSSIP", "OWNER", arguments.key, str(arguments.count)))
        own = plain(ask(client, "GOSSIP", "STATUS")).get("node_id")
    if arguments.json:
        put_json({"owners": [{**row, "me": row.get("id") == own} for row in rows]})
        return 0
    for row in rows:
        put(clean(row.get("name")))
    if rows:
        mine = rows[0].get("id") == own
        say("this node owns it" if mine else f"{clean(rows[0].get('name'))} owns it")
    next_step(suggestion(arguments, "members"))
    return 0


COMMANDS = {
    "members": Command(
        _configure_members,
        _members,
        "gossipnet members\ngossipnet members --sort rtt\ngossipnet members --json",
    ),
    "owner": Command(
        _configure_owner, _owner, "gossipnet owner nightly-backup\ngossipnet owner shard:17 3"
    ),
    "peers": Command(_configure, _peers, "gossipnet peers\ngossipnet peers --json"),
}
