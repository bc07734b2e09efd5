"""The scenarios behind the published figures run, at small sizes, and say what they are."""

import json
from xml.etree import ElementTree

import pytest

from gossipnet.cli.main import main
from gossipnet.sim.anchors import SCENARIOS, Finding
from gossipnet.sim.plot import Chart, Line, svg


@pytest.mark.parametrize(
    ("name", "nodes"), [("kills", 14), ("broadcast", 12), ("heal-30s", 8)], ids=str
)
def test_scenario_meets_its_target(name: str, nodes: int) -> None:
    scenario, _default = SCENARIOS[name]
    finding = scenario(nodes, 5)
    assert finding.met, finding.as_text()
    assert finding.seed == 5
    assert any("seed 5" in line for line in finding.as_text())
    assert json.loads(json.dumps(finding.as_json()))["met"] is True


def test_same_seed_finds_the_same() -> None:
    scenario, _default = SCENARIOS["detect"]
    assert scenario(10, 3).as_json() == scenario(10, 3).as_json()


def test_a_target_that_is_missed_is_an_error(monkeypatch, capsys) -> None:
    monkeypatch.setitem(
        SCENARIOS, "detect", (lambda n, s: Finding("x", s, n, "hope", False, {"a": 1}), 3)
    )
    assert main(["sim", "--scenario", "detect"]) == 1
    assert "NOT MET: hope" in capsys.readouterr().out


def test_unknown_scenario_is_refused_with_those_that_there_are(capsys) -> None:
    assert main(["sim", "--scenario", "nothing"]) == 2
    assert "massacre" in capsys.readouterr().err


def test_plots_are_written_where_asked_for(tmp_path) -> None:
    assert main(["sim", "--scenario", "detect", "--nodes", "8", "--plot", str(tmp_path)]) == 0
    assert "<polyline" in (tmp_path / "sim-detect.svg").read_text()


def test_chart_is_well_formed_whatever_it_shows() -> None:
    lines = [
        Line("a < b & c", [(10.0, 0.25), (1000.0, 0.5)]),
        Line("steady", [(10.0, 0.0), (1000.0, 0.0)], dashed=True),
    ]
    for log_x in (False, True):
        root = ElementTree.fromstring(svg(Chart("t", "x", "y", lines, log_x)))
        assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 2
    ElementTree.fromstring(svg(Chart("empty", "x", "y", [])))
