"""What would be released: it has every file, is the same bytes from the same source, and runs.

``make release-check`` does the same with everything fetched from the package index.
"""

import email
import importlib.util
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.needs import need

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def build(source: Path, target: Path, umask: int) -> Mapping[str, bytes]:
    """Build an sdist and a wheel; what they are called and consist of."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(target)],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
        umask=umask,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return {path.name: path.read_bytes() for path in target.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist of this tree."""
    need(importlib.util.find_spec("hatchling") is not None, "hatchling is not installed")
    folder = tmp_path_factory.mktemp("built")
    build(ROOT, folder, 0o022)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


def test_from_an_unpacked_sdist_come_the_same_bytes(built: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = sdist.getnames()
        sdist.extractall(tmp_path, filter="data")
    unpacked = tmp_path / names[0].partition("/")[0]
    for path in unpacked.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    again = build(unpacked, tmp_path / "again", 0o077)
    first = {path.name: path.read_bytes() for path in built.iterdir()}
    assert again.keys() == first.keys()
    assert [name for name in first if again[name] != first[name]] == []


def test_the_sdist_has_what_its_pages_and_tests_need(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2].partition("/")[0] for name in sdist.getnames()}
    tracked = {
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "SECURITY.md",
        "benchmarks",
        "deploy",
        "docs",
        "examples",
        "gossipnet",
        "keys",
        "pyproject.toml",
        "tests",
    }
    assert tracked <= names
    assert names - tracked <= {".gitignore", "PKG-INFO"}


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "gossipnet").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"gossipnet/py.typed", "gossipnet/web/static/index.html"} <= expected
    found = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in found if name.startswith("gossipnet/")} == expected
    about = {name.partition("/")[2] for name in found - expected}
    assert {
        "METADATA",
        "RECORD",
        "entry_points.txt",
        "licenses/LICENSE",
        "data/share/man/man1/gossipnet.1",
    } <= about
    assert not [name for name in found if name.endswith((".key", ".db", ".sock"))]


def test_the_wheel_says_what_it_is_and_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        name = next(name for name in packed.namelist() if name.endswith("/METADATA"))
        said = email.message_from_bytes(packed.read(name))
    assert (said["Name"], said["Version"]) == ("gossipnet", PROJECT["version"])
    assert said["Requires-Python"] == PROJECT["requires-python"]
    assert said["License-Expression"] == PROJECT["license"]
    assert said["Description-Content-Type"] == "text/markdown"
    assert set(said.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    # `all` is everything that a user may want: an extra that is missing there would be forgotten.
    extras = set(PROJECT["optional-dependencies"]) - {"all", "dev"}
    assert PROJECT["optional-dependencies"]["all"] == [f"gossipnet[{','.join(sorted(extras))}]"]


def test_installed_from_the_wheel_it_runs(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    words = ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run([*pip, *words], check=True, timeout=60)
    # What it needs is taken from where these tests run; gossipnet itself is not there but in the
    # tree, as an editable installation is.
    (site,) = (venv / "lib").glob("python*/site-packages")
    needed = [path for path in sys.path if path.endswith("site-packages")]
    (site / "needed.pth").write_text("".join(f"{path}\n" for path in needed))

    def output(*command: str) -> str:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GOSSIPNET_", "PYTHON"))}
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**kept, "HOME": str(tmp_path), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    imported = output(str(python), "-c", "import gossipnet; print(gossipnet.__file__)")
    assert Path(imported.strip()).is_relative_to(venv)
    command = str(venv / "bin" / "gossipnet")
    assert PROJECT["version"] in output(command, "version")
    assert "All of it held." in output(command, "demo", "--once")
    assert (venv / "share" / "man" / "man1" / "gossipnet.1").is_file()
