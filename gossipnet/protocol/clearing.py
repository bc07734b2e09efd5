"""Clearing records that an image stands for: proposing, computing, endorsing, and letting go.

An issuer whose records behind its image have grown proposes how far to go. Every node computes the
image from its own disk, piece by piece while it goes on serving, and its author endorses it. When
all authors have, the node stands on the image and its records up to there are cleared. A root that
somebody else came to is an alarm, and nothing is cleared. `imaging` fetches and gives images.
"""

from collections.abc import Callable, Mapping

from gossipnet import ids
from gossipnet.identity.node import NodeIdentity
from gossipnet.identity.revocation import REVOKING_ROLES
from gossipnet.ids import LogId, NodeId, node_id
from gossipnet.protocol.attendance import Attendance
from gossipnet.protocol.commits import Commits
from gossipnet.protocol.context import Context
from gossipnet.protocol.effects import LogRead, ReadLog
from gossipnet.protocol.membership import Membership
from gossipnet.protocol.stored_image import IMAGE_KEY, STAGED_KEY, Work, pack, unpack
from gossipnet.state.authority import PROPOSING_ROLES
from gossipnet.state.checkpoints import Proposal, dominates
from gossipnet.state.dots import SEQ_MAX
from gossipnet.state.image import Image, Proof, proposed_by
from gossipnet.state.image_write import Unfit
from gossipnet.state.operations import Checkpoint, Endorse
from gossipnet.state.replica import AppliedRecord, Replica

LOOK = 5.0
"""Seconds, about, between two looks at what there is to do."""

TAIL_BYTES = 4 << 20
"""Records behind the image that are not worth a new one; nor is less than the image itself."""

PATIENCE = 300.0
"""Seconds before an issuer proposes again, or another one does in its place."""

STALLS = 5
"""Times that an image is begun anew for records that do not come."""

PIECE_BYTES = 256 * 1024
"""Read, or written, in one turn."""

FIRST_REQUEST = 1 << 40
"""Numbers of reads count up from here, above those of streams."""


