"""The SQLite file of a home: opening it, judging it, its tables and its single statements.

Everything here blocks and belongs to one thread at a time. Knows nothing of trio, of the writer's
queue, or of what a record means. `store` runs it.
"""

import hashlib
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from gossipnet.errors import StoreError
from gossipnet.protocol.effects import Commit, StoredRecord

APPLICATION_ID = 0x474E5331
"""Marks the file as ours: ``GNS1``."""
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE records(
  ordinal INTEGER PRIMARY KEY,
  log BLOB NOT NULL,
  seq INTEGER NOT NULL,
  data BLOB NOT NULL,
  UNIQUE(log, seq));
CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_BUSY_MS = 5000
_SUM_BYTES = 8


class WriteDeferred(StoreError):
    """The disk is full or the file locked: nothing was written, and the same may be tried again."""


class Database:
    """One open ``state.db``: WAL mode, no automatic checkpoints.

    SQLite's own automatic checkpoint swallows errors. A failed fsync must be seen once and never
    be retried (the kernel forgets the lost pages), so checkpoints are explicit calls here.

    Raises:
      StoreError: From every method, with one sentence about what is wrong and what to do.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, created: bool) -> None:
        self.path = path
        self.created = created
        self._connection = connection

    def close(self) -> None:
        """Close the file; the last connection moves the WAL into it."""
        try:
            self._connection.close()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def set_synchronous(self, level: str) -> None:
        """``FULL``: an fsync ends each commit. ``NORMAL``: only checkpoints sync."""
        assert level in ("FULL", "NORMAL")
        self._connection.execute(f"PRAGMA synchronous={level}")

    def read_meta(self) -> dict[str, bytes]:
        """All small named values."""
        try:
            return dict(self._connection.execute("SELECT key, value FROM meta"))
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def read_records(self) -> Iterator[bytes]:
        """Every record, in the order in which it was applied."""
        try:
            for (data,) in self._connection.execute("SELECT data FROM records ORDER BY ordinal"):
                yield self._summed(data)
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def write(self, commits: Sequence[Commit]) -> None:
        """Put all of them into one transaction.

        Raises:
          WriteDeferred: Not now; nothing was written.
          StoreError: The disk failed or the file is damaged. Do not try again.
        """
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            for commit in commits:
                self._insert(commit.records)
                for key, value in commit.meta:
                    self._set_meta(key, value)
            run("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise explain(error, self.path) from error

    def checkpoint(self) -> None:
        """Move the WAL into the file and fsync both.

        Raises:
          WriteDeferred: Not now; the WAL still holds everything.
          StoreError: The disk failed.
        """
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def first_ordinal(self, log: bytes, first: int, last: int, position: int) -> int | None:
        """Where the first record of this range at or after ``position`` stands.

        A log is applied in order, so its ordinals rise with its sequence numbers and a binary
        search finds the place without walking what was read before.
        """
        found = None
        middle = first
        while first <= last:
            row = self._connection.execute(
                "SELECT seq, ordinal FROM records WHERE log=? AND seq BETWEEN ? AND ? "
                "ORDER BY seq LIMIT 1",
                (log, middle, last),
            ).fetchone()
            if row is None:
                last = middle - 1
            elif row[1] >= position:
                found = int(row[1])
                last = middle - 1
            else:
                first = row[0] + 1
            middle = (first + last) // 2
        return found

    def scan(self, position: int) -> sqlite3.Cursor:
        """Rows (ordinal, log, seq) from ``position`` on, in the order of application."""
        return self._connection.execute(
            "SELECT ordinal, log, seq FROM records WHERE ordinal>=? ORDER BY ordinal", (position,)
        )

    def data(self, ordinal: int) -> bytes:
        """One record's bytes."""
        row = self._connection.execute(
            "SELECT data FROM records WHERE ordinal=?", (ordinal,)
        ).fetchone()
        return self._summed(row[0])

    def _summed(self, stored: bytes) -> bytes:
        """A record without its sum, which must fit: what the disk changed is never passed on."""
        data = stored[:-_SUM_BYTES]
        if stored[-_SUM_BYTES:] != _sum(data):
            raise StoreError(
                f"{self.path} is damaged (a record does not fit its sum): put a backup back, or "
                "move the file away to fetch the state from the other members"
            )
        return data

    def _insert(self, records: Sequence[StoredRecord]) -> None:
        self._connection.executemany(
            "INSERT INTO records(log, seq, data) VALUES(?, ?, ?)",
            [(record.log, record.seq, record.data + _sum(record.data)) for record in records],
        )

    def _set_meta(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._connection.execute("DELETE FROM meta WHERE key=?", (key,))
        else:
            self._connection.execute(
                "INSERT INTO meta VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value=excluded.value",
                (key, value),
            )

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:  # SQLite already did, as it does when the disk is full
                return


def _sum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_SUM_BYTES).digest()


