"""What members know about one thing: ``why NODE`` is dead, ``trace KEY``'s newest write."""

import argparse
from datetime import UTC, datetime
from typing import Any

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.durations import parse_duration, told
from gossipnet.cli.mesh import clean
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.terminal import next_step, plain, put, put_json, put_table, say
from gossipnet.errors import TimedOut, UsageError

_LONGEST_S = 60.0


def _configure_why(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)
    parser.add_argument("node", metavar="NODE", help="name, or the beginning of an id")


def _configure_trace(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)
    parser.add_argument("key", metavar="KEY")
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        type=parse_duration,
        default=2.0,
        help="wait so long for answers (default 2s)",
    )


def _why(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        cases = plain(ask(client, "GOSSIP", "WHY", arguments.node))
    if arguments.json:
        put_json({"cases": cases})
        return 0
    for case in cases:
        _put_case(case)
    next_step(suggestion(arguments, "log"))
    return 0


def _put_case(case: dict[str, Any]) -> None:
    since = told(float(case["since_s"])) if case.get("since_s") is not None else "-"
    put(f"{clean(case['name'])} is {clean(case['state'])}, for {since} (id {clean(case['id'])})")
    put(f"  its observers: {clean(case.get('observers'))}")
    for one in case.get("accusations") or []:
        put(
            f"  {_clock(one.get('wall_ms'))}  {clean(one['accuser'])} accused it: "
            f"{clean(one['evidence'])} (incarnation {one['incarnation']})"
        )
    for one in case.get("past") or []:
        put(f"  {_clock(one.get('wall_ms'))}  {clean(one['text'])}")
    if not case.get("accusations"):
        put("  nobody accuses it now")


def _trace(arguments: argparse.Namespace) -> int:
    seconds = float(arguments.timeout)
    if seconds > _LONGEST_S:
        raise UsageError(f"--timeout is {_LONGEST_S:g}s at most")
    words = ("GOSSIP", "TRACE", arguments.key, "TIMEOUT", str(max(1, round(seconds * 1000))))
    with open_client(arguments, timeout=seconds + 30) as client:
        document = plain(ask(client, *words))
    silent = document.get("silent") or []
    if arguments.json:
        put_json(document)
    else:
        put_table(
            ("NAME", "STATE", "ARRIVED", "AFTER", "HOPS", "FROM", "HOW"),
            [_cells(row) for row in document["nodes"]],
        )
        say(f"record {document['seq']} of {clean(document['author'])}; times are each node's own")
    if silent:
        raise TimedOut(
            f"{len(silent)} of {len(document['nodes']) + len(silent)} did not answer within "
            f"{told(seconds)}: {clean(silent)}"
        )
    next_step(suggestion(arguments, "peers"))
    return 0


def _cells(row: dict[str, Any]) -> list[str]:
    after = row.get("after_ms")
    return [
        clean(row["name"]),
        clean(row["state"]),
        _clock(row.get("at_ms")),
        "-" if after is None else f"{after} ms",
        clean(row.get("hops")),
        clean(row.get("from")),
        clean(row.get("how")),
    ]


def _clock(wall_ms: int | None) -> str:
    if not wall_ms:
        return "-"
    moment = datetime.fromtimestamp(wall_ms / 1000, tz=UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{wall_ms % 1000:03d}Z"


COMMANDS = {
    "why": Command(_configure_why, _why, "gossipnet why rpi\ngossipnet why rpi --json"),
    "trace": Command(
        _configure_trace, _trace, "gossipnet trace colour\ngossipnet trace colour --json"
    ),
}
