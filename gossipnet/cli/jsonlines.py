"""Keys as lines of JSON: what one key of each type looks like, and which commands make it again.

A line is an object: ``key``, ``type``, ``value`` as below, ``expires_ms`` (unix) if it ends. Bytes
are a JSON string where they are UTF-8, else ``{"base64": "..."}``.

- string: the bytes; hash: ``[[field, value], ...]``, with the field's own ``expires_ms`` third;
- list, set: ``[element, ...]``; zset: ``[[member, score], ...]``, scores ``"inf"``, ``"-inf"`` too;
- stream: ``{"entries": [[id, [field, value, ...]], ...], "groups": [[name, last id], ...]}``.

Knows nothing of files and sockets.
"""

import base64
import binascii
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

FORMAT = 1
PIECE_BYTES = 256 * 1024
"""A value is written in commands of about this size: one key up to that is written at once."""
LINE_BYTES = 1 << 30

Words = tuple[bytes | str | int | float, ...]


class BadLine(ValueError):
    """A line is not what an export writes; the text says what is wrong with it."""


def head(mesh: str, made_ms: int) -> str:
    """The first line."""
    return json.dumps({"gossipnet_export": FORMAT, "mesh": mesh, "made_ms": made_ms})


def tail(keys: int) -> str:
    """The last line, without which an export was cut short."""
    return json.dumps({"end": True, "keys": keys})


def questions(key: bytes, kind: str) -> list[Words]:
    """The commands whose replies `line` takes."""
    by_type: dict[str, list[Words]] = {
        "string": [("GET", key)],
        "hash": [("HGETALL", key)],
        "list": [("LRANGE", key, 0, -1)],
        "set": [("SMEMBERS", key)],
        "zset": [("ZRANGE", key, 0, -1, "WITHSCORES")],
        "stream": [("XRANGE", key, "-", "+"), ("XINFO", "GROUPS", key)],
    }
    return [("PEXPIRETIME", key), *by_type[kind]]


def line(key: bytes, kind: str, replies: Sequence[Any], field_ends: Sequence[int] = ()) -> str:
    """One key's line.

    Args:
      key: Of what.
      kind: Its type.
      replies: To `questions`.
      field_ends: Of a hash: when its fields end, in the order of the reply.
    """
    expires, value = replies[0], replies[1]
    document: dict[str, Any] = {"key": _text(key), "type": kind}
    if kind == "string":
        document["value"] = _text(value)
    elif kind == "hash":
        ends = field_ends or [-1] * len(value)
        document["value"] = [
            [_text(field), _text(held), *([end] if end >= 0 else [])]
            for (field, held), end in zip(value.items(), ends, strict=True)
        ]
    elif kind == "zset":
        document["value"] = [[_text(member), _score(score)] for member, score in value]
    elif kind == "stream":
        document["value"] = {
            "entries": [[_text(name), [_text(word) for word in words]] for name, words in value],
            "groups": [[_text(g[b"name"]), _text(g[b"last-delivered-id"])] for g in replies[2]],
        }
    else:
        items = sorted(value) if kind == "set" else value
        document["value"] = [_text(item) for item in items]
    if expires >= 0:
        document["expires_ms"] = expires
    return json.dumps(document, ensure_ascii=False)


