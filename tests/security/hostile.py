"""A hostile peer that speaks the real protocol and can lie at every layer of it.

`Liar` is a certified member of a mesh in virtual time: no engine, only what the test has it say.
`Stream` talks to a real node over a real socket and shapes every layer by itself: raw bytes, the
preamble, Noise messages, frames, sealed records, messages, and whatever is signed inside.
The functions at the end make signed things: true ones, and as false as the key at hand allows.
"""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from gossipnet import ids
from gossipnet.errors import RemoteProtocolError
from gossipnet.identity import signing
from gossipnet.identity.home import Home
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.peer import Peer
from gossipnet.identity.signing import Domain, sign
from gossipnet.ids import NodeId
from gossipnet.io.enrol import enrol
from gossipnet.node import Node
from gossipnet.protocol import noise
from gossipnet.protocol.effects import Lane, LinkDown, LinkUp, Received, Send
from gossipnet.protocol.handshake import Transport
from gossipnet.protocol.session import Established, Message, Session
from gossipnet.protocol.wire import (
    PROTOCOL_VERSION,
    AnyMessage,
    Hello,
    Ping,
    Pong,
    Verdict,
    decode_untrusted,
    encode,
)
from gossipnet.protocol.wire_members import (
    Accusation,
    AccusationBody,
    MemberBody,
    MemberEntry,
)
from gossipnet.protocol.wire_receipts import AskReceipts, QuestionBody
from gossipnet.state import record
from gossipnet.state.body import (
    Body,
    encode_body,
)
from gossipnet.state.operations import (
    OpenLog,
)
from tests.protocol.identities import identity
from tests.protocol.mesh import Machine, Net

# ---------------------------------------------------------------- in virtual time


class Liar(Machine):
    """A member without an engine, in a `Net` of honest ones.

    Attributes:
      heard: (link, message) of everything that came, in order.
      patient: Answers pings, so that nobody takes it for dead.
    """

    def __init__(self, net: Net, name: str, who: NodeIdentity | None = None) -> None:
        super().__init__(net, name, who or identity(name), ())
        net.machines[name] = self
        self.up = True
        self.life = 1
        self.heard: list[tuple[int, AnyMessage]] = []
        self.ups: dict[int, NodeId] = {}
        self.patient = True
        self.greeting = True
        self._greeted: set[int] = set()

    def feed(self, event: Any) -> None:
        if isinstance(event, LinkUp):
            self.ups[event.link] = event.peer.node_id
            if event.dialed is not None:
                self._beat(event.link)
        elif isinstance(event, LinkDown):
            self.ups.pop(event.link, None)
        elif isinstance(event, Received):
            message = decode_untrusted(event.payload)
            self.heard.append((event.link, message))
            if isinstance(message, Hello) and self.greeting and event.link in self.links:
                if event.link not in self._greeted:
                    self.greet(event.link)
                if event.link % 2:  # the other side dialled
                    self.say(event.link, Verdict(True))
            elif isinstance(message, Ping) and self.patient:
                self.say(event.link, Pong(message.number, message.total, message.vector))

    def _beat(self, link: int) -> None:
        """The heartbeats of whoever dialled."""
        if link in self.links and self.patient:
            if link in self._greeted:
                self.say(link, Ping(1, 0, bytes(8), 0))
            self.net.after(1.0, lambda: self._beat(link))

    def connect(self, other: Machine) -> int:
        """Dial somebody; the number of the link, greeted and a neighbour's if there is room."""
        linked = self.link_to(other)
        if linked is None:
            self.net.join(self, other, 0, other.address)
            self.net.run(0.1)  # its Hello comes, and is answered by `feed`
            linked = self.link_to(other)
        assert linked is not None, f"{other.name} keeps no link with {self.name}"
        return linked

    def link_to(self, other: Machine) -> int | None:
        """The number of a greeted link with somebody, or None."""
        found = [n for n in self.links if self.ups.get(n) == other.identity.node_id]
        return next((n for n in reversed(found) if n in self._greeted), None)

    def greet(self, link: int, **changes: Any) -> None:
        """Say Hello, with any field as the test wants it."""
        self._greeted.add(link)
        told: dict[str, Any] = {
            "protocol": PROTOCOL_VERSION,
            "instance": b"liarliar",
            "intent": 1,
            "wall_ms": int(self.wall * 1000),
            "observed": "",
            "vector": bytes(32),
            "total": 0,
            "members": bytes(32),
            "member": self.member(),
        }
        self.say(link, Hello(**(told | changes)))

    def say(self, link: int, message: AnyMessage) -> None:
        self.say_bytes(link, encode(message))

    def say_bytes(self, link: int, payload: bytes) -> None:
        self._send(Send(link, Lane.CONTROL, payload))

    def everywhere(self, message: AnyMessage) -> None:
        """The same on every link."""
        for link in list(self.links):
            self.say(link, message)

    def states(self) -> dict[str, str]:
        """It has no opinion."""
        return {}

    def heard_of(self, kind: type) -> list[Any]:
        return [message for _link, message in self.heard if isinstance(message, kind)]

    def member(self, **changes: Any) -> MemberEntry:
        """Its own record, one serial newer each time."""
        self.serial += 1
        neighbours = [node[:16] for node in self.ups.values()]
        told = {"serial": self.serial, "addresses": [self.address], "neighbours": neighbours}
        return member_record(self.identity, **(told | changes))

    def kill(self) -> None:
        super().kill()
        self.ups.clear()


