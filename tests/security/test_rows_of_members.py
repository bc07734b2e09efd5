"""Rows 19 to 33 of the threat table: members that lie, were thrown out, or want too much."""

import itertools
import tracemalloc
import unicodedata
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipnet.errors import CertificateError, RemoteProtocolError
from gossipnet.identity import signing
from gossipnet.identity.founding import admit, expand, found
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import Domain, check_public_key, sign, verify
from gossipnet.ids import NodeId
from gossipnet.protocol import quotas
from gossipnet.protocol.effects import PauseLink
from gossipnet.protocol.membership import ALIVE
from gossipnet.protocol.wire import (
    IHave,
    MemberHeads,
    Members,
    Ping,
    Push,
    PushAccusations,
    PushMembers,
    decode_untrusted,
    encode,
)
from gossipnet.protocol.wire_members import (
    MemberEntry,
)
from gossipnet.state import record
from gossipnet.state.replica import Replica, Status
from tests.protocol.mesh import Machine, Net
from tests.security.hostile import (
    Author,
    Liar,
    accusation,
    flipped,
    honest,
    identity,
    member_record,
    settled,
    with_body,
)

WALL = 1_800_000_000.0


def replica(who: NodeIdentity, wall: float = WALL) -> Replica:
    return Replica(key=who.key, chain=who.chain, trust=who.trust, epoch=1, wall=wall)


def everybody_has(net: Net, key: bytes, value: bytes) -> bool:
    return all(machine.get(key) == value for machine in honest(net))


def nobody_removed(net: Net) -> bool:
    names = {machine.name for machine in honest(net)}
    return all(
        {name for name, state in machine.states().items() if state == "alive"} >= names
        for machine in honest(net)
    )


def agreed(machines: list[Machine]) -> bool:
    replicas = [machine.engine.replica for machine in machines]
    return len({one.digest() for one in replicas}) == len({one.state_digest() for one in replicas})


# ---------------------------------------------------------------- 19, 20: who was thrown out


def test_row_19_a_revoked_member_loses_every_link_and_gets_none_again() -> None:
    net, (liar,) = settled(5, "liar")
    assert len(liar.links) == 5
    net[0].write(lambda engine: engine.revoke("liar", "stolen"))
    took = net.until(lambda: not liar.links, 5, "every link is closed")
    assert took < 5
    for machine in honest(net):
        assert machine.states()["liar"] == "revoked"
        net.join(liar, machine, 0, machine.address)
    net.run(1)
    assert not liar.links
    # What it signs now, brought by somebody who still has a link, has no effect.
    author = Author(liar.identity, net[1].wall)
    outcome = net[1].engine.replica.ingest(author.write(), net[1].wall)
    assert outcome.status is Status.VOID


def test_row_19_an_expired_certificate_is_cut_off_and_causes_no_storm_of_dials() -> None:
    net = Net(2)
    net.until(net.meshed, 20, "a mesh")
    short = admit(identity("node0"), "short", expand(b"short"), net[0].wall - 60, ttl=90.0)
    guest = Liar(net, "short", short)
    guest.connect(net[0])
    assert net[0].engine.membership.members[NodeId(short.node_id)].state == "alive"
    net.until(lambda: guest.link_to(net[0]) is None, 500, "its link ends")
    before = net[0].engine.context.counters["dials"]
    net.run(30)
    assert net[0].engine.context.counters["dials"] - before < 30


def test_row_20_a_backdated_write_is_void_in_every_order() -> None:
    """Stamps of the past do not help: what counts is the cut, not the clock."""
    net = Net(3)
    net.until(net.meshed, 20, "a mesh")
    net.run(1)
    member, reader = net[2], net[1]
    member.set(b"k", b"honest")
    net.until(lambda: everybody_has(net, b"k", b"honest"), 5, "all have it")
    log = member.engine.replica.own_log
    written = [one.data for one in member.disk.records if one.log == log]
    net[0].write(lambda engine: engine.revoke("node2", "stolen"))
    net.run(2)
    # The thief goes on with the log, by a clock that shows the time before the revocation.
    who = member.identity
    thief = Replica(
        key=who.key,
        chain=who.chain,
        trust=who.trust,
        epoch=member.engine.replica.epoch,
        wall=member.wall - 2,
    )
    for data in written:
        thief.load(data)
    thief.finish_loading(member.wall - 2)
    late = []
    for value in (b"backdated", b"again", b"and again"):
        thief.keyspace.set(b"k", value)
        late += [one.data for one in thief.seal(member.wall - 2)]
    for order in itertools.permutations(late):
        for data in order:
            outcome = reader.engine.replica.ingest(data, reader.wall)
            assert outcome.status is not Status.APPLIED
    assert reader.engine.replica.head(log) == len(written) + len(late), "kept, for others' sake"
    assert reader.get(b"k") == b"honest"


