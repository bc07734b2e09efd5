"""GOSSIP CONFLICTS, WHO, DOTS and VV, and what INFO tells of keys: where state comes from."""

from resp_world import WALL, Caller, LoneMesh, open_service
from sites import Sites, mesh

from gossipnet.ids import text
from gossipnet.resp.info import document
from gossipnet.state.conflicts import KINDS

IDS = {
    name: text(identity.node_id).encode()
    for name, identity in zip("ABC", mesh().identities, strict=False)
}


class Mesh(LoneMesh):
    """One of several sites."""

    def __init__(self, sites: Sites) -> None:
        super().__init__()
        self.replica = sites.replicas["A"]
        self.keyspace = self.replica.keyspace


def contested() -> tuple[Sites, Caller]:
    sites = Sites()
    sites.A.set(b"k", b"a")
    sites.B.set(b"k", b"b")
    sites.B.add(b"hidden", [b"m"])
    sites.A.set(b"hidden", b"v")
    sites.sync()
    return sites, Caller(open_service(Mesh(sites)), protocol=3)


def test_conflicts_are_listed_with_authors_and_outcome() -> None:
    _sites, caller = contested()
    clash, rows = caller.call("GOSSIP", "CONFLICTS")
    authors = [IDS["B"], b"ada"]  # whose name is known
    assert (clash[b"kind"], clash[b"key"], clash[b"part"]) == (b"type", b"hidden", b"string")
    assert (rows[b"kind"], rows[b"key"], rows[b"authors"]) == (b"string", b"k", authors)
    assert rows[b"outcome"] == KINDS["string"].encode()
    assert abs(rows[b"wall"] - WALL) < 10
    assert len(caller.call("GOSSIP", "CONFLICTS", 1)) == 1
    assert "number" in caller.refusal("GOSSIP", "CONFLICTS", "-1")


def test_conflicts_of_keys_that_may_not_be_read_are_not_told() -> None:
    sites, _caller = contested()
    service = open_service(Mesh(sites), may_read=lambda key: key != b"hidden")
    rows = Caller(service, protocol=3).call("GOSSIP", "CONFLICTS")
    assert [row[b"key"] for row in rows] == [b"k"]
    assert Caller(service).refusal("GOSSIP", "WHO", "hidden").startswith("NOPERM")


def test_info_counts_them_by_kind() -> None:
    _sites, caller = contested()
    lines = document(caller.service, ["crdt"]).split("\r\n")
    assert "crdt_conflicts:2" in lines
    assert {"crdt_conflicts_string:1", "crdt_conflicts_type:1", "crdt_conflicts_set:0"} < set(lines)


def test_whose_writes_a_key_holds() -> None:
    sites, caller = contested()
    newest, other = caller.call("GOSSIP", "WHO", "k")
    assert newest[b"id"] == IDS["B"]
    assert (newest[b"operations"], other[b"operations"]) == (1, 1)
    dots = caller.call("GOSSIP", "DOTS", "k")
    assert [dot[b"log"] for dot in dots] == [text(sites.replicas[n].own_log).encode() for n in "BA"]
    assert caller.call("GOSSIP", "WHO", "none") is caller.call("GOSSIP", "DOTS", "none") is None
    heads = {row[b"log"]: row[b"head"] for row in caller.call("GOSSIP", "VV")}
    assert heads[dots[0][b"log"]] >= dots[0][b"seq"]


def test_info_tells_how_many_keys_end_and_when() -> None:
    caller = Caller(open_service())
    for key, words in {"a": ["PX", 4000], "b": ["PX", 2000], "c": []}.items():
        caller.call("SET", key, "v", *words)
    for _again in range(3):
        caller.call("PEXPIRE", "a", 4000)
    assert "db0:keys=3,expires=2,avg_ttl=3000" in document(caller.service, ["keyspace"])
    caller.call("PERSIST", "a")
    assert "expires=1,avg_ttl=2000" in document(caller.service, ["keyspace"])
