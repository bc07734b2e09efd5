"""``gossipnet check``: one verdict for a monitoring system.

Thresholds become findings, each with a level; the worst is the verdict. Knows the shapes that
monitoring systems read (Nagios plugins, Prometheus's text format, JSON) and nothing of how the
daemon comes to its numbers. Its exit codes are those of Nagios plugins, not those of the other
commands: 0 ok, 1 warning, 2 critical, 3 unknown.
"""

import argparse
from typing import Any, NamedTuple

from gossipnet.cli.connection import open_client
from gossipnet.cli.durations import parse_duration
from gossipnet.cli.options import Command, add_socket
from gossipnet.cli.terminal import colour, plain, put, put_json
from gossipnet.errors import UserError

LEVELS = ("ok", "warning", "critical", "unknown")
"""Nagios's own order: the index is the exit code."""

_TINTS = dict(zip(LEVELS, ("green", "yellow", "red", "yellow"), strict=True))


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
      name: Short and stable; a Prometheus label and a Nagios performance label.
      level: One of `LEVELS`.
      text: What was seen, for people.
      value: The number behind it, or None.
      unit: Of the value: ``s``, ``days``, or nothing.
    """

    name: str
    level: str
    text: str
    value: float | None = None
    unit: str = ""


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        choices=("text", "nagios", "json", "prometheus"),
        default="text",
        help="how the verdict is written (text)",
    )
    parser.add_argument(
        "--min-members", type=int, default=1, metavar="N", help="critical if fewer are alive (1)"
    )
    for level, lag, days in (("warn", "10s", 14.0), ("crit", "60s", 3.0)):
        parser.add_argument(
            f"--{level}-lag",
            type=parse_duration,
            default=parse_duration(lag),
            metavar="TIME",
            help=f"behind the others for longer than this ({lag})",
        )
        parser.add_argument(
            f"--{level}-days",
            type=float,
            default=days,
            metavar="DAYS",
            help=f"the certificate ends sooner than this ({days:g})",
        )
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    try:
        with open_client(arguments, timeout=10.0) as client:
            findings = judge(arguments, plain(client.status()), client.members())
    except UserError as error:
        findings = [Finding("daemon", "critical", str(error))]
    level = max((finding.level for finding in findings), key=LEVELS.index)
    shape = "json" if arguments.json else arguments.format
    {"text": _text, "nagios": _nagios, "json": _json, "prometheus": _prometheus}[shape](
        findings, level
    )
    return LEVELS.index(level)


def judge(
    arguments: argparse.Namespace, status: dict[str, Any], members: list[dict[str, Any]]
) -> list[Finding]:
    """What the thresholds make of a node's status and of its table of members."""
    alive = sum(1 for row in members if row.get("state") == "alive")
    failing = [str(row.get("name")) for row in members if row.get("state") in ("suspect", "dead")]
    lag, days = float(status.get("lag_s") or 0), float(status.get("certificate_days") or 0)
    disk, complaint = str(status.get("disk")), str((status.get("clock") or {}).get("complaint"))
    offset = float((status.get("clock") or {}).get("offset_s") or 0)
    forks = int((status.get("trust") or {}).get("forks") or 0)
    return [
        Finding("daemon", "ok" if status.get("ready") else "critical", _ready(status)),
        Finding(
            "members",
            "critical" if alive < arguments.min_members else "warning" if failing else "ok",
            f"{alive} of {len(members)} members alive"
            + (f"; not answering: {', '.join(failing[:5])}" if failing else ""),
            alive,
        ),
        Finding(
            "lag",
            _above(lag, arguments.warn_lag, arguments.crit_lag),
            "nothing missing" if not lag else f"behind the others for {lag:g} s",
            lag,
            "s",
        ),
        Finding(
            "certificate",
            _above(-days, -arguments.warn_days, -arguments.crit_days),
            f"certificate valid for {days:g} days",
            days,
            "days",
        ),
        Finding(
            "disk", "ok" if disk == "ok" else "critical", f"disk {disk}" if disk != "ok" else "disk"
        ),
        Finding("clock", "warning" if complaint else "ok", complaint or "clock", offset, "s"),
        Finding("forks", "critical" if forks else "ok", f"{forks} logs with two histories", forks),
    ]


def _ready(status: dict[str, Any]) -> str:
    return "daemon ready" if status.get("ready") else "the daemon is up, but not ready"


def _above(value: float, warning: float, critical: float) -> str:
    return "critical" if value > critical else "warning" if value > warning else "ok"


def _text(findings: list[Finding], level: str) -> None:
    for finding in findings:
        put(f"{colour(f'{finding.level:<8}', _TINTS[finding.level])}  {finding.text}")


def _nagios(findings: list[Finding], level: str) -> None:
    bad = [finding.text for finding in findings if finding.level != "ok"]
    numbers = " ".join(
        f"{finding.name}={finding.value:g}{finding.unit if finding.unit == 's' else ''}"
        for finding in findings
        if finding.value is not None
    )
    # A bar or a line end in the text would end it for Nagios.
    told = "; ".join(bad or [findings[1].text if len(findings) > 1 else "fine"])
    told = told.replace("|", "/").replace("\n", " ")
    put(f"GOSSIPNET {level.upper()} - {told}{' | ' + numbers if numbers else ''}")


def _json(findings: list[Finding], level: str) -> None:
    put_json({"level": level, "findings": [finding._asdict() for finding in findings]})


def _prometheus(findings: list[Finding], level: str) -> None:
    put("# HELP gossipnet_check_level 0 ok, 1 warning, 2 critical, 3 unknown.")
    put("# TYPE gossipnet_check_level gauge")
    for finding in findings:
        put(f'gossipnet_check_level{{check="{finding.name}"}} {LEVELS.index(finding.level)}')
    put("# HELP gossipnet_check_value The number behind a check, in its unit.")
    put("# TYPE gossipnet_check_value gauge")
    for finding in findings:
        if finding.value is not None:
            labels = f'check="{finding.name}",unit="{finding.unit}"'
            put(f"gossipnet_check_value{{{labels}}} {finding.value:g}")


COMMANDS = {
    "check": Command(
        _configure,
        _execute,
        "gossipnet check --min-members 3\n"
        "gossipnet check --format nagios --warn-lag 5s --crit-lag 30s\n"
        "gossipnet check --format prometheus > /var/lib/node_exporter/gossipnet.prom\n"
        "exit codes here: 0 ok, 1 warning, 2 critical, 3 unknown",
    )
}
