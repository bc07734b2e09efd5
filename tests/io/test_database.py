"""Opening state.db: whatever is wrong is one sentence, and nothing is silently made anew."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipnet.errors import StoreError
from gossipnet.ids import LogId
from gossipnet.io.database import open_database
from gossipnet.io.schema import APPLICATION_ID
from gossipnet.protocol.effects import Commit, StoredRecord

LOG = LogId(b"L" * 16)


def commit(number: int, *seqs: int, meta: tuple[tuple[str, bytes | None], ...] = ()) -> Commit:
    records = tuple(StoredRecord(LOG, seq, b"record %d" % seq) for seq in seqs)
    return Commit(number, records, meta, urgent=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def filled(path: Path) -> None:
    database = open_database(path)
    database.write([commit(1, *range(1, 200), meta=(("epoch", b"abcd"),))])
    database.close()


def test_what_was_written_is_read_back_in_order(path: Path) -> None:
    filled(path)
    database = open_database(path)
    assert not database.created
    assert database.read_meta() == {"epoch": b"abcd"}
    assert list(database.read_records()) == [b"record %d" % seq for seq in range(1, 200)]
    database.close()


def test_meta_is_replaced_and_deleted(path: Path) -> None:
    database = open_database(path)
    database.write([commit(1, meta=(("a", b"1"), ("b", b"2")))])
    database.write([commit(2, meta=(("a", b"3"), ("b", None)))])
    assert database.read_meta() == {"a": b"3"}
    database.close()


def test_only_the_owner_may_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        filled(path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_open_to_others_is_refused(path: Path) -> None:
    filled(path)
    path.chmod(0o644)
    with pytest.raises(StoreError, match=r"open to other users \(mode 0644\): run `chmod 600 "):
        open_database(path)


def test_the_database_of_another_program_is_refused(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t(x)")
    other.close()
    path.chmod(0o600)
    with pytest.raises(StoreError, match="of another program: move it away"):
        open_database(path)


def test_something_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"this is not a database at all, and longer than a header" * 40)
    path.chmod(0o600)
    with pytest.raises(StoreError, match=r"is damaged \(SQLITE_NOTADB\): put a backup back"):
        open_database(path)


def test_a_newer_format_is_refused(path: Path) -> None:
    filled(path)
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(StoreError, match=r"has format 99, .* install the newer gossipnet again"):
        open_database(path)


def test_a_lost_table_is_found_at_once(path: Path) -> None:
    filled(path)
    damaged = sqlite3.connect(path)
    damaged.execute("DROP TABLE records")
    damaged.close()
    with pytest.raises(StoreError, match="is damaged"):
        open_database(path)


def test_flipped_pages_are_damage_and_never_records(path: Path) -> None:
    filled(path)
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        list(open_and_read(path))


@pytest.mark.parametrize("ordinal", [1, 100, 199])
def test_one_flipped_bit_of_a_record_is_damage(path: Path, ordinal: int) -> None:
    filled(path)
    raw = sqlite3.connect(path)
    (stored,) = raw.execute("SELECT data FROM records WHERE ordinal=?", (ordinal,)).fetchone()
    flipped = bytes([stored[0] ^ 4]) + stored[1:]
    raw.execute("UPDATE records SET data=? WHERE ordinal=?", (flipped, ordinal))
    raw.commit()
    raw.close()
    database = open_database(path)
    with pytest.raises(StoreError, match="damaged"):
        list(database.read_records())
    with pytest.raises(StoreError, match="damaged"):
        database.data(ordinal)
    assert database.data(50) == b"record 50"
    database.close()


def open_and_read(path: Path) -> list[bytes]:
    database = open_database(path)
    try:
        return list(database.read_records())
    finally:
        database.close()


def test_a_truncated_file_is_damage(path: Path) -> None:
    filled(path)
    os.truncate(path, 5000)
    with pytest.raises(StoreError, match="is damaged"):
        open_and_read(path)


def test_an_empty_file_is_new_only_in_a_new_home(path: Path) -> None:
    path.touch(0o600)
    with pytest.raises(StoreError, match="is empty though it held data"):
        open_database(path, had_data=True)
    database = open_database(path)
    assert database.created
    database.close()


def test_a_folder_in_its_place_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="is not a file: move it away"):
        open_database(path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot create .*: No such file or directory"):
        open_database(tmp_path / "nowhere" / "state.db")


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder of somebody who is not root, whom this process is meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="gn-"))
    before = os.geteuid()
    if before == 0:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(before)
        shutil.rmtree(folder)


def test_an_unwritable_file_says_so_at_start(ordinary_user: Path) -> None:
    path = ordinary_user / "state.db"
    filled(path)
    path.chmod(0o400)
    with pytest.raises(StoreError, match="cannot be written"):
        open_database(path)


def test_an_unwritable_folder_says_so_at_start(ordinary_user: Path) -> None:
    ordinary_user.chmod(0o500)
    try:
        with pytest.raises(StoreError, match=r"cannot create .*: Permission denied"):
            open_database(ordinary_user / "state.db")
    finally:
        ordinary_user.chmod(0o700)


def test_another_owner_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StoreError, match=rf"belongs to user {owner}, not to you \(12345\)"):
        open_database(path)


def test_the_mark_is_ours(path: Path) -> None:
    filled(path)
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()
