"""What command handlers return, and how it is written in RESP2 and RESP3.

Handlers return plain Python: ``bytes`` (bulk string), ``int``, ``None`` (null), ``str`` (simple
status, our own words only), ``float``, ``bool``, ``list`` or ``tuple``, ``dict`` (a map, a flat
array in RESP2), ``set`` or ``frozenset``; and for what Python has no type: `Error`, `Text`,
`Push`, `Replies` and `NO_ARRAY`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import Any, Final

Reply = Any
"""Any of the types above, nested as one likes."""

OK: Final = "OK"


class CommandError(Exception):
    """A command's refusal; the text begins with its code: ``ERR syntax error``."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Error:
    """A refusal as a value: inside EXEC's array."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Text(bytes):
    """A document for people, such as INFO: a verbatim string in RESP3."""

    __slots__ = ()


class Push(list[Reply]):
    """Out of band data: a push in RESP3, an array in RESP2."""

    __slots__ = ()


class Replies(list[Reply]):
    """Several replies to one command, one after the other: SUBSCRIBE."""

    __slots__ = ()


class _NoArray:
    __slots__ = ()


NO_ARRAY: Final = _NoArray()
"""The null that stands for an array, such as the reply of an EXEC that WATCH stopped."""

NULL_2: Final = b"$-1\r\n"
NULL_3: Final = b"_\r\n"
_MANY: Final = 8
"""So many bulk strings are worth being written together."""
_BULK: Final = frozenset({bytes})
_HEADS: Final = [b"$%d" % length for length in range(4096)]
_STATUSES: Final = {word: b"+%s\r\n" % word.encode() for word in ("OK", "QUEUED", "PONG")}


def encode(reply: Reply, protocol: int) -> bytes:
    """One reply as bytes.

    Args:
      reply: What a handler returned.
      protocol: 2 or 3.
    """
    kind = type(reply)
    if kind is bytes:
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if kind is int:
        return b":%d\r\n" % reply
    pieces: list[bytes] = []
    _write(reply, protocol, pieces.append)
    return b"".join(pieces)


def encode_error(text: str) -> bytes:
    """An error reply; ``text`` begins with its code and may quote what a client sent."""
    return b"-%b\r\n" % text.replace("\r", " ").replace("\n", " ").encode(
        "utf-8", "surrogateescape"
    )


def frames(data: bytes) -> Iterator[bytes]:
    """Cut replies that were encoded here, and are complete, into one piece each."""
    at = 0
    while at < len(data):
        end = _end_of(data, at)
        yield data[at:end]
        at = end


def _end_of(data: bytes, at: int) -> int:
    left = 1
    while left:
        left -= 1
        kind, line = data[at : at + 1], data.index(b"\r\n", at)
        count = data[at + 1 : line]
        at = line + 2
        if kind in b"$=!":
            at += int(count) + 2 if int(count) >= 0 else 0
        elif kind in b"*~>%|":
            left += max(0, int(count)) * (2 if kind in b"%|" else 1)
    return at


def _write(reply: Reply, protocol: int, put: Callable[[bytes], None]) -> None:
    kind = type(reply)
    if kind is bytes:
        put(b"$%d\r\n%b\r\n" % (len(reply), reply))
    elif reply is None:
        put(NULL_3 if protocol == 3 else NULL_2)
    elif kind is int:
        put(b":%d\r\n" % reply)
    else:
        _WRITERS[kind](reply, protocol, put)


def _status(reply: str, _protocol: int, put: Callable[[bytes], None]) -> None:
    put(_STATUSES.get(reply) or b"+%b\r\n" % reply.encode())


def _items(items: Iterable[Reply], protocol: int, put: Callable[[bytes], None]) -> None:
    for item in items:
        if type(item) is bytes:
            put(b"$%d\r\n%b\r\n" % (len(item), item))
        else:
            _write(item, protocol, put)


def _flat(items: Collection[bytes]) -> bytes:
    """Bulk strings one after the other: one C call each to measure, to gather and to join them."""
    pieces = [b""] * (2 * len(items) + 1)
    try:
        pieces[:-1:2] = [_HEADS[len(item)] for item in items]
    except IndexError:
        pieces[:-1:2] = [b"$%d" % len(item) for item in items]
    pieces[1::2] = items
    return b"\r\n".join(pieces)


def _all_bulk(items: Iterable[Reply]) -> bool:
    return _BULK.issuperset(map(type, items))


def _array(
    reply: list[Reply] | tuple[Reply, ...], protocol: int, put: Callable[[bytes], None]
) -> None:
    put(b"*%d\r\n" % len(reply))
    if len(reply) >= _MANY and _all_bulk(reply):
        put(_flat(reply))
    else:
        _items(reply, protocol, put)


def _set(reply: set[Reply], protocol: int, put: Callable[[bytes], None]) -> None:
    put(b"%b%d\r\n" % (b"~" if protocol == 3 else b"*", len(reply)))
    if len(reply) >= _MANY and _all_bulk(reply):
        put(_flat(reply))
    else:
        _items(reply, protocol, put)


def _push(reply: Push, protocol: int, put: Callable[[bytes], None]) -> None:
    put(b"%b%d\r\n" % (b">" if protocol == 3 else b"*", len(reply)))
    _items(reply, protocol, put)


def _replies(reply: Replies, protocol: int, put: Callable[[bytes], None]) -> None:
    _items(reply, protocol, put)


def _map(reply: dict[Reply, Reply], protocol: int, put: Callable[[bytes], None]) -> None:
    put(b"%%%d\r\n" % len(reply) if protocol == 3 else b"*%d\r\n" % (2 * len(reply)))
    items = list(chain.from_iterable(reply.items()))
    if len(items) >= _MANY and _all_bulk(items):
        put(_flat(items))
    else:
        _items(items, protocol, put)


def _boolean(reply: bool, protocol: int, put: Callable[[bytes], None]) -> None:
    if protocol == 3:
        put(b"#t\r\n" if reply else b"#f\r\n")
    else:
        put(b":1\r\n" if reply else b":0\r\n")


def double_text(number: float) -> bytes:
    """A double in the fewest digits that tell it from all others, whole ones without exponent."""
    if number.is_integer() and -1e17 < number < 1e17:
        return b"%d" % number if number else b"%.17g" % number  # which knows -0
    return repr(number).removesuffix(".0").encode()


def _double(reply: float, protocol: int, put: Callable[[bytes], None]) -> None:
    text = double_text(reply)
    put(b",%b\r\n" % text if protocol == 3 else b"$%d\r\n%b\r\n" % (len(text), text))


def _verbatim(reply: Text, protocol: int, put: Callable[[bytes], None]) -> None:
    if protocol == 3:
        put(b"=%d\r\ntxt:%b\r\n" % (len(reply) + 4, reply))
    else:
        put(b"$%d\r\n%b\r\n" % (len(reply), reply))


def _error(reply: Error, _protocol: int, put: Callable[[bytes], None]) -> None:
    put(encode_error(reply.text))


def _no_array(_reply: _NoArray, protocol: int, put: Callable[[bytes], None]) -> None:
    put(NULL_3 if protocol == 3 else b"*-1\r\n")


_WRITERS: dict[type, Callable[[Any, int, Callable[[bytes], None]], None]] = {
    str: _status,
    list: _array,
    tuple: _array,
    set: _set,
    frozenset: _set,
    dict: _map,
    bool: _boolean,
    float: _double,
    Push: _push,
    Replies: _replies,
    Text: _verbatim,
    Error: _error,
    _NoArray: _no_array,
}


def plain(value: object) -> Reply:
    """A value of the engine's tables as a reply: text, wherever it stands, as a bulk string."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        return {plain(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [plain(item) for item in sorted(value, key=str)]
    return value