def open_database(path: Path, *, had_data: bool = False) -> Database:
    """Open ``path``, creating it if there is none, and check that it is ours.

    Records are not checked here: their hash chain is, when they are applied.

    Args:
      path: Usually ``HOME/state.db``.
      had_data: The home has held data before: an empty file is then damage, not a new home.

    Raises:
      StoreError: Wrong owner or mode, corrupt, of another program, newer, or not writable.
    """
    created = _check_file(path, had_data)
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000
        )
    except sqlite3.Error as error:
        raise explain(error, path) from error
    try:
        _prepare(connection, path, created)
    except sqlite3.Error as error:
        connection.close()
        raise explain(error, path) from error
    except BaseException:
        connection.close()
        raise
    return Database(path, connection, created=created)


def _check_file(path: Path, had_data: bool) -> bool:
    """Whether the file is new (or empty as a crash during creation leaves it)."""
    try:
        # Nobody but the owner may ever read it, also not between creation and a chmod.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return True
    except FileExistsError:
        found = os.stat(path)
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is not a file: move it away")
    if found.st_uid != os.geteuid():
        raise StoreError(
            f"{path} belongs to user {found.st_uid}, not to you ({os.geteuid()}): "
            "run as that user, or change the owner"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise StoreError(
            f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):04o}): "
            f"run `chmod 600 {path}`"
        )
    # SQLite would open it for reading only, and say so at the first write.
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise StoreError(_cannot_be_written(path, f"mode {stat.S_IMODE(found.st_mode):04o}"))
    if found.st_size == 0 and not path.with_name(path.name + "-wal").exists():
        if had_data:
            raise StoreError(
                f"{path} is empty though it held data: put a backup back, or remove it to fetch "
                "the state from the other members"
            )
        return True
    return False


def _prepare(connection: sqlite3.Connection, path: Path, created: bool) -> None:
    run = connection.execute
    run("PRAGMA trusted_schema=OFF")
    (application,) = run("PRAGMA application_id").fetchone()
    (version,) = run("PRAGMA user_version").fetchone()
    (tables,) = run("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (tables or not created):
        raise StoreError(f"{path} is the database of another program: move it away")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has format {version}, and this gossipnet knows formats up to "
            f"{SCHEMA_VERSION}: install the newer gossipnet again"
        )
    (mode,) = run("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"{path} cannot use a write-ahead log here: is it on a network disk?")
    run("PRAGMA synchronous=FULL")
    run("PRAGMA wal_autocheckpoint=0")
    run("PRAGMA journal_size_limit=67108864")
    if application != APPLICATION_ID:
        run("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                run(statement)
        run(f"PRAGMA application_id={APPLICATION_ID}")
        run(f"PRAGMA user_version={SCHEMA_VERSION}")
        run("COMMIT")
        _sync_folder(path.parent)
    else:
        # A schema that lost a table is found here and not at the first write.
        run("SELECT ordinal, log, seq, data FROM records LIMIT 1").fetchone()
        run("SELECT key, value FROM meta LIMIT 1").fetchone()
        run("BEGIN IMMEDIATE")  # a file that is locked must say so now
        run("ROLLBACK")


def _sync_folder(folder: Path) -> None:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise StoreError(
            f"the disk of {folder} failed ({error.strerror}): check the disk, then start again"
        ) from error


def explain(error: sqlite3.Error, path: Path) -> StoreError:
    """Turn SQLite's error into one sentence: what is wrong, where, and what to do.

    Result codes: https://sqlite.org/rescode.html
    """
    extended = getattr(error, "sqlite_errorcode", None) or 0
    code = extended & 0xFF
    name = getattr(error, "sqlite_errorname", None) or str(error)
    if code == sqlite3.SQLITE_FULL or _out_of_room(extended, path):
        return WriteDeferred(f"the disk of {path} is full: free some space")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such" in str(error):
        return StoreError(
            f"{path} is damaged ({name}): put a backup back, or move the file away to fetch the "
            "state from the other members"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(_cannot_be_written(path, name))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return WriteDeferred(f"{path} is locked by another program: close that")
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(
            f"the disk of {path} failed ({name}): nothing more was acknowledged; check the disk, "
            "then start again"
        )
    return StoreError(f"{path} cannot be used ({name}: {error})")


def _cannot_be_written(path: Path, why: str) -> str:
    return (
        f"{path} cannot be written ({why}): check the owner and mode of the file and its folder, "
        "and that the disk is not mounted read-only"
    )


def _out_of_room(extended: int, path: Path) -> bool:
    """Whether an I/O error on growing a file was in truth a full disk."""
    if extended not in (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE):
        return False
    try:
        room = os.statvfs(path)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < 1 << 16
