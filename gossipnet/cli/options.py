"""The options that every command shares, and the parser that speaks to people."""

import argparse
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

from gossipnet.config import Settings, home_path, load, nearest, split_address
from gossipnet.errors import UsageError


class Command(NamedTuple):
    """What a command's module gives to the dispatcher.

    Attributes:
      configure: Adds the command's own arguments to its parser.
      execute: Does the work; returns the exit code.
      example: Lines that help leads with, each a command that works.
      json: Whether it takes ``--json``.
    """

    configure: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace], int]
    example: str
    json: bool = True


class Parser(argparse.ArgumentParser):
    """argparse whose complaints are one sentence with a remedy, raised as `UsageError`."""

    def error(self, message: str) -> NoReturn:
        """Refuse the words given."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def parse_whole(self, words: list[str]) -> argparse.Namespace:
        """Parse ``words``; what is left over is refused with the nearest right option."""
        # argparse itself takes no `join TOKEN --name rpi HOST:PORT`, for it gives all positional
        # arguments their words at the first one; but what takes "the rest" must be parsed so.
        rest = any(action.nargs == argparse.REMAINDER for action in self._actions)
        parse = self.parse_known_args if rest else self.parse_known_intermixed_args
        known, extra = parse(words)
        if extra:
            word = extra[0].split("=")[0]
            if word in self._option_string_actions:
                self.error(f"{word} is not expected here: options stand before the --")
            near = nearest(word, list(self._option_string_actions)) if word[:1] == "-" else None
            hint = f": did you mean {near}?" if near else ""
            self.error(f"{shlex.quote(extra[0])} is not expected here{hint}")
        return known


def build_parser(name: str, summary: str, command: Command) -> Parser:
    """The parser of one command, its own options first and the shared ones last."""
    parser = Parser(
        prog=f"gossipnet {name}",
        description=f"{summary[0].upper()}{summary[1:]}.\n\nexamples:\n{_indented(command.example)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.configure(parser)
    shared = parser.add_argument_group("everywhere")
    shared.add_argument(
        "--home",
        metavar="DIR",
        help="home folder (else $GOSSIPNET_HOME, else ~/.local/share/gossipnet)",
    )
    if command.json:
        shared.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser


def add_socket(parser: argparse.ArgumentParser) -> None:
    """The option of every command that talks to the daemon."""
    parser.add_argument(
        "--socket", metavar="PATH", help="local socket (default HOME/gossipnet.sock)"
    )


def listen_address(written: str) -> str:
    """``HOST:PORT`` as it is, for argparse; its complaint otherwise."""
    try:
        split_address(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return written


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings under these flags, this environment and the home's file."""
    return load(vars(arguments), os.environ)


def home_of(arguments: argparse.Namespace) -> Path:
    """The home folder that the words and the environment point at."""
    return home_path(arguments.home, os.environ)


def suggestion(arguments: argparse.Namespace, words: str) -> str:
    """A command to type next, complete: it names the home if this one was told its home."""
    home = f" --home {shlex.quote(arguments.home)}" if arguments.home else ""
    verb, _, rest = words.partition(" ")
    return f"gossipnet {verb}{home}{' ' + rest if rest else ''}"


def completed(arguments: argparse.Namespace, text: str) -> str:
    """A text in which each command in backquotes names the home that this one was told."""
    return re.sub(r"`gossipnet (\w+)", lambda found: f"`{suggestion(arguments, found[1])}", text)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())
