"""Renewals: nobody else's request counts, and nobody revives what was revoked."""

from gossipnet.identity.founding import admit, expand
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import Domain, SecretKey, sign
from gossipnet.protocol.effects import Received
from gossipnet.protocol.wire import decode_untrusted, encode
from gossipnet.protocol.wire_trust import RenewAnswer, RenewAsk, RenewBody
from tests.protocol.identities import WALL, identity
from tests.protocol.mesh import Machine, Net


def meshed(count: int) -> Net:
    net = Net(count)
    net.until(net.meshed, 20, "everybody knows everybody")
    return net


def ask(
    net: Net, of: NodeIdentity, key: SecretKey, issuer: NodeIdentity | None = None
) -> list[RenewAnswer]:
    """What node0 answers node1, who asks for whoever's certificates these are."""
    founder, asking = net[0], net[1].identity.node_id
    body = encode(RenewBody(founder.identity.node_id, int(founder.wall * 1000), bytes(16)))
    mesh_id = of.trust.mesh_id
    chain: list[bytes] = []
    second = b""
    if issuer is not None:
        assert issuer.issuer is not None
        chain = list(issuer.issuer.chain)
        second = sign(issuer.issuer.key, Domain.RENEW, mesh_id, body)
    number = next(n for n, link in founder.engine.links.items() if link.node == asking)
    founder.sent.clear()
    founder.feed(
        Received(
            number,
            encode(
                RenewAsk(
                    1,
                    founder.identity.node_id[:16],
                    list(of.chain),
                    chain,
                    body,
                    sign(key, Domain.RENEW, mesh_id, body),
                    second,
                )
            ),
        )
    )
    sent = [decode_untrusted(effect.payload) for effect in founder.sent]
    return [message for message in sent if isinstance(message, RenewAnswer)]


def test_who_asks_with_another_s_certificate_does_not_keep_that_one_from_renewing() -> None:
    net = meshed(3)
    liar, victim = net[1].identity, net[2]
    (answer,) = ask(net, victim.identity, liar.key)
    assert answer.refusal
    assert not answer.chain
    before = victim.identity.certificate.serial
    victim.write(lambda engine: engine.renew())
    net.until(lambda: victim.identity.certificate.serial != before, 10, "the victim's renewal")
    assert net[0].engine.context.counters["renewals_forged"] == 1


def test_a_revoked_issuer_is_not_revived_by_a_node_that_it_let_in() -> None:
    net = meshed(2)
    roles = frozenset({"member", "issuer"})
    rogue = admit(identity("node0"), "rogue", expand(b"rogue"), WALL, roles=roles)
    puppet = admit(rogue, "puppet", expand(b"puppet"), WALL)
    for who in (rogue, puppet):
        machine = net.machines[who.name] = Machine(net, who.name, who, ("node0:7117",))
        machine.start()
    net.until(net.meshed, 20, "everybody knows everybody")
    (answer,) = ask(net, puppet, puppet.key, issuer=rogue)
    assert answer.issuer_chain, "as long as it may"

    net.run(120)
    net[0].write(lambda engine: engine.revoke("rogue", "caught"))
    net.run(2)
    assert net[0].states()["rogue"] == "revoked"
    assert net[0].states()["puppet"] == "alive", "kept"
    (answer,) = ask(net, puppet, puppet.key, issuer=rogue)
    assert not answer.issuer_chain
    assert "revoked" in answer.refusal
    (answer,) = ask(net, rogue, rogue.key)
    assert not answer.chain
    assert "revoked" in answer.refusal
