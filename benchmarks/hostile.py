"""A mesh of 10 under attack: one certified member that floods, and garbage on the port.

Honest writes are timed at one daemon, alone and then under the flood; what is promised is p99 at
most twice the baseline, no member removed, memory flat. Then 10,000 connections of garbage: no key
agreement, and a newcomer gets in meanwhile.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from benchmarks.daemons import Daemon, environment, mesh, until
from benchmarks.figures import Row, Skipped

GARBAGE = 10_000
MIB = 1 << 20


def measure(quick: bool) -> Iterator[Row | Skipped]:
    """Flood, then garbage, against the same daemons."""
    honest, seconds = (4, 4.0) if quick else (9, 15.0)
    with mesh(honest) as daemons:
        home = daemons[0].home.parent / "hostile"
        hostile = Daemon(home, 0)
        token = daemons[0].must("invite").strip()
        hostile.must("join", token, "--name", "hostile", daemons[0].address)
        _writes(daemons[1], 1.0)
        base = _writes(daemons[1], seconds)
        before = _memory(daemons)
        flood = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.hostile_member", str(home)]
            + [daemon.address for daemon in daemons],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        try:
            until(lambda: daemons[-1].ask("EXISTS", "flood1") == b":1\r\n", "the flood is there")
            under = _writes(daemons[1], seconds)
        finally:
            sent = flood.communicate(timeout=30)[0].split()
        removed = _removed(daemons)
        taken = int(daemons[1].ask("EXISTS", *[f"flood{n}" for n in range(100)])[1:])
        what = f"{honest} honest daemons and one that floods"
        yield Row("honest SET alone, p99", base * 1000, "ms", note=what)
        yield Row(
            "honest SET under the flood, p99",
            under * 1000,
            "ms",
            peer="alone",
            peer_value=base * 1000,
            target="<= 2 x alone",
            note=f"{int(sent[1])} records made, {int(sent[0])} sent, {taken} of its keys here",
        )
        yield Row("members removed under the flood", removed, "", target="0")
        yield Row(
            "memory gained by the largest daemon under the flood",
            max(now - then for now, then in zip(_memory(daemons), before, strict=True)) / MIB,
            "MiB",
            note="it keeps what its budget lets it write",
        )
        yield from _garbage(daemons)


def _writes(daemon: Daemon, seconds: float) -> float:
    """Seconds within which 99 of 100 paced writes are acknowledged."""
    found: list[float] = []
    ends = time.perf_counter() + seconds
    with daemon.connect() as client:
        while time.perf_counter() < ends:
            began = time.perf_counter()
            client.sendall(b"*3\r\n$3\r\nSET\r\n$6\r\nhonest\r\n$1\r\nv\r\n")
            if client.recv(64) != b"+OK\r\n":
                raise OSError("a write was refused")
            found.append(time.perf_counter() - began)
            time.sleep(0.005)
    found.sort()
    return found[len(found) * 99 // 100]


def _removed(daemons: list[Daemon]) -> int:
    """Honest members that any honest daemon does not take for alive."""
    names = {f"n{number}" for number in range(len(daemons))}
    gone: set[str] = set()
    for daemon in daemons:
        rows = json.loads(daemon.must("members", "--json"))["members"]
        alive = {row["name"] for row in rows if row["state"] in ("alive", "suspect")}
        gone |= names - alive
    return len(gone)


def _memory(daemons: list[Daemon]) -> list[int]:
    found = []
    for daemon in daemons:
        assert daemon.process is not None
        with open(f"/proc/{daemon.process.pid}/status") as status:
            lines = status.read().splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS")]
    return found


def _garbage(daemons: list[Daemon]) -> Iterator[Row]:
    victim = daemons[0]
    host, port = victim.address.rsplit(":", 1)
    status = json.loads(victim.must("status", "--json"))
    memory, handshakes = _memory(daemons)[0], status["costs"]["handshakes"]
    token = victim.must("invite").strip()
    newcomer = Daemon(victim.home.parent / "newcomer", 0)
    joining: subprocess.Popen[bytes] | None = None
    began = joined = 0.0
    for number in range(GARBAGE):
        with socket.socket() as made, suppress(OSError):
            made.bind((f"127.0.{number % 200}.{2 + number // 200}", 0))
            made.setblocking(False)
            with suppress(BlockingIOError):
                made.connect((host, int(port)))
            made.send(b"GSP1\2\0\0\0" + os.urandom(16) + b"\x04\xc0" + bytes(1216))
        if number == GARBAGE // 4:
            began = time.perf_counter()
            joining = subprocess.Popen(
                newcomer.words("join", token, "--name", "newcomer", victim.address),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(),
            )
        if joining is not None and not joined and joining.poll() is not None:
            joined = time.perf_counter()
        time.sleep(0.0001)
    assert joining is not None
    if joining.wait(30):
        raise OSError("the newcomer was kept out")
    joined = joined or time.perf_counter()
    after = json.loads(victim.must("status", "--json"))["costs"]
    yield Row(
        "key agreements caused by 10,000 connections of garbage",
        after["handshakes"] - handshakes,
        "",
        target="0",
        note="besides the newcomer's, which is counted elsewhere",
    )
    yield Row(
        "a join meanwhile, start of the command included",
        joined - began,
        "s",
        target="< 1 s",
    )
    yield Row(
        "memory gained by 10,000 connections of garbage",
        (_memory(daemons)[0] - memory) / MIB,
        "MiB",
        target="< 20 MiB",
    )
