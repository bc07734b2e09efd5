"""Pages about the shell's commands, made from the parsers that read them; used by `write_tables`.

`docs/cli.md` for the browser and `deploy/man/gossipnet.1` for `man`.
"""

import argparse
import importlib
import re

from gossipnet.cli.catalogue import COMMANDS, GROUPS
from gossipnet.cli.options import Command, build_parser

_SHARED = {"-h", "--help", "--home", "--json", "--socket"}
_CODES = (
    ("0", "fine"),
    ("1", "failed"),
    ("2", "the words were off"),
    ("3", "no daemon answers"),
    ("4", "denied"),
    ("5", "not found"),
    ("6", "timed out, or only in part"),
)
_HEAD = """\
Made by `docs/write_tables.py` from the parsers themselves. Every command takes `--home DIR` (else
`$GOSSIPNET_HOME`, else `~/.local/share/gossipnet`) and `--help`; what shows something takes
`--json`, one document with stable keys; what talks to the daemon takes `--socket PATH`.
Data goes to standard output, talk to standard error; `NO_COLOR` is heeded.
"""
_NAGIOS = """\
`gossipnet check` alone ends with the codes of Nagios plugins: 0 ok, 1 warning, 2 critical,
3 unknown.
"""
_FILES = (
    ("HOME/config.toml", "settings, all optional"),
    ("HOME/gossipnet.sock", "the local socket, mode 0600"),
    ("HOME/state.db", "the replicated state"),
    ("HOME/identity.key, HOME/identity.cert", "who this node is"),
)


def _command(name: str) -> Command:
    module = importlib.import_module(f"gossipnet.cli.{COMMANDS[name].module}")
    found: Command = module.COMMANDS[name]
    return found


def _actions(name: str) -> list[argparse.Action]:
    parser = build_parser(name, COMMANDS[name].summary, _command(name))
    return [
        action
        for action in parser._actions
        if not _SHARED & set(action.option_strings) and action.help != argparse.SUPPRESS
    ]


def _written(action: argparse.Action) -> str:
    """How an argument is typed."""
    value = ""
    if action.nargs != 0:
        choices = "|".join(map(str, action.choices)) if action.choices else ""
        shown = action.metavar or choices or (action.dest or "").upper()
        value = " ".join(shown) if isinstance(shown, tuple) else str(shown)
    if not action.option_strings:
        return value
    return ", ".join(action.option_strings) + (f" {value}" if value else "")


def _told(action: argparse.Action) -> str:
    return re.sub(r"\s+", " ", (action.help or "").replace("%%", "%")).strip()


def cli_page(_text: str) -> str:
    """``docs/cli.md``."""
    parts = [
        "# The shell's commands",
        "",
        *_HEAD.splitlines(),
        "",
        "| exit code | means |",
        "|---|---|",
        *(f"| {code} | {told} |" for code, told in _CODES),
        "",
        *_NAGIOS.splitlines(),
        "",
    ]
    for group, entries in GROUPS.items():
        parts += [f"## {group}", ""]
        for name, entry in entries.items():
            parts += [
                f"### gossipnet {name}",
                "",
                f"{entry.summary[0].upper()}{entry.summary[1:]}.",
            ]
            parts += ["", "```", *_command(name).example.strip().splitlines(), "```", ""]
            if actions := _actions(name):
                parts += ["| argument | |", "|---|---|"]
                parts += [f"| `{_cell(_written(one))}` | {_cell(_told(one))} |" for one in actions]
                parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def man_page(_text: str) -> str:
    """``gossipnet.1``, in the man macros of groff_man(7)."""
    lines = [
        '.\\" Made by docs/write_tables.py.',
        '.TH GOSSIPNET 1 "" "gossipnet" "User Commands"',
        ".SH NAME",
        "gossipnet \\- state that your machines share with no server",
        ".SH SYNOPSIS",
        ".B gossipnet",
        "[\\-\\-home DIR] COMMAND [ARGUMENTS]",
        ".SH COMMANDS",
    ]
    for group, entries in GROUPS.items():
        lines.append(f'.SS "{_roff(group)}"')
        for name, entry in entries.items():
            positional = [_written(one) for one in _actions(name) if not one.option_strings]
            lines += [".TP", f".B gossipnet {_roff(' '.join([name, *positional]))}"]
            lines.append(_roff(f"{entry.summary[0].upper()}{entry.summary[1:]}."))
            for one in _actions(name):
                if one.option_strings:
                    lines += [
                        ".RS",
                        ".TP",
                        f".B {_roff(_written(one))}",
                        _roff(_told(one)) or "\\&",
                    ]
                    lines.append(".RE")
    lines += [".SH EXIT STATUS"]
    for code, told in _CODES:
        lines += [".TP", f".B {code}", _roff(told)]
    lines += [".SH FILES"]
    for path, told in _FILES:
        lines += [".TP", f".I {_roff(path)}", _roff(told)]
    lines += [
        ".SH ENVIRONMENT",
        "GOSSIPNET_HOME, GOSSIPNET_SOCKET, GOSSIPNET_ with the upper\\-case name of any setting;",
        "NO_COLOR.",
    ]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Text that groff takes as it is: no macro where a line begins, hyphens that can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
