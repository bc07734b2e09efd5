"""The demo: it holds, it says which step did not, and it leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipnet.cli import demo_machines
from gossipnet.cli.demo_ground import child_environment, free_ports, short_folder
from gossipnet.cli.demo_machines import Machines, StepFailed
from gossipnet.cli.main import main

DEMO = [sys.executable, "-m", "gossipnet", "demo"]


@pytest.fixture
def bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder for temporary files; the test fails if anything stays there."""
    import shutil
    import tempfile

    base = Path(tempfile.mkdtemp(prefix="gn-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(base))
    monkeypatch.setattr(tempfile, "tempdir", None)
    try:
        yield base
        assert list(base.iterdir()) == []
    finally:
        shutil.rmtree(base)


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """Let a few lines of Python play the part of the command gossipnet."""
    script = tmp_path / "stand_in.py"
    script.write_text("import os, signal, sys, time\n" + source)
    monkeypatch.setattr(demo_machines, "_COMMAND", (sys.executable, str(script)))


def test_a_failed_step_is_named_and_the_log_shown(
    bases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(
        tmp_path,
        monkeypatch,
        "if sys.argv[1] == 'run': sys.exit('the disk is on fire')\n",
    )
    assert main(["demo", "--once"]) == 1
    out, err = capsys.readouterr()
    assert "$ gossipnet init demo --name atlas --home atlas --no-passphrase" in out
    assert "--- the end of atlas.log\nthe disk is on fire" in err
    assert "failed at step 1, found a mesh: the daemon of atlas ended with exit code 1" in err


def test_a_command_that_fails_is_quoted(
    bases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in(tmp_path, monkeypatch, "sys.exit('no entropy')\n")
    assert main(["demo", "--once", "--json"]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["held"] is False
    assert document["steps"][0]["ok"] is False
    assert "ended with 1: no entropy" in err


def test_a_daemon_that_never_gets_ready(
    bases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_machines, "DEADLINE_SECONDS", 0.3)
    stand_in(tmp_path, monkeypatch, "time.sleep(60)\n")
    with Machines(["a"], os.environ) as machines:
        (machine,) = machines
        with pytest.raises(StepFailed, match=r"expected within 0\.3 s: a is ready"):
            machines.start(machine)
        process = machine.process
        with pytest.raises(StepFailed, match="took more than"):
            machines.run(["gossipnet", "init"])
        with pytest.raises(StepFailed, match="took more than"):
            machines.run_at_once([["gossipnet", "init"], ["gossipnet", "init"]])
        with pytest.raises(StepFailed, match="cannot be started"):
            machines.run(["/no/such/program"])
    assert process is not None
    assert process.returncode is not None


def test_a_daemon_that_will_not_stop_is_killed(
    bases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_machines, "_STOP_SECONDS", 0.2)
    stand_in(
        tmp_path,
        monkeypatch,
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('gossipnet 1\\nready in 0.1 s', flush=True)\ntime.sleep(60)\n",
    )
    with Machines(["a"], os.environ) as machines:
        (machine,) = machines
        assert machines.start(machine) == ["gossipnet 1", "ready in 0.1 s"]
        process = machine.process
    assert process is not None
    assert process.returncode == -signal.SIGKILL
    assert machine.how_it_ended() == "was ended by SIGKILL"


def test_nobodys_settings_reach_the_daemons() -> None:
    env = {"GOSSIPNET_HOME": "/x", "GOSSIPNET_LISTN": "y", "REDISCLI_AUTH": "z", "LANG": "C"}
    kept = child_environment(env)
    assert kept["LANG"] == "C"
    assert not [name for name in kept if name.startswith("GOSSIPNET_")]
    assert "REDISCLI_AUTH" not in kept


def test_the_folder_is_short_even_if_the_usual_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = short_folder("atlas")
    folder.rmdir()
    assert len(str(folder / "atlas" / "gossipnet.sock")) <= 103
    assert list(long.iterdir()) == []


def test_ports_are_neighbours() -> None:
    first, second, third = free_ports(3)
    assert (second, third) == (first + 1, first + 2)
    assert 1024 < first < 32768


@pytest.mark.e2e
def test_all_of_it_holds(bases: Path) -> None:
    """With settings of somebody else around, without a terminal, without redis-cli."""
    env = {**os.environ, "GOSSIPNET_HOME": "/nonexistent", "GOSSIPNET_DURABILTY": "x", "PATH": ""}
    words = [*DEMO, "--once", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["held"] is True
    assert [step["ok"] for step in document["steps"]] == [True] * 6
    assert "$ gossipnet call --home atlas SET greeting 'hello from atlas'" in done.stderr
    assert "All of it held." in done.stderr


@pytest.mark.e2e
def test_it_runs_on_brings_back_what_was_killed_and_cleans_up(bases: Path) -> None:
    with subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        seen: list[str] = []
        try:
            for line in process.stdout:
                seen.append(line)
                if line.startswith("  kill -9 "):
                    os.kill(int(line.split()[2]), signal.SIGKILL)
                if line.startswith("ready in") and any("comes back in 5 s" in s for s in seen):
                    break
            process.send_signal(signal.SIGTERM)
            rest = process.stdout.read()
        finally:
            process.terminate()
    assert process.returncode == 0, "".join(seen) + rest
    assert "Stopping the daemons" in rest
    assert str(bases) in "".join(seen)


@pytest.mark.e2e
def test_interrupted_half_way_it_cleans_up(bases: Path) -> None:
    with subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ready in"):
                break
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 130
    assert time.monotonic() - began < 20
