"""``gossipnet doctor``: looks at everything that usually goes wrong, and says what to do.

Each look is a function that yields findings; `_LOOKS` is their order. It opens TCP connections to
members' ports and closes them again without a word (to their daemons a stranger that says
nothing), and writes one small file into the home to measure the disk. It changes nothing else.
"""

import argparse
import os
import shutil
import socket
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from gossipnet.cli.connection import open_client
from gossipnet.cli.doctor_network import look_at_members, look_at_names
from gossipnet.cli.options import Command, add_socket, settings_of, suggestion
from gossipnet.cli.terminal import colour, plain, put, put_json, say
from gossipnet.config import Settings
from gossipnet.errors import ConfigError, UserError
from gossipnet.version import version

_TINTS = {"ok": "green", "warn": "yellow", "fail": "red"}
_LOW_BYTES = 256 * 2**20
_SLOW_FSYNC_MS = 30.0
_FEW_FILES = 1024


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
      level: ``ok``, ``warn`` or ``fail``.
      name: What was looked at.
      text: What was seen and, unless it is fine, what to do.
    """

    level: str
    name: str
    text: str


class Patient(NamedTuple):
    """What the looks look at.

    Attributes:
      arguments: The words of the command.
      settings: The node's settings.
      status: `GOSSIP STATUS`, or None where no daemon answers.
      members: `GOSSIP MEMBERS`.
      trouble: Why no daemon answers.
    """

    arguments: argparse.Namespace
    settings: Settings
    status: dict[str, Any] | None
    members: list[dict[str, Any]]
    trouble: str


def _configure(parser: argparse.ArgumentParser) -> None:
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    findings: list[Finding] = []
    try:
        settings = settings_of(arguments)
    except ConfigError as error:
        findings.append(Finding("fail", "config", str(error)))
        return _tell(arguments, findings)
    findings.append(Finding("ok", "config", _told_config(settings)))
    patient = _examine(arguments, settings)
    for look in _LOOKS:
        findings += look(patient)
    return _tell(arguments, findings)


def _examine(arguments: argparse.Namespace, settings: Settings) -> Patient:
    try:
        with open_client(arguments, timeout=10.0) as client:
            return Patient(arguments, settings, plain(client.status()), client.members(), "")
    except UserError as error:
        return Patient(arguments, settings, None, [], str(error))


def _told_config(settings: Settings) -> str:
    file = settings.home / "config.toml"
    return f"{file}, no unknown keys" if file.exists() else f"no {file}: all defaults"


def _home(patient: Patient) -> Iterator[Finding]:
    home = patient.settings.home
    try:
        facts = home.stat()
    except FileNotFoundError:
        step = suggestion(patient.arguments, "init")
        yield Finding("fail", "home", f"{home} is not there: `{step}` founds a mesh there")
        return
    except OSError as error:
        yield Finding("fail", "home", f"{home} cannot be looked into: {error.strerror}")
        return
    if facts.st_uid != os.geteuid():
        yield Finding("fail", "home", f"{home} belongs to user {facts.st_uid}: run as that user")
    elif stat.S_IMODE(facts.st_mode) & 0o077:
        yield Finding("fail", "home", f"others can look into {home}: chmod 700 {home}")
    else:
        yield Finding("ok", "home", f"{home} (0700)")
    free = shutil.disk_usage(home).free
    told = f"{free / 2**30:.1f} GiB free"
    if free < _LOW_BYTES:
        yield Finding("fail", "disk", f"{told} at {home}: make room, or writes will be refused")
        return
    yield _fsync(patient, told)


def _fsync(patient: Patient, told: str) -> Finding:
    """How long the disk takes for what each acknowledged write needs: one fsync."""
    path = patient.settings.home / f".doctor-{os.getpid()}"
    times: list[float] = []
    try:
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            for _ in range(20):
                os.write(fd, b"\0" * 4096)
                began = time.perf_counter()
                os.fsync(fd)
                times.append(time.perf_counter() - began)
        finally:
            os.close(fd)
            path.unlink()
    except OSError as error:
        return Finding("fail", "disk", f"cannot be written: {error.strerror}; {told}")
    worst = sorted(times)[-2] * 1000
    if worst > _SLOW_FSYNC_MS and patient.settings.durability == "always":
        return Finding(
            "warn",
            "disk",
            f"{told}; fsync takes {worst:.0f} ms (an SD card?): every write waits for it, "
            'consider durability = "every-second"',
        )
    return Finding("ok", "disk", f"{told}, fsync {worst:.1f} ms")


def _identity(patient: Patient) -> Iterator[Finding]:
    from gossipnet.identity.home import Home
    from gossipnet.io.keysource import key_source

    home = Home(patient.settings.home, key_source(patient.settings.key_command, os.environ))
    try:
        node = home.load()
    except UserError as error:
        if patient.settings.home.exists():
            yield Finding("fail", "identity", str(error))
        return
    days = (node.not_after - time.time()) / 86400
    told = f"{node.name} of mesh {node.trust.mesh_name}, certificate valid for {days:.0f} days"
    if days <= 0:
        step = suggestion(patient.arguments, "join TOKEN")
        yield Finding("fail", "identity", f"the certificate ended: enter anew with `{step}`")
    elif days < 7:
        step = suggestion(patient.arguments, "renew")
        yield Finding("warn", "identity", f"{told}: `{step}` asks an issuer for a new one")
    else:
        yield Finding("ok", "identity", told)


def _daemon(patient: Patient) -> Iterator[Finding]:
    status = patient.status
    if status is None:
        yield Finding("fail", "daemon", patient.trouble)
        return
    told = f"up for {float(status.get('uptime_s') or 0):.0f} s, {status.get('keys')} keys"
    if not status.get("ready"):
        yield Finding("warn", "daemon", f"{told}, but not ready yet")
    elif status.get("disk") != "ok":
        yield Finding("fail", "daemon", f"{told}; its disk: {status.get('disk')}")
    else:
        yield Finding("ok", "daemon", told)
    clock = status.get("clock") or {}
    offset = float(clock.get("offset_s") or 0)
    if clock.get("complaint"):
        yield Finding("fail", "clock", f"{clock['complaint']}: let chrony or ntpd set it")
    elif abs(offset) > 5:
        yield Finding(
            "warn", "clock", f"{offset:+.1f} s from the peers': let chrony or ntpd set it"
        )
    else:
        yield Finding("ok", "clock", f"within {abs(offset):.3f} s of the peers")
    own = (status.get("trust") or {}).get("own")
    if own:
        yield Finding(
            "fail", "trust", f"this node was revoked by {own}: it joins anew or not at all"
        )
    if (status.get("counters") or {}).get("records_newer"):
        yield Finding("warn", "versions", "others write what this version cannot read: upgrade it")
    lag = float(status.get("lag_s") or 0)
    drops = int(status.get("drops") or 0)
    if lag > 10:
        yield Finding("warn", "state", f"behind the others for {lag:.0f} s")
    else:
        yield Finding("ok", "state", "nothing missing")
    if drops:
        step = suggestion(patient.arguments, "status --all")
        yield Finding("warn", "drops", f"{drops} so far: `{step}` tells which, in counters")


def _port(patient: Patient) -> Iterator[Finding]:
    from gossipnet.config import split_address

    host, port = split_address(patient.settings.listen)
    if patient.status is None:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                yield Finding(
                    "fail",
                    "port",
                    f"{host}:{port} cannot be listened on ({error.strerror}): what else runs "
                    "there? --listen takes another",
                )
                return
        yield Finding("ok", "port", f"{host}:{port} is free")
    elif not patient.status.get("addresses"):
        yield Finding(
            "warn",
            "port",
            "this node tells nobody an address, so the others cannot dial it: if they could, say "
            "--advertise HOST:PORT",
        )


def _versions(patient: Patient) -> Iterator[Finding]:
    import resource

    told = (
        f"gossipnet {version()}, Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}"
    )
    others = {str(row.get("version")) for row in patient.members} - {"", "None"}
    if len(others) > 1:
        yield Finding("warn", "versions", f"{told}; members run {', '.join(sorted(others))}")
    else:
        yield Finding("ok", "versions", told)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FEW_FILES:
        yield Finding("warn", "limits", f"only {hard} files may be open: raise ulimit -Hn")


def _names(patient: Patient) -> Iterator[Finding]:
    for level, name, text in look_at_names(patient.settings.join):
        yield Finding(level, name, text)


def _reach(patient: Patient) -> Iterator[Finding]:
    if patient.status is not None:
        own = str(patient.status.get("node_id"))
        for level, name, text in look_at_members(patient.members, own, patient.status):
            yield Finding(level, name, text)


_LOOKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _home,
    _identity,
    _daemon,
    _port,
    _names,
    _reach,
    _versions,
)


def _tell(arguments: argparse.Namespace, findings: list[Finding]) -> int:
    failures = sum(1 for finding in findings if finding.level == "fail")
    warnings = sum(1 for finding in findings if finding.level == "warn")
    if arguments.json:
        rows = [finding._asdict() for finding in findings]
        put_json({"failures": failures, "warnings": warnings, "findings": rows})
    else:
        width = max(len(finding.name) for finding in findings)
        for level, name, text in findings:
            shown = "FAIL" if level == "fail" else level
            put(f"{colour(f'{shown:<4}', _TINTS[level])}  {name:<{width}}  {text}")
        say(
            f"{failures} failure{'' if failures == 1 else 's'}, {warnings} "
            f"warning{'' if warnings == 1 else 's'}"
        )
    return 1 if failures else 0


COMMANDS = {
    "doctor": Command(
        _configure, _execute, "gossipnet doctor\ngossipnet doctor --json   exit code 1 on a failure"
    )
}
