"""Sorted sets here and in a real Redis: same replies, same types, same error texts."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twin import compare, numerically, some, stock, words

__all__ = ["stock"]

KEYS = st.sampled_from([b"a", b"b", b"c", b"none"])
NAMES = st.sampled_from([b"x", b"y", b"z", b"", b"xy", b"1.50"])
# Halves and quarters: sums here are exact, those of Redis are rounded at every step.
SCORES = st.sampled_from(
    b"1 -2 0.5 2.25 inf -inf +3 1e3 0x10 -0 3.0 1e-7 100000000000000000000 "
    b"nan x 1.0e 1e400 1e-400".split()
)
SOUND = st.sampled_from([b"1", b"-2", b"0.5", b"2.25", b"7", b"100000", b"1e20", b"0.1"])
BOUNDS = st.sampled_from(
    [b"0", b"1", b"(1", b"-inf", b"+inf", b"(0.5", b"5", b"(", b"", b" 2", b"x", b"nan", b"(inf"]
)
LEX = st.sampled_from([b"-", b"+", b"[x", b"(x", b"[", b"(", b"[xz", b"x", b"", b"--", b"(z"])
RANKS = st.sampled_from([b"0", b"1", b"-1", b"2", b"-3", b"100", b"-100", b"x", b"", b"1.5"])
COUNTS = st.sampled_from([b"0", b"1", b"2", b"-1", b"10", b"x"])
LIMIT = some(st.sampled_from([b"LIMIT", b"0", b"1", b"-1", b"2", b"WITHSCORES", b"x"]), 0, 4)
PART = some(
    st.sampled_from([b"BYSCORE", b"bylex", b"REV", b"LIMIT", b"0", b"1", b"WITHSCORES", b"x"]), 0, 5
)
ENDS = st.one_of(BOUNDS, RANKS, LEX)
COMBINED = some(
    st.sampled_from(
        [b"WEIGHTS", b"2", b"-1", b"inf", b"x", b"AGGREGATE", b"SUM", b"min", b"MAX", b"WITHSCORES"]
    ),
    0,
    5,
)
ZADD = some(st.sampled_from([b"NX", b"xx", b"GT", b"LT", b"CH", b"INCR"]), 0, 2)
PAIRS = some(st.tuples(SOUND, NAMES), 1, 3).map(lambda pairs: [w for pair in pairs for w in pair])
NUMKEYS = st.sampled_from([b"1", b"2", b"3", b"0", b"-1", b"x"])

COMMANDS = st.one_of(
    words("ZADD", KEYS, PAIRS),
    words("ZADD", KEYS, ZADD, PAIRS),
    words("ZADD", KEYS, ZADD, some(st.one_of(SCORES, NAMES, st.just(b" 1")), 1, 4)),
    words("ZINCRBY", KEYS, SCORES, NAMES),
    words("ZREM", KEYS, some(NAMES, 1)),
    words("ZSCORE", KEYS, NAMES),
    words("ZMSCORE", KEYS, some(NAMES, 1)),
    words("ZCARD", KEYS),
    words("ZRANK", KEYS, NAMES),
    words("ZREVRANK", KEYS, NAMES),
    words("ZCOUNT", KEYS, BOUNDS, BOUNDS),
    words("ZRANGE", KEYS, RANKS, RANKS, some(st.sampled_from([b"REV", b"WITHSCORES"]), 0, 2)),
    words("ZRANGE", KEYS, BOUNDS, BOUNDS, st.just(b"BYSCORE"), PART),
    words("ZRANGE", KEYS, ENDS, ENDS, PART),
    words("ZRANGESTORE", KEYS, KEYS, RANKS, RANKS),
    words("ZRANGESTORE", KEYS, KEYS, BOUNDS, BOUNDS, st.just(b"BYSCORE"), PART),
    words("ZRANGEBYSCORE", KEYS, BOUNDS, BOUNDS, LIMIT),
    words("ZREVRANGEBYSCORE", KEYS, BOUNDS, BOUNDS, LIMIT),
    words("ZREVRANGE", KEYS, RANKS, RANKS, LIMIT),
    words("ZPOPMIN", KEYS, some(COUNTS, 0, 1)),
    words("ZPOPMAX", KEYS, some(COUNTS, 0, 1)),
    words(
        "ZMPOP",
        NUMKEYS,
        some(KEYS, 1),
        some(st.sampled_from([b"MIN", b"max", b"COUNT", b"2", b"0", b"x"]), 0, 3),
    ),
    words("ZREMRANGEBYRANK", KEYS, RANKS, RANKS),
    words("ZREMRANGEBYSCORE", KEYS, BOUNDS, BOUNDS),
    words("ZRANDMEMBER", KEYS, st.sampled_from([b"10", b"0", b"x"])),
    words("ZRANDMEMBER", KEYS, st.just(b"10"), st.sampled_from([b"WITHSCORES", b"??"])),
    words("ZSCAN", KEYS, st.just(b"0"), some(st.sampled_from([b"MATCH", b"x*"]), 0, 2)),
    words("ZUNION", NUMKEYS, some(KEYS, 1), COMBINED),
    words("ZINTER", NUMKEYS, some(KEYS, 1), COMBINED),
    words("ZDIFF", NUMKEYS, some(KEYS, 1), COMBINED),
    words("ZUNIONSTORE", KEYS, NUMKEYS, some(KEYS, 1), COMBINED),
    words("ZINTERSTORE", KEYS, NUMKEYS, some(KEYS, 1), COMBINED),
    words("ZDIFFSTORE", KEYS, NUMKEYS, some(KEYS, 1), COMBINED),
    words("ZINTERCARD", NUMKEYS, some(KEYS, 1), some(st.sampled_from([b"LIMIT", b"1", b"-1"]))),
    words("SADD", KEYS, some(NAMES, 1)),
    words("SET", st.just(b"c"), NAMES),
    words("DEL", KEYS),
    words("TYPE", KEYS),
    words("COPY", KEYS, KEYS),
    words("RENAME", KEYS, KEYS),
    words("ZADD", KEYS),
    words("ZRANGE", KEYS, RANKS),
)

# The order of bytes means something only among equal scores: these get a key of their own.
EQUAL = st.one_of(
    words("ZADD", st.just(b"a"), NAMES.map(lambda name: [b"1", name])),
    words("ZADD", st.just(b"a"), NAMES.map(lambda name: [b"1", name])),
    words("ZADD", st.just(b"a"), NAMES.map(lambda name: [b"1", name])),
    words("ZLEXCOUNT", st.just(b"a"), LEX, LEX),
    words("ZRANGEBYLEX", st.just(b"a"), LEX, LEX, LIMIT),
    words("ZREVRANGEBYLEX", st.just(b"a"), LEX, LEX, LIMIT),
    words("ZRANGE", st.just(b"a"), LEX, LEX, st.just(b"BYLEX"), PART),
    words("ZREMRANGEBYLEX", st.just(b"a"), LEX, LEX),
    words("ZREM", st.just(b"a"), NAMES),
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    protocol=st.sampled_from([b"2", b"3"]),
    commands=st.one_of(some(COMMANDS, 1, 25), some(EQUAL, 1, 20)),
)
@example(protocol=b"3", commands=[[b"ZADD", b"a", b"1", b"x", b"2", b"x", b"CH"]])
@example(protocol=b"2", commands=[[b"ZADD", b"a", b"1e17", b"x"], [b"ZSCORE", b"a", b"x"]])
def test_every_reply_is_the_one_of_redis(
    stock: str, protocol: bytes, commands: list[list[bytes]]
) -> None:
    compare(stock, protocol, commands, numerically)
