"""``gossipnet on``: run a command for every change of a key, or event of the mesh.

The command is given as words, no shell reads them. It gets one JSON document on standard input
and the same in its environment, runs under a deadline, and never more than once at a time.
"""

import argparse
import fnmatch
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

from gossipnet.cli.connection import open_client
from gossipnet.cli.durations import parse_duration
from gossipnet.cli.feed import Feed, Happening
from gossipnet.cli.options import Command, add_socket
from gossipnet.cli.terminal import say
from gossipnet.config import nearest
from gossipnet.errors import UsageError

_KINDS = (
    *(f"member-{what}" for what in ("join", "back", "away", "left", "suspect", "dead")),
    *("member-cleared", "member-moved", "member-revoked", "link-up", "link-down"),
)
"""Those that are asked for most; the log has more, and all of them can be asked for."""
_QUEUE = 256


def _configure(parser: argparse.ArgumentParser) -> None:
    # One argument for all of them: argparse takes the `--` away if it follows a single word.
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="EVENT [PATTERN] -- COMMAND [ARG...]",
        help=f"EVENT is key, or a kind of event, * allowed: {', '.join(_KINDS)}; "
        "PATTERN says which keys; options of gossipnet stand before EVENT",
    )
    parser.add_argument(
        "--timeout",
        type=parse_duration,
        default=60.0,
        metavar="TIME",
        help="the command is killed after this long (60s)",
    )
    parser.add_argument(
        "--coalesce",
        action="store_true",
        help="of several changes to one key that wait, run for the newest only",
    )
    parser.add_argument("-n", "--count", type=int, metavar="N", help="end after running it N times")
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    kind, pattern, command = _split(arguments.words)
    feed = Feed(lambda: open_client(arguments), _QUEUE)
    if kind == "key":
        feed.keys([os.fsencode(pattern)])
    else:
        feed.events(kind)
    say(f"runs {command[0]} on {kind} {pattern}".rstrip() + "; Ctrl-C ends it")
    ran = failed = 0
    try:
        for happening in _happenings(feed, arguments.coalesce):
            ran += 1
            failed += not _run(command, happening, arguments.timeout)
            if ran == arguments.count:
                break
    except KeyboardInterrupt:
        say()
    say(f"ran {ran} times, failed {failed}, left out {feed.dropped}")
    return 1 if failed or feed.dropped else 0


def _split(words: list[str]) -> tuple[str, str, list[str]]:
    """The event, the pattern and the command that stand around the ``--``."""
    at = words.index("--") if "--" in words else len(words)
    before, command = words[:at], words[at + 1 :]
    if not before or not command:
        raise UsageError("say on what to run what, as in: gossipnet on member-dead -- ./page-me")
    kind, *patterns = before
    if len(patterns) > (1 if kind == "key" else 0):
        raise UsageError(
            f"{patterns[-1]!r} is not expected here: options stand before EVENT, and one pattern "
            "may follow `key`"
        )
    _check(kind, command[0])
    return kind, "".join(patterns or ["*"] if kind == "key" else []), command


def _check(kind: str, program: str) -> None:
    """What is mistyped would otherwise show when it is too late: when the event is there."""
    if kind != "key" and not fnmatch.filter(_KINDS, kind):
        near = nearest(kind, ["key", *_KINDS])
        if near:
            raise UsageError(f"{kind!r} is not a kind of event: did you mean {near}?")
        say(f"{kind} is none of the usual kinds of event (gossipnet on --help); waiting for it")
    if shutil.which(program) is None:
        raise UsageError(f"{program} cannot be run: check the path, and that it is executable")


def _happenings(feed: Feed, coalesce: bool) -> Iterator[Happening]:
    while True:
        first = feed.next()
        assert first is not None
        if not coalesce:
            yield first
            continue
        newest = {str(h.get("key") or h.get("seq")): h for h in (first, *feed.waiting())}
        yield from newest.values()


def _run(command: list[str], happening: Happening, timeout: float) -> bool:
    """Run it once; whether it went well."""
    what = f"{command[0]} on {happening['event']} {happening.get('key', '')}".rstrip()
    try:
        process = subprocess.Popen(  # noqa: S603 - running it is what the user asked for
            command,
            stdin=subprocess.PIPE,
            env=os.environ | _environment(happening),
            start_new_session=True,  # so that the deadline ends what it has started, too
        )
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be run: {error.strerror}") from None
    try:
        process.communicate(json.dumps({"v": 1, **happening}).encode() + b"\n", timeout)
    except subprocess.TimeoutExpired:
        say(f"{what}: killed after {timeout:g} s")
    except BrokenPipeError:  # it did not read its input, as it may
        process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode > 0:
        say(f"{what}: exit code {process.returncode}")
    return process.returncode == 0


def _environment(happening: dict[str, Any]) -> dict[str, str]:
    return {
        f"GOSSIPNET_{name.upper()}": str(value)
        for name, value in happening.items()
        if isinstance(value, str | int | float) and "\0" not in str(value)
    }


COMMANDS = {
    "on": Command(
        _configure,
        _execute,
        "gossipnet on member-dead -- ./page-me\n"
        "gossipnet on key 'ban:*' -- ./ban            reads {\"key\": ...} on standard input\n"
        "gossipnet on --coalesce key 'config:*' -- systemctl reload nginx\n"
        "gossipnet on 'member-*' -- sh -c 'echo $GOSSIPNET_EVENT $GOSSIPNET_TEXT'",
        json=False,
    )
}
