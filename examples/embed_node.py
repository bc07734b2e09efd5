"""A node inside a trio program: no daemon, no socket, reads are dictionary reads.

Make a home once, then run it, in two homes or on two machines, and see the counters add up::

    gossipnet init trial --home /tmp/embedded --no-passphrase
    python examples/embed_node.py /tmp/embedded
"""

import sys

import trio

import gossipnet
from gossipnet.node import Node
from gossipnet.state.keyspace import Keyspace


async def main(home: str, listen: str = "127.0.0.1:0") -> None:
    """Count this start, note it in a hash, and show what the mesh knows."""
    async with gossipnet.open_node(home, listen=listen) as node:
        # Everything in one `atomically` is one record: seen as a whole, or not at all, on every
        # node. It returns once it is on disk.
        def started(keyspace: Keyspace) -> int:
            keyspace.hash_set(b"last-start", [(node.identity.name.encode(), b"now")])
            return keyspace.increment(b"starts", 1)

        starts = await node.atomically(started)
        await gossipnet.Register(node, "greeting").set("hello from inside a program")
        await gossipnet.Counter(node, "greetings").add(1)  # of all nodes, each counted once

        print(
            f"start number {starts} of node {node.identity.name}, listening on {node.listening[0]}"
        )
        print(f"greeting: {node.get(b'greeting')!r}")  # a dictionary read: nothing to await

        # A node that lives as long as its program never needs this: others hear of a write within
        # milliseconds of the link being up. A program this short has to wait for a first link.
        with trio.move_on_after(5):
            while not reached_somebody(node):  # noqa: ASYNC110 - asked a few times, at the end
                await trio.sleep(0.05)
        for member in node.members():
            print(f"member {member['name']} is {member['state']}")


def reached_somebody(node: Node) -> bool:
    """Whether a neighbour holds everything that this node does."""
    status = node.status()
    return bool(status["neighbours"] and status["converged"])


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: embed_node.py HOME [HOST:PORT]")
    trio.run(main, *sys.argv[1:])
