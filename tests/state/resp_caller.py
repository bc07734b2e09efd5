"""Commands on one replica, for what only commands can do: reading by consumer groups."""

import random
from typing import Any

import hiredis

from gossipnet.resp.service import Service
from gossipnet.state.keyspace import Keyspace


class _Port:
    def __init__(self, keyspace: Keyspace) -> None:
        self.keyspace = keyspace

    def hear(self, _listener: object) -> None:
        return

    def on_receipts(self, _listener: object) -> None:
        return


class Console:
    """One client of a service without a mesh."""

    def __init__(self, keyspace: Keyspace) -> None:
        port: Any = _Port(keyspace)
        self.session = Service(port, rng=random.Random(1), wall_ms=keyspace.wall_ms).open_session()

    def call(self, *words: object) -> Any:
        """One command's reply."""
        self.session.receive(bytes(hiredis.pack_command(tuple(words))))
        reader = hiredis.Reader()
        for piece in self.session.run()[0]:
            reader.feed(piece)
        return reader.gets()

    def maps(self, *words: object) -> list[dict[bytes, Any]]:
        """A reply of flat maps."""
        return [dict(zip(row[::2], row[1::2], strict=True)) for row in self.call(*words)]
