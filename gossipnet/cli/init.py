"""``gossipnet init``: found a mesh on this machine."""

import argparse
import os
import re
import socket
import sys
import time

from gossipnet.cli.options import Command, home_of, suggestion
from gossipnet.cli.terminal import next_step, put_json, say
from gossipnet.errors import UsageError, UserError

_OPEN_ROOT_KEY = (
    "root.key is NOT encrypted: whoever copies that file can let anyone into this mesh, for ever. "
    "That is fine for a trial; for anything else, start again with a passphrase."
)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mesh", metavar="MESH", nargs="?", default="mesh", help="default 'mesh'")
    add_name(parser)
    parser.add_argument(
        "--no-passphrase",
        action="store_true",
        help="leave the root key unencrypted (else a prompt, or $GOSSIPNET_PASSPHRASE)",
    )


def add_name(parser: argparse.ArgumentParser) -> None:
    """The option that names this node."""
    parser.add_argument("--name", metavar="NODE", help="this node's name (default: the host's)")


def node_name(given: str | None) -> str:
    """The name asked for, or the first label of the host's name."""
    if given is not None:
        return checked_name(given, "a node")
    label = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname().split(".")[0])
    return label.lstrip("-._")[:63] or "node"


def checked_name(written: str, what: str) -> str:
    """A name that can stand in a certificate, a table and a shell command."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", written):
        return written
    raise UsageError(
        f"{written!r} cannot name {what}: use up to 63 letters, digits, dots, dashes and "
        "underscores, a letter or digit first"
    )


def _execute(arguments: argparse.Namespace) -> int:
    mesh = checked_name(arguments.mesh, "a mesh")
    name = node_name(arguments.name)
    folder = home_of(arguments)

    from gossipnet.identity.home import Home

    home = Home(folder)
    if home.exists():
        raise UserError(
            f"{folder} already holds a node of a mesh: go on with "
            f"`{suggestion(arguments, 'run')}`, or choose another folder with --home"
        )
    passphrase = None if arguments.no_passphrase else _passphrase()
    node = home.found(
        mesh=mesh, name=name, passphrase=passphrase, entropy=os.urandom, wall=time.time()
    )
    from gossipnet import ids

    if arguments.json:
        put_json(
            {
                "mesh": mesh,
                "mesh_id": ids.text(node.trust.mesh_id),
                "name": name,
                "node_id": ids.text(node.node_id),
                "home": str(folder),
            }
        )
    say(f"mesh      {mesh:<15} {ids.short(node.trust.mesh_id)}   (the same on every machine)")
    say(f"node      {name:<15} {ids.short(node.node_id)}   key {folder}/identity.key, mode 0600")
    if passphrase is None:
        say(f"root key  {_OPEN_ROOT_KEY}")
    else:
        say(f"root key  {folder}/root.key, under your passphrase: keep a copy off this machine")
    next_step(suggestion(arguments, "run"), always=True)
    return 0


def _passphrase() -> str:
    given = os.environ.get("GOSSIPNET_PASSPHRASE")
    if given:
        return given
    if not sys.stdin.isatty():
        raise UsageError(
            "a passphrase must protect the root key, and there is no terminal to ask for one: "
            "set GOSSIPNET_PASSPHRASE, or say --no-passphrase"
        )
    import getpass

    say("The root key lets machines into this mesh. A passphrase keeps it safe on disk.")
    first = getpass.getpass("Passphrase: ")
    if not first:
        raise UsageError("an empty passphrase protects nothing: choose one, or say --no-passphrase")
    if getpass.getpass("Once more: ") != first:
        raise UsageError("the two passphrases differ: nothing was made, start again")
    return first


COMMANDS = {
    "init": Command(
        _configure,
        _execute,
        "gossipnet init home --name atlas\n"
        "gossipnet init trial --no-passphrase     for a trial: the root key is not encrypted",
    )
}
