"""Reading ranges of logs from the database, in the order in which they were applied."""

from collections.abc import Sequence

from gossipnet.ids import LogId
from gossipnet.io.database import Database
from gossipnet.protocol.effects import ReadLog

_RESEEK_ROWS = 256

_Ranges = dict[LogId, list[tuple[int, int]]]


def read_log(database: Database, read: ReadLog) -> tuple[list[bytes], int | None]:
    """Records of the wanted ranges in order of application, up to the limit, and where to go on.

    Starts at the first wanted ordinal. Unwanted rows are passed over without reading their data,
    and after a long run of them the next wanted one is looked up by the index.
    """
    left = _by_log(read.wanted)
    records: list[bytes] = []
    size = 0
    position = _seek(database, left, read.position)
    while position is not None:
        skipped = 0
        for ordinal, log, seq in database.scan(position):
            if not _take_from(left, log, seq):
                skipped += 1
                if skipped >= _RESEEK_ROWS:
                    position = ordinal + 1
                    break
                continue
            skipped = 0
            if records and size >= read.limit:
                return records, ordinal
            records.append(database.data(ordinal))
            size += len(records[-1])
            if not left:
                return records, None
        else:
            return records, None
        position = _seek(database, left, position)
    return records, None


def _by_log(wanted: Sequence[tuple[LogId, int, int]]) -> _Ranges:
    """Ranges per log, the lowest at the end."""
    left: _Ranges = {}
    for log, first, last in sorted(wanted, reverse=True):
        if first <= last:
            left.setdefault(log, []).append((first, last))
    return left


def _take_from(left: _Ranges, log: LogId, seq: int) -> bool:
    """Whether this record is wanted; forgets the ranges that are behind it."""
    ranges = left.get(log)
    if ranges is None:
        return False
    while ranges and seq > ranges[-1][1]:
        ranges.pop()
    wanted = bool(ranges) and seq >= ranges[-1][0]
    if wanted and seq == ranges[-1][1]:
        ranges.pop()
    if not ranges:
        del left[log]
    return wanted


def _seek(database: Database, left: _Ranges, position: int) -> int | None:
    found = (
        database.first_ordinal(log, first, last, position)
        for log, ranges in left.items()
        for first, last in ranges
    )
    return min((ordinal for ordinal in found if ordinal is not None), default=None)