# ---------------------------------------------------------------- 21 to 24: forged and forbidden


REFUSED_KEYS = [
    b"a",
    b"a/bc",
    b"a/b2/c",
    b"a/B",
    b"A/b",
    b"",
    b"a//b",
    b"/a/b",
    unicodedata.normalize("NFD", "a/b\u00e9").encode(),
    unicodedata.normalize("NFC", "a/b\u00e9").encode(),
]


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_row_21_a_write_outside_its_prefix_is_void_on_every_node_alike(key: bytes) -> None:
    capabilities = (("write", b"a/b"),)
    sensor = admit(identity("node0"), "s", expand(b"s"), WALL, capabilities=capabilities)
    liberal = replica(sensor)
    liberal.keyspace.permit = None  # its own program asks nobody
    liberal.keyspace.set(b"a/b/c", b"allowed")
    allowed = [one.data for one in liberal.seal(WALL)]
    liberal.keyspace.set(key or b"x", b"forbidden")
    forbidden = [one.data for one in liberal.seal(WALL)]
    readers = [replica(identity(name)) for name in ("node0", "node1")]
    for reader in readers:
        for data in allowed:
            assert reader.ingest(data, WALL).status is Status.APPLIED
        for data in forbidden:
            assert reader.ingest(data, WALL).status is Status.VOID
        assert reader.keyspace.get(b"a/b/c") == b"allowed"
        assert not reader.keyspace.exists(key or b"x")
    assert readers[0].state_digest() == readers[1].state_digest()


def test_row_21_dots_in_a_key_climb_nowhere() -> None:
    """A prefix is bytes and segments: ``a/b/../c`` is a key under ``a/b`` and no path."""
    from gossipnet.identity.capability import matches

    assert matches(b"a/b", b"a/b/../c")
    assert not matches(b"a/b", b"a/../a/b")
    assert not matches(b"a/b", b"a/b\0")


def test_row_22_another_s_record_cannot_be_forged_and_its_bearer_is_dropped() -> None:
    net, (liar,) = settled(4, "liar")
    victim, author = net[1], net[2]
    author.set(b"k", b"true")
    net.until(lambda: everybody_has(net, b"k", b"true"), 5, "all have it")
    replica_ = author.engine.replica
    head = replica_.logs.by_id[replica_.own_log]
    mine = Author(liar.identity, victim.wall)
    forged = mine.write(
        [], log=head.id, seq=head.head + 1, prev=head.head_hash, stamp=head.last_stamp + 1
    )
    link = liar.connect(victim)
    for machine in honest(net):
        machine.sent.clear()
    liar.say(link, Push(0, True, [forged]))
    net.run(0.5)
    assert link not in liar.links
    assert victim.engine.replica.head(head.id) == head.head
    assert victim.engine.context.counters["closed_bad_signature"] == 1
    assert not any(forged in send.payload for machine in honest(net) for send in machine.sent)
    assert everybody_has(net, b"k", b"true")


def test_row_23_two_records_with_one_number_are_proved_to_everybody() -> None:
    net, (liar,) = settled(4, "liar")
    author = Author(liar.identity, net[0].wall)
    opening = author.write()
    branches = [author.write([], seq=2, stamp=(int(author.wall * 1000) << 16) + n) for n in (8, 9)]
    for number, machine in enumerate((net[1], net[2])):
        liar.say(liar.connect(machine), Push(0, True, [opening, branches[number]]))
    net.until(
        lambda: all(len(machine.engine.replica.forks) == 1 for machine in honest(net)),
        20,
        "everybody has the proof",
    )
    net.until(lambda: not liar.links, 20, "nobody keeps a link with it")
    net.until(lambda: agreed(honest(net)), 10, "one state")
    for machine in honest(net):
        assert machine.states()["liar"] == "suspect"
    assert nobody_removed(net)


