"""``gossipnet web``: the web page of this node, on loopback, for the person who starts it."""

import argparse
import contextlib

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.options import Command, add_socket
from gossipnet.cli.terminal import put, say
from gossipnet.errors import UserError

_PORT = 8117
_ASK_SECONDS = 10.0


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=_port, default=_PORT, metavar="N", help=f"on 127.0.0.1 ({_PORT}); 0: any"
    )
    parser.add_argument(
        "--allow-writes", action="store_true", help="let the page change keys and invite machines"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address and open nothing"
    )
    add_socket(parser)


def _port(written: str) -> int:
    if written.isascii() and written.isdigit() and int(written[:6]) < 65536:
        return int(written)
    raise argparse.ArgumentTypeError(f"{written!r} is not a port: 0 to 65535")


def _execute(arguments: argparse.Namespace) -> int:
    try:
        from gossipnet.web.serve import run
    except ImportError:
        raise UserError("the web page needs more: pip install 'gossipnet[web]' brings it") from None
    with open_client(arguments, timeout=_ASK_SECONDS) as client:
        ask(client, "PING")
    run(
        lambda: open_client(arguments, timeout=_ASK_SECONDS),
        arguments.port,
        writes=arguments.allow_writes,
        say=lambda address: _tell(address, browser=not arguments.no_browser),
    )
    return 0


def _tell(address: str, *, browser: bool) -> None:
    put(address)
    say("it opens once and within a minute; kill -HUP makes a new one, Ctrl-C ends the page")
    if browser:
        import webbrowser

        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(address)


COMMANDS = {
    "web": Command(
        _configure,
        _execute,
        "gossipnet web\n"
        "gossipnet web --allow-writes     the page may change keys and invite machines\n"
        "gossipnet web --no-browser       over SSH: ssh -L 8117:127.0.0.1:8117 HOST",
        json=False,
    )
}
