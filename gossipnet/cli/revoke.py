"""``gossipnet revoke``: shut a member out, for good."""

import argparse
import sys

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.options import Command, add_socket, completed, suggestion
from gossipnet.cli.terminal import next_step, plain, put_json, say
from gossipnet.client import ReplyError
from gossipnet.errors import NotFound, UsageError

_REASON_MAX = 200


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE", help="its id, or a name that only one member bears")
    parser.add_argument(
        "--reason", metavar="TEXT", default="", help="for people; shown everywhere, for ever"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask whether this is meant")
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    reason = str(arguments.reason)
    if len(reason) > _REASON_MAX or not reason.isprintable():
        raise UsageError(f"--reason is one line of up to {_REASON_MAX} characters")
    if not arguments.yes and sys.stdin.isatty() and sys.stderr.isatty():
        _confirm(arguments.node)
    words = ["GOSSIP", "REVOKE", arguments.node]
    if reason:
        words += ["REASON", reason]
    with open_client(arguments) as client:
        try:
            row = plain(ask(client, *words))
        except ReplyError as error:
            if str(error).startswith("no member is called"):
                raise NotFound(completed(arguments, str(error))) from None
            raise
    if arguments.json:
        put_json(row)
    if row["already"]:
        say(f"{row['name']} was revoked before; nothing has changed")
    else:
        say(
            f"{row['name']} is revoked: its links close now on every machine that can be reached, "
            "and nothing it writes from now on counts. Its key cannot come back."
        )
    if row["issuers"]:
        say("It was an issuer: whom it let in before stays, whom it lets in from now on does not.")
    next_step(suggestion(arguments, "members"))
    return 0


def _confirm(node: str) -> None:
    say(f"This shuts {node} out for good: it cannot be taken back without the root key.")
    print("Type yes to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() != "yes":
        raise UsageError("nothing was done")


COMMANDS = {
    "revoke": Command(
        _configure,
        _execute,
        'gossipnet revoke laptop --reason "stolen on the train"\n'
        "gossipnet revoke q3fw7jzk2m4xh5bt     where two machines bear one name",
    )
}