def test_row_24_keys_and_signatures_of_small_order(vectors) -> None:
    """The twelve cases on which verifiers differ: none is good under a key that is admitted."""
    for case in vectors("ed25519-speccheck-cases.json"):
        key, signature = bytes.fromhex(case["pub_key"]), bytes.fromhex(case["signature"])
        message = bytes.fromhex(case["message"])
        with pytest.raises(RemoteProtocolError):
            _judge(key, message, signature)
    with pytest.raises(CertificateError, match="bad-key"):
        check_public_key(b"\1" + bytes(31))


def _judge(key: bytes, message: bytes, signature: bytes) -> None:
    """As whoever takes a member in, and then a statement of it."""
    check_public_key(key)
    signing._verify_message(key, message, signature)


# ---------------------------------------------------------------- 25 to 28: the table of members


def test_row_25_one_liar_in_ten_removes_nobody() -> None:
    net, (liar,) = settled(9, "liar")
    for _turn in range(6):
        for machine in honest(net):
            link = liar.link_to(machine)
            if link is None:
                continue
            for victim in honest(net):
                incarnation = machine.engine.membership.members[victim.identity.node_id]
                liar.say(
                    link,
                    PushAccusations(
                        [
                            accusation(
                                liar.identity,
                                victim.identity.node_id,
                                incarnation.body.incarnation,
                                evidence,
                            )
                            for evidence in (1, 2, 3)
                        ]
                    ),
                )
        net.run(2)
        assert nobody_removed(net) or all(
            "dead" not in machine.states().values() for machine in honest(net)
        )
    net.run(5)
    assert nobody_removed(net)


def test_row_25_nobody_speaks_for_another_and_old_records_are_no_news() -> None:
    net, (liar,) = settled(3, "liar")
    victim, reader = net[1], net[0]
    old = victim.engine.membership.own.entry
    victim.kill()
    victim.start()
    net.run(3)
    version = reader.engine.membership.version(victim.identity.node_id)
    assert version[0] > 1
    liar.say(liar.connect(reader), PushMembers([old]))
    net.run(0.5)
    assert reader.engine.membership.version(victim.identity.node_id) == version
    lies = [
        member_record(liar.identity, node=victim.identity.node_id, incarnation=99, status=2),
        with_body(old, _raised(old.body)),
    ]
    for lie in lies:
        link = liar.connect(reader)
        liar.say(link, PushMembers([lie]))
        net.run(0.5)
        assert link not in liar.links, "whoever brings a forgery loses its link"
        assert reader.states()["node1"] == "alive"
        assert reader.engine.membership.version(victim.identity.node_id)[0] == version[0]
        net.run(60)


def _raised(body: bytes) -> bytes:
    """Another's record, one incarnation later."""
    fields = msgspec.msgpack.decode(body)
    fields[2] += 10
    return msgspec.msgpack.encode(fields)


def test_row_26_the_largest_numbers_drag_nothing_along() -> None:
    net, (liar,) = settled(3, "liar")
    top = 1 << 62
    victim = net[1]
    link = liar.connect(victim)
    liar.say(link, PushMembers([liar.member(incarnation=top, serial=top)]))
    liar.say(link, Ping(top, top, bytes(8), top))
    liar.say(link, IHave([(b"l" * 16, top)]))
    liar.say(link, PushAccusations([accusation(liar.identity, victim.identity.node_id, top)]))
    net.run(1)
    author = Author(liar.identity, victim.wall)
    ahead = [
        author.write([], seq=1, stamp=(1 << 64) - 1),
        author.write([], seq=1, stamp=(int((victim.wall + 86_400) * 1000) << 16)),
    ]
    for data in ahead:
        liar.say(liar.connect(victim), Push(0, True, [data]))
        net.run(0.5)
    victim.set(b"k", b"v")
    net.run(2)
    stamp = victim.engine.replica.clock.last >> 16
    assert stamp < (victim.wall + 300) * 1000, "no clock was dragged along"
    assert everybody_has(net, b"k", b"v")
    assert nobody_removed(net)
    # The accused can still refute whatever incarnation it is accused of.
    own = victim.engine.membership.own.body
    liar.say(
        liar.connect(net[2]),
        PushAccusations([accusation(liar.identity, victim.identity.node_id, own.incarnation)]),
    )
    net.run(5)
    assert nobody_removed(net)
    with pytest.raises(RemoteProtocolError):
        decode_untrusted(encode(Ping(1, 1, bytes(8), 1)).replace(b"\1", b"\xcf" + b"\xff" * 8, 1))


