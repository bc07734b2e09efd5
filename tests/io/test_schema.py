"""Formats of the database: old ones are brought up in one step or not at all."""

import sqlite3
from pathlib import Path

import pytest
from old_formats import write_1

from gossipnet.errors import StoreError
from gossipnet.ids import LogId
from gossipnet.io import schema
from gossipnet.io.database import open_database
from gossipnet.protocol.effects import Commit, StoredRecord

LOG = LogId(b"L" * 16)
RECORDS = [(LOG, seq, b"record %d" % seq) for seq in range(1, 50)]


def version_of(path: Path) -> int:
    raw = sqlite3.connect(path)
    try:
        return int(raw.execute("PRAGMA user_version").fetchone()[0])
    finally:
        raw.close()


def test_format_1_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    write_1(path, RECORDS, {"epoch": b"abcd", "member/00": b"\0\xff"})
    database = open_database(path)
    assert list(database.read_records()) == [data for _log, _seq, data in RECORDS]
    assert database.read_meta() == {"epoch": b"abcd", "member/00": b"\0\xff"}
    database.write([Commit(1, (StoredRecord(LOG, 50, b"new"),), (("a", b"b"),), urgent=True)])
    database.close()
    assert version_of(path) == schema.SCHEMA_VERSION
    database = open_database(path)
    assert list(database.read_records())[-1] == b"new"
    assert not database.examine()
    database.close()


def test_what_was_damaged_before_the_upgrade_is_damaged_after_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    write_1(path, RECORDS, {})
    raw = sqlite3.connect(path)
    raw.execute("UPDATE records SET data=CAST(x'00' || data AS BLOB) WHERE seq=7")
    raw.commit()
    raw.close()
    database = open_database(path)
    assert [seq for seq, data in database.read_rows() if data is None] == [7]
    database.close()


def test_an_upgrade_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    write_1(path, RECORDS, {"epoch": b"abcd"})

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE records SET data=x''")
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setitem(schema.MIGRATIONS, 1, half)
        with pytest.raises(StoreError):
            open_database(path)
    assert version_of(path) == 1
    database = open_database(path)
    assert list(database.read_records()) == [data for _log, _seq, data in RECORDS]
    database.close()


def test_every_format_has_a_way_up() -> None:
    assert sorted(schema.MIGRATIONS) == list(range(1, schema.SCHEMA_VERSION))


@pytest.mark.parametrize("column", ["log", "seq", "data"])
def test_a_sum_covers_the_whole_row(tmp_path: Path, column: str) -> None:
    path = tmp_path / "state.db"
    database = open_database(path)
    database.write([Commit(1, (StoredRecord(LOG, 5, b"data"),), (), urgent=True)])
    database.close()
    raw = sqlite3.connect(path)
    other = {
        "log": "x'4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4d'",
        "seq": "7",
        "data": "x'00' || data",
    }  # which is a text
    raw.execute(f"UPDATE records SET {column}={other[column]}")
    raw.commit()
    raw.close()
    database = open_database(path)
    assert list(database.read_rows()) == [(1, None)]
    with pytest.raises(StoreError, match="does not fit its sum"):
        database.data(1)
    database.close()


def test_a_named_value_that_does_not_fit_its_sum_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database = open_database(path)
    database.write([Commit(1, (), (("a", b"1"), ("b", b"2")), urgent=True)])
    database.close()
    raw = sqlite3.connect(path)
    raw.execute("UPDATE meta SET key='c' WHERE key='a'")
    raw.commit()
    raw.close()
    database = open_database(path)
    assert database.read_meta() == {"b": b"2"}
    assert database.spoilt_meta == ["c"]
    database.close()
