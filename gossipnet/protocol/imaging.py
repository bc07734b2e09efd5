"""Images on their way: given to whoever asks for records that were cleared, fetched by who joins.

Nothing of an image is believed before its proof has been checked, and no chunk that does not fit
the manifest. Chunks are stored as they come, so that a fetch goes on where it was interrupted. A
node that has nothing reads them at once, and can be read from meanwhile; one that has something,
and was away for too long to be brought up to date by records, stores all of them and then reads its
disk anew: its own records that the image does not have are still there, and stay.
"""

from collections.abc import Callable, Iterable, Mapping

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.trust import Trust
from gossipnet.ids import LogId, NodeId, node_id
from gossipnet.protocol.clearing import Clearing
from gossipnet.protocol.commits import Commits
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import Lane
from gossipnet.protocol.links import PeerLink
from gossipnet.protocol.stored_image import IMAGE_KEY, pack, unpack
from gossipnet.protocol.sync import Sync
from gossipnet.protocol.wire_images import Endorsement, ImageProof
from gossipnet.state.checkpoints import dominates
from gossipnet.state.dots import SEQ_MAX
from gossipnet.state.image import Heads, Image, Proof, believe, excused_in, proposed_by
from gossipnet.state.image_read import ImageReader
from gossipnet.state.image_rows import chunk_hash
from gossipnet.state.replica import AppliedRecord, Replica

FETCH_KEY, LATE_KEY = "image.fetch", "image.late"
"""What is being fetched by a node that had nothing, and by one that comes late."""

AGAIN = 3.0
"""Seconds without a chunk after which another neighbour is asked."""

LATE = 120.0
"""Seconds after which an image that all authors stand for is asked for and not computed."""

GIVE_AGAIN = 5.0
"""Seconds before one link is given the same proof again."""


class Fetch:
    """One image on its way here.

    Attributes:
      image, proof: Which, and why it is believed.
      reader: Reads chunks into the keyspace; None if the disk is read anew in the end.
      have: Chunks so far, all of the first ones.
      at: ``now`` of the last one.
    """

    def __init__(self, image: Image, proof: Proof, reader: ImageReader | None) -> None:
        self.image = image
        self.proof = proof
        self.reader = reader
        self.have = 0
        self.bytes = 0
        self.at = 0.0


def load_image(
    replica: Replica, meta: Mapping[str, bytes], read: Callable[[LogId], Iterable[bytes]]
) -> Fetch | None:
    """Read what the own database holds of images, before its records.

    Args:
      replica: Empty.
      meta: Every named value of the database.
      read: Chunks that are stored under a name, in order.

    Returns:
      What was being fetched, for `Imaging.restore`.

    Raises:
      StoreError: The database is damaged.
    """
    if IMAGE_KEY in meta:
        stored = unpack(meta[IMAGE_KEY])
        log = LogId(stored.log)
        replica.load_image(Image.of(stored.manifest, log), read(log))
    key = next((key for key in (FETCH_KEY, LATE_KEY) if key in meta), None)
    if key is None:
        return None
    blank = key == FETCH_KEY
    wanted = unpack(meta[key])
    image = Image.of(wanted.manifest, LogId(wanted.log))
    fetch = Fetch(image, wanted.proof, replica.open_image(image) if blank else None)
    for data in read(image.log):
        if not image.fits(fetch.have + 1, data):
            break
        if fetch.reader is not None:
            fetch.reader.read(data)
        fetch.have += 1
        fetch.bytes += len(data)
    if fetch.reader is not None:
        replica.loading = True
    return fetch