def test_row_27_a_table_holds_who_is_certified_and_nobody_else() -> None:
    """A quarter of a million made-up members, in all ways in which they can be told of."""
    net, (liar,) = settled(2, "liar")
    victim = net[0]
    size = len(victim.engine.membership.members)
    certified = member_record(liar.identity)
    link = liar.connect(victim)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        for start in range(15):
            heads = [((start * 16_384 + n).to_bytes(16, "big"), 1, 1) for n in range(16_384)]
            liar.say(link, MemberHeads(heads, False))
            net.run(0.01)
            victim.sent.clear()
            liar.heard.clear()
        for start in range(5):
            made_up = [
                MemberEntry(_named(certified.body, start * 1000 + n), certified.signature, [])
                for n in range(1000)
            ]
            liar.say(link, Members(made_up))
            net.run(0.01)
            victim.sent.clear()
            liar.heard.clear()
        assert tracemalloc.get_traced_memory()[0] - before < 8 << 20
    finally:
        tracemalloc.stop()
    assert link in liar.links, "it asks for their certificates, and that is all"
    assert len(victim.engine.membership.members) == size
    # With certificates of the liar's own making the link ends at the first.
    eve = found("testmesh", "eve", expand(b"eve"), WALL)
    liar.say(link, Members([member_record(eve)] * 10))
    net.run(0.5)
    assert link not in liar.links
    assert len(victim.engine.membership.members) == size


def _named(body: bytes, number: int) -> bytes:
    fields = msgspec.msgpack.decode(body)
    fields[1] = number.to_bytes(32, "big")
    return msgspec.msgpack.encode(fields)


def sybils(net: Net, count: int) -> Iterator[Liar]:
    """Members that one stolen issuer has certified."""
    issuer = admit(
        identity("node0"),
        "stolen",
        expand(b"stolen issuer"),
        WALL,
        roles=frozenset({"member", "issuer"}),
    )
    for number in range(count):
        name = f"sybil{number}"
        yield Liar(net, name, admit(issuer, name, expand(name.encode()), WALL))


def test_row_28_six_in_ten_cannot_surround_a_node() -> None:
    net = Net(8)
    net.until(net.meshed, 30, "a mesh")
    liars = list(sybils(net, 12))
    victim = net[3]
    friends = {machine.identity.node_id for machine in honest(net)} - {victim.identity.node_id}

    def honest_links() -> int:
        return sum(1 for link in victim.engine.overlay.neighbours if link.node in friends)

    def besiege() -> None:
        for liar in liars:
            if liar.link_to(victim) is None and victim.up:
                net.join(liar, victim, 0, victim.address)

    for restart in range(2):
        if restart:
            victim.kill()
            for liar in liars:
                liar.links.clear()
                liar.ups.clear()
            victim.start()
            besiege()  # before it has dialled anybody
        for _ in range(20):
            net.run(1)
            besiege()
        assert honest_links() >= 1
    net[0].set(b"k", b"through the siege")
    net.until(lambda: victim.get(b"k") == b"through the siege", 10, "it hears of writes")


# ---------------------------------------------------------------- 29 to 33: floods and odd bytes


def test_row_29_a_flood_of_good_records_holds_up_its_author_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quotas, "RECORDS", 150.0)
    net, (liar,) = settled(4, "liar")
    victim = net[1]
    author = Author(liar.identity, victim.wall - 500)
    link = liar.connect(victim)
    victim.told.clear()
    for _ in range(20):
        liar.say(link, Push(0, True, [author.write() for _ in range(100)]))
        net.run(0.05)
    net[0].set(b"k", b"v")
    took = net.until(lambda: everybody_has(net, b"k", b"v"), 5, "an honest write arrives")
    assert took < 1
    assert victim.engine.context.counters["records_over_quota"] > 0
    pauses = [effect for effect in victim.told if isinstance(effect, PauseLink)]
    assert pauses
    assert {pause.link for pause in pauses} == {
        other.number for other in victim.engine.links.values() if other.node == author.who.node_id
    }


