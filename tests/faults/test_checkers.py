"""The checkers find what is wrong in histories made wrong on purpose, and nothing in good ones."""

from math import inf

from history import (
    FAIL,
    INFO,
    History,
    Op,
    counter,
    false_deaths,
    gaps,
    late,
    lost,
    phantoms,
    torn,
    unequal,
    vanished,
    visible_after,
    wrong_tables,
)


def add(value: str, outcome: str = "ok", node: str = "a", at: float = 0.0) -> Op:
    return Op(node, "add", value, at, at + 0.1, outcome)


def read(value: set[str], node: str = "a", at: float = 1.0) -> Op:
    return Op(node, "read", value, at, at + 0.1)


def test_lost() -> None:
    history = History([add("1"), add("2"), add("3", INFO), add("4", FAIL)])
    assert lost(history, {"a": {"1", "2"}, "b": {"1", "2", "3"}}) == []
    (found,) = lost(history, {"a": {"1", "2"}, "b": {"1"}})
    assert found == "b lost 1 of 2 acknowledged, among them '2'"


def test_phantoms() -> None:
    history = History([add("1"), add("2", INFO), add("3", FAIL)])
    assert phantoms(history, {"a": {"1", "2"}}) == []
    assert "'9'" in phantoms(history, {"a": {"1", "9"}})[0]
    assert "'3'" in phantoms(history, {"a": {"3"}})[0], "what was refused is not there"
    history.ops.append(read({"8"}))
    assert "'8'" in phantoms(history, {"a": {"1"}})[0], "also in between"


def test_vanished() -> None:
    good = [read({"1"}, at=1), read({"1", "2"}, at=2), read({"1"}, "b", at=3)]
    assert vanished(History(good)) == []
    assert vanished(History([*good, read({"2"}, at=4)])) == ["a no longer shows 1, among them '1'"]
    overlapping = [Op("a", "read", {"1", "2"}, 1.0, 2.0), Op("a", "read", {"1"}, 1.5, 2.5)]
    assert vanished(History(overlapping)) == [], "either may have been answered first"


def test_counter() -> None:
    counts = [
        Op("a", "count", 5, 0, 1),
        Op("a", "count", -2, 0, 1),
        Op("b", "count", 10, 0, 1, INFO),
        Op("b", "count", 100, 0, 1, FAIL),
    ]
    assert counter(History(counts), {"a": 3, "b": 13}) == []
    assert counter(History(counts), {"a": 2}) == ["a ends with 2, outside 3..13"]
    assert counter(History(counts), {"a": 103}) == ["a ends with 103, outside 3..13"]
    high, low = Op("a", "sum", 16, 2, 3), Op("a", "sum", -3, 2, 3)
    assert len(counter(History([*counts, high, low]), {})) == 2


def test_torn() -> None:
    assert torn(History([Op("a", "pair", (b"1", b"1"), 0, 1)])) == []
    assert len(torn(History([Op("a", "pair", (b"1", b"2"), 0, 1)]))) == 1


def test_gaps() -> None:
    adds = [add("1", at=0), add("2", INFO, at=1), add("3", at=2), add("4", node="b", at=0)]
    assert gaps(History([*adds, read({"1", "3"}), read({"1"}), read({"4"}), read(set())])) == []
    assert gaps(History([*adds, read({"3", "4"})])) == [
        "a shows what a wrote after '1', but not that"
    ]


def test_unequal() -> None:
    assert unequal({"a": {"k": 1}, "b": {"k": 1}}) == []
    assert "'k'" in unequal({"a": {"k": 1}, "b": {"k": 2}})[0]
    assert "'more'" in unequal({"a": {"k": 1}, "b": {"k": 1, "more": 2}})[0]


def test_wrong_tables() -> None:
    truth = {"a": "alive", "b": "dead"}
    assert wrong_tables({"a": truth}, truth) == []
    assert wrong_tables({"a": {"a": "alive"}}, truth) == ["a shows b as None, and it is dead"]
    ghost = {**truth, "c": "alive"}
    assert wrong_tables({"a": ghost}, truth) == ["a shows c as alive, and it is None"]


def test_false_deaths() -> None:
    rows = [
        {"kind": "member-dead", "text": "b is dead: a majority of its observers agree"},
        {"kind": "member-suspect", "text": "c is suspected"},
    ]
    assert false_deaths({"a": rows}, ["b"]) == []
    assert len(false_deaths({"a": rows}, ["c"])) == 1


def test_visible_after() -> None:
    history = History(
        [
            add("1", at=0.0),
            add("2", at=0.0),
            read({"1"}, "a", at=0.5),
            read({"1"}, "b", at=1.0),
            read({"1", "2"}, "a", at=2.0),
        ]
    )
    seconds = visible_after(history, ["a", "b"])
    assert round(seconds["1"], 3) == 1.0
    assert seconds["2"] == inf


def test_late() -> None:
    history = History([add("1", at=0.0), read({"1"}, at=5.0), read({"1"}, at=9.0)])
    assert late(history, ["a"], within=6) == []
    assert late(history, ["a"], within=2) == ["'1' of a took 5.0 s to be seen everywhere"]
    assert late(history, ["a"], within=2, until=1.0) == [], "there was no time for it"
    history.ops.append(add("2", at=1.0))
    assert "'2'" in late(history, ["a"], within=6)[0], "never seen"
