"""The same commands to this and to a real Redis: same replies, same types, same error texts."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twin import compare, some, stock, words

__all__ = ["stock"]

KEYS = st.sampled_from([b"a", b"b", b"c", b"none"])
NAMES = st.sampled_from([b"x", b"y", b"z"])
VALUES = st.sampled_from(
    [b"", b"1", b"-7", b"07", b"+1", b" 1", b"3.0e3", b"1.5", b"x", b"hello world", b"\xff\r\n"]
)
NUMBERS = st.sampled_from(
    [b"0", b"1", b"-1", b"3", b"-2", b"100", b"x", b"", b"1.5", b"99999999999999999999"]
)
FLOATS = st.sampled_from([b"1.5", b"-0.25", b"3", b"1e2", b"5.0", b"nan", b"x", b"", b" 1"])
SECONDS = st.sampled_from([b"100", b"2000", b"0", b"-1", b"x"])
PATTERNS = st.sampled_from([b"*", b"[a-b]", b"?", b"n*e", b"[^a]", b"\\a", b"[a", b""])


SET_OPTIONS = some(
    st.sampled_from([b"NX", b"xx", b"GET", b"KEEPTTL", b"EX", b"PX", b"100", b"5000", b"-1", b"x"])
)
WHEN = some(st.sampled_from([b"NX", b"xx", b"GT", b"LT", b"??"]), 0, 2)
PAIRS = some(st.one_of(NAMES, VALUES), 1, 5)

COMMANDS = st.one_of(
    words("SET", KEYS, VALUES),
    words("SET", KEYS, VALUES, SET_OPTIONS),
    words("SETNX", KEYS, VALUES),
    words("SETEX", KEYS, SECONDS, VALUES),
    words("PSETEX", KEYS, st.sampled_from([b"100000", b"0", b"x"]), VALUES),
    words("GET", KEYS),
    words("MGET", some(KEYS, 1)),
    words("MSET", PAIRS),
    words("MSETNX", some(KEYS, 1, 4)),
    words("GETSET", KEYS, VALUES),
    words("GETDEL", KEYS),
    words("GETEX", KEYS, some(st.sampled_from([b"PERSIST", b"EX", b"100", b"x", b"0"]), 0, 2)),
    words("APPEND", KEYS, VALUES),
    words("STRLEN", KEYS),
    words("GETRANGE", KEYS, NUMBERS, NUMBERS),
    words("SETRANGE", KEYS, st.sampled_from([b"0", b"2", b"7", b"-1", b"x"]), VALUES),
    words("INCR", KEYS),
    words("DECR", KEYS),
    words("INCRBY", KEYS, NUMBERS),
    words("DECRBY", KEYS, NUMBERS),
    words("INCRBYFLOAT", KEYS, FLOATS),
    words("HSET", KEYS, PAIRS),
    words("HMSET", KEYS, NAMES, VALUES),
    words("HSETNX", KEYS, NAMES, VALUES),
    words("HGET", KEYS, NAMES),
    words("HMGET", KEYS, some(NAMES, 1)),
    words("HGETALL", KEYS),
    words("HDEL", KEYS, some(NAMES, 1)),
    words("HEXISTS", KEYS, NAMES),
    words("HLEN", KEYS),
    words("HKEYS", KEYS),
    words("HVALS", KEYS),
    words("HSTRLEN", KEYS, NAMES),
    words("HINCRBY", KEYS, NAMES, NUMBERS),
    words("HINCRBYFLOAT", KEYS, NAMES, FLOATS),
    words("HRANDFIELD", KEYS, st.sampled_from([b"10", b"0", b"x"])),
    words("HRANDFIELD", KEYS, st.just(b"10"), st.sampled_from([b"WITHVALUES", b"??"])),
    words(
        "HSCAN",
        KEYS,
        st.sampled_from([b"0", b"x"]),
        some(st.sampled_from([b"MATCH", b"COUNT", b"*", b"5", b"x"]), 0, 2),
    ),
    words("SADD", KEYS, some(NAMES, 1)),
    words("SREM", KEYS, some(NAMES, 1)),
    words("SMEMBERS", KEYS),
    words("SISMEMBER", KEYS, NAMES),
    words("SMISMEMBER", KEYS, some(NAMES, 1)),
    words("SCARD", KEYS),
    words("SPOP", KEYS, st.sampled_from([b"10", b"0", b"-1", b"x"])),
    words("SRANDMEMBER", KEYS, st.sampled_from([b"10", b"0", b"x"])),
    words("SMOVE", KEYS, KEYS, NAMES),
    words("SUNION", some(KEYS, 1)),
    words("SINTER", some(KEYS, 1)),
    words("SDIFF", some(KEYS, 1)),
    words("SUNIONSTORE", KEYS, some(KEYS, 1)),
    words("SINTERSTORE", KEYS, some(KEYS, 1)),
    words("SDIFFSTORE", KEYS, some(KEYS, 1)),
    words(
        "SINTERCARD",
        NUMBERS,
        some(KEYS, 1),
        some(st.sampled_from([b"LIMIT", b"1", b"-1", b"x"]), 0, 2),
    ),
    words("SSCAN", KEYS, st.just(b"0"), some(st.sampled_from([b"MATCH", b"x"]), 0, 2)),
    words("DEL", some(KEYS, 1)),
    words("UNLINK", some(KEYS, 1)),
    words("EXISTS", some(KEYS, 1)),
    words("TOUCH", some(KEYS, 1)),
    words("TYPE", KEYS),
    words("KEYS", PATTERNS),
    words(
        "SCAN",
        st.sampled_from([b"0", b"x"]),
        some(st.sampled_from([b"COUNT", b"100", b"TYPE", b"hash"]), 0, 2),
    ),
    words("DBSIZE"),
    words("RENAME", KEYS, KEYS),
    words("RENAMENX", KEYS, KEYS),
    words("COPY", KEYS, KEYS, some(st.sampled_from([b"REPLACE", b"DB", b"0", b"x"]), 0, 2)),
    words("EXPIRE", KEYS, SECONDS, WHEN),
    words("PEXPIRE", KEYS, st.sampled_from([b"100000", b"-1"]), WHEN),
    words("EXPIREAT", KEYS, st.sampled_from([b"1", b"4000000000"]), WHEN),
    words("PEXPIREAT", KEYS, st.sampled_from([b"1", b"4000000000123"])),
    words("PERSIST", KEYS),
    words("TTL", KEYS),
    words("EXPIRETIME", KEYS),
    words("PING", some(VALUES, 0, 2)),
    words("ECHO", VALUES),
    words("SELECT", st.sampled_from([b"0", b"x"])),
    words("AUTH", some(st.sampled_from([b"default", b"someone", b"secret"]), 0, 3)),
    words("CLIENT", st.sampled_from([b"GETNAME", b"NO-EVICT", b"NOPE"]), some(NAMES, 1, 1)),
    words("CLIENT", st.just(b"SETNAME"), VALUES),
    words("MULTI"),
    words("EXEC"),
    words("DISCARD"),
    words("WATCH", some(KEYS, 1)),
    words("UNWATCH"),
    words("RESET"),
    words("NOSUCH", some(VALUES, 0, 3)),
    words("GET"),
    words("SET", KEYS),
    words("HSET", KEYS),
    words("CLIENT"),
    words("CONFIG", st.just(b"NOPE")),
    words("COMMAND", st.just(b"GETKEYS"), words("MSET", PAIRS)),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(protocol=st.sampled_from([b"2", b"3"]), commands=some(COMMANDS, 1, 25))
@example(protocol=b"2", commands=[[b"INCRBYFLOAT", b"a", b"5.0"], [b"DECR", b"a"]])
@example(protocol=b"3", commands=[[b"SADD", b"a", b"x"], [b"DEL", b"a"], [b"SPOP", b"a", b"10"]])
def test_every_reply_is_the_one_of_redis(
    stock: str, protocol: bytes, commands: list[list[bytes]]
) -> None:
    compare(stock, protocol, commands)
