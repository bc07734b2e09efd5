"""Removing keys and fields that have ended, by ordinary deletions in the own log.

Hidden they are on every node already. Whoever set the deadline removes them, others only when that
is long overdue: `Keyspace.to_reap` says when.
"""

from collections import Counter

from gossipnet.state.errors import KeyspaceError
from gossipnet.state.keyspace import Keyspace
from gossipnet.state.logs import Logs
from gossipnet.state.own_log import OwnLog


def reap(keyspace: Keyspace, own: OwnLog, logs: Logs, counters: Counter[str]) -> None:
    """Delete what this node has to and may, as of the keyspace's clock."""
    for key, name, number in keyspace.to_reap(keyspace.wall_ms):
        if number >= 0 and logs.by_number[number].author != own.author:
            continue
        if not own.certificate.allows("write", key):
            continue
        try:
            keyspace.reap(key, name)
        except KeyspaceError:  # one that is too large for one record stays hidden
            counters["reaps_refused"] += 1
        else:
            counters["keys_reaped"] += 1
