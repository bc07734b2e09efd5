"""``gossipnet on`` and ``gossipnet template`` beside real daemons."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mesh_harness import Daemon, Mesh, eventually, running_mesh


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(2) as mesh:
        mesh.everyone_alive()
        yield mesh


@contextmanager
def beside(daemon: Daemon, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until Ctrl-C; entered once it says that it has begun."""
    process = subprocess.Popen(
        daemon.command(*words), env=daemon.environment(), stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "Ctrl-C" in line:
                break
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def documents(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_command_runs_for_each_change_also_of_another_node(mesh: Mesh, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with beside(mesh[0], "on", "key", "ban:*", "--", "sh", "-c", f"cat >> {out}") as process:
        mesh[1].do("SET", "ban:192.0.2.7", "ssh")
        mesh[1].do("SET", "other", "1")
        mesh[0].do("DEL", "ban:192.0.2.7")
        eventually(lambda: len(documents(out)) == 2, "both changes were handed over")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    first, second = documents(out)
    assert (first["event"], first["key"], first["value"]) == ("set", "ban:192.0.2.7", "ssh")
    assert first["author"] == mesh[1].name
    assert second["event"] == "del"


def test_the_environment_tells_the_same(mesh: Mesh, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = f'echo "$GOSSIPNET_EVENT $GOSSIPNET_KEY $GOSSIPNET_VALUE" > {out}'
    with beside(mesh[0], "on", "-n", "1", "key", "env:*", "--", "sh", "-c", script) as process:
        mesh[0].do("SET", "env:a", "b c")
        assert process.wait(20) == 0
    assert out.read_text() == "set env:a b c\n"


def test_a_slow_command_is_killed_with_all_it_started(mesh: Mesh) -> None:
    words = ("on", "-n", "1", "--timeout", "300ms", "key", "slow", "--", "sh", "-c")
    with beside(mesh[0], *words, "sleep 600 & wait") as process:
        mesh[0].do("SET", "slow", "1")
        assert process.wait(20) == 1
        assert process.stderr is not None
        assert "killed after 0.3 s" in process.stderr.read()


def test_coalescing_keeps_the_newest(mesh: Mesh, tmp_path: Path) -> None:
    out, gate = tmp_path / "out", tmp_path / "gate"
    script = f"cat >> {out}; while [ ! -e {gate} ]; do sleep 0.02; done"
    with beside(mesh[0], "on", "--coalesce", "key", "busy:*", "--", "sh", "-c", script):
        mesh[0].do("SET", "busy:a", "0")
        eventually(lambda: len(documents(out)) == 1, "the first runs")
        for number in range(1, 10):
            mesh[0].do("SET", "busy:a", number)
        mesh[0].do("SET", "busy:b", "only")
        gate.touch()
        eventually(
            lambda: (
                {str(row["key"]): row["value"] for row in documents(out)}
                == {"busy:a": "9", "busy:b": "only"}
            ),
            "the newest of each has been handed over",
        )
        assert len(documents(out)) < 11


def test_a_dead_member_runs_the_command(mesh: Mesh, tmp_path: Path) -> None:
    out = tmp_path / "out"
    third = mesh.add()
    mesh.everyone_alive()
    with beside(mesh[0], "on", "member-*", "--", "sh", "-c", f"cat >> {out}"):
        third.kill()
        eventually(
            lambda: any(row["event"] == "member-dead" for row in documents(out)),
            "the death was handed over",
        )
        third.start()
        eventually(
            lambda: documents(out)[-1]["event"] == "member-back", "the return was handed over"
        )
    assert all(str(row["text"]).startswith(third.name) for row in documents(out))
    mesh.everyone_alive()


def test_mistakes_get_one_sentence(mesh: Mesh, tmp_path: Path) -> None:
    for words, told in (
        (("on", "key", "a"), "on what to run what"),
        (("on", "member-dead", "x", "--", "true"), "'x' is not expected here"),
        (("template", "x"), "which file to write"),
        (("template", str(tmp_path / "none"), "out"), "cannot be read"),
    ):
        done = mesh[0].cli(*words)
        assert done.returncode in (1, 2)
        assert told in done.stderr
        assert done.stderr.count("\n") == 1


TEMPLATE = """\
{% for host in set('web') %}
server {{ host }} weight={{ get('weight:' ~ host, '1') }};
{% endfor %}
"""


def test_a_file_follows_the_keys_it_is_made_of(mesh: Mesh, tmp_path: Path) -> None:
    source, target, reloaded = (tmp_path / name for name in ("in.j2", "out.conf", "reloaded"))
    source.write_text(TEMPLATE)
    mesh[0].do("SADD", "web", "b:80", "a:80")
    words = ("template", "--debounce", "20ms", str(source), str(target), "--", "sh", "-c")
    with beside(mesh[0], *words, f"echo >> {reloaded}"):
        assert target.read_text() == "server a:80 weight=1;\nserver b:80 weight=1;\n"
        target.chmod(0o600)
        mesh[1].do("SET", "weight:b:80", "5")
        eventually(lambda: "b:80 weight=5" in target.read_text(), "a new weight arrived")
        assert target.stat().st_mode & 0o777 == 0o600
        # A host that is new brings a key that was not asked for before.
        mesh[1].do("SADD", "web", "c:80")
        eventually(lambda: "c:80 weight=1" in target.read_text(), "a new host arrived")
        mesh[1].do("SET", "weight:c:80", "7")
        eventually(lambda: "c:80 weight=7" in target.read_text(), "its weight arrived")
        before = reloaded.read_text()
        mesh[1].do("SET", "weight:c:80", "7")
        mesh[1].do("SET", "weight:a:80", "2")
        eventually(lambda: "a:80 weight=2" in target.read_text(), "one more change arrived")
        eventually(lambda: reloaded.read_text() == before + "\n", "one reload for one difference")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ gte('a') }}", "'gte' is undefined"),
        ("a\n{% for %}", "line 2"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ get('a hash') }}", "kind of value (the key 'a hash')"),
    ],
)
def test_a_wrong_template_writes_nothing(mesh: Mesh, tmp_path: Path, text: str, told: str) -> None:
    source, target = tmp_path / "in.j2", tmp_path / "out"
    source.write_text(text)
    mesh[0].do("HSET", "a hash", "f", "v")
    done = mesh[0].cli("template", "--once", str(source), str(target))
    assert done.returncode == 1
    assert told in done.stderr
    assert not target.exists()
