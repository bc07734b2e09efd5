"""The entry point: finds the command, loads only its module, and turns failures into one sentence.

Exit codes: 0 fine, 1 failed, 2 usage, 3 no daemon, 4 denied, 5 not found, 6 timed out or partial,
130 interrupted.
"""

import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gossipnet.cli.catalogue import COMMANDS, GROUPS
from gossipnet.errors import RemoteProtocolError, UsageError, UserError

if TYPE_CHECKING:
    from gossipnet.cli.options import Command

_EXIT_CODES = "0 fine, 1 failed, 2 usage, 3 no daemon, 4 denied, 5 not found, 6 timed out"
_LEADING = ("--home", "--socket", "--json", "--help", "-h", "--version")


def main(words: list[str] | None = None) -> int:
    """Run one command.

    Args:
      words: The command line without the program's name; None takes ``sys.argv``.

    Returns:
      The exit code.
    """
    try:
        _forgive(sys.stdout)
        return _dispatch(sys.argv[1:] if words is None else words)
    except UserError as error:
        return _complain(str(error), error.exit_code)
    except RemoteProtocolError as error:
        return _complain(f"the other side broke the protocol: {error}", 1)
    except KeyboardInterrupt:
        return 130
    except EOFError:
        # Only prompts raise it: somebody pressed Ctrl-D where a passphrase was asked for.
        return _complain("the input ended where an answer was asked for: run it again", 2)
    except BrokenPipeError:
        _drop_output()  # its reader is gone
        return 1
    except OSError as error:
        return _environment(error)
    except Exception as error:
        return _bug(error)


def _drop_output() -> None:
    """Else Python would fail once more, over what is left to write, while it shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _environment(error: OSError) -> int:
    """A file that is not ours, or a full disk, is no fault of the program; other errors may be."""
    if error.filename is not None and not os.environ.get("GOSSIPNET_DEBUG"):
        return _complain(f"cannot use {os.fsdecode(error.filename)}: {error.strerror}", 1)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        _drop_output()
        return _complain(f"cannot write the output: {error.strerror}", 1)
    return _bug(error)


def _bug(error: Exception) -> int:
    if os.environ.get("GOSSIPNET_DEBUG"):
        raise error
    return _complain(
        f"this is a bug in gossipnet: {type(error).__name__}: {error} "
        "(run it again with GOSSIPNET_DEBUG=1 to see where)",
        1,
    )


def _forgive(stream: object) -> None:
    """Have what a terminal's encoding lacks (a locale of plain ASCII, say) shown as an escape."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _complain(text: str, code: int) -> int:
    print(f"gossipnet: {text}", file=sys.stderr)
    return code


def _dispatch(words: list[str]) -> int:
    shared, rest = _leading_options(words)
    if not rest:
        asked = any(word in ("-h", "--help") for word in shared)
        if "--version" in shared:
            rest = ["version"]
            shared.remove("--version")
        elif shared and not asked:
            _refuse_unknown(shared)
            raise UsageError("no command is given; see gossipnet --help")
        else:
            print(_overview(), file=sys.stdout if asked else sys.stderr)
            return 0 if asked else 2
    name, rest = rest[0], rest[1:]
    if name == "help":
        if not rest or rest[0] in ("-h", "--help"):
            print(_overview())
            return 0
        name, rest = rest[0], ["--help"]
    entry = COMMANDS.get(name)
    if entry is None:
        _refuse_unknown(shared)  # its value would be taken for the command
        raise UsageError(f"{name!r} is not a command{_hint(name)}; see gossipnet --help")
    from gossipnet.cli.options import build_parser

    module = importlib.import_module(f"gossipnet.cli.{entry.module}")
    command: Command = module.COMMANDS[name]
    parser = build_parser(name, entry.summary, command)
    return command.execute(parser.parse_whole(shared + rest))


def _leading_options(words: list[str]) -> tuple[list[str], list[str]]:
    """Split off the shared options that stand before the command."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in ("--home", "--socket") else 1
    return words[:at], words[at:]


def _refuse_unknown(leading: list[str]) -> None:
    for word in leading:
        option, _, _ = word.partition("=")
        if option.startswith("-") and option not in _LEADING:
            raise UsageError(
                f"{option} is not expected here{_hint(option, _LEADING)}; see gossipnet --help"
            )


def _hint(name: str, known: Sequence[str] = (*COMMANDS, "help")) -> str:
    from gossipnet.config import nearest

    near = nearest(name, list(known))
    return f": did you mean {near}?" if near else ""


def _overview() -> str:
    lines = [
        "gossipnet: state that your machines share with no server",
        "",
        "  gossipnet init && gossipnet run       found a mesh and start its first daemon",
        "  gossipnet invite                      print a token for one more machine",
        "  gossipnet join TOKEN && gossipnet run   on that machine",
        "  gossipnet demo                        see it work, all on this machine",
    ]
    for group, entries in GROUPS.items():
        lines += ["", f"{group}:"]
        lines += [f"  {name:<10} {entry.summary}" for name, entry in entries.items()]
    lines += [
        "",
        "Every command takes --home DIR and --help; what shows something takes --json.",
        f"Exit codes: {_EXIT_CODES}.",
    ]
    return "\n".join(lines)
