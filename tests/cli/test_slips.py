"""Slips that people make at the shell: each gets one sentence that says what to type instead."""

import getpass
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_socket import FakeSocket, fake_socket, resp3

from gossipnet.cli.main import main

Said = Callable[..., str]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSocket]:
    with fake_socket() as fake:
        monkeypatch.setenv("GOSSIPNET_HOME", str(fake.home))
        yield fake


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def said(code: int, *words: str) -> str:
        assert main(list(words)) == code
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "bug" not in err
        return err

    return said


def test_options_before_the_command(said: Said) -> None:
    assert "--hom is not expected here: did you mean --home?" in said(2, "--hom", "/x", "status")
    assert "-V is not expected here" in said(2, "-V")
    assert "no command is given" in said(2, "--home", "/x")
    assert "stand before the --" in said(2, "incr", "visits", "--", "-1", "--home", "/x")


def test_help_of_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "--help"]) == 0
    assert "Start:" in capsys.readouterr().out


def test_an_empty_home_is_not_the_default_home(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    for command in ("init", "status", "leave", "run"):
        assert "--home is empty" in said(2, command, "--home", "")
    assert not list(tmp_path.iterdir())


def test_end_of_input_at_a_prompt(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ends(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", ends)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.delenv("GOSSIPNET_PASSPHRASE", raising=False)
    assert main(["init", "--home", str(tmp_path / "home")]) == 2
    err = capsys.readouterr().err
    assert "the input ended" in err
    assert "bug" not in err


def test_run_names_its_home_in_what_to_type_next(said: Said, tmp_path: Path) -> None:
    home = tmp_path / "home"
    told = said(1, "run", "--home", str(home))
    assert f"`gossipnet init --home {home}`" in told
    assert f"`gossipnet join --home {home} TOKEN`" in told


def test_a_token_beside_a_token_file_is_not_looked_up_as_a_host(said: Said, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    assert "once" in said(2, "join", "--token-file", "x", "GN1abcdef", "--home", home)


def test_call_does_not_wait_for_what_never_ends(fake: FakeSocket, said: Said) -> None:
    assert "`gossipnet watch PATTERN`" in said(2, "call", "subscribe", "news")
    assert "`gossipnet watch PATTERN`" in said(2, "call", "GOSSIP", "WATCH", "*")
    assert fake.asked == []


def test_a_value_that_does_not_suit_is_named(fake: FakeSocket, said: Said) -> None:
    fake.answers |= {
        "GET": b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        "TYPE": b"+hash\r\n",
        "INCRBY": b"-ERR value is not an integer or out of range\r\n",
    }
    assert "'user' is a hash, not a string" in said(1, "get", "user")
    assert "`gossipnet call HGETALL user`" in said(1, "get", "user")
    assert "'name' does not hold a whole number" in said(1, "incr", "name")


def test_revoking_nobody_is_not_found(fake: FakeSocket, said: Said) -> None:
    fake.answers["GOSSIP REVOKE"] = b"-ERR no member is called 'x': `gossipnet members` shows\r\n"
    assert "`gossipnet members" in said(5, "revoke", "x", "--yes")


def test_no_events_is_not_a_number_of_events(fake: FakeSocket, said: Said) -> None:
    fake.answers["GOSSIP EVENTS"] = resp3([])
    for wrong in ("0", "-3", "x"):
        assert "give 1 or more" in said(2, "log", "-n", wrong)


def test_a_locale_without_letters(
    fake: FakeSocket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the encoding of the output lacks is escaped, and is no reason to fail."""
    fake.answers["SCAN"] = resp3([b"0", ["h\u00e9".encode()]])
    for words, line in ((["keys"], b"h\\xe9\n"), (["keys", "--json"], b'"h\\u00e9"')):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
        assert main(words) == 0
        sys.stdout.flush()
        assert line in raw.getvalue()
        assert "bug" not in capsys.readouterr().err


def test_files_and_disks_that_fail_are_no_bugs(
    said: Said, fake: FakeSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "lstat", closed)
    assert "backup.json: Permission denied: check the owner" in said(1, "verify", str(fake.home))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_the_output(fake: FakeSocket) -> None:
    fake.answers["SCAN"] = resp3([b"0", [b"key"]])
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gossipnet", "--home", str(fake.home), "keys"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "gossipnet: cannot write the output: No space left on device\n"


def test_what_a_hook_waits_for_is_checked_at_once(said: Said, fake: FakeSocket) -> None:
    assert "did you mean member-dead?" in said(2, "on", "member-ded", "--", "true")
    assert "./no-such cannot be run" in said(2, "on", "member-dead", "--", "./no-such")
    assert "no-such cannot be run" in said(2, "on", "key", "a", "--", "no-such")
