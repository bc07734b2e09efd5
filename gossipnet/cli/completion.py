"""``gossipnet completion``: what bash, zsh and fish need to complete this program's words.

The scripts are made from the same tables and parsers that carry the commands out, so they cannot
differ from them; they are static, so that a Tab starts no Python.
"""

import argparse
import importlib
import shlex

from gossipnet.cli.catalogue import COMMANDS as ALL
from gossipnet.cli.options import Command, build_parser
from gossipnet.cli.terminal import put, say

_FILES = ("--home", "--socket", "--token-file", "--out", "--output", "--log-file")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def _execute(arguments: argparse.Namespace) -> int:
    put({"bash": bash, "zsh": zsh, "fish": fish}[arguments.shell]())
    say(_INSTALL[arguments.shell])
    return 0


_INSTALL = {
    "bash": "Next: source <(gossipnet completion bash)   (in ~/.bashrc)",
    "zsh": "Next: source <(gossipnet completion zsh)   (in ~/.zshrc, after compinit)",
    "fish": "Next: gossipnet completion fish | source   (in config.fish)",
}


def options() -> dict[str, dict[str, str]]:
    """By command: each long option with its line of help."""
    table: dict[str, dict[str, str]] = {}
    for name, entry in ALL.items():
        command: Command = importlib.import_module(f"gossipnet.cli.{entry.module}").COMMANDS[name]
        parser = build_parser(name, entry.summary, command)
        table[name] = {
            word: "" if action.help in (None, argparse.SUPPRESS) else str(action.help)
            for action in parser._actions
            for word in action.option_strings
            if word.startswith("--")
        }
    return table


def bash() -> str:
    """A completion script for bash."""
    cases = "\n".join(
        f'    {name}) words="{" ".join(sorted(words))}" ;;' for name, words in options().items()
    )
    return f"""# bash completion for gossipnet
_gossipnet() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" verb="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{COMP_WORDS[i]}}" in
      --home|--socket) ((i++)) ;;
      -*) ;;
      *) verb="${{COMP_WORDS[i]}}"; break ;;
    esac
  done
  case "$before" in
    {"|".join(_FILES)}) COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  case "$verb" in
    "") words="{" ".join(ALL)} help --home --socket --json --help --version" ;;
    help) words="{" ".join(ALL)}" ;;
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _gossipnet gossipnet"""


def zsh() -> str:
    """A completion script for zsh."""
    verbs = "\n".join(
        f"    {shlex.quote(f'{name}:{entry.summary}')}" for name, entry in ALL.items()
    )
    cases = "\n".join(
        f"    {name}) _arguments -S "
        + " ".join(
            shlex.quote(f"{word}[{_plain(told)}]" + (": :_files" if word in _FILES else ""))
            for word, told in sorted(words.items())
        )
        + " '*: :_files' ;;"
        for name, words in options().items()
    )
    return f"""#compdef gossipnet
_gossipnet() {{
  local -a verbs
  verbs=(
{verbs}
  )
  if (( CURRENT == 2 )); then
    _describe -t commands 'gossipnet command' verbs
    return
  fi
  local verb=$words[2]
  shift words
  (( CURRENT-- ))
  case $verb in
{cases}
  esac
}}
compdef _gossipnet gossipnet"""


def fish() -> str:
    """A completion script for fish."""
    lines = ["# fish completion for gossipnet", "complete -c gossipnet -f"]
    for name, entry in ALL.items():
        lines.append(
            f"complete -c gossipnet -n __fish_use_subcommand -a {name} -d {_fish(entry.summary)}"
        )
    for name, words in options().items():
        for word, told in sorted(words.items()):
            lines.append(
                f"complete -c gossipnet -n '__fish_seen_subcommand_from {name}' "
                f"-l {word[2:]} -d {_fish(_plain(told))}" + (" -r -F" if word in _FILES else "")
            )
    return "\n".join(lines)


def _plain(told: str) -> str:
    """A line of help without what shells would read as their own."""
    return told.replace("[", "(").replace("]", ")").replace(":", ";").replace("%%", "%")


def _fish(told: str) -> str:
    escaped = told.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


COMMANDS = {
    "completion": Command(
        _configure,
        _execute,
        "source <(gossipnet completion bash)      in ~/.bashrc\n"
        "source <(gossipnet completion zsh)       in ~/.zshrc, after compinit\n"
        "gossipnet completion fish | source       in config.fish",
        json=False,
    )
}
