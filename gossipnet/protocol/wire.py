"""The messages that peers exchange on a link, and the one gate through which they are decoded.

Messages are msgpack arrays whose first element is the type. Every variable field has a cap that
msgspec checks before it reserves memory. Nothing here decides anything.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol.wire_blobs import BlobMessage
from gossipnet.protocol.wire_images import ImageProof
from gossipnet.protocol.wire_members import Accusation, MemberEntry
from gossipnet.protocol.wire_ranges import SpanHeads, Spans
from gossipnet.protocol.wire_receipts import AskReceipts, Receipts
from gossipnet.protocol.wire_talk import (
    AskEvents,
    EventHeads,
    PushEvents,
)
from gossipnet.protocol.wire_trace import AskTraces, Traces
from gossipnet.protocol.wire_trust import NoticeIds, Notices, RenewAnswer, RenewAsk
from gossipnet.protocol.wire_types import (
    UNREADABLE,
    Bytes8,
    Bytes16,
    Bytes32,
    Count,
    Message,
    Place,
    Text,
)

PROTOCOL_VERSION = 1
"""The newest version of these messages that this program speaks."""
LEAST_VERSION = 1
"""The oldest. Peers use the newer of the versions that both speak. Within a version nothing changes
but by new fields at the end of messages, which older peers skip; a new kind of message, or a new
meaning, is a new version."""

RECORDS_PER_MESSAGE = 4096
"""Records or ranges in one message; the link's own cap on a message's size comes on top."""

RecordBytes = Annotated[bytes, Meta(max_length=1_300_000)]
RecordBatch = Annotated[list[RecordBytes], Meta(max_length=RECORDS_PER_MESSAGE)]
Head = tuple[Bytes16, Count]
Tip = tuple[Bytes16, Count, Bytes16]
Heads = Annotated[list[Head], Meta(max_length=16_384)]
Range = tuple[Bytes16, Count, Count]
Ranges = Annotated[list[Range], Meta(max_length=RECORDS_PER_MESSAGE)]


# -- links and membership ----------------------------------------------------------------------


class Hello(Message, frozen=True, tag=1):
    """First message on a link, from both sides.

    Attributes:
      protocol: `PROTOCOL_VERSION`.
      least: `LEAST_VERSION`.
      instance: Random per process: tells a restarted peer from a second dial.
      intent: 0 be my neighbour if you have room, 1 I have none: please do, 2 short business.
      wall_ms: Sender's wall clock.
      observed: Address from which the sender sees the receiver, or empty.
      vector: Digest of the version vector.
      total: Records applied, of all logs.
      members: Digest of the member table.
      member: The sender's own signed record.
    """

    protocol: Count
    instance: Bytes8
    intent: Annotated[int, Meta(ge=0, le=2)]
    wall_ms: Count
    observed: Text
    vector: Bytes32
    total: Count
    members: Bytes32
    member: MemberEntry
    least: Count = 1


class Verdict(Message, frozen=True, tag=2):
    """Answer to the dialer's Hello: neighbours from now on, or no room."""

    accepted: bool


class Ping(Message, frozen=True, tag=3):
    """Heartbeat of the side that dialled, now and then of the other.

    ``rtt_us`` is what the sender last measured (0 unknown), ``place`` its coordinate, or empty.
    """

    number: Count
    total: Count
    vector: Bytes8
    rtt_us: Count
    place: Place = []


class Pong(Message, frozen=True, tag=4):
    """Answer to a Ping."""

    number: Count
    total: Count
    vector: Bytes8
    place: Place = []


class MemberHeads(Message, frozen=True, tag=5):
    """Version of every member record the sender holds; ``reply`` asks for the same in return."""

    heads: Annotated[list[tuple[Bytes16, Count, Count]], Meta(max_length=16_384)]
    reply: bool


class Members(Message, frozen=True, tag=6):
    """Member records: an answer to `MemberHeads`, never forwarded as it is."""

    entries: Annotated[list[MemberEntry], Meta(max_length=1024)]


class AskMembers(Message, frozen=True, tag=7):
    """Send me these members (first 16 bytes of their ids), with their chains or without."""

    nodes: Annotated[list[Bytes16], Meta(max_length=1024)]
    chains: bool


