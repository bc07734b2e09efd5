"""``gossipnet top``: a live view of the mesh in the terminal.

Asks the local socket once a second and draws what `top_model` makes of the answers. Takes the
terminal's alternate screen and gives everything back as it was, whatever ends it.
"""

import argparse
import base64
import contextlib
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator

from gossipnet.cli.connection import open_client
from gossipnet.cli.durations import parse_duration
from gossipnet.cli.options import Command, add_socket
from gossipnet.cli.terminal import plain, put, put_json
from gossipnet.cli.top_frame import Line, frame
from gossipnet.cli.top_model import Model, Sample
from gossipnet.errors import UsageError, UserError

_ASK_SECONDS = 5.0
_EVENTS = 500
_STYLES = {
    "plain": "0",
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    "reverse": "7",
}
_COLOURLESS = frozenset({"plain", "bold", "dim", "reverse"})
_NAMES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1b[5~": "pageup",
    "\x1b[6~": "pagedown",
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x03": "ctrl-c",
    "\x04": "ctrl-d",
}


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--every",
        type=parse_duration,
        default=1.0,
        metavar="TIME",
        help="between two looks (1s)",
    )
    parser.add_argument("--once", action="store_true", help="print one screen and end")
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    model = Model()
    if arguments.once or arguments.json:
        sample = _ask(arguments)
        model.take(sample)
        if arguments.json:
            put_json(sample._asdict())
            return 0
        width, _ = shutil.get_terminal_size()
        height = 8 + len(sample.members)
        for line in frame(model, width, height)[:-1]:
            put("".join(piece.text for piece in line).rstrip())
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("top draws on a terminal; --once prints one screen, --json its numbers")
    _ask(arguments)  # what is wrong now is better said before the screen is taken
    with _screen() as resized:
        _live(arguments, model, resized)
    return 0


def _ask(arguments: argparse.Namespace) -> Sample:
    with open_client(arguments, timeout=_ASK_SECONDS) as client:
        info = client.call("INFO", "everything").decode(errors="replace")
        return Sample(
            time.monotonic(),
            plain(client.status()),
            client.members(),
            plain(client.call("GOSSIP", "PEERS")),
            plain(client.call("GOSSIP", "EVENTS"))[-_EVENTS:],
            dict(line.split(":", 1) for line in info.splitlines() if ":" in line),
        )


def _live(arguments: argparse.Namespace, model: Model, resized: int) -> None:
    due = 0.0
    while True:
        if time.monotonic() >= due:
            due = time.monotonic() + arguments.every
            try:
                model.take(_ask(arguments))
            except UserError as error:
                model.trouble = str(error)
        _draw(model)
        for key in _keys(max(0.0, due - time.monotonic()), resized):
            if key == "c" and not model.typing:
                _copy(model.clipboard())
            elif not model.press(key):
                return


def _draw(model: Model) -> None:
    width, height = shutil.get_terminal_size()
    plainly = bool(os.environ.get("NO_COLOR"))
    lines = [_escaped(line, plainly) for line in frame(model, width, height)]
    # Overwrites in place: clearing first would flicker.
    sys.stdout.write("\x1b[H" + "\x1b[K\r\n".join(lines) + "\x1b[K\x1b[J")
    sys.stdout.flush()


def _escaped(line: Line, plainly: bool) -> str:
    return "".join(
        text
        if style == "plain" or (plainly and style not in _COLOURLESS)
        else f"\x1b[{_STYLES[style]}m{text}\x1b[0m"
        for text, style in line
    )


def _copy(text: str) -> None:
    """To the clipboard of the terminal, wherever that runs: OSC 52 of xterm's control sequences."""
    if text:
        encoded = base64.b64encode(text.encode()).decode()
        sys.stdout.write(f"\x1b]52;c;{encoded}\x07")
        sys.stdout.flush()


def _keys(seconds: float, resized: int) -> list[str]:
    """The keys that were pressed within this time; returns at the first, and at a new size."""
    ready, _, _ = select.select([sys.stdin, resized], [], [], seconds)
    if resized in ready:
        os.read(resized, 1024)
    if sys.stdin in ready:
        typed = os.read(sys.stdin.fileno(), 1024)
        return _named(typed.decode(errors="replace")) if typed else ["q"]
    return []


def _named(typed: str) -> list[str]:
    if typed in _NAMES:
        return [_NAMES[typed]]
    if typed.startswith("\x1b"):  # a key that means nothing here
        return []
    return [_NAMES.get(letter, letter) for letter in typed]


@contextlib.contextmanager
def _screen() -> Iterator[int]:
    """The terminal for ourselves; gives a descriptor that is readable when its size has changed."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    readable, written = os.pipe()
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written)
    old = signal.signal(signal.SIGWINCH, lambda _number, _frame: None)
    ended = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        tty.setraw(sys.stdin, termios.TCSANOW)
        sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[2J")
        yield readable
    finally:
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)
        signal.signal(signal.SIGWINCH, old)
        signal.signal(signal.SIGTERM, ended)
        signal.set_wakeup_fd(-1)
        os.close(readable)
        os.close(written)


COMMANDS = {
    "top": Command(
        _configure,
        _execute,
        "gossipnet top            ? shows the keys\n"
        "gossipnet top --once     one screen, for scripts",
    )
}
