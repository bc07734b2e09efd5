"""Messages that compare two long version vectors by ranges.

Layouts only; `wire` decodes them, `ranges` knows what they are for.
"""

from typing import Annotated

from msgspec import Meta

from gossipnet.protocol.wire_types import Bytes16, Count, Message

SPANS_MAX = 1024
TIPS_MAX = 2048

Bound = Annotated[bytes, Meta(max_length=16)]
"""An id of a log, or empty: before all as a lower bound, behind all as an upper one."""

Span = tuple[Bound, Bound, Bytes16]
"""From this log on, up to this one and without it, and a fingerprint of the heads between."""


class Spans(Message, frozen=True, tag=29):
    """Fingerprints of ranges of the sender's version vector; equal ones need no more words.

    Attributes:
      round: How many such messages led to this one, with it.
      spans: Ranges.
    """

    round: Annotated[int, Meta(ge=1, le=255)]
    spans: Annotated[list[Span], Meta(max_length=SPANS_MAX)]


_Tips = Annotated[list[tuple[Bytes16, Count, Bytes16]], Meta(max_length=TIPS_MAX)]


class SpanHeads(Message, frozen=True, tag=30):
    """The heads of some ranges, each with the first 16 bytes of its hash.

    Attributes:
      spans: Lower bound, upper bound, heads: all of the sender's if ``reply`` asks for the
        receiver's; else those that differ.
      reply: Whether it does.
    """

    spans: Annotated[list[tuple[Bound, Bound, _Tips]], Meta(max_length=SPANS_MAX)]
    reply: bool
