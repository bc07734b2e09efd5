"""The SQLite file of a home: opening it, judging it, its tables and its single statements.

Everything here blocks and belongs to one thread at a time. Knows nothing of trio, of the writer's
queue, or of what a record means. `store` runs it.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from gossipnet.errors import StoreError
from gossipnet.io.disk_errors import REMEDY, cannot_be_written, explain
from gossipnet.io.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    SUM_BYTES,
    create,
    meta_sum,
    migrate,
    record_sum,
)
from gossipnet.protocol.effects import Commit, StoredRecord

_BUSY_MS = 5000


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
        self.spoilt_meta: list[str] = []
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
        """All small named values that fit their sums; the others are in `spoilt_meta`."""
        found: dict[str, bytes] = {}
        try:
            for key, stored in self._connection.execute("SELECT key, value FROM meta"):
                whole = isinstance(key, str) and isinstance(stored, bytes)
                if whole and stored[-SUM_BYTES:] == meta_sum(key, stored[:-SUM_BYTES]):
                    found[key] = stored[:-SUM_BYTES]
                else:
                    self.spoilt_meta.append(str(key))
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        return found

    def read_records(self) -> Iterator[bytes]:
        """Every record, in the order in which it was applied; raises where one is damaged."""
        for _ordinal, data in self.read_rows():
            if data is None:
                raise self._damaged()
            yield data

    def read_rows(self) -> Iterator[tuple[int, bytes | None]]:
        """Ordinal and bytes of each record in order of application; None in place of damaged ones.

        A row is damaged when it does not fit its sum, which covers its log and number too.
        """
        try:
            for ordinal, log, seq, stored in self._connection.execute(
                "SELECT ordinal, log, seq, data FROM records ORDER BY ordinal"
            ):
                yield ordinal, whole_record(log, seq, stored)
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    def set_aside(self, ordinals: Sequence[int]) -> None:
        """Take rows out of use, keeping them as they are in the table ``damaged``."""
        rows = [(ordinal,) for ordinal in ordinals]
        run = self._connection
        try:
            run.execute("BEGIN IMMEDIATE")
            run.executemany(
                "INSERT OR REPLACE INTO damaged SELECT * FROM records WHERE ordinal=?", rows
            )
            run.executemany("DELETE FROM records WHERE ordinal=?", rows)
            run.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise explain(error, self.path) from error

    def forget_replaced(self) -> int:
        """Drop the rows of ``damaged`` that have been got again; how many are left."""
        try:
            self._connection.execute(
                "DELETE FROM damaged WHERE EXISTS(SELECT 1 FROM records r "
                "WHERE r.log=damaged.log AND r.seq=damaged.seq)"
            )
            (left,) = self._connection.execute("SELECT count(*) FROM damaged").fetchone()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        return int(left)

    def examine(self) -> str:
        """What SQLite finds wrong with the structure of the file, "" for nothing."""
        try:
            (found,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.Error as error:
            return getattr(error, "sqlite_errorname", None) or str(error)
        return "" if found == "ok" else str(found).splitlines()[-1]

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

    def clear(self, log: bytes, last: int, rows: int) -> tuple[int, int]:
        """Delete up to ``rows`` records of a log, up to number ``last``.

        Returns:
          How many were deleted, and about how many pages that wrote.

        Raises:
          WriteDeferred, StoreError: As `write`.
        """
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            deleted = run(
                "DELETE FROM records WHERE ordinal IN "
                "(SELECT ordinal FROM records WHERE log=? AND seq<=? LIMIT ?)",
                (log, min(last, (1 << 63) - 1), rows),
            ).rowcount
            if deleted:
                run("PRAGMA incremental_vacuum(256)").fetchall()
            run("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise explain(error, self.path) from error
        return deleted, deleted // 8 + 4

    def chunks(self, log: bytes) -> Iterator[bytes]:
        """The records of one log in order, as far as they are whole and there is no gap."""
        try:
            yield from chunks_in(self._connection, log)
        except sqlite3.Error as error:
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
        log, seq, stored = self._connection.execute(
            "SELECT log, seq, data FROM records WHERE ordinal=?", (ordinal,)
        ).fetchone()
        data = whole_record(log, seq, stored)
        if data is None:
            raise self._damaged()
        return data

    def _damaged(self) -> StoreError:
        return StoreError(f"{self.path} is damaged (a record does not fit its sum): {REMEDY}")

    def _insert(self, records: Sequence[StoredRecord]) -> None:
        self._connection.executemany(
            "INSERT INTO records(log, seq, data) VALUES(?, ?, ?)",
            [(r.log, r.seq, r.data + record_sum(r.log, r.seq, r.data)) for r in records],
        )

    def _set_meta(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._connection.execute("DELETE FROM meta WHERE key=?", (key,))
        else:
            self._connection.execute(
                "INSERT INTO meta VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value=excluded.value",
                (key, value + meta_sum(key, value)),
            )

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:  # SQLite already did, as it does when the disk is full
                return


def chunks_in(connection: sqlite3.Connection, log: bytes) -> Iterator[bytes]:
    """See `Database.chunks`."""
    wanted = 1
    for seq, stored in connection.execute(
        "SELECT seq, data FROM records WHERE log=? ORDER BY seq", (log,)
    ):
        data = whole_record(log, seq, stored)
        if seq != wanted or data is None:
            return
        wanted += 1
        yield data


def whole_record(log: object, seq: object, stored: object) -> bytes | None:
    """A record without its sum, None if it does not fit: what the disk changed is never used.

    A flipped bit may change the type of a column as well.
    """
    if not (isinstance(log, bytes) and isinstance(seq, int) and isinstance(stored, bytes)):
        return None
    data = stored[:-SUM_BYTES]
    good = 0 <= seq < 1 << 63 and stored[-SUM_BYTES:] == record_sum(log, seq, data)
    return data if good else None


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
    # A flipped bit can turn a blob into a text that is none: its row's sum tells, not an exception.
    connection.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
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
        raise StoreError(cannot_be_written(path, f"mode {stat.S_IMODE(found.st_mode):04o}"))
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
    if not tables:
        run("PRAGMA auto_vacuum=INCREMENTAL")
    (mode,) = run("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise StoreError(f"{path} cannot use a write-ahead log here: is it on a network disk?")
    run("PRAGMA synchronous=FULL")
    run("PRAGMA wal_autocheckpoint=0")
    run("PRAGMA journal_size_limit=67108864")
    if application != APPLICATION_ID:
        run("BEGIN IMMEDIATE")
        create(connection)
        run("COMMIT")
        _sync_folder(path.parent)
    else:
        if version < SCHEMA_VERSION:
            migrate(connection, max(version, 1))
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
