"""Files that are no good at `sign` and `install`: one clear sentence each, and nothing changed."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gossipnet.cli.main import main
from gossipnet.identity import handover
from gossipnet.identity.armour import unwrap, wrap
from gossipnet.identity.home import Home

Say = Callable[..., str]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    monkeypatch.chdir(tmp_path)

    def run(home: str, code: int, *words: str) -> str:
        assert main([words[0], "--home", str(tmp_path / home), *words[1:]]) == code
        err = capsys.readouterr().err
        assert "bug" not in err
        if code:
            assert err.count("\n") == 1, "one sentence"
        return err

    for mesh, home in (("one", "a"), ("two", "z")):
        run(home, 0, "init", mesh, "--name", home, "--no-passphrase")
    return run


def spoil(path: str) -> None:
    text = Path(path).read_text()
    last = text.rstrip()[-1]
    Path(path).write_text(text.rstrip()[:-1] + ("a" if last != "a" else "b") + "\n")


def test_from_request_to_node(say: Say, tmp_path: Path) -> None:
    assert "carry b.request to an issuer" in say("b", 0, "request", "--name", "b")
    key = (tmp_path / "b" / "identity.key").read_bytes()
    say("b", 0, "request", "--name", "b")
    assert (tmp_path / "b" / "identity.key").read_bytes() == key, "asking twice is no mistake"
    assert "carry b.certificate back" in say("a", 0, "sign", "b.request")
    assert "gossipnet run" in say("b", 0, "install", "b.certificate")
    assert "already" in say("b", 0, "install", "b.certificate")
    node = Home(tmp_path / "b").load()
    assert (node.name, node.roles, node.issuer) == ("b", {"member"}, None)
    assert not (tmp_path / "b" / "issuer.key").exists()
    assert "already holds a node" in say("b", 1, "request", "--name", "b")


def test_an_issuer_by_file(say: Say, tmp_path: Path) -> None:
    say("b", 0, "request", "--name", "b")
    say("a", 0, "sign", "b.request", "--role", "issuer")
    say("b", 0, "install", "b.certificate")
    assert Home(tmp_path / "b").load().issuer is not None
    say("c", 0, "request", "--name", "c")
    say("b", 0, "sign", "c.request")
    say("c", 0, "install", "c.certificate")
    assert len(Home(tmp_path / "c").load().chain) == 3
    assert "only issuers may" in say("c", 4, "sign", "c.request")


def test_requests_that_are_no_good(say: Say, tmp_path: Path) -> None:
    say("b", 0, "request", "--name", "b")
    assert "cut or damaged" in (spoil("b.request"), say("a", 1, "sign", "b.request"))[1]
    say("b", 0, "request", "--name", "b")
    # Somebody on the way puts his own key in, and keeps the checksum right.
    text = Path("b.request").read_text()
    packed = bytearray(unwrap(handover.REQUEST, text, 4096))
    packed[40] ^= 1
    Path("b.request").write_text(wrap(handover.REQUEST, bytes(packed)))
    assert "changed on the way" in say("a", 1, "sign", "b.request")
    assert "cannot read" in say("a", 1, "sign", "missing")
    Path("x").write_text("hello")
    assert "no whole join request" in say("a", 1, "sign", "x")
    Path("x").write_text("gossipnet join request, version 2\nabc\n")
    assert "newer gossipnet" in say("a", 1, "sign", "x")
    other = (tmp_path / "z" / "identity.cert").stat()
    assert other.st_size
    from gossipnet import ids

    one = ids.text(Home(tmp_path / "a").load().trust.mesh_id)
    say("b", 0, "request", "--name", "b", "--mesh", one)
    assert "another mesh" in say("z", 1, "sign", "b.request")
    assert "no mesh id" in say("b", 2, "request", "--mesh", "hello")
    assert "--ttl" in say("a", 2, "sign", "b.request", "--ttl", "400d")
    assert "only reads" in say(
        "a", 1, "sign", "b.request", "--role", "observer", "--allow", "write:x"
    )


def test_certificates_that_are_no_good(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gossipnet import ids

    assert (
        "no whole node certificate"
        in (
            Path("x").write_text("hello"),
            say("b", 1, "install", "x"),
        )[1]
    )
    say("b", 0, "request", "--name", "b")
    assert "a join request, and a node certificate is wanted" in say("b", 1, "install", "b.request")
    say("a", 0, "sign", "b.request", "--ttl", "1d")
    say("c", 0, "request", "--name", "c")
    assert "another machine's key (it names 'b')" in say("c", 1, "install", "b.certificate")
    assert "no join request was made" in say("d", 1, "install", "b.certificate")

    real, began = time.time, time.time()
    monkeypatch.setattr(time, "time", lambda: began + 2 * 86_400)
    assert "expired" in say("b", 1, "install", "b.certificate")
    monkeypatch.setattr(time, "time", lambda: began - 2 * 86_400)
    assert "clock" in say("b", 1, "install", "b.certificate")
    monkeypatch.setattr(time, "time", real)

    # Signed by another mesh than the request named.
    say("z", 0, "sign", "b.request", "--out", "z.certificate")
    one = ids.text(Home(tmp_path / "a").load().trust.mesh_id)
    say("b", 0, "request", "--name", "b", "--mesh", one)
    assert "another mesh, 'two'" in say("b", 1, "install", "z.certificate")

    # A byte of the certificate itself is changed and the checksum kept right.
    packed = bytearray(unwrap(handover.ANSWER, Path("b.certificate").read_text(), 1 << 20))
    packed[-60] ^= 1
    Path("c.certificate").write_text(wrap(handover.ANSWER, bytes(packed)))
    assert "does not hold" in say("b", 1, "install", "c.certificate")
    assert not (tmp_path / "b" / "identity.cert").exists()
    say("b", 0, "install", "b.certificate")
