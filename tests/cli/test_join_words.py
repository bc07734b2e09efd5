"""How tokens and addresses reach `join` and `run`, and what is said when they are no good."""

import io
import os
from pathlib import Path

import pytest

from gossipnet.cli.join import checked_addresses, read_token
from gossipnet.cli.main import main
from gossipnet.errors import NotFound, UsageError


class Typed(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_token_from_words_file_and_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text("gn1abc\ndef\n")
    assert read_token("gn1abc", None) == "gn1abc"
    assert read_token(None, str(path)) == "gn1abcdef"  # a mail program broke the line
    monkeypatch.setattr("sys.stdin", io.StringIO(" gn1xyz \nmore"))
    assert read_token("-", None) == "gn1xyz"


def test_a_person_is_asked_for_the_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Typed("gn1abc\n"))
    assert read_token("-", None) == "gn1abc"
    out, err = capsys.readouterr()
    assert out == ""
    assert "Paste the token" in err


def test_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    for given in ("-", "", "  "):
        with pytest.raises(UsageError, match="all of it"):
            read_token(given, None)
    with pytest.raises(NotFound, match="No such file"):
        read_token(None, str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="once"):
        read_token("gn1abc", "file")


def test_an_endless_file_is_not_read_to_its_end() -> None:
    assert len(read_token(None, "/dev/zero")) <= 16 * 1024


def test_addresses() -> None:
    assert checked_addresses(["a", "b:9", "::1"]) == ["a:7117", "b:9", "[::1]:7117"]
    for wrong in ("a:b", ":7117", "a:0", "[::1"):
        with pytest.raises(UsageError, match=r"address|dialled"):
            checked_addresses([wrong])


def said(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    assert main(list(words)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "bug" not in err
    return err


def test_join_without_a_good_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ("--home", str(tmp_path / "home"))
    assert "which token?" in said(capsys, 2, "join", *home)
    assert "token" in said(capsys, 1, "join", "hello", *home)
    assert "token" in said(capsys, 1, "join", "gn1aaaa", *home, "--name", "rpi", "atlas:7117")
    assert "seventy" in said(capsys, 2, "join", "gn1aaaa", "--name", "rpi", "atlas:seventy", *home)
    assert "cannot name a node" in said(capsys, 2, "join", "gn1aaaa", "--name", "-", *home)
    assert "No such file" in said(capsys, 5, "join", "--token-file", "missing", "a:1", *home)
    assert not (tmp_path / "home").exists()


def test_run_with_a_token_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ("--home", str(tmp_path / "home"))
    assert "token" in said(capsys, 1, "run", "--token", "hello", *home)
    assert "once" in said(capsys, 2, "run", "--token", "x", "--token-file", "y", *home)
    assert not (tmp_path / "home").exists()


def test_join_and_run_know_a_home_that_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from gossipnet.identity.home import Home
    from gossipnet.identity.token import JoinToken

    home = tmp_path / "home"
    assert main(["init", "mine", "--name", "rpi", "--no-passphrase", "--home", str(home)]) == 0
    capsys.readouterr()
    trust = Home(home).load().trust

    def token(mesh_id: bytes) -> str:
        return JoinToken(
            mesh_id=mesh_id,  # type: ignore[arg-type]
            issuer=bytes(32),  # type: ignore[arg-type]
            token_id=bytes(16),
            secret=bytes(32),
            not_after=2**31,
            addresses=(),
        ).encode()

    told = said(capsys, 1, "join", token(os.urandom(32)), "--home", str(home))
    assert "another mesh" in told
    assert "--home" in told
    # Joining twice is no mistake: whatever sets machines up may say it each time.
    told = said(capsys, 0, "join", token(trust.mesh_id), "--home", str(home))
    assert "already" in told
    assert f"Next: gossipnet run --home {home}" in told
