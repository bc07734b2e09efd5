"""Notices: signed statements about trust that go ahead of all data and are never forgotten.

A notice is a kind and a payload; what a payload means and whether it holds is its kind's business.
Here they are kept, stored, shown on every new link before anything else, and flooded the moment
they become known. Two nodes compare by the ids they hold: each sends what the other lacks. Bounds
on how many there may be are the kinds' too.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping

from gossipnet.errors import BadSignature, RemoteProtocolError
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.wire_trust import NoticeIds, Notices

ROOT, REVOCATION, FORK, FRONTIER = 1, 2, 3, 4
"""Kinds, in the order in which they must be taken: later ones are judged by earlier ones."""

META = "notice/"
PIECE_BYTES = 128 * 1024
PER_MESSAGE = 256

Take = Callable[[bytes], bytes | None]
"""Judges a payload: its id if it is to be kept, None if not; raises `RemoteProtocolError`."""
Rank = Callable[[bytes], int]
"""Which of one kind go first; raises `RemoteProtocolError`."""


class Noticeboard:
    """Keeps and spreads notices.

    Attributes:
      kinds: What judges the payloads of each kind.
      ranks: What orders payloads of one kind, where that matters.
    """

    def __init__(self, context: Context, links: dict[int, PeerLink]) -> None:
        self._context = context
        self._links = links
        self._held: dict[bytes, bytes] = {}
        self._hashes: set[bytes] = set()
        self._sum = 0
        self.kinds: dict[int, Take] = {}
        self.ranks: dict[int, Rank] = {}
        # Set by the engine.
        self.taken: Callable[[set[int]], None] = lambda _kinds: None
        self.stored: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._held)

    def digest(self) -> bytes:
        """32 bytes over what is held."""
        return hashlib.blake2b(self._sum.to_bytes(32, "big"), digest_size=32).digest()

    # -- taking in -----------------------------------------------------------------------------

    def restore(self, meta: Mapping[str, bytes], others: Iterable[bytes] = ()) -> None:
        """Load what an earlier process stored, and ``others``; nothing is said or stored again."""
        stored = [value for name, value in meta.items() if name.startswith(META) and value]
        for notice in sorted({*stored, *others}, key=self._order):
            try:
                self._take(notice)
            except (RemoteProtocolError, BadSignature):
                self._context.counters["notices_unreadable"] += 1

    def publish(self, kind: int, payload: bytes) -> None:
        """Take in one of this node's own, or a person's.

        Raises:
          RemoteProtocolError: It does not hold.
        """
        self._admit([bytes((kind,)) + payload], None)

    def on_notices(self, link: PeerLink, message: Notices) -> None:
        """Take in what a peer brings; what is news goes on at once.

        Raises:
          RemoteProtocolError: One of them does not hold.
        """
        self._admit(message.notices, link.number)

    def _admit(self, notices: Iterable[bytes], source: int | None) -> None:
        fresh: list[bytes] = []
        try:
            for notice in sorted(notices, key=self._order):
                found = self._take(notice)
                if found is not None:
                    self._context.meta[META + found.hex()] = notice
                    fresh.append(notice)
        finally:
            if fresh:
                self.stored()
                self._spread(fresh, source)
                self.taken({notice[0] for notice in fresh})

    def _order(self, notice: bytes) -> tuple[int, int]:
        rank = self.ranks.get(notice[0])
        try:
            return notice[0], 0 if rank is None else rank(notice[1:])
        except RemoteProtocolError:
            return notice[0], 0  # whoever takes it will say what is wrong with it

    def _take(self, notice: bytes) -> bytes | None:
        digest = hashlib.blake2b(notice, digest_size=16).digest()
        if digest in self._hashes:
            return None
        take = self.kinds.get(notice[0])
        if take is None:
            raise RemoteProtocolError("bad-notice", "of no known kind")
        found = take(notice[1:])
        if found is None or found in self._held:
            return None
        self._held[found] = notice
        self._hashes.add(digest)
        self._sum = (self._sum + int.from_bytes(found, "big")) % (1 << 256)
        return found

    def drop(self, one: bytes) -> None:
        """Forget a notice that another one has made needless."""
        notice = self._held.pop(one, None)
        if notice is not None:
            self._hashes.discard(hashlib.blake2b(notice, digest_size=16).digest())
            self._sum = (self._sum - int.from_bytes(one, "big")) % (1 << 256)
            self._context.meta[META + one.hex()] = None

    # -- spreading -----------------------------------------------------------------------------

    def show(self, link: PeerLink) -> None:
        """Tell a peer what is held here, so that it sends what is not."""
        ids = sorted(one[:16] for one in self._held)
        self._context.send(link.number, Lane.CONTROL, NoticeIds(ids))

    def on_ids(self, link: PeerLink, message: NoticeIds) -> None:
        """Send a peer what it lacks."""
        theirs = set(message.ids)
        self.send(link.number, (data for one, data in self._held.items() if one[:16] not in theirs))

    def payloads_of(self, ids: Iterable[bytes]) -> list[bytes]:
        """The notices with these ids, as far as they are held."""
        return [self._held[one] for one in ids if one in self._held]

    def send(self, link: int, notices: Iterable[bytes]) -> None:
        """Send notices over one link, in pieces."""
        piece: list[bytes] = []
        size = 0
        for notice in sorted(notices, key=self._order):
            if piece and (size + len(notice) > PIECE_BYTES or len(piece) >= PER_MESSAGE):
                self._context.send(link, Lane.CONTROL, Notices(piece))
                piece, size = [], 0
            piece.append(notice)
            size += len(notice)
        if piece:
            self._context.send(link, Lane.CONTROL, Notices(piece))

    def _spread(self, fresh: list[bytes], source: int | None) -> None:
        """To everybody there is a link with, neighbour or not."""
        for link in self._links.values():
            if link.number != source:
                self.send(link.number, fresh)
