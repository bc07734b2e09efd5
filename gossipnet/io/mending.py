"""A damaged database at start: what is whole is used, what is not is asked for from other members.

A record that does not fit its sum is never applied and never passed on. It is set aside (the table
``damaged`` keeps it as it was found), and with it whatever cannot be applied without it; the
version vector then says less than before, so anti-entropy brings both again. A file whose very
structure is damaged is put aside under another name, and what can still be read of it goes into a
new one. Either way this node goes on in a new log: what it had written may reach further than what
is left of it, and comes back from those who have it.

A node that knows no other member has nobody to ask. There nothing is mended: the daemon refuses to
start, and the file stays as it is.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gossipnet.errors import StoreError
from gossipnet.io.database import Database, open_database
from gossipnet.io.disk_errors import REMEDY
from gossipnet.protocol.effects import Commit, StoredRecord
from gossipnet.protocol.stored_image import IMAGE_KEY
from gossipnet.state.record import SIGNED_BYTES, read_header

BATCH_RECORDS = 1000
_MEMBER_PREFIX = "member/"
_ALONE = "this node knows no other member to ask: put a backup back"


@dataclass(slots=True)
class Damage:
    """What was found damaged at start, for ``status``.

    Attributes:
      records: Records that did not fit their sums.
      followers: Whole records that could not be used without those.
      names: Small named values that did not fit theirs.
      kept_as: Where a file is kept whose structure was damaged, or "".
      awaited: Up to which number which logs are to come again.
    """

    records: int = 0
    followers: int = 0
    names: int = 0
    kept_as: str = ""
    awaited: dict[bytes, int] = field(default_factory=dict)

    @property
    def own_log_ends(self) -> bool:
        """Whether this node must go on in a new log."""
        return bool(self.records or self.kept_as)

    def status(self, head: Callable[[bytes], int]) -> dict[str, object]:
        """For ``GOSSIP STATUS``; empty if nothing was damaged.

        Args:
          head: How far a log is here now.
        """
        if not (self.records or self.names or self.kept_as or self.awaited):
            return {}
        missing = sum(max(0, last - head(log)) for log, last in self.awaited.items())
        return {
            "damaged_records": self.records,
            "set_aside": self.records + self.followers,
            "damaged_names": self.names,
            "kept_as": self.kept_as,
            "awaited": missing,
        }


def knows_others(meta: Mapping[str, bytes], me: bytes) -> bool:
    """Whether the database knows any member but this node."""
    own = _MEMBER_PREFIX + me.hex()
    return any(name.startswith(_MEMBER_PREFIX) and name != own for name in meta)


def rebuild_damaged(database: Database, meta: Mapping[str, bytes], why: str, me: bytes) -> Damage:
    """Put a file with a damaged structure aside and make a new one of what can be read.

    ``database`` is closed; the new file stands under its name when this returns.

    Args:
      database: Open.
      meta: What was read of its named values.
      why: What `Database.examine` said.
      me: This node's id.

    Raises:
      StoreError: There is nobody to ask for the rest, or the disk will not do.
    """
    path = database.path
    if IMAGE_KEY in meta:
        raise StoreError(f"{path} is damaged ({why}): {REMEDY}")
    if not knows_others(meta, me):
        raise StoreError(f"{path} is damaged ({why}), and {_ALONE}")
    beside = path.with_name(f"{path.name}.mending")
    for leftover in (beside, Path(f"{beside}-wal"), Path(f"{beside}-shm")):
        leftover.unlink(missing_ok=True)
    fresh = open_database(beside)
    try:
        fresh.write([Commit(0, (), tuple(meta.items()), urgent=True)])
        _copy(database, fresh)
    finally:
        fresh.close()
    with contextlib.suppress(StoreError):  # the damage may be in what closing has to write
        database.close()
    kept = _free_name(path)
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{kept}{suffix}")
    beside.rename(path)
    return Damage(kept_as=str(kept))


def _copy(database: Database, fresh: Database) -> None:
    """What can be read, in order, up to the first page that cannot."""
    batch: list[StoredRecord] = []
    with contextlib.suppress(StoreError):
        for _ordinal, data in database.read_rows():
            if data is None or len(data) < SIGNED_BYTES:
                continue
            header = read_header(data)
            batch.append(StoredRecord(header.log, header.seq, data))
            if len(batch) == BATCH_RECORDS:
                fresh.write([Commit(0, tuple(batch), (), urgent=True)])
                batch = []
    if batch:
        fresh.write([Commit(0, tuple(batch), (), urgent=True)])


def _free_name(path: Path) -> Path:
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return kept


def load_records(
    database: Database, load: Callable[[bytes], None], damage: Damage, *, may_ask: bool
) -> None:
    """Give every whole record to ``load``, in order, and set aside what is not, noting it.

    Args:
      database: Open.
      load: Applies a record; raises `StoreError` if it does not fit in.
      damage: What was found so far; what is found here is added.
      may_ask: Whether there are others who may have what is damaged.

    Raises:
      StoreError: Something is damaged and there is nobody to ask, or damage was done on purpose.
    """
    broken: list[int] = []
    followers: list[int] = []
    for ordinal, data in database.read_rows():
        if data is None:
            broken.append(ordinal)
            continue
        try:
            load(data)
        except StoreError:
            if not broken and not damage.own_log_ends:
                raise
            followers.append(ordinal)
            header = read_header(data)
            damage.awaited[header.log] = max(header.seq, damage.awaited.get(header.log, 0))
    if (broken or followers) and not may_ask:
        raise StoreError(
            f"{database.path} is damaged ({len(broken)} records do not fit their sums), and "
            f"{_ALONE}; `gossipnet verify` tells which they are"
        )
    damage.records += len(broken)
    damage.followers += len(followers)
    if broken or followers:
        database.set_aside([*broken, *followers])
    database.forget_replaced()
