"""Pages that follow from the code have not fallen behind it."""

import runpy
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
sys.path.insert(0, str(DOCS))  # its pages about the shell stand in a module of their own
PAGES = runpy.run_path(str(DOCS / "write_tables.py"))["PAGES"]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_page_is_up_to_date(name: str) -> None:
    text = (DOCS / name).read_text()
    assert PAGES[name](text) == text, "run `python docs/write_tables.py` and look at what changed"