class Clearing:
    """See the module.

    Attributes:
      me: This node.
      attendance: Who was seen when.
      proof: Of the image that this node stands on.
    """

    def __init__(
        self,
        context: Context,
        identity: NodeIdentity,
        replica: Replica,
        membership: Membership,
        commits: Commits,
    ) -> None:
        self._context = context
        self._identity = identity
        self._replica = replica
        self._membership = membership
        self.me = membership.me
        self._commits = commits
        self._work: Work | None = None
        self._request = FIRST_REQUEST
        self._image_bytes = 0
        self.attendance = Attendance(context, replica.logs, membership)
        self._proposed_at: float | None = None
        # No two nodes look at the same time, and none needs chance for it.
        self._pace = LOOK * (0.7 + 0.6 * membership.me[0] / 255)
        self._refused: set[bytes] = set()
        self._stalls: dict[bytes, int] = {}
        self._differing: set[bytes] = set()
        self.proof: Proof | None = None
        # Set by the engine.
        self.busy: Callable[[], bool] = lambda: False
        self.reload: Callable[[], None] = lambda: None
        self.looked: Callable[[], None] = lambda: None

    # -- starting ------------------------------------------------------------------------------

    def restore(self, meta: Mapping[str, bytes]) -> None:
        """Go on from what an earlier process stored; the replica has loaded its image."""
        if IMAGE_KEY in meta:
            stored = unpack(meta[IMAGE_KEY])
            self.proof = stored.proof
            heads = Image.of(stored.manifest).heads()
            self._commits.clear((log, head) for log, (head, _hash) in heads.items())
            self._replica.checkpoints.forget(heads)  # the records about it were loaded after it
        if STAGED_KEY in meta:
            self._drop(LogId(meta[STAGED_KEY]))
        self.attendance.restore(meta)

    def start(self) -> None:
        """Begin to look."""
        self._context.timers.set("clearing", self._context.now + self._pace, self._look)

    # -- looking -------------------------------------------------------------------------------

    def _look(self) -> None:
        self.start()
        self.attendance.look()
        replica = self._replica
        if replica.tail_bytes >= TAIL_BYTES // 2 and self._revokes(self._identity.roles):
            replica.open_log()  # clearing waits for whoever may revoke: so it needs a log
        self.looked()
        if replica.loading or self.busy():
            return
        self._judge()
        if self._work is None or self._work.image is not None:
            self._begin()
        if self._may_propose():
            self._propose()

    def _may_propose(self) -> bool:
        replica, now = self._replica, self._context.now
        if PROPOSING_ROLES.isdisjoint(self._identity.certificate.roles):
            return False
        if replica.tail_bytes < max(TAIL_BYTES, self._image_bytes) and not self._orphaned():
            self._proposed_at = None
            return False
        if self._proposed_at is None:  # whoever has the lowest id goes first
            rivals = [
                member.id
                for member in self._membership.members.values()
                if member.reachable and not PROPOSING_ROLES.isdisjoint(member.roles)
            ]
            first = self._membership.me <= min(rivals, default=self._membership.me)
            pending = any(True for _one in replica.checkpoints)
            self._proposed_at = now - (PATIENCE if first and not pending else 0.0)
        return now - self._proposed_at >= PATIENCE

    def _orphaned(self) -> bool:
        """Whether newcomers refuse the image, since who proposed it was revoked meanwhile."""
        image, proof = self._replica.image, self.proof
        if image is None or proof is None:
            return False
        row = proposed_by(image, proof)
        return self._replica.revocations.strikes(node_id(row.public_key), image.chain(row))

    @staticmethod
    def _revokes(roles: frozenset[str]) -> bool:
        return not REVOKING_ROLES.isdisjoint(roles)

    def _propose(self) -> None:
        replica = self._replica
        heads: list[tuple[bytes, int, bytes]] = []
        authors: set[NodeId] = set()
        for log in sorted(replica.logs.by_number, key=lambda one: one.id):
            head = self._commits.sendable(log.id, log.head)
            if head < max(1, log.base):
                continue
            if head != log.head:
                return  # own writes are on their way to the disk: look again soon
            heads.append((bytes(log.id), head, log.head_hash))
            authors.add(log.author)
        if all(log != replica.own_log for log, _head, _hash in heads):
            return  # nobody could check who proposes
        revokers = [one for one in self._membership.members.values() if self._revokes(one.roles)]
        if any(one.id not in authors and not self.attendance.excused(one.id) for one in revokers):
            return  # its log will be here soon
        excused = sorted(bytes(one) for one in authors if self.attendance.excused(one))
        self._proposed_at = self._context.now
        self._context.counters["checkpoints_proposed"] += 1
        replica.write_alone(Checkpoint(heads, excused))

    # -- computing -----------------------------------------------------------------------------

    def _verdicts(self) -> list[tuple[int, int]]:
        return [(log.void_from, log.frozen_at) for log in self._replica.logs.by_number if log.head]

    def _begin(self) -> None:
        """Compute the image of the newest proposal that this node has passed."""
        replica = self._replica
        base = {} if replica.image is None else replica.image.heads()
        for proposal in reversed(list(replica.checkpoints)):
            if self._work is not None and self._work.proposal.stamp >= proposal.stamp:
                return
            if proposal.id in self._refused or not dominates(proposal.heads, base):
                continue
            if not replica.passed(proposal.heads):
                continue
            if any(
                head >= replica.logs.by_id[log].base
                and replica.logs.by_id[log].hash_of(head) != last[:16]
                for log, (head, last) in proposal.heads.items()
            ):
                self._refuse(proposal, "it names records that are not here")
                continue
            self._forget_work()
            stored = LogId(self._context.entropy(16))
            self._context.meta[STAGED_KEY] = bytes(stored)
            fold = replica.fold(proposal.heads)
            self._work = Work(proposal, stored, fold, self._verdicts())
            self._read_on(self._work)
            return

    def _refuse(self, proposal: Proposal, why: str) -> None:
        if len(self._refused) > 1024:
            self._refused.clear()
        self._refused.add(proposal.id)
        self._context.counters["checkpoints_refused"] += 1
        self._context.event(
            "checkpoint-refused",
            f"the checkpoint of {ids.short(proposal.author)} is not endorsed: {why}",
            "warning",
            proposal.author,
        )

    def _forget_work(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            self._drop(work.stored)

    def _drop(self, stored: LogId) -> None:
        self._commits.clear([(stored, SEQ_MAX)])
        self._context.meta[STAGED_KEY] = None

    def _read_on(self, work: Work, position: int = 0) -> None:
        assert work.fold is not None
        if position == 0:
            left = work.fold.left()
            if not left or tuple(left) == work.wanted:
                if left:
                    self._forget_work()
                    self._stall(work.proposal)
                else:
                    work.chunks = work.fold.chunks()
                    self._write_on()
                return
            work.wanted = tuple(left)
        self._request += 1
        self._context.effects.append(ReadLog(self._request, work.wanted, position, PIECE_BYTES))

    def _stall(self, proposal: Proposal) -> None:
        """Records are not on the disk yet, or need others that the checkpoint leaves out."""
        if len(self._stalls) > 64:
            self._stalls.clear()
        stalls = self._stalls[proposal.id] = self._stalls.get(proposal.id, 0) + 1
        if stalls >= STALLS:
            del self._stalls[proposal.id]
            self._refuse(proposal, "records in it need others that it leaves out")

    def takes(self, read: LogRead) -> bool:
        """Take in what came from disk, if it was asked for here."""
        if read.request < FIRST_REQUEST:
            return False
        work = self._work
        if work is None or work.fold is None or read.request != self._request:
            return True
        if self._verdicts_changed(work):
            return True
        for data in read.records:
            work.fold.feed(data)
        self._read_on(work, read.position or 0)
        return True

    def _verdicts_changed(self, work: Work) -> bool:
        """Whether records became void meanwhile: then it is computed again later."""
        if self._verdicts()[: len(work.verdicts)] == work.verdicts and not self.busy():
            return False
        self._forget_work()
        return True

    def _write_on(self) -> None:
        """Write some chunks, and go on in another turn."""
        work = self._work
        if work is None or work.fold is None or work.chunks is None:
            return
        if self._verdicts_changed(work):
            return
        try:
            if self._write_piece(work):
                wait = 0.1 if self._commits.congested else 0.0
                self._context.timers.set("clearing-write", self._context.now + wait, self._write_on)
                return
            work.image, work.kept = work.fold.image(work.stored)
        except Unfit as error:
            self._refuse(work.proposal, str(error))
            self._forget_work()
            return
        work.replaced, work.fold, work.chunks = work.fold.replayed, None, None
        self._endorse(work, work.image)
        self._judge()

    def _write_piece(self, work: Work) -> bool:
        """Write some chunks; whether there may be more."""
        assert work.chunks is not None
        size = 0
        records: list[AppliedRecord] = []
        while size < PIECE_BYTES and (data := next(work.chunks, None)) is not None:
            work.written += 1
            size += len(data)
            records.append(AppliedRecord(work.stored, work.written, data))
        work.size += size
        self._commits.foreign(records)
        return size >= PIECE_BYTES

    def _endorse(self, work: Work, image: Image) -> None:
        me = self._membership.me
        proposal = work.proposal
        if me not in self._replica.checkpoints.authors(proposal):
            return
        if image.root not in proposal.endorsed.get(me, ()):
            # On disk first: what is endorsed must not have to be computed again.
            self._commits.then(lambda: self._say(proposal, image))

    def _say(self, proposal: Proposal, image: Image) -> None:
        if image.root not in proposal.endorsed.get(self._membership.me, ()):
            self._replica.write_alone(Endorse(proposal.id, image.root))
            self._context.counters["checkpoints_endorsed"] += 1
            self._judge()

    # -- letting go ----------------------------------------------------------------------------

    def _judge(self) -> None:
        """Stand on the image if all authors do."""
        work, replica = self._work, self._replica
        if work is None or work.image is None or self.busy():
            return
        proposal, image = work.proposal, work.image
        self._compare(proposal, image)
        base = {} if replica.image is None else replica.image.heads()
        if not dominates(proposal.heads, base):
            self._forget_work()
            return
        if replica.checkpoints.waits_for(proposal, image.root) or self._commits.congested:
            return
        proof = replica.checkpoints.proof(proposal, image.root)
        self._work = None
        self._context.meta[STAGED_KEY] = None
        self.keep(image, proof, work.size)
        if not replica.agrees(image):
            # A verdict came after all had endorsed, and comes too late: the state is read anew.
            self._commits.then(self.reload)
            return
        replica.stand_on(image, work.kept, work.replaced)
        self._context.counters["checkpoints_reached"] += 1
        self._context.event(
            "records-cleared",
            f"{work.replaced} bytes of records are cleared; what was left of them is "
            f"{work.size} bytes, for {image.manifest.keys} keys",
        )

    def keep(self, image: Image, proof: Proof, size: int) -> None:
        """Let an image, whose chunks are stored, take the place of records on the disk."""
        old = self._replica.image
        self.proof, self._image_bytes, self._proposed_at = proof, size, None
        self._context.meta[IMAGE_KEY] = pack(image, proof)
        self._commits.clear((log, head) for log, (head, _hash) in image.heads().items())
        if old is not None:
            self._commits.clear([(old.log, SEQ_MAX)])

    def _compare(self, proposal: Proposal, image: Image) -> None:
        """Somebody who came to another image holds another state, or lies."""
        others = [
            author
            for author, roots in proposal.endorsed.items()
            if any(root != image.root for root in roots)
        ]
        if others and proposal.id not in self._differing:
            if len(self._differing) > 1024:
                self._differing.clear()
            self._differing.add(proposal.id)
            self._context.counters["images_differ"] += 1
            names = ", ".join(ids.short(author) for author in others[:5])
            self._context.event(
                "state-differs",
                f"{names} hold another state than this node after the same records: nothing is "
                "cleared; run `gossipnet verify` there and here",
                "error",
                others[0],
            )

    def status(self) -> dict[str, object]:
        """For ``gossipnet status``."""
        replica, work = self._replica, self._work
        waits: list[str] = []
        if work is not None and work.image is not None:
            missing = replica.checkpoints.waits_for(work.proposal, work.image.root)
            waits = [ids.text(author) for author in sorted(missing)][:20]
        return {
            "tail_bytes": replica.tail_bytes,
            "image_keys": 0 if replica.image is None else replica.image.manifest.keys,
            "image_bytes": self._image_bytes,
            "computing": work is not None and work.image is None,
            "waits_for": waits,
            "images_differ": self._context.counters["images_differ"],
        }
