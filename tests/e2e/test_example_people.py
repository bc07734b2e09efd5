"""The examples that people talk through: notes edited apart, and a chat."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from example_programs import going, run, told
from mesh_harness import Daemon, Mesh, eventually, running_mesh

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(2) as mesh:
        yield mesh


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("registry", ("find", "web")),
        ("flags", ("who", "new-ui")),
        ("limiter", ("--port", "0")),
        ("compute", ("start",)),
        ("fleet", ("list",)),
        ("notes", ("list",)),
        ("chat", ("kitchen", "ada")),
    ],
)
def test_without_a_daemon_they_say_so_in_a_sentence(
    name: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    done = run(name, Daemon(tmp_path / "home", "nobody"), *more)
    assert done.returncode == 1
    assert "no daemon at" in done.stderr
    assert "Traceback" not in done.stderr


def test_notes_edited_apart_merge_and_show_what_crossed(mesh: Mesh) -> None:
    atlas, rpi = mesh

    def write(daemon, field: str, text: str) -> None:
        told("notes", daemon, "write", "trip", field, text)

    write(atlas, "title", "Alps")
    write(atlas, "body", "where to?")
    before = told("notes", atlas, "show", "trip")
    assert before == "body: where to?\ntitle: Alps\n"
    eventually(lambda: told("notes", rpi, "show", "trip") == before, "both have the note")

    # Each laptop is online alone for a while: neither can know what the other one writes.
    rpi.stop()
    write(atlas, "title", "Alps in June")
    write(atlas, "body", "by car")
    atlas.stop()
    rpi.start()
    write(rpi, "body", "by train")
    write(rpi, "packing", "boots")
    atlas.start()
    crossed = (
        "body: by train   (node1; edits crossed, write it again to settle)\n"
        "  or: by car   (node0)\n"
        "packing: boots\n"
        "title: Alps in June\n"
    )
    for daemon in mesh:
        eventually(
            lambda daemon=daemon: told("notes", daemon, "show", "trip") == crossed,
            f"{daemon.name} shows both",
        )
    write(atlas, "body", "by train, then a car")
    settled = "body: by train, then a car\npacking: boots\ntitle: Alps in June\n"
    for daemon in mesh:
        eventually(
            lambda daemon=daemon: told("notes", daemon, "show", "trip") == settled,
            f"{daemon.name} shows what it was settled to",
        )
    assert "body: by car   (node0)\n" in told("notes", rpi, "history", "trip")
    assert told("notes", rpi, "list") == "trip\n"


def test_a_chat_and_who_is_in_it(mesh: Mesh) -> None:
    mesh.everyone_alive()
    atlas, rpi = mesh
    with (
        going("chat", atlas, "--lease", "3", "kitchen", "ada") as ada,
        going("chat", rpi, "--lease", "3", "kitchen", "bob") as bob,
    ):
        ada.says("* bob@node1 is here")
        bob.says("* ada@node0 is here")
        ada.type("tea?")
        assert bob.says("tea?") == "ada@node0: tea?"
        assert ada.says("tea?") == "ada@node0: tea?"
        for rubbish in ("[]", "no json", json.dumps({"by": 1})):
            rpi.do("PUBLISH", "room:kitchen", rubbish)
        rpi.do("PUBLISH", "room:kitchen", json.dumps({"by": "eve", "text": "\x1b[2Jboo"}))
        assert ada.says("boo") == "eve: ?[2Jboo"
        ada.type("/who")
        assert ada.says("here:") == "here: ada@node0 bob@node1"
        bob.kill()
        ada.says("* bob@node1 is gone")  # by itself, when the lease has ended
        ada.type("/who")
        assert ada.says("here:") == "here: ada@node0"
    assert rpi.do("HLEN", "room:kitchen") in (0, 1)
    eventually(lambda: rpi.do("HLEN", "room:kitchen") == 0, "who leaves is gone at once")
