"""A ban list and a rate limit that all machines in front of an application share (WSGI).

What the mesh holds::

    ban:ADDRESS          string  why; ends by itself
    allow                set     addresses that nothing here applies to
    rate:ADDRESS:WINDOW  string  how many requests all machines let in during that window; ends

The limit is approximate, and `worst` says by how much.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import gossipnet
from gossipnet.client import Client
from gossipnet.errors import GossipnetError

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Guard:
    """Middleware: refuses banned addresses, and those above the limit.

    Args:
      application: What is guarded.
      home: Home of the local daemon.
      limit: Requests that one address may make in a window, on all machines together.
      window: Seconds.
      ban: Seconds that an address is banned for once it has made ten times as many; 0: never.
    """

    def __init__(
        self,
        application: Application,
        home: str | None = None,
        *,
        limit: int = 100,
        window: int = 60,
        ban: int = 600,
    ) -> None:
        self._application = application
        self._home = home
        self._client: Client | None = None
        self.limit = limit
        self.window = window
        self.ban = ban
        self._refusals: tuple[int, dict[str, int]] = 0, {}  # of one window, by address

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        try:
            refused = self._refused(environ["REMOTE_ADDR"])
        except GossipnetError:
            self.close()
            refused = None  # without a daemon everybody is let in: a choice, and this one's
        if refused is None:
            return self._application(environ, start)
        start(refused, [("Content-Type", "text/plain"), ("Retry-After", str(self.window))])
        return [f"{refused}\n".encode()]

    def close(self) -> None:
        """Give up the connection; the next request makes a new one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _refused(self, address: str) -> str | None:
        if self._client is None:
            self._client = gossipnet.connect(self._home, timeout=2)
        client = self._client
        rate = f"rate:{address}:{int(time.time()) // self.window}"
        allowed, reason, counted = client.call_all(
            [("SISMEMBER", "allow", address), ("GET", f"ban:{address}"), ("GET", rate)]
        )
        if allowed:
            return None
        if reason is not None:
            return "403 Forbidden"
        if int(counted or 0) >= self.limit:
            self._note_refusal(client, address)
            return "429 Too Many Requests"
        # Only what is let in is counted for all: refusing costs no write, however hard they try.
        client.call_all([("INCR", rate), ("EXPIRE", rate, 2 * self.window)])
        return None

    def _note_refusal(self, client: Client, address: str) -> None:
        """Ban who does not stop; counted on this machine alone, and for one window."""
        window = int(time.time()) // self.window
        if self._refusals[0] != window or len(self._refusals[1]) > 10_000:
            self._refusals = window, {}
        counts = self._refusals[1]
        counts[address] = counts.get(address, 0) + 1
        if self.ban and counts[address] >= 9 * self.limit:
            client.set(f"ban:{address}", "does not stop", ttl=self.ban)


def worst(limit: int, machines: int, parts: int, rate: float, delay: float) -> tuple[float, int]:
    """How many requests one address may get through in a window, at most.

    Args:
      limit: As `Guard` has it.
      machines: With a guard.
      parts: That the network is cut into.
      rate: Requests a second that the address makes at each machine.
      delay: Seconds until a count is known everywhere within a part.

    Returns:
      While every part is connected, and whatever happens. Each machine stops at ``limit`` by what
      it knows; what it does not know is what others let in during the last ``delay``.
    """
    ceiling = limit * machines
    return min(ceiling, parts * limit + (machines - parts) * rate * delay), ceiling


def hello(_environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """The application."""
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\n"]


class Quiet(WSGIRequestHandler):
    """Says nothing of each request."""

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Serve the application behind a guard."""
    parser = argparse.ArgumentParser(description="A web application behind a shared limit.")
    parser.add_argument("--home", help="home of the local daemon")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--limit", type=int, default=100, help="requests in a window (100)")
    parser.add_argument("--window", type=int, default=60, help="seconds (60)")
    asked = parser.parse_args()
    guard = Guard(hello, asked.home, limit=asked.limit, window=asked.window)
    with gossipnet.connect(asked.home) as client:
        machines = sum(row["state"] == "alive" for row in client.members())
    usual, ceiling = worst(asked.limit, machines, 1, rate=100, delay=0.05)
    with (
        closing(guard),
        make_server("127.0.0.1", asked.port, guard, handler_class=Quiet) as server,
    ):
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        print(
            f"{asked.limit} requests in {asked.window} s for each address; with {machines} machines"
            f" {usual:g} may get through at 100 a second and 50 ms, {ceiling} whatever happens",
            flush=True,
        )
        server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except GossipnetError as error:
        sys.exit(f"{error}")
