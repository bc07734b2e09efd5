"""``gossipnet log``: the mesh's events as this node saw them."""

import argparse
import time
from typing import Any

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.mesh import clean
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.terminal import colour, next_step, plain, put, put_json, say

_TINTS = {"warning": "yellow", "error": "red", "debug": "dim"}


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", dest="count", type=_count, default=50, metavar="N", help="the last N events (50)"
    )
    add_socket(parser)


def _count(written: str) -> int:
    if written.isascii() and written.isdigit() and int(written[:9]) > 0:
        return int(written[:9])
    raise argparse.ArgumentTypeError(f"{written!r} is not a number of events: give 1 or more")


def _execute(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        rows = plain(ask(client, "GOSSIP", "EVENTS"))
    rows = rows[-arguments.count :]
    if arguments.json:
        put_json({"events": rows})
        return 0
    for row in rows:
        put(_line(row))
    if not rows:
        say("nothing has happened yet")
    next_step(suggestion(arguments, "members"))
    return 0


def _line(row: dict[str, Any]) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(float(row.get("wall") or 0)))
    level = str(row.get("level", "info"))
    text = f"{moment} {clean(row.get('kind')):<16} {clean(row.get('text'))}"
    return colour(text, _TINTS[level]) if level in _TINTS else text


COMMANDS = {"log": Command(_configure, _execute, "gossipnet log\ngossipnet log -n 5 --json")}
