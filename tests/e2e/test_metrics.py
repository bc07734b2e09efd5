"""``gossipnet metrics``: what Prometheus reads of a real daemon, and of one that is away."""

import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mesh_harness import Mesh, eventually, free_port, running_mesh
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(2) as mesh:
        mesh.everyone_alive()
        yield mesh


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_numbers_are_those_of_the_daemon(mesh: Mesh) -> None:
    mesh[0].do("SET", "a", "1")
    found = samples(mesh[0].must("metrics", "--per-peer"))
    assert found["gossipnet_up", ()] == 1
    assert found["gossipnet_members", (("state", "alive"),)] == 2
    assert found["gossipnet_members", (("state", "dead"),)] == 0
    assert found["gossipnet_store_keys", ()] == mesh[0].do("DBSIZE")
    assert found["gossipnet_disk_healthy", ()] == 1
    assert found["gossipnet_commits_total", ()] >= 1
    assert found["gossipnet_happenings_total", (("kind", "joins_answered"),)] == 1
    rtt = "gossipnet_peer_rtt_seconds", (("peer", mesh[1].name),)
    found = eventually(
        lambda: (scraped := samples(mesh[0].must("metrics", "--per-peer"))).get(rtt) and scraped,
        "a round trip was measured",
    )
    assert 0 < found[rtt] < 5


def test_names_keep_the_conventions(mesh: Mesh) -> None:
    for family in text_string_to_metric_families(mesh[0].must("metrics")):
        assert re.fullmatch(r"gossipnet_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        assert family.type in ("gauge", "counter")
        # The parser takes `_total` off the names of counters.
        assert not family.name.endswith(("_total", "_count"))


def test_scrapes_over_http_go_on_while_the_daemon_is_away(mesh: Mesh) -> None:
    second, port = mesh[1], free_port()
    process = subprocess.Popen(
        second.command("metrics", "--listen", f"127.0.0.1:{port}"),
        env=second.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert f"127.0.0.1:{port}" in process.stderr.readline()

        def scraped() -> Samples:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as page:
                return samples(page.read().decode())

        assert scraped()["gossipnet_up", ()] == 1
        second.stop()
        assert scraped() == {("gossipnet_up", ()): 0}
        second.start()
        assert scraped()["gossipnet_up", ()] == 1
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.communicate()


def test_a_file_for_the_textfile_collector(mesh: Mesh, tmp_path: Path) -> None:
    path = tmp_path / "gossipnet.prom"
    mesh[0].must("metrics", "--write", str(path))
    assert samples(path.read_text())["gossipnet_ready", ()] == 1
    away = mesh[0].cli("metrics", "--write", str(tmp_path / "no" / "file"))
    assert (away.returncode, away.stderr.count("\n")) == (1, 1)
    assert mesh[0].cli("metrics", "--home", str(tmp_path)).returncode == 3
