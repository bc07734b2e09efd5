"""What a small key costs in memory: a node's state alone, in a process of its own per size.

A key is ``key:000000000000`` with a value of 32 bytes, in records of ten as under load; resident
memory before and after, so that everything a key brings is in it: the tables, the order of SCAN,
heads of logs, and the records kept for peers, which are bounded and weigh on small sizes most.
"""

import subprocess
import sys
from collections.abc import Iterator

from benchmarks.figures import Row, Skipped, run_alone

SIZES = (10_000, 100_000, 1_000_000)
QUICK = SIZES[:2]
TARGET = 400
KINDS = {
    "string": "keyspace.set(key, b'%032d' % n)",
    "counter": "keyspace.increment(key, n + 1000)",
    "hash of one field": "keyspace.hash_set(key, [(b'field', b'%032d' % n)])",
    "set of one member": "keyspace.add(key, [b'%032d' % n])",
    "sorted set of one member": "keyspace.score_set(key, [(b'%032d' % n, float(n))])",
}
"""How one key of each type is written; only the first is held against the target."""
BAR = 40
_PROGRAM = """
import gc, resource, sys
from gossipnet.identity.founding import found_mesh
from gossipnet.state.replica import Replica

def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

def main(count, wall=1_800_000_000.0):
    identity = found_mesh(1, wall=wall).identities[0]
    replica = Replica(
        key=identity.key, chain=identity.chain, trust=identity.trust, epoch=1, wall=wall
    )
    keyspace = replica.keyspace
    before = resident()
    for n in range(count):
        key = b"key:%012d" % n
        WRITE
        if n % 10 == 9:
            replica.seal(wall)
    replica.seal(wall)
    assert len(keyspace) == count
    print(resident() - before)

main(int(sys.argv[1]))
"""


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """Bytes a key, by number and type of keys."""
    if not sys.platform.startswith("linux"):
        yield Skipped("memory per key", "reads /proc, which only Linux has")
        return
    for kind, write in KINDS.items():
        for count in QUICK if quick or kind != "string" else SIZES:
            each = bytes_per_key(write, count)
            yield Row(
                f"memory per small key, {kind}: {count:,} keys",
                each,
                "B",
                target=f"<= {TARGET} B" if kind == "string" else "",
                note="#" * round(each * BAR / TARGET),
            )


def bytes_per_key(write: str, count: int) -> float:
    """Resident bytes that a key adds, with ``count`` of them."""
    words = [sys.executable, "-c", _PROGRAM.replace("WRITE", write), str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return int(done.stdout) / count


if __name__ == "__main__":
    run_alone(measure)
