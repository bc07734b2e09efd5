"""What SQLite complains of, as one sentence for a person: what is wrong, where, and what to do.

Tells apart what passes (a full disk, a lock) from what does not (a disk that failed, a damaged
file). Knows nothing of what is stored.
"""

import os
import sqlite3
from pathlib import Path

from gossipnet.errors import StoreError

REMEDY = "put a backup back, or move the file away to fetch the state from the other members"
"""What to do about a file that cannot be used."""


class WriteDeferred(StoreError):
    """The disk is full or the file locked: nothing was written, and the same may be tried again."""


def explain(error: Exception, path: Path) -> StoreError:
    """Turn SQLite's error into one sentence: what is wrong, where, and what to do.

    Result codes: https://sqlite.org/rescode.html
    """
    extended = getattr(error, "sqlite_errorcode", None) or 0
    code = extended & 0xFF
    name = getattr(error, "sqlite_errorname", None) or str(error)
    if code == sqlite3.SQLITE_FULL or _out_of_room(extended, path):
        return WriteDeferred(f"the disk of {path} is full: free some space")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such" in str(error):
        return StoreError(f"{path} is damaged ({name}): {REMEDY}")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(cannot_be_written(path, name))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return WriteDeferred(f"{path} is locked by another program: close that")
    if code == sqlite3.SQLITE_IOERR:
        return StoreError(
            f"the disk of {path} failed ({name}): nothing more was acknowledged; check the disk, "
            "then start again"
        )
    return StoreError(f"{path} cannot be used ({name}: {error})")


def cannot_be_written(path: Path, why: str) -> str:
    """The sentence about a file that refuses to be opened for writing."""
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
