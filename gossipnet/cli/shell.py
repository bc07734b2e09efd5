"""``gossipnet shell``: a prompt for the local socket, as people know it from redis-cli.

History in the home, completion of commands and keys, and help on any command from the daemon's own
table. Reads lines from standard input as well, so that a script can be piped in. The line editor
is Python's own `readline`; where it is missing, plain lines are read.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossipnet.cli.call import formatted, raw_lines
from gossipnet.cli.connection import open_client
from gossipnet.cli.options import Command, add_socket, home_of
from gossipnet.cli.terminal import colour, put, put_bytes, put_json, quoted, say
from gossipnet.errors import DaemonNotRunning, TimedOut
from gossipnet.resp.parser import ProtocolError, split_words

if TYPE_CHECKING:
    from gossipnet.client import Client, Watch

_HISTORY_LINES = 1000
_KEYS_OFFERED = 50
_STREAMS = ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--raw", action="store_true", help="bytes as they are, also where a person reads"
    )
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    with open_client(arguments, timeout=None) as client:
        shell = Shell(client, arguments)
        if not sys.stdin.isatty():
            return shell.script(sys.stdin)
        with _line_editor(shell, home_of(arguments) / "shell_history"):
            shell.greet()
            while shell.turn():
                pass
    return 0


class Shell:
    """One session at the prompt.

    Attributes:
      commands: Names the daemon knows, upper case, for completion.
    """

    def __init__(self, client: "Client", arguments: argparse.Namespace) -> None:
        self._client = client
        self._arguments = arguments
        self._offered: list[str] = []
        self.commands = sorted(
            row[0].decode().upper() for row in client.call("COMMAND") if isinstance(row, list)
        )

    def greet(self) -> None:
        """What a newcomer needs to know, on one line."""
        name = self._client.status().get("name")
        say(f"node {name}: help CMD tells about a command, Tab completes, Ctrl-D ends")

    def turn(self) -> bool:
        """Read a line and carry it out; False at the end."""
        try:
            line = input("gossipnet> ")
        except KeyboardInterrupt:
            say()
            return True
        except EOFError:
            say()
            return False
        return self._carry_out(line)[1]

    def script(self, lines: "Any") -> int:
        """Carry out every line; 1 if a command was refused."""
        code = 0
        for line in lines:
            fine, going = self._carry_out(line)
            code = code if fine else 1
            if not going:
                break
        return code

    def _carry_out(self, line: str) -> tuple[bool, bool]:
        """Whether it went well, and whether to go on."""
        from gossipnet.client import ReplyError

        try:
            words = split_words(line.strip().encode("utf-8", "surrogateescape"))
        except ProtocolError:
            say("the quotes of this line do not match")
            return False, True
        if not words:
            return True, True
        verb = words[0].upper()
        if verb in (b"QUIT", b"EXIT"):
            return True, False
        try:
            if verb in (b"HELP", b"?"):
                self._help(words[1:])
            elif verb == b"WATCHING" or (verb == b"GOSSIP" and words[1:2] == [b"WATCH"]):
                self._watch(words[2:] or [b"*"])
            elif verb.decode(errors="replace") in _STREAMS:
                say(f"{verb.decode()} goes on for ever: use GOSSIP WATCH PATTERN, or redis-cli")
                return False, True
            else:
                self._show(self._client.call(*words))
        except ReplyError as error:
            text = f"(error) {error}"
            put(colour(text, "red"))
            return False, True
        except KeyboardInterrupt:
            say("interrupted; whether the command was carried out is unknown")
            self._reconnect()
        except (DaemonNotRunning, TimedOut) as error:
            say(f"{error}")
            self._reconnect()
            return False, True
        return True, True

    def _reconnect(self) -> None:
        """A connection whose reply was given up would answer the next question with it."""
        self._client.close()
        self._client = open_client(self._arguments, timeout=None)

    def _show(self, reply: Any) -> None:
        if getattr(self._arguments, "json", False):
            put_json({"reply": reply})
        elif self._arguments.raw or not sys.stdout.isatty():
            put_bytes(b"\n".join(raw_lines(reply)) + b"\n")
        else:
            put("\n".join(formatted(reply)))

    def _watch(self, words: list[bytes]) -> None:
        with self._client.watch(words[0]) as changes, contextlib.suppress(KeyboardInterrupt):
            say("Ctrl-C ends it")
            self._show_changes(changes)
        say()

    def _show_changes(self, changes: "Watch") -> None:
        for change in changes:
            value = "" if change.value is None else f" {quoted(change.value[:200])}"
            put(f"{change.event:<9} {quoted(change.key)}{value}  {change.author}")

    def _help(self, words: list[bytes]) -> None:
        if not words:
            say("any command of docs/commands.md; help CMD tells about one; GOSSIP HELP lists the")
            say("mesh's own; GOSSIP WATCH PATTERN shows changes as they come; quit ends")
            return
        told: dict[bytes, dict[bytes, Any]] = self._client.call("COMMAND", "DOCS", words[0])
        if not told:
            say(f"there is no command {words[0].decode(errors='backslashreplace')}")
        for name, entry in told.items():
            put(colour(name.decode().upper(), "bold"))
            for field in (b"summary", b"group", b"since", b"complexity"):
                if field in entry:
                    put(f"  {field.decode()}: {entry[field].decode(errors='replace')}")

    def complete(self, text: str, index: int) -> str | None:
        """`readline`'s question: the ``index``-th way to go on from ``text``."""
        if index == 0:
            import readline

            first = not readline.get_line_buffer()[: readline.get_begidx()].strip()
            try:
                self._offered = self._names(text) if first else self._keys(text)
            except (
                Exception
            ):  # a Tab must not end the session; the next command tells what is wrong
                self._offered = []
                self._reconnect()
        return self._offered[index] if index < len(self._offered) else None

    def _names(self, text: str) -> list[str]:
        found = [name for name in (*self.commands, "HELP", "QUIT") if name.startswith(text.upper())]
        return [(name.lower() if text.islower() else name) + " " for name in found]

    def _keys(self, text: str) -> list[str]:
        pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in text) + "*"
        _, page = self._client.call("SCAN", "0", "MATCH", os.fsencode(pattern), "COUNT", "1000")
        found = sorted(os.fsdecode(key) for key in page)[:_KEYS_OFFERED]
        return [key for key in found if key.isprintable() and " " not in key]


@contextlib.contextmanager
def _line_editor(shell: Shell, path: Path) -> Any:
    """Editing, history and completion while the prompt is up."""
    try:
        import readline
    except ImportError:
        yield
        return
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(_HISTORY_LINES)
    readline.set_completer_delims(" \t\n\"'")
    readline.set_completer(shell.complete)
    readline.parse_and_bind(
        "bind ^I rl_complete" if "libedit" in (readline.__doc__ or "") else "tab: complete"
    )
    try:
        yield
    finally:
        # Values typed at the prompt are nobody else's business.
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            readline.write_history_file(path)


COMMANDS = {
    "shell": Command(
        _configure,
        _execute,
        "gossipnet shell\necho 'SET greeting \"hello\\nworld\"' | gossipnet shell",
    )
}
