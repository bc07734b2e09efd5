"""``gossipnet version``."""

import argparse

from gossipnet import __version__
from gossipnet.cli.options import Command
from gossipnet.cli.terminal import put, put_json


def _configure(parser: argparse.ArgumentParser) -> None:
    pass


def _execute(arguments: argparse.Namespace) -> int:
    if arguments.json:
        put_json({"version": __version__})
    else:
        put(f"gossipnet {__version__}")
    return 0


COMMANDS = {"version": Command(_configure, _execute, "gossipnet version")}
