"""Every row of the threat table names the tests that prove it, and these exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NO_DATAGRAMS = {13, 14}
"""Rows about datagrams: gossipnet speaks over streams only."""


def rows() -> dict[int, list[str]]:
    """Row number: names of its tests."""
    text = (ROOT / "SECURITY.md").read_text().partition("## The threats")[2]
    return {
        int(number): re.findall(r"::(\w+)`", rest)
        for number, rest in re.findall(r"^\| (\d+) \|(.*)$", text, re.M)
    }


def written() -> set[str]:
    """All tests that are named after a row."""
    return {
        name
        for file in (ROOT / "tests" / "security").glob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_row_\d\d_\w+)\(", file.read_text(), re.M)
    }


def test_all_forty_rows_are_there_and_name_a_test_of_theirs() -> None:
    table = rows()
    assert sorted(table) == list(range(1, 41))
    tests = written()
    for number, names in table.items():
        own = [name for name in names if name.startswith(f"test_row_{number:02}_")]
        assert bool(own) == (number not in NO_DATAGRAMS), number
        assert set(own) <= tests, number


def test_every_test_of_a_row_is_named_in_the_table() -> None:
    named = {name for names in rows().values() for name in names}
    assert written() <= named
