"""What only people see: narrow terminals, lines that come and go, Ctrl-C in the middle."""

import os
import signal
import socket
import sys
from collections.abc import Iterator

import pytest
from fake_socket import FakeSocket, fake_socket, resp3

from gossipnet.cli import wait
from gossipnet.cli.main import main

ROW = {b"name": b"atlas", b"state": b"alive", b"address": b"10.0.0.1:7117", b"version": b"v1"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSocket]:
    with fake_socket() as fake:
        monkeypatch.setenv("GOSSIPNET_HOME", str(fake.home))
        monkeypatch.setenv("NO_COLOR", "1")
        fake.answers |= {"GOSSIP MEMBERS": resp3([ROW]), "GOSSIP STATUS": resp3({b"ready": True})}
        yield fake


def test_a_narrow_terminal_gets_the_first_columns(
    fake: FakeSocket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["members"]) == 0
    piped = capsys.readouterr()
    assert "VERSION" in piped.out
    assert "left out" not in piped.err
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["members"]) == 0
    shown = capsys.readouterr()
    assert max(len(line) for line in shown.out.splitlines()) <= 40
    assert shown.out.split()[:3] == ["NAME", "STATE", "ADDRESS"]
    assert "left out: BEHIND, ROLES, ZONE, VERSION;" in shown.err
    monkeypatch.setenv("COLUMNS", "5")
    assert main(["members"]) == 0
    assert capsys.readouterr().out.split()[:4] == ["NAME", "STATE", "atlas*", "alive"]


def test_waiting_says_for_what(
    fake: FakeSocket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behind = {b"ready": True, b"converged": False, b"sync": {b"received": 3, b"wanted": 8}}
    fake.answers["GOSSIP STATUS"] = resp3(behind)
    said: list[str] = []

    class Told:
        def __call__(self, what: str) -> None:
            said.append(what)

        def end(self) -> None:
            said.append("end")

    monkeypatch.setattr(wait, "Waiting", Told)
    assert main(["wait", "--converged", "--timeout", "50ms"]) == 6
    assert said[0] == "this node is behind the others: 3 of 8 records"
    assert said[-1] == "end"
    assert "3 of 8 records" in capsys.readouterr().err


def test_bench_ends_at_ctrl_c_and_removes_its_keys(
    fake: FakeSocket, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_client: socket.socket) -> None:
        """No answer: Ctrl-C comes while it is waited for."""
        os.kill(os.getpid(), signal.SIGINT)

    fake.answers |= {"SET": b"+OK\r\n", "GET": interrupt, "DEL": b":1\r\n"}
    fake.answers["SCAN"] = resp3([b"0", [b"gossipnet:bench:1:read"]])
    assert main(["bench", "read"]) == 130
    assert capsys.readouterr().err == ""
    assert [b"DEL", b"gossipnet:bench:1:read"] in fake.asked
