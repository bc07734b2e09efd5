"""LCS here and in a real Redis: the same text, the same places."""

import random
import shutil

import pytest
from resp_world import Caller, open_service
from stock_redis import running_redis
from twin import Stock, ours

from tests.needs import need


def test_the_same_text_at_the_same_places() -> None:
    need(shutil.which("redis-server") is not None, "redis-server is not installed")
    rng = random.Random(1)
    with running_redis() as path:
        redis, caller = Stock(path), Caller(open_service())
        for _time in range(500):
            for key in (b"a", b"b"):
                value = bytes(rng.choice(b"abcd") for _letter in range(rng.randrange(12)))
                assert redis.call([b"SET", key, value]) == ours(caller, [b"SET", key, value])
            for words in ([], [b"LEN"], [b"IDX", b"WITHMATCHLEN"], [b"IDX", b"MINMATCHLEN", b"2"]):
                command = [b"LCS", b"a", b"b", *words]
                assert redis.call(command) == ours(caller, command)
        redis.connection.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["LEN", "IDX"], "please just use IDX"),
        (["MINMATCHLEN"], "syntax error"),
        ([], "multiply to more than"),
    ],
)
def test_what_is_refused(words: list[str], said: str) -> None:
    caller = Caller(open_service())
    caller.call("SET", "a", "x" * 2000)
    caller.call("COPY", "a", "b")
    assert said in caller.refusal("LCS", "a", "b", *words)
    caller.call("SADD", "s", "m")
    assert "must contain string values" in caller.refusal("LCS", "a", "s")
