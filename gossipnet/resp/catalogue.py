"""The command table, put together from all families."""

from types import ModuleType

from gossipnet.resp.commands import (
    bitmaps,
    connection,
    geo,
    gossip,
    hashes,
    hyperloglogs,
    keys,
    lists,
    pubsub,
    server,
    sets,
    sorted_sets,
    streams,
    strings,
    transactions,
    waits,
)
from gossipnet.resp.refusals import REFUSED
from gossipnet.resp.table import Command

__all__ = ["LOOKUP", "REFUSED", "TABLE"]

# In the order of the documentation, by the names that Redis's manual gives to groups.
FAMILIES: dict[str, ModuleType] = {
    "string": strings,
    "bitmap": bitmaps,
    "hash": hashes,
    "set": sets,
    "sorted-set": sorted_sets,
    "list": lists,
    "geo": geo,
    "generic": keys,
    "transactions": transactions,
    "hyperloglog": hyperloglogs,
    "stream": streams,
    "pubsub": pubsub,
    "durability": waits,
    "connection": connection,
    "server": server,
    "gossip": gossip,
}

TABLE: dict[bytes, Command] = {}
"""Every command by its lower-case name."""

for _group, _module in FAMILIES.items():
    for _row in _module.ROWS:
        for _command in (_row, *_row.subcommands.values()):
            _command.group = _group
        TABLE[_row.name.encode()] = _row

LOOKUP: dict[bytes, Command] = {
    spelling: row for name, row in TABLE.items() for spelling in (name, name.upper())
}
"""The same in the two spellings that clients use, so that most calls need no ``lower()``."""
