"""The commands of every day on two real daemons: wait, check, doctor, shell, bench."""

import json
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest
from mesh_harness import Daemon, Mesh, running_mesh


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(2) as mesh:
        mesh.everyone_alive()
        yield mesh


def test_wait_ends_when_it_is_so_and_says_what_is_missing(mesh: Mesh) -> None:
    first = mesh[0]
    first.must("wait", "--members", "2", "--converged", "--timeout", "30s")
    first.do("SET", "there", "1")
    first.must("wait", "--key", "there", "--timeout", "10s")
    late = first.cli("wait", "--members", "3", "--timeout", "300ms")
    assert late.returncode == 6
    assert "2 of 3 members are alive" in late.stderr
    absent = first.cli("wait", "--key", "nowhere", "--timeout", "300ms")
    assert (absent.returncode, "nowhere" in absent.stderr) == (6, True)


@pytest.fixture
def alone() -> Iterator[Daemon]:
    """A home of its own, with nothing in it."""
    with running_mesh() as other:
        yield other.new("alone")


def test_wait_waits_for_a_daemon_too(alone: Daemon) -> None:
    late = alone
    late.must("init", "late", "--no-passphrase")
    with subprocess.Popen(
        late.command("wait", "--timeout", "60s"), env=late.environment(), stderr=subprocess.PIPE
    ) as waiting:
        late.start()
        assert waiting.wait(60) == 0
    late.stop()
    gone = late.cli("wait", "--timeout", "200ms")
    assert gone.returncode == 6


def test_check_in_all_its_shapes(mesh: Mesh) -> None:
    first = mesh[0]
    assert first.must("check", "--min-members", "2").startswith("ok")
    line = first.must("check", "--format", "nagios")
    assert line.startswith("GOSSIPNET OK - ")
    assert " members=2 " in line
    document = json.loads(first.must("check", "--json"))
    assert (document["v"], document["level"]) == (1, "ok")
    assert 'gossipnet_check_level{check="members"} 0' in first.must(
        "check", "--format", "prometheus"
    )


def test_check_says_warning_and_critical_by_its_exit_code(mesh: Mesh) -> None:
    first = mesh[0]
    assert first.cli("check", "--warn-days", "1000").returncode == 1
    critical = first.cli("check", "--min-members", "3", "--format", "nagios")
    assert critical.returncode == 2
    assert critical.stdout.startswith("GOSSIPNET CRITICAL - 2 of 2 members alive")
    gone = first.cli("check", "--home", str(first.home / "nowhere"), "--format", "nagios")
    assert gone.returncode == 2
    assert gone.stdout.startswith("GOSSIPNET CRITICAL")


