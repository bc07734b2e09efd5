"""Places on the globe here and in a real Redis: same replies, same types, same error texts."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from resp_world import Caller, open_service
from twin import Stock, compare, numerically, ours, some, stock, words

__all__ = ["stock"]

KEYS = st.sampled_from([b"a", b"a", b"b", b"text", b"none"])
NAMES = st.sampled_from([b"x", b"y", b"z", b"none"])
DEGREES = st.one_of(
    st.sampled_from(
        [b"0", b"13.361389", b"38.115556", b"179.99", b"-179.99", b"85", b"-85", b"-3"]
    ),
    st.floats(-85, 85).map(lambda degrees: b"%.6f" % degrees),
)
ODD = st.sampled_from([b"200", b"-86", b"x", b"", b"nan", b"180", b"-180", b"85.05112878"])
PLACES = some(st.tuples(DEGREES, DEGREES, NAMES), 1, 3).map(
    lambda places: [word for place in places for word in place]
)
UNITS = st.sampled_from([b"m", b"KM", b"ft", b"mi"])
RADII = st.sampled_from([b"0", b"1", b"100", b"500", b"3000", b"9000", b"30000"])
SEARCH_FROM = st.one_of(
    st.tuples(st.just(b"FROMMEMBER"), NAMES),
    st.tuples(st.just(b"fromlonlat"), DEGREES, DEGREES),
).map(list)
SEARCH_BY = st.one_of(
    st.tuples(st.just(b"BYRADIUS"), RADII, UNITS), st.tuples(st.just(b"bybox"), RADII, RADII, UNITS)
).map(list)
OPTIONS = some(
    st.sampled_from([b"WITHDIST", b"withcoord", b"WITHHASH", b"ASC", b"DESC", b"COUNT", b"1", b"2"])
)
ANY = some(
    st.one_of(
        st.sampled_from([b"FROMMEMBER", b"FROMLONLAT", b"BYRADIUS", b"BYBOX", b"COUNT", b"ANY"]),
        st.sampled_from(
            [b"STORE", b"STOREDIST", b"b", b"0", b"-1", b"x", b"km", b"1", b"WITHDIST"]
        ),
        NAMES,
    ),
    0,
    7,
)

COMMANDS = st.one_of(
    words("GEOADD", KEYS, PLACES),
    words("GEOADD", KEYS, PLACES),
    words("GEOADD", KEYS, some(st.sampled_from([b"NX", b"xx", b"CH", b"GT"]), 0, 2), PLACES),
    # Redis's own search misses what lies on the edge, so it is put where nothing is searched.
    words("GEOADD", st.just(b"edge"), ODD, DEGREES, NAMES),
    words("GEOPOS", st.just(b"edge"), some(NAMES, 1)),
    words("GEOHASH", st.just(b"edge"), some(NAMES, 1)),
    words("GEOPOS", KEYS, some(NAMES, 1)),
    words("GEOHASH", KEYS, some(NAMES, 1)),
    words("GEODIST", KEYS, NAMES, NAMES, some(UNITS, 0, 1)),
    words("GEODIST", KEYS, NAMES, NAMES, st.just(b"x")),
    words("GEOSEARCH", KEYS, SEARCH_FROM, SEARCH_BY, OPTIONS),
    words("GEOSEARCH", KEYS, SEARCH_FROM, SEARCH_BY, OPTIONS),
    words("GEOSEARCH", KEYS, SEARCH_BY, SEARCH_FROM, OPTIONS),
    words("GEOSEARCH", KEYS, ANY),
    words("GEOSEARCH", KEYS, SEARCH_FROM, SEARCH_BY, ANY),
    words("GEOSEARCHSTORE", st.just(b"b"), KEYS, SEARCH_FROM, SEARCH_BY, ANY),
    words("GEORADIUS", KEYS, DEGREES, DEGREES, RADII, UNITS, OPTIONS),
    words("GEORADIUS", KEYS, DEGREES, DEGREES, RADII, UNITS, ANY),
    words("GEORADIUSBYMEMBER", KEYS, NAMES, RADII, UNITS, ANY),
    words("GEORADIUSBYMEMBER_RO", KEYS, NAMES, RADII, UNITS, ANY),
    words("GEORADIUS_RO", KEYS, DEGREES, DEGREES, RADII, UNITS, ANY),
    words(
        "ZRANGE",
        st.sampled_from([b"a", b"b"]),
        st.just(b"0"),
        st.just(b"-1"),
        st.just(b"WITHSCORES"),
    ),
    words("SET", st.just(b"text"), NAMES),
    words("DEL", KEYS),
    words("GEOADD", KEYS),
)


def alike(reply: Any, name: bytes) -> Any:
    """What was not asked for in an order comes in any."""
    found = numerically(reply, name)
    if name.startswith((b"GEOSEARCH", b"GEORADIUS")) and isinstance(found, list):
        return sorted(found, key=repr)
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(protocol=st.sampled_from([b"2", b"3"]), commands=some(COMMANDS, 1, 20))
@example(
    protocol=b"2",
    commands=[[b"GEOADD", b"edge", b"180", b"85.05112878", b"x"], [b"GEOPOS", b"edge", b"x"]],
)
def test_every_reply_is_the_one_of_redis(
    stock: str, protocol: bytes, commands: list[list[bytes]]
) -> None:
    # ANY takes what the server finds first, which is its own affair.
    told = [command for command in commands if b"ANY" not in command or b"COUNT" not in command]
    compare(stock, protocol, told, alike)


@pytest.mark.parametrize("edge", [(b"180", b"0"), (b"0", b"85.05112878")])
def test_what_lies_on_the_edge_is_found_where_geodist_says_it_is(
    stock: str, edge: tuple[bytes, bytes]
) -> None:
    redis, caller = Stock(stock), Caller(open_service())
    try:
        for add in ([b"GEOADD", b"a", *edge, b"x"], [b"GEOADD", b"a", b"0", b"0", b"middle"]):
            assert redis.call(add) == ours(caller, add) == 1
        far = [b"GEODIST", b"a", b"middle", b"x", b"km"]
        assert float(redis.call(far)) == float(ours(caller, far)) < 30_000
        search = [b"GEOSEARCH", b"a", b"FROMMEMBER", b"middle", b"BYRADIUS", b"30000", b"km"]
        assert redis.call(search) == [b"middle"]  # and so it is in docs/commands.md
        assert sorted(ours(caller, search)) == [b"middle", b"x"]
    finally:
        redis.connection.close()