def honest(net: Net) -> list[Machine]:
    """Everybody but the liars."""
    return [machine for machine in net if not isinstance(machine, Liar)]


def settled(count: int, *liars: str) -> tuple[Net, list[Liar]]:
    """A mesh of that many honest members, and liars that are linked with everybody."""
    net = Net(count)
    net.until(net.meshed, 30, "a mesh")
    made = [Liar(net, name) for name in liars]
    for liar in made:
        for machine in honest(net):
            liar.connect(machine)
    net.run(1)
    return net, made


# ---------------------------------------------------------------- over a real socket


class Stream:
    """One connection to a real node; every layer by hand.

    Attributes:
      session: None until `shake`.
      messages: What came, decoded.
    """

    def __init__(self, stream: trio.SocketStream, transport: Transport) -> None:
        self.stream = stream
        self.transport = transport
        self.session: Session | None = None
        self.messages: list[AnyMessage] = []
        self.sent = b""
        self.got = b""

    async def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self.sent += data
        await self.stream.send_all(data)

    async def rest(self, limit: int = 1 << 20) -> bytes:
        """Everything until the other end closes."""
        got = b""
        try:
            while len(got) < limit and (data := await self.stream.receive_some(65_536)):
                got += data
        except trio.BrokenResourceError:
            pass
        return got

    async def shake(self, expected: NodeId | None = None, wall: float = 0.0) -> Peer:
        """Run the handshake honestly.

        Raises:
          RemoteProtocolError: The node refused.
        """
        self.session = Session.dial(self.transport, expected=expected)
        await self.flush()
        while True:
            for event in await self.events(wall):
                if isinstance(event, Established):
                    return event.peer

    async def events(self, wall: float) -> list[Any]:
        """What the next bytes mean."""
        assert self.session is not None
        data = await self.stream.receive_some(65_536)
        if not data:
            self.session.end_of_stream()
            raise RemoteProtocolError("closed")
        self.got += data
        found = list(self.session.receive(bytes(data), wall))
        self.messages += [decode_untrusted(e.payload) for e in found if isinstance(e, Message)]
        await self.flush()
        return found

    async def until(self, kind: type, wall: float) -> Any:
        """Wait for a message of that kind."""
        while True:
            for message in self.messages:
                if isinstance(message, kind):
                    return message
            await self.events(wall)

    async def flush(self) -> None:
        assert self.session is not None
        while data := self.session.data_to_send(65_536):
            await self.raw(data)

    async def say(self, message: AnyMessage) -> None:
        await self.payload(encode(message))

    async def payload(self, payload: bytes, lane: Lane = Lane.CONTROL) -> None:
        """A message of any bytes, framed and sealed as it should be."""
        assert self.session is not None
        self.session.send(lane, payload)
        await self.flush()

    async def record(self, plain: bytes) -> None:
        """A sealed record of any bytes: lies about framing that only a member can tell."""
        assert self.session is not None
        assert self.session._sending is not None
        await self.frame(self.session._sending.seal(plain))

    async def frame(self, sealed: bytes) -> None:
        """A frame of any bytes."""
        await self.raw(len(sealed).to_bytes(2, "big") + sealed)


@asynccontextmanager
async def dialled(address: str, transport: Transport) -> AsyncIterator[Stream]:
    """A connection to a node."""
    host, port = address.rsplit(":", 1)
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        yield Stream(stream, transport)


# ---------------------------------------------------------------- signed things


def member_record(who: NodeIdentity, **changes: Any) -> MemberEntry:
    """A member record that ``who`` signs; any field of any value."""
    told: dict[str, Any] = {
        "version": 1,
        "node": who.node_id,
        "incarnation": 1,
        "serial": 1,
        "status": 0,
        "addresses": ["liar:7117"],
        "neighbours": [],
        "dialable": True,
        "zone": "",
        "software": "test",
        "certificate": who.certificate.fingerprint[:16],
        "root": 1,
    }
    body = encode(MemberBody(**(told | changes)))
    return MemberEntry(body, sign(who.key, Domain.MEMBER, who.trust.mesh_id, body), list(who.chain))


def accusation(
    who: NodeIdentity, subject: bytes, incarnation: int, evidence: int = 2, **changes: Any
) -> Accusation:
    """An accusation that ``who`` signs."""
    told: dict[str, Any] = {
        "accuser": who.node_id,
        "subject": subject,
        "incarnation": incarnation,
        "evidence": evidence,
        "wall_ms": 0,
    }
    body = encode(AccusationBody(**(told | changes)))
    return Accusation(body, sign(who.key, Domain.ACCUSATION, who.trust.mesh_id, body))


