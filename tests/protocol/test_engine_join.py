"""Newcomers at the door: answered by the issuer, relayed by anybody else, bounded and refused."""

import pytest

from gossipnet.errors import Denied, JoinError, TokenError
from gossipnet.identity.founding import admit, expand
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import SecretKey
from gossipnet.identity.token import JoinToken, decode_token
from gossipnet.protocol.effects import JoinClosed, JoinOpened, JoinReceived, JoinSend
from gossipnet.protocol.joining import Joiner
from gossipnet.protocol.reception import GUEST_BYTES, GUEST_SECONDS
from gossipnet.protocol.relay import JOINS_MAX
from tests.protocol.identities import WALL, identity
from tests.protocol.mesh import Machine, Net


class Newcomer:
    """Somebody with a token on one machine's doorstep."""

    number = 0

    def __init__(self, machine: Machine, token: JoinToken, name: str, key: SecretKey) -> None:
        Newcomer.number += 1
        self.join = Newcomer.number
        self.machine = machine
        self.key = key
        self.joiner = Joiner(token, key, name, entropy=expand(f"{name}{self.join}".encode()))
        self.taken = 0
        machine.joins[self.join] = (bytearray(), [])
        machine.feed(JoinOpened(self.join, "10.9.9.9:1234"))
        self.say()

    @property
    def closed(self) -> bool:
        return bool(self.machine.joins[self.join][1])

    def say(self) -> None:
        data = self.joiner.data_to_send()
        if data:
            self.machine.feed(JoinReceived(self.join, data))

    def listen(self) -> bool:
        """Take in what was answered; True when the conversation is over."""
        heard = self.machine.joins[self.join][0]
        if len(heard) > self.taken:
            data = bytes(heard[self.taken :])
            self.taken = len(heard)
            self.joiner.receive(data, self.machine.wall)
            self.say()
        return self.joiner.finished or (self.closed and len(heard) == self.taken)


def key_of(name: str) -> SecretKey:
    return SecretKey.generate(expand(b"newcomer" + name.encode()))


def invite(machine: Machine, **values: object) -> JoinToken:
    settings = {"role": "member", "uses": 1, "ttl_s": 3600.0, "capabilities": [], **values}
    text: list[str] = []
    ticket = machine.write(lambda engine: text.append(engine.invite(**settings)))
    machine.net.until(lambda: machine.engine.committed >= ticket, 1)
    return decode_token(text[0])


def settled(count: int) -> Net:
    net = Net(count)
    net.until(net.meshed, 10)
    net.run(2)
    return net


@pytest.mark.parametrize("door", [0, 2])
def test_a_newcomer_is_admitted_at_the_issuer_and_through_a_third(door: int) -> None:
    net = settled(3)
    token = invite(net[0])
    assert token.addresses[0] == "node0:7117"
    newcomer = Newcomer(net[door], token, "fresh", key_of("fresh"))
    net.until(newcomer.listen, 2)
    net.run(0.1)
    assert newcomer.closed
    joined = newcomer.joiner.result
    assert joined is not None
    who = NodeIdentity.assemble(newcomer.key, joined.chain, joined.trust)
    fresh = Machine(net, "fresh", who, tuple(joined.addresses))
    net.machines["fresh"] = fresh
    fresh.start()
    net.until(net.meshed, 5)
    assert "join-answered" in [event.kind for event in net[0].told]
    for machine in net:
        assert not machine.engine.relay._doors
        assert not machine.engine.relay._circuits
        assert not machine.engine.relay.reception._guests


def test_an_issuer_that_is_no_neighbour_is_dialled_for_the_newcomer() -> None:
    net = settled(3)
    token = invite(net[0])
    for machine in net:  # as in a large mesh: node2 and node0 do not know each other's link
        machine.engine.overlay.target = lambda: 1  # type: ignore[method-assign]
    for link in list(net[2].engine.links.values()):
        if link.node == net[0].identity.node_id:
            net[2].engine.life.close(link, "surplus")
            net[2].turn()
    newcomer = Newcomer(net[2], token, "fresh", key_of("fresh"))
    net.until(newcomer.listen, 2)
    assert newcomer.joiner.finished


