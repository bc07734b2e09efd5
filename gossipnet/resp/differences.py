"""Where replies differ from those of Redis 7 although nothing is refused, each with the reason.

The documentation is written from this, and the comparison with a real Redis
(`tests/resp/compatibility.py`) takes no other difference for granted. Strings only.
"""

DIFFERENCES: dict[str, str] = {
    "geosearch geosearchstore georadius georadius_ro georadiusbymember georadiusbymember_ro": (
        "finds members at longitude 180 or latitude 85.05112878 exactly, and searches from there, "
        "as GEODIST says they lie; the search of Redis misses them, for their geohash takes a bit "
        "more than the 52 that it looks through"
    ),
    "incr decr incrby decrby hincrby incrbyfloat hincrbyfloat": (
        "counters lie within ±2^59, so that what several nodes add at once cannot overflow; "
        "fractions have 17 decimal places"
    ),
    "getrange strlen bitcount bitpos bitop bitfield getbit mget": (
        "a HyperLogLog is a type of its own: of the commands for strings only GET and SET take it, "
        "and the estimate that Redis caches in its bytes is not there"
    ),
    "dbsize": "does not count keys that have ended, which Redis counts until it has removed them",
    "setrange setbit append": "a value has 1 MiB at most",
    "object|refcount": "always 1: no values are shared",
    "xgroup|create xgroup|destroy xtrim xdel": (
        "a stream without entries is there as long as it has a group, as in Active-Active; in "
        "Redis it stays without"
    ),
    "xadd": "ids are given out by nodes, so that no two give the same one: full ids are refused",
    "zlexcount zrangebylex zrevrangebylex zremrangebylex": (
        "means something only if all scores are equal; otherwise Redis and this differ in what"
    ),
    "zrank zrevrank": "take WITHSCORE, as Redis from 7.2 on",
    "zincrby zadd zscore zunionstore": (
        "scores are exact sums, rounded once; Redis rounds at every step"
    ),
}
"""Reason by names of commands, lower case, subcommands as ``client|list``."""
