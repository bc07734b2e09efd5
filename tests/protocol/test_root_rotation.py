"""Versions of the root in a running mesh: everybody follows, those away too; thieves do not win."""

import pytest

from gossipnet.errors import UserError
from gossipnet.identity.founding import admit, expand, found_with_roots
from gossipnet.identity.issuer import Issuer, issue_by_root
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.proposal import propose
from gossipnet.identity.signing import SecretKey
from gossipnet.identity.trust import Trust
from gossipnet.protocol.effects import Renewed
from tests.protocol.identities import WALL
from tests.protocol.mesh import Machine, Net

_entropy = expand(b"rotation")
RECOVERY = SecretKey.generate(_entropy)
FOUNDER, KEYS = found_with_roots(
    "test", "node0", _entropy, WALL, threshold=2, authorities=3, recovery=RECOVERY.public_key
)
ISSUER = FOUNDER.trust.steps(FOUNDER.chain)[-1][0]


def own_trust(who: NodeIdentity) -> NodeIdentity:
    """The same node with a trust of its own, as on another machine."""
    return NodeIdentity.assemble(
        who.key,
        who.chain,
        Trust.decode(who.trust.encode()),
        issuer_key=None if who.issuer is None else who.issuer.key,
        issuer_chain=() if who.issuer is None else who.issuer.chain,
    )


def running(count: int) -> Net:
    net = Net()
    for place in range(count):
        name = f"node{place}"
        who = FOUNDER if not place else admit(FOUNDER, name, expand(name.encode()), WALL)
        add(net, who)
    net.until(net.meshed, 20, "everybody knows everybody")
    return net


def add(net: Net, who: NodeIdentity) -> Machine:
    machine = net.add(who.name, start=False)
    machine.identity = own_trust(who)
    machine.seeds = () if who is FOUNDER else ("node0:7117",)
    return machine.start()


def version(trust: Trust, signers: list[SecretKey], new: list[SecretKey], **more) -> bytes:
    settings = {
        "created": WALL,
        "threshold": len(new),
        "authorities": [key.public_key for key in new],
        "recovery": trust.root.recovery,
        "issuers": frozenset({ISSUER}),
        **more,
    }
    proposal = propose(trust, **settings)
    proposal.sign([*new, *signers])
    return proposal.finish(trust)


def versions(net: Net) -> set[int]:
    return {machine.identity.trust.root_version for machine in net}


def test_everybody_follows_and_shows_how_far_it_has_come() -> None:
    net = running(5)
    away = net[4]
    away.stop()
    data = version(net[1].identity.trust, list(KEYS), list(KEYS[:2]))
    net[1].write(lambda engine: engine.bring_root(data))
    net.until(lambda: versions(net) == {2}, 5, "everybody has version 2")
    net.run(1)
    root = net[0].engine.status()["trust"]["root"]
    assert root["version"] == 2
    assert root["rule"] == "2-of-2"
    assert root["members"] == {"1": 1, "2": 4}
    assert root["share"] == 0.8
    assert "root-adopted" in [event.kind for event in net[3].told]
    away.start()
    net.until(lambda: away.identity.trust.root_version == 2, 10)
    net.until(lambda: net[0].engine.status()["trust"]["root"]["share"] == 1.0, 10)
    net[2].set(b"k", b"v")
    net.until(lambda: all(machine.get(b"k") == b"v" for machine in net), 5)
    shown = net[0].engine.root()["versions"]
    assert [row["version"] for row in shown] == [1, 2]
    assert shown[1]["signed_by"] == ["authorities"]


def test_it_is_kept_with_the_certificates_and_in_the_database() -> None:
    net = running(2)
    told: list[Renewed] = []
    carry_out = net[1].carry_out
    net[1].carry_out = lambda effect: (
        told.append(effect) if isinstance(effect, Renewed) else carry_out(effect)
    )
    data = version(net[0].identity.trust, list(KEYS), list(KEYS[:2]))
    net[0].write(lambda engine: engine.bring_root(data))
    net.run(1)
    assert Trust.decode(told[-1].identity.trust.encode()).root_version == 2
    net[1].kill()
    net[1].identity = own_trust(admit(FOUNDER, "node1", expand(b"node1"), WALL))
    net[1].start()
    assert net[1].identity.trust.root_version == 2


