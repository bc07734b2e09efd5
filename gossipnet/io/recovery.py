"""Opening a home: may this node go on with its log, or must it begin a new one?

A log that goes on from an older state than others have seen would sign two different records with
one number: a fork, which looks like fraud. So a new epoch (a new, empty log of the same author) is
opened whenever the database may be behind what this node has already sent. Under ``always`` a
record leaves the node only after its fsync, hence neither kill -9 nor a power failure puts the
database behind. What does:

- an unclean stop under ``every-second`` followed by another boot (or by nobody knows which): up to
  a second of sent records may be gone;
- a home that was copied or put back: the marker in the table ``meta`` names the real path, device
  and inode of ``state.db`` and the machine that wrote it, and they do not fit what is found now.
  Device numbers are compared within one boot only, for they may change over a reboot;
- a database put back alone: ``daemon.lock`` remembers how often the database was opened, and the
  database says fewer.

What no marker can see (a disk snapshot rolled back as a whole) is left to the engine: when a
record arrives that this node signed and does not have, it opens a new epoch itself and commits
``epoch`` (4 bytes, big-endian).

The marker is rewritten, with an fsync, before anything is signed; ``clean`` is false in it until
`Store.stop` writes the final one. Reason words: ``first``, ``power-loss``, ``moved``, ``copied``,
``other-machine``, ``restored``, ``damaged``. Knows nothing of records, and of the engine only
``epoch``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gossipnet.errors import StoreError
from gossipnet.io import host_marks
from gossipnet.io.database import Database, open_database
from gossipnet.io.lock import HomeLock
from gossipnet.io.mending import Damage, rebuild_damaged
from gossipnet.protocol.effects import Commit

EPOCH_KEY = "epoch"
MARKER_KEY = "io.marker"
RESTORED_KEY = "io.restored"
"""Set by ``gossipnet restore`` in the database it puts back."""
STATE_FILE = "state.db"


class Marker(msgspec.Struct, frozen=True, array_like=True):
    """Where and how the database was last used."""

    path: str
    device: int
    inode: int
    machine: str
    boot: str
    durability: str
    opens: int
    clean: bool

    def encode(self) -> bytes:
        """The bytes stored under `MARKER_KEY`."""
        return msgspec.msgpack.encode(self)

    def stopped(self) -> "Marker":
        """The same, for the last commit of a clean stop."""
        return msgspec.structs.replace(self, clean=True)


@dataclass(frozen=True, slots=True)
class Recovered:
    """An opened home.

    Attributes:
      database: Open; its records are not read yet.
      meta: Every small named value in it, `EPOCH_KEY` included.
      epoch: The log to write, u32.
      new_epoch: Why the epoch is new, or "" when it was kept.
      marker: What was written as this run's marker.
      damage: What was damaged.
    """

    database: Database
    meta: dict[str, bytes]
    epoch: int
    new_epoch: str
    marker: Marker
    damage: Damage


def open_home_database(
    home: Path,
    lock: HomeLock,
    durability: str,
    entropy: Callable[[int], bytes],
    me: bytes = b"",
) -> Recovered:
    """Open ``home``'s database, decide the epoch, and mark the database as in use.

    Args:
      home: The home folder.
      lock: Its lock, held by this process.
      durability: ``always`` or ``every-second``, for this run.
      entropy: Gives that many random bytes.
      me: This node's id.

    Raises:
      StoreError: See `open_database`; also when the disk is full.
    """
    path = home / STATE_FILE
    database = open_database(path, had_data=lock.opens > 0)
    try:
        meta = database.read_meta()
        damage = Damage()
        why = "" if database.created else database.examine()
        if why:
            damage = rebuild_damaged(database, meta, why, me)
            database = open_database(path)
        damage.names = len(database.spoilt_meta)
        before = _decode(meta.get(MARKER_KEY), path)
        marker = _current(path, durability, max(lock.opens, before.opens if before else 0) + 1)
        if damage.own_log_ends:
            reason = "damaged"
        elif RESTORED_KEY in meta:
            reason = "restored"
        else:
            reason = why_new_epoch(before, marker, lock.opens) if EPOCH_KEY in meta else "first"
        epoch = _new_epoch(meta, entropy) if reason else int.from_bytes(meta[EPOCH_KEY], "big")
        changed = {EPOCH_KEY: epoch.to_bytes(4, "big"), MARKER_KEY: marker.encode()}
        removed = dict.fromkeys([RESTORED_KEY, *database.spoilt_meta])
        # open_database leaves synchronous=FULL: this is on disk before anything is signed.
        database.write([Commit(0, (), (*removed.items(), *changed.items()), urgent=True)])
        lock.write(marker.opens)
    except BaseException:
        database.close()
        raise
    return Recovered(database, meta | changed, epoch, reason, marker, damage)


def why_new_epoch(before: Marker | None, now: Marker, opens_noted: int) -> str:
    """The reason word for a new epoch, or "" when the log may go on.

    Args:
      before: The marker found, None if there is none.
      now: What the marker would be now.
      opens_noted: How often the database was opened according to ``daemon.lock``.
    """
    if before is None:
        return "first"
    same_boot = bool(now.boot) and before.boot == now.boot
    if not before.clean and before.durability == "every-second" and not same_boot:
        return "power-loss"
    if before.machine != now.machine and before.machine and now.machine:
        return "other-machine"
    if before.path != now.path:
        return "moved"
    if before.inode != now.inode or (same_boot and before.device != now.device):
        return "copied"
    if before.opens < opens_noted:
        return "restored"
    return ""


def _current(path: Path, durability: str, opens: int) -> Marker:
    real = path.resolve()
    found = real.stat()
    return Marker(
        path=str(real),
        device=found.st_dev,
        inode=found.st_ino,
        machine=host_marks.machine_id(),
        boot=host_marks.boot_id(),
        durability=durability,
        opens=opens,
        clean=False,
    )


def _decode(data: bytes | None, path: Path) -> Marker | None:
    if data is None:
        return None
    try:
        return msgspec.msgpack.decode(data, type=Marker)
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"{path} is damaged (its marker cannot be read): put a backup back, or move the file "
            "away to fetch the state from the other members"
        ) from error


def _new_epoch(meta: Mapping[str, bytes], entropy: Callable[[int], bytes]) -> int:
    """A random u32; random, because a restored home has forgotten which ones it used."""
    while True:
        epoch = int.from_bytes(entropy(4), "big")
        if epoch.to_bytes(4, "big") != meta.get(EPOCH_KEY):
            return epoch
