"""Writes files in formats that gossipnet no longer writes: what upgrades are tested with.

Frozen: what was once on people's disks does not change with the program. A new format gets a new
function here, made of the code that wrote it.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path


def write_1(
    path: Path, records: Iterable[tuple[bytes, int, bytes]], meta: dict[str, bytes]
) -> None:
    """Format 1: sums over a record's bytes alone, none over named values."""
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None)
    run = connection.execute
    run("PRAGMA journal_mode=WAL")
    run("BEGIN IMMEDIATE")
    run(
        "CREATE TABLE records(ordinal INTEGER PRIMARY KEY, log BLOB NOT NULL, "
        "seq INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE(log, seq))"
    )
    run("CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
    for log, seq, data in records:
        stored = data + hashlib.blake2b(data, digest_size=8).digest()
        run("INSERT INTO records(log, seq, data) VALUES(?, ?, ?)", (log, seq, stored))
    for key, value in meta.items():
        run("INSERT INTO meta VALUES(?, ?)", (key, value))
    run(f"PRAGMA application_id={0x474E5331}")
    run("PRAGMA user_version=1")
    run("COMMIT")
    connection.close()


def write_1_from(path: Path, now: Path) -> None:
    """Write a whole home's database as format 1 would have held it."""
    source = sqlite3.connect(now)
    records = source.execute("SELECT log, seq, data FROM records ORDER BY ordinal").fetchall()
    meta = source.execute("SELECT key, value FROM meta").fetchall()
    source.close()
    write_1(
        path,
        [(log, seq, stored[:-8]) for log, seq, stored in records],
        {key: stored[:-8] for key, stored in meta},
    )
