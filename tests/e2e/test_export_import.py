"""Export and import: all types, all bytes, all deadlines, and the same again the second time."""

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from mesh_harness import Daemon, running_mesh

pytestmark = pytest.mark.e2e

BINARY = bytes(range(256))


def fill(daemon: Daemon) -> None:
    later = int(time.time() * 1000) + 3_600_000
    with contextlib.closing(daemon.redis()) as client:
        client.set("text", "zażółć 'gęślą' \"jaźń\"\n\\")
        client.set(BINARY, BINARY)
        client.set("ends", "soon", pxat=later)
        client.set("big", b"\xff" * 900_000)
        client.incrby("count", -42)
        client.hset("hash", mapping={"a": "1", b"\xff\xfe": BINARY})
        client.execute_command("HPEXPIREAT", "hash", later, "FIELDS", 1, "a")
        client.rpush("list", "b", BINARY, "a", "b")
        client.sadd("set", *range(5000), BINARY)
        client.zadd("zset", {"a": 1.1, "b": float("inf"), "c": float("-inf"), BINARY: 3e-320})
        for number in range(20):
            client.execute_command("XADD", "stream", 1000 + number, "field", number, BINARY, BINARY)
        entries = client.xrange("stream")
        client.xgroup_create("stream", "readers", entries[9][0])
        client.xgroup_create("stream", "behind", "0-0")
        client.pfadd("hyper", *range(1000))
        client.pexpireat("set", later + 1)


def seen(daemon: Daemon) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    with contextlib.closing(daemon.redis()) as client:
        for key in client.scan_iter():
            kind = client.type(key)
            value: Any
            if kind == b"string":
                value = client.get(key)
            elif kind == b"hash":
                fields = client.hgetall(key)
                asked = ("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)
                ends = client.execute_command(*asked)
                value = {f: (v, end) for (f, v), end in zip(fields.items(), ends, strict=True)}
            elif kind == b"list":
                value = client.lrange(key, 0, -1)
            elif kind == b"set":
                value = client.smembers(key)
            elif kind == b"zset":
                value = client.zrange(key, 0, -1, withscores=True)
            else:
                entries = client.xrange(key)
                groups = {}
                for group in client.xinfo_groups(key):
                    at = group["last-delivered-id"]
                    groups[group["name"]] = sum(name <= at for name, _ in entries)
                # Ids keep their milliseconds; what follows those is each author's own.
                value = ([(name.split(b"-")[0], words) for name, words in entries], groups)
            found[key] = (kind, value, client.execute_command("PEXPIRETIME", key))
    return found


def test_everything_comes_back_and_twice_is_once(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    with running_mesh(1) as mesh:
        fill(mesh[0])
        before = seen(mesh[0])
        assert len(before) == 11
        mesh[0].must("export", str(file))
        piped = mesh[0].must("export", "--match", "h*")
        assert len(piped.splitlines()) == 2 + 2
    for text in file.read_text().splitlines():
        json.loads(text)
    assert file.stat().st_mode & 0o777 == 0o600
    with running_mesh(2) as mesh:
        mesh[0].do("SADD", "list", "another type")
        told = json.loads(mesh[0].must("import", str(file), "--json"))
        assert told["written"] == 11
        assert told["complete"]
        assert seen(mesh[0]) == before
        mesh[0].must("import", stdin=file.read_text())
        assert seen(mesh[0]) == before
        assert mesh[0].do("PFCOUNT", "hyper") > 900
        mesh[0].do("SET", "text", "mine")
        told = json.loads(mesh[0].must("import", str(file), "--keep", "--json"))
        assert told["kept"] == 11
        assert mesh[0].do("GET", "text") == b"mine"
        mesh.reads("count", b"-42")


def test_bad_files_are_told_by_line_and_what_had_ended_stays_away(tmp_path: Path) -> None:
    file = tmp_path / "state.jsonl"
    with running_mesh(1) as mesh:
        daemon = mesh[0]
        for bad, text in (
            ("{", "line 2: it is not JSON"),
            ('{"key": "a"}', "line 2: it needs a key, and one of the types"),
            ('{"key": "a", "type": "hash", "value": 3}', "line 2: its value is not that of a hash"),
            ('{"key": "a", "type": "string", "value": {"base64": "!"}}', "line 2: a base64"),
            ('{"key": "a", "type": "zset", "value": [["m", "x"]]}', "line 2: its value is not"),
        ):
            file.write_text('{"key": "good", "type": "string", "value": "1"}\n' + bad + "\n")
            done = daemon.cli("import", str(file))
            assert done.returncode == 1
            assert text in done.stderr, done.stderr
            assert daemon.do("GET", "good") == b"1"
        file.write_text('{"key": "old", "type": "string", "value": "1", "expires_ms": 1000}\n')
        done = daemon.cli("import", str(file))
        assert done.returncode == 6, "an export without an end was cut short"
        assert "1 had ended" in done.stderr
        assert daemon.do("EXISTS", "old") == 0
