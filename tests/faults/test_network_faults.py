"""Five daemons on wires that are cut, lossy, slow or mad, under a load that never stops.

After each fault everybody shows the same, nothing acknowledged is missing, nothing is invented, and
nobody was called dead who could be reached.
"""

import contextlib
import random
import time
from collections.abc import Iterator

import pytest
from examination import events, examine, states, status
from history import false_deaths, late
from laboratory import HEAL_SECONDS, Laboratory, eventually, laboratory, long_or_short
from load import Load, agree

pytestmark = pytest.mark.e2e

FAULT = long_or_short(60, 3)
"""Seconds that most faults last."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    with laboratory(5) as lab:
        yield lab


@contextlib.contextmanager
def under_load(lab: Laboratory, name: str, rate: float = 40.0) -> Iterator[Load]:
    """Clients everywhere; the wires are perfect before, and again after the block."""
    lab.settle()
    with Load(lab.mesh.daemons, name, rate=rate).running() as load:
        load.going_on(0.5)
        yield load
        load.healed = time.monotonic()
        lab.net.heal()
        load.going_on(0.5)


def names(lab: Laboratory, *numbers: int) -> list[str]:
    return [lab.mesh[number].name for number in numbers]


def carried_on(lab: Laboratory, load: Load, within: float) -> None:
    """What was acknowledged reached everybody while the fault lasted."""
    wrong = late(load.history, names(lab, *range(5)), within, load.healed)
    assert not wrong, "\n".join(wrong[:20])


def test_without_faults(lab: Laboratory) -> None:
    with under_load(lab, "calm", rate=80) as load:
        load.going_on(FAULT)
    examine(load, lab.mesh.daemons, within=5)
    carried_on(lab, load, within=3)


def test_two_halves(lab: Laboratory) -> None:
    with under_load(lab, "halves") as load:
        lab.net.cut([0, 1], [2, 3, 4])
        load.going_on(FAULT)
        eventually(
            lambda: set(states(lab.mesh[3]).values()) == {"alive", "dead"},
            "one half buries the other",
        )
    examine(load, lab.mesh.daemons, may_die=names(lab, *range(5)))
    lab.mesh.everyone_alive()


def test_bridge(lab: Laboratory) -> None:
    """Only node2 reaches everybody: all goes through it, and nobody is buried."""
    with under_load(lab, "bridge") as load:
        lab.net.cut([0, 1, 2], [2, 3, 4])
        load.going_on(FAULT)
        assert not false_deaths(events(lab.mesh.daemons, load.since))
    examine(load, lab.mesh.daemons)
    carried_on(lab, load, within=5)


def test_ring(lab: Laboratory) -> None:
    """Each sees two of the four others; agreement does not wait for the heal."""
    lab.settle()
    with Load(lab.mesh.daemons, "ring").running() as load:
        load.going_on(0.5)
        lab.net.ring()
        load.going_on(FAULT)
    examine(load, lab.mesh.daemons)
    carried_on(lab, load, within=5)
    lab.settle()


@pytest.mark.parametrize("direction", ["mute", "deaf"])
def test_one_way_cut(lab: Laboratory, direction: str) -> None:
    with under_load(lab, direction) as load:
        (lab.net.mute if direction == "mute" else lab.net.deafen)(1)
        load.going_on(FAULT)
    examine(load, lab.mesh.daemons, may_die=names(lab, *range(5)))
    lab.mesh.everyone_alive()
    turns = [
        row
        for row in events([lab.mesh[0]], load.since)["node0"]
        if row["kind"] in ("member-dead", "member-back")
    ]
    assert len(turns) <= 3 + FAULT / 20, "a one-way cut made the table flap"


def test_flapping(lab: Laboratory) -> None:
    """Links come and go at random; memory does not grow."""
    rng = random.Random(6)
    pairs = [(a, b) for a in range(5) for b in range(5) if a != b]
    resident = {daemon.name: memory(daemon.process.pid) for daemon in lab.mesh if daemon.process}
    with under_load(lab, "flapping") as load:
        end = time.monotonic() + long_or_short(600, 5)
        while time.monotonic() < end:
            lab.net.pairs([pair for pair in pairs if rng.random() < 0.3], cut=True)
            load.going_on(rng.uniform(0.5, long_or_short(5, 2)))
            lab.net.heal()
            load.going_on(rng.uniform(0.2, long_or_short(5, 1)))
    examine(load, lab.mesh.daemons, may_die=names(lab, *range(5)))
    for daemon in lab.mesh:
        assert daemon.process is not None
        grown = memory(daemon.process.pid) / resident[daemon.name]
        assert grown < 1.5, f"{daemon.name} has grown to {grown:.2f} times its size"


def test_a_fifth_of_all_packets_lost(lab: Laboratory) -> None:
    with under_load(lab, "lossy") as load:
        lab.net.everywhere(loss=0.2)
        load.going_on(long_or_short(60, 4))
    examine(load, lab.mesh.daemons)
    carried_on(lab, load, within=5)


def test_a_quarter_of_all_packets_lost_buries_nobody(lab: Laboratory) -> None:
    with under_load(lab, "lossier", rate=10) as load:
        lab.net.everywhere(loss=0.25, delay=0.005)
        load.going_on(long_or_short(600, 5))
    examine(load, lab.mesh.daemons)


def test_duplicated_reordered_and_late(lab: Laboratory) -> None:
    with under_load(lab, "mad") as load:
        lab.net.everywhere(dup=0.5, jitter=0.03, delay=0.01)
        load.going_on(FAULT)
    examine(load, lab.mesh.daemons)
    carried_on(lab, load, within=3)


def test_corrupted_under_good_checksums(lab: Laboratory) -> None:
    """What TCP lets pass the links reject; it costs links and changes nothing."""
    before = {daemon.name: refused_frames(status(daemon)) for daemon in lab.mesh}
    with under_load(lab, "corrupt") as load:
        lab.net.everywhere(corrupt=0.01)
        load.going_on(long_or_short(60, 3))
        rejected = sum(refused_frames(status(d)) - before[d.name] for d in lab.mesh)
    assert rejected > 0, "nothing was corrupted, or nothing was counted"
    examine(load, lab.mesh.daemons)


def test_long_distance(lab: Laboratory) -> None:
    with under_load(lab, "far") as load:
        lab.net.everywhere(delay=0.1, jitter=0.02)
        load.going_on(FAULT)
    examine(load, lab.mesh.daemons)
    carried_on(lab, load, within=3)


def test_newcomer_behind_a_slow_line(lab: Laboratory) -> None:
    """A state that takes long to fetch delays neither the news nor the heartbeats."""
    rate = long_or_short(32_000, 100_000)  # 256 kbit/s
    size = int(long_or_short(8_000_000, 400_000))
    lab.settle()
    node = lab.mesh[4]
    node.stop()
    with lab.mesh[0].redis() as client:
        for number in range(size // 20_000):
            client.set(f"bulk:{number}", random.Random(number).randbytes(20_000))
    lab.net.around(4, rate=rate)
    began = time.time()
    node.start()
    news = 0
    slowest = 0.0
    while not node.do("EXISTS", f"bulk:{size // 20_000 - 1}"):
        news += 1
        written = time.monotonic()
        lab.mesh[1].do("SET", "news", news)
        eventually(lambda news=news: int(node.do("GET", "news") or 0) >= news, "the news", 60)
        slowest = max(slowest, time.monotonic() - written)
    took = time.time() - began
    assert took < 4 * size / rate + 10, f"fetching took {took:.0f} s"
    counters = status(node)["counters"]
    assert counters.get("pulls_stalled", 0) == 0, counters
    assert not false_deaths(events(lab.mesh.daemons, began))
    agree(lab.mesh.daemons, HEAL_SECONDS)
    lab.settle()
    print(f"fetched in {took:.1f} s, the slowest news took {slowest:.2f} s")


def memory(pid: int) -> float:
    """Resident KiB."""
    with open(f"/proc/{pid}/status") as file:
        return float(next(line for line in file if line.startswith("VmRSS")).split()[1])


def refused_frames(found: dict) -> int:
    """Frames that did not authenticate, by the counters of a status."""
    ended = found["io"]
    return sum(ended.get(f"link_ended_{why}", 0) for why in ("bad_tag", "bad_frame"))
