"""Power failures, disks that err or are slow, files that rot: detected, or survived whole."""

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from disks import ext4, tampered, tmpfs
from examination import events, examine, states, status
from history import false_deaths
from laboratory import HEAL_SECONDS, SOAK, Daemon, Mesh, eventually, long_or_short, running_mesh
from load import Load, agree, dump

pytestmark = pytest.mark.e2e


@contextlib.contextmanager
def mesh_on(folder_of: str, count: int, *options: str) -> Iterator[tuple[Mesh, object]]:
    """Daemons whose homes are on one disk that can lose its power."""
    with running_mesh() as mesh, ext4(mesh.folder) as disk:
        for number in range(count):
            daemon = mesh.new()
            daemon.home = disk.mount_point / f"{folder_of}{number}"
            if number:
                token = mesh[0].must("invite").strip()
                daemon.must("join", token, "--name", daemon.name, mesh[0].address)
            else:
                daemon.must("init", "test", "--name", daemon.name, "--no-passphrase")
            daemon.start(*options)
        try:
            mesh.everyone_alive()
            yield mesh, disk
        finally:
            for daemon in mesh:
                if daemon.process is not None and daemon.process.poll() is None:
                    daemon.kill()


def test_power_failure_of_all_loses_nothing_acknowledged() -> None:
    """Both machines go dark in the middle of a load, again and again."""
    rng = random.Random(14)
    with mesh_on("home", 2) as (mesh, disk):
        load = Load(mesh.daemons, "dark", rate=200, timeout=1)
        with load.running():
            for _ in range(int(long_or_short(200, 3))):
                load.going_on(rng.uniform(0.3, 1.0))
                disk.lose_power()
                for daemon in mesh:
                    daemon.kill()
                disk.power_up()
                for daemon in mesh:
                    daemon.start()
        examine(load, mesh.daemons, may_die=["node0", "node1"])
        for daemon in mesh:
            assert status(daemon)["counters"].get("forks_seen", 0) == 0


def test_power_failure_costs_every_second_a_second() -> None:
    """What was acknowledged longer ago is there, and the log goes on in a new epoch or whole."""
    with mesh_on("home", 1, "--durability", "every-second") as (mesh, disk):
        (daemon,) = mesh
        load = Load(mesh.daemons, "lazy", rate=300, timeout=1)
        with load.running():
            load.going_on(3)
            disk.lose_power()
            dark = time.monotonic()
            daemon.kill()
        disk.power_up()
        daemon.start("--durability", "every-second")
        kept = dump(daemon).get("lazy:adds", set())
        old = {op.value for op in load.history.of("add", "ok") if op.ended < dark - 1.5}
        assert old, "nothing was old enough"
        assert old <= kept, f"{len(old - kept)} of {len(old)} are gone"


def test_failing_fsync_ends_acknowledgement() -> None:
    """After EIO nothing is acknowledged and the daemon ends and says why; restarted it is whole."""
    with running_mesh(2) as mesh:
        daemon = mesh[1]
        load = Load([daemon], "broken", rate=200, timeout=2)
        with load.running():
            load.going_on(0.5)
            with tampered(daemon, "fdatasync,fsync", "error=EIO"):
                failed = time.monotonic()
                assert daemon.process is not None
                assert daemon.process.wait(timeout=10) != 0
                took = time.monotonic() - failed
        after = [op for op in load.history.of("add", "ok") if op.begun > failed]
        assert not after, "acknowledged after the disk had failed"
        assert "the disk of" in daemon.tail(), daemon.tail()
        assert took < 5
        daemon.start()
        examine(load, mesh.daemons, may_die=[daemon.name])


def test_slow_fsync_slows_writers_and_nothing_else() -> None:
    """200 ms for each fsync: writers share them, reads do not wait, nobody is called dead."""
    with running_mesh(3) as mesh:
        slow = mesh[1]
        began = time.time()
        written = 0
        with tampered(slow, "fdatasync,fsync", "delay_enter=200000"):
            seconds = long_or_short(30, 3)
            ending = time.monotonic() + seconds

            def write(number: int) -> int:
                done = 0
                with contextlib.closing(slow.redis()) as client:
                    while time.monotonic() < ending:
                        client.set(f"slow:{number}", done)
                        done += 1
                return done

            with ThreadPoolExecutor(20) as pool:
                jobs = [pool.submit(write, number) for number in range(20)]
                reads = []
                with contextlib.closing(slow.redis()) as client:
                    while time.monotonic() < ending:
                        asked = time.monotonic()
                        client.get("slow:0")
                        reads.append(time.monotonic() - asked)
                        threading.Event().wait(0.01)
                written = sum(job.result() for job in jobs)
            assert set(states(mesh[0]).values()) == {"alive"}
        assert written / seconds > 50, f"{written / seconds:.0f} writes/s"
        assert sorted(reads)[int(0.99 * len(reads))] < 0.1
        assert time.time() - began < seconds + 15
        agree(mesh.daemons, HEAL_SECONDS)
        print(f"{written / seconds:.0f} writes/s with 200 ms for each fsync")


