"""Asks this and a real Redis the same, and writes down what came of it: docs/compatibility.md.

``python tests/resp/compatibility.py`` asks 20,000 random calls of one seed and writes the page;
``--calls N`` and ``--seed N`` ask others, and then nothing is written unless ``--write`` is given.
"""

import argparse
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # as pytest does for its own
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

from asking import INCOMPARABLE, Asker, comparable
from resp_world import Caller, LoneMesh, open_service
from stock_redis import running_redis
from twin import Stock, clocked, identity_of_now, numerically, ours

from gossipnet.resp.catalogue import REFUSED
from gossipnet.resp.differences import DIFFERENCES
from gossipnet.resp.table import Command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
CALLS = 20_000
SEED = 1
_ID = re.compile(rb"[0-9]{10,}-[0-9]+|[0-9]+-[0-9]{8,}")
_RUN = 60  # calls on one state, after which both begin anew
_UNORDERED = (b"SORT", b"GEOSEARCH", b"GEORADIUS", b"XAUTOCLAIM", b"PUBSUB")
_UNKNOWN = ("ERR unknown command", "ERR unknown subcommand")


_WHEN = {
    **dict.fromkeys(["incr", "decr", "incrby", "decrby", "hincrby"], "59-bit"),
    **dict.fromkeys(["incrbyfloat", "hincrbyfloat"], "NaN or Infinity"),
    "setrange": "maximum allowed size",
    **dict.fromkeys(["zrank", "zrevrank"], "syntax error"),
}
_LEX = "zlexcount zrangebylex zrevrangebylex zremrangebylex"
_EXPLAINED = frozenset({*_WHEN, *_LEX.split(), "object|refcount", "dbsize"})


def reasons() -> dict[str, str]:
    """Why replies of a command may differ, by its name."""
    return {name: why for names, why in DIFFERENCES.items() for name in names.split()}


def explained(name: str, mine: Any) -> bool:
    """Whether such a reply of ours is one of the `DIFFERENCES`."""
    return name in _EXPLAINED and _WHEN.get(name, "") in str(mine)


def alike(reply: Any, command: list[bytes]) -> Any:
    """What of a reply must be equal: not the ids of entries, nor an order nobody asked for."""
    name = command[0].upper()
    found = numerically(_without_ids(reply), name)
    if name.startswith(_UNORDERED) and isinstance(found, list):
        return sorted(found, key=repr)
    return found


def _without_ids(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return _ID.sub(b"ID", reply)
    if isinstance(reply, list):
        return [_without_ids(item) for item in reply]
    if isinstance(reply, dict):
        return {key: _without_ids(item) for key, item in reply.items()}
    return reply


class Comparison:
    """What came of all calls.

    Attributes:
      asked, same: Calls and equal replies, by name.
      absent: Commands that this Redis does not know.
      differing: Name -> the first call whose replies differ, with both.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.same: Counter[str] = Counter()
        self.absent: set[str] = set()
        self.differing: dict[str, tuple[list[bytes], Any, Any]] = {}

    def unexplained(self) -> dict[str, tuple[list[bytes], Any, Any]]:
        """Differences for which no reason is written down."""
        return {
            name: found for name, found in self.differing.items() if not explained(name, found[1])
        }

    def run(self, path: str, calls: int, seed: int) -> None:
        """Ask so many calls of both."""
        rng = random.Random(seed)
        rows = comparable()
        done = 0
        while done < calls:
            asker, wall = Asker(rng), time.time()
            service = open_service(LoneMesh(wall, identity_of_now()))
            service.wall_ms = int(wall * 1000)
            redis, caller = Stock(path), Caller(service)
            if rng.random() < 0.5:
                redis.call([b"HELLO", b"3"])
                caller.call(b"HELLO", b"3")
            few = rng.sample(rows, 12)  # so that they meet on the same keys
            for _call in range(_RUN):
                done += 1
                if not self._ask(redis, caller, rng.choice(few), asker):
                    break
            redis.connection.close()

    def _ask(self, redis: Stock, caller: Caller, row: Command, asker: Asker) -> bool:
        """One call; whether both are still in the same state."""
        name = row.name
        if name in self.absent:
            return True
        command = asker.call(row)
        theirs = redis.call(command)
        if isinstance(theirs, tuple) and str(theirs[1]).startswith(_UNKNOWN):
            self.absent.add(name)
            return True
        mine = ours(caller, command)
        self.asked[name] += 1
        if clocked(command[0], mine, theirs) or alike(mine, command) == alike(theirs, command):
            self.same[name] += 1
            return True
        if name not in self.differing or not explained(name, mine):
            self.differing[name] = (command, mine, theirs)
        return False


_HEAD = """\
# Compatibility with Redis

Written by `tests/resp/compatibility.py`, which makes random calls of every command ({calls} of seed
{seed} here), asks this and a Redis {version} the same, in RESP2 and RESP3, and compares replies,
types and error texts. `tests/resp/test_compatibility.py` asks some thousand in every run of the
tests and fails on a difference that is not explained below; `GOSSIPNET_SOAK=1` asks many more. Not
compared are an order that nobody asked for, ids of stream entries (they tell which node made them),
and one second of time.

| command | calls | same replies | |
|---|---|---|---|
"""


def page(found: Comparison, calls: int, seed: int, version: str) -> str:
    """docs/compatibility.md."""
    known = reasons()
    lines = []
    for row in comparable():
        shown = row.name.upper().replace("|", " ")
        if row.name in found.absent:
            lines.append(f"| {shown} | | | not in this Redis: since {row.since} |")
        else:
            asked, same = found.asked[row.name], found.same[row.name]
            note = known.get(row.name, "") if asked != same else ""
            lines.append(f"| {shown} | {asked} | {same} | {note} |")
    parts = [_HEAD.format(calls=calls, seed=seed, version=version) + "\n".join(lines)]
    parts.append("\n## Not asked at random\n\n| commands | why |\n|---|---|")
    by_reason: dict[str, list[str]] = {}
    for name, why in INCOMPARABLE.items():
        by_reason.setdefault(why, []).append(name.upper().replace("|", " "))
    parts += [f"| {', '.join(sorted(set(names)))} | {why} |" for why, names in by_reason.items()]
    parts.append("\n## Refused\n\n| commands | why |\n|---|---|")
    by_reason = {}
    for refused, why in REFUSED.items():
        by_reason.setdefault(why, []).append(refused.decode().upper().replace("|", " "))
    parts += [f"| {', '.join(names)} | {why} |" for why, names in by_reason.items()]
    return "\n".join(parts) + "\n"


def main() -> int:
    """The script."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--calls", type=int, default=CALLS)
    words.add_argument("--seed", type=int, default=SEED)
    words.add_argument("--write", action="store_true")
    told = words.parse_args()
    found = Comparison()
    with running_redis() as path:
        found.run(path, told.calls, told.seed)
        info = Stock(path).call([b"INFO", b"server"]).decode()
    version = re.search(r"redis_version:(\S+)", info)
    assert version is not None
    for name, (command, mine, theirs) in found.unexplained().items():
        print(f"{name}: {command}\n  here  {mine!r}\n  redis {theirs!r}")
    if told.write or (told.calls, told.seed) == (CALLS, SEED):
        PAGE.write_text(page(found, told.calls, told.seed, version.group(1)))
    return 1 if found.unexplained() else 0


if __name__ == "__main__":
    sys.exit(main())
