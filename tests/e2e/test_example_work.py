"""The examples that divide work keep at it while machines join and die."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from example_programs import going, told
from mesh_harness import Mesh, eventually, running_mesh

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(4) as mesh:
        yield mesh


def test_one_machine_runs_a_job_and_the_next_takes_over(mesh: Mesh, tmp_path: Path) -> None:
    ran, jobs = tmp_path / "ran", tmp_path / "jobs.toml"
    script = f"echo $CRON_TURN $CRON_MACHINE >> {ran}"
    jobs.write_text(f'[tick]\nevery = 1\ncommand = ["sh", "-c", "{script}"]\n')

    def runs() -> list[tuple[str, str]]:
        text = ran.read_text() if ran.exists() else ""
        return [(turn, machine) for turn, machine in map(str.split, text.splitlines())]

    with ExitStack() as stack:
        # Without a runner on node3: a member that does not take part owns nothing.
        started = {
            daemon.name: stack.enter_context(going("cron", daemon, str(jobs)))
            for daemon in mesh.daemons[:3]
        }
        eventually(lambda: len(mesh[3].do("HKEYS", "cron:runners")) == 3, "all runners are known")
        ranked = mesh[3].must("owner", "cron:tick", "4", "--json")
        order = [name for name in re.findall(r'"name": *"(\w+)"', ranked) if name != "node3"]
        assert len(order) == 3
        before = len(runs())
        eventually(lambda: len(runs()) >= before + 3, "the job runs, turn by turn")
        settled = runs()[before + 1 :]
        assert {machine for _turn, machine in settled} == {order[0]}
        assert len({turn for turn, _machine in settled}) == len(settled)

        first = next(daemon for daemon in mesh if daemon.name == order[0])
        started[order[0]].kill()
        first.kill()
        eventually(lambda: runs()[-1][1] == order[1], "the next in rank takes over")
        started[order[1]].kill()  # only the runner this time: its machine is alive
        eventually(lambda: runs()[-1][1] == order[2], "and the last one, when the lease has ended")
        first.start()


def primes_below(limit: int) -> int:
    sieve = bytearray([1]) * limit
    sieve[:2] = b"\0\0"
    for number in range(2, int(limit**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return sum(sieve)


def test_a_computation_survives_joins_and_deaths(mesh: Mesh) -> None:
    mesh.everyone_alive()
    below, chunks = 60_000, 40
    with ExitStack() as stack:
        workers = [
            stack.enter_context(going("compute", daemon, "work", "--rest", "0.2"))
            for daemon in mesh.daemons[:2]
        ]
        starting = stack.enter_context(
            going("compute", mesh[3], "start", "--below", str(below), "--chunks", str(chunks))
        )
        for worker in workers:
            worker.says("primes/")  # both have begun
        late = stack.enter_context(going("compute", mesh[2], "work", "--rest", "0.2"))
        late.says("primes/")  # and so has one that came late
        workers[0].kill()
        mesh[0].kill()
        said = starting.says(f"primes below {below}")
        assert int(said.rpartition(" ")[2]) == primes_below(below)
        speed = starting.says("times as fast as one")
        assert re.fullmatch(r"[\d.]+ s of work in [\d.]+ s: [\d.]+ times as fast as one", speed)
        assert any(line.startswith("node2: ") for line in starting.lines)
        assert mesh[3].do("HLEN", "done:primes") == chunks
    mesh[0].start()
    mesh[0].do("PING")
    eventually(lambda: mesh[0].do("HLEN", "done:primes") == chunks, "it has the results too")
    assert told("compute", mesh[0], "work") == ""  # nothing is left to do
