"""How an image is kept in a database: where its chunks are, and why it is believed."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from gossipnet.ids import LogId, NodeId
from gossipnet.state.checkpoints import Proposal
from gossipnet.state.image import Fold, Image, Proof
from gossipnet.state.image_write import Kept

IMAGE_KEY, STAGED_KEY, SEEN_KEY = "image", "image.staged", "image.seen"


class Stored(msgspec.Struct, array_like=True, frozen=True):
    """An image in the database: where its chunks are, and why it may be believed."""

    log: bytes
    manifest: bytes
    proposal: bytes
    endorsements: list[tuple[bytes, bytes]]

    @property
    def proof(self) -> Proof:
        """Of the image."""
        found = tuple((NodeId(author), data) for author, data in self.endorsements)
        return Proof(self.proposal, found)


def pack(image: Image, proof: Proof) -> bytes:
    """For the table of named values."""
    endorsements = [(bytes(author), data) for author, data in proof.endorsements]
    stored = Stored(image.log, image.data, proof.proposal, endorsements)
    return msgspec.msgpack.encode(stored)


def unpack(data: bytes) -> Stored:
    """What `pack` made."""
    return msgspec.msgpack.decode(data, type=Stored)


@dataclass(slots=True)
class Work:
    """The image of one proposal, in the making or made.

    Attributes:
      proposal: Which.
      stored: Under which name chunks are stored.
      fold: The computation; None once it is done.
      verdicts: What was void when it began.
      chunks: What is still to be written; None while records are read.
      written, size: Chunks so far, and their bytes.
      wanted: What is being read.
      image, kept, replaced: What came of it.
    """

    proposal: Proposal
    stored: LogId
    fold: Fold | None
    verdicts: list[tuple[int, int]]
    chunks: Iterator[bytes] | None = None
    written: int = 0
    size: int = 0
    wanted: tuple[tuple[LogId, int, int], ...] = ()
    image: Image | None = None
    kept: Kept = field(default_factory=dict)
    replaced: int = 0
