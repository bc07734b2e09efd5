"""What a replica does beside applying records: images of its state, and verdicts on records."""

from collections import Counter
from collections.abc import Iterable

from gossipnet.errors import RemoteProtocolError, StoreError
from gossipnet.identity.trust import Trust
from gossipnet.state.checkpoints import Checkpoints
from gossipnet.state.clock import HybridClock
from gossipnet.state.image import Fold, Heads, Image, open_logs, stand_on
from gossipnet.state.image_read import ImageReader
from gossipnet.state.image_write import Kept
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.logs import Logs
from gossipnet.state.operations import Checkpoint, Endorse
from gossipnet.state.own_log import OwnLog
from gossipnet.state.rebuild import Rebuild
from gossipnet.state.voids import Voids


class Imaged:
    """Base of `Replica`.

    Attributes:
      image: What the records here go on from; None for the beginning of all logs.
      tail_bytes: Of the records behind it.
      checkpoints: What was proposed to clear, and who stands for what would be left.
    """

    keyspace: Keyspace
    logs: Logs
    voids: Voids
    clock: HybridClock
    counters: Counter[str]
    checkpoints: Checkpoints
    image: Image | None
    tail_bytes: int
    _own: OwnLog
    _trust: Trust

    @property
    def loading(self) -> bool:
        """Whether an image is being fetched: nothing is written or taken in meanwhile."""
        return self._own.loading

    @loading.setter
    def loading(self, loading: bool) -> None:
        self._own.loading = loading

    def write_alone(self, operation: Checkpoint | Endorse) -> None:
        """Write a record about clearing; `seal` hands it out."""
        self._own.write_alone(operation)

    def open_log(self) -> None:
        """Begin the own log with a record that says nothing else."""
        if not (self._own.barred or self.loading):
            self._own.begin()

    def passed(self, heads: Heads) -> bool:
        """Whether everything up to a vector has been applied."""
        return all(self.logs.head(log) >= head for log, (head, _hash) in heads.items())

    def agrees(self, image: Image) -> bool:
        """Whether all records of an image have been applied here, under the verdicts in it."""
        rows = zip(image.logs, image.manifest.logs, strict=True)
        return self.passed(image.heads()) and all(
            self.logs.by_id[log].voids_to(row.head) == tuple(row.voids) for log, row in rows
        )

    def fold(self, heads: Heads) -> Fold:
        """Begin to compute the image at a vector that was passed."""
        return Fold(self, self._trust, heads)  # type: ignore[arg-type]

    def open_image(self, image: Image) -> ImageReader:
        """Begin to read an image into the keyspace, which is empty; `stand_on` follows."""
        numbers = open_logs(self, image, self._trust)  # type: ignore[arg-type]
        return ImageReader(self.keyspace, self.logs, numbers)

    def stand_on(self, image: Image, kept: Kept, replaced: int = 0) -> None:
        """Go on from an image: its records are applied, or its chunks read (`open_image`).

        Args:
          image: Which.
          kept: Stamps that go on to be needed.
          replaced: Bytes of records that it stands for.
        """
        self._own.close_batch()
        stand_on(self, image, kept)  # type: ignore[arg-type]
        self.voids.changed()
        self.checkpoints.forget(image.heads())
        self.clock.merge(max((row.stamp for row in image.manifest.logs), default=0))
        self.tail_bytes = max(0, self.tail_bytes - replaced)

    def load_image(self, image: Image, chunks: Iterable[bytes]) -> None:
        """Read the image of the own database, before its records.

        Raises:
          StoreError: It is damaged.
        """
        try:
            reader = self.open_image(image)
            number = 0
            for number, data in enumerate(chunks, 1):
                if not image.fits(number, data):
                    raise RemoteProtocolError("bad-image", f"chunk {number}")
                reader.read(data)
            if number != image.count:
                raise RemoteProtocolError("bad-image", "chunks are missing")
        except RemoteProtocolError as error:
            raise StoreError(
                f"the database is damaged in what its records go on from ({error}): put a backup "
                "back, or move state.db away to fetch the state from the other members"
            ) from error
        self.stand_on(image, reader.kept())

    # -- revocations ---------------------------------------------------------------------------

    def revocations_changed(self) -> bool:
        """Judge all logs anew; True if the state must be computed anew (`begin_rebuild`)."""
        self._own.close_batch()  # what waits in it was applied already
        return self.voids.changed()

    def begin_rebuild(self) -> Rebuild:
        """Compute anew what stale records touched; the caller feeds it from disk."""
        self._own.close_batch()
        return Rebuild(self, self._trust)  # type: ignore[arg-type]

    def bar(self, reason: str) -> None:
        """This node was revoked: nobody would take what it writes, so it refuses to."""
        self._own.close_batch()
        self._own.barred = reason
