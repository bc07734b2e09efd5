"""``gossipnet leave``: sign off, so that nobody waits for this machine."""

import argparse
import sys

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.terminal import next_step, put_json, say


def _configure(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask, on a terminal")


def _execute(arguments: argparse.Namespace) -> int:
    if sys.stdin.isatty() and not arguments.yes:
        say("The daemon stops, and the others no longer expect this machine; its data stays.")
        if input("Sign it off the mesh? [y/N] ").strip().lower() not in ("y", "yes"):
            say("nothing was changed")
            return 1
    with open_client(arguments) as client:
        ask(client, "GOSSIP", "LEAVE")
    if arguments.json:
        put_json({"left": True})
    else:
        say("left the mesh; the daemon stops, its data stays in the home folder")
    next_step(suggestion(arguments, "run") + "   to come back", always=True)
    return 0


COMMANDS = {"leave": Command(_configure, _execute, "gossipnet leave\ngossipnet leave --yes")}
