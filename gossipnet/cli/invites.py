"""``gossipnet invites``: which tokens this issuer has minted, and whom they let in."""

import argparse
from datetime import UTC, datetime
from typing import Any

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.terminal import next_step, plain, put_json, put_table, say


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cancel",
        metavar="TOKEN",
        help="let the token that begins so admit nobody more",
    )
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        if arguments.cancel:
            cancelled = plain(ask(client, "GOSSIP", "INVITES", "CANCEL", arguments.cancel))
            say(f"token {str(cancelled)[:8]} lets nobody in any more; whom it let in stays")
        found = plain(ask(client, "GOSSIP", "INVITES"))
    if arguments.json:
        put_json(found)
        return 0
    rows = [
        (
            row["token"][:8],
            row["state"],
            f"{row['used']}/{row['uses']}",
            row["role"],
            _when(row["not_after"]),
        )
        for row in found["tokens"]
    ]
    put_table(("TOKEN", "STATE", "USED", "ROLE", "ENDS"), rows, {"open": "green"})
    admitted: list[dict[str, Any]] = found["admitted"]
    if admitted:
        put_table(
            ("ADMITTED", "NODE", "ID", "BY"),
            [
                (_when(row["wall"]), row["name"], row["id"][:10], row["token"][:8] or "a file")
                for row in admitted
            ],
        )
    next_step(suggestion(arguments, "invite"))
    return 0


def _when(wall: float) -> str:
    return f"{datetime.fromtimestamp(wall, UTC):%Y-%m-%d %H:%M} UTC"


COMMANDS = {
    "invites": Command(
        _configure,
        _execute,
        "gossipnet invites\ngossipnet invites --cancel 3f9a02c1     a token that went astray",
    )
}
