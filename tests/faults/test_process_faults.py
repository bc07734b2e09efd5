"""Daemons that are killed, frozen, starved, moved, wiped and put back while clients go on."""

import contextlib
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from examination import examine, states, status
from history import wrong_tables
from laboratory import (
    HEAL_SECONDS,
    Mesh,
    enter,
    eventually,
    long_or_short,
    running_mesh,
)
from load import Load, agree
from mesh_harness import free_port

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh() as mesh:
        mesh.found()
        enter(mesh, [{} for _ in range(4)])
        mesh.everyone_alive()
        yield mesh


@contextlib.contextmanager
def under_load(mesh: Mesh, name: str, **options: float) -> Iterator[Load]:
    mesh.everyone_alive()
    with Load(mesh.daemons, name, **options).running() as load:
        load.going_on(0.5)
        yield load
        load.going_on(0.5)


def test_kill_at_random(mesh: Mesh) -> None:
    """kill -9, one daemon after the other, and back at once: nothing acknowledged is lost."""
    rng = random.Random(13)
    slowest = 0.0
    killed = set()
    with under_load(mesh, "killed", rate=60) as load:
        for _ in range(int(long_or_short(300, 4))):
            victim = rng.choice(mesh.daemons)
            killed.add(victim.name)
            load.going_on(rng.uniform(0.2, 1.2))
            victim.kill()
            began = time.monotonic()
            victim.start()
            slowest = max(slowest, time.monotonic() - began)
    examine(load, mesh.daemons, may_die=killed)
    mesh.everyone_alive()
    print(f"the slowest start took {slowest:.2f} s")


def test_two_frozen(mesh: Mesh) -> None:
    """The others serve on as if nothing were; whoever thaws catches up and is alive again."""
    frozen = mesh.daemons[3:]
    incarnations = {d.name: status(d)["incarnation"] for d in frozen}
    with under_load(mesh, "frozen", timeout=long_or_short(60, 20)) as load:
        for daemon in frozen:
            daemon.send(signal.SIGSTOP)
        try:
            began = time.monotonic()
            for watcher in mesh.daemons[:3]:
                eventually(
                    lambda watcher=watcher: all(states(watcher)[d.name] == "dead" for d in frozen),
                    f"{watcher.name} misses the frozen ones",
                )
            noticed = time.monotonic() - began
            load.going_on(long_or_short(30, 0.5))
        finally:
            for daemon in frozen:
                daemon.send(signal.SIGCONT)
        began = time.monotonic()
        mesh.everyone_alive()
        back = time.monotonic() - began
    examine(load, mesh.daemons, may_die=[d.name for d in frozen])
    for daemon in frozen:
        assert status(daemon)["incarnation"] > incarnations[daemon.name]
    living = [op.ended - op.begun for op in load.history.ops if op.node in ("node0", "node1")]
    assert sorted(living)[int(0.99 * len(living))] < 1.0, "the living were slowed down"
    assert back < 10
    print(f"two frozen were missed by all after {noticed:.2f} s, and back {back:.2f} s after")


def test_starved_observer_buries_nobody(mesh: Mesh) -> None:
    """One daemon gets a fifth of a processor, in pieces: its view of others is not believed."""
    sick = mesh[2]
    ending = threading.Event()

    def starve() -> None:
        while not ending.is_set():
            sick.send(signal.SIGSTOP)
            ending.wait(0.4)
            sick.send(signal.SIGCONT)
            ending.wait(0.1)

    with under_load(mesh, "starved", timeout=20) as load:
        starving = threading.Thread(target=starve)
        starving.start()
        try:
            load.going_on(long_or_short(600, 6))
        finally:
            ending.set()
            starving.join()
            sick.send(signal.SIGCONT)
    # Not even the sick one is to be called dead: it answers, if late.
    examine(load, mesh.daemons)
    mesh.everyone_alive()


def test_restored_from_an_old_copy_while_others_count_on(mesh: Mesh) -> None:
    """No number is signed twice, and no increment is lost or counted twice."""
    node = mesh[1]
    with under_load(mesh, "restored") as load:
        load.going_on(1)
        node.stop()
        backup = mesh.folder / "backup.db"
        shutil.copy2(node.home / "state.db", backup)
        node.start()
        load.going_on(1)
        node.kill()
        for path in node.home.glob("state.db-*"):
            path.unlink()
        shutil.copy2(backup, node.home / "state.db")
        node.start()
        load.going_on(1)
    # What it had shown before its past was put back is shown again when its peers have told it.
    load.history.ops = [op for op in load.history.ops if (op.kind, op.node) != ("read", "node1")]
    examine(load, mesh.daemons, may_die=["node1"])
    for daemon in mesh:
        assert status(daemon)["counters"].get("forks_seen", 0) == 0
    mesh.everyone_alive()


