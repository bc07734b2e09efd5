"""`gossipnet root` on homes without a daemon: every way a key can go has a way back."""

import json
from pathlib import Path

import pytest

from gossipnet.cli.main import main
from gossipnet.identity.home import Home
from gossipnet.identity.rootkeys import found_in


class Told:
    """What one command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def document(self) -> dict:
        return json.loads(self.out)


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GOSSIPNET_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Told:
        code = main([words[0], "--home", str(tmp_path / "home"), *words[1:]])
        caught = capsys.readouterr()
        return Told(code, caught.out, caught.err)

    return run


@pytest.fixture
def founded(say) -> dict:
    rule = ("--authorities", "2-of-3")
    return say("init", "t", "--name", "n0", "--no-passphrase", "--json", *rule).document


def carry_away(tmp_path: Path, *names: str) -> list[str]:
    away = tmp_path / "away"
    away.mkdir(exist_ok=True)
    for name in names:
        (tmp_path / "home" / name).rename(away / name)
    return [str(away / name) for name in names]


def test_init_makes_as_many_keys_as_asked_and_prints_the_recovery_key(
    say, founded, tmp_path: Path
) -> None:
    files = [path.name for path in found_in(tmp_path / "home")]
    assert files == ["root-1.key", "root-2.key", "root-3.key"]
    assert founded["authorities"] == "2-of-3"
    assert founded["recovery_key"].startswith("gnr1-")
    assert all((tmp_path / "home" / name).stat().st_mode & 0o077 == 0 for name in files)
    shown = say("root", "show")
    assert "2-of-3, with recovery key, signed by itself" in shown.out
    assert say("init", "--authorities", "3-of-2", "--no-passphrase").code == 2


def test_the_keys_of_others_are_asked_for_by_a_file(say, founded, tmp_path: Path) -> None:
    away = carry_away(tmp_path, "root-2.key", "root-3.key")
    done = say("root", "rotate", "--authorities", "2-of-2", "--no-passphrase", "--json")
    assert done.document["file"] == "root-v2.proposal"
    assert "1 more of the present authority keys, or the recovery key" in done.err
    assert say("root", "import", "root-v2.proposal").code == 1
    assert say("root", "sign", "root-v2.proposal").code == 1  # nothing new here
    signed = say("root", "sign", "root-v2.proposal", "--key", away[1])
    assert signed.code == 0
    assert "version 2: 2-of-2 (now 2-of-3)" in signed.err
    assert "Next: gossipnet root --home" in signed.err
    assert say("root", "import", "root-v2.proposal").code == 0
    assert "version 2 " in say("root", "show").out
    assert Home(tmp_path / "home").load().trust.root_version == 2


def test_lost_root_keys_are_replaced_by_the_recovery_key(
    say, founded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in found_in(tmp_path / "home"):
        path.unlink()
    monkeypatch.setenv("GOSSIPNET_RECOVERY", "gnr1-mistyped")
    assert "compare it with the paper" in say("root", "rotate", "--recovery").err
    assert found_in(tmp_path / "home") == []
    monkeypatch.setenv("GOSSIPNET_RECOVERY", founded["recovery_key"].upper())
    rule = ("--authorities", "1-of-1", "--no-passphrase")
    done = say("root", "rotate", "--recovery", "--new-recovery", *rule)
    assert done.code == 0
    assert "gnr1-" in done.err
    assert [path.name for path in found_in(tmp_path / "home")] == ["root-v2.key"]
    root = Home(tmp_path / "home").load().trust.root
    assert (root.version, root.by_recovery, root.by_rule) == (2, True, False)
    # The old one is of no use any more.
    assert "the recovery key" not in say("root", "rotate", "--keep-keys").err
    done = say("root", "rotate", "--recovery", "--new-recovery", *rule)
    assert "the recovery key, for it is to be replaced" in done.err


def test_a_wrong_passphrase_leaves_nothing(
    say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipnet.identity.keyfile.KDF_OPS", 1)
    monkeypatch.setattr("gossipnet.identity.keyfile.KDF_MEMORY", 8192)
    monkeypatch.setenv("GOSSIPNET_PASSPHRASE", "right")
    assert say("init", "t", "--name", "n0").code == 0
    monkeypatch.setenv("GOSSIPNET_PASSPHRASE", "wrong")
    done = say("root", "rotate")
    assert done.code == 1
    assert "does not open" in done.err
    assert [path.name for path in found_in(tmp_path / "home")] == ["root.key"]
    monkeypatch.setenv("GOSSIPNET_PASSPHRASE", "right")
    assert say("root", "rotate").code == 0
    monkeypatch.delenv("GOSSIPNET_PASSPHRASE")
    assert say("root", "rotate").code == 2


def test_a_member_becomes_an_issuer_by_the_root_keys(say, founded, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    before = home.load()
    assert say("root", "rotate", "--authorities", "1-of-1", "--no-passphrase").code == 0
    assert home.load().trust.root_version == 2
    done = say("root", "issuer", "--json")
    assert done.document["issuer"] is True
    after = home.load()
    assert after.node_id == before.node_id
    assert after.issuer.certificate.fingerprint != before.issuer.certificate.fingerprint
    # The certificate under the old keys can go now.
    old = before.trust.steps(before.chain[-1:])[0][0]
    from gossipnet import ids

    dropped = say("root", "rotate", "--keep-keys", "--drop-issuer", ids.text(old))
    assert dropped.code == 0
    assert home.load().trust.withdrawn(old) is False  # nobody shows it any more
    assert old not in home.load().trust.root.issuers


@pytest.mark.parametrize(
    "words",
    [
        ["fly"],
        ["sign"],
        ["import"],
        ["show", "file"],
        ["rotate", "--keep-keys", "--authorities", "1-of-1"],
        ["rotate", "--keep-keys", "--void", "abc"],
        ["rotate", "--keep-keys", "--drop-issuer", "a" * 52],
        ["rotate", "--authorities", "0-of-1"],
        ["rotate", "--authorities", "2"],
    ],
    ids=str,
)
def test_words_that_make_no_sense(say, founded, words: list[str]) -> None:
    done = say("root", *words)
    assert done.code == 2
    assert done.err.startswith("gossipnet: ")
    assert done.err.count("\n") == 1


def test_files_that_are_no_proposals(say, founded, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    assert "no whole root proposal" in say("root", "sign", "x").err
    assert "cannot read" in say("root", "import", "nowhere").err
