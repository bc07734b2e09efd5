"""``gossipnet init``: found a mesh on this machine."""

import argparse
import os
import re
import socket
import time

from gossipnet.cli.options import Command, home_of, settings_of, suggestion
from gossipnet.cli.rootwords import new_passphrase, parse_rule, tell_recovery
from gossipnet.cli.terminal import next_step, put_json, say
from gossipnet.errors import UsageError, UserError

_OPEN_ROOT_KEY = (
    "root.key is NOT encrypted: whoever copies that file can let anyone into this mesh, for ever.\n"
    "          That is fine for a trial; for anything else, start again with a passphrase."
)


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mesh", metavar="MESH", nargs="?", default="mesh", help="default 'mesh'")
    add_name(parser)
    parser.add_argument(
        "--authorities",
        type=parse_rule,
        default=(1, 1),
        metavar="K-of-N",
        help="how many root keys there are, and how many must sign (default 1-of-1)",
    )
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
    from gossipnet.identity.rootkeys import names, recovery_text
    from gossipnet.identity.signing import SecretKey

    settings_of(arguments)  # a socket path that is too long, or a wrong setting, is told now
    home = Home(folder)
    if home.exists():
        raise UserError(
            f"{folder} already holds a node of a mesh: go on with "
            f"`{suggestion(arguments, 'run')}`, or choose another folder with --home"
        )
    passphrase = None if arguments.no_passphrase else new_passphrase()
    threshold, authorities = arguments.authorities
    recovery = SecretKey.generate(os.urandom)
    node = home.found(
        mesh=mesh,
        name=name,
        passphrase=passphrase,
        entropy=os.urandom,
        wall=time.time(),
        threshold=threshold,
        authorities=authorities,
        recovery=recovery.public_key,
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
                "authorities": f"{threshold}-of-{authorities}",
                "recovery_key": recovery_text(recovery),
            }
        )
    say(f"mesh      {mesh:<15} {ids.short(node.trust.mesh_id)}   (the same on every machine)")
    say(f"node      {name:<15} {ids.short(node.node_id)}   key {folder}/identity.key, mode 0600")
    if passphrase is None:
        say(f"root key  {_OPEN_ROOT_KEY}")
    elif authorities == 1:
        say(f"root key  {folder}/root.key, under your passphrase: keep a copy off this machine")
    else:
        say(
            f"root keys {folder}/{', '.join(names(1, authorities))}, under your passphrase; "
            f"{threshold} of them must sign: carry them to different places"
        )
    tell_recovery(recovery_text(recovery))
    next_step(suggestion(arguments, "run"), always=True)
    return 0


COMMANDS = {
    "init": Command(
        _configure,
        _execute,
        "gossipnet init home --name atlas\n"
        "gossipnet init trial --no-passphrase     for a trial: the root key is not encrypted",
    )
}
