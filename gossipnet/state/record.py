"""Records: a signed header that chains to the one before it, and a body.

Layout, big-endian: version u8, flags u8, log id 16, seq u64, prev 32, hlc u64, body length u32,
body hash 32, signature 64, body. The signature is over everything before it, in the record domain
and for one mesh; the log id binds the author's key. A record's hash is BLAKE2b-256 of the same
bytes. Records are verified over the bytes received, never over something written again.
"""

import hashlib
import hmac
from dataclasses import dataclass
from struct import Struct

from gossipnet.errors import RemoteProtocolError
from gossipnet.identity.signing import Domain, SecretKey, sign, verify
from gossipnet.ids import LogId
from gossipnet.state.body import (
    BODY_MAX,
)
from gossipnet.state.dots import SEQ_MAX

VERSION = 1
_HEADER = Struct(">BB16sQ32sQI32s")
SIGNED_BYTES = _HEADER.size
OVERHEAD = SIGNED_BYTES + 64
GENESIS = bytes(32)
"""``prev`` of the first record of a log."""


@dataclass(frozen=True, slots=True)
class Record:
    """One parsed record.

    Attributes:
      log: Whose log and which epoch.
      seq: 1, 2, 3, ... without holes.
      prev: Hash of the record before it.
      stamp: Hybrid logical clock.
      data: All bytes as received.
    """

    log: LogId
    seq: int
    prev: bytes
    stamp: int
    data: bytes

    @property
    def body(self) -> bytes:
        """The bytes after the signature."""
        return self.data[OVERHEAD:]

    @property
    def hash(self) -> bytes:
        """What the next record's ``prev`` must be."""
        return hashlib.blake2b(self.data[:SIGNED_BYTES], digest_size=32).digest()

    def verify(self, public_key: bytes, mesh_id: bytes) -> None:
        """Check the author's signature; raises `BadSignature`."""
        verify(
            public_key,
            Domain.RECORD,
            mesh_id,
            self.data[:SIGNED_BYTES],
            self.data[SIGNED_BYTES:OVERHEAD],
        )


def parse_untrusted(data: bytes) -> Record:
    """Take a record apart and check all that needs no key.

    Raises:
      RemoteProtocolError: ``bad-record``.
    """
    read = read_header(data)
    length, body_hash = _HEADER.unpack_from(data)[6:]
    if length > BODY_MAX or len(data) != OVERHEAD + length:
        raise RemoteProtocolError("bad-record", "wrong length")
    if not hmac.compare_digest(_hash(memoryview(data)[OVERHEAD:]), body_hash):
        raise RemoteProtocolError("bad-record", "the body does not fit its hash")
    return read


def read_header(data: bytes) -> Record:
    """A record of which there may be nothing but header and signature.

    Raises:
      RemoteProtocolError: ``bad-record``.
    """
    if len(data) < OVERHEAD:
        raise RemoteProtocolError("bad-record", "shorter than a header")
    version, flags, log, seq, prev, stamp, _length, _body_hash = _HEADER.unpack_from(data)
    if version != VERSION or flags:
        raise RemoteProtocolError("bad-record", f"version {version}, flags {flags}")
    if not 1 <= seq <= SEQ_MAX or (prev == GENESIS) != (seq == 1):
        raise RemoteProtocolError("bad-record", "wrong sequence number")
    return Record(LogId(log), seq, prev, stamp, data)


def write(
    key: SecretKey, mesh_id: bytes, log: LogId, seq: int, prev: bytes, stamp: int, body: bytes
) -> Record:
    """Sign a new record."""
    header = _HEADER.pack(VERSION, 0, log, seq, prev, stamp, len(body), _hash(body))
    signature = sign(key, Domain.RECORD, mesh_id, header)
    return Record(log, seq, prev, stamp, b"".join((header, signature, body)))


def _hash(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()
