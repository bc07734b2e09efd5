"""A node that consists of a replica and a command table, and clients that talk to it."""

import random
from collections.abc import Callable
from typing import Any

import hiredis

from gossipnet.errors import NotFound, UserError
from gossipnet.identity.founding import found_mesh
from gossipnet.identity.home import NodeIdentity
from gossipnet.ids import text
from gossipnet.resp.service import Service
from gossipnet.state.replica import Replica

WALL = 1_800_000_000.0
IDENTITY = found_mesh(1, wall=WALL).identities[0]


class LoneMesh:
    """What commands see of an engine, with commits that happen when a test says so."""

    def __init__(self, wall: float = WALL, identity: NodeIdentity = IDENTITY) -> None:
        self.identity = identity
        self.wall = wall
        self.replica = Replica(
            key=identity.key, chain=identity.chain, trust=identity.trust, epoch=1, wall=wall
        )
        self.replica.advance(wall)
        self.keyspace = self.replica.keyspace
        self.committed = 0
        self.issued = 0
        self.left = False
        self.outdated = False
        self.renewals = 0
        self.revoked: list[tuple[str, str]] = []
        self.invited: list[tuple[object, ...]] = []
        self.published: list[tuple[bytes, bytes]] = []
        self.waits: list[LoneReceipts] = []
        self.traces: list[LoneTrace] = []

    def touch(self, _now: float, wall: float) -> None:
        self.replica.touch(wall)

    def ticket(self) -> int:
        return self.issued + 1 if self.replica.dirty else self.issued

    def seal(self) -> int:
        """Issue a commit of what was written; its number."""
        if self.replica.dirty:
            self.replica.seal(self.wall)
            self.issued += 1
        return self.issued

    def members_table(self) -> list[dict[str, Any]]:
        own = {"name": "ada", "id": text(self.identity.node_id), "state": "alive", "rtt_ms": None}
        return [{**own, "address": "", "behind": 0, "roles": ["member"], "zone": ""}]

    def status(self) -> dict[str, Any]:
        return {"mesh": "test", "ready": True, "lag_s": 0.5, "records": 7, "drops": 0}

    def peers(self) -> list[dict[str, Any]]:
        return []

    def events(self) -> list[dict[str, Any]]:
        return [{"wall": 1.5, "kind": "start", "level": "info", "text": "a\r\nb", "node": None}]

    def nearest(self, count: int) -> list[dict[str, Any]]:
        return self.members_table()[:count]

    def owners(self, key: bytes, count: int) -> list[dict[str, Any]]:
        return [{**row, "key": key} for row in self.members_table()[:count]]

    def trace(self, key: bytes) -> "LoneTrace":
        if key not in self.keyspace:
            raise NotFound("there is no such key here")
        self.traces.append(LoneTrace(key))
        return self.traces[-1]

    def why(self, name_or_id: str) -> list[dict[str, Any]]:
        raise NotFound(f"no member is called {name_or_id!r}")

    def invite(self, *words: object) -> str:
        self.invited.append(words)
        return "gn1token"

    def renew(self) -> None:
        self.renewals += 1

    def revoke(self, node: str, reason: str) -> dict[str, object]:
        self.revoked.append((node, reason))
        return {"name": node, "id": "x" * 52, "already": False, "issuers": 0}

    def root(self) -> dict[str, object]:
        return {"version": 1, "rule": "1-of-1", "share": 1.0, "members": {"1": 1}, "versions": []}

    def bring_root(self, data: bytes) -> None:
        if data != b"good":
            raise UserError("this version of the root does not hold")

    def leave(self) -> None:
        self.left = True

    def await_receipts(self, wanted: int) -> "LoneReceipts":
        self.waits.append(LoneReceipts(wanted))
        return self.waits[-1]

    def on_receipts(self, listener: Callable[[], None]) -> None:
        self.receipts_came = listener

    def others(self) -> int:
        return 2

    def publish(self, channel: bytes, data: bytes) -> None:
        self.published.append((channel, data))

    def hear(self, listener: Callable[[bytes, bytes], None]) -> None:
        self.tell = listener


class LoneReceipts:
    """Receipts that come when a test says so."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.came = self.synced = 0
        self.closed = False

    def count(self, *, synced: bool = False) -> int:
        return self.synced if synced else self.came

    def close(self) -> None:
        self.closed = True


class LoneTrace:
    """A trace that is complete when a test says so."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.complete = self.closed = False

    def document(self) -> dict[str, Any]:
        return {"key": self.key, "complete": self.complete}

    def close(self) -> None:
        self.closed = True


class Refused(Exception):
    """An error reply."""


def request(*words: object) -> bytes:
    """A command as clients write it."""
    return bytes(hiredis.pack_command(tuple(words)))


def parse_replies(data: bytes) -> list[Any]:
    """All replies in some bytes; errors as `Refused`."""
    reader = hiredis.Reader(replyError=Refused, notEnoughData=StopIteration)
    reader.feed(data)
    replies = list(iter(reader.gets, StopIteration))
    assert not reader.has_data()
    return replies


class Caller:
    """One client of a service, without a socket."""

    def __init__(self, service: Service, protocol: int = 2) -> None:
        self.service = service
        self.session = service.open_session("/test.sock")
        self.pushed = bytearray()
        self.session.deliver = self.pushed.extend
        if protocol != 2:
            self.call("HELLO", protocol)

    def send(self, data: bytes) -> bytes:
        """Feed bytes and run everything that is complete; the bytes that come back."""
        out: list[bytes] = []
        for start in range(0, len(data), 65536):
            self.session.receive(data[start : start + 65536])
            while self.session.unfinished:
                out += self.session.run()[0]
        return b"".join(out)

    def later(self, now: float = 0.0) -> bytes:
        """What clients that wait are told at a time; of this one."""
        service, out = self.service, b""
        service.now = max(service.now, now)
        for session in service.blocking.due(service.now):
            answer = session.resume()
            if answer is not None and session is self.session:
                out += b"".join(answer[0])
                while session.unfinished:
                    out += b"".join(session.run()[0])
        return out

    def raw(self, *words: object) -> bytes:
        """One command; its reply as it is written."""
        return self.send(request(*words))

    def call(self, *words: object) -> Any:
        """One command; its reply, or `Refused`."""
        (reply,) = parse_replies(self.raw(*words))
        if isinstance(reply, Refused):
            raise reply
        return reply

    def refusal(self, *words: object) -> str:
        """The text of an error reply."""
        try:
            reply = self.call(*words)
        except Refused as refused:
            return str(refused)
        raise AssertionError(f"{words} was answered with {reply!r}")


def open_service(
    mesh: LoneMesh | None = None, may_read: Callable[[bytes], bool] | None = None
) -> Service:
    """A service on a fresh replica."""
    return Service(
        mesh or LoneMesh(), rng=random.Random(7), wall_ms=int(WALL * 1000), may_read=may_read
    )
