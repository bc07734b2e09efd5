"""``gossipnet join``: enter a mesh with a token. `run` uses the same for ``--token``."""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gossipnet.cli.init import add_name, node_name
from gossipnet.cli.options import Command, home_of, settings_of, suggestion
from gossipnet.cli.progress import Waiting
from gossipnet.cli.terminal import next_step, put_json, say
from gossipnet.config import Settings, join_address, split_address
from gossipnet.errors import NotFound, UsageError, UserError

if TYPE_CHECKING:
    from gossipnet.identity.home import Home, NodeIdentity

_MOST_TOKEN_BYTES = 16 * 1024


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("token", metavar="TOKEN", nargs="?", help="- reads it from stdin")
    parser.add_argument(
        "addresses",
        metavar="HOST:PORT",
        nargs="*",
        help="members to ask before those that the token names",
    )
    parser.add_argument("--token-file", metavar="FILE", help="read the token from this file")
    add_mesh_secret(parser)
    add_name(parser)


def add_mesh_secret(parser: argparse.ArgumentParser) -> None:
    """The file without which a mesh that has a secret does not answer."""
    parser.add_argument(
        "--mesh-secret", metavar="FILE", help="the mesh's secret, if it has one (HOME/mesh.secret)"
    )


def _execute(arguments: argparse.Namespace) -> int:
    given, addresses = arguments.token, arguments.addresses
    if arguments.token_file is not None and given is not None:
        if given.lower().startswith("gn1") and ":" not in given:
            # Taken for a host's name, the secret would go to a name server.
            raise UsageError("give the token once: as a word, or with --token-file")
        given, addresses = None, [given, *addresses]
    elif arguments.token_file is None and given is None:
        given = token_of_environment()
        if given is None:
            raise UsageError(
                "which token? `gossipnet invite` on a member prints one: gossipnet join TOKEN"
            )
    addresses = checked_addresses(addresses)
    name = node_name(arguments.name)
    token = read_token(given, arguments.token_file)

    from gossipnet.identity.home import Home
    from gossipnet.io.keysource import key_source

    settings = settings_of(arguments)
    home = Home(home_of(arguments), key_source(settings.key_command, os.environ))
    if home.exists():
        node = _already(arguments, home, token)
        say(f"{home_of(arguments)} holds a node of this mesh already; the token was not used")
    else:
        node = enrol_now(home, token, name, addresses, settings, exact=arguments.name is not None)
    _tell(arguments, node)
    next_step(suggestion(arguments, "run"), always=True)
    return 0


def read_token(given: str | None, file: str | None) -> str:
    """The token from the words, standard input (``-``) or a file, without white space.

    Raises:
      UsageError: It is given twice, or there is none.
      NotFound: The file cannot be read.
    """
    if given is not None and file is not None:
        raise UsageError("give the token once: as a word, or with --token-file")
    if file is not None:
        try:
            with Path(file).open("rb") as stream:
                raw = stream.read(_MOST_TOKEN_BYTES)
        except OSError as error:
            raise NotFound(
                f"cannot read the token from {file}: {error.strerror}; check the path, and that "
                "this user may read it"
            ) from None
        written = raw.decode("ascii", "replace")
    elif given == "-":
        if sys.stdin.isatty():
            say("Paste the token and press Enter:")
        written = sys.stdin.readline(_MOST_TOKEN_BYTES)
    else:
        written = given or ""
    token = "".join(written.split())
    if not token:
        raise UsageError("the token is empty: paste what `gossipnet invite` printed, all of it")
    return token


def token_of_environment() -> str | None:
    """What GOSSIPNET_TOKEN says, for machines that nobody types on; None if nothing."""
    return os.environ.get("GOSSIPNET_TOKEN", "").strip() or None


def checked_addresses(written: Sequence[str]) -> list[str]:
    """Addresses to dial, each with its port.

    Raises:
      UsageError: One of them cannot be dialled.
    """
    checked = []
    for address in written:
        try:
            host, port = split_address(address)
        except ValueError as error:
            raise UsageError(str(error)) from None
        if not host or port == 0:
            raise UsageError(f"{address!r} cannot be dialled: give a host and a port above 0")
        checked.append(join_address(host, port))
    return checked


def enrol_now(
    home: "Home",
    token: str,
    name: str,
    addresses: Sequence[str],
    settings: Settings,
    *,
    exact: bool,
) -> "NodeIdentity":
    """Ask members until one lets this machine in; progress goes to standard error.

    Raises:
      TokenError: The token is not usable.
      JoinError: Nobody let this machine in; the text says who said what.
    """
    from gossipnet.identity.token import decode_token

    decode_token(token)  # a slip of the pen is told before anything is loaded or dialled

    import trio

    from gossipnet.identity.meshsecret import read_mesh_secret
    from gossipnet.io.enrol import enrol

    secret = read_mesh_secret(home.path, settings.mesh_secret)
    waiting = Waiting(after=0.0)

    def tell(line: str) -> None:
        waiting.end()
        say(line)

    asking = partial(
        enrol,
        exact=exact,
        pq=settings.pq,
        trying=lambda address: waiting(f"asking {address}"),
    )
    try:
        node: NodeIdentity = trio.run(asking, home, token, name, addresses, tell, secret)
    finally:
        waiting.end()
    if node.name != name:
        say(f"a member is called {name} already, so this node is {node.name}")
    return node


def check_same_mesh(folder: Path, node: "NodeIdentity", token: str) -> None:
    """Refuse a token of another mesh than that of the node which lives here.

    Raises:
      UserError: It is of another.
    """
    from gossipnet.identity.token import decode_token

    if decode_token(token).mesh_id != node.trust.mesh_id:
        raise UserError(
            f"{folder} already holds a node of another mesh, {node.trust.mesh_name}: choose "
            "another folder with --home"
        )


def _already(arguments: argparse.Namespace, home: "Home", token: str) -> "NodeIdentity":
    """The node that lives here, if the token is of its mesh: joining twice is no mistake."""
    node = home.load()
    check_same_mesh(home_of(arguments), node, token)
    return node


def _tell(arguments: argparse.Namespace, node: "NodeIdentity") -> None:
    from gossipnet import ids

    if arguments.json:
        put_json(
            {
                "mesh": node.trust.mesh_name,
                "mesh_id": ids.text(node.trust.mesh_id),
                "name": node.name,
                "node_id": ids.text(node.node_id),
                "roles": sorted(node.roles),
                "home": str(home_of(arguments)),
            }
        )
    mesh, key = node.trust.mesh_name, home_of(arguments) / "identity.key"
    say(f"mesh      {mesh:<15} {ids.short(node.trust.mesh_id)}   (pinned by the token)")
    say(f"node      {node.name:<15} {ids.short(node.node_id)}   key {key}, mode 0600")


COMMANDS = {
    "join": Command(
        _configure,
        _execute,
        "gossipnet join gn1...\n"
        "gossipnet join gn1... --name rpi 192.168.1.10:7117\n"
        "gossipnet join --token-file token         or GOSSIPNET_TOKEN in the environment\n"
        "ssh atlas gossipnet invite | gossipnet join -     the token shows up nowhere",
    )
}
