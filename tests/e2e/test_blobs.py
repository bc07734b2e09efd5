"""Large values between real daemons: they outlive their writer, come in pieces, and go away."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from mesh_harness import Daemon, eventually, running_mesh

pytestmark = pytest.mark.e2e

SIZE = 5_000_000


def made(path: Path, seed: int, size: int = SIZE) -> str:
    data = random.Random(seed).randbytes(size)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def chunks(daemon: Daemon) -> list[Path]:
    return [path for path in (daemon.home / "blobs").glob("??/*") if "." not in path.name]


def counters(daemon: Daemon) -> dict[str, Any]:
    read = json.loads(daemon.must("status", "--json"))["counters"]
    assert isinstance(read, dict)
    return read


def test_put_here_got_there_and_after_the_writer_is_dead(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    with running_mesh() as mesh:
        for number in range(5):
            daemon = mesh.new()
            if number:
                daemon.must(
                    "join", mesh[0].must("invite").strip(), "--name", daemon.name, mesh[0].address
                )
            else:
                daemon.must("init", "test", "--name", daemon.name, "--no-passphrase")
            (daemon.home / "config.toml").write_text("[blob]\nlinger = 0.5\n")
            daemon.start()
        mesh.everyone_alive()
        writer = mesh[0]
        expected = made(source, 1)
        writer.must("blob", "put", "film", str(source))
        count = len(chunks(writer))
        assert count == -(-SIZE // (128 * 1024))
        mesh[1].must("blob", "get", "film", str(copy))
        assert digest(copy) == expected

        def kept_by() -> int:
            return sum(len(chunks(daemon)) == count for daemon in mesh)

        eventually(lambda: kept_by() >= 3, "three members or more have it all")
        # Only those who should keep it, who wrote it, and who asked.
        assert kept_by() <= 5
        writer.kill()
        without = min(mesh.daemons[1:], key=lambda daemon: len(chunks(daemon)))
        without.must("blob", "get", "film", str(copy))
        assert digest(copy) == expected
        told = json.loads(without.must("blob", "ls", "--json"))["blobs"]
        assert told == [{"name": "film", "bytes": SIZE, "chunks": count, "here": count}]

        # A get that was cut short goes on with what is missing.
        gone = chunks(without)[:7]
        for path in gone:
            path.unlink()
        received = counters(without)["chunks_received"]
        without.must("blob", "get", "film", str(copy))
        assert digest(copy) == expected
        assert received < counters(without)["chunks_received"] <= received + len(gone)

        # One that rotted on disk is not served and not used: it is fetched again.
        rotten = chunks(without)[0]
        rotten.write_bytes(b"x" + rotten.read_bytes()[1:])
        without.must("blob", "get", "film", str(copy))
        assert digest(copy) == expected

        without.must("blob", "rm", "film")
        assert without.cli("blob", "get", "film").returncode == 5
        for daemon in mesh.daemons[1:]:
            eventually(lambda d=daemon: not chunks(d), f"{daemon.name} has let the chunks go")


def test_slips_are_one_sentence_and_the_budget_holds(tmp_path: Path) -> None:
    source = tmp_path / "source"
    made(source, 2)
    with running_mesh() as mesh:
        daemon = mesh.new()
        daemon.must("init", "test", "--name", daemon.name, "--no-passphrase")
        (daemon.home / "config.toml").write_text('[blob]\nbudget = "4MiB"\n')
        daemon.start()
        done = daemon.cli("blob", "put", "film", str(source))
        assert done.returncode == 1
        assert "does not fit" in done.stderr
        assert not chunks(daemon)
        made(source, 3, 1_000_000)
        daemon.must("blob", "put", "small", str(source))
        made(source, 4, 0)
        daemon.must("blob", "put", "empty", str(source))
        assert daemon.must("blob", "get", "empty") == ""
        daemon.do("SET", "blob:text", "not a list")
        done = daemon.cli("blob", "get", "text")
        assert "something else" in done.stderr
        for path in chunks(daemon)[:1]:
            path.unlink()
        done = daemon.cli("blob", "get", "small", str(tmp_path / "copy"), "--timeout", "0.5")
        assert done.returncode == 6
        assert "no member that can be reached has it" in done.stderr
        assert not (tmp_path / "copy").exists()
        assert daemon.cli("blob", "put", "x").returncode == 2
        assert daemon.cli("blob", "rm", "nothing").returncode == 5
