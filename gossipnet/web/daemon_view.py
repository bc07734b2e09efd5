"""What the page asks of the daemon: blocking questions, carried out in threads.

Each question opens a connection of its own to the local socket, which costs about a millisecond,
so that a slow one never holds up another. Values are shown up to a size, and as text or base64.
"""

import base64
import time
from collections.abc import Callable
from typing import Any

from gossipnet.client import Change, Client, ReplyError, as_text

SHOWN_BYTES = 4096
SHOWN_ITEMS = 200
PAGE_KEYS = 200

_READ: dict[str, tuple[str, ...]] = {
    "string": ("GETRANGE", "0", str(SHOWN_BYTES - 1)),
    "list": ("LRANGE", "0", str(SHOWN_ITEMS - 1)),
    "zset": ("ZRANGE", "0", str(SHOWN_ITEMS - 1), "WITHSCORES"),
    "stream": ("XREVRANGE", "+", "-", "COUNT", str(SHOWN_ITEMS)),
}
_SIZE = {
    "string": "STRLEN",
    "list": "LLEN",
    "hash": "HLEN",
    "set": "SCARD",
    "zset": "ZCARD",
    "stream": "XLEN",
}


class DaemonView:
    """One node, as the page sees it.

    Args:
      connect: Opens a connection; raises `gossipnet.errors.DaemonNotRunning`.
    """

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect

    def overview(self) -> dict[str, Any]:
        """Everything that the live part of the page shows."""
        with self._connect() as client:
            info = as_text(client.call("INFO", "everything"))
            return {
                "at": time.monotonic(),
                "status": client.status(),
                "members": client.members(),
                "peers": as_text(client.call("GOSSIP", "PEERS")),
                "map": as_text(client.call("GOSSIP", "MAP")),
                "events": as_text(client.call("GOSSIP", "EVENTS"))[-200:],
                "conflicts": as_text(client.call("GOSSIP", "CONFLICTS", 20)),
                "info": dict(
                    line.split(":", 1)
                    for line in info.splitlines()
                    if ":" in line and line[0] != "#"
                ),
            }

    def keys(self, pattern: str, cursor: int) -> dict[str, Any]:
        """A page of keys with their types, and the cursor of the next one (0 at the end)."""
        with self._connect() as client:
            following, found = client.call("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE_KEYS)
            rows = [
                {"key": _shown(key), "type": as_text(client.call("TYPE", key))} for key in found
            ]
        return {"cursor": int(following), "keys": rows}

    def key(self, name: bytes) -> dict[str, Any] | None:
        """One key by its type: the beginning of its value, its size, its end and its authors."""
        with self._connect() as client:
            kind = as_text(client.call("TYPE", name))
            if kind == "none":
                return None
            return {
                "key": _shown(name),
                "type": kind,
                "ttl_ms": client.call("PTTL", name),
                "size": client.call(_SIZE[kind], name) if kind in _SIZE else None,
                "value": self._value(client, kind, name),
                "authors": as_text(client.call("GOSSIP", "WHO", name)),
            }

    def _value(self, client: Client, kind: str, name: bytes) -> Any:
        if kind == "hash":
            _, items = client.call("HSCAN", name, 0, "COUNT", SHOWN_ITEMS)
            flat = items if isinstance(items, list) else [x for pair in items.items() for x in pair]
            pairs = zip(flat[::2], flat[1::2], strict=True)
            return [[_shown(field), _shown(value)] for field, value in pairs][:SHOWN_ITEMS]
        if kind == "set":
            _, items = client.call("SSCAN", name, 0, "COUNT", SHOWN_ITEMS)
            return sorted((_shown(item) for item in items), key=str)[:SHOWN_ITEMS]
        if kind not in _READ:
            return None
        verb, *rest = _READ[kind]
        return _deep(client.call(verb, name, *rest))

    def change(self, words: list[bytes]) -> str:
        """Carry out one of the page's writes; the daemon's complaint, or nothing."""
        with self._connect() as client:
            try:
                client.call(*words)
            except ReplyError as error:
                return str(error)
        return ""

    def invite(self, ttl_s: int) -> str:
        """A join token; raises `ReplyError` where this node is no issuer."""
        with self._connect() as client:
            token: str = as_text(client.call("GOSSIP", "INVITE", "TTL", ttl_s))
            return token


def shown_change(change: Change) -> dict[str, Any]:
    """One change, ready for JSON."""
    value = None if change.value is None else _shown(change.value[:512])
    return {**change._asdict(), "key": _shown(change.key), "value": value}


def _deep(value: Any) -> Any:
    if isinstance(value, bytes):
        return _shown(value)
    if isinstance(value, list | tuple):
        return [_deep(item) for item in value]
    if isinstance(value, dict):
        return [[_deep(key), _deep(item)] for key, item in value.items()]
    return value


def _shown(data: bytes) -> Any:
    """Text, or ``{"base64": ..., "bytes": n}``; cut to what a page can show."""
    cut = data[:SHOWN_BYTES]
    try:
        return cut.decode()
    except UnicodeDecodeError:
        if len(cut) < len(data):  # the cut may have split a character
            return cut.decode(errors="ignore")
        return {"base64": base64.b64encode(cut).decode(), "bytes": len(data)}
