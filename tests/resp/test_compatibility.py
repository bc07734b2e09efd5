"""Random calls of every command are answered as Redis does, but for what is explained."""

import os
import re
import shutil

import pytest
from asking import INCOMPARABLE, comparable
from compatibility import PAGE, Comparison, explained
from stock_redis import running_redis

from gossipnet.resp.catalogue import REFUSED
from tests.needs import need

SOAK = bool(os.environ.get("GOSSIPNET_SOAK"))


@pytest.mark.parametrize("seed", range(100 if SOAK else 1))
def test_no_reply_differs_without_a_reason(seed: int) -> None:
    need(shutil.which("redis-server") is not None, "redis-server is not installed")
    found = Comparison()
    with running_redis() as path:
        found.run(path, 20_000 if SOAK else 8000, seed + 1000)
    assert not found.unexplained()
    assert sum(found.same.values()) > 0.9 * sum(found.asked.values())


def test_a_difference_is_explained_only_where_one_is_known() -> None:
    assert explained("incr", ("error", "ERR increment or decrement would overflow (59-bit)"))
    assert not explained("incr", 7)
    assert not explained("get", b"x")


def test_the_page_tells_of_every_command() -> None:
    page = PAGE.read_text()
    names = [row.name for row in comparable()] + list(INCOMPARABLE)
    names += [name.decode() for name in REFUSED]
    missing = {name.upper().replace("|", " ") for name in names} - set(re.split(r" *[|,\n] ", page))
    assert not missing, "write it anew: python tests/resp/compatibility.py"
    assert len(comparable()) > 150
