"""Images: all state at one vector, signed for by every author in it, in place of the records.

An issuer proposes a vector (`operations.Checkpoint`). Every author computes, from the records that
it has, what is left up to there (`Fold`), and endorses the hash of it (`operations.Endorse`).
Because an image has one form only, all who are honest come to the same hash; a false one is
endorsed by nobody else, and nothing follows from it. Once all have endorsed it, the image stands
for the records: these are cleared, and whoever joins gets it instead, with the endorsements.

For an author that is not there the issuer stands, by excusing it.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossipnet.errors import BadSignature, CertificateError, RemoteProtocolError
from gossipnet.identity.revocations import NEVER
from gossipnet.identity.trust import Trust
from gossipnet.ids import LogId, NodeId, node_id
from gossipnet.state import record
from gossipnet.state.authority import PROPOSING_ROLES
from gossipnet.state.body import (
    decode_body_untrusted,
)
from gossipnet.state.image_rows import (
    MANIFEST_MAX,
    VERSION,
    VOIDS_MAX,
    LogRow,
    Manifest,
    chunk_hash,
    decode_manifest_untrusted,
    encode_manifest,
    image_log,
    root_of,
)
from gossipnet.state.image_write import ImageWriter, Kept, Unfit
from gossipnet.state.logs import Log
from gossipnet.state.operations import (
    Checkpoint,
    Endorse,
)
from gossipnet.state.replay import Replay

if TYPE_CHECKING:
    from gossipnet.state.replica import Replica

Heads = dict[LogId, tuple[int, bytes]]
"""By log: its last record and the hash of that."""


@dataclass(frozen=True, slots=True)
class Image:
    """What is known of one image beside its chunks.

    Attributes:
      root: What authors endorse.
      data: The manifest's bytes.
      manifest: The same taken apart.
      log: Under which name its chunks are stored here.
      name: Under which name they are asked for.
      logs: Ids of the logs in it.
    """

    root: bytes
    data: bytes
    manifest: Manifest
    log: LogId
    name: LogId
    logs: tuple[LogId, ...]

    @classmethod
    def of(cls, data: bytes, stored: LogId | None = None) -> "Image":
        """Take a manifest apart; raises `RemoteProtocolError`."""
        manifest = decode_manifest_untrusted(data)
        root = root_of(data)
        name = image_log(root)
        logs = tuple(row.id for row in manifest.logs)
        return cls(root, data, manifest, stored or name, name, logs)

    @property
    def count(self) -> int:
        """How many chunks."""
        return len(self.manifest.chunks)

    def heads(self) -> Heads:
        """The vector."""
        return {
            log: (row.head, row.hash)
            for log, row in zip(self.logs, self.manifest.logs, strict=True)
        }

    def chain(self, row: LogRow) -> tuple[bytes, ...]:
        """Certificates of a log's author."""
        return tuple(self.manifest.certificates[place] for place in row.chain)

    def fits(self, number: int, data: bytes) -> bool:
        """Whether this is chunk ``number``, counted from 1."""
        return 1 <= number <= self.count and self.manifest.chunks[number - 1] == chunk_hash(data)


class Fold(Replay):
    """Computes the image at a vector that this replica has passed."""

    def __init__(self, replica: "Replica", trust: Trust, heads: Heads) -> None:
        super().__init__(replica, trust, None)
        self._heads = heads
        self._certificates: dict[bytes, int] = {}
        self._hashes: list[bytes] = []
        self._writer: ImageWriter | None = None

    def upto(self, log: Log) -> int:
        """How far to go in a log."""
        return self._heads.get(log.id, (0, b""))[0]

    def chunks(self) -> Iterator[bytes]:
        """Write it; `left` has been fed."""
        by_id = self._replica.logs.by_id
        places = {by_id[log].number: place for place, log in enumerate(sorted(self._heads))}
        self._writer = ImageWriter(self.fresh, self._replica.logs, places)
        for data in self._writer.chunks():
            self._hashes.append(chunk_hash(data))
            yield data

    def image(self, stored: LogId | None = None) -> tuple[Image, Kept]:
        """The manifest, and the stamps that go on to be needed; after `chunks`.

        Args:
          stored: Under which name the chunks are stored.

        Raises:
          Unfit: See there.
        """
        assert self._writer is not None
        by_id = self._replica.logs.by_id
        rows = [self._row(by_id[log], *self._heads[log]) for log in sorted(self._heads)]
        manifest = Manifest(
            VERSION, list(self._certificates), rows, self._hashes, self._writer.keys
        )
        data = encode_manifest(manifest)
        if len(data) > MANIFEST_MAX:
            raise Unfit("there are too many logs, or too much in them, for one image")
        return Image.of(data, stored), self._writer.kept()

    def _row(self, log: Log, head: int, head_hash: bytes) -> LogRow:
        newest, author = self._newest.get(log.id), self._authors.get(log.id)
        found, stamp = (
            (log.base_hash, log.base_stamp) if newest is None else (newest.hash, newest.stamp)
        )
        voids = log.voids_to(head)
        if found != head_hash or len(voids) > VOIDS_MAX:
            raise Unfit("another record stands where the checkpoint ends")
        chain = log.base_chain if author is None else author.chain
        return LogRow(
            log.public_key,
            log.epoch,
            [self._certificates.setdefault(one, len(self._certificates)) for one in chain],
            head,
            head_hash,
            stamp,
            list(voids),
            log.full_from if log.full_from <= head else None,
            sorted((*step, seq) for step, seq in log.steps.items() if seq <= head),
        )


