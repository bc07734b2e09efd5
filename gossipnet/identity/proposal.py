"""A next version of the root on its way from one key holder to the next, until enough have signed.

It is written as a text file: a line that says what it is, then base32. Whoever signs checks it
against the root that he knows himself, so that a file that was changed on the way convinces nobody.
Knows nothing of where keys and files are.
"""

from collections.abc import Iterable

import msgspec

from gossipnet.errors import BadSignature, CertificateError, IdentityError
from gossipnet.identity.armour import unwrap, wrap
from gossipnet.identity.envelope import seal
from gossipnet.identity.root import (
    MAX_ROOT_BYTES,
    OLD_AUTHORITY,
    OLD_RECOVERY,
    VERSIONS_MAX,
    RootRecord,
    decode_root,
    later_body,
    read_body,
)
from gossipnet.identity.signing import Domain, SecretKey, sign, verify
from gossipnet.identity.trust import MAX_TRUST_BYTES, Trust

TITLE = "root proposal"
MAX_FILE_BYTES = 2 * MAX_ROOT_BYTES + 256


class Proposal:
    """A version of the root that is not complete yet.

    Args:
      before: The version that it follows.
      body: The bytes to be signed.

    Attributes:
      signatures: By number of the signer, as in the record to be.

    Raises:
      IdentityError: It does not follow that version.
    """

    def __init__(self, before: RootRecord, body: bytes) -> None:
        try:
            fields = read_body(body)
        except CertificateError as error:
            raise IdentityError(f"this is no next version of the root: {error}") from None
        if fields.previous != before.hash or fields.version != before.version + 1:
            raise IdentityError(
                f"the proposal is for version {fields.version} of a root, and does not follow "
                f"version {before.version}, the newest one here: `gossipnet root import` what is "
                "newer, or make a new proposal"
            )
        self.before = before
        self.body = body
        self.version = fields.version
        self.threshold = fields.threshold
        self.authorities = fields.authorities
        self.recovery = fields.recovery
        self.issuers = frozenset(getattr(fields, "issuers", ()))
        self.voids = frozenset(getattr(fields, "voids", ()))
        self.signatures: dict[int, bytes] = {}

    # -- signing -------------------------------------------------------------------------------

    def sign(self, keys: Iterable[SecretKey]) -> int:
        """Add what these keys can sign; how many signatures are new."""
        added = 0
        for key in keys:
            signature = sign(key, Domain.ROOT, self.before.mesh_id, self.body)
            for number in self._places_of(key.public_key):
                if number not in self.signatures:
                    self.signatures[number] = signature
                    added += 1
        return added

    def _places_of(self, public_key: bytes) -> list[int]:
        return [number for number, key in self._signers().items() if key == public_key]

    def _signers(self) -> dict[int, bytes]:
        signers = dict(enumerate(self.authorities))
        signers |= {OLD_AUTHORITY + n: key for n, key in enumerate(self.before.authorities)}
        if self.before.recovery is not None:
            signers[OLD_RECOVERY] = self.before.recovery
        return signers

    def _held(self) -> tuple[list[int], list[int], bool]:
        new = sorted(n for n in self.signatures if n < OLD_AUTHORITY)
        old = sorted(n for n in self.signatures if OLD_AUTHORITY <= n < OLD_RECOVERY)
        return new, old, OLD_RECOVERY in self.signatures

    def missing(self) -> list[str]:
        """What still has to be signed, for people; empty when it is complete."""
        new, old, recovery = self._held()
        found: list[str] = []
        if len(new) < self.threshold:
            found.append(f"{self.threshold - len(new)} more of the new authority keys")
        replaces = self.before.recovery not in (None, self.recovery)
        if replaces and not recovery:
            found.append("the recovery key, for it is to be replaced")
        lacking = self.before.threshold - len(old)
        if lacking > 0 and not recovery:
            either = "" if self.before.recovery is None or replaces else ", or the recovery key"
            found.append(f"{lacking} more of the present authority keys{either}")
        return found

    def finish(self, trust: Trust) -> bytes:
        """The complete record.

        Raises:
          IdentityError: Signatures are missing, or it does not hold.
        """
        missing = self.missing()
        if missing:
            raise IdentityError(f"not enough have signed: wanted is {' and '.join(missing)}")
        new, old, recovery = self._held()
        chosen = new[: self.threshold]
        if len(old) >= self.before.threshold:
            chosen += old[: self.before.threshold]
        if recovery:
            chosen.append(OLD_RECOVERY)
        data = seal([(number, self.signatures[number]) for number in chosen], self.body)
        size = sum(len(record.data) for record in trust.roots.chain) + len(data)
        if size > MAX_TRUST_BYTES - 64:
            raise IdentityError("the versions of this root have become too long for newcomers")
        try:
            decode_root(data, self.before)
        except CertificateError as error:
            raise IdentityError(f"the next version of the root does not hold: {error}") from None
        return data

    # -- on paper ------------------------------------------------------------------------------

    def encode(self) -> str:
        """The text of a file."""
        return wrap(TITLE, msgspec.msgpack.encode((self.body, sorted(self.signatures.items()))))

    @classmethod
    def decode(cls, text: str, trust: Trust) -> "Proposal":
        """Read what `encode` wrote; signatures that are not good are refused.

        Raises:
          IdentityError: It is something else, damaged, or for another version or mesh.
        """
        body, signatures = _read(text)
        known = {record.hash: record for record in trust.roots.every()}
        try:
            previous = read_body(body).previous
        except CertificateError as error:
            raise IdentityError(f"this is no next version of the root: {error}") from None
        before = known.get(previous or b"", trust.root)
        proposal = cls(before, body)
        signers = proposal._signers()
        for number, signature in signatures:
            if number not in signers:
                raise IdentityError("the proposal was signed by a key that has no say in it")
            try:
                verify(signers[number], Domain.ROOT, before.mesh_id, body, signature)
            except BadSignature:
                raise IdentityError("a signature of the proposal is not good") from None
            proposal.signatures[number] = signature
        return proposal


def propose(
    trust: Trust,
    *,
    created: float,
    threshold: int,
    authorities: Iterable[bytes],
    recovery: bytes | None,
    issuers: frozenset[bytes],
    voids: frozenset[bytes] = frozenset(),
) -> Proposal:
    """A next version of the newest root; the fields are `RootRecord`'s.

    Raises:
      IdentityError: Nobody would take it.
    """
    before = trust.root
    if before.version >= VERSIONS_MAX:
        raise IdentityError(f"a root has {VERSIONS_MAX} versions at most")
    try:
        body = later_body(
            before,
            created=int(created),
            threshold=threshold,
            authorities=tuple(authorities),
            recovery=recovery,
            issuers=issuers,
            voids=voids,
        )
        return Proposal(before, body)
    except (CertificateError, msgspec.MsgspecError) as error:
        raise IdentityError(f"nobody would take this root: {error}") from None


def _read(text: str) -> tuple[bytes, list[tuple[int, bytes]]]:
    packed = unwrap(TITLE, text, MAX_FILE_BYTES)
    try:
        return msgspec.msgpack.decode(packed, type=tuple[bytes, list[tuple[int, bytes]]])
    except (ValueError, msgspec.MsgspecError):
        raise IdentityError(f"this is no whole {TITLE}: have it sent anew") from None
