"""``gossipnet blob``: large values, as files that stream in and out.

A value's chunks lie in the home as files named by their hash; the command writes and reads those
itself, a few at a time, and the daemon is asked only for the list of them and for chunks that other
members have.
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gossipnet.cli.connection import ask, open_client
from gossipnet.cli.durations import parse_duration
from gossipnet.cli.options import Command, add_socket, home_of, settings_of
from gossipnet.cli.progress import Bar, told_bytes
from gossipnet.cli.terminal import printable, put, put_json, put_table, say
from gossipnet.errors import NotFound, StoreError, TimedOut, UsageError, UserError

if TYPE_CHECKING:
    from gossipnet.client import Client
    from gossipnet.io.chunks import ChunkStore, Manifest

_AHEAD = 64
"""Chunks asked for ahead of the one that is written out."""
_STALLED_SECONDS = 30.0


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", choices=("put", "get", "ls", "rm"))
    parser.add_argument("names", metavar="NAME", nargs="*", help="then, for put and get, a FILE")
    parser.add_argument(
        "--ttl", type=parse_duration, metavar="TIME", help="put: it ends after that"
    )
    parser.add_argument(
        "--timeout",
        type=parse_duration,
        default=_STALLED_SECONDS,
        metavar="TIME",
        help="get: give up when nothing has come for so long (30s)",
    )
    add_socket(parser)


def _execute(arguments: argparse.Namespace) -> int:
    from gossipnet.io.chunks import ChunkStore

    store = ChunkStore(home_of(arguments), settings_of(arguments).blob_budget)
    names = arguments.names
    with open_client(arguments) as client:
        if arguments.verb == "ls":
            return _ls(arguments, client, store)
        if arguments.verb == "rm":
            return _rm(arguments, client)
        if len(names) not in (1, 2) or (arguments.verb == "put" and len(names) != 2):
            raise UsageError(
                "blob put takes a NAME and a FILE, and blob get a NAME and, unless it goes to "
                "standard output, a FILE; see gossipnet blob --help"
            )
        if arguments.verb == "put":
            return _put(arguments, client, store)
        return _get(arguments, client, store)


def _key(name: str) -> bytes:
    from gossipnet.io.chunks import PREFIX

    return PREFIX + os.fsencode(name)


# ---------------------------------------------------------------- put


def _put(arguments: argparse.Namespace, client: "Client", store: "ChunkStore") -> int:
    from gossipnet.io.chunks import SIZE_MAX, Manifest, chunk_bytes_for

    name, file = arguments.names
    with _source(file) as (source, size):
        chunk_bytes = chunk_bytes_for(size)
        if not chunk_bytes:
            raise UserError(f"{file} is larger than {told_bytes(SIZE_MAX)}: cut it into pieces")
        bar = Bar("put")
        with store.putting():
            taken = sum(store.list().values())
            if taken + size > store.budget:
                raise StoreError(
                    f"{file} does not fit: chunks here take {told_bytes(taken)} of "
                    f"{told_bytes(store.budget)}; raise blob.budget or remove some with blob rm"
                )
            hashes: list[bytes] = []
            done = 0
            while data := source.read(chunk_bytes):
                hashes.append(_kept(store, data))
                done += len(data)
                bar(done, size)
            store.settle()  # nobody may learn of chunks that a power failure could take back
            manifest = Manifest(done, chunk_bytes, hashes)
            ttl = [] if arguments.ttl is None else ["PX", max(1, round(arguments.ttl * 1000))]
            ask(client, "SET", _key(name), manifest.encode(), *ttl)
        bar.end()
    if arguments.json:
        put_json({"name": name, "bytes": done, "chunks": len(hashes)})
    say(f"put       {name} ({told_bytes(done)} in {len(hashes)} chunks); other members fetch it")
    return 0


def _kept(store: "ChunkStore", data: bytes) -> bytes:
    from gossipnet.protocol.blobs import chunk_hash

    name = chunk_hash(data)
    store.write(name, data)
    return name


@contextlib.contextmanager
def _source(file: str) -> Iterator[tuple[IO[bytes], int]]:
    try:
        with open(file, "rb") as source:
            if not os.path.isfile(file):
                raise UsageError(f"{file} is no file: its size must be known beforehand")
            yield source, os.fstat(source.fileno()).st_size
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None


# ---------------------------------------------------------------- get


def _manifest(client: "Client", name: str) -> "Manifest":
    from gossipnet.io.chunks import read_manifest

    value = ask(client, "GET", _key(name))
    if value is None:
        raise NotFound(f"there is no blob {name!r} here; see gossipnet blob ls")
    manifest = read_manifest(value)
    if manifest is None:
        raise UserError(f"the key blob:{name} holds something else than the list of a blob")
    return manifest


def _get(arguments: argparse.Namespace, client: "Client", store: "ChunkStore") -> int:
    name = arguments.names[0]
    file = arguments.names[1] if len(arguments.names) == 2 else "-"
    manifest = _manifest(client, name)
    bar = Bar("get")
    done = 0
    with _target(file) as out:
        for data in _chunks(client, store, manifest, arguments.timeout):
            out.write(data)
            done += len(data)
            bar(done, manifest.size)
    bar.end()
    if done != manifest.size:
        raise UserError(f"the list of {name!r} does not add up: it was put by a faulty program")
    say(f"got       {name} ({told_bytes(done)})")
    return 0


def _chunks(
    client: "Client", store: "ChunkStore", manifest: "Manifest", patience: float
) -> Iterator[bytes]:
    """The value's chunks in order; those ahead are on their way meanwhile."""
    hashes = manifest.hashes
    for at, name in enumerate(hashes):
        waited = time.monotonic()
        asked = at % (_AHEAD // 2) == 0
        while True:
            if asked:  # not before each chunk: most are here when their turn comes
                ask(client, "GOSSIP", "CHUNKS", manifest.root, *hashes[at : at + _AHEAD])
            data = store.read(name)
            if data is not None:
                yield data
                break
            if time.monotonic() - waited > patience:
                raise TimedOut(
                    f"chunk {at + 1} of {len(hashes)} did not come within {patience:g} s: no "
                    "member that can be reached has it; run it again, and it goes on where it was"
                )
            asked = True
            time.sleep(0.01)


@contextlib.contextmanager
def _target(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = Path(f"{file}.{os.getpid()}.partial")
    try:
        with partial.open("xb") as out:
            yield out
        partial.replace(file)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


# ---------------------------------------------------------------- ls and rm


def _ls(arguments: argparse.Namespace, client: "Client", store: "ChunkStore") -> int:
    from gossipnet.io.chunks import PREFIX, read_manifest

    rows = []
    for key in client.keys(PREFIX + b"*"):
        manifest = read_manifest(ask(client, "GET", key) or b"")
        if manifest is not None:
            here = sum(map(store.has, manifest.hashes))
            name = key.removeprefix(PREFIX)
            rows.append((name, manifest.size, len(manifest.hashes), here))
    if arguments.json:
        names = ("name", "bytes", "chunks", "here")
        put_json({"blobs": [dict(zip(names, row, strict=True)) for row in rows]})
        return 0
    if rows:
        put_table(
            ("NAME", "SIZE", "CHUNKS", "HERE"),
            [
                [printable(name), told_bytes(size), str(count), str(here)]
                for name, size, count, here in rows
            ],
        )
    say(f"{len(rows)} blob{'' if len(rows) == 1 else 's'}")
    return 0


def _rm(arguments: argparse.Namespace, client: "Client") -> int:
    if not arguments.names:
        raise UsageError("which ones? gossipnet blob rm NAME ...")
    removed = ask(client, "DEL", *map(_key, arguments.names))
    if arguments.json:
        put_json({"removed": removed})
    else:
        put(str(removed))
    if removed < len(set(arguments.names)):
        raise NotFound(f"{len(set(arguments.names)) - removed} of them were not there")
    return 0


COMMANDS = {
    "blob": Command(
        _configure,
        _execute,
        "gossipnet blob put film film.mkv\n"
        "gossipnet blob get film copy.mkv            on any machine\n"
        "gossipnet blob ls\n"
        "gossipnet blob rm film",
    )
}