def stand_on(replica: "Replica", image: Image, kept: Kept) -> None:
    """Go on from an image; all of its records have been applied, or are jumped over now."""
    for log_id, row in zip(image.logs, image.manifest.logs, strict=True):
        log = replica.logs.by_id[log_id]
        nothing = array("Q"), array("Q")
        if log.head < row.head:
            replica.logs.jump(log, row.head, row.hash)
        voids = tuple(row.voids)
        log.clear(row.head, row.hash, row.stamp, voids, kept.get(log.number, nothing))
        log.base_chain = image.chain(row)
    replica.image = image


def open_logs(replica: "Replica", image: Image, trust: Trust) -> list[int]:
    """Make room for the logs of an image; their local numbers.

    Raises:
      CertificateError: One of them is not its author's.
    """
    numbers: list[int] = []
    for log_id, row in zip(image.logs, image.manifest.logs, strict=True):
        log = replica.logs.by_id.get(log_id)
        if log is None or not log.head:
            chain = image.chain(row)
            certificate = trust.verify_past_chain(chain)
            if certificate.subject != row.public_key:
                raise CertificateError("wrong-subject", "the log's author is not the certified one")
            log = replica.logs.open(
                log_id, row.public_key, certificate, chain, row.epoch, trusted=True
            )
            log.steps = {(fingerprint, below): seq for fingerprint, below, seq in row.steps}
            log.full_from = NEVER if row.full is None else row.full
            log.noted = chain
            log.chain = chain
        numbers.append(log.number)
    return numbers


# ---------------------------------------------------------------- proofs


@dataclass(frozen=True, slots=True)
class Proof:
    """Why an image may be believed.

    Attributes:
      proposal: The record that proposed its vector.
      endorsements: Author, and the record in which it endorses the image.
    """

    proposal: bytes
    endorsements: tuple[tuple[NodeId, bytes], ...]


def excused_in(proof: Proof) -> frozenset[NodeId]:
    """For whom the issuer stands, by a proof that is believed."""
    operations = decode_body_untrusted(record.parse_untrusted(proof.proposal).body).operations
    return frozenset(
        NodeId(author)
        for operation in operations
        if isinstance(operation, Checkpoint)
        for author in operation.excused
    )


def proposed_by(image: Image, proof: Proof) -> LogRow:
    """The log of the issuer that proposed an image, by a proof that is believed."""
    return image.manifest.logs[image.logs.index(record.parse_untrusted(proof.proposal).log)]


def believe(image: Image, proof: Proof, trust: Trust) -> None:
    """Check that an issuer has proposed the vector and that every author stands for the image.

    Args:
      image: Whose manifest is not believed yet.
      proof: As received.
      trust: The mesh.

    Raises:
      RemoteProtocolError: ``bad-image``.
    """
    try:
        _believe(image, proof, trust)
    except (CertificateError, BadSignature) as error:
        raise RemoteProtocolError("bad-image", str(error)) from error


def _believe(image: Image, proof: Proof, trust: Trust) -> None:
    keys: dict[NodeId, bytes] = {}
    roles: dict[LogId, frozenset[str]] = {}
    for log, row in zip(image.logs, image.manifest.logs, strict=True):
        certificate = trust.verify_past_chain(image.chain(row))
        if certificate.subject != row.public_key:
            raise RemoteProtocolError("bad-image", "a log under another's certificate")
        keys[node_id(row.public_key)] = row.public_key
        roles[log] = certificate.roles
    proposal = record.parse_untrusted(proof.proposal)
    proposed = roles.get(proposal.log)
    if proposed is None or proposed.isdisjoint(PROPOSING_ROLES):
        raise RemoteProtocolError("bad-image", "proposed by no issuer")
    public_key = image.manifest.logs[image.logs.index(proposal.log)].public_key
    proposal.verify(public_key, trust.mesh_id)
    checkpoint = next(
        (
            one
            for one in decode_body_untrusted(proposal.body).operations
            if isinstance(one, Checkpoint)
        ),
        None,
    )
    heads = [(log, *head) for log, head in image.heads().items()]
    if checkpoint is None or checkpoint.heads != heads:
        raise RemoteProtocolError("bad-image", "not of the vector that was proposed")
    excused = {NodeId(one) for one in checkpoint.excused}
    wanted = {author for author in keys if author not in excused}
    for author, data in proof.endorsements:
        if author not in wanted:
            continue
        endorsement = record.parse_untrusted(data)
        endorsement.verify(keys[author], trust.mesh_id)
        for one in decode_body_untrusted(endorsement.body).operations:
            if isinstance(one, Endorse) and (one.proposal, one.root) == (proposal.hash, image.root):
                wanted.discard(author)
    if wanted:
        raise RemoteProtocolError("bad-image", f"{len(wanted)} of its authors do not stand for it")
