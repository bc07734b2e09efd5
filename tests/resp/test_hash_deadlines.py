"""HEXPIRE and its like, as Redis 7.4 and 8 answer them."""

import pytest
from resp_world import WALL, Caller, LoneMesh, open_service


@pytest.fixture
def one() -> Caller:
    caller = Caller(open_service())
    caller.call("HSET", "h", "a", 1, "b", 2, "c", 3)
    return caller


def later(caller: Caller, seconds: float) -> None:
    mesh = caller.service.mesh
    assert isinstance(mesh, LoneMesh)
    mesh.touch(0.0, WALL + seconds)
    caller.service.wall_ms = int((WALL + seconds) * 1000)


def test_fields_end_by_themselves(one: Caller) -> None:
    assert one.call("HEXPIRE", "h", 10, "FIELDS", 3, "a", "none", "b") == [1, -2, 1]
    assert one.call("HTTL", "h", "FIELDS", 4, "a", "b", "c", "none") == [10, 10, -1, -2]
    assert one.call("HPTTL", "h", "FIELDS", 1, "a") == [10_000]
    assert one.call("HEXPIRETIME", "h", "FIELDS", 1, "a") == [int(WALL) + 10]
    assert one.call("HPEXPIRETIME", "h", "FIELDS", 1, "a") == [int(WALL * 1000) + 10_000]
    later(one, 11)
    assert one.call("HKEYS", "h") == [b"c"]
    assert one.call("HLEN", "h") == 1
    assert one.call("HGET", "h", "a") is None
    assert one.call("HTTL", "h", "FIELDS", 1, "a") == [-2]
    one.call("HPEXPIRE", "h", 10, "FIELDS", 1, "c")
    later(one, 12)
    assert one.call("EXISTS", "h") == 0
    assert one.call("HSET", "h", "a", "again") == 1
    assert one.call("HGETALL", "h") == [b"a", b"again"]


def test_conditions_and_what_is_over_already(one: Caller) -> None:
    assert one.call("HEXPIRE", "h", 10, "XX", "FIELDS", 1, "a") == [0]
    assert one.call("HEXPIRE", "h", 10, "NX", "FIELDS", 1, "a") == [1]
    assert one.call("HEXPIRE", "h", 5, "GT", "FIELDS", 1, "a") == [0]
    assert one.call("HEXPIRE", "h", 5, "LT", "FIELDS", 2, "a", "b") == [1, 1]
    assert one.call("HEXPIREAT", "h", 5, "FIELDS", 2, "a", "none") == [2, -2]
    assert one.call("HPEXPIREAT", "h", 1, "FIELDS", 2, "b", "c") == [2, 2]
    assert one.call("EXISTS", "h") == 0
    assert one.call("HEXPIRE", "h", 5, "FIELDS", 1, "a") == [-2]
    assert one.call("HTTL", "h", "FIELDS", 2, "a", "b") == [-2, -2]


def test_persist_and_assigning_take_deadlines_away(one: Caller) -> None:
    one.call("HEXPIRE", "h", 10, "FIELDS", 2, "a", "b")
    assert one.call("HPERSIST", "h", "FIELDS", 3, "a", "c", "none") == [1, -1, -2]
    one.call("HSET", "h", "b", "new")
    later(one, 20)
    assert one.call("HKEYS", "h") == [b"a", b"b", b"c"]
    one.call("HEXPIRE", "h", 10, "FIELDS", 1, "a")
    assert one.call("HINCRBY", "h", "a", 4) == 5
    assert one.call("HTTL", "h", "FIELDS", 1, "a") == [10]


def test_hgetdel_hgetex_hsetex(one: Caller) -> None:
    assert one.call("HGETDEL", "h", "FIELDS", 2, "a", "none") == [b"1", None]
    assert one.call("HGETEX", "h", "FIELDS", 1, "b") == [b"2"]
    assert one.call("HGETEX", "h", "EX", 10, "FIELDS", 2, "b", "none") == [b"2", None]
    assert one.call("HTTL", "h", "FIELDS", 1, "b") == [10]
    assert one.call("HGETEX", "h", "PERSIST", "FIELDS", 1, "b") == [b"2"]
    assert one.call("HTTL", "h", "FIELDS", 1, "b") == [-1]
    assert one.call("HSETEX", "h", "PX", 5000, "FIELDS", 2, "x", 1, "y", 2) == 1
    assert one.call("HTTL", "h", "FIELDS", 2, "x", "y") == [5, 5]
    assert one.call("HSETEX", "h", "KEEPTTL", "FIELDS", 1, "x", 9) == 1
    assert one.call("HTTL", "h", "FIELDS", 1, "x") == [5]
    assert one.call("HSETEX", "h", "FIELDS", 1, "x", 9) == 1
    assert one.call("HTTL", "h", "FIELDS", 1, "x") == [-1]
    assert one.call("HSETEX", "h", "FNX", "FIELDS", 2, "x", 1, "z", 1) == 0
    assert one.call("HSETEX", "h", "FXX", "FIELDS", 2, "x", 1, "z", 1) == 0
    assert one.call("HGETEX", "h", "EXAT", 1, "FIELDS", 1, "x") == [b"9"]
    assert one.call("HEXISTS", "h", "x") == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("HEXPIRE", "h", 1, "NX", "a", "b"), "Mandatory argument FIELDS is missing"),
        (("HEXPIRE", "h", 1, "FIELDS", 0, "a"), "Parameter `numFields` should be greater than 0"),
        (("HEXPIRE", "h", 1, "FIELDS", 2, "a"), "The `numfields` parameter must match"),
        (("HEXPIRE", "h", "x", "FIELDS", 1, "a"), "value is not an integer"),
        (("HEXPIRE", "h", 1 << 60, "FIELDS", 1, "a"), "invalid expire time in 'hexpire' command"),
        (("HEXPIRE", "h", 1, "GT", "LT", "FIELDS", 1, "a"), "GT and LT options"),
        (("HTTL", "h", "FIELDS", 5, "a"), "The `numfields` parameter must match"),
        (("HGETEX", "h", "FOO", "FIELDS", 1, "a"), "syntax error"),
        (("HSETEX", "h", "FIELDS", 1, "a", "1", "b"), "The `numfields` parameter must match"),
        (("HPERSIST", "h", "x", "y", "z"), "Mandatory argument FIELDS is missing"),
    ],
)
def test_what_is_refused(one: Caller, words: tuple[object, ...], text: str) -> None:
    assert one.refusal(*words).startswith(f"ERR {text}")


def test_other_types_are_refused_and_clients_are_told(one: Caller) -> None:
    one.call("SET", "s", "text")
    assert one.refusal("HEXPIRE", "s", 1, "FIELDS", 1, "a").startswith("WRONGTYPE")
    assert one.refusal("HTTL", "s", "FIELDS", 1, "a").startswith("WRONGTYPE")
    told: list[str] = []
    one.service.keyspace.on_change = lambda _key, event, _log, _stamp: told.append(event)
    one.call("HEXPIRE", "h", 1, "FIELDS", 1, "a")
    one.call("HPERSIST", "h", "FIELDS", 1, "a")
    one.call("HEXPIRE", "h", 1, "FIELDS", 1, "a")
    later(one, 2)
    assert told == ["hexpire", "hpersist", "hexpire", "hexpired"]
