"""``gossipnet dns``: members and services by name, for programs that know only DNS."""

import argparse

from gossipnet.cli.connection import open_client
from gossipnet.cli.foreground import serve_in_foreground
from gossipnet.cli.options import Command, add_socket, listen_address
from gossipnet.cli.terminal import put, say
from gossipnet.config import split_address
from gossipnet.errors import UserError

_LISTEN = "127.0.0.1:8653"
_ASK_SECONDS = 2.0


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        type=listen_address,
        default=_LISTEN,
        metavar="HOST:PORT",
        help=f"for UDP and TCP ({_LISTEN})",
    )
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    host, port = split_address(arguments.listen)
    try:
        from gossipnet.io.dns import Book, run_dns
    except ImportError:
        raise UserError("DNS needs dnspython: pip install 'gossipnet[dns]' brings it") from None
    book = Book(lambda: open_client(arguments, timeout=_ASK_SECONDS))

    def started(port: int) -> None:
        put(f"{host}:{port}")
        say("answers NAME.mesh.gossipnet and SERVICE.service.gossipnet; Ctrl-C ends it")

    serve_in_foreground(arguments.listen, run_dns, book, host, port, started)
    if book.unsent:
        say(f"{book.unsent} answers could not be sent")
    return 0


COMMANDS = {
    "dns": Command(
        _configure,
        _execute,
        "gossipnet dns\n"
        "dig @127.0.0.1 -p 8653 atlas.mesh.gossipnet\n"
        "gossipnet call SADD service:web 192.0.2.7:80 && "
        "dig @127.0.0.1 -p 8653 web.service.gossipnet SRV",
        json=False,
    )
}
