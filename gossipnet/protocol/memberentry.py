"""A member record as it is kept: what was signed, and what is derived from it once.

In a simulation a thousand nodes hold the same thousand records. `share_records` has all nodes of
this process hold one copy of each, derived once: records are immutable, so nothing else changes.
Verifies nothing; `membership` does.
"""

import hashlib
from typing import NamedTuple

import msgspec

from gossipnet.protocol.wire_members import (
    MemberBody,
    MemberEntry,
    decode_member_untrusted,
)

_pack = msgspec.msgpack.Encoder().encode


class Kept(NamedTuple):
    """One record.

    Attributes:
      body: Decoded.
      entry: Signed bytes and the chain.
      number: Hash of the signed bytes; the table's digest is made of their sum.
      packed: The entry for the database.
      neighbours: Of the body, as a set.
    """

    body: MemberBody
    entry: MemberEntry
    number: int
    packed: bytes
    neighbours: frozenset[bytes]


class _Shared:
    """What all nodes of this process have in common; off unless somebody asks for it."""

    def __init__(self) -> None:
        self.size = 0
        self.bodies: dict[bytes, MemberBody] = {}
        self.kept: dict[bytes, Kept] = {}


_shared = _Shared()


def share_records(size: int) -> None:
    """Keep one copy of each record for all nodes of this process; at most ``size`` of them."""
    _shared.size = size


def body_of(entry: MemberEntry) -> MemberBody:
    """The decoded body of an entry; raises `RemoteProtocolError`."""
    if not _shared.size:
        return decode_member_untrusted(entry.body)
    body = _shared.bodies.get(entry.body)
    if body is None:
        body = decode_member_untrusted(entry.body)
        if len(_shared.bodies) >= _shared.size:
            _shared.bodies.clear()
        _shared.bodies[entry.body] = body
    return body


def kept(body: MemberBody, entry: MemberEntry) -> Kept:
    """What is to be kept of a verified entry with its chain."""
    known = _shared.kept.get(entry.body)
    if known is not None and known.entry == entry:
        return known
    number = int.from_bytes(hashlib.blake2b(entry.body, digest_size=32).digest(), "big")
    made = Kept(body, entry, number, _pack(entry), frozenset(body.neighbours))
    if _shared.size:
        if len(_shared.kept) >= _shared.size:
            _shared.kept.clear()
        _shared.kept[entry.body] = made
    return made
