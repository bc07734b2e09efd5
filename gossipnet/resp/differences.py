"""Where replies differ from those of Redis 7 although nothing is refused, each with the reason.

The documentation is written from this, and the comparison with a real Redis
(`benchmarks/compatibility.py`) takes no other difference for granted. Strings only.
"""

DIFFERENCES: dict[str, str] = {
    "geosearch geosearchstore georadius georadius_ro georadiusbymember georadiusbymember_ro": (
        "finds members at longitude 180 or latitude 85.05112878 exactly, and searches from there, "
        "as GEODIST says they lie; the search of Redis misses them, for their geohash takes a bit "
        "more than the 52 that it looks through"
    ),
}
"""Reason by names of commands, lower case, subcommands as ``client|list``."""