def test_what_does_not_hold_is_refused_with_a_reason() -> None:
    net = running(2)
    trust = net[0].identity.trust
    good = version(trust, list(KEYS), list(KEYS[:2]))
    bad = bytearray(good)
    bad[10] ^= 1
    with pytest.raises(UserError, match="does not hold"):
        net[0].engine.bring_root(bytes(bad))
    net[0].engine.bring_root(good)
    third = version(trust, list(KEYS[:2]), list(KEYS[:1]))
    with pytest.raises(UserError, match="does not follow version 1"):
        net[1].engine.bring_root(third)
    assert net[1].identity.trust.root_version == 1


def test_the_recovery_key_takes_the_mesh_back_from_a_thief() -> None:
    net = running(4)
    trust = own_trust(FOUNDER).trust
    thief = [SecretKey.generate(_entropy)]
    net.part("node3")
    stolen = version(trust, list(KEYS[:2]), thief, issuers=frozenset())
    net[3].write(lambda engine: engine.bring_root(stolen))
    owner = [SecretKey.generate(_entropy)]
    taken_back = version(trust, [RECOVERY], owner)
    net[0].write(lambda engine: engine.bring_root(taken_back))
    net.run(5)
    net.heal()
    want = net[0].identity.trust.root.hash
    net.until(lambda: all(m.identity.trust.root.hash == want for m in net), 60, "all take it back")
    net.until(net.meshed, 30, "and meet again")


def test_members_of_an_issuer_that_the_root_withdraws_are_out_and_their_records_void() -> None:
    net = running(3)
    root_trust = own_trust(FOUNDER).trust
    other_key = SecretKey.generate(_entropy)
    chain = issue_by_root(
        KEYS, root_trust, other_key.public_key, "other", wall=WALL, entropy=_entropy
    )
    key = SecretKey.generate(_entropy)
    leaf = Issuer(other_key, chain, root_trust).issue(
        key.public_key, "guest", wall=WALL, entropy=_entropy
    )
    guest = add(net, NodeIdentity.assemble(key, leaf, root_trust))
    net.until(net.meshed, 20)
    guest.set(b"guest", b"was here")
    net[1].set(b"honest", b"stays")
    net.until(lambda: all(m.get(b"guest") and m.get(b"honest") for m in net), 5)
    data = version(root_trust, list(KEYS), [SecretKey.generate(_entropy)])
    net[0].write(lambda engine: engine.bring_root(data))
    rest = [machine for machine in net if machine is not guest]
    net.until(lambda: all(m.states()["guest"] == "revoked" for m in rest), 5)
    net.run(2)
    assert all(m.get(b"guest") is None for m in rest)
    assert all(m.get(b"honest") == b"stays" for m in rest)
    assert "withdrew" in guest.engine.status()["trust"]["own"]
    assert not any(link.greeted for link in guest.engine.links.values())


def test_a_root_pardons_whom_a_stolen_revoker_revoked() -> None:
    net = running(3)
    net[2].set(b"k", b"v")
    net.until(lambda: net[0].get(b"k") == b"v", 5)
    net[0].write(lambda engine: engine.revoke("node2", "a mistake"))
    net[2].kill()
    net.run(2)
    assert net[1].states()["node2"] == "revoked"
    trust = own_trust(FOUNDER).trust
    pardon = version(trust, list(KEYS), list(KEYS[:2]), voids=frozenset({FOUNDER.node_id}))
    net[0].write(lambda engine: engine.bring_root(pardon))
    net.until(lambda: net[1].states()["node2"] != "revoked", 5)
    net[2].start()
    net.until(lambda: net.meshed() and versions(net) == {2}, 40)
    net[2].set(b"k", b"w")
    net.until(lambda: all(machine.get(b"k") == b"w" for machine in net), 10)
