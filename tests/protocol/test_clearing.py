"""Clearing in a running mesh: images are agreed upon, records go, newcomers get what is left."""

import pytest

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.founding import admit, expand
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.revocation import REVOKING_ROLES
from gossipnet.ids import node_id
from gossipnet.protocol import clearing
from gossipnet.protocol.effects import Send
from gossipnet.protocol.wire import Records, decode_untrusted, encode
from gossipnet.protocol.wire_images import Endorsement, ImageProof
from gossipnet.state.errors import WritesRefused
from gossipnet.state.image import proposed_by
from gossipnet.state.image_rows import MARK
from gossipnet.state.operations import Checkpoint, Endorse
from tests.protocol import mesh as harness
from tests.protocol.identities import WALL, identity
from tests.protocol.mesh import CLEARED, Machine, Net


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little is worth clearing that a test can write it."""
    monkeypatch.setattr(clearing, "TAIL_BYTES", 20_000)


def settled(count: int) -> Net:
    net = Net(count)
    net.until(net.meshed, 20, "everybody knows everybody")
    return net


def churn(net: Net, rounds: int, keys: int = 20) -> None:
    """Everybody overwrites the same keys, counts, and adds and removes."""
    for turn in range(rounds):
        for machine in net:
            if machine.engine.replica.loading:
                continue

            def change(engine: object, turn: int = turn, name: str = machine.name) -> None:
                keyspace = engine.keyspace  # type: ignore[attr-defined]
                keyspace.set(b"key%d" % (turn % keys), b"%s %d" % (name.encode(), turn))
                keyspace.add(b"set", [b"member"])
                keyspace.remove(b"set", [b"member"])

            machine.write(change)
        net.run(0.05)


def on_disk(machine: Machine) -> int:
    return sum(len(one.data) for one in machine.disk.records if one is not CLEARED)


def image(machine: Machine) -> bytes:
    held = machine.engine.replica.image
    return b"" if held is None else held.root


def same(net: Net) -> bool:
    states = {machine.engine.replica.state_digest() for machine in net}
    return net.equal() and len(states) == 1


def cleared(net: Net) -> bool:
    return len({image(machine) for machine in net}) == 1 and all(map(image, net))


def counts(net: Net, name: str) -> int:
    return sum(machine.engine.context.counters[name] for machine in net)


def test_logs_stay_in_proportion_to_what_is_left() -> None:
    net = settled(4)
    churn(net, 60)
    net.until(lambda: cleared(net), 60, "all stand on one image")
    net.until(lambda: same(net), 20)
    sizes = []
    for _round in range(3):
        churn(net, 80)
        net.run(30)
        sizes.append(max(on_disk(machine) for machine in net))
    assert same(net)
    assert max(sizes) < 40_000, sizes  # what is not worth clearing, and what is left
    assert all(machine.engine.replica.total > 1000 for machine in net)
    assert counts(net, "images_differ") == 0
    net.until(lambda: cleared(net), 30)
    for machine in net:
        machine.kill()
        machine.start()
        waited = [one.heads for one in machine.engine.replica.checkpoints]
        held = machine.engine.replica.image
        assert held is not None
        assert held.heads() not in waited  # else nobody would propose anything for a while
    net.until(lambda: net.meshed() and same(net), 30, "all come back from their disks")


def test_a_newcomer_gets_what_is_left_and_can_be_read_meanwhile() -> None:
    net = settled(3)
    for place in range(2000):
        net[0].set(b"live%04d" % place, b"v" * 100)
    churn(net, 60)
    net.until(lambda: cleared(net), 90, "all stand on one image")
    fresh = net.add("node3", seeds=("node0:7117",))
    net.until(lambda: fresh.engine.imaging.fetch is not None, 20, "it is given the image")
    net.until(lambda: len(fresh.engine.keyspace) > 0, 5, "something can be read")
    with pytest.raises(WritesRefused, match="fetching"):
        fresh.engine.keyspace.set(b"k", b"v")
    net.until(lambda: not fresh.engine.replica.loading, 20, "it has everything")
    net.until(lambda: same(net), 20, "it holds what the others hold")
    assert fresh.engine.context.counters["records_received"] < 400
    fresh.set(b"from the new one", b"1")
    net.until(lambda: all(m.get(b"from the new one") == b"1" for m in net), 5)
    churn(net, 100)
    net.until(lambda: cleared(net), 90, "its endorsement is waited for like others'")
    net.until(lambda: same(net), 20)


def test_a_fetch_goes_on_where_it_was_interrupted() -> None:
    net = settled(3)
    for place in range(2000):
        net[0].set(b"live%04d" % place, b"v" * 200)
    net.until(lambda: cleared(net), 90, "all stand on one image")
    fresh = net.add("node3", seeds=("node0:7117",))

    def stored() -> int:
        return sum(one.data[:1] == bytes((MARK,)) for one in fresh.disk.records)

    net.until(lambda: stored() >= 2, 20, "some of it is on the disk")
    have = stored()
    fresh.kill()
    assert have
    fresh.start()
    assert fresh.engine.replica.loading
    assert fresh.engine.imaging.fetch is not None
    assert fresh.engine.imaging.fetch.have >= have
    net.until(lambda: not fresh.engine.replica.loading, 30, "it has everything")
    count = fresh.engine.replica.image.count  # type: ignore[union-attr]
    assert fresh.engine.context.counters["records_received"] < count + 200
    net.until(lambda: same(net), 20)


def test_a_false_chunk_costs_who_sends_it_its_link_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = settled(3)
    for place in range(2000):
        net[0].set(b"live%04d" % place, b"v" * 200)
    net.until(lambda: cleared(net), 90, "all stand on one image")
    liar = net[1]
    send = liar._send

    def lie(effect: object) -> None:
        message = decode_untrusted(effect.payload)  # type: ignore[attr-defined]
        if isinstance(message, Records) and any(r[:1] == b"\xc1" for r in message.records):
            forged = [
                r[:-1] + bytes((r[-1] ^ 1,)) if r[:1] == b"\xc1" else r for r in message.records
            ]
            payload = encode(Records(message.session, forged, message.done, message.refused))
            effect = Send(effect.link, effect.lane, payload)  # type: ignore[attr-defined]
        send(effect)  # type: ignore[arg-type]

    monkeypatch.setattr(liar, "_send", lie)
    fresh = net.add("node3", seeds=("node1:7117",))
    net.until(lambda: fresh.engine.context.counters["images_refused"] > 0, 30, "it is noticed")
    net.until(lambda: not fresh.engine.replica.loading and same(net), 60, "others have it")


def test_nothing_is_cleared_while_an_author_is_away_and_it_keeps_its_own_writes() -> None:
    net = settled(4)
    churn(net, 10)
    net.until(lambda: same(net), 20)
    net.part("node3")
    net[3].set(b"written alone", b"by node3")
    net[3].write(lambda engine: engine.keyspace.increment(b"count", 1000))
    net.run(30)
    for _round in range(3):
        for machine in list(net)[:3]:
            for turn in range(60):
                machine.set(b"key%d" % (turn % 20), b"%d" % turn)
        net.run(40)
    assert not any(map(image, net))
    for machine in net:  # thirty days pass
        machine.wall_offset += 31 * 86_400.0
    net.run(400)
    three = [machine for machine in net if machine.name != "node3"]
    net.until(
        lambda: len({image(machine) for machine in three}) == 1 and all(map(image, three)),
        900,
        "it is not waited for any more",
    )
    net.heal()
    net.until(lambda: net[3].engine.outdated, 120, "it is given the image")
    net[3].kill()
    net[3].start()
    net.until(lambda: same(net), 60, "all are equal again")
    assert all(machine.get(b"written alone") == b"by node3" for machine in net)
    assert all(machine.get(b"count") == b"1000" for machine in net)


def test_who_may_revoke_and_never_wrote_is_not_waited_for_for_ever() -> None:
    net = settled(3)
    three = list(net)
    roles = frozenset({"revoker", "member"})
    watchman = admit(identity("node0"), "watchman", expand(b"watchman"), WALL, roles=roles)
    net.machines["watchman"] = Machine(net, "watchman", watchman, ("node0:7117",))
    net.machines["watchman"].start()
    net.until(net.meshed, 20, "it is known")
    net.part("watchman")
    for turn in range(200):
        for machine in three:
            machine.set(b"key%d" % (turn % 20), b"%d" % turn)
        net.run(0.05)
    net.run(700)
    assert not any(map(image, three))
    for machine in net:  # thirty days pass
        machine.wall_offset += 31 * 86_400.0
    net.until(lambda: all(map(image, three)), 900, "it is not waited for any more")


def test_one_that_stands_for_another_state_is_shown_and_nothing_is_cleared() -> None:
    net = settled(3)
    liar = net[2].engine

    def lie(proposal: object, _image: object) -> None:
        liar.replica.write_alone(Endorse(proposal.id, bytes(32)))  # type: ignore[attr-defined]

    liar.clearing._say = lie  # type: ignore[method-assign]
    churn(net, 60)
    net.until(lambda: net[0].engine.context.counters["images_differ"] > 0, 60, "it is noticed")
    net.run(60)
    assert not any(map(image, net))
    assert net[1].engine.status()["clearing"]["images_differ"]  # type: ignore[index]
    assert "state-differs" in [event.kind for event in net[0].told]
    assert same(net)


def test_one_that_does_not_come_to_what_all_stand_for_is_given_it() -> None:
    net = settled(3)
    odd = net[2]
    odd.engine.clearing._judge = lambda: None  # type: ignore[method-assign]
    churn(net, 60)
    net.until(lambda: image(net[0]) and image(net[1]), 60, "the others stand on it")
    odd.set(b"after it", b"stays")
    net.until(lambda: odd.engine.outdated, 300, "it has fetched it")
    odd.kill()
    odd.start()
    net.until(lambda: net.meshed() and same(net), 30)
    assert cleared(net)
    assert all(machine.get(b"after it") == b"stays" for machine in net)


def test_who_may_propose_may_revoke() -> None:
    assert "issuer" in REVOKING_ROLES  # clearing waits for revokers, and issuers are some


def proof_of(machine: Machine) -> ImageProof:
    """What it gives to whoever asks for what it cleared."""
    held, proof = machine.engine.replica.image, machine.engine.clearing.proof
    assert held is not None
    assert proof is not None
    endorsements = [Endorsement(bytes(author), data) for author, data in proof.endorsements]
    return ImageProof(held.data, proof.proposal, endorsements)


def test_an_issuer_cannot_put_its_own_image_in_the_place_of_what_others_hold() -> None:
    net = settled(4)
    churn(net, 4)
    net.until(lambda: same(net), 20)
    issuer = net[0]
    net.part("node0")
    there = issuer.engine.clearing
    there.attendance.excused = lambda author: author != there.me  # type: ignore[method-assign]
    for turn in range(300):
        issuer.set(b"key%d" % turn, b"%0100d" % turn)
    net.until(lambda: bool(image(issuer)), 900, "it stands on an image of its own")
    before = net[1].engine.replica.state_digest()
    link = next(iter(net[1].engine.links.values()))
    with pytest.raises(RemoteProtocolError, match="bad-image"):
        net[1].engine.imaging.on_proof(link, proof_of(issuer))
    assert net[1].engine.imaging.fetch is None
    assert net[1].engine.replica.state_digest() == before
    assert net[1].engine.context.counters["images_refused"] == 1


def test_an_image_of_a_revoked_issuer_is_no_newcomer_s_and_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    issuer = admit(
        identity("node0"), "node1", expand(b"node1"), WALL, roles=frozenset({"member", "issuer"})
    )
    late = admit(issuer, "node4", expand(b"node4"), WALL)

    def named(name: str) -> NodeIdentity:
        return {"node1": issuer, "node4": late}.get(name) or identity(name)

    monkeypatch.setattr(harness, "identity", named)
    net = settled(4)
    churn(net, 60)
    net.until(lambda: cleared(net), 60, "all stand on one image")
    held, proof = net[3].engine.replica.image, net[3].engine.clearing.proof
    assert held is not None
    assert proof is not None
    by = node_id(proposed_by(held, proof).public_key)
    proposer, other = net[0], net[1]
    assert by == proposer.engine.membership.me
    other.write(lambda engine: engine.revoke(proposer.name, "stolen"))
    net.until(lambda: net[3].states()[proposer.name] == "revoked", 30)
    fresh = net.add("node4", seeds=(f"{other.name}:7117",))
    net.until(lambda: fresh.engine.context.counters["images_refused"] > 0, 30, "it is refused")
    assert fresh.engine.imaging.fetch is None
    assert fresh.engine.links
    there = [other, net[2], net[3]]
    net.until(
        lambda: all(image(one) not in (b"", held.root) for one in there),
        1200,
        "another image stands for the same",
    )
    net.until(lambda: image(fresh) == image(other) and fresh.engine.replica.total > 0, 200)


def test_a_checkpoint_that_leaves_out_what_it_needs_is_refused_and_holds_up_no_other() -> None:
    net = settled(3)
    churn(net, 10)
    net.until(lambda: same(net), 20)
    net[1].write(lambda engine: engine.keyspace.add(b"seen", [b"member"]))
    net.until(lambda: same(net), 20)
    net[0].write(lambda engine: engine.keyspace.remove(b"seen", [b"member"]))
    net.until(lambda: same(net), 20)
    replica = net[0].engine.replica
    cut = next(log for log in replica.logs.by_number if log.author == net[1].engine.membership.me)
    heads = [
        (bytes(log.id), 1, log.hash_of(1).ljust(32, b"\0"))
        if log is cut
        else (bytes(log.id), log.head, log.head_hash)
        for log in sorted(replica.logs.by_number, key=lambda one: one.id)
        if log.head
    ]
    net[0].write(lambda engine: engine.replica.write_alone(Checkpoint(heads, [])))
    net.until(lambda: net[2].engine.context.counters["checkpoints_refused"] > 0, 120, "refused")
    assert "leaves out" in next(one.text for one in net[2].told if one.kind == "checkpoint-refused")
    churn(net, 80)
    net.until(lambda: cleared(net), 600, "a whole one is stood on")
