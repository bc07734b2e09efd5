"""All root records that a node knows of its mesh, and which row of them counts.

Usually there is one row. Two versions can follow the same one if keys were stolen, or two people
rotated at once; then every node must choose alike, whatever it saw first, and a thief must not gain
by it. Rows are compared where they part. The one counts that more of the keys stand behind which
held there: authorities, signing without a break, *and* the recovery key; else the recovery key;
else the authorities. So a thief of authority keys loses to the recovery key, and a thief of a
recovery key that has been replaced loses to the row in which it signed its own replacement. What is
left is decided by the lower hash.
"""

from gossipnet.errors import BadSignature, CertificateError
from gossipnet.identity.root import RootRecord, decode_root, place_of

RECORDS_MAX = 256
"""Of all rows; beyond it only who holds a mesh's root keys can get."""


class Roots:
    """A tree of root records that grows from the first one.

    Attributes:
      chain: The row that counts, the first version first.
    """

    def __init__(self, first: RootRecord) -> None:
        self.chain: tuple[RootRecord, ...] = (first,)
        self._records: dict[bytes, RootRecord] = {first.hash: first}
        self._after: dict[bytes, list[RootRecord]] = {}

    @property
    def newest(self) -> RootRecord:
        """The version that counts."""
        return self.chain[-1]

    def __contains__(self, digest: object) -> bool:
        return digest in self._records

    def every(self) -> list[RootRecord]:
        """Every version of every row."""
        return list(self._records.values())

    def add(self, data: bytes) -> RootRecord | None:
        """Take in a version; None if the one before it is not known, or there are too many.

        Raises:
          CertificateError: It does not hold.
        """
        _version, previous = place_of(data)
        before = None if previous is None else self._records.get(previous)
        if before is None:
            return None
        try:
            record = decode_root(data, before)
        except BadSignature:
            raise CertificateError("bad-signature", "root record") from None
        known = self._records.get(record.hash)
        if known is not None:
            return known
        if len(self._records) >= RECORDS_MAX:
            return None
        self._records[record.hash] = record
        self._after.setdefault(before.hash, []).append(record)
        first = self.chain[0]
        self.chain = (first, *self._best_after(first))
        return record

    def _best_after(self, record: RootRecord) -> list[RootRecord]:
        rows = [[after, *self._best_after(after)] for after in self._after.get(record.hash, ())]
        if not rows:
            return []
        return min(rows, key=lambda row: (-_backing(row, record), row[0].hash))


def _backing(row: list[RootRecord], before: RootRecord) -> int:
    """How many of the powers that held before a row stand behind it; see the module."""
    unbroken, recovered = True, False
    key = before.recovery
    for record in row:
        unbroken = unbroken and record.by_rule
        if record.by_recovery and before.recovery == key and key is not None:
            recovered = True
            if unbroken:
                return 2
        before = record
    return 1 if recovered else 0
