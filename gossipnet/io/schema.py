"""The format of ``state.db``: its tables, the sums over its rows, the way up from older formats.

`MIGRATIONS` is the history as data: one step leads from each format to the next, all steps a file
needs run in one transaction, so that a crash on the way leaves the old file whole. A newer format
than `SCHEMA_VERSION` is refused elsewhere, never guessed at. Knows nothing of what a record means.
"""

import hashlib
import sqlite3
from collections.abc import Callable

APPLICATION_ID = 0x474E5331
"""Marks the file as ours: ``GNS1``."""
SCHEMA_VERSION = 2
SUM_BYTES = 8

SCHEMA = (
    "CREATE TABLE records(ordinal INTEGER PRIMARY KEY, log BLOB NOT NULL, seq INTEGER NOT NULL, "
    "data BLOB NOT NULL, UNIQUE(log, seq))",
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE damaged(ordinal INTEGER PRIMARY KEY, log BLOB, seq INTEGER, data BLOB)",
)
"""Rows of ``records`` and ``meta`` end in a sum over all that the row says. ``damaged`` keeps rows
that did not fit theirs, or that could not be used for want of such a one, as they were found."""


def record_sum(log: bytes, seq: int, data: bytes) -> bytes:
    """What a record's row ends in: BLAKE2b over its log, its number and its bytes."""
    return _sum(log + seq.to_bytes(8, "big") + data)


def meta_sum(key: str, value: bytes) -> bytes:
    """What a named value ends in."""
    return _sum(key.encode() + b"\0" + value)


def _sum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=SUM_BYTES).digest()


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of a new file, inside the caller's transaction."""
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file of format ``version`` up to the present one, in one transaction of its own."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in range(version, SCHEMA_VERSION):
            MIGRATIONS[step](connection)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _from_1(connection: sqlite3.Connection) -> None:
    """Sums cover a row's log and number too, and named values have sums; ``damaged`` is new."""
    connection.create_function("resum", 3, _resum_1, deterministic=True)
    connection.create_function("sum_meta", 2, lambda k, v: v + meta_sum(k, v), deterministic=True)
    connection.execute(
        "UPDATE records SET data=resum(log, seq, data) WHERE typeof(log)='blob' "
        "AND typeof(seq)='integer' AND seq>=0 AND typeof(data)='blob'"
    )
    connection.execute("UPDATE meta SET value=sum_meta(key, value) WHERE typeof(value)='blob'")
    connection.execute(SCHEMA[2])


def _resum_1(log: bytes, seq: int, stored: bytes) -> bytes:
    data, old = stored[:-SUM_BYTES], stored[-SUM_BYTES:]
    if old != _sum(data):
        return stored  # damaged before: under a good sum nobody would ever notice again
    return data + record_sum(log, seq, data)


MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _from_1}
"""By the format they lead away from."""
