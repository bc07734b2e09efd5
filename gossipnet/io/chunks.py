"""Large values on disk: chunks named by their hash in ``HOME/blobs``, and the manifest of a value.

A manifest is an ordinary string in the state, at a key that begins with ``blob:``. So it is signed
by its author, replicated, replaced, expired and deleted like any other value, and what it names
cannot be changed by whoever holds it. Everything here blocks. Knows nothing of peers.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gossipnet.errors import StoreError
from gossipnet.protocol.blobs import chunk_hash
from gossipnet.protocol.wire_blobs import CHUNK_MAX

PREFIX = b"blob:"
"""Keys whose values are manifests."""
FOLDER = "blobs"
CHUNKS_MAX = 16_384
CHUNK_BYTES = 128 * 1024
SIZE_MAX = CHUNKS_MAX * CHUNK_MAX
_MAGIC = b"\0gossipnet blob 1\n"
_HASH_BYTES = 32


class _Layout(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=0, le=SIZE_MAX)]
    chunk_bytes: Annotated[int, Meta(ge=1, le=CHUNK_MAX)]
    hashes: Annotated[bytes, Meta(max_length=CHUNKS_MAX * _HASH_BYTES)]


_decoder: msgspec.msgpack.Decoder[_Layout] = msgspec.msgpack.Decoder(_Layout)


class Manifest:
    """What a large value is made of.

    Attributes:
      size: Bytes of the whole.
      chunk_bytes: Bytes of each chunk but the last.
      hashes: Of the chunks, in order.
      root: Hash of all of it, which decides who keeps it.
    """

    def __init__(self, size: int, chunk_bytes: int, hashes: list[bytes]) -> None:
        self.size = size
        self.chunk_bytes = chunk_bytes
        self.hashes = hashes
        self.root = chunk_hash(b"".join(hashes))

    def encode(self) -> bytes:
        """The value of its key."""
        layout = _Layout(self.size, self.chunk_bytes, b"".join(self.hashes))
        return _MAGIC + msgspec.msgpack.encode(layout)


def read_manifest(value: bytes) -> Manifest | None:
    """The manifest that is a key's value; None if it is none: anybody may write anything there."""
    if not value.startswith(_MAGIC):
        return None
    try:
        layout = _decoder.decode(value[len(_MAGIC) :])
    except msgspec.MsgspecError:
        return None
    count, rest = divmod(len(layout.hashes), _HASH_BYTES)
    if rest or count != -(-layout.size // layout.chunk_bytes):
        return None
    hashes = [layout.hashes[at : at + _HASH_BYTES] for at in range(0, len(layout.hashes), 32)]
    return Manifest(layout.size, layout.chunk_bytes, hashes)


def chunk_bytes_for(size: int) -> int:
    """How large the chunks of a value of that size are; 0 if it is too large."""
    chunk = CHUNK_BYTES
    while chunk <= CHUNK_MAX and size > chunk * CHUNKS_MAX:
        chunk *= 2
    return chunk if chunk <= CHUNK_MAX else 0


class ChunkStore:
    """The chunks of one home.

    Args:
      home: Its folder.
      budget: Bytes that all chunks may take.
    """

    def __init__(self, home: Path, budget: int) -> None:
        self.folder = home / FOLDER
        self.budget = budget

    def path(self, name: bytes) -> Path:
        """Where a chunk is, or would be."""
        text = name.hex()
        return self.folder / text[:2] / text[2:]

    def has(self, name: bytes) -> bool:
        """Whether it is here; its bytes are checked when they are read."""
        return self.path(name).exists()

    def read(self, name: bytes) -> bytes | None:
        """A chunk; None if it is not here. One that has changed on disk is removed: it is not."""
        try:
            data = self.path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {self.path(name)}: {error.strerror}") from error
        if chunk_hash(data) != name:
            self.remove(name)
            return None
        return data

    def write(self, name: bytes, data: bytes) -> None:
        """Keep a chunk, on disk when this returns, but perhaps not its name: see `settle`.

        Raises:
          StoreError: The disk or the budget is full.
        """
        path = self.path(name)
        if path.exists():
            return
        beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(fd)
            beside.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise StoreError(f"cannot write {path}: {error.strerror}") from error

    def settle(self) -> None:
        """Have the names of all chunks on disk too, not only what is in them.

        Raises:
          StoreError: The disk would not have it.
        """
        for folder in (self.folder, *self.folder.glob("[0-9a-f][0-9a-f]")):
            try:
                fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            except OSError as error:
                raise StoreError(f"cannot write {folder}: {error.strerror}") from error

    def remove(self, name: bytes) -> None:
        """Forget a chunk."""
        with contextlib.suppress(FileNotFoundError):
            self.path(name).unlink()

    def list(self) -> dict[bytes, int]:
        """Sizes of all chunks by name; debris of writers that died is removed."""
        found: dict[bytes, int] = {}
        for folder in self.folder.glob("[0-9a-f][0-9a-f]"):
            for entry in os.scandir(folder):
                try:
                    found[bytes.fromhex(folder.name + entry.name)] = entry.stat().st_size
                except ValueError:
                    if self._dead(entry.name):
                        Path(entry.path).unlink(missing_ok=True)
                except FileNotFoundError:  # its writer has just given it its name
                    continue
        return found

    @staticmethod
    def _dead(name: str) -> bool:
        parts = name.split(".")
        if len(parts) != 3 or not parts[1].isdigit():
            return False
        return not Path(f"/proc/{parts[1]}").exists() if Path("/proc/self").exists() else False

    @contextlib.contextmanager
    def putting(self) -> Iterator[None]:
        """While the block lasts nothing is collected: chunks come before the key that names them.

        Raises:
          StoreError: The folder cannot be made.
        """
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StoreError(f"cannot use {self.folder}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            yield
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def collecting(self) -> Iterator[bool]:
        """Whether nobody is `putting`; if so, whoever begins to has to wait for the block."""
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True
        finally:
            os.close(fd)
