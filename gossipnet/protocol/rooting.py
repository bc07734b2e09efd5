"""Versions of the mesh's root in a running node: taken in, spread as notices, shown with progress.

Which of several counts is `identity.roots`' business, and what follows for members, links and
state is `revoking`'s. This node says in its member record which version it knows, so that everybody
sees how far a rotation has come.
"""

from collections import Counter
from collections.abc import Callable

from gossipnet import ids
from gossipnet.errors import CertificateError, UserError
from gossipnet.identity.certificate import decode_certificate
from gossipnet.identity.root import RootRecord, place_of
from gossipnet.identity.trust import Trust
from gossipnet.protocol.context import Context
from gossipnet.protocol.membership import Membership
from gossipnet.protocol.notices import ROOT, Noticeboard


class Rooting:
    """Keeps the newest root."""

    def __init__(
        self, context: Context, trust: Trust, membership: Membership, board: Noticeboard
    ) -> None:
        self._context = context
        self._trust = trust
        self._membership = membership
        self._board = board
        self._shown = trust.root.hash
        board.kinds[ROOT] = self._take
        board.ranks[ROOT] = lambda payload: place_of(payload)[0]
        # Set by the engine.
        self.changed: Callable[[], None] = lambda: None

    def known(self) -> list[bytes]:
        """Payloads of the versions that came with this node's identity."""
        return [record.data for record in self._trust.roots.every() if record.version > 1]

    def _take(self, payload: bytes) -> bytes | None:
        record = self._trust.adopt(payload)
        if record is None:
            self._context.counters["roots_unplaced"] += 1
            return None
        return None if record.version == 1 else record.hash

    def apply(self) -> None:
        """Versions were taken in: tell, if another one counts now."""
        newest = self._trust.root
        if newest.hash == self._shown:
            return
        self._shown = newest.hash
        self._context.event(
            "root-adopted",
            f"version {newest.version} of the root counts now: {_rule(newest)}",
            "warning",
        )
        self.changed()

    def bring(self, data: bytes) -> None:
        """Take in a version that a person brings.

        Raises:
          UserError: It does not hold or does not follow, or another one counts.
        """
        try:
            self._board.publish(ROOT, data)
        except CertificateError as error:
            raise UserError(f"this version of the root does not hold: {error}") from None
        found = [record for record in self._trust.roots.every() if record.data == data]
        if not found:
            raise UserError(
                f"this version of the root does not follow version {self._trust.root_version}, the "
                "newest one here"
            )
        if found[0].hash not in {record.hash for record in self._trust.roots.chain}:
            raise UserError(
                "another row of versions counts, behind which more of the keys stand: nothing has "
                "changed"
            )

    # -- for people ----------------------------------------------------------------------------

    def progress(self) -> dict[str, int]:
        """How many members know which version."""
        told = Counter(
            member.body.root for member in self._membership.members.values() if not member.gone
        )
        return {str(version): count for version, count in sorted(told.items())}

    def status(self) -> dict[str, object]:
        """For ``gossipnet status``."""
        progress = self.progress()
        newest = str(self._trust.root_version)
        total = sum(progress.values())
        return {
            "version": self._trust.root_version,
            "rule": _rule(self._trust.root),
            "share": round(progress.get(newest, 0) / total, 3) if total else 0.0,
            "members": progress,
        }

    def show(self) -> dict[str, object]:
        """For ``gossipnet root show``."""
        return {
            **self.status(),
            "versions": [describe(one) for one in self._trust.roots.chain],
            "issuers": self._issuers(),
        }

    def _issuers(self) -> list[dict[str, object]]:
        """Issuers' certificates of the root's that members' chains end in."""
        found: dict[bytes, str] = {}
        for member in self._membership.members.values():
            top = member.chain[-1]
            fingerprint = self._trust.steps((top,))[0][0]
            if fingerprint not in found:
                found[fingerprint] = decode_certificate(top)[0].name
        return [
            {
                "id": ids.text(fingerprint),
                "name": name,
                "holds": not self._trust.withdrawn(fingerprint),
            }
            for fingerprint, name in found.items()
        ]


def describe(record: RootRecord) -> dict[str, object]:
    """One version, for people."""
    signed = [
        who
        for who, did in (("authorities", record.by_rule), ("recovery key", record.by_recovery))
        if did
    ]
    return {
        "version": record.version,
        "hash": ids.text(record.hash),
        "created": record.created,
        "threshold": record.threshold,
        "authorities": [ids.text(ids.node_id(key)) for key in record.authorities],
        "recovery": record.recovery is not None,
        "signed_by": signed or ["itself"],
        "issuers": [ids.text(fingerprint) for fingerprint in sorted(record.issuers)],
        "voids": [ids.text(one) for one in sorted(record.voids)],
    }


def _rule(record: RootRecord) -> str:
    return f"{record.threshold}-of-{len(record.authorities)}"
