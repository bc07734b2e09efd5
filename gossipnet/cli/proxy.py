"""``gossipnet proxy``: the local socket over loopback TCP, for tools that know nothing else."""

import argparse
import contextlib
import ipaddress
import os
import secrets
from pathlib import Path

from gossipnet.cli.foreground import serve_in_foreground
from gossipnet.cli.options import Command, add_socket, listen_address, settings_of
from gossipnet.cli.terminal import put, say
from gossipnet.config import split_address
from gossipnet.errors import UsageError, UserError

_LISTEN = "127.0.0.1:6390"
_KEY_FILE = "proxy.key"
_SHORTEST = 16


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        type=listen_address,
        default=_LISTEN,
        metavar="HOST:PORT",
        help=f"a loopback address ({_LISTEN})",
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help=f"holds the password; HOME/{_KEY_FILE}, made at the first start",
    )
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    host, port = split_address(arguments.listen)
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise UsageError(
            f"{host or 'every address'} is not loopback: what passes is not encrypted; forward the "
            "port with ssh -L instead"
        )
    path = arguments.key_file or settings.home / _KEY_FILE
    key = _key(path)

    from gossipnet.io.proxy import Proxy, run_proxy

    proxy = Proxy(settings.socket, key)

    def started(port: int) -> None:
        put(f"{host}:{port}")
        say(f"the password is in {path}; Ctrl-C ends it")

    serve_in_foreground(arguments.listen, run_proxy, proxy, host, port, started)
    say(", ".join(f"{name} {count}" for name, count in proxy.counters.items()))
    return 0


def _key(path: Path) -> str:
    """The password in the file, which nobody else may read; made if it is not there."""
    try:
        with contextlib.suppress(FileExistsError):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(fd, "w") as file:
                file.write(secrets.token_hex(16) + "\n")
        if path.stat().st_mode & 0o077:
            raise UserError(f"others can read {path}: chmod 600 {path}")
        key = path.read_text().strip()
    except OSError as error:
        raise UserError(f"{path} cannot be used: {error.strerror}") from None
    if len(key) < _SHORTEST or not key.isprintable():
        raise UserError(f"{path} holds no password of {_SHORTEST} characters or more")
    return key


COMMANDS = {
    "proxy": Command(
        _configure,
        _execute,
        "gossipnet proxy\n"
        'redis-cli -p 6390 -a "$(cat ~/.local/share/gossipnet/proxy.key)" GET greeting',
        json=False,
    )
}
