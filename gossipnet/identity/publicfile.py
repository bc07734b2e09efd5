"""The file ``identity.cert``: everything public of one node's identity, under one sum.

Knows nothing of the keys beside it; says what is in the file, not whether it holds.
"""

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gossipnet.errors import HomeError
from gossipnet.identity.certificate import MAX_CERTIFICATE_BYTES
from gossipnet.identity.files import read_private, write_private
from gossipnet.identity.trust import MAX_CHAIN, MAX_TRUST_BYTES

_MAGIC = b"gossipnet identity, version 1\n"
_SUM_BYTES = 16
_MAX_FILE = 65_536

_Chain = Annotated[
    tuple[Annotated[bytes, Meta(max_length=MAX_CERTIFICATE_BYTES)], ...], Meta(max_length=MAX_CHAIN)
]


class Public(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What the file holds, after its first line and a sum.

    Attributes:
      trust: The mesh's root, encoded.
      chain: The node's certificates.
      issuer_chain: Those of its issuer's key, if it has one.
    """

    trust: Annotated[bytes, Meta(max_length=MAX_TRUST_BYTES)]
    chain: _Chain
    issuer_chain: _Chain


_decoder: msgspec.msgpack.Decoder[Public] = msgspec.msgpack.Decoder(Public)


def read_public(path: Path) -> Public:
    """What is in the file.

    Raises:
      HomeError: It is open to others, damaged, or of a newer program.
      FileNotFoundError: It is not there.
    """
    data = read_private(path, _MAX_FILE)
    damaged = HomeError(
        f"{path} is damaged: put a copy of it back, or let this machine join anew in another home"
    )
    if not data.startswith(_MAGIC):
        if data.startswith(b"gossipnet identity, version "):
            raise HomeError(f"{path} was written by a newer gossipnet: update this one")
        raise damaged
    rest = data[len(_MAGIC) :]
    if _sum(rest[_SUM_BYTES:]) != rest[:_SUM_BYTES]:
        raise damaged
    try:
        return _decoder.decode(rest[_SUM_BYTES:])
    except (msgspec.DecodeError, RecursionError):
        raise damaged from None


def write_public(path: Path, public: Public) -> None:
    """Put the file in place in one step; raises `HomeError`."""
    data = msgspec.msgpack.encode(public)
    write_private(path, _MAGIC + _sum(data) + data)


def _sum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_SUM_BYTES).digest()
