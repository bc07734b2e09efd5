"""Messages about who has a record on disk: asked for by WAIT, answered with a signature.

Layouts only; `wire` decodes them, `receipts` knows what they are for.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol.wire_types import Bytes16, Bytes32, Count, Message, Signature

RECEIPTS_PER_MESSAGE = 256


class ReceiptBody(Struct, array_like=True, frozen=True):
    """A node has a log up to a record; signed with `Domain.RECEIPT`, bytes kept as received.

    Attributes:
      node: Who says so.
      log: Whose records.
      seq: Up to this one.
      hash: Of that one, and so of all before it.
      synced: It is on disk, fsynced; else it is with the operating system.
    """

    node: Bytes32
    log: Bytes16
    seq: Count
    hash: Bytes32
    synced: bool


class Receipt(Struct, array_like=True, frozen=True):
    """A signed `ReceiptBody`."""

    body: Annotated[bytes, Meta(max_length=160)]
    signature: Signature


class QuestionBody(Struct, array_like=True, frozen=True):
    """What travels of a question beyond the asker's neighbours; signed with `Domain.QUESTION`.

    Attributes: as those of `AskReceipts`.
    """

    asker: Bytes16
    number: Count
    log: Bytes16
    seq: Count


class AskReceipts(Message, frozen=True, tag=52):
    """Say so when you have this record on disk, and ask others.

    Attributes:
      asker: First half of the id of the node that waits.
      number: Of its question; names the way back.
      log: Whose record.
      seq: Which.
      reach: Links that the question may still travel, this one included.
      signature: The asker's, over `QuestionBody`; empty on the asker's own links if it goes no
        further.
    """

    asker: Bytes16
    number: Count
    log: Bytes16
    seq: Annotated[int, Meta(ge=1, le=1 << 62)]
    reach: Annotated[int, Meta(ge=1, le=64)]
    signature: Annotated[bytes, Meta(max_length=64)] = b""


class Receipts(Message, frozen=True, tag=53):
    """Answers on their way back, along the links on which the question came."""

    asker: Bytes16
    number: Count
    receipts: Annotated[list[Receipt], Meta(max_length=RECEIPTS_PER_MESSAGE)]


_decoder: msgspec.msgpack.Decoder[ReceiptBody] = msgspec.msgpack.Decoder(ReceiptBody)


def decode_receipt_untrusted(body: bytes) -> ReceiptBody:
    """Parse the signed body of a receipt; raises `RemoteProtocolError`."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("bad-receipt", str(error)) from error
