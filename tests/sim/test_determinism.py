"""One seed, one run: the same trace in other processes, under other hash seeds."""

import json
import os
import subprocess
import sys

import pytest

ARGUMENTS = {
    "plain": ["--nodes", "8", "--duration", "20", "--seed", "3"],
    "swarm": ["--swarm", "--nodes", "5", "--seed", "27"],
    "lossy": ["--nodes", "12", "--duration", "20", "--loss", "10%", "--partition", "1"],
}


def run(arguments, hash_seed):
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-m", "gossipnet", "sim", "--json", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", sorted(ARGUMENTS))
def test_same_seed_same_trace_in_every_process(kind):
    one, other = (run(ARGUMENTS[kind], hash_seed) for hash_seed in ("1", "4711"))
    assert one == other
    assert len(one["trace_hash"]) == 32


def test_other_seed_other_trace():
    arguments = ["--nodes", "5", "--duration", "10", "--seed"]
    assert run([*arguments, "1"], "0")["trace_hash"] != run([*arguments, "2"], "0")["trace_hash"]
