"""Chunks of large values between peers: asked for by hash, from several peers at a time.

The list of a value's chunks is in the state like any other value; here go the bytes, in the lane
for bulk, so that heartbeats and gossip overtake them. Each link has a few chunks under way at a
time, which is the credit: neither side's outbox fills up, and whoever is fast is asked for more. A
chunk must fit its hash, or its sender loses the link. Peers that have not got one are asked no more
for it for a while; when no peer has it, the members to which the value belongs by rendezvous
hashing are dialled.

Keeps nothing: whoever drives the node has the chunks (`serve`, `keep`).
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gossipnet.errors import RemoteProtocolError
from gossipnet.ids import NodeId
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.membership import Member
from gossipnet.protocol.overlay import Overlay
from gossipnet.protocol.wire_blobs import AskChunks, Chunk

WANTED_MAX = 256
"""Chunks asked for at a time, and so about so much memory for what is under way."""
CREDIT = 2
"""Chunks under way on one link, each way."""
HOLDERS = 3
"""Members that keep a value's chunks, whoever wrote it."""
PATIENCE = 5.0
"""Seconds after which another peer is asked for the same chunk."""
LOOK = 0.25
AGAIN = 2.0
"""Seconds after which peers that had not got a chunk are asked once more."""
USED = 10.0
"""Seconds that a link is kept after it last served chunks."""


@dataclass(slots=True)
class Wanted:
    """One chunk that is wanted.

    Attributes:
      holders: Who should have it.
      link: Whom it was asked of, 0 for nobody now.
      due: When that one has taken too long, or when to begin anew.
      without: Who has not got it.
    """

    holders: tuple[Member, ...]
    link: int = 0
    due: float = 0.0
    without: set[NodeId] = field(default_factory=set)


def chunk_hash(data: bytes) -> bytes:
    """The name of a chunk."""
    return hashlib.blake2b(data, digest_size=32).digest()


class Blobs:
    """Asks for chunks and passes questions on to whoever has them.

    Attributes:
      serve: Called with a link's number and the hashes that it asks for; `answer` each.
      keep: Called with a chunk that was wanted and fits its hash.
    """

    def __init__(self, context: Context, overlay: Overlay, links: dict[int, PeerLink]) -> None:
        self._context = context
        self._overlay = overlay
        self._links = links
        self._wanted: dict[bytes, Wanted] = {}
        self._asked: dict[int, int] = {}
        self._serving: dict[int, int] = {}
        self._used: dict[int, float] = {}
        self.serve: Callable[[int, list[bytes]], None] = self._have_none
        self.keep: Callable[[bytes, bytes], None] = lambda _hash, _data: None

    # -- asking --------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more chunks may be wanted."""
        return WANTED_MAX - len(self._wanted)

    def want(self, hashes: Iterable[bytes], holders: Iterable[Member]) -> None:
        """Get these chunks of a value that should be with these members.

        As many as there is room for; the others have to be wanted again.
        """
        members = tuple(holders)
        for name in hashes:
            if name not in self._wanted and self.room > 0:
                self._wanted[name] = Wanted(members)
        self._look()

    def drop(self, name: bytes) -> None:
        """It is here by other means, or wanted no more."""
        self._wanted.pop(name, None)

    def _look(self) -> None:
        now = self._context.now
        self._asked = {}
        for wanted in self._wanted.values():
            if wanted.link and now >= wanted.due:
                self._context.counters["chunks_late"] += 1
                self._give_up(wanted)
            if wanted.link:
                self._asked[wanted.link] = self._asked.get(wanted.link, 0) + 1
        usable = [link for link in self._links.values() if link.greeted and not link.limbo]
        for name, wanted in self._wanted.items():
            if not wanted.link and now >= wanted.due:
                self._ask(name, wanted, usable)
        if self._wanted:
            self._context.timers.set("blobs", now + LOOK, self._look)

    def _ask(self, name: bytes, wanted: Wanted, usable: list[PeerLink]) -> None:
        untried = [link for link in usable if link.node not in wanted.without]
        free = [link for link in untried if self._asked.get(link.number, 0) < CREDIT]
        if free:
            holding = {member.id for member in wanted.holders}
            link = min(
                free,
                key=lambda link: (self._asked.get(link.number, 0), link.node not in holding),
            )
            self._asked[link.number] = self._asked.get(link.number, 0) + 1
            wanted.link, wanted.due = link.number, self._context.now + PATIENCE
            self._used[link.number] = self._context.now
            self._context.send(link.number, Lane.BULK, AskChunks([name]))
        elif not untried:
            linked = {link.node for link in usable}
            for member in wanted.holders:
                if member.id not in linked and member.id not in wanted.without:
                    self._overlay.dial(member, "relay")
            wanted.without.clear()
            wanted.due = self._context.now + AGAIN

    def _give_up(self, wanted: Wanted) -> None:
        link = self._links.get(wanted.link)
        if link is not None:
            wanted.without.add(link.node)
        wanted.link, wanted.due = 0, 0.0

    def on_chunk(self, link: PeerLink, message: Chunk) -> None:
        """Take a chunk in.

        Raises:
          RemoteProtocolError: It does not fit its hash.
        """
        wanted = self._wanted.get(message.hash)
        if wanted is None or wanted.link != link.number:
            self._context.counters["chunks_unasked"] += 1
            return
        self._used[link.number] = self._context.now
        if not message.data:
            self._give_up(wanted)
        elif chunk_hash(message.data) != message.hash:
            self._give_up(wanted)
            self._context.counters["chunks_forged"] += 1
            raise RemoteProtocolError("bad-chunk", "a chunk that does not fit its hash")
        else:
            del self._wanted[message.hash]
            self._context.counters["chunks_received"] += 1
            self.keep(message.hash, message.data)
        self._look()

    # -- serving -------------------------------------------------------------------------------

    def on_ask(self, link: PeerLink, message: AskChunks) -> None:
        """A peer wants chunks: more than it has credit for are not served."""
        granted = max(0, 2 * CREDIT - self._serving.get(link.number, 0))
        self._used[link.number] = self._context.now
        for name in message.hashes[granted:]:
            self._context.counters["chunks_refused"] += 1
            self._context.send(link.number, Lane.BULK, Chunk(name, b""))
        if message.hashes[:granted]:
            count = self._serving.get(link.number, 0) + len(message.hashes[:granted])
            self._serving[link.number] = count
            self.serve(link.number, message.hashes[:granted])

    def answer(self, number: int, name: bytes, data: bytes) -> None:
        """Send a chunk that was asked for, or ``b""`` if it is not here."""
        if number not in self._links:
            return
        self._serving[number] = max(0, self._serving.get(number, 0) - 1)
        self._context.counters["chunks_served"] += bool(data)
        self._context.send(number, Lane.BULK, Chunk(name, data))

    def _have_none(self, number: int, hashes: list[bytes]) -> None:
        for name in hashes:
            self.answer(number, name, b"")

    # -- links ---------------------------------------------------------------------------------

    def uses(self, link: PeerLink) -> bool:
        """Whether a link has served chunks lately."""
        return self._context.now - self._used.get(link.number, -USED) < USED

    def forget(self, number: int) -> None:
        """A link is gone: others are asked."""
        self._serving.pop(number, None)
        self._used.pop(number, None)
        for wanted in self._wanted.values():
            if wanted.link == number:
                wanted.link, wanted.due = 0, 0.0
