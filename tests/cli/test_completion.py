"""Completion scripts: they know every command and option, and their shells take them."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gossipnet.cli.catalogue import COMMANDS
from gossipnet.cli.completion import bash, fish, options, zsh
from tests.needs import need


def test_every_command_has_its_options() -> None:
    table = options()
    assert table.keys() == COMMANDS.keys()
    assert all("--home" in words and "--help" in words for words in table.values())
    assert "--ttl" in table["invite"]
    for script in (bash(), zsh(), fish()):
        assert all(name in script for name in COMMANDS)


def completed(line: str, tmp_path: Path) -> list[str]:
    """What bash offers at the end of ``line``."""
    words = line.split(" ")
    script = tmp_path / "completion"
    script.write_text(
        f"{bash()}\nCOMP_WORDS=({' '.join(repr(word) for word in words)})\n"
        f"COMP_CWORD={len(words) - 1}\n_gossipnet\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    )
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_offers_commands_and_options(tmp_path: Path) -> None:
    need(shutil.which("bash") is not None, "bash is not installed")
    assert completed("gossipnet mem", tmp_path) == ["members"]
    assert "--ttl" in completed("gossipnet invite --", tmp_path)
    assert completed("gossipnet --home /x invite --us", tmp_path) == ["--uses"]
    assert completed("gossipnet help stat", tmp_path) == ["status"]


@pytest.mark.parametrize(("shell", "script"), [("bash", bash), ("zsh", zsh), ("fish", fish)])
def test_the_shell_itself_takes_the_script(
    shell: str, script: Callable[[], str], tmp_path: Path
) -> None:
    need(shutil.which(shell) is not None, f"{shell} is not installed")
    path = tmp_path / "script"
    path.write_text(script())
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
