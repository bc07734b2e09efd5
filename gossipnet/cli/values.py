"""Everyday verbs: ``get set del incr keys``."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.durations import parse_duration
from gossipnet.cli.options import Command, add_socket, suggestion
from gossipnet.cli.terminal import (
    next_step,
    plain,
    printable,
    put,
    put_bytes,
    put_json,
    say,
)
from gossipnet.errors import NotFound, TimedOut

if TYPE_CHECKING:
    from gossipnet.client import Client

_WAIT_SECONDS = 5
_NODES_MAX = 16_384
_SHOWN_BY = {
    "hash": " HGETALL {}",
    "set": " SMEMBERS {}",
    "list": " LRANGE {} 0 -1",
    "zset": " ZRANGE {} 0 -1",
    "stream": " XRANGE {} - +",
}


def _key(written: str) -> bytes:
    return os.fsencode(written)


def _shown(key: str) -> str:
    return printable(os.fsencode(key))


def _configure_get(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY")
    add_socket(parser)


def _get(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        value = _of_key(arguments, client, "GET")
    if arguments.json:
        put_json({"key": plain(_key(arguments.key)), "value": value})
    if value is None:
        raise NotFound(f"there is no key {_shown(arguments.key)!r} here")
    if not arguments.json:
        put_bytes(value)
        next_step(suggestion(arguments, f"watch {_shown(arguments.key)}"))
    return 0


def _of_key(arguments: argparse.Namespace, client: "Client", verb: str, *words: str) -> Any:
    """The reply about one string; where its value does not suit, the complaint names the key."""
    from gossipnet.client import ReplyError

    key = _shown(arguments.key)
    try:
        return ask(client, verb, _key(arguments.key), *words)
    except ReplyError as error:
        if error.code == "WRONGTYPE":
            kind = plain(ask(client, "TYPE", _key(arguments.key)))
            shown = suggestion(arguments, "call") + _SHOWN_BY.get(kind, " TYPE {}").format(key)
            error.args = (f"{key!r} is a {kind}, not a string; look at it with `{shown}`",)
        elif str(error).startswith("value is not an integer"):
            error.args = (f"{key!r} does not hold a whole number, or the sum is beyond 64 bits",)
        raise


def _configure_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("value", metavar="VALUE", help="put -- before a value that begins with -")
    parser.add_argument(
        "--ttl", type=parse_duration, metavar="TIME", help="remove it after this long: 90s, 1h, 7d"
    )
    parser.add_argument(
        "--wait",
        type=_count,
        metavar="N",
        help="until N other nodes have it on disk; exit code 6 if fewer have within 5 s",
    )
    add_socket(parser)


def _count(written: str) -> int:
    if written.isascii() and written.isdigit() and 0 < int(written) <= _NODES_MAX:
        return int(written)
    raise argparse.ArgumentTypeError(f"{written!r} is not a number of nodes: 1 to {_NODES_MAX}")


def _set(arguments: argparse.Namespace) -> int:
    words: list[bytes | str] = ["SET", _key(arguments.key), os.fsencode(arguments.value)]
    if arguments.ttl is not None:
        words += ["PX", str(max(1, round(arguments.ttl * 1000)))]
    told: dict[str, int] = {}
    with open_client(arguments) as client:
        ask(client, *words)
        if arguments.wait is not None:
            told["nodes"] = ask(client, "WAIT", str(arguments.wait), str(_WAIT_SECONDS * 1000))
    if arguments.json:
        put_json({"key": plain(_key(arguments.key)), "ok": True, **told})
    else:
        put("OK")
    if arguments.wait is not None and told["nodes"] < arguments.wait:
        raise TimedOut(
            f"it is written here and on its way, but within {_WAIT_SECONDS} s {told['nodes']} of "
            f"{arguments.wait} other nodes have said that they have it on disk"
        )
    if not arguments.json:
        next_step(suggestion(arguments, f"get {_shown(arguments.key)}") + "   (on any member)")
    return 0


def _configure_del(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("keys", metavar="KEY", nargs="+")
    add_socket(parser)


def _del(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        count = ask(client, "DEL", *(_key(key) for key in arguments.keys))
    if arguments.json:
        put_json({"deleted": count})
    else:
        put(str(count))
    if count == 0:
        raise NotFound("none of these keys is here")
    next_step(suggestion(arguments, "keys"))
    return 0


def _configure_incr(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("by", metavar="BY", nargs="?", type=int, default=1, help="default 1")
    add_socket(parser)


def _incr(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        value = _of_key(arguments, client, "INCRBY", str(arguments.by))
    if arguments.json:
        put_json({"key": plain(_key(arguments.key)), "value": value})
    else:
        put(str(value))
        next_step(suggestion(arguments, f"get {_shown(arguments.key)}") + "   (on any member)")
    return 0


def _configure_keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", default="*", help="default '*'")
    add_socket(parser)


def _keys(arguments: argparse.Namespace) -> int:
    with open_client(arguments) as client:
        keys = client.keys(os.fsencode(arguments.pattern))
    if arguments.json:
        put_json({"keys": keys})
        return 0
    for key in keys:
        put(printable(key))
    if not keys:
        say(f"no key matches {arguments.pattern}")
    next_step(suggestion(arguments, f"get {printable(keys[0])}" if keys else "set KEY VALUE"))
    return 0


COMMANDS = {
    "get": Command(
        _configure_get,
        _get,
        "gossipnet get flags:new-ui          exit code 5 if there is no such key\n"
        "gossipnet get config > config.yaml  the bytes exactly as they are",
    ),
    "set": Command(
        _configure_set,
        _set,
        "gossipnet set flags:new-ui on\ngossipnet set lease:atlas busy --ttl 90s\n"
        "gossipnet set config:limit 10 --wait 2      until two other nodes have it on disk",
    ),
    "del": Command(
        _configure_del,
        _del,
        "gossipnet del flags:new-ui flags:old-ui     exit code 5 if none was there",
    ),
    "incr": Command(
        _configure_incr,
        _incr,
        "gossipnet incr visits\ngossipnet incr stock -5      several machines may add at once",
    ),
    "keys": Command(_configure_keys, _keys, "gossipnet keys\ngossipnet keys 'flags:*' --json"),
}
