"""What of sorted sets the Redis at hand cannot confirm: it is too old for it, or differs."""

from resp_world import Caller, open_service


def test_ranks_with_scores() -> None:
    caller = Caller(open_service(), protocol=3)
    caller.call("ZADD", "z", 1, "a", 2.5, "b")
    assert caller.call("ZRANK", "z", "b", "WITHSCORE") == [1, 2.5]
    assert caller.call("ZREVRANK", "z", "b", "withscore") == [0, 2.5]
    assert caller.raw("ZRANK", "z", "none", "WITHSCORE") == b"_\r\n"
    assert caller.refusal("ZRANK", "z", "a", "WITHSCORES") == "ERR syntax error"
    assert caller.refusal("ZRANK", "z", "a", "WITHSCORE", "x").startswith("ERR wrong number")
    old = Caller(caller.service)
    assert old.call("ZRANK", "z", "b", "WITHSCORE") == [1, b"2.5"]
    assert old.raw("ZRANK", "z", "none", "WITHSCORE") == b"*-1\r\n"


def test_scores_are_written_in_the_fewest_digits() -> None:
    caller = Caller(open_service())
    for text in (
        b"1.1",
        b"0.1",
        b"3",
        b"1234567890123456",
        b"1e+20",
        b"-inf",
        b"0.30000000000000004",
    ):
        caller.call("ZADD", "z", text, "m")
        assert caller.call("ZSCORE", "z", "m") == text


def test_sums_are_rounded_once() -> None:
    caller = Caller(open_service())
    caller.call("ZADD", "z", "0.1", "m")
    caller.call("ZINCRBY", "z", "0.2", "m")
    assert caller.call("ZINCRBY", "z", "0.3", "m") == b"0.6"  # Redis: 0.6000000000000001


def test_a_range_of_a_large_set() -> None:
    caller = Caller(open_service())
    for start in range(0, 5000, 500):
        caller.call("ZADD", "z", *(w for n in range(start, start + 500) for w in (n % 700, n)))
    expected = sorted((n % 700, b"%d" % n) for n in range(5000))
    assert caller.call("ZRANGE", "z", 0, -1) == [name for _score, name in expected]
    assert caller.call("ZREVRANGE", "z", 1000, 1001) == [expected[-1001][1], expected[-1002][1]]
    assert caller.call("ZCOUNT", "z", "(10", 20) == sum(10 < score <= 20 for score, _ in expected)
    for rank in (0, 1, 1023, 1024, 2500, 4999):
        assert caller.call("ZRANK", "z", expected[rank][1]) == rank
    assert caller.call("ZREMRANGEBYRANK", "z", 10, -11) == 4980
    assert caller.call("ZRANGE", "z", 0, -1) == [n for _s, n in expected[:10] + expected[-10:]]
