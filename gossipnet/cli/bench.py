"""``gossipnet bench``: what the user's own mesh does, from this machine's socket.

Writes go to keys of their own under ``gossipnet:bench:`` and are removed at the end. One process,
pipelined or not, so the figures are those of one client; redis-benchmark gives those of many.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.options import Command, add_socket
from gossipnet.cli.terminal import put_json, put_table, say

if TYPE_CHECKING:
    from gossipnet.client import Client

_WAIT_MS = 10_000


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kinds",
        nargs="*",
        metavar="KIND",
        default=[],
        help="read, write, propagate; all of them if none is named",
    )
    parser.add_argument(
        "-n", "--requests", type=_count, default=1000, metavar="N", help="of each kind (1000)"
    )
    parser.add_argument(
        "--size", type=_count, default=16, metavar="BYTES", help="of each value (16)"
    )
    add_socket(parser)


def _count(written: str) -> int:
    if written.isascii() and written.isdigit() and 0 < int(written[:9]) <= 10_000_000:
        return int(written)
    raise argparse.ArgumentTypeError(f"{written!r} is not a number from 1 to 10000000")


def _execute(arguments: argparse.Namespace) -> int:
    from gossipnet.errors import UsageError

    for kind in arguments.kinds:
        if kind not in _KINDS:
            raise UsageError(f"{kind!r} is not a kind of bench: {', '.join(_KINDS)}")
    rows: dict[str, dict[str, Any]] = {}
    prefix = f"gossipnet:bench:{os.getpid()}:"
    with open_client(arguments, timeout=60.0) as client:
        others = sum(1 for row in client.members() if row.get("state") == "alive") - 1
        try:
            for kind in arguments.kinds or list(_KINDS):
                if kind == "propagate" and others < 1:
                    say("propagate: no other member is alive, so there is nothing to measure")
                    continue
                rows[kind] = _KINDS[kind](client, arguments, prefix, others)
        finally:
            # Ctrl-C leaves a connection of which nobody knows what it answers next.
            with open_client(arguments, timeout=60.0) as other:
                for key in other.keys(prefix + "*"):
                    other.delete(key)
    if arguments.json:
        put_json({"members": others + 1, "size": arguments.size, "results": rows})
        return 0
    heads = ("WHAT", "PER SECOND", "MEDIAN", "P99", "WORST", "LOST")
    put_table(heads, [_cells(kind, row) for kind, row in rows.items()])
    return 0


def _cells(kind: str, row: dict[str, Any]) -> list[str]:
    return [
        kind,
        f"{row['per_second']:,.0f}",
        *(f"{row[name] * 1000:.2f} ms" for name in ("median_s", "p99_s", "worst_s")),
        str(row.get("lost", 0)),
    ]


def _timed(
    count: int, kind: str, once: Callable[[int], Any], well: Callable[[Any], bool] | None = None
) -> dict[str, Any]:
    """Call ``once(i)`` ``count`` times, one after the other."""
    times: list[float] = []
    lost = 0
    began = told = time.perf_counter()
    for number in range(count):
        start = time.perf_counter()
        reply = once(number)
        end = time.perf_counter()
        times.append(end - start)
        if well is not None and not well(reply):
            lost += 1
        if sys.stderr.isatty() and end - told > 0.5:
            told = end
            sys.stderr.write(f"\r{kind}: {number + 1} of {count}\x1b[K")
            sys.stderr.flush()
    seconds = time.perf_counter() - began
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    times.sort()
    return {
        "requests": count,
        "per_second": count / seconds,
        "median_s": statistics.median(times),
        "p99_s": times[min(len(times) - 1, int(len(times) * 0.99))],
        "worst_s": times[-1],
        "lost": lost,
    }


def _read(
    client: "Client", arguments: argparse.Namespace, prefix: str, others: int
) -> dict[str, Any]:
    client.set(prefix + "read", b"x" * arguments.size)
    return _timed(arguments.requests, "read", lambda _: client.get(prefix + "read"))


def _write(
    client: "Client", arguments: argparse.Namespace, prefix: str, others: int
) -> dict[str, Any]:
    value = b"x" * arguments.size
    return _timed(
        arguments.requests,
        "write",
        lambda number: client.set(f"{prefix}write:{number % 100}", value),
    )


def _propagate(
    client: "Client", arguments: argparse.Namespace, prefix: str, others: int
) -> dict[str, Any]:
    """From the write to the signed word of every other living member that it is on its disk."""
    count = min(arguments.requests, 100)

    def once(number: int) -> int:
        client.set(f"{prefix}propagate", str(number))
        reached: int = ask(client, "WAIT", str(others), str(_WAIT_MS))
        return reached

    return _timed(count, "propagate", once, lambda reached: reached >= others)


_KINDS = {"read": _read, "write": _write, "propagate": _propagate}

COMMANDS = {
    "bench": Command(
        _configure,
        _execute,
        "gossipnet bench\n"
        "gossipnet bench write -n 10000 --size 100 --json\n"
        "gossipnet bench propagate     until all living members have each write on disk",
    )
}
