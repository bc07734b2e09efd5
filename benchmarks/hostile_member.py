"""A certified member that floods: ``python -m benchmarks.hostile_member HOME ADDRESS...``.

Speaks the real protocol over real sockets, greets every address as a neighbour, and from then on
pushes its own valid records as fast as the others take them. Ends when its standard input does.
"""

import os
import sys
import time
from pathlib import Path

import trio

from gossipnet.identity.home import Home
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.signing import Domain, sign
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.handshake import Transport
from gossipnet.protocol.session import Established, Message, Session
from gossipnet.protocol.wire import (
    PROTOCOL_VERSION,
    Hello,
    Ping,
    Pong,
    Push,
    decode_untrusted,
    encode,
)
from gossipnet.protocol.wire_members import (
    MemberBody,
    MemberEntry,
)
from gossipnet.state.replica import Replica

BATCH = 50
"""Records in one message."""


class Flood:
    """Everything that its links share: one log, which only grows."""

    def __init__(self, identity: NodeIdentity) -> None:
        self.identity = identity
        self.transport = Transport(identity, os.urandom)
        wall = time.time()
        self._replica = Replica(
            key=identity.key, chain=identity.chain, trust=identity.trust, epoch=99, wall=wall
        )
        self.records: list[bytes] = []
        self.sent = 0

    def upto(self, count: int) -> None:
        """Make the log that long."""
        while len(self.records) < count:
            self._replica.touch(time.time())
            self._replica.keyspace.set(b"flood%d" % (len(self.records) % 100), b"x" * 100)
            self.records += [one.data for one in self._replica.seal(time.time())]

    def hello(self) -> bytes:
        """What a neighbour says first."""
        who = self.identity
        body = encode(
            MemberBody(
                version=1,
                node=who.node_id,
                incarnation=1,
                serial=1,
                status=0,
                addresses=[],
                neighbours=[],
                dialable=False,
                zone="",
                software="hostile",
                certificate=who.certificate.fingerprint[:16],
            )
        )
        entry = MemberEntry(
            body, sign(who.key, Domain.MEMBER, who.trust.mesh_id, body), list(who.chain)
        )
        wall_ms = int(time.time() * 1000)
        return encode(
            Hello(
                PROTOCOL_VERSION,
                os.urandom(8),
                1,
                wall_ms,
                "",
                bytes(32),
                0,
                bytes(32),
                entry,
            )
        )

    async def link(self, address: str) -> None:
        """Flood one daemon until it ends the link, then come again."""
        host, port = address.rsplit(":", 1)
        while True:
            try:
                async with await trio.open_tcp_stream(host, int(port)) as stream:
                    await self._talk(stream)
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                await trio.sleep(0.5)

    async def _talk(self, stream: trio.SocketStream) -> None:
        session = Session.dial(self.transport, expected=None)
        await stream.send_all(session.data_to_send(65_536))
        up = trio.Event()

        async def read(nursery: trio.Nursery) -> None:
            while data := await stream.receive_some(65_536):
                for event in session.receive(bytes(data), time.time()):
                    if isinstance(event, Established):
                        session.send(Lane.CONTROL, self.hello())
                        up.set()
                    elif isinstance(event, Message):
                        message = decode_untrusted(event.payload)
                        if isinstance(message, Ping):
                            pong = Pong(message.number, message.total, message.vector)
                            session.send(Lane.CONTROL, encode(pong))
                if not up.is_set():
                    await stream.send_all(session.data_to_send(65_536))
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, nursery)
            await up.wait()
            at, pinged = 0, 0.0
            while True:
                if trio.current_time() - pinged > 0.5:
                    pinged = trio.current_time()
                    session.send(Lane.CONTROL, encode(Ping(1, 0, bytes(8), 0)))
                self.upto(at + BATCH)
                batch = self.records[at : at + BATCH]
                if session.send(Lane.GOSSIP, encode(Push(0, True, batch))):
                    at += BATCH
                    self.sent += BATCH
                while out := session.data_to_send(65_536):
                    await stream.send_all(out)
                await trio.lowlevel.checkpoint()


async def _main(home: Path, addresses: list[str]) -> None:
    flood = Flood(Home(home).load())
    async with trio.open_nursery() as nursery:
        for address in addresses:
            nursery.start_soon(flood.link, address)
        await trio.to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)
        print(flood.sent, len(flood.records), flush=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_main, Path(sys.argv[1]), sys.argv[2:])