def test_wiped_disk_comes_back_without_ghosts(mesh: Mesh) -> None:
    """What it had written is fetched again; what was deleted meanwhile does not return."""
    node = mesh[1]
    for key in ("kept", "deleted"):
        node.do("SET", key, "mine")
        mesh.reads(key, b"mine")
    node.kill()
    for path in node.home.glob("state.db*"):
        path.unlink()
    mesh[0].do("DEL", "deleted")
    node.start()
    mesh.reads("kept", b"mine")
    mesh.reads("deleted", None)
    node.do("SET", "again", "mine")
    mesh.reads("again", b"mine")
    agree(mesh.daemons, HEAL_SECONDS)
    mesh.everyone_alive()


def test_deleted_during_an_absence(mesh: Mesh) -> None:
    """Whoever was away while keys were deleted does not bring them back, nor lose its own."""
    away = mesh[4]
    for number in range(50):
        mesh[0].do("SET", f"doomed:{number}", "x")
        mesh[0].do("SADD", "crowd", number)
    mesh.reads("doomed:49", b"x")
    away.do("SET", "own", "unsent or not")
    away.kill()
    for number in range(50):
        mesh[1].do("DEL", f"doomed:{number}")
        mesh[1].do("SREM", "crowd", number)
    away.start()
    mesh.reads("own", b"unsent or not")
    shown = agree(mesh.daemons, HEAL_SECONDS)["node0"]
    assert not [key for key in shown if key.startswith("doomed:") or key == "crowd"]


def test_everybody_moves_at_once(mesh: Mesh) -> None:
    """All get new ports while all are down: address books are stale, one seed is enough."""
    for daemon in mesh:
        daemon.kill()
    for daemon in mesh:
        daemon.port = free_port()
    mesh[0].start(ready=False)
    for daemon in mesh.daemons[1:]:
        daemon.start("--join", mesh[0].address, ready=False)
    for daemon in mesh:
        daemon.wait_ready()
    mesh.everyone_alive()
    agree(mesh.daemons, HEAL_SECONDS)


def test_churn() -> None:
    """Members join, leave, die, return and move all the time; then every table is right."""
    rng = random.Random(26)
    count = int(long_or_short(30, 6))
    with running_mesh() as mesh:
        mesh.found()
        enter(mesh, [{} for _ in range(count - 1)])
        mesh.everyone_alive()
        truth = {daemon.name: "alive" for daemon in mesh}
        end = time.monotonic() + long_or_short(600, 6)
        while time.monotonic() < end:
            _one_change(mesh, truth, rng)
        began = time.monotonic()
        living = [daemon for daemon in mesh if truth[daemon.name] == "alive"]

        def right() -> bool:
            wrong = wrong_tables({daemon.name: states(daemon) for daemon in living}, truth)
            assert not wrong, wrong[:5]
            return True

        eventually(right, "every table is right", long_or_short(60, 15))
        agree(living, HEAL_SECONDS)
        print(f"tables were right {time.monotonic() - began:.2f} s after the last of the churn")


def _one_change(mesh: Mesh, truth: dict[str, str], rng: random.Random) -> None:
    """Something happens to one member other than the first, the one that invites."""
    daemon = rng.choice(mesh.daemons[1:])
    state = truth[daemon.name]
    if state == "alive":
        how = rng.choice(("kill", "stop", "leave", "restart", "join"))
        if how == "join" and len(mesh.daemons) < 40:
            newcomer = mesh.add()
            truth[newcomer.name] = "alive"
            newcomer.do("SET", newcomer.name, "came")
        elif how == "kill":
            daemon.kill()
            truth[daemon.name] = "dead"
        elif how == "stop":
            daemon.stop()
            truth[daemon.name] = "away"
        elif how == "leave":
            daemon.must("leave")
            assert daemon.process is not None
            daemon.process.wait(timeout=20)
            truth[daemon.name] = "left"
        else:
            daemon.kill()
            daemon.port = free_port()
            daemon.start()
    else:
        daemon.start()
        daemon.do("SET", daemon.name, "returned")
        truth[daemon.name] = "alive"


def test_cold_boot_of_many() -> None:
    """All at once after a power cut: everybody knows everybody again, from address books alone."""
    count = int(long_or_short(40, 8))
    with running_mesh() as mesh:
        mesh.found()
        enter(mesh, [{} for _ in range(count - 1)])
        mesh.everyone_alive()
        for daemon in mesh:
            daemon.kill()
        began = time.monotonic()
        for daemon in mesh:
            daemon.start(ready=False)
        for daemon in mesh:
            daemon.wait_ready()
        ready = time.monotonic() - began
        names = {daemon.name for daemon in mesh}
        for daemon in mesh:
            eventually(
                lambda daemon=daemon: (
                    {name for name, state in states(daemon).items() if state == "alive"} == names
                ),
                f"{daemon.name} sees all {count}",
                60,
            )
        together = time.monotonic() - began
        mesh[0].do("SET", "morning", "came")
        mesh.reads("morning", b"came")
        print(f"{count} daemons were ready after {ready:.1f} s, together after {together:.1f} s")
