"""What is in ``deploy/`` is what the tools that read it accept, and names what there is."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gossipnet.cli import metrics
from gossipnet.cli.catalogue import COMMANDS
from gossipnet.cli.service import unit
from tests.needs import need

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_unit_is_the_one_that_the_command_writes() -> None:
    written = (DEPLOY / "systemd" / "gossipnet.service").read_text()
    assert written == unit("/usr/bin/env gossipnet run", user=False, home=None)


def test_systemd_takes_the_unit_and_finds_little_exposed() -> None:
    need(shutil.which("systemd-analyze") is not None, "systemd is not installed")
    path = DEPLOY / "systemd" / "gossipnet.service"
    assert run("systemd-analyze", "verify", path) == ""
    told = run("systemd-analyze", "security", "--offline=true", "--threshold=20", path)
    assert "Overall exposure level" in told


def test_service_install_writes_the_unit_and_remove_removes_it(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "gossipnet", "service"]
    home = tmp_path / "ho me"
    run(*words, "install", "--user", "--to", tmp_path, "--home", home)
    text = (tmp_path / "gossipnet.service").read_text()
    assert f'Environment="GOSSIPNET_HOME={home}"' in text
    assert f"ExecStart={sys.executable} -m gossipnet run" in text
    assert "DynamicUser" not in text
    run(*words, "remove", "--to", tmp_path)
    again = subprocess.run([*words, "remove", "--to", tmp_path], capture_output=True, text=True)
    assert again.returncode == 5


def test_kubernetes_finds_pods_that_are_not_ready_and_runs_as_nobody() -> None:
    service, budget, pods = documents("kubernetes/gossipnet.yaml")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert budget["kind"] == "PodDisruptionBudget"
    template = pods["spec"]["template"]
    for selector in (service["spec"]["selector"], pods["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= template["metadata"]["labels"].items()
    (container,) = template["spec"]["containers"]
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        program, verb, *_ = container[probe]["exec"]["command"]
        assert (program, verb in COMMANDS) == ("gossipnet", True)


def test_the_chart_makes_the_same(tmp_path: Path) -> None:
    """Rendered by hand for the few constructs it has: helm itself is no package of Debian's."""
    values = yaml.safe_load((DEPLOY / "helm/gossipnet/values.yaml").read_text())
    chart = yaml.safe_load((DEPLOY / "helm/gossipnet/Chart.yaml").read_text())
    text = (DEPLOY / "helm/gossipnet/templates/gossipnet.yaml").read_text()
    text = re.sub(r"\n *{{- range .*?{{- end }}", "", text, flags=re.S)
    text = re.sub(r"\n *{{- with .*?{{- end }}", "", text, flags=re.S)
    text = text.replace(
        "{{- toYaml .Values.resources | nindent 12 }}", json.dumps(values["resources"])
    )
    text = text.replace("{{ .Values.image.tag | default .Chart.AppVersion }}", chart["appVersion"])
    text = text.replace("{{ .Release.Name }}", "gossipnet")

    def value(found: re.Match[str]) -> str:
        at: Any = values
        for name in found[1].split("."):
            at = at[name]
        return str(at)

    rendered = list(yaml.safe_load_all(re.sub(r"{{ \.Values\.([\w.]+) }}", value, text)))
    assert "{{" not in json.dumps(rendered)
    plain = documents("kubernetes/gossipnet.yaml")
    for ours, theirs in zip(rendered, plain, strict=True):
        assert ours["kind"] == theirs["kind"]
    pods = rendered[2]["spec"]["template"]["spec"]["containers"][0]
    expected = plain[2]["spec"]["template"]["spec"]["containers"][0]
    assert pods | {"imagePullPolicy": None} == expected | {"imagePullPolicy": None}


def test_compose_founds_once_and_lets_two_join() -> None:
    (composed,) = documents("compose.yaml")
    services = composed["services"]
    assert set(services) == {"atlas", "rpi", "nas"}
    for name, service in services.items():
        assert service["read_only"] is True
        assert f"{name}:/data" in service["volumes"]
    verbs = set(re.findall(r"gossipnet (\w+)", services["atlas"]["command"][0]))
    assert verbs <= set(COMMANDS)
    assert {volume.split(":")[0] for s in services.values() for volume in s["volumes"]} == set(
        composed["volumes"]
    )


def test_the_image_is_not_root_and_copies_what_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", text, re.M)
    assert all((ROOT / name).exists() for line in copied for name in line.split())
    assert text.index("USER 7117") < text.index("ENTRYPOINT")
    assert "HEALTHCHECK" in text


def served() -> set[str]:
    """Names of all series that a node has."""
    facts = {
        "status": {"uncommitted": 0, "lag_s": 0, "clock": {"offset_s": 0}, "trust": {"root": {}}},
        "members": [],
        "peers": [],
        "info": {"crdt_conflicts_set": "0"},
    }
    names = {"gossipnet_up"}
    for family in metrics.series(facts):
        names.add(family.name + ("_total" if family.type == "counter" else ""))
    status, info = {"uncommitted": 0}, {}
    names |= {name for name, _, _ in metrics._gauges(status, info)}
    names |= {f"{name}_total" for name, _, _ in metrics._totals(status, info)}
    return names


@pytest.mark.parametrize("name", ["gossipnet.json", "alerts.yaml"])
def test_dashboard_and_alerts_ask_for_series_that_exist(name: str) -> None:
    text = (DEPLOY / "grafana" / name).read_text()
    if name.endswith("json"):
        panels = json.loads(text)["panels"]
        asked = " ".join(target["expr"] for panel in panels for target in panel["targets"])
        assert len({panel["id"] for panel in panels}) == len(panels)
    else:
        (group,) = yaml.safe_load(text)["groups"]
        asked = " ".join(rule["expr"] for rule in group["rules"])
    series = set(re.findall(r"gossipnet_\w+", asked))
    assert series
    assert series <= served()