def findings(daemon: Daemon, code: int) -> dict[tuple[str, str], str]:
    done = daemon.cli("doctor", "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return {(row["name"], row["level"]): row["text"] for row in json.loads(done.stdout)["findings"]}


def test_doctor_finds_a_healthy_node_healthy(mesh: Mesh) -> None:
    found = findings(mesh[0], 0)
    for name in ("config", "home", "identity", "daemon", "clock", "state", "reach", "versions"):
        assert (name, "ok") in found
    assert not [name for name, level in found if level == "fail"]


def test_doctor_names_what_is_wrong(alone: Daemon) -> None:
    ill = alone
    ill.must("init", "ill", "--no-passphrase")
    ill.home.chmod(0o755)
    (ill.home / "config.toml").write_text('join = ["no-such-name.invalid:7117"]\n')
    found = findings(ill, 1)
    assert "chmod 700" in found["home", "fail"]
    assert "run" in found["daemon", "fail"]
    assert "no-such-name.invalid does not resolve" in found["dns", "fail"]
    (ill.home / "config.toml").write_text("lisen = 3\n")
    assert "listen" in findings(ill, 1)["config", "fail"]


def test_doctor_tells_a_refused_port_from_this_machine_being_cut_off(mesh: Mesh) -> None:
    third = mesh.add()
    mesh.everyone_alive()
    third.kill()
    names = json.loads(mesh[0].cli("doctor", "--json").stdout)["findings"]
    told = [row["text"] for row in names if row["name"] == "reach" and third.name in row["text"]]
    assert told
    assert "refused" in told[0]
    third.start()
    mesh.everyone_alive()


def test_bench_measures_and_leaves_nothing_behind(mesh: Mesh) -> None:
    first = mesh[0]
    document = json.loads(first.must("bench", "-n", "50", "--json"))
    assert set(document["results"]) == {"read", "write", "propagate"}
    assert all(row["requests"] == 50 for row in document["results"].values())
    assert document["results"]["propagate"]["lost"] == 0
    assert first.must("keys", "gossipnet:bench:*") == ""
    assert first.cli("bench", "raed").returncode == 2


def test_a_script_at_the_prompt(mesh: Mesh) -> None:
    first = mesh[0]
    done = first.cli(
        "shell", stdin='SET script "a\\nb"\nGET script\n\nHELP get\nquit\nDEL script\n'
    )
    assert done.returncode == 0
    assert done.stdout.startswith("OK\na\nb\nGET\n")
    assert first.do("EXISTS", "script") == 1
    bad = first.cli("shell", stdin="INCR script\nNOSUCH\nPING\n")
    assert bad.returncode == 1
    assert "not an integer" in bad.stdout
    assert bad.stdout.endswith("PONG\n")


def test_the_prompt_of_a_person(mesh: Mesh) -> None:
    """Through a terminal: Tab completes a command and a key, history is kept, values are quoted."""
    first = mesh[0]
    first.do("SET", "fruit:banana", "yellow")
    leader, follower = pty.openpty()
    with subprocess.Popen(
        first.command("shell"),
        env=first.environment() | {"TERM": "dumb", "NO_COLOR": "1"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        pass_fds=(),
    ) as process:
        os.close(follower)
        screen = Screen(leader)
        screen.until("gossipnet> ")
        screen.type("typ\t")
        screen.until("type ")
        screen.type("fruit:ba\t\n")
        screen.until("fruit:banana")
        screen.until("string")
        screen.type("GET fruit:banana\n")
        screen.until('"yellow"')
        screen.type("\x04")
        assert process.wait(20) == 0
    os.close(leader)
    history = first.home / "shell_history"
    assert "GET fruit:banana" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


class Screen:
    """What a terminal has shown so far."""

    def __init__(self, leader: int) -> None:
        self.leader = leader
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())

    def until(self, text: str, deadline: float = 20.0) -> None:
        """Read on until ``text`` shows, and forget what came before its end."""
        end = time.monotonic() + deadline
        while text not in self.seen:
            ready, _, _ = select.select([self.leader], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{text!r} is not in {self.seen!r}"
            self.seen += os.read(self.leader, 4096).decode(errors="replace")
        self.seen = self.seen.partition(text)[2]


def test_top_draws_follows_keys_and_gives_the_terminal_back(mesh: Mesh) -> None:
    first = mesh[0]
    assert "node0*" in first.must("top", "--once")
    assert json.loads(first.must("top", "--json"))["status"]["name"] == "node0"
    assert first.cli("top").returncode == 2  # no terminal
    leader, follower = pty.openpty()
    before = termios.tcgetattr(follower)
    termios.tcsetwinsize(follower, (24, 100))
    with subprocess.Popen(
        first.command("top", "--every", "100ms"),
        env=first.environment() | {"TERM": "xterm"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    ) as process:
        screen = Screen(leader)
        screen.until("\x1b[?1049h")
        screen.until("node0*")
        screen.type("l")
        screen.until("QUEUED")
        screen.type("e")
        screen.until("TEXT")
        screen.type("m")
        screen.until("node1")
        screen.type("c")
        screen.until("\x1b]52;c;")
        # A new size is drawn at once, with room for one column more.
        termios.tcsetwinsize(follower, (24, 160))
        process.send_signal(signal.SIGWINCH)
        screen.until("VERSION")
        screen.type("q")
        screen.until("\x1b[?1049l")
        assert process.wait(20) == 0
    assert termios.tcgetattr(follower) == before
    os.close(follower)
    os.close(leader)
