"""The socket that only reads, who may open which socket, and what is remembered of whom."""

import os
from collections import Counter
from pathlib import Path

import pytest
from resp_world import Caller, Refused, open_service

from gossipnet.errors import ConfigError
from gossipnet.io import doors
from gossipnet.io.doors import Door, Doors, ReadOnly, read_only
from gossipnet.io.local_socket import Peer
from gossipnet.resp import audit
from gossipnet.resp.catalogue import TABLE
from gossipnet.resp.replies import CommandError
from gossipnet.resp.table import Command

ME = os.geteuid()
OTHER = ME + 4321


def reading(service) -> Caller:  # type: ignore[no-untyped-def]
    caller = Caller(service)
    service.close_session(caller.session)
    caller.session = service.open_session("/read.sock", audit.Caller(OTHER, 7, 99, readonly=True))
    return caller


def refusal(caller: Caller, *words: object) -> str:
    """What a command that fails is answered."""
    try:
        return f"no refusal but {caller.call(*words)!r}"
    except Refused as error:
        return str(error)


def test_it_reads_and_does_nothing_else() -> None:
    service = open_service()
    owner, reader = Caller(service), reading(service)
    owner.call("SET", "k", "v")
    assert reader.call("GET", "k") == b"v"
    assert reader.call("KEYS", "*") == [b"k"]
    assert reader.call("GOSSIP", "MEMBERS")
    for words, why in (
        (("SET", "k", "x"), "writes"),
        (("DEL", "k"), "writes"),
        (("SORT", "l", "STORE", "m"), "writes"),
        (("PUBLISH", "c", "x"), "speaks to the whole mesh"),
        (("GOSSIP", "INVITE"), "manages the node"),
        (("GOSSIP", "REVOKE", "x"), "manages the node"),
        (("GOSSIP", "AUDIT"), "manages the node"),
        (("GOSSIP", "LEAVE"), "manages the node"),
        (("CLIENT", "KILL", "ID", "1"), "manages the node"),
        (("CONFIG", "SET", "notify-keyspace-events", "KEA"), "manages the node"),
    ):
        answer = refusal(reader, *words)
        assert "NOPERM this socket only reads" in answer, words
        assert why in answer
    assert owner.call("GET", "k") == b"v"
    assert service.sessions[owner.session.number].caller.readonly is False


def test_not_in_a_transaction_either() -> None:
    service = open_service()
    Caller(service).call("SET", "k", "v")
    reader = reading(service)
    reader.call("MULTI")
    assert "NOPERM" in refusal(reader, "SET", "k", "x")
    assert "EXECABORT" in refusal(reader, "EXEC")
    reader.call("MULTI")
    reader.call("GET", "k")
    assert reader.call("EXEC") == [b"v"]


def all_commands() -> list[Command]:
    found = []
    for command in TABLE.values():
        found += list(command.subcommands.values()) or [command]
    return found


@pytest.mark.parametrize("command", all_commands(), ids=lambda command: command.name)
def test_every_command_that_may_write_or_manage_is_refused(command: Command) -> None:
    service = open_service()
    session = reading(service).session
    beyond = command.writes or "admin" in command.flags or command.name == "publish"
    if beyond and command.name != "exec":
        with pytest.raises(CommandError, match="only reads"):
            service.audit.judge(session, command, [b"x"])
    else:
        service.audit.judge(session, command, [b"x"])


def test_what_was_managed_is_remembered_and_what_is_secret_is_not() -> None:
    service = open_service()
    told: list[tuple[str, str]] = []
    service.audit.say = lambda kind, text, _level: told.append((kind, text))
    owner, reader = Caller(service), reading(service)
    owner.call("SET", "k", "v")
    refusal(owner, "GOSSIP", "REVOKE", "nobody")
    refusal(owner, "GOSSIP", "ROOT", "IMPORT", "a secret record")
    refusal(reader, "SET", "k", "secret value")
    actions = service.audit.rows()["actions"]
    assert [(row["command"], row["uid"], row["allowed"]) for row in actions] == [
        ("GOSSIP REVOKE nobody", -1, True),
        ("GOSSIP ROOT", -1, True),
        ("SET", OTHER, False),
    ]
    assert ("client-refused", f"client 3 (uid {OTHER}, pid 99, read-only) was refused SET") in told
    assert "secret" not in f"{actions}{told}"
    service.close_session(owner.session)
    closed = service.audit.rows()["connections"][-1]
    assert (closed["commands"], closed["writes"], closed["admin"]) == (3, 3, 2)
    line = bytes(Caller(service).call("CLIENT", "LIST")).decode()
    assert f" uid={OTHER} gid=7 pid=99 readonly=1 " in line


def test_memory_and_log_are_bounded() -> None:
    service = open_service()
    told: list[str] = []
    service.audit.say = lambda _kind, text, _level: told.append(text)
    caller = Caller(service)
    for _each in range(2 * audit.ACTIONS_KEPT):
        caller.call("GOSSIP", "RENEW")
    for _each in range(2 * audit.CONNECTIONS_KEPT):
        service.close_session(service.open_session())
    rows = service.audit.rows()
    assert len(rows["actions"]) == audit.ACTIONS_KEPT
    assert len(rows["connections"]) == audit.CONNECTIONS_KEPT
    assert len(told) == audit.LOGGED_PER_SECOND
    assert rows["unlogged"] > audit.ACTIONS_KEPT


@pytest.mark.parametrize(
    ("mode", "group", "peer", "admitted"),
    [
        (None, None, Peer(ME), True),
        (None, None, Peer(0), True),
        (None, None, Peer(OTHER), False),
        (None, None, Peer(-2), False),
        (None, None, Peer(known=False), True),
        (0o600, None, Peer(OTHER), False),
        (0o660, 50, Peer(OTHER, 50), True),
        (0o660, 50, Peer(OTHER, 51), False),
        (0o660, 50, Peer(OTHER, 51, 1, frozenset({50})), True),
        (0o666, None, Peer(OTHER, 51), True),
        (0o666, None, Peer(-2), True),
    ],
)
def test_who_may_come_in(
    mode: int | None, group: int | None, peer: Peer, admitted: bool, monkeypatch
) -> None:
    monkeypatch.setattr(doors, "bind_local_socket", lambda *_each: None)
    readonly = None if mode is None else ReadOnly(Path("/x"), mode, group)
    assert Door(Path("/x"), readonly).admits(peer) is admitted


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    assert read_only(None, 0o660, "", tmp_path) is None
    with pytest.raises(ConfigError, match="set that as well"):
        read_only(None, 0o660, "wheel", tmp_path)
    with pytest.raises(ConfigError, match="no group of this machine"):
        read_only(Path("/run/x"), 0o660, "nobody-has-this-group", tmp_path)
    with pytest.raises(ConfigError, match="inside the home"):
        read_only(tmp_path / "read.sock", 0o660, "", tmp_path)
    assert read_only(tmp_path / "read.sock", 0o600, "", tmp_path) is not None


def test_the_first_socket_is_taken_away_when_the_second_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    from gossipnet.errors import HomeError

    with pytest.raises(HomeError, match="in the way"):
        Doors(
            tmp_path / "one",
            ReadOnly(tmp_path / "taken", 0o600, None),
            Counter(),
            lambda: False,
            lambda *_each: None,
        )
    assert not (tmp_path / "one").exists()
