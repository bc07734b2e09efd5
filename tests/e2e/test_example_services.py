"""The examples about services, flags, limits and fleets do what their pages say."""

import http.client
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import pytest
from example_programs import beside, going, module, run, told
from mesh_harness import ROOT, Mesh, eventually, running_mesh

from tests.needs import need

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """Three machines at two sites."""
    with running_mesh() as mesh:
        for number, zone in enumerate(("north", "north", "south")):
            daemon = mesh.new()
            daemon.env["GOSSIPNET_ZONE"] = zone
            if number:
                token = mesh[0].must("invite").strip()
                daemon.must("join", token, "--name", daemon.name, mesh[0].address)
            else:
                daemon.must("init", "test", "--name", daemon.name, "--no-passphrase")
            daemon.start()
        mesh.everyone_alive()
        yield mesh


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=100)


def spelled(server: socket.socket) -> str:
    return "{}:{}".format(*server.getsockname())


def test_a_service_is_listed_for_as_long_as_it_is_well(mesh: Mesh, tmp_path: Path) -> None:
    def found() -> list[str]:
        return sorted(
            line.split()[0] for line in told("registry", mesh[2], "find", "web").split("\n") if line
        )

    def leased_until() -> int:
        reply = mesh[2].do("HPEXPIRETIME", "instances:web", "FIELDS", 1, near)
        return int(reply[0])

    with listening() as server, listening() as other:
        near, far = sorted((spelled(server), spelled(other)))
        if near != spelled(server):
            server, other = other, server
        with (
            going("registry", mesh[0], "keep", "web", near, "--ttl", "2") as first,
            going("registry", mesh[1], "keep", "web", far, "--ttl", "2") as second,
            beside(mesh[2], "dns", "--listen", "127.0.0.1:0") as names,
        ):
            port = int(names.says("127.0.0.1").rpartition(":")[2])

            def named() -> list[str]:
                question = dns.message.make_query("web.service.gossipnet", "SRV")
                answer = dns.query.udp(question, "127.0.0.1", timeout=30, port=port)
                ports = [item.port for record in answer.answer for item in record]
                return sorted(f"127.0.0.1:{port}" for port in ports)

            first.says("healthy")
            second.says("healthy")
            eventually(lambda: found() == [near, far], "both are found on a third machine")
            eventually(lambda: named() == [near, far], "both have a name there")
            until = leased_until()
            eventually(lambda: leased_until() > until, "the lease is renewed")
            target = tmp_path / "upstreams.conf"
            source = ROOT / "examples" / "registry" / "upstreams.j2"
            mesh[2].must("template", "--once", str(source), str(target))
            assert f"server {near};  # on node0\n" in target.read_text()

            server.close()  # the instance dies, its machine sees it
            first.says("down")
            eventually(lambda: found() == [far] == named(), "it is listed no more")
            second.kill()  # the machine dies: nobody takes the instance off
            eventually(lambda: found() == [], "its lease has ended")
            eventually(lambda: named() == [], "the other machine took it off the set")


def test_flags_follow_and_stay_while_the_daemon_is_away(mesh: Mesh) -> None:
    with going("flags", mesh[2], "follow", "--user", "ada") as program:
        program.says("following")
        told("flags", mesh[0], "set", "new-ui", "on")
        assert program.says("new-ui") == "new-ui: on for ada"
        told("flags", mesh[1], "set", "new-ui", "on", "--share", "0")
        assert program.says("new-ui") == "new-ui: off for ada"
        assert told("flags", mesh[2], "who", "new-ui").startswith("node1")
        mesh[2].kill()
        told("flags", mesh[0], "set", "new-ui", "on", "--share", "100")
        mesh[2].start()
        assert program.says("new-ui") == "new-ui: on for ada"  # made up for, without a restart
        mesh[0].do("DEL", "flag:new-ui")
        assert program.says("new-ui") == "new-ui: off for ada"


def test_shares_of_users_only_grow() -> None:
    kind = module("flags").Flags
    flags = kind.__new__(kind)  # without the thread that follows a daemon
    got: set[str] = set()
    for share in (0, 10, 50, 100):
        flags._flags = {"f": {"on": "yes", "share": str(share)}}
        now = {user for user in map(str, range(1000)) if flags.enabled("f", user)}
        assert got <= now
        assert abs(len(now) - 10 * share) < 60
        got = now
    assert not flags.enabled("unknown")
    assert flags.enabled("unknown", default=True)