def question(who: NodeIdentity, number: int, log: bytes, seq: int, reach: int) -> AskReceipts:
    """A question after receipts, signed."""
    body = encode(QuestionBody(who.node_id[:16], number, log, seq))
    signature = sign(who.key, Domain.QUESTION, who.trust.mesh_id, body)
    return AskReceipts(who.node_id[:16], number, log, seq, reach, signature)


class Author:
    """Signs records of a log of its own, in order or not.

    Args:
      who: Whose key and certificates.
      wall: Unix seconds of the stamps.
      epoch: Which log.
    """

    def __init__(self, who: NodeIdentity, wall: float, epoch: int = 7) -> None:
        self.who = who
        self.wall = wall
        self.log = ids.log_id(who.public_key, epoch)
        self.opening = OpenLog(who.public_key, epoch, list(who.chain))
        self.seq = 0
        self.prev = record.GENESIS
        self.count = 0

    def write(self, operations: Iterable[Any] = (), **changes: Any) -> bytes:
        """The next record; one with ``changes`` stands beside the log and does not continue it."""
        self.count += 1
        self.seq += not changes
        ops = list(operations)
        if changes.get("seq", self.seq) == 1:
            ops = [self.opening, *ops]
        made = record.write(
            self.who.key,
            self.who.trust.mesh_id,
            changes.get("log", self.log),
            changes.get("seq", self.seq),
            changes.get("prev", self.prev),
            changes.get("stamp", (int(self.wall * 1000) << 16) + self.count),
            changes.get("body", encode_body(Body(changes.get("logs", []), ops))),
        )
        if not changes:
            self.prev = made.hash
        return made.data


def flipped(data: bytes, place: int = -1) -> bytes:
    """One bit changed."""
    spoilt = bytearray(data)
    spoilt[place] ^= 1
    return bytes(spoilt)


def with_body(entry: MemberEntry, body: bytes) -> MemberEntry:
    """Another body under an old signature."""
    return MemberEntry(body, entry.signature, entry.chain)


def impostor(victim: NodeIdentity, key_of: NodeIdentity) -> NodeIdentity:
    """One that shows a member's certificates and holds another key."""
    return replace(victim, key=key_of.key)


# ---------------------------------------------------------------- whole nodes and what is between


ANY = "127.0.0.1:0"


def home_of_founder(folder: Path, mesh: str = "t") -> Path:
    """A home that founded a mesh just now, without a passphrase."""
    home = Home(folder)
    home.found(mesh=mesh, name="ada", passphrase=None, entropy=os.urandom, wall=time.time())
    return folder


async def joined(through: Node, folder: Path, address: str | None = None) -> Path:
    """The home of a machine that was let in through a node that may invite.

    It keeps the address that answered, the node's own or ``address``, and dials it ever after.
    """
    token = through.engine.invite("member", 1, 3600.0, [])
    answering = address or through.listening[0]
    await enrol(Home(folder), token, folder.name, [answering], lambda _line: None)
    return folder


async def eventually(check: Callable[[], object], what: str) -> None:
    """Wait for what no event tells of."""
    with trio.move_on_after(20):
        while not check():  # noqa: ASYNC110
            await trio.sleep(0.01)
        return
    raise AssertionError(f"not in time: {what}")


class Tap:
    """Somebody on the path: carries connections to a node, sees all bytes, may change them.

    Attributes:
      address: Where to dial instead of the node; the node should advertise it and nothing else.
      to: Where the node itself listens.
      seen: All bytes, both ways.
    """

    def __init__(self) -> None:
        self.to = ""
        self.address = ""
        self.seen = bytearray()
        self.change: Callable[[bytes], bytes] = bytes

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        await trio.serve_listeners(self._carry, listeners, task_status=task_status)

    async def _carry(self, near: trio.SocketStream) -> None:
        host, port = self.to.rsplit(":", 1)
        far = await trio.open_tcp_stream(host, int(port))
        async with far, trio.open_nursery() as nursery:
            nursery.start_soon(self._copy, near, far, nursery)
            nursery.start_soon(self._copy, far, near, nursery)

    async def _copy(
        self, source: trio.SocketStream, sink: trio.SocketStream, nursery: trio.Nursery
    ) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some(65_536):
                self.seen += data
                await sink.send_all(self.change(bytes(data)))
        nursery.cancel_scope.cancel()


class Asymmetric:
    """Counts the operations that an attacker would like to have done: see `counting`."""

    def __init__(self) -> None:
        self.agreements = 0
        self.verified = 0


@contextmanager
def counting(patch: pytest.MonkeyPatch) -> Iterator[Asymmetric]:
    """Count key agreements (X25519, ML-KEM) and verified signatures of this process."""
    count = Asymmetric()
    agree, verify = noise.NoiseHandshake._mix_secret, signing._verify_message

    def agreed(*given: Any) -> Any:
        count.agreements += 1
        return agree(*given)

    def verified(*given: Any) -> None:
        count.verified += 1
        verify(*given)

    with patch.context() as inside:
        inside.setattr(noise.NoiseHandshake, "_mix_secret", agreed)
        inside.setattr(signing, "_verify_message", verified)
        yield count


def resident() -> int:
    """Bytes of memory that this process holds."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    return 0
