"""``python -m benchmarks [NAME...] [--quick] [--json FILE]``: a table, and JSON where asked for."""

import argparse
import importlib
import sys
from pathlib import Path

from benchmarks.figures import Row, Skipped, document, machine, table

NAMES = (
    "signatures",
    "store_hop",
    "start",
    "socket_commands",
    "propagation",
    "load",
    "detection",
    "join",
    "coldjoin",
    "fifty",
    "idle",
    "memory",
    "hostile",
)


def main() -> int:
    """Run what was asked for, one after the other: figures disturb each other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, rougher figures")
    parser.add_argument("--json", metavar="FILE", help="also write JSON; - writes it to stdout")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: not a benchmark; there are {', '.join(NAMES)}")

    rows: list[Row | Skipped] = []
    for name in arguments.names or NAMES:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        module = importlib.import_module(f"benchmarks.{name}")
        try:
            rows += module.measure(arguments.quick)
        except OSError as error:
            rows.append(Skipped(name, f"failed: {error}"))
    if arguments.json != "-":
        print(", ".join(f"{key} {value}" for key, value in machine().items()))
        print(table(rows))
    if arguments.json:
        text = document(rows)
        if arguments.json == "-":
            print(text)
        else:
            Path(arguments.json).write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
