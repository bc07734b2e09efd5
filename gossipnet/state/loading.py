"""Reading the own database back at start: what was verified once is checked for damage only.

Each record must follow the one before it and name nothing that comes later; the newest signature of
each log covers all before it by the hash chain, so that one verification a log will do.
"""

from collections.abc import Callable

from gossipnet import ids
from gossipnet.errors import BadSignature, RemoteProtocolError, StoreError
from gossipnet.identity.trust import Trust
from gossipnet.ids import LogId
from gossipnet.state import record
from gossipnet.state.body import (
    Body,
    decode_body_untrusted,
)
from gossipnet.state.check import check_operations
from gossipnet.state.fork import Forks
from gossipnet.state.image_rows import MARK
from gossipnet.state.logs import Log, Logs
from gossipnet.state.opening import open_log, verify_first
from gossipnet.state.record import Record

_REMEDY = "put a backup back, or move state.db away to fetch the state from the other members"


_CHUNK = bytes((MARK,))


class Loading:
    """Feeds stored records to a replica.

    Args:
      logs, forks: The replica's.
      trust: The mesh.
      apply: Applies a record that is in order.
    """

    def __init__(
        self,
        logs: Logs,
        forks: Forks,
        trust: Trust,
        apply: Callable[[Record, Body, Log], object],
    ) -> None:
        self._logs = logs
        self._forks = forks
        self._trust = trust
        self._apply = apply
        self._unchecked: dict[LogId, Record] = {}

    def load(self, data: bytes) -> None:
        """Apply one record, in stored order; raises `StoreError`."""
        if data[:1] == _CHUNK:
            return  # of an image, which was read before all records
        try:
            stored = record.parse_untrusted(data)
            if stored.seq >= self._forks.at(stored.log):
                return  # of a branch that was applied before the fork was known
            known = self._logs.begun(stored.log)
            if known is not None and stored.seq <= known.base:
                return  # about to be cleared
            body = decode_body_untrusted(stored.body)
            if known is None:
                if stored.seq != 1 or stored.prev != record.GENESIS:
                    raise RemoteProtocolError("bad-record", "a log without its beginning")
                verify_first(stored, self._trust)
                known = open_log(self._logs, stored, body, self._trust)
            elif stored.seq != known.head + 1 or stored.prev != known.head_hash:
                raise RemoteProtocolError("bad-record", "it does not follow the one before it")
            if self._logs.lacking({LogId(log): seq for log, seq in body.logs}):
                raise RemoteProtocolError("bad-record", "it names what comes after it")
            check_operations(body, stored)
        except RemoteProtocolError as error:
            raise StoreError(
                f"the database is damaged at record {self._logs.total + 1} ({error}): {_REMEDY}"
            ) from error
        self._unchecked[stored.log] = stored
        self._apply(stored, body, known)

    def finish(self) -> None:
        """Check the newest signature of each log; raises `StoreError`."""
        for log, newest in self._unchecked.items():
            try:
                newest.verify(self._logs.by_id[log].public_key, self._trust.mesh_id)
            except BadSignature as error:
                raise StoreError(
                    f"the database is damaged (a signature of log {ids.short(log)} does not "
                    f"hold): {_REMEDY}"
                ) from error
        self._unchecked.clear()
