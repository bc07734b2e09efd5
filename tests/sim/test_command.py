"""``gossipnet sim``: what it prints, its exit codes, and the command that does a failure again."""

import json
import shlex

import pytest

from gossipnet.cli.main import main
from gossipnet.sim.watch import Watch

KEYS = {
    "seed",
    "trace_hash",
    "nodes",
    "converged_at_s",
    "detection_s",
    "false_deaths",
    "rmr",
    "last_hop",
    "missed",
    "bytes_per_node_s",
    "checks",
}


def test_json_has_the_stable_keys(capsys):
    assert main(["sim", "--nodes", "4", "--duration", "15", "--seed", "9", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= KEYS
    assert (document["v"], document["seed"], document["nodes"]) == (1, 9, 4)
    assert (document["false_deaths"], document["missed"]) == (0, 0)
    assert 0 < document["detection_s"] < 5
    assert all(check["ok"] for check in document["checks"])


def test_text_names_seed_trace_and_checks(capsys):
    assert main(["sim", "--nodes", "3", "--duration", "10", "--crash", "0"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("seed 1, 3 nodes")
    assert "ok   finally_no_acknowledged_write_is_lost" in out


def test_single_node_is_a_mesh_too(capsys):
    assert main(["sim", "--nodes", "1", "--duration", "5"]) == 0


def test_failure_prints_seed_and_the_command_that_replays_it(capsys, monkeypatch):
    monkeypatch.setattr(Watch, "losses", lambda self: "planted")
    words = ["--nodes", "4", "--seed", "11", "--duration", "12", "--loss", "5%", "--reset", "2"]
    assert main(["sim", *words]) == 1
    captured = capsys.readouterr()
    assert "FAIL finally_no_acknowledged_write_is_lost: planted" in captured.out
    replay = captured.err.rsplit("replay with: ", 1)[1].strip()
    trace = captured.out.splitlines()[0].rsplit(" ", 1)[1]
    assert main(shlex.split(replay)[1:]) == 1
    assert trace in capsys.readouterr().out


def test_broken_program_names_the_seed(capsys, monkeypatch):
    monkeypatch.delenv("GOSSIPNET_DEBUG", raising=False)
    monkeypatch.setattr(Watch, "unequal", lambda self: 1 / 0)
    assert main(["sim", "--nodes", "2", "--seed", "5"]) == 1
    err = capsys.readouterr().err
    assert "seed 5" in err
    assert "replay with: gossipnet sim --nodes 2 --seed 5" in err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--nodes", "0"], "'0' is not a whole number from 1 to"),
        (["--loss", "120%"], "is not a share"),
        (["--duration", "soon"], "is not a duration"),
        (["--seed", "-1"], "whole number"),
        (["--node", "3"], "did you mean --nodes?"),
    ],
)
def test_mistakes_are_told(capsys, words, text):
    assert main(["sim", *words]) == 2
    assert text in capsys.readouterr().err
