"""Bits of strings here and in a real Redis: same replies, same types, same error texts."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twin import compare, some, stock, words

__all__ = ["stock"]

KEYS = st.sampled_from([b"a", b"b", b"c", b"none"])
VALUES = st.sampled_from([b"", b"\x00", b"\xff", b"\xff\xf0\x00", b"\x00\x00\x01", b"foobar", b"7"])
OFFSETS = st.sampled_from([b"0", b"1", b"7", b"8", b"23", b"100", b"-1", b"x", b"", b"4294967296"])
BITS = st.sampled_from([b"0", b"1", b"2", b"x", b"-1"])
ENDS = some(
    st.sampled_from([b"0", b"1", b"2", b"-1", b"-2", b"9", b"-20", b"x", b"BIT", b"byte"]), 0, 4
)
RANGE = st.tuples(
    st.sampled_from([b"0", b"1", b"-1", b"-2", b"5", b"-30"]),
    st.sampled_from([b"0", b"1", b"-1", b"-2", b"5", b"13", b"100"]),
    st.sampled_from([b"BIT", b"byte"]),
).map(list)
TYPES = st.sampled_from([b"u1", b"u8", b"i8", b"i5", b"u63", b"i64", b"u64", b"i65", b"u0", b"x"])
PLACES = st.sampled_from([b"0", b"1", b"#1", b"#0", b"13", b"100", b"-1", b"#x", b"x"])
NUMBERS = st.sampled_from(
    [b"0", b"1", b"-1", b"200", b"-129", b"300", b"9223372036854775807", b"-9223372036854775808"]
)
OVERFLOW = st.tuples(st.just(b"OVERFLOW"), st.sampled_from([b"WRAP", b"sat", b"FAIL", b"x"]))
FIELDS = some(
    st.one_of(
        st.tuples(st.just(b"GET"), TYPES, PLACES),
        st.tuples(st.sampled_from([b"SET", b"incrby"]), TYPES, PLACES, NUMBERS),
        OVERFLOW,
    ),
    0,
    4,
).map(lambda fields: [word for field in fields for word in field])

COMMANDS = st.one_of(
    words("SET", KEYS, VALUES),
    words("SETBIT", KEYS, OFFSETS, BITS),
    words("GETBIT", KEYS, OFFSETS),
    words("BITCOUNT", KEYS, ENDS),
    words("BITCOUNT", KEYS, RANGE),
    words("BITPOS", KEYS, BITS, ENDS),
    words("BITPOS", KEYS, BITS, RANGE),
    words("BITOP", st.sampled_from([b"AND", b"or", b"XOR", b"NOT", b"x"]), KEYS, some(KEYS, 1)),
    words("BITFIELD", KEYS, FIELDS),
    words("BITFIELD", KEYS, FIELDS),
    words("BITFIELD_RO", KEYS, FIELDS),
    words("GET", KEYS),
    words("SADD", st.just(b"c"), VALUES),
    words("DEL", KEYS),
    words("SETBIT", KEYS),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(protocol=st.sampled_from([b"2", b"3"]), commands=some(COMMANDS, 1, 20))
@example(protocol=b"2", commands=[[b"SET", b"a", b"\xff"], [b"BITPOS", b"a", b"0"]])
def test_every_reply_is_the_one_of_redis(
    stock: str, protocol: bytes, commands: list[list[bytes]]
) -> None:
    compare(stock, protocol, commands)
