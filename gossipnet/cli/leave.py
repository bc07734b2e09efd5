"""``gossipnet leave``: sign off, so that nobody waits for this machine."""

import argparse

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.terminal import next_step, put_json, say


def _configure(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        ask(client, "GOSSIP", "LEAVE")
    if arguments.json:
        put_json({"left": True})
    else:
        say("left the mesh; the daemon stops, its data stays in the home folder")
    next_step(suggestion(arguments, "run") + "   to come back", always=True)
    return 0


COMMANDS = {"leave": Command(_configure, _execute, "gossipnet leave")}
