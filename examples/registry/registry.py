"""A service registry with health: an instance is listed for as long as somebody renews its lease.

What the mesh holds for a service called ``web``::

    instances:web   hash  HOST:PORT -> name of the machine; each field ends with its lease
    service:web     set   HOST:PORT; what ``gossipnet dns`` answers from

No server decides who is healthy: the machine that an instance runs on looks, and says so.
"""

import argparse
import socket
import sys
import time

import gossipnet
from gossipnet.client import Client
from gossipnet.errors import GossipnetError


def renew(client: Client, service: str, address: str, ttl: float) -> None:
    """List an instance, for ``ttl`` seconds more."""
    name = client.status()["name"]
    client.call_all(
        [
            ("MULTI",),
            ("HSETEX", f"instances:{service}", "PX", int(ttl * 1000), "FIELDS", 1, address, name),
            ("SADD", f"service:{service}", address),
            ("EXEC",),
        ]
    )


def withdraw(client: Client, service: str, address: str) -> None:
    """Take an instance off the list at once."""
    client.call("HDEL", f"instances:{service}", address)
    client.call("SREM", f"service:{service}", address)


def healthy(client: Client, service: str) -> dict[str, str]:
    """The instances whose lease runs, and the machine that each of them is on."""
    found = client.call("HGETALL", f"instances:{service}")
    return {address.decode(): machine.decode() for address, machine in found.items()}


def sweep(client: Client, service: str) -> None:
    """Take off the set for DNS whatever has no lease: its machine may not be there to do so.

    Anybody may sweep. One that has not heard of a renewal yet does no harm: adding wins over a
    removal that has not seen it, and the next renewal adds again anyway.
    """
    leased = healthy(client, service)
    listed = {address.decode() for address in client.call("SMEMBERS", f"service:{service}")}
    for address in sorted(listed - set(leased)):
        client.call("SREM", f"service:{service}", address)


def answers(address: str) -> bool:
    """Whether somebody takes a TCP connection there within a second."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            return True
    except OSError:
        return False


def keep(home: str | None, service: str, address: str, ttl: float) -> None:
    """Look after one instance until Ctrl-C: three looks for each lease."""
    healthy_before = None
    while True:
        is_healthy = answers(address)
        try:
            with gossipnet.connect(home) as client:
                if is_healthy:
                    renew(client, service, address, ttl)
                else:
                    withdraw(client, service, address)
                sweep(client, service)
        except GossipnetError as error:
            print(f"not told: {error}", flush=True)  # the daemon will be back; so shall we
        if is_healthy != healthy_before:
            print(f"{service} {address}: {'healthy' if is_healthy else 'down'}", flush=True)
            healthy_before = is_healthy
        time.sleep(ttl / 3)


def main() -> None:
    """``keep`` beside every instance; ``find`` anywhere."""
    parser = argparse.ArgumentParser(description="Who offers a service, and is well.")
    parser.add_argument("--home", help="home of the local daemon")
    verbs = parser.add_subparsers(dest="verb", required=True)
    keeping = verbs.add_parser("keep", help="list HOST:PORT for as long as it answers")
    keeping.add_argument("service")
    keeping.add_argument("address", metavar="HOST:PORT")
    keeping.add_argument("--ttl", type=float, default=6.0, help="seconds of a lease (6)")
    verbs.add_parser("find", help="print the healthy instances").add_argument("service")
    asked = parser.parse_args()
    if asked.verb == "keep":
        try:
            keep(asked.home, asked.service, asked.address, asked.ttl)
        except KeyboardInterrupt:
            with gossipnet.connect(asked.home) as client:
                withdraw(client, asked.service, asked.address)
    else:
        with gossipnet.connect(asked.home) as client:
            for address, machine in sorted(healthy(client, asked.service).items()):
                print(f"{address}  on {machine}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except GossipnetError as error:
        sys.exit(f"{error}")
