"""``gossipnet call``: any command of the local socket, shown as redis-cli shows it."""

import argparse
import os
import sys
from typing import Any

from gossipnet.cli.connection import TIMEOUT_SECONDS, open_client
from gossipnet.cli.durations import parse_duration
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.terminal import put, put_bytes, put_json, quoted
from gossipnet.errors import UsageError


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", metavar="CMD", help="for example GET; options stand before it")
    parser.add_argument("words", metavar="ARG", nargs=argparse.REMAINDER, help="taken as they are")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        "--raw", action="store_true", help="bytes as they are (default if not a terminal)"
    )
    shape.add_argument(
        "--no-raw", action="store_true", help="types and quotes shown (default on a terminal)"
    )
    parser.add_argument(
        "--timeout",
        type=parse_duration,
        default=TIMEOUT_SECONDS,
        metavar="TIME",
        help="how long to wait for the reply (30s)",
    )
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    _refuse_streams(arguments)
    words = [os.fsencode(word) for word in (arguments.command, *arguments.words)]
    with open_client(arguments, arguments.timeout) as client:
        reply = client.call(*words)
    if arguments.json:
        put_json({"reply": reply})
    elif arguments.no_raw or (sys.stdout.isatty() and not arguments.raw):
        put("\n".join(formatted(reply)))
    else:
        put_bytes(b"\n".join(raw_lines(reply)) + b"\n")
    return 0


def _refuse_streams(arguments: argparse.Namespace) -> None:
    """What answers with pushes for ever would look like a daemon that hangs."""
    name, words = arguments.command.upper(), [word.upper() for word in arguments.words[:1]]
    if name == "GOSSIP" and words == ["WATCH"]:
        raise UsageError(f"call prints one reply: use `{suggestion(arguments, 'watch PATTERN')}`")
    if name in ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"):
        raise UsageError(
            f"call prints one reply, and {name} goes on for ever: use redis-cli -s on the local "
            f"socket, or `{suggestion(arguments, 'watch PATTERN')}` for changes to keys"
        )


def formatted(reply: Any) -> list[str]:
    """A reply in redis-cli's notation, one string a line."""
    if isinstance(reply, dict):
        rows = [[*formatted(key), *formatted(value)] for key, value in reply.items()]
        # redis-cli writes maps as `1# "key" => value`.
        return _numbered([[f"{row[0]} => {row[1]}", *row[2:]] for row in rows], "#", "(empty hash)")
    if isinstance(reply, set | frozenset):
        return _numbered([formatted(item) for item in sorted(reply, key=repr)], "~", "(empty set)")
    if isinstance(reply, list | tuple):
        return _numbered([formatted(item) for item in reply], ")", "(empty array)")
    return [_scalar(reply)]


def _scalar(reply: Any) -> str:
    if reply is None:
        return "(nil)"
    if isinstance(reply, bool):
        return "(true)" if reply else "(false)"
    if isinstance(reply, int):
        return f"(integer) {reply}"
    if isinstance(reply, float):
        return f"(double) {reply:.17g}"
    if isinstance(reply, bytes):
        return quoted(reply)
    if isinstance(reply, Exception):
        return f"(error) {reply}"
    return str(reply)


def _numbered(items: list[list[str]], mark: str, empty: str) -> list[str]:
    if not items:
        return [empty]
    width = len(str(len(items)))
    lines = []
    for number, (first, *rest) in enumerate(items, 1):
        lines.append(f"{number:>{width}}{mark} {first}")
        lines += [" " * (width + 2) + line for line in rest]
    return lines


def raw_lines(reply: Any) -> list[bytes]:
    """The bare values of a reply, one a line, nested ones in order."""
    if isinstance(reply, dict):
        return [line for pair in reply.items() for part in pair for line in raw_lines(part)]
    if isinstance(reply, list | tuple | set | frozenset):
        return [line for item in reply for line in raw_lines(item)]
    if isinstance(reply, bytes):
        return [reply]
    if reply is None:
        return [b""]
    if isinstance(reply, bool):
        return [b"true" if reply else b"false"]
    return [str(reply).encode()]


COMMANDS = {
    "call": Command(
        _configure,
        _execute,
        "gossipnet call SADD crew ada bob\ngossipnet call --json HGETALL user:1",
    )
}
