"""Commands against a fake socket: data on stdout, talk on stderr, the right exit code."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fake_socket import FakeSocket, fake_socket, push, resp3

from gossipnet.cli.call import formatted, raw_lines
from gossipnet.cli.catalogue import COMMANDS
from gossipnet.cli.main import main
from gossipnet.client import ReplyError


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        assert self.out.count("\n") == 1
        document = json.loads(self.out)
        assert document["v"] == 1
        return dict(document)


Run = Callable[..., Done]


@pytest.fixture
def fake() -> Iterator[FakeSocket]:
    with fake_socket() as fake:
        yield fake


@pytest.fixture
def run(
    fake: FakeSocket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.setenv("GOSSIPNET_HOME", str(fake.home))

    def go(*words: str) -> Done:
        code = main(list(words))
        return Done(code, *capsys.readouterr())

    return go


MEMBERS = [
    {
        b"name": b"atlas",
        b"id": b"aaaa",
        b"state": b"alive",
        b"address": b"10.0.0.1:7117",
        b"rtt_ms": None,
        b"behind": 0,
        b"roles": [b"issuer", b"member"],
        b"zone": b"",
        b"version": b"0.1.0",
        b"incarnation": 1,
    },
    {
        b"name": b"rpi",
        b"id": b"bbbb",
        b"state": b"suspect",
        b"address": b"10.0.0.2:7117",
        b"rtt_ms": 1.94,
        b"behind": 1,
        b"roles": [b"member"],
        b"zone": b"att\x1b[2Jic",
        b"version": b"0.1.0",
        b"incarnation": 4,
    },
]
STATUS = {b"node_id": b"aaaa", b"ready": True, b"lag_s": 0.0, b"drops": {b"late": 2}}


def test_members(fake: FakeSocket, run: Run) -> None:
    fake.answers |= {"GOSSIP MEMBERS": resp3(MEMBERS), "GOSSIP STATUS": resp3(STATUS)}
    done = run("members")
    assert done.code == 0
    head, atlas, rpi = done.out.splitlines()
    assert head.split()[:3] == ["NAME", "STATE", "ADDRESS"]
    assert atlas.startswith("atlas*  alive")
    assert "1.9 ms" in rpi
    assert "1 op " in rpi
    assert "\x1b" not in done.out
    assert "2 members: 1 alive, 1 suspect." in done.err
    rows = run("members", "--json").document["members"]
    assert rows[1]["name"] == "rpi"
    assert rows[1]["rtt_ms"] == 1.94
    assert rows[0]["rtt_ms"] is None


def test_members_by_distance(fake: FakeSocket, run: Run) -> None:
    far = {b"name": b"far", b"state": b"dead", b"rtt_ms": 40.0, b"rtt_measured": False}
    fake.answers |= {"GOSSIP MEMBERS": resp3([far, *MEMBERS]), "GOSSIP STATUS": resp3(STATUS)}
    lines = run("members", "--sort", "rtt").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["rpi", "far", "atlas*"]
    assert "~40.0 ms" in lines[1]
    rows = run("members", "--sort", "state", "--json").document["members"]
    assert [row["state"] for row in rows] == ["alive", "suspect", "dead"]


def test_owner(fake: FakeSocket, run: Run) -> None:
    fake.answers |= {"GOSSIP OWNER": resp3(MEMBERS), "GOSSIP STATUS": resp3(STATUS)}
    done = run("owner", "nightly", "2")
    assert done.out == "atlas\nrpi\n"
    assert "this node owns it" in done.err
    assert fake.asked[0] == [b"GOSSIP", b"OWNER", b"nightly", b"2"]
    owners = run("owner", "nightly", "--json").document["owners"]
    assert [row["me"] for row in owners] == [True, False]


def test_trace_names_who_did_not_answer(fake: FakeSocket, run: Run) -> None:
    row = {b"name": b"atlas", b"state": b"here", b"at_ms": 1_700_000_000_123, b"after_ms": 4}
    row |= {b"hops": 2, b"from": b"rpi", b"how": b"pushed"}
    whole = {b"key": b"k", b"author": b"rpi", b"seq": 7, b"nodes": [row], b"silent": []}
    fake.answers["GOSSIP TRACE"] = resp3(whole)
    done = run("trace", "k")
    assert done.code == 0
    assert done.out.splitlines()[1].split() == [
        "atlas", "here", "2023-11-14", "22:13:20.123Z", "4", "ms", "2", "rpi", "pushed",
    ]  # fmt: skip
    fake.answers["GOSSIP TRACE"] = resp3({**whole, b"silent": [b"pi2"]})
    done = run("trace", "k", "--timeout", "100ms", "--json")
    assert done.code == 6
    assert done.document["silent"] == ["pi2"]
    assert "1 of 2 did not answer within 100ms: pi2" in done.err
    fake.answers["GOSSIP TRACE"] = b"-NOTFOUND there is no key 'k' here\r\n"
    assert run("trace", "k").code == 5


def test_why(fake: FakeSocket, run: Run) -> None:
    case = {b"name": b"rpi", b"state": b"dead", b"since_s": 90.0, b"id": b"bbbb"}
    said = {b"accuser": b"atlas", b"evidence": b"silent", b"wall_ms": 1000, b"incarnation": 4}
    past = {b"wall_ms": 500, b"text": b"cleared: refuted by its incarnation 4"}
    case |= {b"observers": [b"atlas"], b"accusations": [said], b"past": [past]}
    fake.answers["GOSSIP WHY"] = resp3([case])
    out = run("why", "rpi").out
    assert "rpi is dead, for 1m30s" in out
    assert "atlas accused it: silent (incarnation 4)" in out
    assert "refuted by its incarnation 4" in out


def test_status(fake: FakeSocket, run: Run) -> None:
    fake.answers |= {"GOSSIP STATUS": resp3(STATUS), "GOSSIP MEMBERS": resp3(MEMBERS)}
    done = run("status", "--all")
    assert "ready       yes" in done.out
    assert "drops.late  2" in done.out
    assert run("status", "--json").document["drops"] == {"late": 2}


def test_status_for_people_is_short_and_warns(fake: FakeSocket, run: Run) -> None:
    well = {b"name": b"atlas", b"ready": True, b"keys": 3, b"converged": True, b"peers": 1}
    fake.answers |= {"GOSSIP STATUS": resp3(well), "GOSSIP MEMBERS": resp3(MEMBERS[:1])}
    lines = run("status").out.splitlines()
    assert len(lines) == 11
    assert "state        3 keys, converged" in lines
    assert lines[-1] == "warnings     none"

    dead = {b"name": b"rpi", b"state": b"dead"}
    ill = well | {b"ready": False, b"lag_s": 75.0, b"disk": b"full", b"disk_damage": {b"names": 1}}
    ill |= {b"clock": {b"complaint": b"wrong by 4 s", b"offset_s": 4.0}, b"quarantined": 2}
    ill |= {b"trust": {b"forks": 1, b"own": b"ada (lost)"}, b"poisoned": [{b"key": b"k"}]}
    ill |= {b"counters": {b"records_newer": 7}}
    fake.answers |= {"GOSSIP STATUS": resp3(ill), "GOSSIP MEMBERS": resp3([dead])}
    out = run("status").out
    told = out[out.index("warnings") :].splitlines()
    assert len(told) == 11
    assert "this node was revoked by ada (lost)" in out
    assert "upgrade this node" in out
    for word in ("ready", "rpi", "1m15s", "full", "damaged", "4 s", "two histor", "failed", "wait"):
        assert any(word in line for line in told), word


def test_peers(fake: FakeSocket, run: Run) -> None:
    row = {b"name": b"rpi", b"address": b"10.0.0.2:7117", b"rtt_ms": 2.0, b"since_s": 90.0}
    fake.answers["GOSSIP PEERS"] = resp3([row])
    done = run("peers")
    assert "1m30s" in done.out
    assert done.err.startswith("1 link")
    assert run("peers", "--json").document["peers"][0]["name"] == "rpi"
    fake.answers["GOSSIP PEERS"] = resp3([])
    assert run("peers").out == ""


def test_log(fake: FakeSocket, run: Run) -> None:
    rows = [
        {b"wall": 1.0 * n, b"kind": b"link-up", b"level": b"info", b"text": b"number %d" % n}
        for n in range(3)
    ]
    fake.answers["GOSSIP EVENTS"] = resp3(rows)
    assert [line.split()[-1] for line in run("log", "-n", "2").out.splitlines()] == ["1", "2"]
    assert len(run("log", "--json").document["events"]) == 3


def test_get(fake: FakeSocket, run: Run) -> None:
    fake.answers["GET"] = resp3(b"a\x00\nb")
    assert run("get", "k").out == "a\x00\nb"
    assert run("get", "k", "--json").document == {"v": 1, "key": "k", "value": "a\x00\nb"}
    fake.answers["GET"] = resp3(b"\xff")
    assert run("get", "k", "--json").document["value"] == {"base64": "/w=="}
    fake.answers["GET"] = resp3(None)
    done = run("get", "k")
    assert (done.code, done.out) == (5, "")
    assert "there is no key 'k'" in done.err
    assert run("get", "k", "--json").code == 5


def test_set(fake: FakeSocket, run: Run) -> None:
    fake.answers["SET"] = resp3("OK")
    assert run("set", "k", "v", "--ttl", "1m30s") == (0, "OK\n", "")
    assert fake.asked[-1] == [b"SET", b"k", b"v", b"PX", b"90000"]
    assert run("set", "--json", "k", "--", "-v").document["ok"] is True
    assert fake.asked[-1] == [b"SET", b"k", b"-v"]
    assert run("set", "k", "v", "--ttl", "soon").code == 2


def test_set_waits_for_other_nodes(fake: FakeSocket, run: Run) -> None:
    fake.answers |= {"SET": b"+OK\r\n", "WAIT": b":2\r\n"}
    assert run("set", "k", "v", "--wait", "2").code == 0
    assert fake.asked[-1] == [b"WAIT", b"2", b"5000"]
    assert run("set", "k", "v", "--wait", "1", "--json").document["nodes"] == 2
    late = run("set", "k", "v", "--wait", "3")
    assert (late.code, late.out) == (6, "OK\n")
    assert "2 of 3 other nodes" in late.err
    assert run("set", "k", "v", "--wait", "0").code == 2
    assert run("set", "k", "v", "--wait", "all").code == 2


def test_del_incr_keys(fake: FakeSocket, run: Run) -> None:
    fake.answers |= {"DEL": resp3(1), "INCRBY": resp3(-4), "SCAN": resp3([b"0", [b"b", b"a\n"]])}
    assert run("del", "a", "b").out == "1\n"
    assert run("incr", "n", "-5").out == "-4\n"
    assert fake.asked[-1] == [b"INCRBY", b"n", b"-5"]
    assert run("keys").out == "a\\n\nb\n"
    assert run("keys", "--json", "*").document["keys"] == ["a\n", "b"]
    fake.answers |= {"DEL": resp3(0), "SCAN": resp3([b"0", []])}
    assert run("del", "a").code == 5
    done = run("keys", "x*")
    assert (done.code, done.out, done.err) == (0, "", "no key matches x*\n")


def test_call(fake: FakeSocket, run: Run) -> None:
    fake.answers |= {"ECHO": resp3(b"hi"), "LPOP": b"-WRONGTYPE no\r\n"}
    assert run("call", "ECHO", "--home", "--json") == (0, "hi\n", "")
    assert fake.asked[-1] == [b"ECHO", b"--home", b"--json"]
    assert run("call", "--no-raw", "ECHO", "x").out == '"hi"\n'
    assert run("call", "--json", "ECHO", "x").document["reply"] == "hi"
    done = run("call", "LPOP", "x")
    assert (done.code, done.out) == (1, "")
    assert "WRONGTYPE no" in done.err
    fake.answers["BLPOP"] = b""
    done = run("call", "--timeout", "50ms", "BLPOP", "x", "0")
    assert done.code == 6
    assert "no answer" in done.err


def test_replies_look_as_in_redis_cli() -> None:
    reply = [1, b'a"\n\xff', None, [True, 1.5], {b"k": b"v"}, {b"m"}, "OK", [], ReplyError("ERR x")]
    assert formatted(reply) == [
        "1) (integer) 1",
        '2) "a\\"\\n\\xff"',
        "3) (nil)",
        "4) 1) (true)",
        "   2) (double) 1.5",
        '5) 1# "k" => "v"',
        '6) 1~ "m"',
        "7) OK",
        "8) (empty array)",
        "9) (error) ERR x",
    ]
    assert raw_lines([1, [b"x", None], {b"k": False}, 1.5]) == [
        *(b"1", b"x", b"", b"k", b"false", b"1.5")
    ]


def test_invite(fake: FakeSocket, run: Run) -> None:
    fake.answers["GOSSIP INVITE"] = resp3(b"gn1abc")
    done = run("invite", "--uses", "3", "--ttl", "15m", "--allow", "write:sensors:")
    assert done.out == "gn1abc\n"
    assert "3 machines as member, valid 15m" in done.err
    assert "Next: gossipnet join TOKEN" in done.err
    assert b" ".join(fake.asked[-1]) == (
        b"GOSSIP INVITE ROLE member USES 3 TTL 900 ALLOW write:sensors:"
    )
    assert run("invite", "--json").document["token"] == "gn1abc"
    fake.answers["GOSSIP INVITE"] = b"-NOPERM only issuers may; run it on atlas\r\n"
    done = run("invite")
    assert done == (4, "", "gossipnet: only issuers may; run it on atlas\n")
    assert run("invite", "--allow", "fly:").code == 2
    assert run("invite", "--uses", "0").code == 2


def test_revoke(fake: FakeSocket, run: Run) -> None:
    row = {"name": "eve", "id": "q" * 52, "already": False, "issuers": 1}
    fake.answers["GOSSIP REVOKE"] = resp3(row)
    done = run("revoke", "eve", "--reason", "stolen", "--json")
    assert done.document["name"] == "eve"
    assert "eve is revoked" in done.err
    assert "was an issuer" in done.err
    fake.answers["GOSSIP REVOKE"] = resp3({**row, "already": True, "issuers": 0})
    assert "nothing has changed" in run("revoke", "eve").err
    fake.answers["GOSSIP REVOKE"] = b"-NOPERM this node may not revoke\r\n"
    assert run("revoke", "eve") == (4, "", "gossipnet: this node may not revoke\n")
    assert run("revoke", "eve", "--reason", "x" * 201).code == 2


def test_leave(fake: FakeSocket, run: Run) -> None:
    fake.answers["GOSSIP LEAVE"] = resp3("OK")
    done = run("leave")
    assert done.out == ""
    assert "Next: gossipnet run" in done.err


def test_renew_waits_until_the_daemon_holds_a_new_certificate(fake: FakeSocket, run: Run) -> None:
    def status(serial: str, renewal: str, failure: str = "") -> bytes:
        certificate = {"serial": serial, "renewal": renewal, "not_after": 1_900_000_000}
        return resp3({"certificate": {**certificate, "failure": failure}})

    answers = iter([status("a", "idle"), status("a", "asking"), status("b", "idle")])
    fake.answers["GOSSIP STATUS"] = lambda client: client.sendall(next(answers))
    fake.answers["GOSSIP RENEW"] = resp3("OK")
    done = run("renew")
    assert done.code == 0
    assert "2030-03-17" in done.err
    answers = iter([status("b", "idle"), status("b", "failed", "atlas cannot be reached")])
    done = run("renew")
    assert done.code == 1
    assert "atlas cannot be reached" in done.err
    fake.answers["GOSSIP RENEW"] = b"-NOPERM no issuer is known here\r\n"
    answers = iter([status("b", "idle")])
    assert run("renew").code == 4


def change(number: int) -> bytes:
    return push(b"change", b"k%d" % number, b"set", b"string", b"v" * 300, b"atlas", 1000 + number)


def test_watch(fake: FakeSocket, run: Run) -> None:
    fake.answers["GOSSIP WATCH"] = b"+OK\r\n" + change(1) + change(2)
    done = run("watch", "-n", "2", "k*")
    assert done.code == 0
    first, second = done.out.splitlines()
    assert "set       k1 " in first
    assert 'vvv"...' in first
    assert 'vvv"...' in first
    assert second.endswith("atlas")
    assert done.err.endswith("2 changes\n")
    assert [b"GOSSIP", b"WATCH", b"k*"] in fake.asked
    rows = [json.loads(line) for line in run("watch", "-n", "2", "--json").out.splitlines()]
    assert [(row["v"], row["key"], row["author"]) for row in rows] == [
        (1, "k1", "atlas"),
        (1, "k2", "atlas"),
    ]


def test_watch_that_waits_in_vain(fake: FakeSocket, run: Run) -> None:
    fake.answers["GOSSIP WATCH"] = b"+OK\r\n" + change(1)
    done = run("watch", "-n", "2", "--for", "50ms")
    assert done.code == 6
    assert "1 of 2 changes came in time" in done.err
    assert run("watch", "--for", "10ms").code == 0


def test_watch_ends_with_its_daemon(fake: FakeSocket, run: Run) -> None:
    fake.answers["GOSSIP WATCH"] = lambda client: client.sendall(b"+OK\r\n") or client.shutdown(2)
    assert run("watch").code == 3


def test_nobody_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GOSSIPNET_HOME", raising=False)
    for words in (["members"], ["status", "--json"], ["get", "a"], ["watch"], ["call", "PING"]):
        at = len(words) if words[0] != "call" else 1
        home = str(tmp_path)
        assert main([*words[:at], "--home", home, *words[at:]]) == 3
        out, err = capsys.readouterr()
        assert out == ""
        assert f"start it: gossipnet run --home {home}" in err
    nowhere = str(tmp_path / "nowhere")
    assert main(["--home", nowhere, "status"]) == 3
    assert f"`gossipnet init --home {nowhere}` founds a mesh" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "gossipnet init && gossipnet run"),
        (["memebrs"], "did you mean members?"),
        (["get"], "the following arguments are required: KEY"),
        (["get", "k", "--jsno"], "did you mean --json?"),
        (["incr", "k", "many"], "many"),
        (["run", "--lisen", "x"], "did you mean --listen?"),
        (["run", "--durability", "mostly"], "choose always or every-second"),
        (["run", "extra"], "extra is not expected here"),
        (["watch", "-n", "0"], "is not a number above 0"),
        (["init", "-x"], "gossipnet init --help"),
    ],
)
def test_wrong_words(run: Run, words: list[str], told: str) -> None:
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err


def test_help_leads_with_examples(run: Run) -> None:
    assert "Exit codes: 0 fine" in run("--help").out
    assert run("help").out == run("--help").out
    for name in COMMANDS:
        with pytest.raises(SystemExit) as caught:
            main([name, "--help"])
        assert caught.value.code == 0
    with pytest.raises(SystemExit):
        main(["help", "join"])


def test_help_of_each_command_shows_how(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        out = capsys.readouterr().out
        assert f"  gossipnet {name}" in out.partition("examples:")[2]
        assert "--home DIR" in out


def test_version(run: Run) -> None:
    assert run("--version").out == run("version").out
    assert run("version", "--json").document["version"] in run("version").out


def test_a_bug_is_one_sentence_too(
    fake: FakeSocket, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers["GOSSIP STATUS"] = resp3(7)  # never what a daemon says
    done = run("status", "--json")
    assert done.code == 1
    assert "bug in gossipnet" in done.err
    monkeypatch.setenv("GOSSIPNET_DEBUG", "1")
    with pytest.raises(TypeError):
        run("status", "--json")
    fake.answers["GOSSIP STATUS"] = b"HTTP/1.1\r\n"
    assert "broke the protocol" in run("status").err
