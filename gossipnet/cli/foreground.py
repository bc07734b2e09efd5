"""One server in the foreground, until Ctrl-C or SIGTERM; what it serves is its own affair.

trio is loaded only when something is served.
"""

import signal
from collections.abc import Awaitable, Callable
from typing import Any

from gossipnet.errors import UserError


def serve_in_foreground(listen: str, serve: Callable[..., Awaitable[Any]], *args: Any) -> None:
    """Run ``serve(*args)`` until it is interrupted.

    Raises:
      UserError: The address ``listen``, as the user gave it, cannot be listened on.
    """
    import trio

    from gossipnet.io.sole import alone

    async def main() -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve, *args)
                async for _ in signals:
                    nursery.cancel_scope.cancel()
                    return

    try:
        with alone():
            trio.run(main)
    except OSError as error:
        raise UserError(f"{listen} cannot be listened on: {error.strerror}") from None