def read_line(text: bytes) -> dict[str, Any]:
    """A line's object: of a key, or the first or last line; raises `BadLine`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"it is not JSON ({error})") from None
    if not isinstance(document, dict):
        raise BadLine("it is not a JSON object")
    return document


class Key:
    """A key as a line tells it.

    Attributes:
      key: Its name.
      kind: Its type.
      expires_ms: When it ends, or None.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        """Raises `BadLine`."""
        if "key" not in document or document.get("type") not in _WRITERS:
            raise BadLine(f"it needs a key, and one of the types {', '.join(_WRITERS)}")
        self.key = _bytes(document["key"])
        self.kind = str(document["type"])
        expires = document.get("expires_ms")
        if expires is not None and not isinstance(expires, int):
            raise BadLine("expires_ms is not a whole number")
        self.expires_ms: int | None = expires
        self.groups: list[tuple[bytes, bytes]] = []
        self.entries: list[bytes] = []
        try:
            self._pieces = list(_WRITERS[self.kind](self, document["value"]))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, BadLine):
                raise
            raise BadLine(f"its value is not that of a {self.kind}") from None

    def transactions(self) -> Iterator[list[Words]]:
        """Groups of commands to carry out one after another; the first replaces what is there."""
        first: list[Words] = [("DEL", self.key)]
        size = 0
        for words in self._pieces:
            size += sum(len(word) if isinstance(word, bytes) else 8 for word in words)
            first.append(words)
            if size >= PIECE_BYTES:
                yield first
                first, size = [], 0
        if self.expires_ms is not None:
            first.append(("PEXPIREAT", self.key, self.expires_ms))
        if first:
            yield first

    def group_words(self, ids: Sequence[bytes]) -> Iterator[Words]:
        """Of a stream: its groups, which stand where they stood.

        Args:
          ids: The ids that its entries have got now, in order.
        """
        for name, last in self.groups:
            passed = sum(_number(entry) <= _number(last) for entry in self.entries)
            yield ("XGROUP", "CREATE", self.key, name, ids[passed - 1] if passed else "0-0")

    def _write_string(self, value: Any) -> Iterator[Words]:
        yield ("SET", self.key, _bytes(value))

    def _write_hash(self, value: Any) -> Iterator[Words]:
        yield from self._in_pieces("HSET", ((_bytes(row[0]), _bytes(row[1])) for row in value))
        for row in value:
            if len(row) > 2:
                yield ("HPEXPIREAT", self.key, int(row[2]), "FIELDS", 1, _bytes(row[0]))

    def _write_list(self, value: Any) -> Iterator[Words]:
        yield from self._in_pieces("RPUSH", ((_bytes(item),) for item in value))

    def _write_set(self, value: Any) -> Iterator[Words]:
        yield from self._in_pieces("SADD", ((_bytes(item),) for item in value))

    def _write_zset(self, value: Any) -> Iterator[Words]:
        rows = ((repr(float(score)), _bytes(member)) for member, score in value)
        yield from self._in_pieces("ZADD", rows)

    def _write_stream(self, value: Any) -> Iterator[Words]:
        self.groups = [(_bytes(name), _bytes(last)) for name, last in value.get("groups", ())]
        for name, words in value["entries"]:
            self.entries.append(_bytes(name))
            milliseconds = _number(_bytes(name))[0]
            yield ("XADD", self.key, milliseconds, *map(_bytes, words))

    def _in_pieces(self, verb: str, rows: Any) -> Iterator[Words]:
        words: list[bytes | str] = []
        size = 0
        for row in rows:
            words += row
            size += sum(len(word) + 16 for word in row)
            if size >= PIECE_BYTES:
                yield (verb, self.key, *words)
                words, size = [], 0
        if words:
            yield (verb, self.key, *words)


_WRITERS = {
    "string": Key._write_string,
    "hash": Key._write_hash,
    "list": Key._write_list,
    "set": Key._write_set,
    "zset": Key._write_zset,
    "stream": Key._write_stream,
}


def _number(entry: bytes) -> tuple[int, int]:
    milliseconds, _, rest = entry.partition(b"-")
    return int(milliseconds), int(rest or b"0")


def _text(value: bytes | str) -> Any:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise BadLine("a text holds half a surrogate pair") from None
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        try:
            return base64.b64decode(value["base64"], validate=True)
        except binascii.Error:
            raise BadLine("a base64 is none") from None
    raise BadLine(f"{str(value)[:40]!r} is neither a text nor a base64")


def _score(score: float) -> float | str:
    return score if math.isfinite(score) else str(score)
