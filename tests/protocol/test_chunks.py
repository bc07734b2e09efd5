"""Chunks between engines: several peers at a time, no more than their credit, no lies."""

from gossipnet.protocol.blobs import CREDIT, WANTED_MAX, chunk_hash
from gossipnet.protocol.wire_blobs import AskChunks, Chunk
from tests.protocol.mesh import Net


class Keeper:
    """A node's chunks, in memory."""

    def __init__(self, machine, *, lies: bool = False) -> None:
        self.machine = machine
        self.chunks: dict[bytes, bytes] = {}
        self.lies = lies
        self.served = 0
        machine.engine.blobs.serve = self.serve
        machine.engine.blobs.keep = self.chunks.__setitem__

    def serve(self, link: int, hashes: list[bytes]) -> None:
        for name in hashes:
            data = self.chunks.get(name, b"")
            self.served += bool(data)
            if self.lies and data:
                data = b"lie" + data
            self.machine.engine.blobs.answer(link, name, data)


def meshed(count: int) -> tuple[Net, list[Keeper]]:
    net = Net(count)
    net.until(net.meshed, 30)
    return net, [Keeper(machine) for machine in net]


def some(count: int) -> dict[bytes, bytes]:
    values = [b"chunk %d" % number * 1000 for number in range(count)]
    return {chunk_hash(value): value for value in values}


def test_many_chunks_come_from_several_peers() -> None:
    net, keepers = meshed(4)
    wanted = some(60)
    for keeper in keepers[1:3]:
        keeper.chunks.update(wanted)
    net[0].engine.blobs.want(wanted, ())
    net.until(lambda: keepers[0].chunks == wanted, 30)
    assert keepers[1].served > 5
    assert keepers[2].served > 5
    assert keepers[1].served + keepers[2].served == len(wanted), "each is sent once"


def test_a_liar_loses_its_link_and_others_are_asked() -> None:
    net, keepers = meshed(3)
    wanted = some(10)
    keepers[1].chunks.update(wanted)
    keepers[1].lies = True
    keepers[2].chunks.update(wanted)
    net[0].engine.blobs.want(wanted, ())
    net.until(lambda: keepers[0].chunks == wanted, 60)
    counters = net[0].engine.context.counters
    assert counters["chunks_forged"] >= 1
    assert any("bad-chunk" in str(event) for event in net[0].engine.events())


def test_what_nobody_has_is_asked_for_again_when_somebody_has_it() -> None:
    net, keepers = meshed(3)
    wanted = some(5)
    net[0].engine.blobs.want(wanted, ())
    net.run(3)
    assert not keepers[0].chunks
    keepers[2].chunks.update(wanted)
    net.until(lambda: keepers[0].chunks == wanted, 15)


def test_a_holder_that_is_no_neighbour_is_dialled() -> None:
    net, keepers = meshed(24)
    net.run(20)  # links that were made to get to know each other end
    linked = {link.node for link in net[0].engine.links.values()}
    far = next(
        keeper for keeper in keepers[1:] if keeper.machine.engine.membership.me not in linked
    )
    wanted = some(5)
    far.chunks.update(wanted)
    holder = net[0].engine.membership.members[far.machine.engine.membership.me]
    net[0].engine.blobs.want(wanted, [holder])
    net.until(lambda: keepers[0].chunks == wanted, 30)


def test_questions_and_wishes_are_bounded() -> None:
    net, keepers = meshed(2)
    blobs = net[0].engine.blobs
    blobs.want(some(2 * WANTED_MAX), ())
    assert blobs.room == 0
    held: list[bytes] = []
    keepers[1].machine.engine.blobs.serve = lambda _link, hashes: held.extend(hashes)
    link = next(iter(net[1].engine.links.values()))
    for _ in range(20):
        net[1].engine.blobs.on_ask(link, AskChunks([bytes(32)]))
    assert len(held) == 2 * CREDIT
    assert net[1].engine.context.counters["chunks_refused"] == 20 - 2 * CREDIT
    net[1].engine.blobs.on_chunk(link, Chunk(bytes(32), b"never asked for"))
    assert not keepers[1].chunks
    assert net[1].engine.context.counters["chunks_unasked"] == 1
