"""``gossipnet run``: the daemon, in the foreground; its log goes to standard error."""

import argparse
import os
from typing import TYPE_CHECKING

from gossipnet.cli.init import add_name, node_name
from gossipnet.cli.join import (
    add_mesh_secret,
    check_same_mesh,
    enrol_now,
    read_token,
    token_of_environment,
)
from gossipnet.cli.options import Command, add_socket, completed, settings_of, suggestion
from gossipnet.cli.terminal import say
from gossipnet.config import Settings
from gossipnet.errors import HomeError, NotFound, TokenError, UsageError

if TYPE_CHECKING:
    from gossipnet.identity.home import Home


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help="for links to other members (0.0.0.0:7117)"
    )
    parser.add_argument(
        "--advertise",
        metavar="HOST:PORT",
        action="append",
        help="what the others should dial, if it is not what is listened on; may be repeated",
    )
    parser.add_argument(
        "--join",
        metavar="HOST:PORT",
        action="append",
        help="a member to dial, beside those that are known; may be repeated",
    )
    parser.add_argument(
        "--durability",
        metavar="WHEN",
        help="fsync 'always' before a reply (default), or 'every-second'",
    )
    parser.add_argument(
        "--zone",
        metavar="NAME",
        help="the site of this machine: links stay within it, but for a few",
    )
    parser.add_argument(
        "--pq",
        metavar="WHEN",
        help="hybrid post-quantum handshakes: 'off', 'prefer' (default) or 'require'",
    )
    add_mesh_secret(parser)
    parser.add_argument(
        "--readonly-socket", metavar="PATH", help="a second local socket, which only reads"
    )
    parser.add_argument(
        "--readonly-mode", metavar="MODE", help="of its file: 0660 (default) or 0666"
    )
    parser.add_argument("--readonly-group", metavar="GROUP", help="to which its file belongs")
    parser.add_argument("--max-clients", metavar="N", help="on the local socket (1000)")
    parser.add_argument(
        "--notify-keyspace-events",
        metavar="FLAGS",
        help="which changes of keys are told on channels, in Redis's letters; KEA for all",
    )
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error")
    parser.add_argument("--log-format", metavar="FORMAT", help="text or json")
    add_socket(parser)
    entry = parser.add_argument_group("the first time, to join and run in one go")
    entry.add_argument(
        "--token",
        metavar="TOKEN",
        help="join with this token (- reads it from stdin; else $GOSSIPNET_TOKEN)",
    )
    entry.add_argument("--token-file", metavar="FILE", help="read the token from this file")
    add_name(parser)


def _execute(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    _enter(arguments, settings)

    from gossipnet.daemon import run_daemon

    try:
        run_daemon(
            settings,
            lambda words: suggestion(arguments, words),
            lambda: settings_of(arguments),
        )
    except HomeError as error:
        raise HomeError(completed(arguments, str(error))) from None
    return 0


def _enter(arguments: argparse.Namespace, settings: Settings) -> None:
    """Join, unless an earlier start has done so: a service is started with the same words again."""
    if arguments.token is not None and arguments.token_file is not None:
        raise UsageError("give the token once: as a word, or with --token-file")
    given, file = arguments.token, arguments.token_file
    if given is None and file is None:
        given = token_of_environment()
        if given is None:
            return

    from gossipnet.identity.home import Home
    from gossipnet.io.keysource import key_source

    home = Home(settings.home, key_source(settings.key_command, os.environ))
    if home.exists():
        _compare(home, given, file)
        return
    name = node_name(arguments.name)
    token = read_token(given, file)
    exact = arguments.name is not None
    node = enrol_now(home, token, name, settings.join, settings, exact=exact)
    say(f"joined mesh {node.trust.mesh_name} as {node.name}; later starts need no token")


def _compare(home: "Home", given: str | None, file: str | None) -> None:
    """A node lives here already: the token is not used, and must not be of another mesh.

    Whatever else may be wrong with it, and whether it is still there, is of no interest any more.
    """
    if given == "-":
        return
    try:
        token = read_token(given, file)
        check_same_mesh(home.path, home.load(), token)
    except (NotFound, TokenError, UsageError):
        say(f"{home.path} holds a node already, and the token cannot be read: it is not needed")
        return
    say(f"{home.path} holds a node of this mesh already; the token was not used")


COMMANDS = {
    "run": Command(
        _configure,
        _execute,
        "gossipnet run\n"
        "gossipnet run --listen 0.0.0.0:7200 --advertise 203.0.113.9:7200   behind NAT\n"
        "gossipnet run --token-file /run/secrets/token                     join, then run",
        json=False,
    )
}
