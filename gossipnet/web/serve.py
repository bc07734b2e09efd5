"""Runs the page under hypercorn on trio, on one loopback port."""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from gossipnet.client import Client
from gossipnet.errors import UserError
from gossipnet.web.app import make_app
from gossipnet.web.doors import Sessions


def run(
    connect: Callable[[], Client], port: int, *, writes: bool, say: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
      connect: Opens a connection to the daemon.
      port: On 127.0.0.1; 0 takes a free one.
      writes: Whether the page may change anything.
      say: Is told the address, with its code.

    Raises:
      UserError: The port is taken.
    """
    listener = _listen(port)
    port = listener.getsockname()[1]
    sessions = Sessions(os.urandom, time.monotonic)
    hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = 1.0
    config.h11_max_incomplete_size = 16 * 1024
    config.errorlog = logging.getLogger("gossipnet.web")
    config.errorlog.addHandler(logging.NullHandler())
    config.errorlog.propagate = False

    async def main() -> None:
        app = make_app(connect, hosts, sessions, writes=writes)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            say(f"http://127.0.0.1:{port}/#c={sessions.new_code()}")

            async def until_signal() -> None:
                async for number in signals:
                    if number != signal.SIGHUP:
                        return
                    say(f"http://127.0.0.1:{port}/#c={sessions.new_code()}")

            await serve(app, config, shutdown_trigger=until_signal)  # type: ignore[arg-type]

    trio.run(main)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(64)  # before the address is told
    except OSError as error:
        listener.close()
        raise UserError(
            f"port {port} cannot be listened on: {error.strerror}; --port takes another"
        ) from None
    return listener
