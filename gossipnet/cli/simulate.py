"""``gossipnet sim``: the production engine under virtual time and network."""

import argparse

from gossipnet.cli.options import Command

COMMANDS: dict[str, Command] = {}
