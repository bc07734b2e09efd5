"""Messages about what is said and not stored: published events.

Layouts only; `wire` decodes them, `talk` knows what they are for.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gossipnet.errors import RemoteProtocolError
from gossipnet.protocol.wire_types import Bytes16, Bytes32, Count, Message, Signature

EVENT_BYTES = 64 * 1024
"""Channel and data of one published message."""
BODY_BYTES = EVENT_BYTES + 4096
"""One signed statement: a message, or as many small ones as fit."""
EVENTS_PER_BODY = 1024
ASKED_EVENTS = 256

_Said = Annotated[bytes, Meta(max_length=EVENT_BYTES)]


class EventBody(Struct, array_like=True, frozen=True):
    """What a member published in one turn; signed with `Domain.EVENT`, bytes kept as received.

    Attributes:
      author: Its node id.
      instance: Its incarnation then: only ever rises, so that old events cannot be said again.
      number: 1, 2, 3, ... within the instance.
      wall_ms: The author's clock.
      said: Channel and data of each message, in order.
    """

    author: Bytes32
    instance: Count
    number: Count
    wall_ms: Count
    said: Annotated[list[tuple[_Said, _Said]], Meta(max_length=EVENTS_PER_BODY)]


class SignedEvent(Struct, array_like=True, frozen=True):
    """A signed `EventBody` on its way."""

    body: Annotated[bytes, Meta(max_length=BODY_BYTES)]
    signature: Signature


EventHead = tuple[Bytes16, Count, Count]
"""First half of the author's id, instance, number."""


class PushEvents(Message, frozen=True, tag=22):
    """Published messages on their way along the author's tree.

    Attributes:
      hop: Links travelled so far; informational, clamped.
      events: In the order of their numbers, of any authors.
    """

    hop: Annotated[int, Meta(ge=0, le=255)]
    events: Annotated[list[SignedEvent], Meta(max_length=ASKED_EVENTS)]


class EventHeads(Message, frozen=True, tag=23):
    """Lazy push: these events, and what came before them, went by here a moment ago."""

    heads: Annotated[list[EventHead], Meta(max_length=4096)]


class AskEvents(Message, frozen=True, tag=28):
    """These did not come by the tree: send them if you still have them."""

    events: Annotated[list[EventHead], Meta(max_length=ASKED_EVENTS)]


_decoder: msgspec.msgpack.Decoder[EventBody] = msgspec.msgpack.Decoder(EventBody)


def decode_event_untrusted(body: bytes) -> EventBody:
    """Parse the signed body of an event; raises `RemoteProtocolError`."""
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("bad-event", str(error)) from error
