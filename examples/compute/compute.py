"""A big computation divided over all machines: count the primes below a number.

There is no queue and nobody hands out work. Of a computation called ``primes`` the mesh holds::

    task:primes     hash  below, chunks: what to compute, and in how many parts
    workers:primes  hash  machine -> yes; each field ends if its worker goes silent
    done:primes     hash  number of a part -> how many primes, who counted them, in how many seconds

Each worker ranks the machines for every part (``GOSSIP OWNER``) and computes those that it owns. A
machine that joins takes over its share of what is left, and one that dies leaves it to the others;
a part that two compute comes out the same, and is one field all the same.
"""

import argparse
import sys
import time

import gossipnet
from gossipnet.client import Client, as_text
from gossipnet.errors import GossipnetError

LEASE_MS = 10_000


def primes(low: int, high: int) -> int:
    """How many primes there are from ``low`` to below ``high``."""
    return sum(
        all(number % divisor for divisor in range(2, int(number**0.5) + 1))
        for number in range(max(low, 2), high)
    )


def undone(client: Client, task: str, chunks: int) -> list[int]:
    """The parts without a result yet."""
    done = {int(chunk) for chunk in client.call("HKEYS", f"done:{task}")}
    return [chunk for chunk in range(chunks) if chunk not in done]


def mine(client: Client, task: str, machine: str, chunks: list[int]) -> int | None:
    """The next part that is this machine's to compute; None if all that are left are others'."""
    workers = as_text(client.call("HGETALL", f"workers:{task}"))
    for chunk in chunks:
        ranked = as_text(client.call("GOSSIP", "OWNER", f"{task}/{chunk}", 16_384))
        if next((row["name"] for row in ranked if row["name"] in workers), None) == machine:
            return chunk
    return None


def work(client: Client, task: str, rest: float) -> None:
    """Compute what is this machine's until all is done."""
    machine = client.status()["name"]
    while True:
        client.call("HSETEX", f"workers:{task}", "PX", LEASE_MS, "FIELDS", 1, machine, "yes")
        asked = as_text(client.call("HGETALL", f"task:{task}"))
        if asked:
            below, chunks = int(asked["below"]), int(asked["chunks"])
            left = undone(client, task, chunks)
            if not left:
                return
            chunk = mine(client, task, machine, left)
            if chunk is not None:
                began = time.monotonic()
                count = primes(below * chunk // chunks, below * (chunk + 1) // chunks)
                result = f"{count} {machine} {time.monotonic() - began:.3f}"
                client.call("HSET", f"done:{task}", chunk, result)
                print(f"{task}/{chunk}: {count}", flush=True)
        # Between parts leave the machine to others; without work look again soon.
        time.sleep(rest)


def start(client: Client, task: str, below: int, chunks: int) -> None:
    """Put the task, wait for all parts, and say what came out and what it was good for."""
    began = time.monotonic()
    client.call("HSET", f"task:{task}", "below", below, "chunks", chunks)
    with client.watch(f"done:{task}") as changes:
        while left := undone(client, task, chunks):
            print(f"{chunks - len(left)} of {chunks}", flush=True)
            changes.next(1.0)
    elapsed = time.monotonic() - began
    results = [row.split() for row in as_text(client.call("HVALS", f"done:{task}"))]
    print(f"primes below {below}: {sum(int(count) for count, _machine, _took in results)}")
    spent = sum(float(took) for _count, _machine, took in results)
    for machine in sorted({machine for _count, machine, _took in results}):
        parts = [float(took) for _count, name, took in results if name == machine]
        print(f"{machine}: {len(parts)} parts, {sum(parts):.2f} s")
    print(f"{spent:.2f} s of work in {elapsed:.2f} s: {spent / elapsed:.1f} times as fast as one")


def main() -> None:
    """``work`` on every machine, ``start`` on any."""
    parser = argparse.ArgumentParser(description="Count primes on all machines.")
    parser.add_argument("--home", help="home of the local daemon")
    parser.add_argument("--task", default="primes", help="name of the computation (primes)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    working = verbs.add_parser("work", help="take part until it is done")
    working.add_argument("--rest", type=float, default=0.02, help="seconds between parts (0.02)")
    starting = verbs.add_parser("start", help="put a task and wait for its result")
    starting.add_argument("--below", type=int, default=2_000_000)
    starting.add_argument("--chunks", type=int, default=100)
    asked = parser.parse_args()
    with gossipnet.connect(asked.home) as client:
        if asked.verb == "work":
            work(client, asked.task, asked.rest)
        else:
            start(client, asked.task, asked.below, asked.chunks)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except GossipnetError as error:
        sys.exit(f"{error}")