def test_full_disk_in_a_mesh_that_goes_on_writing() -> None:
    """More comes than fits: it stays a living member that serves what it has, and catches up."""
    with running_mesh(2) as mesh, tmpfs(mesh.folder / "small", 16) as enlarge:
        token = mesh[0].must("invite").strip()
        full = mesh.new()
        full.home = mesh.folder / "small" / "home"
        full.must("join", token, "--name", full.name, mesh[0].address)
        full.start()
        mesh.everyone_alive()
        began = time.time()
        with contextlib.closing(mesh[0].redis()) as client:
            for number in range(60):
                client.set(f"bulk:{number}", random.Random(number).randbytes(800_000))
        eventually(lambda: "full" in status(full)["disk"], "its disk is full")
        threading.Event().wait(long_or_short(30, 4))  # longer than any silence is believed
        for daemon in mesh:
            assert set(states(daemon).values()) == {"alive"}, daemon.name
        assert not false_deaths(events(mesh.daemons, began))
        assert full.do("GET", "bulk:0") is not None, "it serves what it has"
        with pytest.raises(redis.ResponseError, match="full"):
            full.do("SET", "refused", "1")
        enlarge(256)
        agree(mesh.daemons, 2 * HEAL_SECONDS)
        eventually(lambda: full.do("SET", "accepted", "1"), "it writes again")
        mesh.reads("accepted", b"1")


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[Daemon, dict]]:
    """A mesh of two, one of which has been stopped; what it showed."""
    with running_mesh(2) as mesh:
        daemon = mesh[1]
        with contextlib.closing(daemon.redis()) as client:
            for number in range(300):
                client.set(f"key:{number}", f"value {number}" * 20)
                client.hset("hash", f"field{number}", number)
                client.sadd("set", number)
                client.incr("count")
        mesh.reads("count", b"300")
        shown = agree(mesh.daemons, HEAL_SECONDS)["node1"]
        daemon.stop()
        assert not (daemon.home / "state.db-wal").exists()
        yield daemon, shown


def test_flipped_bits_are_found_or_harmless(filled: tuple[Daemon, dict]) -> None:
    """One bit in each page in turn: the daemon refuses the file, or comes to show what it held.

    What it lacks for a while, because it was damaged, it fetches from its peer, and never shows
    anything else.
    """
    daemon, shown = filled
    rng = random.Random(21)
    good = daemon.home / "state.db"
    data = good.read_bytes()
    pages = len(data) // 4096
    refused = 0
    chosen = range(pages) if SOAK else rng.sample(range(pages), 8)
    for page in chosen:
        rotten = bytearray(data)
        rotten[page * 4096 + rng.randrange(4096)] ^= 1 << rng.randrange(8)
        good.write_bytes(rotten)
        daemon.start("--log-level", "error", ready=False)
        assert daemon.process is not None
        eventually(lambda: daemon.process.poll() is not None or _answers(daemon), "it decides")
        if daemon.process.poll() is None:
            assert dump(daemon).keys() <= shown.keys(), f"page {page}: shows what was never written"
            eventually(lambda: dump(daemon) == shown, f"page {page}: everything is there again")
            daemon.kill()
        else:
            refused += 1
            assert "Traceback" not in daemon.tail(), daemon.tail()
            assert "damaged" in daemon.tail(), daemon.tail()
        for path in daemon.home.glob("state.db-*"):
            path.unlink()
    good.write_bytes(data)
    print(f"{refused} of {len(chosen)} refused, the others harmless")


def _answers(daemon: Daemon) -> bool:
    with contextlib.suppress(redis.RedisError, OSError), daemon.redis() as client:
        return bool(client.ping())
    return False


def test_truncated_database(filled: tuple[Daemon, dict]) -> None:
    """Cut short anywhere, the file is refused with a sentence, and left as it is."""
    daemon, _shown = filled
    good = daemon.home / "state.db"
    data = good.read_bytes()
    for share in (0.0, 0.3, 0.9) if not SOAK else [n / 20 for n in range(20)]:
        cut = data[: int(len(data) * share)]
        good.write_bytes(cut)
        done = daemon.cli("run", "--listen", daemon.address, timeout=30)
        assert done.returncode == 1, f"{share}: {done.stderr}"
        assert "state.db" in done.stderr
        assert "Traceback" not in done.stderr
        assert good.read_bytes() == cut, "a damaged file is left as it is"
        for path in daemon.home.glob("state.db-*"):
            path.unlink()
    good.write_bytes(data)


def test_write_ahead_log_cut_short() -> None:
    """A torn log takes what stood in it; the node must not sign those numbers again."""
    with running_mesh(2) as mesh:
        first, second = mesh
        second.do("SET", "before", "1")
        for number in range(20):
            second.do("SET", f"key:{number}", number)
        mesh.reads("key:19", b"19")
        first.stop()
        second.kill()
        log = second.home / "state.db-wal"
        assert log.stat().st_size > 20_000
        with log.open("r+b") as file:
            file.truncate(log.stat().st_size - 20_000)
        second.start()
        second.do("SET", "after", "alone")
        first.start()
        mesh.everyone_alive()
        mesh.reads("key:19", b"19")
        mesh.reads("after", b"alone")
        agree(mesh.daemons, HEAL_SECONDS)
        for daemon in mesh:
            assert status(daemon)["counters"].get("forks_seen", 0) == 0
