"""Fork proofs: one author signed two records with one number, and anybody can check it.

A proof holds both signed headers. They follow the same record, so the log parted exactly here;
nothing else is taken, for two headers that follow different records prove a fork further down and
would leave open where. It names no bodies and no receiver: it can be verified offline, by whoever
knows the mesh's root.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from gossipnet import ids
from gossipnet.errors import CertificateError, RemoteProtocolError
from gossipnet.identity.certificate import MAX_CERTIFICATE_BYTES, Certificate, Key
from gossipnet.identity.revocations import NEVER
from gossipnet.identity.signing import Domain, verify
from gossipnet.identity.trust import MAX_CHAIN, Trust
from gossipnet.ids import LogId, NodeId
from gossipnet.state.record import OVERHEAD, SIGNED_BYTES, Record, read_header

MAX_PROOF_BYTES = 16_384
FORKS_PER_AUTHOR = 256
"""As many as one author may have logs."""

_Header = Annotated[bytes, Meta(min_length=OVERHEAD, max_length=OVERHEAD)]


class _Proof(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What travels: whose log it is, and both headers with their signatures, the lower first."""

    public_key: Key
    epoch: Annotated[int, Meta(ge=0, lt=1 << 32)]
    chain: Annotated[
        tuple[Annotated[bytes, Meta(max_length=MAX_CERTIFICATE_BYTES)], ...],
        Meta(max_length=MAX_CHAIN),
    ]
    one: _Header
    other: _Header


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Proof] = msgspec.msgpack.Decoder(_Proof)


@dataclass(frozen=True, slots=True)
class ForkProof:
    """A verified proof.

    Attributes:
      id: Names the fork, whichever two of its records prove it.
      log: Which log.
      seq: The number that two records bear.
      prev: Hash of the record that both follow.
      author: Who signed both.
      public_key: The author's.
      certificate: The author's, as the proof shows it.
      chain: The same with its issuers.
      data: The whole proof, as received.
    """

    id: bytes
    log: LogId
    seq: int
    prev: bytes
    author: NodeId
    public_key: bytes
    certificate: Certificate
    chain: tuple[bytes, ...]
    data: bytes


def make_proof(
    public_key: bytes, epoch: int, chain: tuple[bytes, ...], one: Record, other: Record
) -> bytes:
    """Encode a proof out of two records; nothing is verified."""
    lower, higher = sorted((one.data[:OVERHEAD], other.data[:OVERHEAD]))
    return _encoder.encode(_Proof(public_key, epoch, chain, lower, higher))


def decode_proof(data: bytes, trust: Trust) -> ForkProof:
    """Verify a proof.

    Raises:
      RemoteProtocolError: It proves nothing.
    """
    if len(data) > MAX_PROOF_BYTES:
        raise RemoteProtocolError("bad-proof", "too long")
    try:
        proof = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RemoteProtocolError("bad-proof", "malformed") from None
    if _encoder.encode(proof) != data:
        raise RemoteProtocolError("bad-proof", "not in its shortest form")
    certificate = trust.verify_past_chain(proof.chain)
    if certificate.subject != proof.public_key:
        raise CertificateError("wrong-subject", "the certificate is another node's")
    one, other = read_header(proof.one), read_header(proof.other)
    log = ids.log_id(proof.public_key, proof.epoch)
    if one.log != log or other.log != log or one.seq != other.seq or one.prev != other.prev:
        raise RemoteProtocolError("bad-proof", "two records that may both be there")
    if proof.one[:SIGNED_BYTES] >= proof.other[:SIGNED_BYTES]:
        raise RemoteProtocolError("bad-proof", "one record twice")
    for header in (proof.one, proof.other):
        body, signature = header[:SIGNED_BYTES], header[SIGNED_BYTES:]
        verify(proof.public_key, Domain.RECORD, trust.mesh_id, body, signature)
    name = b"gossipnet fork\0" + log + one.seq.to_bytes(8, "big")
    return ForkProof(
        id=hashlib.blake2b(name, digest_size=32).digest(),
        log=LogId(log),
        seq=one.seq,
        prev=one.prev,
        author=ids.node_id(proof.public_key),
        public_key=proof.public_key,
        certificate=certificate,
        chain=tuple(proof.chain),
        data=data,
    )


class Forks:
    """All forks that are known: of each log the lowest.

    Args:
      trust: The mesh; its newest root may end an author's suspension.
    """

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._by_log: dict[LogId, ForkProof] = {}
        self._by_author: dict[NodeId, set[LogId]] = {}

    def __len__(self) -> int:
        return len(self._by_log)

    def __iter__(self) -> Iterator[ForkProof]:
        return iter(list(self._by_log.values()))

    def at(self, log: LogId) -> int:
        """The first number of a log that is taken by nobody, or `NEVER`."""
        proof = self._by_log.get(log)
        return NEVER if proof is None else proof.seq

    def add(self, proof: ForkProof) -> tuple[bool, ForkProof | None]:
        """Take in a verified proof; whether it is news, and the one that it replaces."""
        held = self._by_log.get(proof.log)
        if held is not None and held.seq <= proof.seq:
            return False, None
        of_author = self._by_author.setdefault(proof.author, set())
        if held is None and len(of_author) >= FORKS_PER_AUTHOR:
            return False, None
        of_author.add(proof.log)
        self._by_log[proof.log] = proof
        return True, held

    def of(self, author: NodeId) -> list[ForkProof]:
        """What is proved against an author and not voided by the newest root."""
        if author not in self._by_author:
            return []
        voided = self._trust.root.voids
        return [
            proof
            for log in self._by_author.get(author, ())
            if (proof := self._by_log[log]).id not in voided and author not in voided
        ]
