"""``gossipnet export`` and ``import``: keys of all types as lines of JSON."""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from gossipnet.cli.connection import open_client
from gossipnet.cli.jsonlines import (
    LINE_BYTES,
    BadLine,
    Key,
    Words,
    head,
    line,
    questions,
    read_line,
    tail,
)
from gossipnet.cli.options import Command, add_socket
from gossipnet.cli.progress import Bar
from gossipnet.cli.terminal import put_json, say
from gossipnet.errors import TimedOut, UserError

if TYPE_CHECKING:
    from gossipnet.client import Client

_PAGE = 100
_BATCH_KEYS = 64
_BATCH_BYTES = 512 * 1024
_FIELDS = 1000


def _configure_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: to stdout")
    parser.add_argument("--match", metavar="PATTERN", default="*", help="only keys like this")
    add_socket(parser)


def _export(arguments: argparse.Namespace) -> int:
    bar = Bar("export", "keys")
    with open_client(arguments, None) as client, _written(arguments.file) as out:
        mesh = str(client.status().get("mesh", ""))
        total = int(client.call("DBSIZE"))
        out.write(head(mesh, int(time.time() * 1000)).encode() + b"\n")
        count = 0
        for text in _lines(client, arguments.match):
            out.write(text.encode() + b"\n")
            count += 1
            bar(min(count, total), total)
        out.write(tail(count).encode() + b"\n")
    bar.end()
    say(f"exported  {count} key{'' if count == 1 else 's'}")
    return 0


def _lines(client: "Client", pattern: str) -> Iterator[str]:
    """Every key once, each as it was at one instant."""
    cursor: Any = b"0"
    seen: set[bytes] = set()
    while True:
        cursor, page = client.call("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)
        fresh = [key for key in page if key not in seen]
        seen.update(fresh)
        kinds = client.call_all([("TYPE", key) for key in fresh]) if fresh else []
        for key, kind in zip(fresh, kinds, strict=True):
            yield from _line(client, key, _word(kind))
        if int(cursor) == 0:
            return


def _line(client: "Client", key: bytes, kind: str) -> Iterator[str]:
    while kind != "none":
        asked = questions(key, kind)
        replies = client.call_all([("MULTI",), *asked, ("EXEC",)])[-1]
        if isinstance(replies, Exception):
            raise replies
        wrong = [reply for reply in replies if isinstance(reply, Exception)]
        if not wrong and replies[1] is not None:
            ends = _field_ends(client, key, list(replies[1])) if kind == "hash" else []
            yield line(key, kind, replies, ends)
            return
        now = _word(client.call("TYPE", key))  # it has become something else meanwhile
        if now == kind:
            raise wrong[0] if wrong else UserError(f"{key!r} has no value")
        kind = now


def _field_ends(client: "Client", key: bytes, fields: list[bytes]) -> list[int]:
    ends: list[int] = []
    for at in range(0, len(fields), _FIELDS):
        some = fields[at : at + _FIELDS]
        told = client.call("HPEXPIRETIME", key, "FIELDS", len(some), *some)
        ends += [int(end) for end in told] if told else [-1] * len(some)
    return ends


def _word(reply: Any) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)


@contextlib.contextmanager
def _written(name: str) -> Iterator[IO[bytes]]:
    """Standard output, or a file that appears under its name when it is complete."""
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = f"{name}.{os.getpid()}.partial"
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(fd)
        os.replace(partial, name)
    except OSError as error:
        raise UserError(f"cannot write {name}: {error.strerror}") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)


def _configure_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: from stdin")
    parser.add_argument(
        "--keep", action="store_true", help="leave keys alone that are there (default: replace)"
    )
    add_socket(parser)


def _import(arguments: argparse.Namespace) -> int:
    bar = Bar("import")
    counts = {"written": 0, "kept": 0, "expired": 0}
    with open_client(arguments, None) as client, _read(arguments.file) as source:
        complete = _take_in(client, source, arguments.keep, counts, bar)
    bar.end()
    if arguments.json:
        put_json({**counts, "complete": complete})
    say(
        f"imported  {counts['written']} keys; {counts['kept']} kept as they were, "
        f"{counts['expired']} had ended"
    )
    if not complete:
        raise TimedOut("the file has no last line: the export was cut short; the rest is written")
    return 0