def test_row_30_a_bad_signature_is_verified_once_and_costs_the_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, (liar,) = settled(3, "liar")
    victim = net[1]
    author = Author(liar.identity, victim.wall)
    first = author.write()
    bad = [flipped(author.write(), 110) for _ in range(500)]
    verified = 0
    real = signing._verify_message

    def counted(*given) -> None:
        nonlocal verified
        verified += 1
        real(*given)

    link = liar.connect(victim)
    liar.say(link, Push(0, True, [first]))
    net.run(0.1)
    monkeypatch.setattr(signing, "_verify_message", counted)
    for start in range(0, 500, 50):
        liar.say(link, Push(0, True, bad[start : start + 50]))
    victim_verified = verified
    net.run(0.1)
    assert verified - victim_verified <= 2, "one by the victim; nobody else sees them"
    assert link not in liar.links
    # It comes back at once, and is let wait.
    net.join(liar, victim, 0, victim.address)
    net.run(0.1)
    assert liar.link_to(victim) is None


def test_row_31_a_bad_copy_that_comes_first_keeps_the_good_one_out_of_nothing() -> None:
    net, (liar,) = settled(3, "liar")
    victim, author = net[1], net[2]
    net.part("node2")
    author.set(b"k", b"good")
    net.run(0.1)
    own = author.engine.replica.own_log
    records = [one.data for one in author.disk.records if one.log == own]
    link = liar.connect(victim)
    for spoilt in (flipped(records[-1]), flipped(records[-1], 120)):
        liar.say(link, Push(0, False, [*records[:-1], spoilt]))
        net.run(0.1)
    net.heal()
    net.until(lambda: everybody_has(net, b"k", b"good"), 20, "the good one is taken")


def test_row_32_one_that_passes_nothing_on_keeps_nothing_from_the_others() -> None:
    net = Net(2)
    net.until(net.meshed, 20, "a mesh")
    liar = Liar(net, "liar")
    for name in ("node2", "node3", "node4"):
        net.add(name, seeds=("node0:7117",))
    for machine in honest(net):
        liar.connect(machine)
    net.until(lambda: nobody_removed(net), 30, "a mesh around it")
    for number, machine in enumerate(honest(net)):
        machine.set(b"k%d" % number, b"v")
    net.until(
        lambda: all(everybody_has(net, b"k%d" % n, b"v") for n in range(5)), 10, "all have all"
    )


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_row_33_odd_bytes_are_refused_or_mean_one_thing(data: bytes) -> None:
    for decode in (decode_untrusted, record.parse_untrusted):
        try:
            found_ = decode(data)
        except RemoteProtocolError:
            continue
        if decode is decode_untrusted:
            assert decode_untrusted(encode(found_)) == found_


def test_row_33_signed_bytes_are_kept_as_they_came() -> None:
    """An odd but readable spelling is verified, kept and passed on byte for byte."""
    net, (liar,) = settled(2, "liar")
    fields = msgspec.msgpack.decode(liar.member().body)
    plain = msgspec.msgpack.encode(fields)
    assert plain[:3] == bytes((0x90 + len(fields), 1, 0xC4))
    # Longer spellings of the number of fields, and of the first one.
    odd = bytes((0xDC, 0, len(fields), 0xCD, 0, 1)) + plain[2:]
    signature = sign(liar.identity.key, Domain.MEMBER, liar.identity.trust.mesh_id, odd)
    verify(liar.identity.public_key, Domain.MEMBER, liar.identity.trust.mesh_id, odd, signature)
    link = liar.connect(net[0])
    liar.say(link, PushMembers([MemberEntry(odd, signature, list(liar.identity.chain))]))
    net.run(1)
    for machine in honest(net):
        held = machine.engine.membership.members[NodeId(liar.identity.node_id)]
        assert held.entry.body == odd
        assert held.body.status == ALIVE
    spoilt = MemberEntry(plain, signature, list(liar.identity.chain))
    liar.say(link, PushMembers([spoilt]))
    net.run(0.2)
