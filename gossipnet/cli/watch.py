"""``gossipnet watch``: changes to keys as they arrive, from this machine and from all others."""

import argparse
import os
import time
from typing import TYPE_CHECKING

from gossipnet.cli.connection import open_client
from gossipnet.cli.durations import parse_duration
from gossipnet.cli.mesh import clean
from gossipnet.cli.options import Command, add_socket
from gossipnet.cli.terminal import colour, printable, put, put_json, quoted, say
from gossipnet.errors import TimedOut

if TYPE_CHECKING:
    from gossipnet.client import Change, Watch

_SHOWN_VALUE_BYTES = 200


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", default="*", help="default '*'")
    parser.add_argument(
        "-n", "--count", dest="count", type=_count, metavar="N", help="end after N changes"
    )
    parser.add_argument(
        "--for",
        dest="length",
        type=parse_duration,
        metavar="TIME",
        help="end after this long; exit code 6 if fewer than N changes came",
    )
    add_socket(parser)


def _count(written: str) -> int:
    if written.isdecimal() and int(written) > 0:
        return int(written)
    raise argparse.ArgumentTypeError(f"{written!r} is not a number above 0")


def _execute(arguments: argparse.Namespace) -> int:
    end = None if arguments.length is None else time.monotonic() + arguments.length
    seen = 0
    with open_client(arguments) as client, client.watch(os.fsencode(arguments.pattern)) as changes:
        say(f"watching {arguments.pattern}; Ctrl-C ends it")
        try:
            while seen != arguments.count:
                change = _next(changes, end)
                if change is None:
                    break
                seen += 1
                _show(arguments, change)
        except KeyboardInterrupt:
            say()  # the terminal's ^C stands on a line of its own
    say(f"{seen} change{'' if seen == 1 else 's'}")
    if arguments.count is not None and seen < arguments.count and end is not None:
        raise TimedOut(f"{seen} of {arguments.count} changes came in time")
    return 0


def _next(changes: "Watch", end: float | None) -> "Change | None":
    return changes.next(None if end is None else max(0.0, end - time.monotonic()))


def _show(arguments: argparse.Namespace, change: "Change") -> None:
    if arguments.json:
        put_json(change._asdict())
        return
    seconds, milliseconds = divmod(change.wall_ms, 1000)
    moment = time.strftime("%H:%M:%S", time.localtime(seconds))
    value = ""
    if change.value is not None:
        shown = quoted(change.value[:_SHOWN_VALUE_BYTES])
        value = f" {shown}{'...' if len(change.value) > _SHOWN_VALUE_BYTES else ''}"
    text = f"{clean(change.event):<9} {printable(change.key)}{value}  {clean(change.author)}"
    put(f"{colour(f'{moment}.{milliseconds:03d}', 'dim')} {text}")


COMMANDS = {
    "watch": Command(
        _configure,
        _execute,
        "gossipnet watch 'flags:*'\n"
        "gossipnet watch --json 'flags:*'         one JSON document a line\n"
        "gossipnet watch -n 1 --for 30s job:done  wait for it; exit code 6 if it does not come",
    )
}
