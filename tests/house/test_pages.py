"""The documents say what is there: files, tests and commands that they name exist."""

import re
import tomllib
from pathlib import Path

import pytest

from gossipnet.cli.catalogue import COMMANDS

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(
    page
    for folder in ("*.md", "docs/*.md", "keys/*.md", "examples/**/*.md")
    for page in ROOT.glob(folder)
    if page.is_file()
)


def page_name(page: Path) -> str:
    """What a page is called in test ids."""
    return str(page.relative_to(ROOT))


FOLDERS = r"(?:gossipnet|docs|tests|examples|benchmarks|keys)"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_named_files_exist(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(rf"`({FOLDERS}/[\w./-]*)(?:::\w+)?`", text))
    linked = set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text))
    missing = [name for name in sorted(named) if not (ROOT / name).exists()]
    missing += [link for link in sorted(linked) if not (page.parent / link).exists()]
    assert not missing, f"{page.name} names what is not there: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_named_tests_exist(page: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w./]+\.py)::(\w+)`", page.read_text()):
        source = (ROOT / path).read_text()
        assert re.search(rf"^ *(?:async )?def {name}\(", source, re.M), f"{path}::{name}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_named_commands_exist(page: Path) -> None:
    """Every ``gossipnet VERB`` in a code block or between backticks is a command."""
    text = page.read_text()
    code = "\n".join(re.findall(r"^```.*?^```", text, re.M | re.S)) + "\n".join(
        re.findall(r"`[^`\n]+`", text)
    )
    verbs = set(re.findall(r"(?:^|[\s`$(])gossipnet ([a-z]+)\b(?!,| key)", code))
    unknown = verbs - set(COMMANDS) - {"help"}
    assert not unknown, f"{page.name}: {sorted(unknown)}"


def test_dependencies_page_lists_exactly_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = set(project["dependencies"])
    asked |= {one for extra in project["optional-dependencies"].values() for one in extra}
    asked = {one for one in asked if not one.startswith("gossipnet[")}  # extras made of extras
    page = (ROOT / "docs" / "dependencies.md").read_text()
    explained = set(re.findall(r"^\| `([\w-]+>=[\d.]+)` \| \S", page, re.M))
    assert explained == asked
