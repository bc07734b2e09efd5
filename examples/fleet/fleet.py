"""An inventory of an edge fleet, and the way to the nearest machine that offers something.

What the mesh holds::

    device:MACHINE   hash  model, system, cores, firmware and whatever else it tells of itself
    offers:SERVICE   set   machines that offer a service

Who is alive, at which site and how far away comes from gossipnet itself (``gossipnet members``).
"""

import argparse
import os
import platform
import sys
from typing import Any

import gossipnet
from gossipnet.client import Client, as_text
from gossipnet.errors import GossipnetError


def report(client: Client, told: dict[str, str], offers: list[str]) -> list[str]:
    """Say what this machine is and offers; the names of what has changed since the last time."""
    machine = client.status()["name"]
    facts = {
        "model": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": str(os.cpu_count()),
        **told,
    }
    known = as_text(client.call("HGETALL", f"device:{machine}"))
    # Only what changed: a fleet that reports every minute must not write every minute.
    changed = {name: fact for name, fact in facts.items() if known.get(name) != fact}
    if changed:
        words = [word for fact in changed.items() for word in fact]
        client.call("HSET", f"device:{machine}", *words)
    for service in offers:
        client.call("SADD", f"offers:{service}", machine)
    return sorted(changed)


def inventory(client: Client, where: dict[str, str]) -> list[dict[str, Any]]:
    """Every machine that reported or is a member, also one that is dead, with all that is known."""
    members = {row["name"]: row for row in client.members()}
    reported = {key.decode().removeprefix("device:") for key in client.keys("device:*")}
    rows = []
    for machine in sorted(reported | set(members)):
        facts = as_text(client.call("HGETALL", f"device:{machine}"))
        member = members.get(machine, {"state": "unknown", "zone": ""})
        row = {"name": machine, "state": member["state"], "zone": member["zone"], **facts}
        if all(row.get(name) == wanted for name, wanted in where.items()):
            rows.append(row)
    return rows


def distance(row: dict[str, Any], here: str, zone: str) -> tuple[bool, bool, float, str]:
    """Sorts members: this machine, then its site, then by round trip, the unknown last."""
    rtt = row["rtt_ms"]
    elsewhere = row["zone"] != zone
    return row["name"] != here, elsewhere, float("inf") if rtt is None else float(rtt), row["name"]


def route(client: Client, service: str) -> dict[str, Any] | None:
    """The nearest living machine that offers a service; None if nobody does."""
    here = client.status()["name"]
    members = client.members()
    zone = next(row["zone"] for row in members if row["name"] == here)
    offering = set(as_text(client.call("SMEMBERS", f"offers:{service}")))
    living = [row for row in members if row["state"] == "alive" and row["name"] in offering]
    return min(living, key=lambda row: distance(row, here, zone), default=None)


def pair(word: str) -> tuple[str, str]:
    """``name=value``."""
    name, is_there, value = word.partition("=")
    if not is_there:
        raise argparse.ArgumentTypeError(f"{word!r} is not NAME=VALUE")
    return name, value


def main() -> None:
    """``report`` on every machine, ``list`` and ``route`` on any."""
    parser = argparse.ArgumentParser(description="An edge fleet: what there is, and what is near.")
    parser.add_argument("--home", help="home of the local daemon")
    verbs = parser.add_subparsers(dest="verb", required=True)
    reporting = verbs.add_parser("report", help="say what this machine is")
    reporting.add_argument("facts", nargs="*", type=pair, metavar="NAME=VALUE")
    reporting.add_argument("--offer", action="append", default=[], metavar="SERVICE")
    listing = verbs.add_parser("list", help="all machines, or those that match")
    listing.add_argument("where", nargs="*", type=pair, metavar="NAME=VALUE")
    verbs.add_parser("route", help="the nearest machine with a service").add_argument("service")
    asked = parser.parse_args()
    with gossipnet.connect(asked.home) as client:
        if asked.verb == "report":
            changed = report(client, dict(asked.facts), asked.offer)
            print(f"told: {', '.join(changed) or 'nothing new'}")
        elif asked.verb == "list":
            for row in inventory(client, dict(asked.where)):
                name, state = row.pop("name"), row.pop("state")
                print(f"{name:16} {state:8}", *(f"{key}={row[key]}" for key in sorted(row)))
        else:
            nearest = route(client, asked.service)
            if nearest is None:
                raise SystemExit(f"nobody alive offers {asked.service}")
            rtt = "unknown" if nearest["rtt_ms"] is None else f"{nearest['rtt_ms']} ms"
            print(f"{nearest['name']}  {nearest['address']}  zone {nearest['zone']}  rtt {rtt}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except GossipnetError as error:
        sys.exit(f"{error}")