def test_the_use_of_a_token_is_on_disk_before_the_newcomer_hears_of_it() -> None:
    net = settled(2)
    token = invite(net[0])
    newcomer = Newcomer(net[1], token, "fresh", key_of("fresh"))
    stored = dict(net[0].disk.meta)
    sent: list[dict[str, bytes]] = []
    carry_out = net[1].carry_out

    def watch(effect: object) -> None:
        if isinstance(effect, JoinSend):
            sent.append(dict(net[0].disk.meta))
        carry_out(effect)

    net[1].carry_out = watch  # type: ignore[method-assign,assignment]
    net.until(newcomer.listen, 2)
    name = f"invite/{token.token_id.hex()}/{newcomer.key.node_id.hex()}"
    assert name in sent[-1]
    assert name not in stored


def test_a_token_works_once_but_again_for_the_same_key_even_after_a_restart() -> None:
    net = settled(2)
    token = invite(net[0])
    first = Newcomer(net[1], token, "fresh", key_of("fresh"))
    net.until(first.listen, 2)
    net.run(1)
    net[0].kill()
    net.run(1)
    net[0].start()
    net.until(net.meshed, 5)
    again = Newcomer(net[1], token, "fresh", key_of("fresh"))
    net.until(again.listen, 2)
    assert again.joiner.result is not None
    assert first.joiner.result is not None
    assert again.joiner.result.chain == first.joiner.result.chain
    with pytest.raises(TokenError, match="used"):
        net.until(Newcomer(net[0], token, "other", key_of("other")).listen, 2)


def test_an_expired_and_a_foreign_token_are_refused() -> None:
    net = settled(2)
    token = invite(net[0], ttl_s=10.0)
    net.run(20)
    with pytest.raises(TokenError, match="expired"):
        net.until(Newcomer(net[1], token, "late", key_of("late")).listen, 2)
    foreign = JoinToken(token.mesh_id, token.issuer, bytes(16), bytes(32), 2**31, ())
    with pytest.raises(TokenError):
        net.until(Newcomer(net[0], foreign, "thief", key_of("thief")).listen, 2)
    unknown = JoinToken(token.mesh_id, bytes(32), bytes(16), bytes(32), 2**31, ())  # type: ignore[arg-type]
    nobody = Newcomer(net[0], unknown, "thief", key_of("thief"))
    net.until(nobody.listen, 2)
    with pytest.raises(JoinError):
        nobody.joiner.end_of_stream()


def test_an_issuer_that_is_gone_ends_the_conversation() -> None:
    net = settled(3)
    token = invite(net[0])
    net[0].kill()
    newcomer = Newcomer(net[2], token, "fresh", key_of("fresh"))
    net.until(newcomer.listen, 5)
    assert newcomer.closed
    assert not newcomer.joiner.finished


def test_the_issuer_dies_while_it_answers() -> None:
    net = settled(3)
    newcomer = Newcomer(net[2], invite(net[0]), "fresh", key_of("fresh"))
    net.run(0.004)
    net[0].kill()
    net.until(newcomer.listen, 5)
    assert newcomer.closed


def test_whoever_keeps_silent_or_talks_too_much_is_shown_out() -> None:
    net = settled(2)
    for join in range(1000, 1000 + JOINS_MAX + 5):
        net[1].joins[join] = (bytearray(), [])
        net[1].feed(JoinOpened(join, "10.9.9.9:1"))
    assert [bool(net[1].joins[n][1]) for n in range(1000, 1000 + JOINS_MAX + 5)].count(True) == 5
    net[1].feed(JoinReceived(1000, b"GSP1\1\0\0\0" + bytes(10)))
    net[1].feed(JoinReceived(1001, b"what is this" * 20))
    net[1].feed(JoinReceived(1002, bytes(GUEST_BYTES + 1)))
    net[1].feed(JoinClosed(1003))
    net[1].feed(JoinReceived(1003, b"after"))
    assert not net[1].joins[1000][1]
    assert net[1].joins[1001][1]
    assert net[1].joins[1002][1]
    net.run(GUEST_SECONDS + 1)
    assert not net[1].engine.relay._doors
    assert net.meshed()


def test_a_second_issuer_may_invite_too() -> None:
    net = settled(1)
    who = admit(
        identity("node0"), "deputy", expand(b"deputy"), WALL, roles=frozenset({"issuer", "member"})
    )
    deputy = Machine(net, "deputy", who, ("node0:7117",))
    net.machines["deputy"] = deputy
    deputy.start()
    net.until(net.meshed, 5)
    newcomer = Newcomer(net[0], invite(deputy), "fresh", key_of("fresh"))
    net.until(newcomer.listen, 2)
    assert newcomer.joiner.finished


def test_who_is_no_issuer_says_who_is() -> None:
    net = settled(2)
    with pytest.raises(Denied, match="node0"):
        net[1].engine.invite("member", 1, 3600, [])
