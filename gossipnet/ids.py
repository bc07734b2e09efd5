"""Names for the byte strings that identify meshes, nodes and logs, and their text form.

Knows nothing of keys' secrets, of certificates or of the network.
"""

import base64
import hashlib
from typing import NewType

NodeId = NewType("NodeId", bytes)
"""BLAKE2b-256 of a node's Ed25519 public key: 32 bytes."""

MeshId = NewType("MeshId", bytes)
"""BLAKE2b-256 of the body of root record version 1: 32 bytes."""

LogId = NewType("LogId", bytes)
"""BLAKE2b-128 of an author's public key and epoch: 16 bytes. One incarnation of one log."""


def node_id(public_key: bytes) -> NodeId:
    """The id of the node that holds ``public_key`` (32 bytes, Ed25519)."""
    return NodeId(hashlib.blake2b(public_key, digest_size=32).digest())


def log_id(public_key: bytes, epoch: int) -> LogId:
    """The id of the log that ``public_key`` writes in ``epoch`` (u32)."""
    return LogId(hashlib.blake2b(public_key + epoch.to_bytes(4, "big"), digest_size=16).digest())


def text(identifier: bytes) -> str:
    """Lower-case base32 without padding: 52 characters for 32 bytes."""
    return base64.b32encode(identifier).decode("ascii").rstrip("=").lower()


def short(identifier: bytes) -> str:
    """The first 10 characters of `text`: for people, never for decisions."""
    return text(identifier)[:10]


def parse(written: str) -> bytes:
    """The bytes behind `text`.

    Raises:
      ValueError: Not base32.
    """
    padded = written.upper() + "=" * (-len(written) % 8)
    return base64.b32decode(padded)
