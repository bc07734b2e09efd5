"""Scheduled jobs without a leader: of the machines that run this, one runs each job each time.

Which one needs no election: ``GOSSIP OWNER`` ranks the living members for a job the same way on
every machine that sees the same members. What the mesh holds::

    cron:runners     hash    machine -> yes; each field ends if its runner goes silent
    cron:ran:JOB@N   string  machine that ran the N-th turn of a job; ends after a few turns

Jobs come from a file that is on each machine, not from the mesh: a member may then decide when a
job has run, and never what is run.
"""

import argparse
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import gossipnet
from gossipnet.client import Client, as_text
from gossipnet.errors import GossipnetError

LEASE_MS = 10_000
LOOK_SECONDS = 0.5


def owner(client: Client, job: str) -> str | None:
    """The machine whose turn a job is: the first in rank with a runner; None if there is none."""
    ranked = as_text(client.call("GOSSIP", "OWNER", f"cron:{job}", 16_384))
    runners = as_text(client.call("HGETALL", "cron:runners"))
    return next((row["name"] for row in ranked if row["name"] in runners), None)


def run(job: str, turn: int, machine: str, command: list[str]) -> int:
    """Run a job; it learns which turn this is, to tell a second run of one turn."""
    environment = {**os.environ, "CRON_TURN": f"{job}@{turn}", "CRON_MACHINE": machine}
    return subprocess.run(command, env=environment, check=False).returncode


def look(client: Client, machine: str, jobs: dict[str, dict[str, Any]]) -> None:
    """Renew this runner's lease, and run what is due, here, and has not been run."""
    client.call("HSETEX", "cron:runners", "PX", LEASE_MS, "FIELDS", 1, machine, "yes")
    for job, asked in jobs.items():
        turn = int(time.time() // asked["every"])
        ran = f"cron:ran:{job}@{turn}"
        if client.get(ran) is None and owner(client, job) == machine:
            code = run(job, turn, machine, asked["command"])
            # Afterwards: whoever dies in the middle leaves the turn to the next in rank. That is
            # what makes it "at least once"; noted before, it would be "at most once".
            client.set(ran, machine, ttl=10 * asked["every"])
            print(f"{job}@{turn} ended with {code}", flush=True)


def main() -> None:
    """Run jobs until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Jobs that one of many machines runs.")
    parser.add_argument("--home", help="home of the local daemon")
    parser.add_argument("jobs", type=Path, help="a file as jobs.toml, the same on all machines")
    asked = parser.parse_args()
    jobs = tomllib.loads(asked.jobs.read_text())
    while True:
        try:
            with gossipnet.connect(asked.home) as client:
                machine = client.status()["name"]
                while True:
                    look(client, machine, jobs)
                    time.sleep(LOOK_SECONDS)
        except GossipnetError as error:
            # Alone without a daemon, it cannot know whose turn it is.
            print(f"runs nothing: {error}", flush=True)
            time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except GossipnetError as error:
        sys.exit(f"{error}")