@contextlib.contextmanager
def _read(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        with open(name, "rb") as file:
            yield file
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror}") from None


def _take_in(
    client: "Client", source: IO[bytes], keep: bool, counts: dict[str, int], bar: Bar
) -> bool:
    """Write every line's key; whether the last line came."""
    total = os.fstat(source.fileno()).st_size
    done = number = 0
    batch: list[tuple[int, Key]] = []
    waiting = 0
    complete = False
    while text := source.readline(LINE_BYTES):
        number += 1
        done += len(text)
        try:
            document = read_line(text) if text.strip() else {}
            complete = complete or bool(document.get("end"))
            if "key" in document:
                batch.append((number, Key(document)))
                waiting += len(text)
            elif number == 1 and document.get("gossipnet_export", 1) != 1:
                raise BadLine("it is an export of a newer gossipnet")
            elif document and not document.keys() & {"gossipnet_export", "end"}:
                raise BadLine("it has no key")
        except BadLine as error:
            _flush(client, batch, keep, counts)
            raise UserError(f"line {number}: {error}; what stood before it is written") from None
        if len(batch) >= _BATCH_KEYS or waiting >= _BATCH_BYTES:
            _flush(client, batch, keep, counts)
            batch, waiting = [], 0
            bar(done, total)
    _flush(client, batch, keep, counts)
    return complete


def _flush(
    client: "Client", batch: list[tuple[int, Key]], keep: bool, counts: dict[str, int]
) -> None:
    now_ms = time.time() * 1000
    live = [one for one in batch if one[1].expires_ms is None or one[1].expires_ms > now_ms]
    counts["expired"] += len(batch) - len(live)
    if keep and live:
        there = client.call_all([("EXISTS", key.key) for _number, key in live])
        counts["kept"] += sum(there)
        live = [one for one, exists in zip(live, there, strict=True) if not exists]
    plain = [one for one in live if one[1].kind != "stream"]
    steps = [(number, words) for number, key in plain for words in key.transactions()]
    while steps:
        some, steps = _some(steps)
        commands: list[Words] = []
        ends: list[tuple[int, int]] = []
        for number, words in some:
            commands += [("MULTI",), *words, ("EXEC",)]
            ends.append((len(commands) - 1, number))
        replies = client.call_all(commands)
        for at, number in ends:
            _check(number, replies[at])
    for number, key in live:
        if key.kind == "stream":
            _write_stream(client, number, key)
    counts["written"] += len(live)


def _some(
    steps: list[tuple[int, list[Words]]],
) -> tuple[list[tuple[int, list[Words]]], list[tuple[int, list[Words]]]]:
    """As many transactions as are sent together, and the rest."""
    size = 0
    for at, (_number, words) in enumerate(steps):
        size += sum(len(w) for command in words for w in command if isinstance(w, bytes))
        if size >= _BATCH_BYTES:
            return steps[: at + 1], steps[at + 1 :]
    return steps, []


def _write_stream(client: "Client", number: int, key: Key) -> None:
    """Entries first; groups need the ids that those have got."""
    ids: list[bytes] = []
    for words in key.transactions():
        replies = client.call_all([("MULTI",), *words, ("EXEC",)])[-1]
        _check(number, replies)
        ids += [reply for reply in replies if isinstance(reply, bytes)]
    for command in key.group_words(ids):
        _check(number, [client.call(*command)])


def _check(number: int, replies: Any) -> None:
    wrong = [replies] if isinstance(replies, Exception) else replies or ()
    for reply in wrong:
        if isinstance(reply, Exception):
            raise UserError(f"line {number}: {reply}; what stood before it is written")


COMMANDS = {
    "export": Command(
        _configure_export,
        _export,
        "gossipnet export state.jsonl                  every key, one a line\n"
        "gossipnet export --match 'user:*' | gzip > users.jsonl.gz",
        json=False,
    ),
    "import": Command(
        _configure_import,
        _import,
        "gossipnet import state.jsonl                  replaces the keys that are in it\n"
        "zcat users.jsonl.gz | gossipnet import --keep leaves those that are there",
    ),
}
