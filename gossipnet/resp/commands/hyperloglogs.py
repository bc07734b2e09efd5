"""HyperLogLogs: how many different elements there were, by estimate, in little space.

Elements added anywhere count everywhere, with the estimate that Redis would give. A DEL wins over
additions that it has not seen. To other commands they are strings that only GET reads.
"""

from typing import TYPE_CHECKING

from gossipnet.resp.options import check_writable
from gossipnet.resp.replies import OK, Reply
from gossipnet.resp.table import HEAVY, KEY, KEYS, Command

if TYPE_CHECKING:
    from gossipnet.resp.session import Session


def _pfadd(session: "Session", args: list[bytes]) -> Reply:
    return int(session.keyspace.sketch_add(args[1], args[2:]))


def _pfcount(session: "Session", args: list[bytes]) -> Reply:
    return session.keyspace.sketch_count(args[1:])


def _pfmerge(session: "Session", args: list[bytes]) -> Reply:
    check_writable(session, args[1:2])
    session.keyspace.sketch_merge(args[1], args[1:])
    return OK


# fmt: off
ROWS = [
    Command("pfadd", _pfadd, -2, "key [element [element ...]]", "Adds elements to a HyperLogLog.",
            "2.8.9", "write denyoom fast", KEY),
    Command("pfcount", _pfcount, -2, "key [key ...]",
            "How many different elements were added to any of the keys, by estimate.", "2.8.9",
            "readonly", KEYS, HEAVY // 4),
    Command("pfmerge", _pfmerge, -2, "destkey [sourcekey [sourcekey ...]]",
            "Adds to one HyperLogLog what others hold.", "2.8.9", "write denyoom", KEYS,
            HEAVY // 4),
]
# fmt: on
