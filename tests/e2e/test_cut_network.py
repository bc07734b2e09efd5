"""Partitions of a real network: a namespace per daemon, on a bridge that drops on command."""

from collections.abc import Iterator

import pytest
from mesh_harness import Mesh, eventually, running_mesh
from namespaces import Network, available

from tests.needs import need

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    need(*available())
    with Network.built(5) as network:
        yield network


@pytest.fixture(scope="module")
def mesh(network: Network) -> Iterator[Mesh]:
    with running_mesh() as mesh:
        for number in range(5):
            options = {"wrapper": network.inside(number), "host": network.host(number)}
            mesh.add(**options) if number else mesh.found(**options)
        mesh.everyone_alive()
        yield mesh


def test_both_halves_go_on_and_agree_after_the_heal(network: Network, mesh: Mesh) -> None:
    left, right = mesh.daemons[:2], mesh.daemons[2:]
    mesh[0].do("SET", "colour", "grey")
    mesh.reads("colour", b"grey")
    network.cut([0, 1], [2, 3, 4])
    eventually(lambda: right[0].states()["node0"] != "alive", "the larger half misses node0")

    left[0].do("SADD", "written", "left")
    right[0].do("SADD", "written", "right")
    left[1].do("INCRBY", "sum", 2)
    right[1].do("INCRBY", "sum", 40)
    left[0].do("SET", "colour", "red")
    right[2].do("DEL", "colour")
    mesh.reads("sum", b"2", left)
    mesh.reads("sum", b"40", right)

    network.heal()
    mesh.everyone_alive()
    mesh.reads("sum", b"42")
    mesh.reads("colour", b"red")  # a write wins over a concurrent delete
    for daemon in mesh:
        eventually(
            lambda daemon=daemon: set(daemon.do("SMEMBERS", "written")) == {b"left", b"right"},
            f"{daemon.name} has what both halves wrote",
        )


def test_one_daemon_alone_keeps_serving(network: Network, mesh: Mesh) -> None:
    network.cut([0], [1, 2, 3, 4])
    eventually(lambda: mesh[1].states()["node0"] == "dead", "node0 is called dead")
    mesh[0].do("SET", "alone", "but working")
    mesh[1].do("SET", "together", "without node0")
    assert mesh[0].do("GET", "alone") == b"but working"
    network.heal()
    mesh.reads("alone", b"but working")
    mesh.reads("together", b"without node0")
    mesh.everyone_alive()


def test_a_bridge_between_two_halves_carries_everything(network: Network, mesh: Mesh) -> None:
    """Only node2 reaches everybody: what the outer ones write still crosses."""
    network.cut([0, 1, 2], [2, 3, 4])
    mesh[0].do("SET", "from-left", "crossed")
    mesh[4].do("SET", "from-right", "crossed")
    mesh.reads("from-left", b"crossed")
    mesh.reads("from-right", b"crossed")
    network.heal()
    mesh.everyone_alive()


def test_one_way_cut_heals(network: Network, mesh: Mesh) -> None:
    """Everything that node0 sends is lost; it still hears the others."""
    network.cut_one_way(0, [1, 2, 3, 4])
    mesh[0].do("SET", "mute", "said")
    mesh[1].do("SET", "heard", "said")
    eventually(lambda: mesh[1].states()["node0"] != "alive", "the mute one is missed")
    network.heal()
    mesh.reads("mute", b"said")
    mesh.reads("heard", b"said")
    mesh.everyone_alive()
