"""How commands reach the daemon: open a connection, ask, and say in one sentence what failed."""

import argparse
from typing import TYPE_CHECKING, Any

from gossipnet.cli.options import home_of, suggestion
from gossipnet.errors import DaemonNotRunning

if TYPE_CHECKING:
    from gossipnet.client import Client, Word

TIMEOUT_SECONDS = 30.0


def open_client(arguments: argparse.Namespace, timeout: float | None = TIMEOUT_SECONDS) -> "Client":
    """A connection to the daemon that the words and the environment point at.

    Raises:
      DaemonNotRunning: Nothing answers; the text says what to type.
    """
    from gossipnet.client import connect

    try:
        return connect(arguments.home, arguments.socket, timeout=timeout)
    except DaemonNotRunning as error:
        raise DaemonNotRunning(_remedy(arguments, str(error))) from None


def ask(client: "Client", *words: "Word") -> Any:
    """One command's reply.

    Raises:
      ReplyError: The daemon refused it; ends the command with 4 (not permitted) or 1.
    """
    from gossipnet.client import ReplyError

    try:
        return client.call(*words)
    except ReplyError as error:
        # The code is for programs; whoever wants to see it takes `gossipnet call`.
        error.args = (str(error).removeprefix(f"{error.code} "),)
        raise


def _remedy(arguments: argparse.Namespace, told: str) -> str:
    if arguments.socket:
        return told
    folder = home_of(arguments)
    if not folder.exists():
        return (
            f"no node lives at {folder} yet: `{suggestion(arguments, 'init')}` founds a mesh, "
            f"`{suggestion(arguments, 'join TOKEN')}` enters one, and then "
            f"`{suggestion(arguments, 'run')}`"
        )
    return told.replace("gossipnet run", suggestion(arguments, "run"))
