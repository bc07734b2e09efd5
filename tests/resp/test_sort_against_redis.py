"""SORT here and in a real Redis: same replies, same types, same error texts."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twin import compare, some, stock, words

__all__ = ["stock"]

KEYS = st.sampled_from([b"l", b"s", b"z", b"text", b"none"])
VALUES = st.sampled_from([b"1", b"10", b"-2", b"3.5", b"x", b"", b" 7", b"1e2", b"inf"])
WEIGHTS = st.sampled_from([b"w_1", b"w_10", b"w_-2", b"w_x", b"w_3.5"])
HASHES = st.sampled_from([b"h_1", b"h_10", b"h_x"])
OPTION = st.one_of(
    st.sampled_from([[b"ASC"], [b"desc"], [b"ALPHA"], [b"ALPHA"], [b"BY"], [b"GET"], [b"x"]]),
    st.tuples(st.just(b"LIMIT"), *[st.sampled_from([b"0", b"1", b"-1", b"2", b"100", b"x"])] * 2),
    # Of equal weights Redis promises no order, so that ALPHA with BY has a test of its own.
    st.tuples(st.just(b"BY"), st.sampled_from([b"nosort", b"w_*", b"h_*->f", b"*"])),
    st.tuples(st.just(b"GET"), st.sampled_from([b"#", b"w_*", b"h_*->f", b"h_*->", b"w", b"*->f"])),
    st.tuples(st.just(b"STORE"), st.sampled_from([b"l", b"d"])),
).map(list)
OPTIONS = some(OPTION, 0, 4).map(lambda options: [word for option in options for word in option])


def is_decided(command: list[bytes]) -> bool:
    """Whether the order of the reply is."""
    upper = [word.upper() for word in command]
    alpha = b"ALPHA" in upper and b"BY" in upper
    return not alpha and not (b"NOSORT" in upper and command[1] == b"s")


COMMANDS = st.one_of(
    words("RPUSH", st.just(b"l"), some(VALUES, 1)),
    words("SADD", st.just(b"s"), some(VALUES, 1)),
    words("ZADD", st.just(b"z"), st.sampled_from([b"1", b"2"]), VALUES),
    words("SET", st.just(b"text"), VALUES),
    words("SET", WEIGHTS, VALUES),
    words("HSET", HASHES, st.just(b"f"), VALUES),
    words("SORT", KEYS, OPTIONS).filter(is_decided),
    words("SORT", KEYS, OPTIONS).filter(is_decided),
    words("SORT_RO", KEYS, OPTIONS).filter(is_decided),
    words("LRANGE", st.sampled_from([b"d", b"l"]), st.just(b"0"), st.just(b"-1")),
    words("DEL", KEYS),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(protocol=st.sampled_from([b"2", b"3"]), commands=some(COMMANDS, 1, 20))
@example(
    protocol=b"2",
    commands=[
        [b"SADD", b"s", b"b", b"a"],
        [b"SORT", b"s", b"BY", b"nosort", b"STORE", b"d"],
        [b"LRANGE", b"d", b"0", b"-1"],
    ],
)
@example(
    protocol=b"3",
    commands=[
        [b"RPUSH", b"l", b"1", b"10", b"x"],
        [b"SET", b"w_1", b"c"],
        [b"SET", b"w_x", b"b"],
        [b"SORT", b"l", b"BY", b"w_*", b"ALPHA"],
        [b"SORT", b"l", b"BY", b"w_*", b"ALPHA", b"DESC", b"GET", b"#", b"GET", b"w_*"],
    ],
)
def test_every_reply_is_the_one_of_redis(
    stock: str, protocol: bytes, commands: list[list[bytes]]
) -> None:
    compare(stock, protocol, commands)
