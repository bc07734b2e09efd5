"""The doors of the page: names, codes, cookies, origins. Against a real server and daemon."""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from mesh_harness import Daemon, Mesh, running_mesh

from gossipnet.web.doors import CODE_SECONDS, SESSION_SECONDS, SESSIONS_MAX, Sessions


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


class Page:
    """A running ``gossipnet web``."""

    def __init__(self, daemon: Daemon, *words: str) -> None:
        self.process = subprocess.Popen(
            daemon.command("web", "--port", "0", "--no-browser", *words),
            env=daemon.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.port, self.code = self.address()

    def address(self) -> tuple[int, str]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        where, _, code = line.partition("/#c=")
        return int(where.rpartition(":")[2]), code

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = {"Host": f"127.0.0.1:{self.port}"}
            if method != "GET":
                sent["Origin"] = f"http://127.0.0.1:{self.port}"
            sent |= {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {k: v for k, v in sent.items() if v})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode())
        finally:
            connection.close()

    def enter(self, code: str | None = None) -> str:
        """The cookie of a new session."""
        answer = self.ask("POST", "/session", json.dumps({"code": code or self.code}))
        assert answer.status == 200, answer
        return answer.headers["set-cookie"].partition(";")[0]

    def close(self) -> None:
        self.process.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(1) as mesh:
        mesh[0].do("HSET", "user:1", "name", "Ada")
        yield mesh


@pytest.fixture
def page(mesh: Mesh) -> Iterator[Page]:
    page = Page(mesh[0])
    yield page
    page.close()


def test_only_its_own_names_are_answered(page: Page) -> None:
    assert page.ask("GET", "/").status == 200
    assert page.ask("GET", "/", Host=f"localhost:{page.port}").status == 200
    for name in ("evil.example", "127.0.0.1", f"127.0.0.1.evil.example:{page.port}", "[::1]"):
        for path in ("/", "/api/overview", "/no/such/path"):
            assert page.ask("GET", path, Host=name).status == 421


def test_a_code_opens_one_session(page: Page) -> None:
    assert page.ask("GET", "/api/overview").status == 401
    cookie = page.enter()
    answer = page.ask("GET", "/api/overview", Cookie=cookie)
    assert json.loads(answer.body)["status"]["name"] == "node0"
    assert page.ask("POST", "/session", json.dumps({"code": page.code})).status == 403
    assert page.ask("GET", "/api/overview", Cookie=cookie[:-2] + "zz").status == 401


def test_a_wrong_code_uses_the_right_one_up_and_a_signal_makes_another(page: Page) -> None:
    assert page.ask("POST", "/session", '{"code": "00"}').status == 403
    assert page.ask("POST", "/session", json.dumps({"code": page.code})).status == 403
    page.process.send_signal(signal.SIGHUP)
    _, code = page.address()
    page.enter(code)


def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(page: Page) -> None:
    answer = page.ask("POST", "/session", json.dumps({"code": page.code}))
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_other_sites_can_ask_for_nothing(page: Page) -> None:
    cookie = page.enter()
    assert (
        page.ask("GET", "/api/overview", Cookie=cookie, Sec_Fetch_Site="cross-site").status == 403
    )
    for origin in ("http://evil.example", "null", f"http://localhost:{page.port}", ""):
        answer = page.ask("POST", "/api/write", "{}", Cookie=cookie, Origin=origin)
        assert answer.status == 403
    assert page.ask("POST", "/session", "{}", Origin="http://evil.example").status == 403


def test_every_answer_carries_the_policy(page: Page) -> None:
    for path, host in (("/", ""), ("/static/page.js", ""), ("/api/keys", ""), ("/", "evil")):
        headers = page.ask("GET", path, **({"Host": host} if host else {})).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
    assert page.ask("GET", "/static/..%2fapp.py").status == 404
    assert page.ask("GET", "/static/nothing.js").status == 404


def test_it_only_reads_unless_it_may_write(mesh: Mesh, page: Page) -> None:
    cookie = page.enter()
    words = json.dumps({"verb": "set", "words": ["a", "1"]})
    assert page.ask("POST", "/api/write", words, Cookie=cookie).status == 403
    assert page.ask("POST", "/api/invite", "{}", Cookie=cookie).status == 403
    assert mesh[0].do("EXISTS", "a") == 0
    free = Page(mesh[0], "--allow-writes")
    try:
        cookie = free.enter()
        assert free.ask("POST", "/api/write", words, Cookie=cookie).body == '{"error":""}'
        assert mesh[0].do("GET", "a") == b"1"
        wrong = json.dumps({"verb": "sadd", "words": ["a", "1"]})
        assert "WRONGTYPE" in free.ask("POST", "/api/write", wrong, Cookie=cookie).body
        for body in ('{"verb": "flushall", "words": ["x"]}', '{"verb": "set", "words": [1]}', "["):
            assert free.ask("POST", "/api/write", body, Cookie=cookie).status == 400
        long = json.dumps({"verb": "set", "words": ["a", "x" * 200_000]})
        assert free.ask("POST", "/api/write", long, Cookie=cookie).status == 400
        made = json.loads(free.ask("POST", "/api/invite", '{"ttl_s": 60}', Cookie=cookie).body)
        assert made["qr"].startswith("data:image/svg+xml")
        assert made["token"].lower().startswith("gn1")
    finally:
        free.close()


def test_streams_are_counted(page: Page) -> None:
    cookie = page.enter()
    streams = []
    try:
        for _ in range(16):
            stream = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
            stream.request("GET", "/api/live", headers={"Cookie": cookie})
            streams.append(stream)
            assert stream.getresponse().readline().startswith(b"event: ")
        assert page.ask("GET", "/api/live", Cookie=cookie).status == 503
    finally:
        for stream in streams:
            stream.close()


def test_the_daemon_away_is_told(page: Page, mesh: Mesh) -> None:
    cookie = page.enter()
    mesh[0].stop()
    answer = page.ask("GET", "/api/overview", Cookie=cookie)
    assert answer.status == 503
    assert "gossipnet run" in answer.body
    mesh[0].start()
    assert page.ask("GET", "/api/overview", Cookie=cookie).status == 200


def test_codes_and_sessions_end_and_are_bounded() -> None:
    now = [0.0]
    sessions = Sessions(os.urandom, lambda: now[0])
    code = sessions.new_code()
    now[0] = CODE_SECONDS + 1
    assert sessions.exchange(code) is None
    tokens = [sessions.exchange(sessions.new_code()) for _ in range(SESSIONS_MAX + 1)]
    assert not sessions.holds(tokens[0])
    assert sessions.holds(tokens[-1])
    now[0] += SESSION_SECONDS + 1
    assert not sessions.holds(tokens[-1])
    assert sessions.refused == {"code": 1, "cookie": 2}
