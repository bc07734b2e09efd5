"""How files are laid out, so that any folders of tests can run together, in any order."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_test_modules_have_names_of_their_own() -> None:
    names = Counter(page.stem for page in ROOT.glob("tests/**/*.py") if page.name != "conftest.py")
    assert not [name for name, count in names.items() if count > 1]


def test_nothing_is_imported_from_whichever_conftest_came_first() -> None:
    pattern = re.compile(r"^\s*(?:from|import) conftest\b", re.M)
    guilty = [str(page) for page in ROOT.glob("tests/**/*.py") if pattern.search(page.read_text())]
    assert not guilty


def test_modules_are_small_enough_to_read_at_once() -> None:
    sizes = {page: page.read_text().count("\n") for page in ROOT.glob("gossipnet/**/*.py")}
    assert not {str(page): lines for page, lines in sizes.items() if lines > 400}