class Digest(Message, frozen=True, tag=8):
    """Periodic anti-entropy: nothing more is said when both digests are equal."""

    vector: Bytes32
    members: Bytes32
    total: Count


class MemberNews(Message, frozen=True, tag=9):
    """Lazy push of member records: these versions are here, ask for what you lack."""

    heads: Annotated[list[tuple[Bytes16, Count, Count]], Meta(max_length=1024)]


# -- broadcast ---------------------------------------------------------------------------------


class Push(Message, frozen=True, tag=16):
    """Eager push of records.

    Attributes:
      hop: Links travelled so far; informational, clamped.
      first: From the author itself.
      records: Encoded records.
    """

    hop: Annotated[int, Meta(ge=0, le=255)]
    first: bool
    records: RecordBatch


class PushMembers(Message, frozen=True, tag=17):
    """Eager push of member records."""

    entries: Annotated[list[MemberEntry], Meta(max_length=1024)]


class PushAccusations(Message, frozen=True, tag=18):
    """Eager push of accusations."""

    accusations: Annotated[list[Accusation], Meta(max_length=1024)]


class IHave(Message, frozen=True, tag=19):
    """Lazy push: for each log, everything up to this sequence number is here."""

    heads: Heads


class Graft(Message, frozen=True, tag=20):
    """Push everything to me from now on, whatever the trees say."""


class Prune(Message, frozen=True, tag=21):
    """Go by the trees again: another path was faster."""


# -- anti-entropy ------------------------------------------------------------------------------


class Vector(Message, frozen=True, tag=24):
    """The sender's version vector; ``reply`` asks for the receiver's in return.

    With each head come the first 16 bytes of its hash, so that two branches of one log are noticed.
    """

    heads: Annotated[list[Tip], Meta(max_length=16_384)]
    reply: bool


class Want(Message, frozen=True, tag=25):
    """Stream these records to me, in the order in which you applied them."""

    session: Count
    ranges: Ranges


class Records(Message, frozen=True, tag=26):
    """A piece of a stream. ``refused``: too many streams at once, ask again later."""

    session: Count
    records: RecordBatch
    done: bool
    refused: bool


class More(Message, frozen=True, tag=27):
    """Credit: the last piece was taken in, send another."""

    session: Count


# -- joining through a relay -------------------------------------------------------------------


class RelayOpen(Message, frozen=True, tag=32):
    """A newcomer on my side wants the issuer, which is you."""

    circuit: Count
    address: Text


class RelayData(Message, frozen=True, tag=33):
    """Bytes of a relayed join, opaque to the relay. ``back``: from issuer to newcomer."""

    circuit: Count
    data: Annotated[bytes, Meta(max_length=65_536)]
    back: bool


class RelayClose(Message, frozen=True, tag=34):
    """The relayed join has ended."""

    circuit: Count
    back: bool


AnyMessage = (
    Hello
    | Verdict
    | Ping
    | Pong
    | MemberHeads
    | Members
    | AskMembers
    | Digest
    | MemberNews
    | Push
    | PushMembers
    | PushAccusations
    | IHave
    | Graft
    | Prune
    | PushEvents
    | EventHeads
    | AskEvents
    | BlobMessage
    | AskReceipts
    | Receipts
    | AskTraces
    | Traces
    | Vector
    | Spans
    | SpanHeads
    | Want
    | Records
    | ImageProof
    | More
    | RelayOpen
    | RelayData
    | RelayClose
    | NoticeIds
    | Notices
    | RenewAsk
    | RenewAnswer
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: Struct) -> bytes:
    """The bytes of a message or of a body that is about to be signed."""
    return _encoder.encode(message)


def decode_untrusted(payload: bytes) -> AnyMessage:
    """Parse one message of an authenticated but not trusted peer.

    Raises:
      RemoteProtocolError: ``bad-message``; not a message of this protocol.
    """
    try:
        return _decoder.decode(payload)
    except UNREADABLE as error:
        raise RemoteProtocolError("bad-message", str(error)) from error
