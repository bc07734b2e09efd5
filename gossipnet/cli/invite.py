"""``gossipnet invite``: one token on standard output, nothing else there."""

import argparse

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.durations import parse_duration, told
from gossipnet.cli.options import Command, add_socket
from gossipnet.cli.terminal import next_step, plain, put, put_json, say
from gossipnet.errors import UsageError

ROLES = ("member", "observer", "relay", "issuer", "revoker")
_LONGEST = 366 * 86_400


def _configure(parser: argparse.ArgumentParser) -> None:
    add_rights(parser)
    parser.add_argument(
        "--ttl",
        type=parse_duration,
        default=3600.0,
        metavar="TIME",
        help="how long the token can be used: default 1h, up to 366d",
    )
    parser.add_argument(
        "--uses", type=_uses, default=1, metavar="N", help="how many machines (default 1)"
    )
    add_socket(parser)


def add_rights(parser: argparse.ArgumentParser) -> None:
    """The options that say what a newcomer becomes, as an issuer and `sign` take them."""
    parser.add_argument(
        "--role",
        choices=ROLES,
        default="member",
        help="member (default), observer (reads only), relay (passes on, neither reads nor "
        "writes), issuer (lets others in) or revoker",
    )
    parser.add_argument(
        "--allow",
        metavar="VERB:PREFIX",
        action="append",
        type=_capability,
        help="what the new node may do: read:, write:sensors: or manage:; may be repeated "
        "(default: what its role means)",
    )


def _capability(written: str) -> str:
    verb, colon, _prefix = written.partition(":")
    if verb in ("read", "write", "manage") and colon:
        return written
    raise argparse.ArgumentTypeError(
        f"{written!r} is not VERB:PREFIX: the verb is read, write or manage, as in write:sensors:"
    )


def _uses(written: str) -> int:
    if written.isdecimal() and 1 <= int(written) <= 10_000:
        return int(written)
    raise argparse.ArgumentTypeError(f"{written!r} is not a number from 1 to 10000")


def _execute(arguments: argparse.Namespace) -> int:
    if arguments.ttl > _LONGEST or round(arguments.ttl) < 1:
        raise UsageError(
            f"--ttl {told(arguments.ttl)} is out of range: a token is valid from 1s to 366d"
        )
    words = ["GOSSIP", "INVITE", "ROLE", arguments.role, "USES", str(arguments.uses)]
    words += ["TTL", str(round(arguments.ttl))]
    for capability in arguments.allow or ():
        words += ["ALLOW", capability]
    with open_client(arguments) as client:
        token = plain(ask(client, *words))
    if arguments.json:
        put_json({"token": token, "uses": arguments.uses, "ttl_s": arguments.ttl})
    else:
        put(str(token))
    uses = "one machine" if arguments.uses == 1 else f"{arguments.uses} machines"
    say(f"lets in {uses} as {arguments.role}, valid {told(arguments.ttl)}; treat it as a password")
    next_step("gossipnet join TOKEN   on the new machine, then gossipnet run", always=True)
    return 0


COMMANDS = {
    "invite": Command(
        _configure,
        _execute,
        "gossipnet invite\n"
        "gossipnet invite --ttl 15m --uses 10\n"
        "gossipnet invite --allow read: --allow write:sensors:\n"
        "gossipnet invite --role observer          one that reads, and writes nothing",
    )
}
