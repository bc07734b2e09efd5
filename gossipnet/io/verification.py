"""Whether a database is whole: structure, sums, hash chains, and every single signature.

The daemon checks at start what it needs to trust its own disk, the sums and the newest signature of
each log; this checks all there is, changes nothing, and says of everything damaged where it is.
"""

import os
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

from gossipnet import ids
from gossipnet.errors import BadSignature, RemoteProtocolError, StoreError
from gossipnet.identity.signing import SecretKey
from gossipnet.identity.trust import Trust
from gossipnet.io.database import chunks_in, whole_record
from gossipnet.io.schema import SUM_BYTES, meta_sum
from gossipnet.io.snapshot import Progress, reading
from gossipnet.protocol.imaging import load_image
from gossipnet.protocol.standing import known_statements
from gossipnet.state.image_rows import MARK
from gossipnet.state.record import parse_untrusted
from gossipnet.state.replica import Replica

SHOWN_MAX = 50
"""So many findings are told one by one; the rest is counted."""


@dataclass(slots=True)
class Verification:
    """What was looked at and what was wrong with it.

    Attributes:
      records: Records looked at.
      logs: Logs they belong to.
      damaged: Records with something wrong with themselves.
      followers: Whole records that cannot be used for want of a damaged one.
      set_aside: Records that the daemon has put out of use before.
      findings: What is wrong and where, at most `SHOWN_MAX`.
      more: Findings beyond those.
    """

    records: int = 0
    logs: int = 0
    damaged: int = 0
    followers: int = 0
    set_aside: int = 0
    findings: list[str] = field(default_factory=list)
    more: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def found(self, text: str) -> None:
        """Note something wrong."""
        if len(self.findings) < SHOWN_MAX:
            self.findings.append(text)
        else:
            self.more += 1


def verify_database(
    path: Path,
    trust: Trust,
    chain: tuple[bytes, ...],
    *,
    resting: bool,
    progress: Progress,
) -> Verification:
    """Look at all of a database.

    Args:
      path: A ``state.db``.
      trust: The mesh's root.
      chain: Any certificate chain that holds in it; the node's own.
      resting: Nobody else has the file open.
      progress: Told how far it is.

    Raises:
      StoreError: It cannot be looked at: it is missing, foreign, or damaged at its very root.
    """
    result = Verification()
    with reading(path, resting=resting) as connection:
        try:
            for (line,) in connection.execute(f"PRAGMA integrity_check({SHOWN_MAX})"):
                if line != "ok":
                    result.found(f"structure: {str(line).splitlines()[-1]}")
            meta = _read_meta(connection, result)
            (result.set_aside,) = connection.execute("SELECT count(*) FROM damaged").fetchone()
            replica = _replica(trust, chain, meta)
            try:
                load_image(replica, meta, lambda log: chunks_in(connection, log))
            except StoreError as error:
                result.damaged += 1
                result.found(f"what the records go on from: {error}")
            _read_records(connection, replica, trust, result, progress)
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", None) or str(error)
            result.found(f"reading stopped after {result.records} records: {name}")
    return result


def _read_meta(connection: sqlite3.Connection, result: Verification) -> dict[str, bytes]:
    meta = {}
    for key, stored in connection.execute("SELECT key, value FROM meta"):
        good = isinstance(key, str) and isinstance(stored, bytes)
        if good and stored[-SUM_BYTES:] == meta_sum(key, stored[:-SUM_BYTES]):
            meta[key] = stored[:-SUM_BYTES]
        else:
            result.found(f"named value {key!s}: does not fit its sum")
    return meta


def _replica(trust: Trust, chain: tuple[bytes, ...], meta: dict[str, bytes]) -> Replica:
    """One that writes nothing: any key will do."""
    revocations, forks = known_statements(meta, trust)
    return Replica(
        key=SecretKey.generate(os.urandom),
        chain=chain,
        trust=trust,
        epoch=0,
        wall=time.time(),
        revocations=revocations,
        forks=forks,
    )


def _read_records(
    connection: sqlite3.Connection,
    replica: Replica,
    trust: Trust,
    result: Verification,
    progress: Progress,
) -> None:
    (total,) = connection.execute("SELECT coalesce(sum(length(data)), 0) FROM records").fetchone()
    done = 0
    for ordinal, log, seq, stored in connection.execute(
        "SELECT ordinal, log, seq, data FROM records ORDER BY ordinal"
    ):
        result.records += 1
        done += len(stored) if isinstance(stored, bytes) else 0
        if result.records % 500 == 0:
            progress(done, total)
        data = whole_record(log, seq, stored)
        if data is None:
            result.damaged += 1
            result.found(f"record {ordinal}{_named(log, seq)}: does not fit its sum")
            continue
        if data[0] == MARK:
            continue  # of an image: looked at before
        try:
            replica.load(data)
        except StoreError as error:
            if result.damaged:
                result.followers += 1
            else:
                result.damaged += 1
                result.found(f"record {ordinal}{_named(log, seq)}: {error.__cause__ or error}")
            continue
        _check_signature(data, replica, trust, result, ordinal)
    result.logs = len(replica.logs.by_number)
    progress(total, total)


def _check_signature(
    data: bytes, replica: Replica, trust: Trust, result: Verification, ordinal: int
) -> None:
    try:
        read = parse_untrusted(data)
        known = replica.logs.by_id.get(read.log)
        if known is not None:
            read.verify(known.public_key, trust.mesh_id)
    except (BadSignature, RemoteProtocolError) as error:
        result.damaged += 1
        result.found(f"record {ordinal}: {error}")


def _named(log: object, seq: object) -> str:
    return f" (log {ids.short(log)}, number {seq})" if isinstance(log, bytes) else ""
