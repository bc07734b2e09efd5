"""Looking at a database without changing it, and copying it while somebody else writes to it.

SQLite's readers see one state of a write-ahead-logged file however long they take, and writers do
not wait for them (https://sqlite.org/isolation.html). Knows nothing of what is stored.
"""

import contextlib
import fcntl
import os
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

from gossipnet.errors import StoreError
from gossipnet.io.disk_errors import explain
from gossipnet.io.lock import LOCK_FILE
from gossipnet.io.schema import APPLICATION_ID, SCHEMA_VERSION

PAGES_PER_STEP = 1024

Progress = Callable[[int, int], None]
"""Called with what is done and what there is, in bytes."""


@contextlib.contextmanager
def at_rest(home: Path) -> Iterator[bool]:
    """Whether no daemon runs on ``home``; if so, none starts while the block lasts."""
    try:
        fd = os.open(home / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # a backup, or a home that never ran
        yield True
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


@contextlib.contextmanager
def reading(path: Path, *, resting: bool) -> Iterator[sqlite3.Connection]:
    """A connection that sees one state of the file and cannot change it.

    Args:
      path: A ``state.db``.
      resting: Nobody else has it open.

    Raises:
      StoreError: It is not there, of another program, of another format, or damaged.
    """
    if not path.exists():
        raise StoreError(f"there is no database at {path}: nothing was ever stored there")
    # Without a log beside it the file is all there is, and no file need be made beside it.
    alone = resting and not path.with_name(path.name + "-wal").exists()
    how = "immutable=1" if alone else "mode=ro"
    connection = None
    try:
        name = urllib.parse.quote(str(path.resolve()))
        connection = sqlite3.connect(f"file:{name}?{how}", uri=True, isolation_level=None)
        connection.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("BEGIN")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        _check(path, application, version)
        connection.execute("SELECT 1 FROM meta LIMIT 1").fetchone()  # from here on one state
        yield connection
    except sqlite3.Error as error:
        raise explain(error, path) from error
    finally:
        if connection is not None:
            connection.close()


def _check(path: Path, application: int, version: int) -> None:
    if application != APPLICATION_ID:
        raise StoreError(f"{path} is no database of gossipnet, or its first page is damaged")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has format {version}, and this gossipnet knows formats up to "
            f"{SCHEMA_VERSION}: install the newer gossipnet"
        )
    if version < SCHEMA_VERSION:
        raise StoreError(
            f"{path} has the older format {version}: start `gossipnet run` on it once, which "
            f"brings it up to format {SCHEMA_VERSION}"
        )


def copy(source: sqlite3.Connection, path: Path, progress: Progress) -> None:
    """Copy what ``source`` sees into a new file, a few MiB at a time; fsynced when this returns.

    Raises:
      StoreError: The disk would not have it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        (page,) = source.execute("PRAGMA page_size").fetchone()
        target = sqlite3.connect(path, isolation_level=None)
        try:
            source.backup(
                target,
                pages=PAGES_PER_STEP,
                progress=lambda _status, left, total: progress((total - left) * page, total * page),
            )
            # One file that needs none beside it.
            target.execute("PRAGMA journal_mode=DELETE").fetchone()
        finally:
            target.close()
        os.fsync(fd)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    finally:
        os.close(fd)
