"""``gossipnet wait``: until the daemon is as a script needs it.

Polls the local socket, for every condition is a matter of seconds; a daemon that is not up yet is
waited for too, so that units and scripts can be started in any order.
"""

import argparse
import os
import time
from typing import TYPE_CHECKING, Any

from gossipnet.cli.connection import open_client
from gossipnet.cli.durations import parse_duration, told
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.progress import Waiting
from gossipnet.cli.terminal import next_step, plain, put_json, say
from gossipnet.errors import DaemonNotRunning, TimedOut

if TYPE_CHECKING:
    from gossipnet.client import Client

_PAUSE_SECONDS = 0.1
_MEMBERS_MAX = 16_384


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--members", type=_count, metavar="N", help="until N members are alive, this one included"
    )
    parser.add_argument(
        "--converged", action="store_true", help="until this node lacks nothing it knows of"
    )
    parser.add_argument("--key", metavar="KEY", action="append", help="until the key is there")
    parser.add_argument(
        "--timeout",
        type=parse_duration,
        default=30.0,
        metavar="TIME",
        help="give up after this long, with exit code 6 (30s)",
    )
    add_socket(parser)


def _count(written: str) -> int:
    if written.isascii() and written.isdigit() and 0 < int(written[:9]) <= _MEMBERS_MAX:
        return int(written)
    raise argparse.ArgumentTypeError(f"{written!r} is not a number of members: 1 to {_MEMBERS_MAX}")


def _execute(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    end = began + arguments.timeout
    waiting = Waiting()
    try:
        _until(arguments, end, waiting)
    finally:
        waiting.end()
    seconds = time.monotonic() - began
    if arguments.json:
        put_json({"ok": True, "waited_s": round(seconds, 3)})
        return 0
    say(f"ready after {told(seconds)}" if seconds >= 1 else "ready")
    next_step(suggestion(arguments, "status"))
    return 0


def _until(arguments: argparse.Namespace, end: float, waiting: Waiting) -> None:
    while True:
        try:
            with open_client(arguments, timeout=max(0.5, end - time.monotonic())) as client:
                while missing := _missing(arguments, client):
                    _pause(end, missing, waiting)
                return
        except DaemonNotRunning as error:
            _pause(end, str(error), waiting)


def _pause(end: float, missing: str, waiting: Waiting) -> None:
    waiting(missing)
    left = end - time.monotonic()
    if left <= 0:
        raise TimedOut(f"it is not as you asked: {missing}")
    time.sleep(min(_PAUSE_SECONDS, left))


def _missing(arguments: argparse.Namespace, client: "Client") -> str:
    """What is not yet as it should be; empty when all is."""
    status: dict[str, Any] = plain(client.status())
    if not status.get("ready"):
        return "the daemon is not ready"
    if arguments.members is not None:
        alive = sum(1 for row in client.members() if row.get("state") == "alive")
        if alive < arguments.members:
            return f"{alive} of {arguments.members} members are alive"
    if arguments.converged and not status.get("converged"):
        sync = status.get("sync") or {}
        done, wanted = sync.get("received") or 0, sync.get("wanted") or 0
        return "this node is behind the others" + (
            f": {done} of {wanted} records" if wanted else ""
        )
    for key in arguments.key or ():
        if not client.call("EXISTS", os.fsencode(key)):
            return f"there is no key {plain(os.fsencode(key))!r}"
    return ""


COMMANDS = {
    "wait": Command(
        _configure,
        _execute,
        "gossipnet wait --members 3 --converged --timeout 30s\n"
        "gossipnet wait --key config:ready && start-my-service",
    )
}