class Imaging:
    """See the module."""

    def __init__(
        self,
        context: Context,
        trust: Trust,
        replica: Replica,
        commits: Commits,
        clearing: Clearing,
        sync: Sync,
        links: dict[int, PeerLink],
    ) -> None:
        self._context = context
        self._trust = trust
        self._replica = replica
        self._commits = commits
        self._clearing = clearing
        self._sync = sync
        self._links = links
        self._given: dict[int, tuple[bytes, float]] = {}
        self._link = -1
        self._done = False
        self._wanted: Heads | None = None
        self._overdue: dict[bytes, float] = {}
        self.fetch: Fetch | None = None
        # Set by the engine.
        self.reload: Callable[[], None] = lambda: None

    # -- giving --------------------------------------------------------------------------------

    def give(self, link: PeerLink) -> None:
        """A peer asks for what was cleared: show what stands for it."""
        image, proof = self._replica.image, self._clearing.proof
        if image is None or proof is None:
            return
        root, at = self._given.get(link.number, (b"", 0.0))
        if root == image.root and self._context.now - at < GIVE_AGAIN:
            return
        self._given[link.number] = (image.root, self._context.now)
        endorsements = [Endorsement(bytes(author), data) for author, data in proof.endorsements]
        self._context.counters["images_given"] += 1
        self._context.send(
            link.number, Lane.BULK, ImageProof(image.data, proof.proposal, endorsements)
        )

    def forget(self, number: int) -> None:
        """A link is gone."""
        self._given.pop(number, None)
        if number == self._link:
            self._link = -1

    # -- fetching ------------------------------------------------------------------------------

    def restore(self, fetch: Fetch | None) -> None:
        """Go on with a fetch of an earlier process."""
        self.fetch = fetch
        if fetch is not None:
            self._watch()
            self._finish()

    def joining(self, link: PeerLink) -> bool:
        """A peer has shown its vector: whether chunks are wanted rather than records."""
        if self.fetch is None:
            return False
        if self._link not in self._links:
            self._ask(link)
        return True

    def look(self) -> None:
        """Ask for an image that all authors stand for and that this node does not come to.

        It has learned of a revocation or a fork before it stood on the image, and they after; the
        image counts. Whoever is only slow gets there by itself.
        """
        now, replica = self._context.now, self._replica
        base = {} if replica.image is None else replica.image.heads()
        there = {one.id: one for one in replica.checkpoints.complete(base)}
        self._overdue = {name: self._overdue.get(name, now) for name in there}
        late = [there[name] for name, since in self._overdue.items() if now - since >= LATE]
        self._wanted = late[0].heads if late else None
        if self._wanted is None or self.fetch is not None or self._done:
            return
        others = [link for link in self._links.values() if link.neighbour]
        if others:
            self._context.counters["images_wanted"] += 1
            link = self._context.rng.choice(others)
            self._sync.fetch(link, next(iter(self._wanted)), 1, 1)

    def on_proof(self, link: PeerLink, message: ImageProof) -> None:
        """Something was cleared there that is not here."""
        image = Image.of(message.manifest)
        replica, heads = self._replica, image.heads()
        base = {} if replica.image is None else replica.image.heads()
        known = self.fetch
        if known is not None and known.image.root == image.root:
            self._ask(link)
            return
        wanted = self._wanted
        late = wanted is not None and (heads == wanted or dominates(heads, wanted))
        if self._done or not dominates(heads, base) or (replica.passed(heads) and not late):
            return
        if known is not None and not dominates(heads, known.image.heads()):
            return
        for log, (head, last) in heads.items():
            mine = replica.logs.by_id.get(log)
            if mine is None or not mine.base <= head <= mine.head:
                continue
            if mine.hash_of(head) != last[:16]:
                self._context.counters["images_refused"] += 1
                self._sync.suspect(link, log, head)
                return
        endorsements = tuple((NodeId(one.author), one.record) for one in message.endorsements)
        proof = Proof(message.proposal, endorsements)
        try:
            believe(image, proof, self._trust)
            if self._overreaches(image, proof):
                raise RemoteProtocolError("bad-image", "an issuer speaks in it for who is there")
        except RemoteProtocolError:
            self._context.counters["images_refused"] += 1
            raise
        if self._struck(image, proof):
            self._context.counters["images_refused"] += 1
            return  # the peer may not know yet; an issuer that is left proposes another one
        self._begin(image, proof)
        self._ask(link)

    def _struck(self, image: Image, proof: Proof) -> bool:
        """Whether who proposed it was revoked, whether or not anything of it is here."""
        row = proposed_by(image, proof)
        return self._replica.revocations.strikes(node_id(row.public_key), image.chain(row))

    def _overreaches(self, image: Image, proof: Proof) -> bool:
        """Whether one issuer speaks for too many, or beyond what this node itself wrote.

        A node that has state and is merely behind must not give it up because an issuer excused
        whoever would not have endorsed an image.
        """
        replica, heads = self._replica, image.heads()
        own = replica.logs.by_id.get(replica.own_log)
        if own is not None and heads.get(own.id, (0, b""))[0] > own.head:
            return True  # it would take the numbers of what is still to be written
        excused, me = excused_in(proof), self._clearing.me
        known = {log.author for log in replica.logs.by_number if log.id in heads and log.head}
        known.discard(me)
        doubtful = {one for one in known & excused if not self._clearing.attendance.excused(one)}
        return len(doubtful) > len(known - excused)

    def _begin(self, image: Image, proof: Proof) -> None:
        replica, known = self._replica, self.fetch
        blank = (replica.total == 0 or replica.loading) and not replica.dirty
        self._wanted = None
        if known is not None:
            self._commits.clear([(known.image.log, SEQ_MAX)])
            if known.reader is not None:
                replica.keyspace.wipe()
        stored = LogId(self._context.entropy(16))
        image = Image.of(image.data, stored)
        reader = replica.open_image(image) if blank else None
        replica.loading = blank
        self.fetch = Fetch(image, proof, reader)
        self._context.meta[FETCH_KEY if blank else LATE_KEY] = pack(image, proof)
        self._context.counters["images_fetched"] += 1
        self._context.event(
            "joining", f"fetching {image.manifest.keys} keys in {image.count} pieces"
        )
        self._watch()

    def _ask(self, link: PeerLink) -> None:
        fetch = self.fetch
        if fetch is None:
            return
        self._link = link.number
        fetch.at = self._context.now
        self._sync.pull_image(link, fetch.image.name, fetch.have + 1, fetch.image.count)
        self._finish()

    def _watch(self) -> None:
        def check() -> None:
            fetch = self.fetch
            if fetch is None:
                return
            self._watch()
            if self._context.now - fetch.at >= AGAIN and not self._commits.congested:
                others = [link for link in self._links.values() if link.neighbour]
                if others:
                    self._ask(self._context.rng.choice(others))

        self._context.timers.set("fetch", self._context.after(AGAIN, 0.3), check)

    def chunk(self, data: bytes) -> None:
        """One chunk has come; raises `RemoteProtocolError` if it is not the next one."""
        fetch = self.fetch
        if fetch is None:
            self._context.counters["chunks_unasked"] += 1
            return
        if not fetch.image.fits(fetch.have + 1, data):
            if chunk_hash(data) in fetch.image.manifest.chunks:
                return  # of a stream that was given up
            self._context.counters["images_refused"] += 1
            raise RemoteProtocolError("bad-image", f"chunk {fetch.have + 1}")
        if fetch.reader is not None:
            fetch.reader.read(data)
        fetch.have += 1
        fetch.bytes += len(data)
        fetch.at = self._context.now
        self._commits.foreign([AppliedRecord(fetch.image.log, fetch.have, data)])
        self._finish()

    def _finish(self) -> None:
        fetch = self.fetch
        if fetch is None or fetch.have < fetch.image.count:
            return
        self.fetch = None
        self._context.timers.cancel("fetch")
        self._context.meta[FETCH_KEY if fetch.reader is not None else LATE_KEY] = None
        self._clearing.keep(fetch.image, fetch.proof, fetch.bytes)
        if fetch.reader is None:
            self._done = True
            self._commits.then(self.reload)
            return
        self._replica.stand_on(fetch.image, fetch.reader.kept())
        self._replica.loading = False
        self._context.event("joined", f"{fetch.image.manifest.keys} keys are here")
        for link in self._links.values():
            if link.neighbour:
                self._sync.greet(link)

    def status(self) -> dict[str, object]:
        """For ``gossipnet status``: how far a fetch has come."""
        fetch = self.fetch
        if fetch is None:
            return {"fetching": False, "chunks": 0, "of": 0}
        return {"fetching": True, "chunks": fetch.have, "of": fetch.image.count}
