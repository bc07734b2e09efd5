"""Lists here and in a real Redis: same replies, same types, same error texts.

Pops that would wait are tried inside a transaction, where they do not.
"""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twin import compare, some, stock, words

__all__ = ["stock"]

KEYS = st.sampled_from([b"a", b"b", b"c", b"none"])
VALUES = st.sampled_from([b"x", b"y", b"z", b"", b"1"])
RANKS = st.sampled_from([b"0", b"1", b"-1", b"2", b"-3", b"100", b"-100", b"x", b"", b"1.5"])
COUNTS = st.sampled_from([b"0", b"1", b"2", b"-1", b"10", b"x"])
SIDES = st.sampled_from([b"LEFT", b"right", b"x"])
NUMKEYS = st.sampled_from([b"1", b"2", b"3", b"0", b"-1", b"x"])
# Not those beyond 2^63 ms, which Redis calls negative before 7.2.
TIMEOUTS = st.sampled_from([b"0", b"0.1", b"1e3", b"-1", b"x", b"", b"-inf", b"nan"])
MPOP = some(st.sampled_from([b"LEFT", b"right", b"COUNT", b"2", b"0", b"x"]), 0, 3)
ZMPOP = some(st.sampled_from([b"MIN", b"max", b"COUNT", b"2", b"0", b"x"]), 0, 3)
LPOS = some(
    st.sampled_from([b"RANK", b"COUNT", b"maxlen", b"0", b"1", b"2", b"-1", b"-2", b"x"]), 0, 6
)

PLAIN = [
    words("LPUSH", KEYS, some(VALUES, 1)),
    words("RPUSH", KEYS, some(VALUES, 1)),
    words("RPUSH", KEYS, some(VALUES, 1)),
    words("LPUSHX", KEYS, some(VALUES, 1)),
    words("RPUSHX", KEYS, some(VALUES, 1)),
    words("LPOP", KEYS, some(COUNTS, 0, 1)),
    words("RPOP", KEYS, some(COUNTS, 0, 2)),
    words("LMPOP", NUMKEYS, some(KEYS, 1), MPOP),
    words("LRANGE", KEYS, RANKS, RANKS),
    words("LRANGE", KEYS, st.just(b"0"), st.just(b"-1")),
    words("LLEN", KEYS),
    words("LINDEX", KEYS, RANKS),
    words("LSET", KEYS, RANKS, VALUES),
    words("LINSERT", KEYS, st.sampled_from([b"BEFORE", b"after", b"x"]), VALUES, VALUES),
    words("LREM", KEYS, st.sampled_from([b"0", b"1", b"-1", b"-2", b"x"]), VALUES),
    words("LTRIM", KEYS, RANKS, RANKS),
    words("LPOS", KEYS, VALUES, LPOS),
    words("LMOVE", KEYS, KEYS, SIDES, SIDES),
    words("RPOPLPUSH", KEYS, KEYS),
    words("SET", st.just(b"c"), VALUES),
    words("ZADD", st.just(b"b"), st.just(b"1"), VALUES),
    words("DEL", KEYS),
    words("TYPE", KEYS),
    words("COPY", KEYS, KEYS),
    words("RENAME", KEYS, KEYS),
    words("LPUSH", KEYS),
]
BLOCKING = [
    words("BLPOP", some(KEYS, 1), TIMEOUTS),
    words("BRPOP", some(KEYS, 1), TIMEOUTS),
    words("BLMOVE", KEYS, KEYS, SIDES, SIDES, TIMEOUTS),
    words("BRPOPLPUSH", KEYS, KEYS, TIMEOUTS),
    words("BLMPOP", TIMEOUTS, NUMKEYS, some(KEYS, 1), MPOP),
    words("BZPOPMIN", some(KEYS, 1), TIMEOUTS),
    words("BZPOPMAX", some(KEYS, 1), TIMEOUTS),
    words("BZMPOP", TIMEOUTS, NUMKEYS, some(KEYS, 1), ZMPOP),
]
TRANSACTION = some(st.one_of(*PLAIN, *BLOCKING), 1, 6).map(
    lambda commands: [[b"MULTI"], *commands, [b"EXEC"]]
)
COMMANDS = some(st.one_of(st.one_of(*PLAIN).map(lambda command: [command]), TRANSACTION), 1, 20)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(protocol=st.sampled_from([b"2", b"3"]), commands=COMMANDS)
@example(
    protocol=b"2", commands=[[[b"RPUSH", b"a", b"x"]], [[b"LMOVE", b"a", b"a", b"LEFT", b"x"]]]
)
def test_every_reply_is_the_one_of_redis(
    stock: str, protocol: bytes, commands: list[list[list[bytes]]]
) -> None:
    compare(stock, protocol, [command for group in commands for command in group])
