"""Any bit of a database may flip: what is read is what was written, or the damage is seen."""

import contextlib
import os
import random
import sqlite3
from pathlib import Path

from gossipnet.errors import StoreError
from gossipnet.ids import LogId
from gossipnet.io.database import open_database
from gossipnet.protocol.effects import Commit, StoredRecord

SOAK = os.environ.get("GOSSIPNET_SOAK") == "1"
SAMPLE = 500


def written(path: Path) -> bytes:
    """A small database, moved out of its log: its whole file."""
    database = open_database(path)
    for number in range(3):
        log = LogId(bytes([number]) * 16)
        records = [StoredRecord(log, seq, b"%d record %d" % (number, seq)) for seq in range(1, 21)]
        names = ((f"member/{number}", b"somebody"), ("epoch", b"abcd"))
        database.write([Commit(1, tuple(records), names, urgent=True)])
    database.checkpoint()
    database.close()
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    raw.close()
    return path.read_bytes()


def seen(path: Path) -> tuple[str, object]:
    """What comes of reading it: ``damaged``, or what it holds."""
    try:
        database = open_database(path, had_data=True)
    except StoreError as error:
        return "damaged", str(error)
    try:
        meta = database.read_meta()
        rows = list(database.read_rows())
        if database.spoilt_meta or None in [data for _ordinal, data in rows]:
            return "damaged", "a sum"
        found = database.examine()
        if found:
            return "damaged", found
        return "whole", (meta, [data for _ordinal, data in rows])
    except StoreError as error:
        return "damaged", str(error)
    finally:
        with contextlib.suppress(StoreError):
            database.close()


def test_no_flipped_bit_shows_what_was_never_written(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    data = written(path)
    good = seen(path)
    assert good[0] == "whole"
    bits = (
        range(0, len(data) * 8)
        if SOAK
        else sorted([*random.Random(21).sample(range(len(data) * 8), SAMPLE), *range(0, 800, 3)])
    )
    damaged = 0
    for bit in bits:
        rotten = bytearray(data)
        rotten[bit // 8] ^= 1 << bit % 8
        for left in tmp_path.glob("state.db*"):
            left.unlink()
        path.write_bytes(rotten)
        path.chmod(0o600)
        found = seen(path)
        damaged += found[0] == "damaged"
        assert found[0] == "damaged" or found == good, f"bit {bit}: {found}"
    assert damaged > len(bits) // 20
    print(f"{damaged} of {len(bits)} flipped bits were seen, the others changed nothing")