def asked(port: int, source: str) -> int:
    with closing(
        http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    ) as web:
        web.request("GET", "/")
        return web.getresponse().status


def test_one_limit_and_one_ban_list_on_all_machines(mesh: Mesh) -> None:
    need(sys.platform == "linux", "only Linux has all of 127.0.0.0/8")
    limit = 10
    options = ("--port", "0", "--limit", str(limit), "--window", "1000000000")
    with (
        going("limiter", mesh[0], *options) as first,
        going("limiter", mesh[1], *options) as second,
    ):
        ports = [int(one.says("http://").rstrip("/").rpartition(":")[2]) for one in (first, second)]
        assert "with 3 machines" in first.says("may get through")
        let_in = 0
        for _ in range(limit):
            let_in += sum(asked(port, "127.0.0.2") == 200 for port in ports)
        assert limit <= let_in <= 2 * limit  # the bound, whatever the network does
        for port in ports:
            eventually(lambda port=port: asked(port, "127.0.0.2") == 429, "both have had enough")
            assert asked(port, "127.0.0.3") == 200  # of it alone

        mesh[2].must("set", "ban:127.0.0.3", "ssh", "--ttl", "1h")
        for port in ports:
            eventually(lambda port=port: asked(port, "127.0.0.3") == 403, "banned everywhere")
        mesh[2].do("SADD", "allow", "127.0.0.3")
        for port in ports:
            eventually(lambda port=port: asked(port, "127.0.0.3") == 200, "the allow list wins")
        for _ in range(9 * limit):
            if asked(ports[0], "127.0.0.2") == 403:
                break
        eventually(lambda: mesh[2].do("TTL", "ban:127.0.0.2") > 0, "who does not stop is banned")
        mesh[0].kill()
        assert asked(ports[0], "127.0.0.2") == 200  # without its daemon it lets everybody in
        mesh[0].start()
        eventually(lambda: asked(ports[0], "127.0.0.2") == 403, "and is strict again")


def test_an_inventory_and_the_way_to_the_nearest(mesh: Mesh) -> None:
    for daemon, firmware in zip(mesh, ("1.3", "1.4", "1.4"), strict=True):
        changed = told("fleet", daemon, "report", f"firmware={firmware}", "--offer", "images")
        assert "firmware" in changed
        assert told("fleet", daemon, "report", f"firmware={firmware}") == "told: nothing new\n"
    mesh[0].do("SREM", "offers:images", "node0")

    def listed(*where: str) -> list[list[str]]:
        return [line.split()[:2] for line in told("fleet", mesh[0], "list", *where).splitlines()]

    def nearest() -> str:
        return told("fleet", mesh[0], "route", "images").split()[0]

    eventually(
        lambda: listed("firmware=1.4") == [["node1", "alive"], ["node2", "alive"]],
        "those with that firmware",
    )
    eventually(lambda: nearest() == "node1", "the one at the same site")
    mesh[1].kill()
    eventually(lambda: nearest() == "node2", "the one at the other site, for the near one is dead")
    eventually(lambda: ["node1", "dead"] in listed(), "it stays in the inventory")
    mesh[1].start()
    eventually(lambda: nearest() == "node1", "it is back")
    mesh[0].do("SADD", "offers:images", "node0")
    assert nearest() == "node0"  # nothing is nearer than here
    refused = run("fleet", mesh[0], "route", "nothing")
    assert (refused.returncode, refused.stderr) == (1, "nobody alive offers nothing\n")


def test_nearer_is_the_shorter_round_trip() -> None:
    fleet = module("fleet")
    rows = [
        {"name": name, "zone": zone, "rtt_ms": rtt}
        for name, zone, rtt in (
            ("unknown", "north", None),
            ("far", "north", 80.0),
            ("abroad", "south", 1.0),
            ("near", "north", 2.0),
            ("here", "north", None),
        )
    ]
    ordered = sorted(rows, key=lambda row: fleet.distance(row, "here", "north"))
    assert [row["name"] for row in ordered] == ["here", "near", "far", "unknown", "abroad"]
