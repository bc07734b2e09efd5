"""All revocations that a node knows: what they amount to, whatever order they came in.

The set only grows. Of several cuts of one log the lowest counts. Only a new root version takes a
statement's effect away. Knows nothing of links, files or records.
"""

from collections.abc import Iterable, Iterator, Mapping

from gossipnet.identity.revocation import KEPT_BYTES, Revocation
from gossipnet.identity.trust import Step, Trust
from gossipnet.ids import LogId, NodeId

REVOCATIONS_MAX = 16_384
"""As many as certificates are ever issued for one mesh."""
PER_SIGNER_MAX = 4096
TOTAL_BYTES = 32 << 20

NEVER = 1 << 41
"""Above every sequence number: no record of the log is void."""


class Revocations:
    """The grow-only set.

    Args:
      trust: The mesh; its newest root may take effect away from statements.
    """

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self._all: dict[bytes, Revocation] = {}
        self._by_node: dict[NodeId, list[Revocation]] = {}
        self._by_certificate: dict[bytes, list[Revocation]] = {}
        self._by_signer: dict[NodeId, int] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Revocation]:
        return iter(list(self._all.values()))

    def __contains__(self, revocation_id: object) -> bool:
        return revocation_id in self._all

    def room_for(self, revocation: Revocation) -> bool:
        """Whether `add` would take it.

        Beyond the bounds nodes may differ in what they hold. Only who may revoke anybody can bring
        that about, and a new root version ends it.
        """
        return (
            len(self._all) < REVOCATIONS_MAX
            and self._by_signer.get(revocation.signer, 0) < PER_SIGNER_MAX
            and self._bytes + len(revocation.data) <= TOTAL_BYTES
        )

    def add(self, revocation: Revocation) -> bool:
        """Take in a verified statement; False if it is here already or there is no room."""
        if revocation.id in self._all or not self.room_for(revocation):
            return False
        self._all[revocation.id] = revocation
        self._bytes += len(revocation.data)
        self._by_signer[revocation.signer] = self._by_signer.get(revocation.signer, 0) + 1
        if revocation.node is not None:
            self._by_node.setdefault(revocation.node, []).append(revocation)
        elif revocation.certificate is not None:
            self._by_certificate.setdefault(revocation.certificate, []).append(revocation)
        return True

    def in_force(self, revocation: Revocation) -> bool:
        """Whether no root version has voided it, or its signer's statements as a whole."""
        voided = self.trust.root.voids
        return revocation.id not in voided and revocation.signer not in voided

    def against(self, node: NodeId, chain: Iterable[bytes]) -> list[Revocation]:
        """What strikes a node that shows this (verified) certificate chain; empty if nothing."""
        found = [r for r in self._by_node.get(node, ()) if self.in_force(r)]
        if self._by_certificate:
            found += [r for step in self.trust.steps(chain) for r in self._striking(step)]
        return found

    def strikes(self, node: NodeId, chain: Iterable[bytes]) -> bool:
        """Whether a node that shows this chain does not count, for whatever reason."""
        held = tuple(chain)
        if not self._all and self.trust.root_version == 1:
            return False  # nothing was ever taken back
        return bool(self.against(node, held)) or any(
            self.trust.withdrawn(fingerprint) for fingerprint, _below in self.trust.steps(held[-1:])
        )

    def void_from(self, log: LogId, author: NodeId, steps: Mapping[Step, int]) -> int:
        """The first sequence number of a log that is void, or `NEVER`.

        Args:
          log: Which one.
          author: Who writes it.
          steps: Every step of every certificate chain that the log holds, with the sequence number
            of the record that brought it first.
        """
        first = NEVER
        for revocation in self._by_node.get(author, ()):
            if self.in_force(revocation):
                first = min(first, revocation.cut.get(log, 0) + 1)
        for step, since in steps.items():
            if self.trust.withdrawn(step[0]):
                first = min(first, since)
            for revocation in self._striking(step):
                first = min(first, max(since, revocation.cut.get(log, 0) + 1))
        return first

    def _striking(self, step: Step) -> list[Revocation]:
        fingerprint, below = step
        return [
            revocation
            for revocation in self._by_certificate.get(fingerprint, ())
            if below[:KEPT_BYTES] not in revocation.kept and self.in_force(revocation)
        ]
